/* The attention of one head: query tokens down, key tokens across. */
#include "plots/heatmap.h"

static const heatmap_style style = {
    .square = true,
    .missing = "not visible",
    .max_w = 10 * POINTS_PER_MM,
    .max_h = 10 * POINTS_PER_MM,
};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return heatmap_build(out, d, p, &style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return heatmap_view(out, d, p, &style, colour, size, e);
}

const figure figure_head_map = {
    .name = "head_map",
    .summary = "attention of one head, query token by key token",
    .needs = "map",
    .build = build,
    .view = view,
};
