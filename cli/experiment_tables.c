/* Tables of an experiment, from the rows of the store. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/experiment.h"

attn_kind kind_of_cell(const cell *c)
{
    return attn_kind_named(cell_string(c), ATTN_SELF);
}

int64_t index_of_cell(const cell *c)
{
    return c->kind == CELL_INT ? c->u.i : NO_INDEX;
}

/* Columns of the query below. */
enum { COL_KIND, COL_LAYER, COL_HEAD, COL_POSITION, COL_VALUE, COL_PROMPT };

static value_group group_at(const table *t, int64_t row)
{
    return (value_group){
        .head = {kind_of_cell(table_cell(t, row, COL_KIND)),
                 (int)index_of_cell(table_cell(t, row, COL_LAYER)),
                 (int)index_of_cell(table_cell(t, row, COL_HEAD))},
        .position = index_of_cell(table_cell(t, row, COL_POSITION)),
    };
}

static bool same_group(const value_group *a, const value_group *b)
{
    return a->head.kind == b->head.kind && a->head.layer == b->head.layer && a->head.head == b->head.head &&
           a->position == b->position;
}

static int read_rows(table **t, store *st, int64_t run, const char *metric, const char *units, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(metric)};
    strbuf sql = {0};
    strbuf_printf(&sql, "SELECT kind, layer, head, position, value, prompt FROM value_list WHERE run = ?1"
                  " AND metric = ?2"
                  "%s%s%s ORDER BY CASE kind WHEN 'vis' THEN 0 WHEN 'enc' THEN 1 WHEN 'self' THEN 2 ELSE 3"
                  " END, layer, head,"
                  " position, prompt", units ? " AND (" : "", units ? units : "", units ? ")" : "");
    char *text = strbuf_take(&sql, e);
    int rc = text ? store_query(st, t, text, bind, 2, e) : ERR_RESOURCE;
    free(text);
    return rc;
}

/* Groups of one run mostly have as many values each: their draws are made once. */
static int statistics(stats *out, const double *x, int64_t n, bool intervals, uint64_t seed,
                      stats_draws **draws, err *e)
{
    enum { MOST_KEPT = 1000 };
    if (!intervals || n > MOST_KEPT) {
        stats_plain(out, x, n);
        return intervals ? stats_of(out, x, n, seed, e) : 0;
    }
    if (*draws && stats_draws_n(*draws) != n) {
        stats_draws_free(*draws);
        *draws = NULL;
    }
    int rc = *draws ? 0 : stats_draws_new(draws, n, seed, e);
    return rc ? rc : stats_of_draws(out, x, *draws, e);
}

static int groups(value_groups *out, store *st, int64_t run, const char *metric, const char *units,
                  const double *threshold, bool intervals, uint64_t seed, err *e)
{
    table *t = NULL;
    stats_draws *draws = NULL;
    *out = (value_groups){0};
    int rc = read_rows(&t, st, run, metric, units, e);
    if (rc)
        return rc;
    value_group *g = mem_array((size_t)t->n_row + 1, sizeof *g, e);
    double *x = mem_array((size_t)t->n_row + 1, sizeof *x, e);
    rc = g && x ? 0 : ERR_RESOURCE;
    int64_t n = 0;
    for (int64_t row = 0, end; row < t->n_row && !rc; row = end) {
        g[n] = group_at(t, row);
        for (end = row; end < t->n_row; end++) {
            value_group next = group_at(t, end);
            if (!same_group(&g[n], &next))
                break;
            double v = cell_number(table_cell(t, end, COL_VALUE));
            x[end - row] = threshold ? v > *threshold : v;
        }
        rc = statistics(&g[n].st, x, end - row, intervals, seed, &draws, e);
        n++;
    }
    free(x);
    stats_draws_free(draws);
    table_free(t);
    if (rc) {
        free(g);
        return rc;
    }
    *out = (value_groups){n, g};
    return 0;
}

int experiment_groups(value_groups *out, store *st, int64_t run, const char *metric, const char *units,
                      const double *threshold, uint64_t seed, err *e)
{
    return groups(out, st, run, metric, units, threshold, true, seed, e);
}

int experiment_means(value_groups *out, store *st, int64_t run, const char *metric, const char *units,
                     const double *threshold, err *e)
{
    return groups(out, st, run, metric, units, threshold, false, 0, e);
}

int run_seed(uint64_t *out, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    *out = 0;
    int rc = store_query(st, &t, "SELECT coalesce(seed, 0) FROM run WHERE id = ?1", bind, 1, e);
    if (!rc && t->n_row)
        *out = (uint64_t)index_of_cell(table_cell(t, 0, 0));
    table_free(t);
    return rc;
}

int stats_of_query(stats *out, store *st, const char *sql, const cell *bind, int n_bind, uint64_t seed,
                   err *e)
{
    table *t = NULL;
    *out = (stats){0};
    int rc = store_query(st, &t, sql, bind, n_bind, e);
    if (rc)
        return rc;
    double *x = mem_array((size_t)t->n_row + 1, sizeof *x, e);
    for (int64_t i = 0; x && i < t->n_row; i++)
        x[i] = cell_number(table_cell(t, i, 0));
    rc = !x ? ERR_RESOURCE : t->n_row ? stats_of(out, x, t->n_row, seed, e) : 0;
    free(x);
    table_free(t);
    return rc;
}

int experiment_conditions(strbuf *out, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT m.name, m.dtype, r.precision, r.seed, r.edits, count(DISTINCT u.prompt_id), min(p.n_token),"
        " max(p.n_token), count(DISTINCT p.policy) FILTER (WHERE p.policy <> 'ids as given'),"
        " max(p.policy) FILTER (WHERE p.policy <> 'ids as given')"
        " FROM run r JOIN model m ON m.id = r.model_id LEFT JOIN unit u ON u.run_id = r.id AND u.status ="
        " 'done' LEFT JOIN prompt p ON p.id = u.prompt_id WHERE r.id = ?1", bind, 1, e);
    if (rc)
        return rc;
    const cell *c = t->n_row ? table_cell(t, 0, 0) : NULL;
    if (c && c[0].kind == CELL_TEXT) {
        strbuf_put_visible(out, c[0].u.s, strlen(c[0].u.s));
        if (c[5].u.i > 0 && index_of_cell(&c[7]) > 0) {
            strbuf_printf(out, ", %" PRId64 " prompt%s, T %" PRId64, c[5].u.i, c[5].u.i == 1 ? "" : "s",
                          index_of_cell(&c[6]));
            if (index_of_cell(&c[7]) != index_of_cell(&c[6]))
                strbuf_printf(out, " to %" PRId64, index_of_cell(&c[7]));
            if (index_of_cell(&c[8]) == 0)
                strbuf_puts(out, ", ids as given");
            else if (index_of_cell(&c[8]) == 1)
                strbuf_printf(out, "%s%s", *cell_string(&c[9]) ? ", " : "", cell_string(&c[9])); /* pixels have none */
            else
                strbuf_puts(out, ", special tokens differ between prompts");
        }
        strbuf_printf(out, ", arithmetic %s, weights %s", cell_string(&c[2]), cell_string(&c[1]));
        if (c[3].kind == CELL_INT)
            strbuf_printf(out, ", seed %" PRId64, c[3].u.i);
        if (strcmp(cell_string(&c[4]), "[]") != 0)
            strbuf_printf(out, ", edits %s", cell_string(&c[4]));
    }
    table_free(t);
    return 0;
}

void stats_cells(cell *row, int col, const stats *st)
{
    row[col] = cell_int(st->n);
    row[col + 1] = cell_real(st->mean);
    for (int i = 2; i < 5; i++) /* one value has no spread, and nothing to draw samples from */
        row[col + i] = st->n > 1 ? cell_real(i == 2 ? st->sd : i == 3 ? st->low : st->high)
            : cell_index(NO_INDEX);
}

void change_cells(cell *row, const stats *st)
{
    row[0] = cell_real(st->mean);
    row[1] = st->n > 1 ? cell_real(st->low) : cell_index(NO_INDEX);
    row[2] = st->n > 1 ? cell_real(st->high) : cell_index(NO_INDEX);
}

static int by_mean(const void *a, const void *b)
{
    const value_group *x = a, *y = b;
    if (x->st.mean != y->st.mean)
        return x->st.mean < y->st.mean ? 1 : -1;
    if (x->head.layer != y->head.layer)
        return x->head.layer < y->head.layer ? -1 : 1;
    return (x->head.head > y->head.head) - (x->head.head < y->head.head);
}

void value_groups_sort(value_groups *g)
{
    qsort(g->g, (size_t)g->n, sizeof *g->g, by_mean);
}

const value_group *value_groups_find(const value_groups *g, head_id head, int64_t position)
{
    for (int64_t i = 0; i < g->n; i++)
        if (g->g[i].head.kind == head.kind && g->g[i].head.layer == head.layer &&
            g->g[i].head.head == head.head &&
            g->g[i].position == position)
            return &g->g[i];
    return NULL;
}
