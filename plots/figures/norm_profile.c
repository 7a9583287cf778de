/* The size of the residual stream by layer: the largest activations beside the median, or the norm. */
#include "plots/chart.h"

static const chart_style style = {.log_y = true};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return chart_build(out, d, p, style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return chart_view(out, d, p, style, colour, size, e);
}

const figure figure_norm_profile = {
    .name = "norm_profile",
    .summary = "size of the residual stream by layer: largest activations and median, or norm",
    .reading =
        "A jump of the largest activations over the median in an early layer and a fall in the last: "
        "massive activations, the ground of sinks.",
    .traps = "The axis is best logarithmic. Medians grow with depth in any pre-norm model.",
    .needs = "norms",
    .params = chart_params,
    .build = build,
    .view = view,
};
