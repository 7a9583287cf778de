/* Panels in a terminal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plots/frame.h"
#include "plots/label.h"
#include "plots/panels.h"

enum { LARGEST_BLOCK = 32 };

/* --- facets: one below the other --- */

/* One scale from all cells as they are. */
static int shared_scale(scale *out, const figure_data *d, const params *p, err *e)
{
    const figure_panels *panels = d->panels;
    grid *g = mem_array((size_t)panels->n, sizeof *g, e);
    int rc = g ? 0 : ERR_RESOURCE;

    for (int i = 0; i < panels->n && rc == 0; i++)
        rc = grid_pool(&g[i], &panels->panel[i].m, 1, 1, POOL_MEAN, e);
    if (rc == 0)
        rc = panels_scale(out, d, g, panels->n, p, e);
    for (int i = 0; g && i < panels->n; i++)
        grid_free(&g[i]);
    free(g);
    return rc;
}

static int view_facets(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style, term_colour colour,
                       view_size size, err *e)
{
    heatmap_style one = *style;
    scale sc;
    int rc = shared_scale(&sc, d, p, e);

    one.shared = &sc;
    for (int i = 0; i < d->panels->n && rc == 0; i++) {
        figure_data part = *d;
        strbuf title = {0};
        frame_put_panel(&title, d->panels->panel[i].title, i, d->panels->n);
        part.panels = NULL;
        part.m = d->panels->panel[i].m;
        part.groups = d->panels->panel[i].groups;
        part.title = strbuf_str(&title);
        part.subtitle = i == 0 ? d->subtitle : NULL;
        if (i + 1 < d->panels->n)
            part.caption = NULL;
        if (i)
            strbuf_putc(out, '\n');
        rc = title.failed ? err_nomem(e, "figure") : heatmap_view(out, &part, p, &one, colour, size, e);
        strbuf_free(&title);
    }
    return rc;
}

/* --- a grid: one map with blanks between its blocks --- */

typedef struct mosaic {
    int rows, columns;
    int64_t side, height, width;      /* of a block without the blank behind it; of the whole */
    float *cells;                     /* [height, width] */
    const char **row_labels, **col_labels;
} mosaic;

static int new_mosaic(mosaic *out, const figure_panels *panels, int columns, err *e)
{
    mosaic m = {.columns = panels->columns};
    int labels = 0;

    m.rows = (panels->n + m.columns - 1) / m.columns;
    for (int r = 0; r < m.rows; r++) {
        int w = label_columns(panels->row_names[r]);
        labels = w > labels ? w : labels;
    }
    m.side = (columns - labels - 1) / m.columns - 1;
    m.side = m.side < 1 ? 1 : m.side > LARGEST_BLOCK ? LARGEST_BLOCK : m.side;
    m.side -= m.side % 2 == 0; /* two rows share a line of the terminal: the blank is the second of two */
    m.height = m.rows * (m.side + 1) - 1;
    m.width = m.columns * (m.side + 1) - 1;
    m.cells = mem_array((size_t)(m.height * m.width), sizeof *m.cells, e);
    m.row_labels = m.cells ? mem_array((size_t)m.height, sizeof *m.row_labels, e) : NULL;
    m.col_labels = m.row_labels ? mem_array((size_t)m.width, sizeof *m.col_labels, e) : NULL;
    *out = m;
    if (!m.col_labels)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < m.height * m.width; i++)
        m.cells[i] = NAN;
    for (int64_t i = 0; i < m.height; i++)
        m.row_labels[i] = i % (m.side + 1) == 0 ? panels->row_names[i / (m.side + 1)] : "";
    for (int64_t i = 0; i < m.width; i++)
        m.col_labels[i] = i % (m.side + 1) == 0 ? panels->col_names[i / (m.side + 1)] : "";
    return 0;
}

static void free_mosaic(mosaic *m)
{
    free(m->cells);
    free(m->row_labels);
    free(m->col_labels);
}

/* All maps pooled alike; stated: what the pooling was. */
static int fill_mosaic(mosaic *m, pool_text stated, const figure_data *d, pooling how, err *e)
{
    const figure_panels *panels = d->panels;
    int64_t most = panels_longest(panels), pool = most > 0 ? ceil_div(most, m->side) : 1;

    for (int i = 0; i < panels->n; i++) {
        grid g;
        if (!panels->panel[i].m.cells)
            continue;
        int rc = grid_pool(&g, &panels->panel[i].m, pool, pool, how, e);
        if (rc)
            return rc;
        float *at = m->cells + i / m->columns * (m->side + 1) * m->width + i % m->columns * (m->side + 1);
        for (int64_t r = 0; r < g.rows; r++)
            memcpy(at + r * m->width, g.cells + r * g.cols, (size_t)g.cols * sizeof *at);
        grid_pool_text(stated, &g, d->pool, d->pooling);
        grid_free(&g);
    }
    return 0;
}

static int view_grid(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style, term_colour colour,
                     view_size size, err *e)
{
    heatmap_style whole = *style;
    figure_data part = *d;
    mosaic m = {0};
    pool_text pooled = "";
    strbuf quantity = {0};
    int rc = new_mosaic(&m, d->panels, size.columns, e);

    if (rc == 0)
        rc = fill_mosaic(&m, pooled, d, heatmap_pooling(d, p), e);
    strbuf_printf(&quantity, "%s%s%s", d->quantity ? d->quantity : "value", pooled[0] ? ", " : "", pooled);
    if (rc == 0 && quantity.failed)
        rc = err_nomem(e, "figure");
    if (rc == 0) {
        whole.square = false;
        whole.sparse_names = true;
        whole.block = m.side + 1;
        part.panels = NULL;
        part.pool = 1;
        part.quantity = strbuf_str(&quantity);
        part.row_axis = d->panels->row_axis;
        part.col_axis = d->panels->col_axis;
        part.m = (figure_matrix){m.height, m.width, m.cells, m.row_labels, m.col_labels};
        rc = heatmap_view(out, &part, p, &whole, colour, size, e);
    }
    strbuf_free(&quantity);
    free_mosaic(&m);
    return rc;
}

int panels_view(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style, term_colour colour,
                view_size size, err *e)
{
    if (d->panels->n < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: there are no panels");
    return (d->panels->columns > 0 ? view_grid : view_facets)(out, d, p, style, colour, size, e);
}
