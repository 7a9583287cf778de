/* What each key receives: layers or heads down, key positions across. */
#include "plots/heatmap.h"

static const heatmap_style style = {
    .missing = "no value",
    .max_w = 10 * POINTS_PER_MM,
    .max_h = 6.5 * POINTS_PER_MM,
};

static const param received_params[] = {
    {"rows", PARAM_ENUM, "layers", "WHAT", "rows of received_map: layers (mean over their heads) or heads", 0, 0,
     (const char *const[]){"layers", "heads", NULL}, NULL},
    {0},
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

const figure figure_received_map = {
    .name = "received_map",
    .summary = "attention that each key position receives, layer by position",
    .reading = "A bright column over many layers is a sink; one that begins in the middle is a hidden sink.",
    .traps = "Late positions are noisy; the first position may saturate the colour scale.",
    .needs = "received map",
    .params = received_params,
    .build = build,
    .view = view,
};
