/* --facet: several runs, heads or metrics side by side with one colour scale. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"

typedef enum facet_kind { FACET_RUN, FACET_HEAD, FACET_METRIC } facet_kind;
static const char *const facet_option[] = {"run", "head", "metric"};

typedef struct facets {
    facet_kind kind;
    char *text;                    /* owned; word point into it */
    const char *word[PANELS_MOST];
    int n;
} facets;

/* Runs are numbers, heads look like heads (L1H3, L1H*, 1.3), all else is a metric. */
static facet_kind kind_of(const char *word)
{
    int64_t number;
    head_id h;
    bool any;
    if (parse_int(&number, word))
        return FACET_RUN;
    if (head_parse(&h, word))
        return FACET_HEAD;
    return head_matches(&any, (head_id){ATTN_SELF, 0, 0}, ATTN_SELF, word, NULL) == 0 ? FACET_HEAD : FACET_METRIC;
}

/* What a recipe has no facets of is better said than ignored. */
static int check_recipe(const figure *f, facet_kind kind, err *e)
{
    static const char *const drawn[] = {"head_map", "score_grid", "needle_grid", "received_map", NULL};
    bool known = false;
    for (int i = 0; drawn[i]; i++)
        known |= strcmp(drawn[i], f->name) == 0;
    if (!known) {
        err_set(e, ERR_USAGE, "%s has no facets", f->name);
        return err_hint(e, "--facet is for head_map, score_grid, needle_grid and received_map");
    }
    if ((kind == FACET_METRIC && (strcmp(f->needs, "map") == 0 || strcmp(f->needs, "received map") == 0)) ||
        (kind == FACET_HEAD && strcmp(f->needs, "values") == 0)) {
        err_set(e, ERR_USAGE, "%s has no facets by %s", f->name, kind == FACET_HEAD ? "head" : "metric");
        return err_hint(e, "give %s", kind == FACET_HEAD ? "runs (3,5) or metrics (sink,induction)"
                                                         : "runs (3,5) or heads (L1H3)");
    }
    return 0;
}

static int read_facets(facets *x, const figure *f, const command_args *a, err *e)
{
    char *save = NULL;
    x->text = mem_strdup(params_str(a->p, "facet"), e);
    if (!x->text)
        return ERR_RESOURCE;
    for (char *w = strtok_r(x->text, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
        if (x->n == PANELS_MOST) {
            err_set(e, ERR_USAGE, "option --facet: more than %d panels", PANELS_MOST);
            return err_hint(e, "draw several figures");
        }
        if (x->n && kind_of(w) != x->kind) {
            err_set(e, ERR_USAGE, "option --facet: '%s' and '%s' are not of one sort", x->word[0], w);
            return err_hint(e, "give runs (3,5), or heads (L1H3,L2H0), or metrics (sink,induction)");
        }
        x->kind = kind_of(w);
        x->word[x->n++] = w;
    }
    if (x->n == 0) {
        err_set(e, ERR_USAGE, "option --facet: nothing is named");
        return err_hint(e, "give runs (3,5), or heads (L1H3,L2H0), or metrics (sink,induction)");
    }
    if (params_given(a->p, facet_option[x->kind])) {
        err_set(e, ERR_USAGE, "--facet names a %s for each panel: --%s says something else", facet_option[x->kind],
                facet_option[x->kind]);
        return err_hint(e, "leave --%s out", facet_option[x->kind]);
    }
    return check_recipe(f, x->kind, e);
}

/* Each facet as if it were drawn alone. */
static int load_each(figure_source *src, figure_facts *facts, const facets *x, session *s, const command_args *a, store *st,
                     const figure *f, err *e)
{
    int rc = 0;
    for (int i = 0; i < x->n && !rc; i++) {
        figure_source *one = &src->facet[i];
        src->n_facet = i + 1;
        rc = params_set(a->p, facet_option[x->kind], x->word[i], e);
        if (!rc)
            rc = choose_run(s, a, st, NULL, &one->run, e);
        if (!rc)
            rc = figure_read_facts(&facts[i], one, st, params_int(a->p, "prompt"), e);
        if (!rc)
            rc = figure_load_one(one, s, a, st, f, &facts[i], e);
    }
    return rc;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* One colour bar must be true of all panels. */
static int check_alike(const figure_source *src, const facets *x, err *e)
{
    const figure_data *first = &src->facet[0].d;
    for (int i = 1; i < src->n_facet; i++) {
        const figure_data *d = &src->facet[i].d;
        if (!same_text(first->unit, d->unit)) {
            err_set(e, ERR_USAGE, "%s and %s have different units (%s, %s): one colour bar cannot show both", x->word[0],
                    x->word[i], *first->unit ? first->unit : "none", *d->unit ? d->unit : "none");
            return err_hint(e, "draw them as two figures");
        }
        if (!same_text(first->row_axis, d->row_axis) || !same_text(first->col_axis, d->col_axis)) {
            err_set(e, ERR_USAGE, "%s and %s have different axes (%s by %s, %s by %s)", x->word[0], x->word[i],
                    first->row_axis, first->col_axis, d->row_axis, d->col_axis);
            return err_hint(e, "draw them as two figures");
        }
        if ((first->pool > 1 ? first->pool : 1) != (d->pool > 1 ? d->pool : 1) || !same_text(first->pooling, d->pooling)) {
            err_set(e, ERR_USAGE, "the maps of %s and %s were pooled differently", x->word[0], x->word[i]);
            return err_hint(e, "draw them as two figures");
        }
    }
    return 0;
}

static bool one_model(const facets *x, const figure_facts *facts)
{
    bool one = true;
    for (int i = 1; i < x->n; i++)
        one &= strcmp(facts[i].model, facts[0].model) == 0;
    return one;
}

/* Titles of the panels: what they differ in. */
static const char *panel_title(figure_source *src, const facets *x, const figure_facts *facts, int i, bool trials, err *e)
{
    if (x->kind != FACET_RUN)
        return arena_strdup(&src->mem, x->word[i], e);
    if (!one_model(x, facts))
        return figure_text(src, e, "%s, run %" PRId64, facts[i].model, src->facet[i].run);
    const char *label = trials ? "" : facts[i].label; /* of one trial */
    return figure_text(src, e, "run %" PRId64 "%s%s", src->facet[i].run, *label ? ", " : "", label);
}

/* "sink, induction" where the quantities differ. */
static const char *joined_quantity(figure_source *src, err *e)
{
    strbuf b = {0};
    for (int i = 0; i < src->n_facet; i++) {
        bool before = false;
        for (int k = 0; k < i; k++)
            before |= strcmp(src->facet[k].d.quantity, src->facet[i].d.quantity) == 0;
        if (!before)
            strbuf_printf(&b, "%s%s", b.len ? ", " : "", src->facet[i].d.quantity);
    }
    const char *text = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return text;
}

static const char *runs_text(figure_source *src, err *e)
{
    strbuf b = {0};
    for (int i = 0; i < src->n_facet; i++)
        strbuf_printf(&b, "%s%" PRId64, i ? ", " : "", src->facet[i].run);
    const char *text = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return text;
}

/* The title of the first run; without its model where there are several. */
static const char *common_title(figure_source *src, const facets *x, const figure_facts *facts, err *e)
{
    static const char dot[] = " \xc2\xb7 ";
    const char *title = src->facet[0].d.title, *end = strstr(title, dot);
    size_t n = end && !one_model(x, facts) ? (size_t)(end - title) : strlen(title);
    return arena_strndup(&src->mem, title, n, e);
}

static int put_words(figure_source *src, const facets *x, const figure_facts *facts, bool trials, err *e)
{
    figure_data *d = &src->d;
    const figure_data *first = &src->facet[0].d;
    const char *runs = runs_text(src, e);
    d->row_axis = first->row_axis;
    d->col_axis = first->col_axis;
    d->quantity = joined_quantity(src, e);
    d->unit = first->unit;
    d->cmap = first->cmap;
    d->missing = first->missing;
    d->pool = first->pool;
    d->pooling = first->pooling;
    d->lo = first->lo;
    d->hi = first->hi;
    for (int i = 1; i < src->n_facet; i++) {
        const figure_data *one = &src->facet[i].d;
        d->lo = isnan(d->lo) || isnan(one->lo) ? (double)NAN : fmin(d->lo, one->lo);
        d->hi = isnan(d->hi) || isnan(one->hi) ? (double)NAN : fmax(d->hi, one->hi);
    }
    if (!runs || !d->quantity)
        return ERR_RESOURCE;
    if (x->kind == FACET_RUN) {
        d->title = common_title(src, x, facts, e);
        d->subtitle = figure_text(src, e, "runs %s, %s", runs, facts[0].operator_name);
        d->caption = figure_text(src, e, "%s; runs %s; one colour scale for all panels", d->quantity, runs);
    } else {
        bool one = strcmp(d->quantity, first->quantity) == 0;
        d->title = one ? figure_text(src, e, "%s \xc2\xb7 %s", d->quantity, facts[0].model) : facts[0].model;
        d->subtitle = trials ? first->subtitle
                      : figure_text(src, e, "%s%s%" PRId64 " tokens, %s, run %" PRId64, facts[0].label,
                                  *facts[0].label ? ", " : "", facts[0].n_token, facts[0].operator_name, src->run);
        d->caption = figure_text(src, e, "%s; one colour scale for all panels", first->caption);
    }
    src->label = mem_strdup("facets", e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}

static int put_panels(figure_source *src, const facets *x, const figure_facts *facts, bool trials, err *e)
{
    figure_panels *panels = arena_alloc(&src->mem, 1, sizeof *panels, e);
    figure_panel *panel = panels ? arena_alloc(&src->mem, (size_t)x->n, sizeof *panel, e) : NULL;
    if (!panel)
        return ERR_RESOURCE;
    for (int i = 0; i < x->n; i++) {
        panel[i] = (figure_panel){src->facet[i].d.m, panel_title(src, x, facts, i, trials, e), src->facet[i].d.groups};
        if (!panel[i].title)
            return ERR_RESOURCE;
    }
    *panels = (figure_panels){.panel = panel, .n = x->n};
    src->d.panels = panels;
    return 0;
}

int figure_load_facets(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e)
{
    facets x = {.n = 0};
    figure_facts facts[PANELS_MOST] = {{0}};
    int64_t run[PANELS_MOST];
    bool trials = strcmp(f->needs, "trials") == 0; /* many prompts: no label of one */
    int rc = read_facets(&x, f, a, e);
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
        rc = put_panels(src, &x, facts, trials, e);
    for (int i = 0; i < x.n && !rc; i++)
        run[i] = src->facet[i].run;
    if (!rc)
        rc = figure_put_provenance(src, facts, run, x.kind == FACET_RUN ? x.n : 1, figure_command, e);
    free(x.text);
    return rc;
}
