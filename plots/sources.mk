# Figures: one file and one line each.
figure_sources = \
	plots/figures/ablation_bars.c \
	plots/figures/divergence_matrix.c \
	plots/figures/head_grid.c \
	plots/figures/head_map.c \
	plots/figures/layer_curve.c \
	plots/figures/needle_grid.c \
	plots/figures/norm_profile.c \
	plots/figures/position_curve.c \
	plots/figures/received_map.c \
	plots/figures/score_curve.c \
	plots/figures/score_grid.c \
	plots/figures/sparsity_curve.c
# Writers, one per file format.
writer_sources = \
	plots/writers/pdf.c \
	plots/writers/png.c \
	plots/writers/svg.c
libattnscope_a_SOURCES += $(figure_sources) $(writer_sources) \
	plots/chart.c \
	plots/chart_axis.c \
	plots/chart_draw.c \
	plots/chart_legend.c \
	plots/chart_series.c \
	plots/chart_view.c \
	plots/chart_view_bars.c \
	plots/chart_words.c \
	plots/colormap.c \
	plots/colormap_data.c \
	plots/document.c \
	plots/document_table.c \
	plots/figure.c \
	plots/frame.c \
	plots/grid.c \
	plots/heatmap.c \
	plots/heatmap_draw.c \
	plots/heatmap_plan.c \
	plots/heatmap_shade.c \
	plots/heatmap_view.c \
	plots/label.c \
	plots/libraries.c \
	plots/page.c \
	plots/panels.c \
	plots/panels_view.c \
	plots/png_encode.c \
	plots/scale.c \
	plots/scene.c \
	plots/scene_shape.c \
	plots/scene_text.c \
	plots/sixel.c \
	plots/theme.c \
	plots/thumbs.c \
	plots/writer.c
libattnscope_a_SOURCES += plots/document.h plots/document_parts.h
libattnscope_a_SOURCES += plots/chart.h plots/chart_data.h plots/chart_page.h plots/chart_view.h plots/colormap.h plots/figure.h plots/frame.h plots/grid.h plots/heatmap.h \
	plots/label.h plots/libraries.h plots/page.h plots/panels.h plots/scale.h plots/scene.h plots/writer.h

libattnscope_a_SOURCES += plots/heatmap_view.h plots/sixel.h

registry/figures.inc: Makefile build-aux/registry.sh
	$(REGISTRY) FIGURE $(figure_sources) > $@
registry/writers.inc: Makefile build-aux/registry.sh
	$(REGISTRY) WRITER $(writer_sources) > $@
BUILT_SOURCES += registry/figures.inc registry/writers.inc
CLEANFILES += registry/figures.inc registry/writers.inc
