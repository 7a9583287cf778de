/* Needles in haystacks: length across, depth down, recall in per cent. */
#include "plots/heatmap.h"

static const param needle_params[] = {
    {"safe", PARAM_BOOL, NULL, NULL, "colours that colour-blind readers can tell apart (cividis) for red, yellow and green",
     0, 0, NULL, NULL},
    {0},
};

static heatmap_style needle_style(void)
{
    return (heatmap_style){
        .annotate = true,
        .separate = true,
        .name_columns = true,
        .missing = "no trial",
        .max_w = 16 * POINTS_PER_MM,
        .max_h = 9 * POINTS_PER_MM,
    };
}

static figure_data with_colours(const figure_data *d, const params *p)
{
    figure_data out = *d;
    out.cmap = params_bool(p, "safe") ? "cividis" : "needle";
    return out;
}

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    heatmap_style style = needle_style();
    figure_data own = with_colours(d, p);
    return heatmap_build(out, &own, p, &style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    heatmap_style style = needle_style();
    figure_data own = with_colours(d, p);
    return heatmap_view(out, &own, p, &style, colour, size, e);
}

const figure figure_needle_grid = {
    .name = "needle_grid",
    .summary = "recall by context length and depth of the needle",
    .reading =
        "Rows are depths of the needle, columns context lengths; the cell is the recall. A band that fails "
        "in the middle is the usual picture.",
    .traps = "A cell with few trials jumps. Exact match is harder than the model's knowledge.",
    .needs = "trials",
    .params = needle_params,
    .build = build,
    .view = view,
};
