#include "cli/export_npz.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "base/npz.h"
#include "cli/command_util.h"

typedef struct exporter {
    store *st;
    int64_t run, prompt;
    npz_writer *w;
} exporter;

static int query(exporter *x, table **out, const char *sql, const char *kind, const char *metric, err *e)
{
    const cell bind[] = {cell_int(x->run), cell_int(x->prompt), cell_text(kind), cell_text(metric)};
    return store_query(x->st, out, sql, bind, metric ? 4 : kind ? 3 : 2, e);
}

/* Tokens of one stack; nothing for patches and frames. */
static int put_sequence(exporter *x, const char *sequence, const char *name, err *e)
{
    table *t = NULL;
    int rc = query(x, &t,
                   "SELECT id FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = ?3 AND id IS NOT NULL"
                   " ORDER BY position", sequence, NULL, e);
    if (!rc && t->n_row == 0) {
        table_free(t);
        return 0;
    }
    int64_t *ids = rc ? NULL : mem_array((size_t)t->n_row, sizeof *ids, e);
    if (!rc && !ids)
        rc = ERR_RESOURCE;
    for (int64_t i = 0; i < (rc ? 0 : t->n_row); i++)
        ids[i] = table_cell(t, i, 0)->u.i;
    if (!rc)
        rc = npz_put(x->w, name, NPY_I64, 1, &t->n_row, ids, e);
    free(ids);
    table_free(t);
    return rc;
}

/* ids of the stack that gives the logits, enc_ids of an encoder before it. */
static int put_ids(exporter *x, err *e)
{
    table *t = NULL;
    int rc = query(x, &t, "SELECT count(*) FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = 'self'", NULL,
                   NULL, e);
    bool decodes = !rc && table_cell(t, 0, 0)->u.i > 0;
    table_free(t);
    if (!rc)
        rc = put_sequence(x, "self", "ids", e);
    return rc ? rc : put_sequence(x, "enc", decodes ? "enc_ids" : "ids", e);
}

static void array_name(char out[160], const char *kind, const char *name, const char *suffix)
{
    bool self = strcmp(kind, "self") == 0;
    snprintf(out, 160, "%s%s%s%s", self ? "" : kind, self ? "" : "_", name, suffix);
}

/* Index of position in the sorted column 0 of t. */
static int64_t find_position(const table *t, int64_t position)
{
    int64_t lo = 0, hi = t->n_row - 1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (table_cell(t, mid, 0)->u.i < position)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int put_positions(exporter *x, const char *kind, const char *metric, const table *positions, err *e)
{
    char name[160];
    int64_t *p = mem_array((size_t)positions->n_row, sizeof *p, e);
    if (!p)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < positions->n_row; i++)
        p[i] = table_cell(positions, i, 0)->u.i;
    array_name(name, kind, metric, "_positions");
    int rc = npz_put(x->w, name, NPY_I64, 1, &positions->n_row, p, e);
    free(p);
    return rc;
}

/* One metric of one kind of attention; layers and heads: the largest index + 1, 0 when it has no heads. */
static int put_metric(exporter *x, const char *kind, const char *metric, int64_t layers, int64_t heads,
                      err *e)
{
    table *positions = NULL, *values = NULL;
    double *cells = NULL;
    char name[160];
    int rc = query(x, &positions,
                   "SELECT DISTINCT position FROM value_list WHERE run = ?1 AND prompt = ?2 AND kind = ?3"
                   " AND metric = ?4 AND position IS NOT NULL ORDER BY position",
                   kind, metric, e);
    if (!rc)
        rc = query(x, &values,
                   "SELECT layer, head, position, value FROM value_list WHERE run = ?1 AND prompt = ?2"
                   " AND kind = ?3 AND metric = ?4",
                   kind, metric, e);
    if (rc)
        goto out;
    int64_t n_pos = positions->n_row, shape[3];
    int n_dim = 0;
    if (layers > 0) {
        shape[n_dim++] = layers;
        shape[n_dim++] = heads;
    }
    if (n_pos > 0)
        shape[n_dim++] = n_pos;
    size_t count = 1;
    for (int d = 0; d < n_dim && !rc; d++)
        if (!size_mul(&count, count, (size_t)shape[d]))
            rc = err_nomem(e, "values");
    cells = rc ? NULL : mem_array(count, sizeof *cells, e);
    if (!rc && !cells)
        rc = ERR_RESOURCE;
    for (size_t i = 0; i < (rc ? 0 : count); i++)
        cells[i] = (double)NAN;
    for (int64_t i = 0; i < (rc ? 0 : values->n_row); i++) {
        const cell *layer = table_cell(values, i, 0), *head = table_cell(values, i, 1),
                   *pos = table_cell(values, i, 2);
        int64_t at = 0;
        if (layers > 0 && (layer->kind != CELL_INT || head->kind != CELL_INT))
            continue;
        if (layers > 0)
            at = layer->u.i * heads + head->u.i;
        if (n_pos > 0 && pos->kind != CELL_INT)
            continue;
        if (n_pos > 0)
            at = at * n_pos + find_position(positions, pos->u.i);
        cells[at] = cell_number(table_cell(values, i, 3));
    }
    array_name(name, kind, metric, "");
    if (!rc)
        rc = npz_put(x->w, name, NPY_F64, n_dim, shape, cells, e);
    if (!rc && n_pos > 0)
        rc = put_positions(x, kind, metric, positions, e);
out:
    free(cells);
    table_free(values);
    table_free(positions);
    return rc;
}

static int put_metrics(exporter *x, const progress *p, err *e)
{
    table *t = NULL;
    int rc = query(x, &t,
                   "SELECT kind, metric, max(layer), max(head) FROM value_list WHERE run = ?1 AND prompt = ?2"
                   " GROUP BY kind, metric ORDER BY kind, metric",
                   NULL, NULL, e);
    for (int64_t i = 0; i < (rc ? 0 : t->n_row) && !rc; i++) {
        const cell *layer = table_cell(t, i, 2), *head = table_cell(t, i, 3);
        bool heads = layer->kind == CELL_INT && head->kind == CELL_INT;
        progress_step(p, "metric", (double)i, (double)t->n_row);
        rc = put_metric(x, cell_string(table_cell(t, i, 0)), cell_string(table_cell(t, i, 1)),
                        heads ? layer->u.i + 1 : 0, heads ? head->u.i + 1 : 0, e);
        if (!rc)
            rc = cancel_check(e);
    }
    table_free(t);
    return rc;
}

static int put_maps(exporter *x, const progress *p, err *e)
{
    table *t = NULL;
    int rc = query(
        x, &t,
        "SELECT kind, head_name FROM map_list WHERE run = ?1 AND prompt = ?2 ORDER BY kind, layer, head",
        NULL, NULL, e);
    for (int64_t i = 0; i < (rc ? 0 : t->n_row) && !rc; i++) {
        const char *kind = cell_string(table_cell(t, i, 0)), *head = cell_string(table_cell(t, i, 1));
        head_id h;
        stored_map m = {0};
        char name[160], bare[64];
        const char *dot = strrchr(head, '.');
        progress_step(p, "map", (double)i, (double)t->n_row);
        if (!head_parse(&h, head)) {
            rc = err_set(e, ERR_FAILED, "the store names a head '%s'", head);
            break;
        }
        rc = store_get_map(x->st, x->run, x->prompt, h, &m, e);
        snprintf(bare, sizeof bare, "map_%s", dot ? dot + 1 : head);
        array_name(name, kind, bare, "");
        const int64_t shape[] = {m.rows, m.cols};
        if (!rc)
            rc = npz_put(x->w, name, NPY_F32, 2, shape, m.cells, e);
        free(m.cells);
        if (!rc)
            rc = cancel_check(e);
    }
    table_free(t);
    return rc;
}

int export_npz(store *st, int64_t run, int64_t prompt, const char *path, const progress *p, err *e)
{
    exporter x = {.st = st, .run = run, .prompt = prompt};
    int rc = npz_create(&x.w, path, false, e);
    if (rc)
        return rc;
    rc = put_ids(&x, e);
    if (!rc)
        rc = put_metrics(&x, p, e);
    if (!rc)
        rc = put_maps(&x, p, e);
    if (!rc)
        return npz_commit(x.w, e);
    npz_abandon(x.w);
    return rc;
}
