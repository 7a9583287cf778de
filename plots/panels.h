/* Several matrices on one page with one colour scale: side by side with titles (facets), or a grid of thumbnails. */
#ifndef ATTNSCOPE_PLOTS_PANELS_H
#define ATTNSCOPE_PLOTS_PANELS_H

#include "plots/heatmap.h"

/* d->panels as a page.  ERR_USAGE for more panels than a page holds, ERR_FAILED when none has a value. */
int panels_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e);
int thumbs_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e);
/* In a terminal: facets one below the other; a grid as one map with blanks between the thumbnails. */
int panels_view(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style, term_colour colour,
                view_size size, err *e);

/* One scale for the cells of n grids; pooling is stated as that of the first. */
int panels_scale(scale *out, const figure_data *d, const grid *g, int n, const params *p, err *e);
/* The most rows or columns that any of them has; 0: none has cells. */
int64_t panels_longest(const figure_panels *panels);
/* The label of the colour bar made visible: free() it. */
char *panels_label(const scale *sc, const figure_data *d, const grid *g, err *e);

#endif
