#include "cli/run_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/command_util.h"

typedef struct side { store *st; int64_t run; } side;

typedef struct pair { const side *then, *now; run_difference *d; int64_t prompt; } pair;

static int rows_of(table **out, const side *s, const char *sql, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(s->run), cell_int(prompt)};
    return store_query(s->st, out, sql, bind, 2, e);
}

static int order_of_cells(const cell *a, const cell *b)
{
    if (a->kind != b->kind) /* NULL first, as SQLite sorts */
        return a->kind == CELL_NULL ? -1 : b->kind == CELL_NULL ? 1 : (int)a->kind - (int)b->kind;
    if (a->kind == CELL_TEXT)
        return strcmp(a->u.s, b->u.s);
    if (a->kind == CELL_INT)
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    return 0;
}

/* The first n columns are the key, by which both tables are sorted. */
static int order_of_rows(const table *a, int64_t i, const table *b, int64_t k, int n)
{
    if (i >= a->n_row || k >= b->n_row)
        return i >= a->n_row ? 1 : -1;
    int order = 0;
    for (int c = 0; c < n && !order; c++)
        order = order_of_cells(table_cell(a, i, c), table_cell(b, k, c));
    return order;
}

/* ---- values: metric, kind, layer, head, position, value, head_name ---- */

enum { VALUE_KEY = 5, VALUE_COLUMN = 5, NAME_COLUMN = 6 };

static const char values_sql[] =
    "SELECT metric, kind, layer, head, position, value, head_name FROM value_list WHERE run = ?1 AND prompt = ?2"
    " ORDER BY metric, kind, layer, head, position";

static void put_place(char out[48], const table *t, int64_t row)
{
    const cell *layer = table_cell(t, row, 2), *name = table_cell(t, row, NAME_COLUMN);
    const char *kind = cell_string(table_cell(t, row, 1));
    if (name->kind == CELL_TEXT)
        snprintf(out, 48, "%s", name->u.s);
    else if (layer->kind == CELL_INT)
        snprintf(out, 48, "%s%slayer %" PRId64, strcmp(kind, "self") == 0 ? "" : kind, strcmp(kind, "self") == 0 ? "" : " ",
                 layer->u.i);
    else
        snprintf(out, 48, "model");
}

static int keep_pair(value_pair *out, int64_t prompt, const table *a, int64_t i, double then, double now, err *e)
{
    const cell *position = table_cell(a, i, 4);
    char *metric = mem_strdup(cell_string(table_cell(a, i, 0)), e);
    if (!metric)
        return ERR_RESOURCE;
    free(out->metric);
    *out = (value_pair){.metric = metric, .prompt = prompt, .then = then, .now = now,
                        .position = position->kind == CELL_INT ? position->u.i : NO_INDEX};
    put_place(out->place, a, i);
    return 0;
}

static int note_alone(run_difference *d, int64_t prompt, const table *t, int64_t row, bool then, err *e)
{
    char place[48];
    strbuf b = {0};
    put_place(place, t, row);
    const char *metric = cell_string(table_cell(t, row, 0));
    strbuf_put_visible(&b, metric, strlen(metric));
    strbuf_printf(&b, " of %s, prompt %" PRId64 ", only in the %s run", place, prompt, then ? "recorded" : "repeated");
    d->first_alone = strbuf_take(&b, e);
    return d->first_alone ? 0 : ERR_RESOURCE;
}

static int compare_values(const pair *p, err *e)
{
    table *a = NULL, *b = NULL;
    run_difference *d = p->d;
    int rc = rows_of(&a, p->then, values_sql, p->prompt, e);
    if (!rc)
        rc = rows_of(&b, p->now, values_sql, p->prompt, e);
    for (int64_t i = 0, k = 0; !rc && (i < a->n_row || k < b->n_row); d->values++) {
        int order = order_of_rows(a, i, b, k, VALUE_KEY);
        if (order) {
            d->values_changed++;
            if (!d->first_alone)
                rc = note_alone(d, p->prompt, order < 0 ? a : b, order < 0 ? i : k, order < 0, e);
            i += order < 0;
            k += order > 0;
            continue;
        }
        double then = cell_number(table_cell(a, i, VALUE_COLUMN)), now = cell_number(table_cell(b, k, VALUE_COLUMN));
        if (then != now) {
            d->values_changed++;
            if (!d->first.metric)
                rc = keep_pair(&d->first, p->prompt, a, i, then, now, e);
            if (!rc && (!d->largest.metric || fabs(now - then) > fabs(d->largest.now - d->largest.then)))
                rc = keep_pair(&d->largest, p->prompt, a, i, then, now, e);
        }
        i++;
        k++;
    }
    table_free(a);
    table_free(b);
    return rc;
}

/* ---- facts: name, text ---- */

static int compare_facts(const pair *p, err *e)
{
    static const char sql[] = "SELECT name, text FROM fact_list WHERE run = ?1 AND prompt = ?2 ORDER BY name";
    table *a = NULL, *b = NULL;
    int rc = rows_of(&a, p->then, sql, p->prompt, e);
    if (!rc)
        rc = rows_of(&b, p->now, sql, p->prompt, e);
    for (int64_t i = 0, k = 0; !rc && (i < a->n_row || k < b->n_row); p->d->facts++) {
        int order = order_of_rows(a, i, b, k, 1);
        if (order || order_of_cells(table_cell(a, i, 1), table_cell(b, k, 1)))
            p->d->facts_changed++;
        i += order <= 0;
        k += order >= 0;
    }
    table_free(a);
    table_free(b);
    return rc;
}

/* ---- maps: kind, layer, head ---- */

static int same_map(bool *same, const pair *p, head_id h, err *e)
{
    stored_map a = {0}, b = {0};
    int rc = store_get_map(p->then->st, p->then->run, p->prompt, h, &a, e);
    if (!rc)
        rc = store_get_map(p->now->st, p->now->run, p->prompt, h, &b, e);
    *same = !rc && a.n_query == b.n_query && a.n_key == b.n_key && a.pool == b.pool && a.rows == b.rows && a.cols == b.cols &&
            strcmp(a.pooling, b.pooling) == 0 &&
            memcmp(a.cells, b.cells, (size_t)a.rows * (size_t)a.cols * sizeof *a.cells) == 0;
    free(a.cells);
    free(b.cells);
    return rc;
}

static int compare_maps(const pair *p, err *e)
{
    static const char sql[] = "SELECT head_name FROM map_list WHERE run = ?1 AND prompt = ?2 ORDER BY head_name";
    table *a = NULL, *b = NULL;
    int rc = rows_of(&a, p->then, sql, p->prompt, e);
    if (!rc)
        rc = rows_of(&b, p->now, sql, p->prompt, e);
    for (int64_t i = 0, k = 0; !rc && (i < a->n_row || k < b->n_row); p->d->maps++) {
        int order = order_of_rows(a, i, b, k, 1);
        head_id h;
        bool same = order == 0 && head_parse(&h, cell_string(table_cell(a, i, 0)));
        if (same)
            rc = same_map(&same, p, h, e);
        p->d->maps_changed += !same;
        i += order <= 0;
        k += order >= 0;
    }
    table_free(a);
    table_free(b);
    return rc;
}

/* ---- all ---- */

/* The hash of a prompt is over its text, policy, ids and pieces. */
static int compare_prompt(const pair *p, err *e)
{
    static const char sql[] = "SELECT p.sha256 FROM unit u JOIN prompt p ON p.id = u.prompt_id"
                              " WHERE u.run_id = ?1 AND u.prompt_index = ?2 AND u.status = 'done'";
    table *a = NULL, *b = NULL;
    int rc = rows_of(&a, p->then, sql, p->prompt, e);
    if (!rc)
        rc = rows_of(&b, p->now, sql, p->prompt, e);
    bool both = !rc && a->n_row && b->n_row;
    if (!rc && !both)
        p->d->prompts_missing++;
    if (both && order_of_cells(table_cell(a, 0, 0), table_cell(b, 0, 0)))
        p->d->prompts_changed++;
    table_free(a);
    table_free(b);
    if (rc || !both)
        return rc;
    rc = compare_values(p, e);
    if (!rc)
        rc = compare_maps(p, e);
    return rc ? rc : compare_facts(p, e);
}

int run_compare(run_difference *out, store *then, int64_t run, store *now, int64_t other, err *e)
{
    const side a = {then, run}, b = {now, other};
    table *units = NULL;
    *out = (run_difference){0};
    int rc = rows_of(&units, &a, "SELECT prompt_index FROM unit WHERE run_id = ?1 AND status = 'done' AND ?2 = 0"
                                 " ORDER BY prompt_index", 0, e);
    for (int64_t i = 0; !rc && i < units->n_row; i++) {
        const pair p = {&a, &b, out, table_cell(units, i, 0)->u.i};
        out->prompts++;
        rc = compare_prompt(&p, e);
        if (!rc)
            rc = cancel_check(e);
    }
    table_free(units);
    return rc;
}

bool run_difference_none(const run_difference *d)
{
    return !(d->prompts_missing || d->prompts_changed || d->values_changed || d->maps_changed || d->facts_changed);
}

void run_difference_free(run_difference *d)
{
    free(d->first.metric);
    free(d->largest.metric);
    free(d->first_alone);
    *d = (run_difference){0};
}
