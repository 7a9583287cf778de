/* Small multiples: the maps of many heads, layers down, heads across. */
#include "plots/heatmap.h"

static const heatmap_style style = {
    .square = true,
    .missing = "not visible",
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

const figure figure_head_grid = {
    .name = "head_grid",
    .summary = "attention of many heads as thumbnails, layer by head",
    .reading =
        "Read it like a contact sheet: vertical stripes are sinks, diagonals local and previous-token "
        "heads, shifted diagonals induction heads, a filled triangle a diffuse head.",
    .traps =
        "Each thumbnail is pooled: thin diagonals fade on long prompts. The colour scale is shared, faint "
        "heads look empty.",
    .needs = "maps",
    .build = build,
    .view = view,
};
