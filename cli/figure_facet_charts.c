/* Charts of several runs, heads or metrics side by side with the same axes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/figure_facet.h"
#include "cli/figure_series.h"

/* Each facet as if it were drawn alone. */
static int load_each(figure_source *src, series_source **ss, const facets *x, session *s, const command_args *a, store *st,
                     const figure *f, err *e)
{
    int rc = 0;
    for (int i = 0; i < x->n && !rc; i++) {
        src->n_facet = i + 1;
        rc = params_set(a->p, facet_option(x), x->word[i], e);
        if (!rc)
            rc = figure_load_chart(&ss[i], &src->facet[i], s, a, st, f, x->kind, e);
    }
    return rc;
}

/* Whether y means the same in all; what x is must be the same. */
static int check_alike(bool *one_y, const figure_source *src, const facets *x, err *e)
{
    const figure_data *first = &src->facet[0].d;
    *one_y = true;
    for (int i = 1; i < src->n_facet; i++) {
        const figure_data *d = &src->facet[i].d;
        *one_y &= facets_same_text(first->unit, d->unit) && facets_same_text(first->quantity, d->quantity);
        if (!facets_same_text(first->col_axis, d->col_axis) || !src->facet[0].d.chart->groups != !d->chart->groups) {
            err_set(e, ERR_USAGE, "%s and %s have different axes (%s, %s)", x->word[0], x->word[i],
                    first->col_axis ? first->col_axis : "sets of heads", d->col_axis ? d->col_axis : "sets of heads");
            return err_hint(e, "draw them as two figures");
        }
    }
    return 0;
}

/* "entropy (nats)" above the axis of each chart; NULL where y means the same in all. */
static int put_quantities(figure_charts *charts, figure_source *src, bool one_y, err *e)
{
    const char **name = one_y ? NULL : arena_alloc(&src->mem, (size_t)charts->n, sizeof *name, e);
    if (one_y)
        return 0;
    for (int i = 0; name && i < charts->n; i++) {
        const figure_data *d = &src->facet[i].d;
        name[i] = d->unit && *d->unit ? figure_text(src, e, "%s (%s)", d->quantity, d->unit) : d->quantity;
        if (!name[i])
            return ERR_RESOURCE;
    }
    charts->quantities = name;
    return name ? 0 : ERR_RESOURCE;
}

static int put_charts(figure_source *src, const facets *x, const figure_facts *facts, series_source *const *ss,
                      const command_args *a, bool one_y, err *e)
{
    bool many = params_int(a->p, "prompt") == 0 && !params_given(a->p, "prompt") && ss[0]->n_prompt[0] > 1;
    figure_charts *charts = arena_alloc(&src->mem, 1, sizeof *charts, e);
    figure_chart *chart = charts ? arena_alloc(&src->mem, (size_t)x->n, sizeof *chart, e) : NULL;
    const char **title = chart ? arena_alloc(&src->mem, PANELS_MOST, sizeof *title, e) : NULL;
    int rc = title ? facets_titles(title, src, x, facts, a, many, e) : ERR_RESOURCE;
    for (int i = 0; i < x->n && !rc; i++) {
        chart[i] = ss[i]->chart;
        if (x->kind == FACET_METRIC && !(title[i] = figure_words(src, x->word[i], e)))
            rc = ERR_RESOURCE;
    }
    if (rc)
        return rc;
    *charts = (figure_charts){.chart = chart, .titles = title, .n = x->n};
    src->d.charts = charts;
    return put_quantities(charts, src, one_y, e);
}

/* Captions of the panels, those of runs one after the other. */
static const char *joined_caption(figure_source *src, const facets *x, err *e)
{
    strbuf b = {0};
    for (int i = 0; i < (x->kind == FACET_RUN ? x->n : 1); i++)
        strbuf_printf(&b, "%s%s", i ? "; " : "", src->facet[i].d.caption);
    const char *text = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return text;
}

static int put_words(figure_source *src, const facets *x, const figure_facts *facts, const int64_t *run, int n_run, bool one_y,
                     err *e)
{
    figure_data *d = &src->d;
    const figure_data *first = &src->facet[0].d;
    d->col_axis = first->col_axis;
    d->quantity = facets_quantity(src, e);
    d->unit = one_y ? first->unit : "";
    d->pool = 1;
    facets_limits(d, src);
    d->title = facets_title(src, x, facts, e);
    d->caption = joined_caption(src, x, e);
    d->subtitle = first->subtitle;
    if (x->kind == FACET_RUN) {
        const char *runs = figure_runs_text(src, run, n_run, ", ", e);
        d->subtitle = runs ? figure_text(src, e, "runs %s%s", runs, facts[0].operated) : NULL;
    }
    src->label = mem_strdup("facets", e);
    return d->quantity && d->title && d->caption && d->subtitle && src->label ? 0 : ERR_RESOURCE;
}

int figure_load_chart_facets(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                             const char *figure_command, err *e)
{
    facets x;
    series_source *ss[PANELS_MOST] = {NULL};
    figure_facts facts[PANELS_MOST] = {{0}};
    int64_t run[PANELS_MOST];
    int n_run = 0;
    bool one_y = true;
    int rc = facets_read(&x, f, a, e);
    if (!rc && !(src->facet = mem_array((size_t)x.n, sizeof *src->facet, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = load_each(src, ss, &x, s, a, st, f, e);
    if (!rc)
        rc = check_alike(&one_y, src, &x, e);
    /* facets by run have one run each; by head or metric all have the same runs */
    for (int i = 0; !rc && i < (x.kind == FACET_RUN ? x.n : ss[0]->n_run); i++) {
        const series_source *of = x.kind == FACET_RUN ? ss[i] : ss[0];
        int at = x.kind == FACET_RUN ? 0 : i;
        facts[i] = of->facts[at];
        run[n_run++] = of->run[at];
    }
    if (!rc) {
        src->run = run[0];
        src->several = n_run > 1;
        if (src->several && !(src->runs = figure_runs_text(src, run, n_run, ",", e)))
            rc = ERR_RESOURCE;
    }
    if (!rc)
        rc = put_words(src, &x, facts, run, n_run, one_y, e);
    if (!rc)
        rc = put_charts(src, &x, facts, ss, a, one_y, e);
    if (!rc)
        rc = figure_put_provenance(src, facts, run, n_run, figure_command, e);
    free(x.text);
    return rc;
}
