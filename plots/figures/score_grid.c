/* One number per head: layers down (0 at the top), heads across. */
#include "plots/heatmap.h"

static const param grid_params[] = {
    {"annotate", PARAM_BOOL, "true", NULL, "write the values into cells that are large enough", 0, 0, NULL,
     NULL},
    {0},
};

static heatmap_style grid_style(const params *p)
{
    return (heatmap_style){
        .annotate = params_bool(p, "annotate"),
        .separate = true,
        .missing = "no value",
        .max_w = 10 * POINTS_PER_MM,
        .max_h = 6.5 * POINTS_PER_MM,
    };
}

static int build(scene **out, const figure_data *d, const params *p, err *e)
{
    heatmap_style style = grid_style(p);
    return heatmap_build(out, d, p, &style, e);
}

static int view(strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e)
{
    heatmap_style style = grid_style(p);
    return heatmap_view(out, d, p, &style, colour, size, e);
}

const figure figure_score_grid = {
    .name = "score_grid",
    .summary = "one value per head, layer by head",
    .reading =
        "A square is a head, rows are layers. Look for heads that stand alone, and for bands of layers.",
    .traps =
        "Heads of different models or layers share no index: L3H7 of two models is not the same head. "
        "Colours are scaled to the data unless limits are given.",
    .needs = "values",
    .params = grid_params,
    .build = build,
    .view = view,
};
