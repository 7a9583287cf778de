/* How unlike heads or layers are: each against each. */
#include "plots/heatmap.h"

static const param divergence_params[] = {
    {"layer", PARAM_INT, NULL, "L", "the heads of this layer alone (divergence_matrix)", 0, 1e6, NULL, NULL},
    {"order", PARAM_ENUM, "natural", "HOW",
     "rows and columns of divergence_matrix: natural, or clustered so that like stands beside like", 0, 0,
     (const char *const[]){"natural", "clustered", NULL}, NULL},
    {"linkage", PARAM_ENUM, "average", "HOW", "how --order clustered joins clusters: average, complete, single or ward", 0,
     0, (const char *const[]){"average", "complete", "single", "ward", NULL}, NULL},
    {0},
};

static const heatmap_style style = {
    .square = true,
    .own_names = true,
    .name_columns = true,
    .missing = "no value",
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

const figure figure_divergence_matrix = {
    .name = "divergence_matrix",
    .summary = "heads by heads or layers by layers: how unlike they are",
    .reading =
        "Dark blocks along the diagonal are heads that attend alike; with --order clustered they are put "
        "together.",
    .traps =
        "A sink that all share makes everything alike: leave it out when measuring. Colours are scaled to "
        "the data.",
    .needs = "matrix",
    .params = divergence_params,
    .build = build,
    .view = view,
};
