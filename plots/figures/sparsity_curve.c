/* The share of attention that the k largest weights of a query hold. */
#include "plots/chart.h"

static const chart_style style = {.log_x = true};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return chart_build(out, d, p, style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return chart_view(out, d, p, style, colour, size, e);
}

const figure figure_sparsity_curve = {
    .name = "sparsity_curve",
    .summary = "attention that the k largest weights of a query hold, against k",
    .reading = "How many keys hold how much: a curve that is high at once belongs to sinks or pointed heads.",
    .traps = "An oracle's choice, not one that a cache could make. Depends on the length of the prompt.",
    .needs = "top_k_mass",
    .params = chart_params,
    .build = build,
    .view = view,
};
