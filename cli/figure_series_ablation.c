/* ablation_bars: changes of a measure without heads, beside those without random heads. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/effect_table.h"
#include "cli/experiment.h"
#include "cli/figure_series.h"

typedef struct job {
    series_source *ss;
    const measure *what;
    bool each;                 /* heads one at a time */
    int64_t n_random;          /* sets of the first run */
    series base[SERIES_RUNS];  /* the model as it is; unit NULL: not read yet */
} job;

static int not_ablated(const series_source *ss, int run, const char *name, err *e)
{
    err_set(e, ERR_FAILED, "run %" PRId64 " holds no ablation%s%s", ss->run[run], name ? " measured by " : "",
            name ? name : "");
    return figure_hint_command(ss->st, e, "ablate %s --heads L1H2,L1H3", ss->facts[run].path);
}

/* Whether a run has a measure without heads, and then whether heads were taken out one at a time. */
static int look_at(bool *there, bool *each, const series_source *ss, int run, const measure *m, err *e)
{
    char edited[64];
    snprintf(edited, sizeof edited, "%s_edited", m->metric);
    const cell bind[] = {cell_int(ss->run[run]), cell_text(edited)};
    int64_t n; /* 1: a set, 2: each */
    int rc = query_count(&n, ss->st, "SELECT 1 + max(layer IS NOT NULL) FROM value_summary WHERE run = ?1 AND metric = ?2", bind,
                         2, e);
    *there = n > 0;
    *each = n > 1;
    return rc;
}

static int drawn_alone(const series_source *ss, int run, err *e)
{
    err_set(e, ERR_USAGE, "run %" PRId64 " took out one head at a time: it is drawn alone", ss->run[run]);
    return err_hint(e, "name one run, or runs that took out a set of heads");
}

/* The measure asked for, else the first that the run has; and how heads were taken out. */
static int choose_measure(job *j, err *e)
{
    series_source *ss = j->ss;
    const char *name = params_str(ss->a->p, "metric");
    if (name && !measure_find(name)) {
        err_set(e, ERR_USAGE, "ablation has no measure '%s'", name);
        return err_hint(e, "take nll, accuracy or recall");
    }
    for (const measure *m = effect_measures; m->name; m++) {
        if (m->rate || (name && strcmp(m->name, name) != 0))
            continue;
        bool there = false;
        int rc = look_at(&there, &j->each, ss, 0, m, e);
        if (rc)
            return rc;
        if (there) {
            j->what = m;
            return 0;
        }
    }
    return not_ablated(ss, 0, name, e);
}

/* Changes under a condition against the model as it is, unit by unit: free(*d); *n = 0: not measured. */
static int changes_of(double **d, int64_t *n, job *j, int run, const char *suffix, int layer, int head, int64_t position, err *e)
{
    const series_source *ss = j->ss;
    attn_kind kind = ss->facts[run].main;
    series s = {0};
    int rc = j->base[run].unit ? 0 : series_load(&j->base[run], ss->st, ss->run[run], j->what,
                                                 &(condition){"", "", kind, NO_INDEX, NO_INDEX, NO_INDEX}, e);
    *d = NULL;
    if (!rc)
        rc = series_load(&s, ss->st, ss->run[run], j->what, &(condition){"", suffix, kind, layer, head, position}, e);
    if (!rc)
        rc = series_differences(d, n, &s, &j->base[run], e);
    series_free(&s);
    return rc;
}

/* As statistics, of all heads of the set; n = 0: not measured. */
static int change_of(stats *out, job *j, int run, const char *suffix, int64_t position, bool interval, err *e)
{
    double *d;
    int64_t n = 0;
    *out = (stats){0};
    int rc = changes_of(&d, &n, j, run, suffix, NO_INDEX, NO_INDEX, position, e);
    uint64_t seed = 0;
    if (!rc && n && interval)
        rc = run_seed(&seed, j->ss->st, j->ss->run[run], e);
    if (!rc && n && interval)
        rc = stats_of(out, d, n, seed, e);
    else if (!rc && n)
        stats_plain(out, d, n);
    free(d);
    return rc;
}

static void put_change(series_room *r, int64_t k, double x, const stats *st)
{
    r->x[k] = x;
    if (st->n == 0)
        return;
    r->y[k] = st->mean;
    r->low[k] = st->low;
    r->high[k] = st->high;
}

/* ---- sets of heads ---- */

/* "zero: L1H2,L1H3", from the settings of the run; its label where they do not say. */
static int name_set(const char **out, series_source *ss, int run, err *e)
{
    const char *mode, *heads;
    int rc = figure_setting(&mode, ss->src, ss->st, ss->run[run], "mode", e);
    if (!rc)
        rc = figure_setting(&heads, ss->src, ss->st, ss->run[run], "heads", e);
    if (rc)
        return rc;
    int64_t n = heads && *heads ? 1 : 0;
    for (const char *c = heads; c && *c; c++)
        n += *c == ',';
    strbuf b = {0};
    if (ss->n_run > 1)
        strbuf_printf(&b, "%s", ss->label[run]);
    if (mode)
        strbuf_printf(&b, "%s%s", b.len ? ": " : "", mode);
    if (n > 4)
        strbuf_printf(&b, "%s%" PRId64 " heads", b.len ? ", " : "", n);
    else if (n)
        strbuf_putc(&b, ' ');
    for (const char *c = heads; n && n <= 4 && *c; c++) {
        strbuf_putc(&b, *c);
        if (*c == ',')
            strbuf_putc(&b, ' ');
    }
    *out = b.failed ? NULL : arena_strdup(&ss->src->mem, b.len ? strbuf_str(&b) : ss->label[run], e);
    strbuf_free(&b);
    return *out ? 0 : err_nomem(e, "figure");
}

static int count_random(int64_t *out, const job *j, int run, err *e)
{
    char name[64];
    snprintf(name, sizeof name, "%s_random", j->what->metric);
    const cell bind[] = {cell_int(j->ss->run[run]), cell_text(name)};
    return query_count(out, j->ss->st, "SELECT count(DISTINCT position) FROM value_summary WHERE run = ?1 AND metric = ?2", bind,
                       2, e);
}

/* The mean change of each random set as a marker over the bar of their mean. */
static int put_sets(job *j, int run, const char *label, err *e)
{
    series_room r;
    int64_t n = 0;
    int rc = count_random(&n, j, run, e);
    if (rc || n == 0)
        return rc;
    rc = series_add(&r, j->ss, SERIES_POINTS, label, 13, n, false, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        stats st;
        rc = change_of(&st, j, run, "_random", i, false, e);
        /* side by side, so that equal ones are seen, to the right of the bar */
        double spread = (n > 1 ? 0.53 + 0.2 * (double)i / (double)(n - 1) : 0.6) * chart_bar_width(2);
        r.x[i] = run + chart_bar_offset(1, 2) + spread;
        if (!rc && st.n)
            r.y[i] = st.mean;
    }
    return rc;
}

static int load_sets(job *j, err *e)
{
    series_source *ss = j->ss;
    const char **group = arena_alloc(&ss->src->mem, (size_t)ss->n_run, sizeof *group, e);
    series_room own, random = {0};
    int rc = group ? count_random(&j->n_random, j, 0, e) : ERR_RESOURCE;
    const char *label = j->n_random == 1 ? "one random set of heads of the same layers"
                                         : figure_text(ss->src, e, "random heads of the same layers, mean of %" PRId64
                                                       " sets", j->n_random);
    if (!rc && !label)
        rc = ERR_RESOURCE;
    if (!rc)
        rc = series_add(&own, ss, SERIES_BAR, "these heads", 0, ss->n_run, true, e);
    if (!rc && j->n_random)
        rc = series_add(&random, ss, SERIES_BAR, label, 4, ss->n_run, true, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        stats st = {0};
        bool there, each;
        rc = look_at(&there, &each, ss, i, j->what, e);
        if (!rc && each)
            rc = drawn_alone(ss, i, e);
        if (!rc)
            rc = change_of(&st, j, i, "_edited", NO_INDEX, true, e);
        if (!rc && st.n == 0)
            rc = not_ablated(ss, i, j->what->name, e);
        if (!rc)
            put_change(&own, i, i, &st);
        if (!rc && j->n_random)
            rc = change_of(&st, j, i, "_random", ANY_POSITION, true, e);
        if (!rc && j->n_random)
            put_change(&random, i, i, &st);
        if (!rc)
            rc = name_set(&group[i], ss, i, e);
    }
    for (int i = 0; i < ss->n_run && !rc && j->n_random > 1 && ss->n_run <= 6; i++)
        rc = put_sets(j, i, i == 0 ? "each random set" : NULL, e);
    ss->chart.groups = group;
    ss->chart.n_groups = ss->n_run;
    return rc;
}

/* ---- one head at a time ---- */

typedef struct head_row { int layer, head; double *change; int64_t n; double harm; } head_row;

static int by_harm(const void *a, const void *b)
{
    const head_row *x = a, *y = b;
    if (x->harm != y->harm)
        return x->harm < y->harm ? 1 : -1;
    return x->layer != y->layer ? x->layer - y->layer : x->head - y->head;
}

static int load_each(job *j, err *e)
{
    series_source *ss = j->ss;
    char name[64];
    table *t = NULL;
    head_row *row = NULL;
    if (ss->n_run > 1)
        return drawn_alone(ss, 0, e);
    snprintf(name, sizeof name, "%s_edited", j->what->metric);
    const cell bind[] = {cell_int(ss->run[0]), cell_text(name)};
    int rc = store_query(ss->st, &t,
                         "SELECT DISTINCT layer, head FROM value_summary WHERE run = ?1 AND metric = ?2 AND head IS NOT NULL"
                         " ORDER BY layer, head", bind, 2, e);
    if (rc)
        return rc;
    int64_t n = t->n_row, most = params_int(ss->a->p, "top");
    row = mem_array((size_t)n + 1, sizeof *row, e);
    rc = row ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        stats st = {0};
        row[i] = (head_row){.layer = (int)table_cell(t, i, 0)->u.i, .head = (int)table_cell(t, i, 1)->u.i};
        rc = changes_of(&row[i].change, &row[i].n, j, 0, "_edited", row[i].layer, row[i].head, NO_INDEX, e);
        if (!rc && row[i].n)
            stats_plain(&st, row[i].change, row[i].n);
        row[i].harm = strcmp(j->what->metric, "nll") == 0 ? st.mean : -st.mean; /* loss up, everything else down */
    }
    table_free(t);
    if (!rc)
        qsort(row, (size_t)n, sizeof *row, by_harm);
    int64_t shown = n < most ? n : most;
    const char **group = rc ? NULL : arena_alloc(&ss->src->mem, (size_t)shown + 1, sizeof *group, e);
    series_room r;
    uint64_t seed = 0;
    if (!rc)
        rc = run_seed(&seed, ss->st, ss->run[0], e);
    if (!rc)
        rc = group ? series_add(&r, ss, SERIES_BAR, NULL, 0, shown, true, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < shown && !rc; i++) {
        stats st = {0};
        rc = row[i].n ? stats_of(&st, row[i].change, row[i].n, seed, e) : 0;
        put_change(&r, i, (double)i, &st);
        if (!rc && !(group[i] = figure_text(ss->src, e, "L%dH%d", row[i].layer, row[i].head)))
            rc = ERR_RESOURCE;
    }
    if (!rc && shown < n)
        strbuf_printf(&ss->note, "the %" PRId64 " most harmful of %" PRId64 " heads; ", shown, n);
    ss->chart.groups = group;
    ss->chart.n_groups = shown;
    for (int64_t i = 0; row && i < n; i++)
        free(row[i].change);
    free(row);
    return rc;
}

int figure_load_ablation(series_source *ss, err *e)
{
    figure_source *src = ss->src;
    job j = {.ss = ss};
    int rc = choose_measure(&j, e);
    if (!rc)
        rc = j.each ? load_each(&j, e) : load_sets(&j, e);
    for (int i = 0; i < ss->n_run; i++)
        series_free(&j.base[i]);
    if (rc)
        return rc;
    bool nll = strcmp(j.what->metric, "nll") == 0;
    strbuf_puts(&ss->note, "error bars: bootstrap 95 % intervals of the paired change over units");
    src->d.quantity = nll ? "change of loss" : figure_text(src, e, "change of %s", j.what->name);
    src->d.unit = nll ? "nats a token" : "";
    src->d.col_axis = j.each ? "head taken out" : NULL;
    src->label = mem_strdup(j.what->name, e);
    if (!src->d.quantity || !src->label)
        return ERR_RESOURCE;
    return series_titles(ss, j.each ? "without one head" : "without a set of heads", e);
}
