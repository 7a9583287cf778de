/* Runs, metrics and prompts behind a chart: what all recipes that draw series have in common. */
#include "cli/figure_series.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/stats.h"
#include "cli/command_util.h"
#include "cli/experiment.h"
#include "cli/run_name.h"
#include "cli/run_units.h"

typedef int load_fn(series_source *ss, err *e);
static const struct { const char *recipe; load_fn *load; } loaders[] = {
    {"ablation_bars", figure_load_ablation},
    {"layer_curve", figure_load_layers},
    {"norm_profile", figure_load_norms},
    {"position_curve", figure_load_positions},
    {"score_curve", figure_load_ranking},
    {"sparsity_curve", figure_load_top},
};

static load_fn *loader_of(const figure *f)
{
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strcmp(f->name, loaders[i].recipe) == 0)
            return loaders[i].load;
    return NULL;
}

bool figure_has_series(const figure *f)
{
    return loader_of(f) != NULL;
}

/* ---- runs ---- */

/* Words of a comma-separated text, in the arena. */
static int split(const char **word, int *n, figure_source *src, const char *text, err *e)
{
    *n = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (*n == SERIES_RUNS) {
            err_set(e, ERR_USAGE, "a chart takes at most %d runs", SERIES_RUNS);
            return err_hint(e, "draw them in two figures");
        }
        if (!(word[*n] = arena_strndup(&src->mem, text, len, e)))
            return ERR_RESOURCE;
        ++*n;
        if (!text[len])
            return 0;
        text += len + 1;
    }
}

static int choose_runs(series_source *ss, session *s, err *e)
{
    const char *text = params_str(ss->a->p, "run"), *word[SERIES_RUNS];
    if (!text || !strchr(text, ',')) {
        ss->n_run = 1;
        return choose_run(s, ss->a, ss->st, NULL, &ss->run[0], e);
    }
    int rc = split(word, &ss->n_run, ss->src, text, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        rc = run_name_read(&ss->run[i], ss->st, word[i], e);
        for (int k = 0; k < i && !rc; k++)
            if (ss->run[k] == ss->run[i])
                rc = err_set(e, ERR_USAGE, "run %" PRId64 " is named twice", ss->run[i]);
    }
    return rc;
}

static int count_prompts(series_source *ss, int i, err *e)
{
    ss->n_prompt[i] = 1;
    return ss->one_prompt ? 0 : run_units_done(&ss->n_prompt[i], ss->st, ss->run[i], e);
}

/* What tells the runs apart: the names that were given, the models, the labels of their prompts, or their numbers. */
static int label_runs(series_source *ss, err *e)
{
    const char *given = params_str(ss->a->p, "labels"), *word[SERIES_RUNS];
    bool models = true, prompts = true, one_model = true;
    int n = 0;
    if (given && ss->facet != FACET_RUN) {
        int rc = split(word, &n, ss->src, given, e);
        if (!rc && n != ss->n_run) {
            err_set(e, ERR_USAGE, "--labels names %d run%s, --run %d", n, n == 1 ? "" : "s", ss->n_run);
            rc = err_hint(e, "give a name for each run, separated by commas");
        }
        for (int i = 0; i < n && !rc; i++)
            ss->label[i] = word[i];
        return rc;
    }
    for (int i = 0; i < ss->n_run; i++) {
        prompts &= *ss->facts[i].label && ss->n_prompt[i] == 1;
        for (int k = 0; k < i; k++) {
            models &= strcmp(ss->facts[i].model, ss->facts[k].model) != 0;
            one_model &= strcmp(ss->facts[i].model, ss->facts[k].model) == 0;
            prompts &= strcmp(ss->facts[i].label, ss->facts[k].label) != 0;
        }
    }
    for (int i = 0; i < ss->n_run; i++) {
        ss->label[i] = models      ? ss->facts[i].model
                       : prompts   ? ss->facts[i].label
                       : one_model ? figure_text(ss->src, e, "run %" PRId64, ss->run[i])
                                   : figure_text(ss->src, e, "%s, run %" PRId64, ss->facts[i].model, ss->run[i]);
        if (!ss->label[i])
            return ERR_RESOURCE;
    }
    return 0;
}

int figure_load_chart(series_source **out, figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                      facet_kind facet, err *e)
{
    series_source *ss = *out = arena_alloc(&src->mem, 1, sizeof *ss, e);
    if (!ss)
        return ERR_RESOURCE;
    *ss = (series_source){.src = src, .a = a, .st = st, .one_prompt = params_given(a->p, "prompt"), .facet = facet};
    int rc = choose_runs(ss, s, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        src->run = ss->run[i];
        rc = figure_read_facts(&ss->facts[i], src, st, ss->one_prompt ? params_int(a->p, "prompt") : 0, e);
        if (!rc)
            rc = count_prompts(ss, i, e);
    }
    src->run = ss->run[0];
    src->several = ss->n_run > 1;
    if (!rc)
        rc = label_runs(ss, e);
    if (!rc)
        rc = loader_of(f)(ss, e);
    if (ss->units.len)
        strbuf_printf(&ss->note, "%s%s", ss->note.len ? "; " : "", strbuf_str(&ss->units));
    if (!rc && ss->note.len && !(ss->chart.note = arena_strdup(&src->mem, strbuf_str(&ss->note), e)))
        rc = ERR_RESOURCE;
    if (!rc && ss->note.failed)
        rc = err_nomem(e, "figure");
    strbuf_free(&ss->note);
    strbuf_free(&ss->units);
    ss->chart.series = ss->series;
    ss->chart.rules = ss->rules;
    src->d.chart = &ss->chart;
    if (!rc && src->several && !(src->runs = figure_runs_text(src, ss->run, ss->n_run, ",", e)))
        rc = ERR_RESOURCE;
    return rc;
}

int figure_load_series(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e)
{
    series_source *ss;
    int rc = figure_load_chart(&ss, src, s, a, st, f, FACET_NONE, e);
    return rc ? rc : figure_put_provenance(src, ss->facts, ss->run, ss->n_run, figure_command, e);
}

/* ---- metrics and rows ---- */

static int missing_any(const series_source *ss, bool layers, err *e)
{
    err_set(e, ERR_FAILED, "run %" PRId64 " holds no values of heads%s", ss->run[0], layers ? " or layers" : "");
    return figure_hint_metric(ss->st, ss->facts[0].path, metric_defaults, e);
}

static const char layer_metrics_sql[] =
    "SELECT metric FROM metric_list l WHERE run = ?1 AND EXISTS (SELECT 1 FROM value_list v WHERE v.run = l.run"
    " AND v.metric = l.metric AND v.layer IS NOT NULL) ORDER BY metric";

int series_metric(const metric **m, series_source *ss, bool layers, err *e)
{
    const char *name = params_str(ss->a->p, "metric");
    const cell bind[] = {cell_int(ss->run[0])};
    table *t = NULL;
    strbuf have = {0};
    int rc = name ? run_metric(m, &ss->src->mem, ss->st, ss->run[0], name, e) : 0;
    if (name && !rc && !figure_of_heads(*m) && !(layers && (*m)->scope == METRIC_LAYER)) {
        err_set(e, ERR_USAGE, "%s has no values per %s", name, layers ? "layer" : "head");
        rc = err_hint(e, "`top %s` ranks its values", name);
    }
    if (name || rc)
        return rc;
    rc = store_query(ss->st, &t, layers ? layer_metrics_sql : HEAD_METRICS_SQL, bind, 1, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++)
        strbuf_printf(&have, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    if (t->n_row == 1) {
        rc = run_metric(m, &ss->src->mem, ss->st, ss->run[0], cell_string(table_cell(t, 0, 0)), e);
    } else if (t->n_row == 0) {
        rc = missing_any(ss, layers, e);
    } else {
        err_set(e, ERR_USAGE, "run %" PRId64 " holds several metrics: which?", ss->run[0]);
        rc = err_hint(e, "add --metric, one of %s", strbuf_str(&have));
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

const char *series_kind_name(const series_source *ss, int run)
{
    const char *asked = params_str(ss->a->p, "kind");
    return asked ? asked : attn_kind_name(ss->facts[run].main);
}

/* The error for a run without such rows. */
static int missing(const series_source *ss, int run, const char *name, err *e)
{
    const cell bind[] = {cell_int(ss->run[run]), cell_text(name)};
    table *t = NULL;
    int rc = store_query(ss->st, &t,
                         "SELECT group_concat(DISTINCT kind) FROM value_summary WHERE run = ?1 AND metric = ?2", bind, 2, e);
    if (rc)
        return rc;
    if (table_cell(t, 0, 0)->kind == CELL_TEXT) {
        err_set(e, ERR_FAILED, "run %" PRId64 " has no such values of %s", ss->run[run], name);
        rc = err_hint(e, "it has kinds %s: --kind, --position and --prompt choose among them", cell_string(table_cell(t, 0, 0)));
    } else {
        err_set(e, ERR_FAILED, "run %" PRId64 " has no values of %s", ss->run[run], name);
        rc = figure_hint_metric(ss->st, ss->facts[run].path, name, e);
    }
    table_free(t);
    return rc;
}

static int units_of(const char **condition, series_source *ss, int run, const char *name, err *e)
{
    for (const series_units *u = ss->known; u; u = u->next)
        if (u->run == run && strcmp(u->name, name) == 0) {
            *condition = u->condition;
            return 0;
        }
    strbuf units = {0}, what = {0};
    series_units *u = arena_alloc(&ss->src->mem, 1, sizeof *u, e);
    int rc = u ? run_units(&units, &what, ss->st, ss->run[run], name, NULL, e) : ERR_RESOURCE;
    if (!rc && what.len && !strstr(strbuf_str(&ss->units), strbuf_str(&what)))
        strbuf_printf(&ss->units, "%s%s", ss->units.len ? "; " : "", strbuf_str(&what));
    if (!rc) {
        *u = (series_units){ss->known, run, arena_strdup(&ss->src->mem, name, e),
                            arena_strdup(&ss->src->mem, strbuf_str(&units), e)};
        rc = u->name && u->condition ? 0 : ERR_RESOURCE;
    }
    strbuf_free(&units);
    strbuf_free(&what);
    if (rc)
        return rc;
    ss->known = u;
    *condition = u->condition;
    return 0;
}

int series_query(table **out, series_source *ss, int run, const char *name, const char *select, const char *tail,
                 const cell more[2], err *e)
{
    const cell none = cell_index(NO_INDEX);
    const cell bind[] = {cell_int(ss->run[run]), cell_text(name), cell_text(series_kind_name(ss, run)),
                         cell_index(ss->one_prompt ? params_int(ss->a->p, "prompt") : NO_INDEX),
                         more ? more[0] : none, more ? more[1] : none};
    strbuf sql = {0};
    const char *units = "";
    int rc = ss->one_prompt ? 0 : units_of(&units, ss, run, name, e);
    /* every parameter that is bound must stand somewhere */
    strbuf_printf(&sql, "SELECT %s FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3"
                  " AND (?4 IS NULL OR prompt = ?4) AND (?5 IS NULL OR 1) AND (?6 IS NULL OR 1)%s %s", select, units, tail);
    if (!rc)
        rc = sql.failed ? err_nomem(e, "query") : store_query(ss->st, out, strbuf_str(&sql), bind, 6, e);
    strbuf_free(&sql);
    if (rc || (*out)->n_row)
        return rc;
    table_free(*out);
    *out = NULL;
    return missing(ss, run, name, e);
}

int series_position(int64_t *position, series_source *ss, int run, const char *name, err *e)
{
    table *t = NULL;
    *position = NO_INDEX;
    if (params_given(ss->a->p, "position")) {
        *position = params_int(ss->a->p, "position");
        return 0;
    }
    int rc = series_query(&t, ss, run, name, "position", "ORDER BY position LIMIT 1", NULL, e); /* NULL comes first */
    if (!rc && table_cell(t, 0, 0)->kind == CELL_INT)
        *position = table_cell(t, 0, 0)->u.i;
    table_free(t);
    return rc;
}

/* ---- series ---- */

int series_add(series_room *out, series_source *ss, series_kind kind, const char *label, int look, int64_t n,
               bool band, err *e)
{
    if (ss->chart.n_series == CHART_MAX_SERIES) {
        err_set(e, ERR_FAILED, "more than %d series are too many for one chart", CHART_MAX_SERIES);
        return err_hint(e, "name fewer runs");
    }
    figure_series *f = &ss->series[ss->chart.n_series];
    size_t parts = band ? 4 : 2, cells;
    if (!size_mul(&cells, (size_t)n, parts))
        return err_nomem(e, "figure");
    double *x = arena_alloc(&ss->src->mem, cells, sizeof *x, e);
    if (!x)
        return ERR_RESOURCE;
    for (size_t i = 0; i < cells; i++)
        x[i] = (double)NAN;
    *out = (series_room){f, x, x + n, band ? x + 2 * n : NULL, band ? x + 3 * n : NULL};
    *f = (figure_series){.kind = kind, .label = label, .n = n, .x = out->x, .y = out->y, .low = out->low, .high = out->high,
                         .look = look};
    ss->chart.n_series++;
    return 0;
}

/* Values [n] in any order (sorted here) as point k. */
static int put_point(series_room *r, int64_t k, double *values, int64_t n, series_band band, uint64_t seed, err *e)
{
    stats st;
    if (band == BAND_BOOTSTRAP) {
        int rc = stats_of(&st, values, n, seed, e);
        if (rc)
            return rc;
        r->low[k] = st.low;
        r->high[k] = st.high;
    } else {
        stats_plain(&st, values, n);
    }
    r->y[k] = st.mean;
    if (band == BAND_QUARTILES) {
        qsort(values, (size_t)n, sizeof *values, real_ascending);
        r->low[k] = percentile_of_sorted(values, n, 0.25);
        r->high[k] = percentile_of_sorted(values, n, 0.75);
    }
    return 0;
}

int series_means(series_source *ss, int run, const char *label, const table *t, series_band band, err *e)
{
    series_room r;
    int64_t points = 0, n = 0;
    for (int64_t i = 0; i < t->n_row; i++)
        points += i == 0 || table_cell(t, i, 0)->u.i != table_cell(t, i - 1, 0)->u.i;
    double *v = mem_array((size_t)t->n_row + 1, sizeof *v, e);
    int rc = v ? series_add(&r, ss, SERIES_LINE, label, run, points, band != BAND_NONE, e) : ERR_RESOURCE;
    uint64_t seed = 0;
    if (!rc && band == BAND_BOOTSTRAP)
        rc = run_seed(&seed, ss->st, ss->run[run], e);
    for (int64_t i = 0, end; i < t->n_row && !rc; i = end, n++) {
        for (end = i; end < t->n_row && table_cell(t, end, 0)->u.i == table_cell(t, i, 0)->u.i; end++)
            v[end - i] = cell_number(table_cell(t, end, 1));
        r.x[n] = (double)table_cell(t, i, 0)->u.i;
        rc = put_point(&r, n, v, end - i, band, seed, e);
    }
    free(v);
    return rc;
}

/* "A: lantern-3m, 74 tokens, f32, run 3; B: ..." */
static void put_caption(strbuf *b, const series_source *ss)
{
    for (int i = 0; i < ss->n_run; i++) {
        const figure_facts *f = &ss->facts[i];
        strbuf_puts(b, i ? "; " : "");
        if (params_given(ss->a->p, "labels"))
            strbuf_printf(b, "%s: ", ss->label[i]);
        strbuf_printf(b, "%s, ", f->model);
        if (ss->n_prompt[i] == 1)
            strbuf_printf(b, "%" PRId64 " tokens", f->n_token);
        else
            strbuf_printf(b, "mean over %" PRId64 " prompts", ss->n_prompt[i]);
        strbuf_printf(b, "%s, %s, run %" PRId64, f->operated, f->precision, ss->run[i]);
    }
}

int series_titles(series_source *ss, const char *what, err *e)
{
    figure_source *src = ss->src;
    const figure_facts *f = ss->facts;
    bool one_model = true, one_operator = true;
    strbuf b = {0};
    for (int i = 1; i < ss->n_run; i++) {
        one_model &= strcmp(f[i].model, f[0].model) == 0;
        one_operator &= strcmp(f[i].operated, f[0].operated) == 0;
    }
    src->d.title = one_model ? figure_text(src, e, "%s \xc2\xb7 %s", what, f->model) : arena_strdup(&src->mem, what, e);
    if (ss->n_run == 1 && ss->n_prompt[0] == 1)
        strbuf_printf(&b, "%s%s%" PRId64 " tokens", f->label, *f->label ? ", " : "", f->n_token);
    else if (ss->n_run == 1)
        strbuf_printf(&b, "mean over %" PRId64 " prompts", ss->n_prompt[0]);
    if (one_operator)
        strbuf_puts(&b, b.len ? f->operated : f->operated + strspn(f->operated, ", "));
    strbuf_puts(&b, b.len ? ", " : "");
    strbuf_puts(&b, ss->n_run == 1 ? "run " : "runs ");
    for (int i = 0; i < ss->n_run; i++)
        strbuf_printf(&b, "%s%" PRId64, i ? ", " : "", ss->run[i]);
    src->d.subtitle = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    b = (strbuf){0};
    put_caption(&b, ss);
    src->d.caption = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    src->d.lo = src->d.hi = (double)NAN;
    src->d.pool = 1;
    return src->d.title && src->d.subtitle && src->d.caption ? 0 : err_nomem(e, "figure");
}
