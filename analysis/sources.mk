# Metrics: one file and one line each.
metric_sources = \
	analysis/metrics/activation_outlier.c \
	analysis/metrics/adl.c \
	analysis/metrics/attention_outlier.c \
	analysis/metrics/attention_similarity.c \
	analysis/metrics/attribution.c \
	analysis/metrics/attribution_bias.c \
	analysis/metrics/attribution_cross.c \
	analysis/metrics/attribution_embedding.c \
	analysis/metrics/attribution_logit.c \
	analysis/metrics/attribution_mlp.c \
	analysis/metrics/attribution_position.c \
	analysis/metrics/block_similarity.c \
	analysis/metrics/column_entropy.c \
	analysis/metrics/composition_k.c \
	analysis/metrics/composition_q.c \
	analysis/metrics/composition_v.c \
	analysis/metrics/copying.c \
	analysis/metrics/copying_full.c \
	analysis/metrics/detect.c \
	analysis/metrics/distance.c \
	analysis/metrics/distance_profile.c \
	analysis/metrics/dormant.c \
	analysis/metrics/duplicate_token.c \
	analysis/metrics/effective_keys.c \
	analysis/metrics/entropy.c \
	analysis/metrics/entropy_bound.c \
	analysis/metrics/entropy_bound_weights.c \
	analysis/metrics/entropy_normalised.c \
	analysis/metrics/first_k_mass.c \
	analysis/metrics/flow.c \
	analysis/metrics/flexprefill.c \
	analysis/metrics/gate_closed.c \
	analysis/metrics/gate_mean.c \
	analysis/metrics/gate_norm.c \
	analysis/metrics/gate_open.c \
	analysis/metrics/head_norm.c \
	analysis/metrics/hidden_sink.c \
	analysis/metrics/induction.c \
	analysis/metrics/inner_outlier.c \
	analysis/metrics/jsd.c \
	analysis/metrics/jsd_layers.c \
	analysis/metrics/key_norm.c \
	analysis/metrics/layer_similarity.c \
	analysis/metrics/learned_sink.c \
	analysis/metrics/local_mass.c \
	analysis/metrics/logit_lens.c \
	analysis/metrics/logit_lens_entropy.c \
	analysis/metrics/logit_lens_kl.c \
	analysis/metrics/logit_lens_logit.c \
	analysis/metrics/logit_lens_rank.c \
	analysis/metrics/logit_spectral_norm.c \
	analysis/metrics/mass_bos.c \
	analysis/metrics/mass_delimiter.c \
	analysis/metrics/mass_digit.c \
	analysis/metrics/mass_other.c \
	analysis/metrics/mass_punctuation.c \
	analysis/metrics/mass_space.c \
	analysis/metrics/mass_special.c \
	analysis/metrics/mass_words.c \
	analysis/metrics/massive_channel.c \
	analysis/metrics/massive_count.c \
	analysis/metrics/massive_median.c \
	analysis/metrics/massive_top.c \
	analysis/metrics/max.c \
	analysis/metrics/median_distance.c \
	analysis/metrics/mlp_similarity.c \
	analysis/metrics/next_token.c \
	analysis/metrics/nll.c \
	analysis/metrics/ov_largest.c \
	analysis/metrics/ov_rank.c \
	analysis/metrics/ov_spectrum.c \
	analysis/metrics/participation.c \
	analysis/metrics/patch_distance.c \
	analysis/metrics/prefix_matching.c \
	analysis/metrics/prev_token.c \
	analysis/metrics/qk_largest.c \
	analysis/metrics/qk_rank.c \
	analysis/metrics/qk_spectrum.c \
	analysis/metrics/query_norm.c \
	analysis/metrics/received.c \
	analysis/metrics/residual_norm.c \
	analysis/metrics/residual_peak.c \
	analysis/metrics/rollout.c \
	analysis/metrics/row_cosine.c \
	analysis/metrics/row_mass.c \
	analysis/metrics/same_token.c \
	analysis/metrics/self.c \
	analysis/metrics/sink.c \
	analysis/metrics/sink_cosine.c \
	analysis/metrics/sink_dimension.c \
	analysis/metrics/sink_logit_gap.c \
	analysis/metrics/sink_logit_norms.c \
	analysis/metrics/sink_peak.c \
	analysis/metrics/sink_position.c \
	analysis/metrics/sink_token.c \
	analysis/metrics/span_mass.c \
	analysis/metrics/span_shift.c \
	analysis/metrics/span_to_span.c \
	analysis/metrics/spikiness.c \
	analysis/metrics/stable_rank.c \
	analysis/metrics/top_k_mass.c \
	analysis/metrics/value_drain.c \
	analysis/metrics/value_norm.c \
	analysis/metrics/weight_outlier.c
# Edits: likewise.
edit_sources = \
	analysis/edits/act.c \
	analysis/edits/drop_attention.c \
	analysis/edits/drop_block.c \
	analysis/edits/drop_mlp.c \
	analysis/edits/first.c \
	analysis/edits/impose.c \
	analysis/edits/keep.c \
	analysis/edits/mean.c \
	analysis/edits/resample.c \
	analysis/edits/scale.c \
	analysis/edits/scale_first.c \
	analysis/edits/uniform.c \
	analysis/edits/zero.c
libattnscope_a_SOURCES += $(edit_sources) analysis/edit.c analysis/edit.h analysis/head_reference.c \
	analysis/head_reference.h analysis/loss.c analysis/loss.h analysis/experiments/effect.c \
	analysis/experiments/effect.h analysis/experiments/drop_order.c analysis/experiments/drop_order.h
libattnscope_a_SOURCES += $(metric_sources) \
	analysis/analyse.c \
	analysis/analyse_batch.c \
	analysis/analyse_plan.c \
	analysis/bibliography.c \
	analysis/column_sums.c \
	analysis/dump.c \
	analysis/dump_hooks.c \
	analysis/dump_norms.c \
	analysis/key_set.c \
	analysis/map.c \
	analysis/matrix_file.c \
	analysis/metric.c \
	analysis/query_mean.c \
	analysis/reference.c \
	analysis/repeats.c \
	analysis/span.c \
	analysis/span_find.c \
	analysis/token_class.c \
	analysis/verify.c
libattnscope_a_SOURCES += analysis/key_set.h analysis/matrix_file.h analysis/span.h analysis/span_parts.h \
	analysis/token_class.h
libattnscope_a_SOURCES += analysis/analyse.h analysis/analyse_parts.h analysis/dump_parts.h analysis/column_sums.h analysis/tile_lanes.h analysis/map.h analysis/metric.h analysis/query_mean.h \
	analysis/bibliography.h analysis/reference.h analysis/repeats.h

libattnscope_a_SOURCES += analysis/kept_attention.c analysis/kept_attention.h analysis/max_flow.c analysis/max_flow.h \
	analysis/ring.c analysis/ring.h \
	analysis/rollout.c analysis/rollout.h
libattnscope_a_SOURCES += analysis/attribution.c analysis/attribution.h analysis/attribution_parts.h \
	analysis/attribution_sum.c
libattnscope_a_SOURCES += analysis/lens.c analysis/lens.h
libattnscope_a_SOURCES += analysis/circuits.c analysis/circuits.h analysis/composition.c analysis/composition.h \
	analysis/copying.c analysis/copying.h analysis/head_weights.c analysis/head_weights.h analysis/linalg.c \
	analysis/linalg.h analysis/spectrum.c analysis/spectrum.h analysis/vocabulary_map.c analysis/vocabulary_map.h

libattnscope_a_SOURCES += \
	analysis/experiments/colored_objects.c \
	analysis/experiments/ioi.c \
	analysis/experiments/patch_sweep.c \
	analysis/experiments/path_patch.c \
	analysis/drift.c \
	analysis/experiments/prompt_pairs.c \
	analysis/patch.c \
	analysis/patch_pattern.c
libattnscope_a_SOURCES += analysis/experiments/patch_sweep.h analysis/experiments/path_patch.h \
	analysis/drift.h analysis/experiments/prompt_pairs.h analysis/patch.h analysis/patch_pattern.h

libattnscope_a_SOURCES += analysis/abs_order.c analysis/abs_order.h analysis/activation.c analysis/activation.h \
	analysis/channel_peak.h analysis/gate.c analysis/gate.h analysis/logit_weights.c analysis/logit_weights.h \
	analysis/massive.c analysis/massive.h analysis/outlier_tokens.c analysis/outlier_tokens.h analysis/similarity.c \
	analysis/similarity.h analysis/sink_column.c analysis/sink_column.h analysis/spectral.c analysis/spectral.h \
	analysis/weight_gram.c analysis/weight_gram.h

# Needles in haystacks, and tasks of made-up tokens.
libattnscope_a_SOURCES += \
	analysis/experiments/copy.c \
	analysis/experiments/induction.c \
	analysis/experiments/mqar.c \
	analysis/experiments/task.c \
	analysis/haystack.c \
	analysis/haystack_needles.c \
	analysis/haystack_text.c \
	analysis/porter.c \
	analysis/retrieval.c \
	analysis/rouge.c \
	analysis/trials.c
libattnscope_a_SOURCES += analysis/experiments/task.h analysis/experiments/task_parts.h analysis/haystack.h \
	analysis/porter.h analysis/retrieval.h analysis/rouge.h analysis/trials.h

# Heads against heads.
libattnscope_a_SOURCES += analysis/cluster.c analysis/cluster.h analysis/cluster_plane.c analysis/head_jsd.c analysis/head_jsd.h analysis/head_rows.c \
	analysis/head_rows.h analysis/layer_panels.c analysis/layer_panels.h \
	analysis/panel_pairs.c analysis/panel_pairs.h analysis/vhd.c analysis/vhd.h

registry/metrics.inc: Makefile build-aux/registry.sh
	$(REGISTRY) METRIC $(metric_sources) > $@
BUILT_SOURCES += registry/metrics.inc
CLEANFILES += registry/metrics.inc

registry/edits.inc: Makefile build-aux/registry.sh
	$(REGISTRY) EDIT $(edit_sources) > $@
BUILT_SOURCES += registry/edits.inc
CLEANFILES += registry/edits.inc
