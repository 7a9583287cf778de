#include "cli/needle_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/stats.h"

#define MAX_SCORES_BYTES ((size_t)1 << 30)

/* Units that count. */
static const char counted[] =
    "prompt IN (SELECT s.prompt FROM value_list s WHERE s.run = ?1 AND s.metric = 'success' AND s.value > 0)";

int needle_count(needle_counts *out, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    *out = (needle_counts){0};
    int rc = store_query(st, &t,
        "SELECT count(*), sum(success), sum(exact), max(CASE WHEN success = 0 THEN recall END) FROM ("
        "SELECT max(CASE WHEN metric = 'success' THEN value END) AS success,"
        " max(CASE WHEN metric = 'exact' THEN value END) AS exact,"
        " max(CASE WHEN metric = 'recall' THEN value END) AS recall"
        " FROM value_list WHERE run = ?1 AND metric IN ('success', 'exact', 'recall') GROUP BY prompt)", bind, 1, e);
    if (rc)
        return rc;
    double n[4];
    for (int i = 0; i < 4; i++) {
        n[i] = cell_number(table_cell(t, 0, i));
        n[i] = isfinite(n[i]) ? n[i] : 0;
    }
    *out = (needle_counts){(int64_t)n[0], (int64_t)n[1], (int64_t)n[2], n[3]};
    table_free(t);
    return 0;
}

/* ---- heads ---- */

int needle_head_table(table **out, store *st, int64_t run, uint64_t seed, err *e)
{
    static const char *const columns[] = {"head", "n", "retrieval", "sd", "low", "high", "set", "activation",
                                          "copy_offset"};
    static const double zero = 0;
    enum { SCORE, SET, ACTIVE, COPY, N };
    value_groups g[N] = {{0}};
    int rc = experiment_groups(&g[SCORE], st, run, "retrieval", counted, NULL, seed, e);
    if (!rc)
        rc = experiment_means(&g[SET], st, run, "retrieval_set", counted, NULL, e);
    if (!rc)
        rc = experiment_means(&g[ACTIVE], st, run, "retrieval", counted, &zero, e);
    if (!rc)
        rc = experiment_means(&g[COPY], st, run, "copy_offset", counted, NULL, e);
    if (!rc)
        rc = table_new(out, sizeof columns / sizeof *columns, columns, e);
    bool made = rc == 0;
    if (!rc)
        rc = table_set_unit(*out, 8, "tokens", e);
    if (!rc)
        value_groups_sort(&g[SCORE]);
    for (int64_t i = 0; i < g[SCORE].n && !rc; i++) {
        const value_group *x = &g[SCORE].g[i], *set = value_groups_find(&g[SET], x->head, NO_INDEX),
                          *active = value_groups_find(&g[ACTIVE], x->head, NO_INDEX),
                          *copy = value_groups_find(&g[COPY], x->head, NO_INDEX);
        cell *row = table_row(*out, e);
        head_text name;
        if (!row) {
            rc = ERR_RESOURCE;
            break;
        }
        head_format(name, x->head);
        rc = table_text(*out, &row[0], name, strlen(name), e);
        stats_cells(row, 1, &x->st);
        if (set)
            row[6] = cell_real(set->st.mean);
        if (active)
            row[7] = cell_real(active->st.mean);
        if (copy)
            row[8] = cell_real(copy->st.mean);
    }
    for (int i = 0; i < N; i++)
        free(g[i].g);
    if (rc && made) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- trials ---- */

int needle_trial_table(table **out, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    return store_query(st, out,
        "SELECT v.prompt AS trial, (SELECT max(f.label) FROM fact_list f WHERE f.run = ?1 AND f.prompt = v.prompt) AS label,"
        " CAST(max(CASE WHEN metric = 'length' THEN value END) AS INTEGER) AS length,"
        " max(CASE WHEN metric = 'depth' THEN value END) AS depth,"
        " max(CASE WHEN metric = 'recall' THEN value END) AS recall,"
        " max(CASE WHEN metric = 'token_recall' THEN value END) AS token_recall,"
        " max(CASE WHEN metric = 'rouge1' THEN value END) AS rouge1,"
        " CAST(max(CASE WHEN metric = 'exact' THEN value END) AS INTEGER) AS exact,"
        " CAST(max(CASE WHEN metric = 'success' THEN value END) AS INTEGER) AS success,"
        " CAST(max(CASE WHEN metric = 'generated' THEN value END) AS INTEGER) AS steps,"
        " (SELECT f.text FROM fact_list f WHERE f.run = ?1 AND f.prompt = v.prompt AND f.name = 'stopped') AS stopped,"
        " (SELECT f.text FROM fact_list f WHERE f.run = ?1 AND f.prompt = v.prompt AND f.name = 'answer') AS answer,"
        " (SELECT f.text FROM fact_list f WHERE f.run = ?1 AND f.prompt = v.prompt AND f.name = 'generated') AS generated"
        " FROM value_list v WHERE v.run = ?1 AND v.layer IS NULL GROUP BY v.prompt ORDER BY v.prompt", bind, 1, e);
}

/* ---- length by depth ---- */

static int query_trials(table **t, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    return store_query(st, t,
        "SELECT length, depth, success, recall FROM ("
        "SELECT prompt, max(CASE WHEN metric = 'length' THEN value END) AS length,"
        " max(CASE WHEN metric = 'depth' THEN value END) AS depth,"
        " max(CASE WHEN metric = 'success' THEN value END) AS success,"
        " max(CASE WHEN metric = 'recall' THEN value END) AS recall"
        " FROM value_list WHERE run = ?1 AND layer IS NULL GROUP BY prompt) ORDER BY length, depth, prompt", bind, 1, e);
}

static int long_grid(table **out, const table *t, uint64_t seed, err *e)
{
    static const char *const columns[] = {"length", "depth", "n", "success", "sd", "low", "high", "recall"};
    double *x = mem_array((size_t)t->n_row + 1, sizeof *x, e);
    int rc = x ? table_new(out, sizeof columns / sizeof *columns, columns, e) : ERR_RESOURCE;
    bool made = rc == 0;
    if (!rc)
        rc = table_set_unit(*out, 0, "tokens", e);
    if (!rc)
        rc = table_set_unit(*out, 1, "%", e);
    for (int64_t row = 0, end; row < t->n_row && !rc; row = end) {
        double length = cell_number(table_cell(t, row, 0)), depth = cell_number(table_cell(t, row, 1)), recall = 0;
        for (end = row; end < t->n_row && cell_number(table_cell(t, end, 0)) == length &&
                        cell_number(table_cell(t, end, 1)) == depth; end++) {
            x[end - row] = cell_number(table_cell(t, end, 2));
            recall += cell_number(table_cell(t, end, 3));
        }
        stats s;
        cell *r = end > row ? table_row(*out, e) : NULL;
        if (!r) {
            rc = ERR_RESOURCE;
            break;
        }
        if ((rc = stats_of(&s, x, end - row, seed, e)))
            break;
        r[0] = cell_int((int64_t)length);
        r[1] = cell_real(100 * depth);
        stats_cells(r, 2, &s);
        r[7] = cell_real(recall / (double)(end - row));
    }
    free(x);
    if (rc && made)
        table_free(*out);
    return rc;
}

/* Distinct values of a column, ascending; free(). */
static int distinct(double **out, int64_t *n, const table *t, int col, err *e)
{
    int64_t kept = 0;
    *out = mem_array((size_t)t->n_row + 1, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row; i++)
        (*out)[i] = cell_number(table_cell(t, i, col));
    qsort(*out, (size_t)t->n_row, sizeof **out, real_ascending);
    for (int64_t i = 0; i < t->n_row; i++)
        if (kept == 0 || (*out)[i] != (*out)[kept - 1])
            (*out)[kept++] = (*out)[i];
    *n = kept;
    return 0;
}

static int wide_grid(table **out, const table *cells, err *e)
{
    enum { MOST = 60 };
    double *depth = NULL;
    int64_t n = 0;
    char names[MOST + 1][24];
    const char *columns[MOST + 1] = {"length"};
    int rc = distinct(&depth, &n, cells, 1, e);
    if (!rc && n > MOST)
        n = MOST;
    for (int64_t i = 0; i < n && !rc; i++) {
        snprintf(names[i], sizeof names[i], "%.4g %%", depth[i]);
        columns[i + 1] = names[i];
    }
    if (!rc)
        rc = table_new(out, (int)n + 1, columns, e);
    bool made = rc == 0;
    if (!rc)
        rc = table_set_unit(*out, 0, "tokens", e);
    cell *row = NULL;
    for (int64_t i = 0; i < cells->n_row && !rc; i++) {
        const cell *c = table_cell(cells, i, 0);
        if (!row || row[0].u.i != c[0].u.i) {
            if (!(row = table_row(*out, e))) {
                rc = ERR_RESOURCE;
                break;
            }
            row[0] = c[0];
        }
        for (int64_t k = 0; k < n; k++)
            if (depth[k] == cell_number(&c[1]))
                row[k + 1] = c[3];
    }
    free(depth);
    if (rc && made)
        table_free(*out);
    return rc;
}

int needle_grid_table(table **out, store *st, int64_t run, bool wide, uint64_t seed, err *e)
{
    table *t = NULL, *cells = NULL;
    *out = NULL;
    int rc = query_trials(&t, st, run, e);
    if (!rc)
        rc = long_grid(&cells, t, seed, e);
    if (!rc && wide)
        rc = wide_grid(out, cells, e);
    else
        *out = rc ? NULL : cells;
    if (!rc && wide)
        table_free(cells);
    table_free(t);
    return rc;
}

/* ---- head_score files ---- */

static int put_old(strbuf *b, const json *list, const char *path, const char *key, err *e)
{
    for (size_t i = 0; i < json_count(list); i++) {
        double v;
        if (!json_real(&v, json_at(list, i)))
            return err_set(e, ERR_INPUT, "%s: \"%s\" is no list of numbers", path, key);
        strbuf_puts(b, i ? ", " : "");
        strbuf_put_real(b, v);
    }
    return json_kind_of(list) == JSON_LIST || !list ? 0
                                                    : err_set(e, ERR_INPUT, "%s: \"%s\" is no list of numbers", path, key);
}

/* Heads of a file that this run has not. */
static int put_others(strbuf *b, const json *old, const table *t, const char *path, bool *first, err *e)
{
    void *it = NULL;
    const char *key;
    const json *v;
    int rc = 0;
    while (!rc && json_each(old, &it, &key, &v)) {
        bool ours = false;
        for (int64_t i = 0; i < t->n_row && !ours; i++) {
            char name[32];
            snprintf(name, sizeof name, "%" PRId64 "-%" PRId64, table_cell(t, i, 0)->u.i, table_cell(t, i, 1)->u.i);
            ours = strcmp(name, key) == 0;
        }
        if (ours)
            continue;
        strbuf_puts(b, *first ? "" : ", ");
        strbuf_put_json(b, key, strlen(key));
        strbuf_puts(b, ": [");
        rc = put_old(b, v, path, key, e);
        strbuf_putc(b, ']');
        *first = false;
    }
    return rc;
}

static int put_scores(strbuf *b, const table *t, const json *old, const char *path, err *e)
{
    bool first = true;
    int rc = 0;
    strbuf_putc(b, '{');
    for (int64_t i = 0, end; i < t->n_row && !rc; i = end) {
        const cell *c = table_cell(t, i, 0);
        char key[48];
        snprintf(key, sizeof key, "%" PRId64 "-%" PRId64, c[0].u.i, c[1].u.i);
        strbuf_printf(b, "%s\"%s\": [", first ? "" : ", ", key);
        first = false;
        const json *list = json_get(old, key);
        rc = put_old(b, list, path, key, e);
        bool more = json_count(list) > 0;
        for (end = i; end < t->n_row; end++) {
            const cell *v = table_cell(t, end, 0);
            if (v[0].u.i != c[0].u.i || v[1].u.i != c[1].u.i)
                break;
            strbuf_puts(b, more ? ", " : "");
            strbuf_put_real(b, v[2].u.r);
            more = true;
        }
        strbuf_putc(b, ']');
    }
    if (!rc)
        rc = put_others(b, old, t, path, &first, e);
    strbuf_puts(b, "}\n");
    return rc ? rc : b->failed ? err_nomem(e, "scores") : 0;
}

int needle_write_scores(store *st, int64_t run, const char *path, bool append, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    json *old = NULL;
    strbuf b = {0};
    outfile *f = NULL;
    err none = {0};
    int rc = store_query(st, &t,
        "SELECT layer, head, value FROM value_list WHERE run = ?1 AND metric = 'retrieval' AND prompt IN"
        " (SELECT s.prompt FROM value_list s WHERE s.run = ?1 AND s.metric = 'success' AND s.value > 0)"
        " ORDER BY layer, head, prompt", bind, 1, e);
    if (!rc && append && json_load(&old, path, MAX_SCORES_BYTES, &none) != 0) {
        FILE *there = fopen(path, "r");
        if (there) { /* it is there, and is not what it should be */
            fclose(there);
            rc = err_set(e, ERR_INPUT, "%s", none.msg);
            err_hint(e, "%s", "name a new file, or write over it without --append-scores");
        }
    }
    if (!rc)
        rc = put_scores(&b, t, old, path, e);
    if (!rc)
        rc = outfile_open(&f, path, e);
    if (!rc && !(rc = outfile_write(f, b.s, b.len, e)))
        rc = outfile_commit(f, e);
    else
        outfile_abandon(f);
    json_free(old);
    table_free(t);
    strbuf_free(&b);
    return rc;
}
