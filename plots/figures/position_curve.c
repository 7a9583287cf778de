/* The attention that each key position receives, beside attention that is spread evenly. */
#include "plots/chart.h"

static const chart_style style = {.log_x = true, .log_y = true};

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    return chart_build(out, d, p, style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    return chart_view(out, d, p, style, colour, size, e);
}

const figure figure_position_curve = {
    .name = "position_curve",
    .summary = "attention that each key position receives, beside uniform attention",
    .reading =
        "What stands above the curve of uniform attention is preferred: the first key by sinks, others by "
        "content or recency.",
    .traps = "The last keys are seen by few queries and rise by chance.",
    .needs = "received",
    .params = chart_params,
    .build = build,
    .view = view,
};
