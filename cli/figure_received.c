/* The values of `received`, layer or head by key position. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"

enum { MOST_ROWS = 512 };

typedef struct received_rows {
    char kind[8];
    attn_kind attention;
    bool heads;                  /* rows are heads, not layers */
    int64_t n_key, n_row;
    int *layer, *head;           /* [n_row] */
} received_rows;

/* The kind asked for, else that of the stack that gives the logits, else the only one there is. */
static int choose_kind(received_rows *r, figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    const char *asked = params_str(a->p, "kind"), *want = asked ? asked : attn_kind_name(f->main);
    const cell bind[] = {cell_int(src->run), cell_int(params_int(a->p, "prompt"))};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT kind, max(position) + 1 FROM head_value WHERE run = ?1 AND metric = 'received' AND prompt = ?2"
        " AND position IS NOT NULL GROUP BY kind ORDER BY kind", bind, 2, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *kind = cell_string(table_cell(t, i, 0));
        if (strcmp(kind, want) != 0 && (asked || t->n_row > 1))
            continue;
        snprintf(r->kind, sizeof r->kind, "%s", kind);
        r->n_key = table_cell(t, i, 1)->u.i;
    }
    bool none = t->n_row == 0;
    table_free(t);
    r->attention = attn_kind_named(r->kind, f->main);
    if (none) {
        err_set(e, ERR_FAILED, "run %" PRId64 " has no values of received", src->run);
        return figure_hint_metric(st, f->path, "received", e);
    }
    if (!r->kind[0]) {
        err_set(e, ERR_USAGE, "run %" PRId64 " has no values of received of kind %s", src->run, want);
        return err_hint(e, "leave --kind out to draw what there is");
    }
    return 0;
}

static int choose_rows(received_rows *r, figure_source *src, const command_args *a, store *st, err *e)
{
    const char *words = params_str(a->p, "head");
    const cell bind[] = {cell_int(src->run), cell_int(params_int(a->p, "prompt")), cell_text(r->kind)};
    table *t = NULL;
    r->heads = words || strcmp(params_str(a->p, "rows"), "heads") == 0;
    int rc = store_query(st, &t, r->heads ?
        "SELECT DISTINCT layer, head FROM head_value WHERE run = ?1 AND metric = 'received' AND prompt = ?2 AND kind = ?3"
        " ORDER BY layer, head" :
        "SELECT DISTINCT layer, 0 FROM head_value WHERE run = ?1 AND metric = 'received' AND prompt = ?2 AND kind = ?3"
        " ORDER BY layer", bind, 3, e);
    if (rc)
        return rc;
    r->layer = arena_alloc(&src->mem, (size_t)t->n_row, sizeof *r->layer, e);
    r->head = r->layer ? arena_alloc(&src->mem, (size_t)t->n_row, sizeof *r->head, e) : NULL;
    rc = r->head ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        head_id h = {r->attention, (int)table_cell(t, i, 0)->u.i, (int)table_cell(t, i, 1)->u.i};
        bool yes = true;
        if (words)
            rc = head_matches(&yes, h, r->attention, words, e);
        if (rc || !yes)
            continue;
        r->layer[r->n_row] = h.layer;
        r->head[r->n_row++] = h.head;
    }
    table_free(t);
    if (!rc && r->n_row == 0) {
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " has no values of received of %s", src->run, words ? words : "any head");
        err_hint(e, "leave --head out to draw the layers");
    }
    if (!rc && r->n_row > MOST_ROWS) {
        rc = err_set(e, ERR_USAGE, "%" PRId64 " heads: received_map draws at most %d rows", r->n_row, MOST_ROWS);
        err_hint(e, "choose heads: --head L0H*, or draw the layers: --rows layers");
    }
    return rc;
}

static int fill(figure_source *src, const received_rows *r, const command_args *a, store *st, err *e)
{
    size_t cells;
    int rc = 0;
    if (!size_mul(&cells, (size_t)r->n_row, (size_t)r->n_key) || !(src->cells = mem_array(cells, sizeof *src->cells, e)))
        return err_nomem(e, "figure");
    for (size_t i = 0; i < cells; i++)
        src->cells[i] = NAN;
    /* a row at a time: no more than the keys of one head are in memory twice */
    for (int64_t row = 0; row < r->n_row && !rc; row++) {
        const cell bind[] = {cell_int(src->run), cell_int(params_int(a->p, "prompt")), cell_text(r->kind),
                             cell_int(r->layer[row]), cell_int(r->head[row])};
        table *t = NULL;
        rc = store_query(st, &t, r->heads ?
            "SELECT position, value FROM head_value WHERE run = ?1 AND metric = 'received' AND prompt = ?2 AND kind = ?3"
            " AND layer = ?4 AND head = ?5 AND position IS NOT NULL" :
            "SELECT position, avg(value) FROM head_value WHERE run = ?1 AND metric = 'received' AND prompt = ?2"
            " AND kind = ?3 AND layer = ?4 AND position IS NOT NULL GROUP BY position", bind, r->heads ? 5 : 4, e);
        for (int64_t i = 0; !rc && i < t->n_row; i++) {
            int64_t key = table_cell(t, i, 0)->u.i;
            if (key >= 0 && key < r->n_key)
                src->cells[row * r->n_key + key] = (float)cell_number(table_cell(t, i, 1));
        }
        table_free(t);
    }
    return rc;
}

/* Names of the rows; none where they count from 0 without a gap. */
static int name_rows(const char ***out, figure_source *src, const received_rows *r, err *e)
{
    bool plain = !r->heads;
    for (int64_t i = 0; i < r->n_row; i++)
        plain = plain && r->layer[i] == i;
    *out = NULL;
    if (plain)
        return 0;
    const char **name = arena_alloc(&src->mem, (size_t)r->n_row, sizeof *name, e);
    for (int64_t i = 0; name && i < r->n_row; i++)
        if (!(name[i] = r->heads ? figure_text(src, e, "L%dH%d", r->layer[i], r->head[i])
                                 : figure_text(src, e, "%d", r->layer[i])))
            return ERR_RESOURCE;
    *out = name;
    return name ? 0 : ERR_RESOURCE;
}

/* Lines where another layer begins. */
static int layer_lines(figure_groups *out, figure_source *src, const received_rows *r, err *e)
{
    int64_t *starts = arena_alloc(&src->mem, (size_t)r->n_row, sizeof *starts, e);
    if (!starts)
        return ERR_RESOURCE;
    for (int64_t i = 1; i < r->n_row; i++)
        if (r->layer[i] != r->layer[i - 1])
            starts[out->n_row++] = i;
    out->row_starts = starts;
    out->meaning = "between layers";
    return 0;
}

int figure_load_received(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    received_rows r = {0};
    figure_data *d = &src->d;
    const char **rows = NULL, **cols = NULL;
    int rc = choose_kind(&r, src, a, st, f, e);
    if (!rc)
        rc = choose_rows(&r, src, a, st, e);
    if (!rc)
        rc = fill(src, &r, a, st, e);
    if (!rc)
        rc = name_rows(&rows, src, &r, e);
    if (!rc)
        rc = figure_token_labels(&cols, src, st, params_int(a->p, "prompt"),
                                 attn_kind_name(r.attention == ATTN_CROSS ? ATTN_ENCODER : r.attention), 1, r.n_key, e);
    if (!rc)
        rc = figure_log_colours(a, e);
    if (!rc && r.heads)
        rc = layer_lines(&d->groups, src, &r, e);
    if (rc)
        return rc;
    const char *words = figure_prompt_words(src, st, params_int(a->p, "prompt"), f, e);
    src->which = words ? figure_text(src, e, "%s%" PRId64 " keys", words, r.n_key) : NULL;
    if (!src->which)
        return ERR_RESOURCE;
    const char *mean = r.heads ? "one head a row" : "mean over the heads of a layer";
    d->m = (figure_matrix){r.n_row, r.n_key, src->cells, rows, cols};
    d->title = figure_text(src, e, "attention received \xc2\xb7 %s", f->model);
    d->subtitle = figure_text(src, e, "%s%" PRId64 " keys%s, run %" PRId64 "; %s", words, r.n_key, f->operated, src->run, mean);
    d->caption = figure_text(src, e, "%s, attention that each key receives (%s); %" PRId64 " keys; 1 prompt%s%s%s%s; run %"
                             PRId64, f->model, mean, r.n_key, *f->label ? " (" : "", f->label, *f->label ? ")" : "",
                             f->operated, src->run);
    d->row_axis = r.heads ? "head" : figure_layer_axis(r.attention);
    d->col_axis = r.attention == ATTN_VISION ? "key patch" : r.attention == ATTN_CROSS ? "key (encoder)" : "key token";
    d->quantity = "attention received";
    d->unit = "";
    d->lo = 0;
    d->hi = 1;
    d->pool = 1;
    src->label = mem_strdup(r.heads ? "heads" : "layers", e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}
