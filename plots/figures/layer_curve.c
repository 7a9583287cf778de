/* A metric by layer: the mean over the heads of each layer with a band. */
#include "plots/chart.h"

static const char *const bands[] = {"heads", "prompts", "none", NULL};
static const param own[] = {
    {"band", PARAM_ENUM, "heads", "WHAT",
     "heads: quartiles over the heads of a layer; prompts: 95 % interval of the mean over prompts; none", 0, 0, bands, NULL},
    CHART_PARAMS,
    {0},
};

static const chart_style style = {.zero = false};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return chart_build(out, d, p, style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return chart_view(out, d, p, style, colour, size, e);
}

const figure figure_layer_curve = {
    .name = "layer_curve",
    .summary = "a metric by layer, mean over heads with a band",
    .reading =
        "The line is the mean over the heads of a layer, the band their spread. Look for the layer where "
        "it bends.",
    .traps =
        "A mean of two kinds of heads describes neither: look at score_grid. Lines of models with "
        "different depth line up by index, not by role.",
    .needs = "values of layers or heads",
    .params = own,
    .build = build,
    .view = view,
};
