# Commands: one file and one line each.
command_sources = \
	cli/commands/ablate.c \
	cli/commands/alias.c \
	cli/commands/bench.c \
	cli/commands/calibrate.c \
	cli/commands/census.c \
	cli/commands/check.c \
	cli/commands/compare.c \
	cli/commands/convert.c \
	cli/commands/copy.c \
	cli/commands/divergence.c \
	cli/commands/drop.c \
	cli/commands/dump.c \
	cli/commands/explain.c \
	cli/commands/export.c \
	cli/commands/gc.c \
	cli/commands/generate.c \
	cli/commands/help.c \
	cli/commands/history.c \
	cli/commands/import.c \
	cli/commands/induction.c \
	cli/commands/influence.c \
	cli/commands/info.c \
	cli/commands/lens.c \
	cli/commands/let.c \
	cli/commands/list.c \
	cli/commands/load.c \
	cli/commands/merge.c \
	cli/commands/mqar.c \
	cli/commands/needle.c \
	cli/commands/patch.c \
	cli/commands/plot.c \
	cli/commands/quit.c \
	cli/commands/repeat.c \
	cli/commands/report.c \
	cli/commands/run.c \
	cli/commands/runs.c \
	cli/commands/scale.c \
	cli/commands/selftest.c \
	cli/commands/set.c \
	cli/commands/show.c \
	cli/commands/source.c \
	cli/commands/sql.c \
	cli/commands/sweep.c \
	cli/commands/tensors.c \
	cli/commands/tokenize.c \
	cli/commands/top.c \
	cli/commands/track.c \
	cli/commands/unalias.c \
	cli/commands/unlet.c \
	cli/commands/verify.c \
	cli/commands/vhd.c \
	cli/commands/view.c \
	cli/commands/watch.c \
	cli/commands/weights.c
libattnscope_a_SOURCES += $(command_sources) \
	cli/aliases.c \
	cli/census_set.c \
	cli/census_table.c \
	cli/chat_input.c \
	cli/command.c \
	cli/command_util.c \
	cli/compare_table.c \
	cli/complete.c \
	cli/complete_heads.c \
	cli/complete_sources.c \
	cli/complete_sql.c \
	cli/counted_heads.c \
	cli/dispatch.c \
	cli/divergence_table.c \
	cli/dry_run.c \
	cli/edit_select.c \
	cli/effect_input.c \
	cli/effect_table.c \
	cli/end_tokens.c \
	cli/estimate.c \
	cli/estimate_rates.c \
	cli/estimate_rows.c \
	cli/estimate_table.c \
	cli/experiment.c \
	cli/experiment_batch.c \
	cli/experiment_estimate.c \
	cli/experiment_look.c \
	cli/experiment_record.c \
	cli/experiment_tables.c \
	cli/explain.c \
	cli/explain_terms.c \
	cli/export_arrays.c \
	cli/export_hooks.c \
	cli/export_npz.c \
	cli/export_rows.c \
	cli/figure_data.c \
	cli/figure_facet.c \
	cli/figure_facet_charts.c \
	cli/figure_facet_maps.c \
	cli/figure_grid.c \
	cli/figure_map.c \
	cli/figure_matrix.c \
	cli/figure_received.c \
	cli/figure_series.c \
	cli/figure_series_ablation.c \
	cli/figure_series_heads.c \
	cli/figure_series_keys.c \
	cli/figure_series_norms.c \
	cli/figure_trials.c \
	cli/figure_units.c \
	cli/figure_values.c \
	cli/head_changes.c \
	cli/head_eval.c \
	cli/head_filter.c \
	cli/head_grammar.c \
	cli/head_help.c \
	cli/head_list.c \
	cli/head_place.c \
	cli/head_rule.c \
	cli/head_select.c \
	cli/head_space.c \
	cli/head_values.c \
	cli/head_words.c \
	cli/help.c \
	cli/help_bash.c \
	cli/help_fish.c \
	cli/help_man.c \
	cli/help_text.c \
	cli/help_words.c \
	cli/help_zsh.c \
	cli/hook_name.c \
	cli/info_lines.c \
	cli/json_fields.c \
	cli/json_line.c \
	cli/json_schemas.c \
	cli/key_list.c \
	cli/line_context.c \
	cli/line_hint.c \
	cli/metric_names.c \
	cli/metric_select.c \
	cli/model_card.c \
	cli/model_search.c \
	cli/name_list.c \
	cli/needle_plan.c \
	cli/needle_tables.c \
	cli/number_list.c \
	cli/pager.c \
	cli/output.c \
	cli/output_aligned.c \
	cli/output_layout.c \
	cli/parse.c \
	cli/patch_pairs.c \
	cli/patch_pairs_read.c \
	cli/patch_table.c \
	cli/progress_bar.c \
	cli/prompt_input.c \
	cli/prompt_lines.c \
	cli/prompt_media.c \
	cli/prompt_request.c \
	cli/prompt_set.c \
	cli/prompt_store.c \
	cli/rank_units.c \
	cli/report_build.c \
	cli/report_census.c \
	cli/report_doc.c \
	cli/report_draw.c \
	cli/report_effects.c \
	cli/report_figures.c \
	cli/report_grid.c \
	cli/report_heads.c \
	cli/report_html.c \
	cli/report_markdown.c \
	cli/report_methods.c \
	cli/report_model.c \
	cli/report_overview.c \
	cli/report_page.c \
	cli/report_patch.c \
	cli/report_pdf.c \
	cli/report_prompts.c \
	cli/report_results.c \
	cli/report_template.c \
	cli/report_terms.c \
	cli/repeat_inputs.c \
	cli/repeat_plan.c \
	cli/run_compare.c \
	cli/run_name.c \
	cli/run_next.c \
	cli/run_sink.c \
	cli/run_summary.c \
	cli/run_summary_find.c \
	cli/run_text.c \
	cli/run_units.c \
	cli/sampler.c \
	cli/script.c \
	cli/second_model.c \
	cli/session.c \
	cli/session_report.c \
	cli/settings.c \
	cli/shell.c \
	cli/shell_history.c \
	cli/shell_keys.c \
	cli/signals.c \
	cli/sink_rate.c \
	cli/standard_out.c \
	cli/sweep_file.c \
	cli/sweep_plan.c \
	cli/sweep_ranks.c \
	cli/sweep_run.c \
	cli/sweep_table.c \
	cli/task_run.c \
	cli/tensor_stats.c \
	cli/terminal.c \
	cli/token_ids.c \
	cli/tokenize_cases.c \
	cli/user_config.c \
	cli/variables.c \
	cli/verb_hint.c \
	cli/version_text.c \
	cli/view_browse.c \
	cli/view_frame.c \
	cli/view_graphics.c \
	cli/view_keys.c \
	cli/view_map.c \
	cli/view_page.c \
	cli/view_query.c \
	cli/view_save.c \
	cli/view_status.c \
	cli/view_terminal.c \
	cli/word_ref.c
libattnscope_a_SOURCES += cli/bench.h cli/bench_attention.c cli/bench_clock.c cli/bench_gemm.c cli/bench_kernels.c cli/bench_metrics.c \
	cli/bench_run.c
libattnscope_a_SOURCES += cli/counted_heads.h
libattnscope_a_SOURCES += cli/head_changes.h cli/head_filter.h
libattnscope_a_SOURCES += cli/head_grammar.h cli/head_list.h cli/head_rule.h cli/head_space.h cli/head_words.h cli/hook_name.h cli/run_name.h
libattnscope_a_SOURCES += cli/effect_table.h cli/dry_run.h cli/estimate.h cli/estimate_rates.h cli/run_next.h
libattnscope_a_SOURCES += cli/effect_input.h
libattnscope_a_SOURCES += cli/edit_select.h
libattnscope_a_SOURCES += cli/chat_input.h cli/command.h cli/end_tokens.h cli/needle_plan.h cli/needle_tables.h cli/number_list.h \
	cli/task_run.h cli/command_util.h cli/complete.h cli/dispatch.h cli/divergence_table.h cli/export_npz.h cli/export_rows.h \
	cli/builtin_prompts.h cli/census_set.h cli/census_table.h cli/experiment.h cli/experiment_parts.h cli/figure_data.h cli/figure_facet.h cli/figure_parts.h cli/figure_series.h cli/head_select.h cli/help.h cli/info_lines.h cli/json_line.h cli/key_list.h \
	cli/line_context.h cli/line_hint.h cli/metric_select.h cli/model_card.h cli/model_search.h cli/output_layout.h \
	cli/pager.h cli/shell_keys.h cli/output.h cli/parse.h cli/progress_bar.h \
	cli/prompt_input.h cli/prompt_parts.h cli/prompt_request.h cli/rank_units.h cli/run_part.h cli/repeat_plan.h cli/run_compare.h cli/run_sink.h cli/run_summary.h cli/run_summary_find.h cli/run_units.h cli/sampler.h cli/session.h cli/sweep.h cli/sweep_file.h cli/tokenize_cases.h \
	cli/settings.h cli/shell.h cli/signals.h cli/standard_out.h cli/tensor_stats.h cli/terminal.h \
	cli/token_ids.h cli/version_text.h
libattnscope_a_SOURCES += cli/aliases.h cli/name_list.h cli/user_config.h cli/variables.h cli/verb_hint.h cli/word_ref.h
libattnscope_a_SOURCES += cli/explain.h cli/explain_terms.h cli/help_words.h cli/json_schemas.h
libattnscope_a_SOURCES += cli/report.h
libattnscope_a_SOURCES += cli/compare_table.h cli/patch_pairs.h cli/patch_table.h cli/second_model.h
libattnscope_a_SOURCES += cli/view_browse.h cli/view_graphics.h cli/view_map.h cli/view_page.h cli/view_query.h cli/view_terminal.h cli/view_window.h

registry/commands.inc: Makefile build-aux/registry.sh
	$(REGISTRY) COMMAND $(command_sources) > $@
BUILT_SOURCES += registry/commands.inc
CLEANFILES += registry/commands.inc

registry/builtin_prompts.inc: examples/prompts/census.jsonl build-aux/text-to-c.sh
	$(AM_V_GEN)mkdir -p registry && $(SHELL) $(top_srcdir)/build-aux/text-to-c.sh $(srcdir)/examples/prompts/census.jsonl > $@
BUILT_SOURCES += registry/builtin_prompts.inc
CLEANFILES += registry/builtin_prompts.inc
EXTRA_DIST += build-aux/text-to-c.sh
