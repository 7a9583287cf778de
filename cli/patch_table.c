#include "cli/patch_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"

void patch_raw_name(char out[64], const char *metric, const char *score)
{
    snprintf(out, 64, "%.40s_%.20s", metric, score);
}

/* A row before it is one. */
typedef struct place {
    const char *what;
    head_id head;
    int64_t position;
    stats st;            /* of the normalised values of the pairs */
    double raw, pooled;  /* mean score; that mean, normalised by the mean scores of the prompts */
    double far;
    int64_t order;
} place;

typedef struct bases { double clean, corrupted; } bases;

static int read_base(double *out, const patch_report *r, const char *name, err *e)
{
    value_groups g;
    int rc = experiment_means(&g, r->st, r->run, name, NULL, NULL, e);
    if (!rc && g.n != 1)
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no %s", r->run, name);
    if (!rc)
        *out = g.g[0].st.mean;
    free(g.g);
    return rc;
}

static double pooled_of(const patch_report *r, const bases *b, double raw)
{
    double span = b->clean - b->corrupted;
    return (r->path ? (raw - b->clean) / -span : (raw - b->corrupted) / span) + 0.0; /* no -0 */
}

static int add_metric(place **list, int64_t *n, const patch_report *r, int which, const bases *b, err *e)
{
    value_groups value = {0}, raw = {0};
    char name[64];
    patch_raw_name(name, r->metric[which], r->score);
    int rc = experiment_groups(&value, r->st, r->run, r->metric[which], NULL, NULL, r->seed, e);
    if (!rc)
        rc = experiment_means(&raw, r->st, r->run, name, NULL, NULL, e);
    if (!rc && raw.n != value.n)
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds %" PRId64 " values of %s and %" PRId64 " of %s", r->run, value.n,
                     r->metric[which], raw.n, name);
    place *more = rc ? NULL : mem_grow(*list, (size_t)(*n + value.n) + 1, sizeof *more, e);
    if (!rc && !more)
        rc = ERR_RESOURCE;
    if (more)
        *list = more;
    for (int64_t i = 0; i < value.n && !rc; i++, (*n)++) {
        const value_group *g = &value.g[i];
        double pooled = pooled_of(r, b, raw.g[i].st.mean);
        (*list)[*n] = (place){r->what[which], g->head, g->position, g->st, raw.g[i].st.mean, pooled,
                              fabs(g->st.mean - r->neutral), *n};
    }
    free(value.g);
    free(raw.g);
    return rc;
}

static int by_strength(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->far != y->far)
        return x->far > y->far ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* "L3H7", "L3KV1" (k and v: of the key/value head), "L3". */
static void put_place(strbuf *b, const place *p)
{
    head_text name;
    if (p->head.head == NO_INDEX) {
        strbuf_printf(b, "L%d", p->head.layer);
    } else if (strcmp(p->what, "k") == 0 || strcmp(p->what, "v") == 0) {
        strbuf_printf(b, "L%dKV%d", p->head.layer, p->head.head);
    } else {
        head_format(name, p->head);
        strbuf_puts(b, name);
    }
}

enum { COL_WHAT, COL_PLACE, COL_LAYER, COL_HEAD, COL_POSITION, COL_TOKEN, COL_N, COL_MEAN, COL_SD, COL_LOW, COL_HIGH, COL_POOLED,
       COL_SCORE, COLS };

static int put_row(table *t, const patch_report *r, const place *p, err *e)
{
    strbuf b = {0};
    cell *row = table_row(t, e);
    const loaded_model *lm = r->lm;
    if (!row)
        return ERR_RESOURCE;
    put_place(&b, p);
    row[COL_LAYER] = cell_int(p->head.layer);
    row[COL_HEAD] = cell_index(p->head.head);
    row[COL_POSITION] = cell_index(p->position);
    stats_cells(row, COL_N, &p->st);
    row[COL_POOLED] = cell_real(p->pooled);
    row[COL_SCORE] = cell_real(p->raw);
    int rc = table_text(t, &row[COL_WHAT], p->what, strlen(p->what), e);
    if (!rc)
        rc = table_text(t, &row[COL_PLACE], strbuf_str(&b), b.len, e);
    if (!rc && p->position != NO_INDEX && r->pairs->n == 1 && lm->tok) {
        token_text text = tokenizer_text(lm->tok, r->pairs->pair[0].p.clean[p->position]);
        strbuf_clear(&b);
        strbuf_put_visible(&b, text.s, text.len);
        rc = table_text(t, &row[COL_TOKEN], strbuf_str(&b), b.len, e);
    }
    strbuf_free(&b);
    return rc;
}

/* Without the columns that say the same in each row, for people. */
static int narrow(table *t, const patch_report *r, bool positions, err *e)
{
    static const int all[] = {COL_WHAT, COL_PLACE, COL_POSITION, COL_TOKEN, COL_N, COL_MEAN, COL_SD, COL_LOW, COL_HIGH,
                              COL_POOLED, COL_SCORE};
    const char *name[COLS];
    int use[COLS], n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int c = all[i];
        bool one = r->pairs->n == 1;
        if ((c == COL_WHAT && r->n_metric == 1) || (c == COL_POSITION && !positions) || (c == COL_TOKEN && !(positions && one)) ||
            (one && (c == COL_N || (c >= COL_SD && c <= COL_POOLED))))
            continue;
        name[n] = c == COL_MEAN && one ? (r->path ? "effect" : "recovery") : NULL;
        use[n++] = c;
    }
    return table_keep(t, use, name, n, e);
}

static int print_head(const patch_report *r, const bases *b, int64_t shown, int64_t n, err *e)
{
    strbuf text = {0}, how = {0};
    int rc = experiment_conditions(&how, r->st, r->run, e);
    strbuf_printf(&text, "run %" PRId64 ": %s\n", r->run, strbuf_str(&how));
    strbuf_printf(&text, "%" PRId64 " pair%s; %s of the clean prompt%s ", r->pairs->n, r->pairs->n == 1 ? "" : "s", r->score,
                  r->pairs->n == 1 ? "" : "s");
    strbuf_printf(&text, "%.6g, of the corrupted %.6g\n", b->clean, b->corrupted);
    strbuf_puts(&text, r->path ? "effect (m - clean) / (corrupted - clean): 0 none, 1 all of the corruption"
                               : "recovery (m - corrupted) / (clean - corrupted): 1 as the clean prompt, 0 as the corrupted");
    if (shown < n)
        strbuf_printf(&text, "; %" PRId64 " of %" PRId64 " places, strongest first", shown, n);
    strbuf_puts(&text, "\n");
    if (!rc)
        rc = output_prose(r->s, &text, e);
    strbuf_free(&text);
    strbuf_free(&how);
    return rc;
}

int patch_print(const patch_report *r, err *e)
{
    const char *const columns[] = {"what", "place", "layer", "head", "position", "token", "n", "mean", "sd", "low", "high",
                                   "pooled", r->score};
    bool people = command_format(r->s, r->a) == FORMAT_TABLE, positions = false;
    bases b = {0};
    place *list = NULL;
    table *t = NULL;
    int64_t n = 0, top = params_int(r->a->p, "top"), shown;
    int rc = read_base(&b.clean, r, "patch_clean", e);
    if (!rc)
        rc = read_base(&b.corrupted, r, "patch_corrupted", e);
    for (int i = 0; i < r->n_metric && !rc; i++)
        rc = add_metric(&list, &n, r, i, &b, e);
    if (!rc && n == 0)
        rc = err_set(e, ERR_FAILED, "no layer of the model has what was to be patched");
    shown = people && top && top < n ? top : n;
    if (!rc && people && shown < n)
        qsort(list, (size_t)n, sizeof *list, by_strength);
    if (!rc)
        rc = table_new(&t, COLS, columns, e);
    for (int64_t i = 0; i < shown && !rc; i++) {
        positions |= list[i].position != NO_INDEX;
        rc = put_row(t, r, &list[i], e);
    }
    if (!rc && people)
        rc = narrow(t, r, positions, e);
    if (!rc && people)
        rc = print_head(r, &b, shown, n, e);
    if (!rc)
        rc = print_table(r->s, r->a, t, "attnscope.patch/1", e);
    table_free(t);
    free(list);
    return rc;
}
