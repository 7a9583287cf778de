/* What a model loses without a set of heads, beside random heads of the same layers. */
#include "plots/chart.h"

static const param own[] = {
    {"top", PARAM_INT, "20", "N", "heads of a run of `ablate --each`: the N that matter most", 1, 200, NULL, NULL},
    CHART_PARAMS,
    {0},
};

static const chart_style style = {.zero = true};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return chart_build(out, d, p, style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return chart_view(out, d, p, style, colour, size, e);
}

const figure figure_ablation_bars = {
    .name = "ablation_bars",
    .summary = "what a model loses without heads, beside random heads of the same layers",
    .reading =
        "A bar is what is lost without the heads, beside it what is lost without as many random heads of "
        "the same layers. Only the difference is about these heads.",
    .traps =
        "Few random draws give a poor comparison: look at their number and interval. Loss on easy text "
        "hides what heads are for.",
    .needs = "ablation",
    .params = own,
    .build = build,
    .view = view,
};
