# cmocka programs print TAP; shell tests print TAP themselves.
LDADD = $(LIBS_ALL) $(CMOCKA_LIBS)

cmocka_tests = \
	tests/test_activation_metrics \
	tests/test_alloc_faults \
	tests/test_analyse \
	tests/test_attention \
	tests/test_attention_in_place \
	tests/test_attention_kinds \
	tests/test_attention_panels \
	tests/test_attention_tap \
	tests/test_attribution \
	tests/test_audio \
	tests/test_base_core \
	tests/test_base_files \
	tests/test_base_json \
	tests/test_base_npz \
	tests/test_base_npz_write \
	tests/test_base_pool \
	tests/test_base_text \
	tests/test_batch \
	tests/test_chart_files \
	tests/test_chart_panels \
	tests/test_charts \
	tests/test_chat \
	tests/test_checkpoint \
	tests/test_checkpoint_files \
	tests/test_cli_helpers \
	tests/test_cli_parse \
	tests/test_cluster \
	tests/test_config \
	tests/test_config_gguf \
	tests/test_convert \
	tests/test_decoding \
	tests/test_divergence \
	tests/test_drift \
	tests/test_dtype \
	tests/test_edit_runs \
	tests/test_edits \
	tests/test_effects \
	tests/test_families \
	tests/test_families_llava \
	tests/test_families_moe \
	tests/test_families_vision \
	tests/test_families_vision_files \
	tests/test_figure_golden \
	tests/test_figure_paper \
	tests/test_flow \
	tests/test_forward_memory \
	tests/test_gemm_layouts \
	tests/test_gemm_maps \
	tests/test_gguf \
	tests/test_gguf_defects \
	tests/test_golden_metrics \
	tests/test_haystack \
	tests/test_head_grammar \
	tests/test_head_rows \
	tests/test_heat_options \
	tests/test_heat_recipes \
	tests/test_image \
	tests/test_image_plan \
	tests/test_kernels \
	tests/test_kernels_few \
	tests/test_kernels_gemm \
	tests/test_kernels_softmax \
	tests/test_kinds \
	tests/test_labels \
	tests/test_linalg \
	tests/test_llama2c \
	tests/test_loss \
	tests/test_metric_identities \
	tests/test_metric_registry \
	tests/test_metrics \
	tests/test_model \
	tests/test_needle_grid \
	tests/test_output \
	tests/test_pair_kernels \
	tests/test_patch \
	tests/test_patch_double \
	tests/test_pattern_metrics \
	tests/test_pattern_texts \
	tests/test_pickle \
	tests/test_plot_files \
	tests/test_plot_scales \
	tests/test_plots \
	tests/test_prompt_input \
	tests/test_prompt_pairs \
	tests/test_prompt_set \
	tests/test_quantize \
	tests/test_quants \
	tests/test_readers \
	tests/test_reference \
	tests/test_report \
	tests/test_retrieval \
	tests/test_ring \
	tests/test_row_dot \
	tests/test_safetensors \
	tests/test_safetensors_rules \
	tests/test_sixel \
	tests/test_spellings \
	tests/test_stats \
	tests/test_store \
	tests/test_store_check \
	tests/test_store_faults \
	tests/test_store_merge \
	tests/test_store_migrate \
	tests/test_store_open \
	tests/test_store_plans \
	tests/test_store_shared \
	tests/test_store_sql \
	tests/test_stream_metrics \
	tests/test_sweep \
	tests/test_tasks \
	tests/test_tile_metrics \
	tests/test_tile_models \
	tests/test_tiles \
	tests/test_tokenizer \
	tests/test_tokenizer_files \
	tests/test_tokenizer_golden \
	tests/test_tokenizer_models \
	tests/test_tokenizer_parts \
	tests/test_tokenizer_slow \
	tests/test_tokenizer_spm \
	tests/test_torch \
	tests/test_torch_files \
	tests/test_trials \
	tests/test_vhd \
	tests/test_view \
	tests/test_weight_bounds \
	tests/test_weights_metrics

# Fuzz targets, here with a driver that mutates seeds a fixed number of times; the same files build with
# clang -fsanitize=fuzzer.
fuzz_tests = \
	tests/fuzz_chat \
	tests/fuzz_checkpoint \
	tests/fuzz_config \
	tests/fuzz_gguf \
	tests/fuzz_image \
	tests/fuzz_llama2c \
	tests/fuzz_npz \
	tests/fuzz_pickle \
	tests/fuzz_safetensors \
	tests/fuzz_sentencepiece \
	tests/fuzz_tokenizer \
	tests/fuzz_wav
# Tables of kernels against plain C share what they need.
checkasm = tests/checkasm.c tests/checkasm.h
tests_test_kernels_SOURCES = tests/test_kernels.c $(checkasm)
tests_test_kernels_few_SOURCES = tests/test_kernels_few.c $(checkasm)
tests_test_kernels_gemm_SOURCES = tests/test_kernels_gemm.c $(checkasm)
tests_test_kernels_softmax_SOURCES = tests/test_kernels_softmax.c $(checkasm)
tests_test_pair_kernels_SOURCES = tests/test_pair_kernels.c $(checkasm)
tests_test_tiles_SOURCES = tests/test_tiles.c $(checkasm)
tests_test_figure_golden_CPPFLAGS = $(AM_CPPFLAGS) $(PANGOCAIRO_CFLAGS)
tests_fuzz_chat_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_checkpoint_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_config_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_gguf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_image_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_llama2c_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_npz_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_pickle_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_safetensors_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_sentencepiece_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_tokenizer_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER
tests_fuzz_wav_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_DRIVER

shell_tests = \
	tests/cli_ablate.sh \
	tests/cli_bad_input.sh \
	tests/cli_batch.sh \
	tests/cli_bench.sh \
	tests/cli_census.sh \
	tests/cli_charts.sh \
	tests/cli_compare.sh \
	tests/cli_convert.sh \
	tests/cli_divergence.sh \
	tests/cli_dry_run.sh \
	tests/cli_edited_tasks.sh \
	tests/cli_examples.sh \
	tests/cli_export.sh \
	tests/cli_faults.sh \
	tests/cli_faults_verbs.sh \
	tests/cli_figure.sh \
	tests/cli_figure_bad.sh \
	tests/cli_figure_fonts.sh \
	tests/cli_gallery.sh \
	tests/cli_generate.sh \
	tests/cli_heads.sh \
	tests/cli_heat_recipes.sh \
	tests/cli_help.sh \
	tests/cli_hints.sh \
	tests/cli_inputs.sh \
	tests/cli_install.sh \
	tests/cli_isa.sh \
	tests/cli_json.sh \
	tests/cli_kill.sh \
	tests/cli_language.sh \
	tests/cli_language_tty.sh \
	tests/cli_memory.sh \
	tests/cli_merge.sh \
	tests/cli_model.sh \
	tests/cli_mpi.sh \
	tests/cli_needle.sh \
	tests/cli_patch.sh \
	tests/cli_pattern.sh \
	tests/cli_prompts.sh \
	tests/cli_python.sh \
	tests/cli_quantize.sh \
	tests/cli_race.sh \
	tests/cli_report.sh \
	tests/cli_repeat.sh \
	tests/cli_run.sh \
	tests/cli_shell.sh \
	tests/cli_store.sh \
	tests/cli_sweep.sh \
	tests/cli_threats.sh \
	tests/cli_together.sh \
	tests/cli_tokenize.sh \
	tests/cli_verify.sh \
	tests/cli_view.sh \
	tests/cli_weights.sh \
	tests/docs.sh \
	tests/docs_run.sh \
	tests/examples_findings.sh \
	tests/layers.sh \
	tests/store_docs.sh

dist_check_SCRIPTS += $(shell_tests)
if HAVE_CMOCKA
check_PROGRAMS += $(cmocka_tests) $(fuzz_tests) bench/make_checkpoint
TESTS += $(cmocka_tests) $(fuzz_tests)
endif
TESTS += $(shell_tests)

TEST_EXTENSIONS = .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)
LOG_COMPILER = $(SHELL) $(top_srcdir)/build-aux/cmocka-tap.sh
AM_TESTS_ENVIRONMENT = \
	ATTNSCOPE='$(abs_top_builddir)/attnscope'; export ATTNSCOPE; \
	CC='$(CC)'; export CC;
EXTRA_DIST += tests/stores/README.md tests/stores/make_stores.py tests/stores/v1.db tests/stores/v2.db tests/stores/v3.db
EXTRA_DIST += tests/examples tests/json_schemas.py tests/zsh_complete.zsh
EXTRA_DIST += tests/chat_cases.json tests/make_chat_cases.py
EXTRA_DIST += tests/make_quantize_cases.py tests/quantize_cases.h
EXTRA_DIST += tests/report_page.py tests/docs_links.py tests/docs_run.py
EXTRA_DIST += tests/compare_pictures.py tests/cli_lib.sh tests/cli_language.py tests/cli_shell.py tests/cli_view.py tests/sanitize tests/tap.sh tests/tsan.supp tests/valgrind.supp
EXTRA_DIST += \
	tests/activation_capture.h \
	tests/attention_reference.h \
	tests/chart_sample.h \
	tests/checkpoint_bytes.h \
	tests/config_edit.h \
	tests/families \
	tests/dense_maps.h \
	tests/family_cases.h \
	tests/figure_sample.h \
	tests/figures \
	tests/fuzz_driver.h \
	tests/fuzz_tokenizer.h \
	tests/gguf_meta.h \
	tests/golden_crops.h \
	tests/golden_sample.h \
	tests/image_samples.h \
	tests/lantern_tokens.h \
	tests/llama2c_bytes.h \
	tests/metric_feed.h \
	tests/model_run.h \
	tests/patch_double.h \
	tests/panel_sample.h \
	tests/pattern_reference.h \
	tests/spm_bytes.h \
	tests/store_fixture.h \
	tests/test_base_folder.h \
	tests/test_base_npz_samples.h \
	tests/tile_expect.h \
	tests/tiny_checkpoint.h \
	tests/weights_numpy.h \
	tests/tiny_model.h \
	tests/tiny_vision.h \
	tests/tokenizer_json.h \
	tests/torch_bytes.h \
	tests/torch_checks.h \
	tests/usable_tables.h \
	tests/vfs_fault.h \
	tests/wav_bytes.h
EXTRA_DIST += tests/faults
