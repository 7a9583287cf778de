/* What a sweep will do and did, in tables. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/estimate.h"
#include "cli/model_card.h"
#include "cli/sweep.h"

static int64_t missing(const sweep_cell *c)
{
    return c->part.n_unit > c->part.n_there ? c->part.n_unit - c->part.n_there : 0;
}

double sweep_cell_weight(const sweep *w, const sweep_cell *c)
{
    return (double)missing(c) * (w->costs_known && c->cost_of ? c->cost_of->part.cost.seconds : 1);
}

void sweep_put_estimate(strbuf *out, const sweep *w, double share)
{
    int64_t units = 0, there = 0, unknown = 0, stored = 0, tried = 0, failed = 0;
    double seconds = 0, bytes = 0, memory = 0;
    char text[16];
    for (int64_t i = 0; i < w->n; i++) {
        const sweep_cell *c = &w->cell[i], *o = c->cost_of;
        int64_t left = missing(c);
        units += c->part.n_unit > 0 ? c->part.n_unit : 0;
        there += c->part.n_there;
        failed += c->rc != 0;
        memory = c->part.cost.memory > memory ? c->part.cost.memory : memory;
        stored += c->part.cost.n > 0 && c->part.cost.stored;
        tried += c->part.cost.n > 0 && !c->part.cost.stored;
        if (left == 0)
            continue;
        unknown += o == NULL;
        seconds += o ? o->part.cost.seconds * (double)left * share : 0;
        bytes += o ? o->part.cost.bytes * (double)left * share : 0;
    }
    strbuf_printf(out, "%" PRId64 " cell%s, %" PRId64 " unit%s", w->n, w->n == 1 ? "" : "s", units,
                  units == 1 ? "" : "s");
    if (there)
        strbuf_printf(out, ", %" PRId64 " of them there", there);
    if (failed)
        strbuf_printf(out, ", %" PRId64 " cell%s that cannot run", failed, failed == 1 ? "" : "s");
    if (units > there && (unknown || seconds > 0)) {
        strbuf_puts(out, unknown ? "; it is not known how long they take" : share < 1 ? "; this shard about "
                    : "; about ");
        if (!unknown) {
            put_seconds(out, seconds);
            format_bytes(text, bytes);
            strbuf_printf(out, ", %s in the store", text);
        }
    }
    format_bytes(text, memory);
    if (units > there && memory > 0)
        strbuf_printf(out, ", %s of memory", text);
    if (units > there && !unknown)
        strbuf_printf(out, " (%s%s%s)", stored ? "by stored runs" : "", stored && tried ? " and " : "",
                      tried ? "by units that were tried" : "");
}

/* ---- rows ---- */

enum { MOST_COLUMNS = 96 };
typedef struct columns { const char *name[MOST_COLUMNS]; int n, command, model, axes, n_axis; } columns;

static int add(columns *k, const char *name)
{
    if (k->n == MOST_COLUMNS - 16) /* axes beyond are in the JSON of the cell */
        return -1;
    k->name[k->n] = name;
    return k->n++;
}

static bool is_axis(const sweep *w, const char *name)
{
    for (int i = 0; i < w->n_axis; i++)
        if (strcmp(w->axis[i], name) == 0)
            return true;
    return false;
}

/* cell, command, model and all axes. */
static void place_columns(columns *k, const sweep *w)
{
    *k = (columns){.command = -1, .model = -1};
    add(k, "cell");
    if (!is_axis(w, "command"))
        k->command = add(k, "command");
    if (!is_axis(w, "model"))
        k->model = add(k, "model");
    k->axes = k->n;
    for (int i = 0; i < w->n_axis; i++)
        if (add(k, w->axis[i]) >= 0)
            k->n_axis++;
}

static int put_text(table *t, cell *row, int col, const char *text, err *e)
{
    return col < 0 || !text ? 0 : table_text(t, &row[col], text, strlen(text), e);
}

static int put_place(table *t, cell *row, const columns *k, const sweep_cell *c, err *e)
{
    row[0] = cell_int(c->index);
    int rc = put_text(t, row, k->command, c->c->name, e);
    if (!rc)
        rc = put_text(t, row, k->model, c->model, e);
    for (int i = 0; i < k->n_axis && !rc; i++)
        rc = put_text(t, row, k->axes + i, c->value[i], e);
    return rc;
}

/* Seconds and bytes: for people as they are said, for programs as numbers. */
static int put_cost(table *t, cell *row, int col, double seconds, double bytes, double memory, bool words,
                    err *e)
{
    char text[16];
    strbuf b = {0};
    if (!words) {
        row[col] = cell_real(seconds);
        row[col + 1] = cell_int((int64_t)bytes);
        row[col + 2] = cell_int((int64_t)memory);
        return 0;
    }
    put_seconds(&b, seconds);
    int rc = put_text(t, row, col, strbuf_str(&b), e);
    strbuf_free(&b);
    format_bytes(text, bytes);
    if (!rc)
        rc = put_text(t, row, col + 1, text, e);
    format_bytes(text, memory);
    return rc ? rc : put_text(t, row, col + 2, text, e);
}

static int plan_row(table *t, const columns *k, const sweep_cell *c, int col, bool words, err *e)
{
    const sweep_cell *o = c->cost_of;
    cell *row = table_row(t, e);
    char by[48] = "";
    int rc = row ? put_place(t, row, k, c, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    if (c->part.n_unit >= 0)
        row[col] = cell_int(c->part.n_unit);
    row[col + 1] = cell_int(c->part.n_there);
    if (o && missing(c) > 0) {
        double n = (double)missing(c);
        rc = put_cost(t, row, col + 2, n * o->part.cost.seconds, n * o->part.cost.bytes,
                      c->part.cost.memory, words, e);
        if (o != c)
            snprintf(by, sizeof by, "as cell %" PRId64, o->index);
        else if (o->part.cost.stored)
            snprintf(by, sizeof by, "stored runs");
        else
            snprintf(by, sizeof by, "%" PRId64 " tried", o->part.cost.n);
    }
    if (!rc)
        rc = put_text(t, row, col + 5, *by ? by : NULL, e);
    return rc ? rc : put_text(t, row, col + 6, c->rc ? c->error.msg : NULL, e);
}

int sweep_plan_table(const sweep *w, session *s, const command_args *a, err *e)
{
    bool words = command_format(s, a) == FORMAT_TABLE, failed = false;
    columns k;
    table *t = NULL;
    place_columns(&k, w);
    int col = k.n;
    for (int64_t i = 0; i < w->n; i++)
        failed |= w->cell[i].rc != 0;
    k.name[k.n++] = "units";
    k.name[k.n++] = "there";
    k.name[k.n++] = words ? "time" : "seconds";
    k.name[k.n++] = words ? "disk" : "bytes";
    k.name[k.n++] = "memory";
    k.name[k.n++] = "by";
    k.name[k.n++] = "problem";
    int rc = table_new(&t, k.n - (words && !failed), k.name, e);
    for (int64_t i = 0; i < w->n && !rc; i++)
        rc = plan_row(t, &k, &w->cell[i], col, words, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.sweep_plan/1", e);
    table_free(t);
    return rc;
}

static int done_row(table *t, const columns *k, const sweep_cell *c, int col, err *e)
{
    const run_part *p = &c->part;
    cell *row = table_row(t, e);
    int rc = row ? put_place(t, row, k, c, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    if (p->run > 0)
        row[col] = cell_int(p->run);
    if (p->n_unit >= 0)
        row[col + 1] = cell_int(p->n_unit);
    row[col + 2] = cell_int(p->n_there);
    row[col + 3] = cell_int(p->n_done);
    row[col + 4] = cell_real(c->seconds);
    return put_text(t, row, col + 5, c->rc ? "failed" : p->whole ? "done" : "part", e);
}

int sweep_done_table(const sweep *w, session *s, const command_args *a, err *e)
{
    columns k;
    table *t = NULL;
    place_columns(&k, w);
    int col = k.n;
    static const char *const last[] = {"run", "units", "there", "new", "seconds", "status"};
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        k.name[k.n++] = last[i];
    int rc = table_new(&t, k.n, k.name, e);
    for (int64_t i = 0; i < w->n && !rc; i++)
        rc = done_row(t, &k, &w->cell[i], col, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.sweep/1", e);
    table_free(t);
    return rc;
}
