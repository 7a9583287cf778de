# What `make install` puts beside the program: the bundled model and prompts to try it on.
examplemodeldir = $(pkgdatadir)/examples/models/lantern-3m
dist_examplemodel_DATA = \
	examples/models/lantern-3m/README.md \
	examples/models/lantern-3m/TRAINING.md \
	examples/models/lantern-3m/config.json \
	examples/models/lantern-3m/model.safetensors \
	examples/models/lantern-3m/tokenizer.json \
	examples/models/lantern-3m/tokenizer_config.json

examplemodelsdir = $(pkgdatadir)/examples/models
dist_examplemodels_DATA = examples/models/README.md

examplepromptdir = $(pkgdatadir)/examples/prompts
dist_exampleprompt_DATA = \
	examples/prompts/README.md \
	examples/prompts/census.jsonl \
	examples/prompts/repeat.ids \
	examples/prompts/story.txt

examplescriptdir = $(pkgdatadir)/examples/scripts
dist_examplescript_DATA = \
	examples/scripts/README.md \
	examples/scripts/first-look.attn \
	examples/scripts/one-model.attn
dist_examplescript_SCRIPTS = examples/scripts/batch-report

examplesweepdir = $(pkgdatadir)/examples/sweeps
dist_examplesweep_DATA = \
	examples/sweeps/README.md \
	examples/sweeps/checkpoints.sweep \
	examples/sweeps/length.sweep \
	examples/sweeps/precision.sweep

examplereportdir = $(pkgdatadir)/examples/report
dist_examplereport_DATA = \
	examples/report/README.md \
	examples/report/kv-cache.report \
	examples/report/paper.report \
	examples/report/plain.html \
	examples/report/short.report

examplereferencedir = $(pkgdatadir)/examples/models/lantern-3m-reference
dist_examplereference_DATA = \
	examples/models/lantern-3m-reference/README.md \
	examples/models/lantern-3m-reference/metrics-repeat.json \
	examples/models/lantern-3m-reference/metrics-short.json \
	examples/models/lantern-3m-reference/metrics-story.json \
	examples/models/lantern-3m-reference/ref-short.npz \
	examples/models/lantern-3m-reference/ref-story.npz

examplemakerdir = $(pkgdatadir)/examples/reference
dist_examplemaker_SCRIPTS = examples/reference/make_reference.py
dist_examplemaker_DATA = examples/reference/README.md

examplefindingsdir = $(pkgdatadir)/examples/findings
dist_examplefindings_SCRIPTS = \
	examples/findings/all \
	examples/findings/entropy-layers \
	examples/findings/head-clusters \
	examples/findings/induction-pairs \
	examples/findings/quantisation-drift \
	examples/findings/retrieval-heads \
	examples/findings/sink-length \
	examples/findings/softmax-sinks \
	examples/findings/value-drain
dist_examplefindings_DATA = \
	examples/findings/README.md \
	examples/findings/lesson.sh

examplefindingfiguresdir = $(pkgdatadir)/examples/findings/figures
dist_examplefindingfigures_DATA = \
	examples/findings/figures/lantern_head_clusters.png \
	examples/findings/figures/lantern_induction_pairs.png \
	examples/findings/figures/lantern_quantisation_layers.png \
	examples/findings/figures/smollm2_entropy_by_layer.png \
	examples/findings/figures/smollm2_induction_pairs.png \
	examples/findings/figures/smollm2_retrieval_ablated.png \
	examples/findings/figures/smollm2_sink_by_length.png \
	examples/findings/figures/smollm2_value_drain.png

examplepythondir = $(pkgdatadir)/examples/python
dist_examplepython_DATA = \
	examples/python/README.md \
	examples/python/attnscope.py \
	examples/python/first_look.py

EXTRA_DIST += \
	examples/gallery \
	examples/get-smollm2
