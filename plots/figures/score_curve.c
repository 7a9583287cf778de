/* One number per head, the heads in descending order: how many stand out. */
#include "plots/chart.h"

static const param own[] = {
    {"threshold", PARAM_REAL, NULL, "X", "a line at this value; the heads above it are counted", 0, 0, NULL, NULL},
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

const figure figure_score_curve = {
    .name = "score_curve",
    .summary = "values of heads in descending order, with a threshold",
    .reading =
        "A few high heads and a long flat tail: the usual shape. The threshold shows how many heads a rule "
        "takes.",
    .traps = "Sorted noise falls as well: compare with the curve of a control.",
    .needs = "values of heads",
    .params = own,
    .build = build,
    .view = view,
};
