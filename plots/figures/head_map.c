/* The attention of one head: query tokens down, key tokens across. */
#include "plots/heatmap.h"

static const heatmap_style style = {
    .square = true,
    .missing = "not visible",
    .max_w = 10 * POINTS_PER_MM,
    .max_h = 10 * POINTS_PER_MM,
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

int head_map_block(int64_t *block, int64_t rows, int64_t cols, int64_t pool, const params *p, err *e)
{
    enum { FEW = 256 }; /* fits on any page */
    static const char name[] = "query token";
    const figure_data d = {.m = {.rows = rows, .cols = cols}, .pool = pool, .row_axis = name, .col_axis = name};
    heatmap_plan plan;
    page pg;
    scene *s = NULL;

    *block = 1;
    if (rows <= FEW && cols <= FEW)
        return 0;
    int rc = page_init(&pg, p, PAGE_DOUBLE_MM, e); /* where such a map is drawn unless a width is given */
    if (rc == 0)
        rc = scene_new(&s, &pg, e);
    if (rc)
        return rc;
    heatmap_room room = heatmap_page_room(s, &d, pg.width >= 120 * POINTS_PER_MM);
    rc = heatmap_plan_axes(&plan, s, &d, &style, &room, e);
    if (rc == 0)
        *block = plan.row.pool < plan.col.pool ? plan.row.pool : plan.col.pool;
    scene_free(s);
    return rc;
}

const figure figure_head_map = {
    .name = "head_map",
    .summary = "attention of one head, query token by key token",
    .reading =
        "Rows are queries, columns keys; a row sums to 1 over what it may see. A bright first column is a "
        "sink.",
    .traps =
        "Weight is not influence: the value behind a bright cell may be small (value_norm). A linear scale "
        "hides all but the largest: try --norm log or --limits.",
    .needs = "map",
    .build = build,
    .view = view,
};
