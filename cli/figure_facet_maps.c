/* Maps of several runs, heads or metrics side by side with one colour scale. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_facet.h"

/* What a caption says of all panels: "L0H0, L1H3", "6 heads"; NULL where they are runs. */
static int name_all(const char **all, figure_source *src, const facets *x, err *e)
{
    enum { NAMED = 4 };
    strbuf b = {0};
    *all = NULL;
    if (x->kind == FACET_RUN)
        return 0;
    if (x->n > NAMED)
        strbuf_printf(&b, "%d %ss", x->n, facet_option(x));
    for (int i = 0; i < x->n && x->n <= NAMED; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : "", x->word[i]);
    *all = b.failed ? NULL : x->kind == FACET_METRIC ? figure_words(src, strbuf_str(&b), e)
                                                     : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return *all ? 0 : ERR_RESOURCE;
}

/* Each facet as if it were drawn alone. */
static int load_each(figure_source *src, figure_facts *facts, const facets *x, session *s, const command_args *a, store *st,
                     const figure *f, err *e)
{
    const char *all;
    int rc = name_all(&all, src, x, e);
    for (int i = 0; i < x->n && !rc; i++) {
        figure_source *one = &src->facet[i];
        src->n_facet = i + 1;
        one->all = all;
        rc = params_set(a->p, facet_option(x), x->word[i], e);
        if (!rc)
            rc = choose_run(s, a, st, NULL, &one->run, e);
        if (!rc)
            rc = figure_read_facts(&facts[i], one, st, params_int(a->p, "prompt"), e);
        if (!rc)
            rc = figure_load_one(one, s, a, st, f, &facts[i], e);
        if (!rc && one->mean)
            facts[i].label = one->which;
    }
    return rc;
}

/* One colour bar must be true of all panels. */
static int check_alike(const figure_source *src, const facets *x, err *e)
{
    const figure_data *first = &src->facet[0].d;
    for (int i = 1; i < src->n_facet; i++) {
        const figure_data *d = &src->facet[i].d;
        if (!facets_same_text(first->unit, d->unit)) {
            err_set(e, ERR_USAGE, "%s and %s have different units (%s, %s): one colour bar cannot show both", x->word[0],
                    x->word[i], *first->unit ? first->unit : "none", *d->unit ? d->unit : "none");
            return err_hint(e, "draw them as two figures");
        }
        if (!facets_same_text(first->row_axis, d->row_axis) || !facets_same_text(first->col_axis, d->col_axis)) {
            err_set(e, ERR_USAGE, "%s and %s have different axes (%s by %s, %s by %s)", x->word[0], x->word[i],
                    first->row_axis, first->col_axis, d->row_axis, d->col_axis);
            return err_hint(e, "draw them as two figures");
        }
        if ((first->pool > 1 ? first->pool : 1) != (d->pool > 1 ? d->pool : 1) || !facets_same_text(first->pooling, d->pooling)) {
            err_set(e, ERR_USAGE, "the maps of %s and %s were pooled differently", x->word[0], x->word[i]);
            return err_hint(e, "draw them as two figures");
        }
    }
    return 0;
}

static int put_words(figure_source *src, const facets *x, const figure_facts *facts, bool trials, err *e)
{
    figure_data *d = &src->d;
    const figure_data *first = &src->facet[0].d;
    int64_t run[PANELS_MOST];
    for (int i = 0; i < x->n; i++)
        run[i] = src->facet[i].run;
    const char *runs = figure_runs_text(src, run, x->n, ", ", e);
    d->row_axis = first->row_axis;
    d->col_axis = first->col_axis;
    d->quantity = facets_quantity(src, e);
    d->unit = first->unit;
    d->cmap = first->cmap;
    d->missing = first->missing;
    d->pool = first->pool;
    d->pooling = first->pooling;
    facets_limits(d, src);
    if (!runs || !d->quantity)
        return ERR_RESOURCE;
    if (x->kind == FACET_RUN) {
        d->title = facets_title(src, x, facts, e);
        d->subtitle = figure_text(src, e, "runs %s%s", runs, facts[0].operated);
        d->caption = figure_text(src, e, "%s; runs %s; one colour scale for all panels", d->quantity, runs);
    } else {
        bool one = strcmp(d->quantity, first->quantity) == 0;
        d->title = one ? figure_text(src, e, "%s \xc2\xb7 %s", d->quantity, facts[0].model) : facts[0].model;
        const char *which = src->facet[0].which;
        d->subtitle = trials || facts[0].n_token == 0 || !which ? first->subtitle /* of trials, or of the weights */
                      : figure_text(src, e, "%s%s, run %" PRId64, which, facts[0].operated, src->run);
        d->caption = figure_text(src, e, "%s; one colour scale for all panels", first->caption);
    }
    src->label = mem_strdup("facets", e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}

/* Panels in all: a facet may be several itself, one a layer. */
static int count_panels(const figure_source *src)
{
    int n = 0;
    for (int i = 0; i < src->n_facet; i++)
        n += src->facet[i].d.panels ? src->facet[i].d.panels->n : 1;
    return n;
}

static int put_panels(figure_source *src, const facets *x, const figure_facts *facts, const command_args *a, bool trials, err *e)
{
    const char *title[PANELS_MOST];
    int n = count_panels(src), at = 0, rc = facets_titles(title, src, x, facts, a, trials, e);
    if (!rc && n > PANELS_MOST) {
        err_set(e, ERR_USAGE, "%d panels are more than %d", n, PANELS_MOST);
        rc = err_hint(e, "name fewer, or choose a layer with --layer");
    }
    figure_panels *panels = rc ? NULL : arena_alloc(&src->mem, 1, sizeof *panels, e);
    figure_panel *panel = panels ? arena_alloc(&src->mem, (size_t)n, sizeof *panel, e) : NULL;
    if (!panel)
        return rc ? rc : ERR_RESOURCE;
    for (int i = 0; i < x->n; i++) {
        const figure_data *d = &src->facet[i].d;
        if (!d->panels)
            panel[at++] = (figure_panel){d->m, title[i], d->groups};
        for (int k = 0; d->panels && k < d->panels->n; k++, at++) {
            panel[at] = d->panels->panel[k];
            if (!(panel[at].title = figure_text(src, e, "%s, %s", title[i], d->panels->panel[k].title)))
                return ERR_RESOURCE;
        }
    }
    *panels = (figure_panels){.panel = panel, .n = n};
    src->d.panels = panels;
    return 0;
}

int figure_load_map_facets(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e)
{
    facets x;
    figure_facts facts[PANELS_MOST] = {{0}};
    int64_t run[PANELS_MOST];
    bool trials = strcmp(f->needs, "trials") == 0; /* many prompts: no label of one */
    int rc = facets_read(&x, f, a, e);
    if (!rc && !(src->facet = mem_array((size_t)x.n, sizeof *src->facet, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = load_each(src, facts, &x, s, a, st, f, e);
    if (!rc)
        rc = check_alike(src, &x, e);
    if (!rc) {
        src->run = src->facet[0].run;
        for (int i = 1; i < x.n; i++)
            src->several |= src->facet[i].run != src->run;
        rc = put_words(src, &x, facts, trials, e);
    }
    if (!rc)
        rc = put_panels(src, &x, facts, a, trials, e);
    for (int i = 0; i < x.n && !rc; i++)
        run[i] = src->facet[i].run;
    if (!rc && src->several && !(src->runs = figure_runs_text(src, run, x.n, ",", e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = figure_put_provenance(src, facts, run, x.kind == FACET_RUN ? x.n : 1, figure_command, e);
    free(x.text);
    return rc;
}
