/* Grids of a report: means of heads, layer by head, and other values layer by place. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/report.h"

struct report_grid {
    int64_t run, layers, heads;
    attn_kind kind;
    const char *column, *words;  /* "the 61 prompts of set text" */
    const char *quantity, *unit, *range, *summary;
    float *cells;                /* [layers, heads] NaN: no such head */
    const char *row_axis, *col_axis;   /* NULL: layer, head */
    const char **row_labels, **col_labels;
    bool tokens;                 /* columns are positions of the one prompt */
};

/* The kind of attention with the most rows: that of the table of an ordinary model. */
static attn_kind main_kind(const table *t)
{
    int64_t n[ATTN_VISION + 1] = {0};
    attn_kind most = ATTN_SELF;
    head_id h;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && ++n[h.kind] > n[most])
            most = h.kind;
    return most;
}

int report_grid_make(report_grid **out, report_build *b, const report_run *r, int column, err *e)
{
    const table *t = r->heads;
    const char *name = t->column[column];
    const metric *m = report_column_metric(name);
    const report_term *term = m ? NULL : report_term_find(name);
    char *condition = NULL;
    size_t count = 0;
    head_id h;
    *out = NULL;
    report_grid *g = arena_alloc(&b->doc->mem, 1, sizeof *g, e);
    if (!g)
        return ERR_RESOURCE;
    *g = (report_grid){.run = r->id, .kind = main_kind(t), .column = report_print(b->doc, "%s", name), .words = "",
                       .unit = strcmp(name, "sink_rate") == 0 ? "" : m ? m->unit : term ? term->unit : "",
                       .range = m ? m->range : term ? term->range : "", .summary = m ? m->summary : ""};
    g->quantity = strcmp(name, "sink") == 0        ? "alpha (mean attention weight)"
                  : strcmp(name, "sink_rate") == 0 ? "share of texts"
                                                   : g->column;
    int rc = report_units(&condition, &g->words, b, r, m ? m->name : name, e);
    free(condition);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && h.kind == g->kind) {
            g->layers = h.layer >= g->layers ? h.layer + 1 : g->layers;
            g->heads = h.head >= g->heads ? h.head + 1 : g->heads;
        }
    if (!g->layers || !size_mul(&count, (size_t)g->layers, (size_t)g->heads))
        return 0;
    if (!(g->cells = arena_alloc(&b->doc->mem, count, sizeof *g->cells, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < count; i++)
        g->cells[i] = NAN;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && h.kind == g->kind)
            g->cells[h.layer * g->heads + h.head] = (float)cell_number(table_cell(t, i, column));
    *out = g;
    return 0;
}

/* ---- places other than heads of a metric ---- */

int report_grid_places(report_grid **out, report_build *b, const report_run *r, const char *name, const char *summary, err *e)
{
    const metric *m = metric_find(name);
    const report_term *term = m ? NULL : report_term_find(name);
    value_groups v = {0};
    char *units = NULL;
    size_t count = 0;
    *out = NULL;
    report_grid *g = arena_alloc(&b->doc->mem, 1, sizeof *g, e);
    if (!g)
        return ERR_RESOURCE;
    *g = (report_grid){.run = r->id, .column = report_print(b->doc, "%s", name), .words = "", .unit = m ? m->unit : term
                       ? term->unit : "",
                       .range = m ? m->range : term ? term->range : "", .summary = summary ? summary : m ? m->summary : ""};
    g->quantity = g->column;
    int rc = report_units(&units, &g->words, b, r, name, e);
    if (!rc)
        rc = experiment_means(&v, b->st, r->id, name, units, NULL, e);
    free(units);
    bool of_heads = v.n && v.g[0].head.head != NO_INDEX;
    g->kind = v.n ? v.g[0].head.kind : ATTN_SELF;
    for (int64_t i = 0; i < v.n && !rc; i++) {
        int64_t col = of_heads ? v.g[i].head.head : v.g[i].position;
        if (v.g[i].head.kind != g->kind || v.g[i].head.layer == NO_INDEX || col == NO_INDEX)
            continue;
        g->layers = v.g[i].head.layer >= g->layers ? v.g[i].head.layer + 1 : g->layers;
        g->heads = col >= g->heads ? col + 1 : g->heads;
    }
    bool fits = !rc && g->layers > 0 && size_mul(&count, (size_t)g->layers, (size_t)g->heads);
    if (fits && !(g->cells = arena_alloc(&b->doc->mem, count, sizeof *g->cells, e)))
        rc = ERR_RESOURCE;
    for (size_t i = 0; fits && !rc && i < count; i++)
        g->cells[i] = NAN;
    for (int64_t i = 0; fits && i < v.n && !rc; i++) {
        int64_t col = of_heads ? v.g[i].head.head : v.g[i].position;
        if (v.g[i].head.kind == g->kind && v.g[i].head.layer != NO_INDEX && col != NO_INDEX)
            g->cells[v.g[i].head.layer * g->heads + col] = (float)v.g[i].st.mean;
    }
    free(v.g);
    g->col_axis = of_heads ? "head" : "position";
    g->tokens = !of_heads && report_prompts_read(b, r->id) == 1;
    if (!rc && fits)
        *out = g;
    return rc;
}

int report_grid_table(report_grid **out, report_build *b, const report_run *r, const table *t, const char *name, const char *unit,
                      const char *summary, const char *row_axis, const char *col_axis, err *e)
{
    report_grid *g = arena_alloc(&b->doc->mem, 1, sizeof *g, e);
    size_t count;
    *out = NULL;
    if (!g || t->n_row < 1 || t->n_col < 2)
        return g ? 0 : ERR_RESOURCE;
    if (!size_mul(&count, (size_t)t->n_row, (size_t)t->n_col))
        return err_nomem(e, "figure");
    *g = (report_grid){.run = r->id, .column = name, .words = "", .unit = unit, .range = "", .summary = summary, .quantity = name,
                       .layers = t->n_row, .heads = t->n_col - 1, .row_axis = row_axis, .col_axis = col_axis};
    g->cells = arena_alloc(&b->doc->mem, count, sizeof *g->cells, e);
    g->row_labels = arena_alloc(&b->doc->mem, (size_t)t->n_row, sizeof *g->row_labels, e);
    g->col_labels = arena_alloc(&b->doc->mem, (size_t)t->n_col, sizeof *g->col_labels, e);
    if (!g->cells || !g->row_labels || !g->col_labels)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row; i++) {
        g->row_labels[i] = report_print(b->doc, "%s", cell_string(table_cell(t, i, 0)));
        for (int c = 1; c < t->n_col; c++)
            g->cells[i * g->heads + c - 1] = table_cell(t, i, c)->kind == CELL_NULL ? NAN
                : (float)cell_number(table_cell(t, i, c));
    }
    for (int c = 1; c < t->n_col; c++)
        g->col_labels[c - 1] = report_print(b->doc, "%s", t->column[c]);
    char *units = NULL;
    int rc = report_units(&units, &g->words, b, r, "nll", e);
    free(units);
    if (!rc)
        *out = g;
    return rc;
}

/* ---- as a figure ---- */

int report_grid_load(figure_source *src, report_build *b, const report_grid *g, err *e)
{
    const cell bind[] = {cell_int(g->run)};
    figure_facts f;
    table *t = NULL;
    figure_data *d = &src->d;
    *src = (figure_source){.run = g->run};
    int64_t prompt = 0;
    int rc = store_query(b->st, &t, "SELECT min(prompt_index) FROM unit WHERE run_id = ?1", bind, 1, e);
    if (!rc && t->n_row)
        prompt = index_of_cell(table_cell(t, 0, 0));
    table_free(t);
    if (!rc)
        rc = figure_read_facts(&f, src, b->st, prompt, e);
    if (rc)
        return rc;
    d->m = (figure_matrix){g->layers, g->heads, g->cells, g->row_labels, g->col_labels};
    const char **labels;
    if (g->tokens && (rc = figure_token_labels(&labels, src, b->st, prompt, attn_kind_name(g->kind), 1, g->heads, e)))
        return rc;
    if (g->tokens)
        d->m.col_labels = labels;
    d->title = figure_text(src, e, "%s \xc2\xb7 %s", g->column, f.model);
    d->subtitle = g->col_axis ? figure_text(src, e, "%s, %s, run %" PRId64, g->words, f.operator_name, g->run)
        : figure_text(src, e, "mean over %s, %s, run %" PRId64 "%s%s", g->words, f.operator_name, g->run,
                              *g->summary ? "; " : "", g->summary);
    d->row_axis = g->row_axis ? g->row_axis : figure_layer_axis(g->kind);
    d->col_axis = g->col_axis ? g->col_axis : "head";
    d->quantity = g->quantity;
    d->unit = g->unit;
    d->lo = strncmp(g->range, "0 ..", 4) == 0 ? 0 : strncmp(g->range, "-1 .. 1", 7) == 0 ? -1 : (double)NAN;
    d->hi = strcmp(g->range, "0 .. 1") == 0 || strcmp(g->range, "-1 .. 1") == 0 ? 1 : (double)NAN;
    d->pool = 1;
    d->caption = g->col_axis ? figure_text(src, e, "%s; %s; run %" PRId64, g->summary, g->words, g->run)
                             : figure_text(src, e, "mean over %s, head by head; run %" PRId64, g->words, g->run);
    if (!d->title || !d->subtitle || !d->caption)
        return ERR_RESOURCE;
    if (g->col_axis && strcmp(g->col_axis, "head") != 0)
        return figure_put_provenance(src, &f, &g->run, 1, b->opt->command, e);
    rc = figure_head_groups(&d->groups, src, b->st, &f, g->kind, false, e);
    return rc ? rc : figure_put_provenance(src, &f, &g->run, 1, b->opt->command, e);
}
