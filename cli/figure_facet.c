/* --facet: what is named, what a recipe has facets of, and the words that panels have in common. */
#include "cli/figure_facet.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/head_select.h"
#include "cli/run_name.h"

static const char *const options[] = {"", "run", "head", "metric"};
enum { BY_RUN = 1 << FACET_RUN, BY_HEAD = 1 << FACET_HEAD, BY_METRIC = 1 << FACET_METRIC };
static const struct { const char *recipe; int by; } facetted[] = {
    {"ablation_bars", BY_RUN | BY_METRIC},
    {"divergence_matrix", BY_RUN | BY_METRIC},
    {"head_map", BY_RUN | BY_HEAD},
    {"layer_curve", BY_RUN | BY_METRIC},
    {"needle_grid", BY_RUN | BY_HEAD | BY_METRIC},
    {"norm_profile", BY_RUN | BY_METRIC},
    {"position_curve", BY_RUN | BY_HEAD},
    {"received_map", BY_RUN | BY_HEAD},
    {"score_curve", BY_RUN | BY_METRIC},
    {"score_grid", BY_RUN | BY_METRIC},
    {"sparsity_curve", BY_RUN | BY_HEAD},
};

const char *facet_option(const facets *x)
{
    return options[x->kind];
}

/* Runs are numbers or `last-1`, heads look like heads (L1H3, L1H*, 1.3), all else is a metric. */
static facet_kind kind_of(const char *word)
{
    bool any;
    if (run_name_like(word))
        return FACET_RUN;
    return head_matches(&any, (head_id){ATTN_SELF, 0, 0}, ATTN_SELF, word, NULL) == 0 ? FACET_HEAD : FACET_METRIC;
}

/* What a recipe has no facets of is better said than ignored. */
static int check_recipe(const figure *f, facet_kind kind, err *e)
{
    static const char *const give[] = {"", "runs (3,5)", "heads (L1H3,L2H0)", "metrics (sink,induction)"};
    int by = 0, n = 0;
    strbuf b = {0};
    for (size_t i = 0; i < sizeof facetted / sizeof *facetted; i++)
        by |= strcmp(facetted[i].recipe, f->name) == 0 ? facetted[i].by : 0;
    if (by >> kind & 1)
        return 0;
    for (int k = FACET_RUN; k <= FACET_METRIC; k++)
        if (by >> k & 1)
            strbuf_printf(&b, "%s%s", n++ ? " or " : "", give[k]);
    if (by) {
        err_set(e, ERR_USAGE, "%s has no facets by %s", f->name, options[kind]);
        err_hint(e, "give %s", strbuf_str(&b));
    } else {
        err_set(e, ERR_USAGE, "%s has no facets", f->name);
        err_hint(e, "--facet is for all other recipes");
    }
    strbuf_free(&b);
    return e->code;
}

int facets_read(facets *x, const figure *f, const command_args *a, err *e)
{
    char *save = NULL;
    *x = (facets){.n = 0};
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
    if (params_given(a->p, facet_option(x))) {
        err_set(e, ERR_USAGE, "--facet names a %s for each panel: --%s says something else", facet_option(x),
                facet_option(x));
        return err_hint(e, "leave --%s out", facet_option(x));
    }
    return check_recipe(f, x->kind, e);
}

/* Names of panels that are runs; NULL in *out where none are given. */
static int read_labels(const char **out, figure_source *src, const facets *x, const command_args *a, err *e)
{
    const char *text = x->kind == FACET_RUN ? params_str(a->p, "labels") : NULL;
    int n = text ? 1 : 0;
    for (const char *c = text; c && *c; c++)
        n += *c == ',';
    out[0] = NULL;
    if (text && n != x->n) {
        err_set(e, ERR_USAGE, "--labels names %d run%s, --facet %d", n, n == 1 ? "" : "s", x->n);
        return err_hint(e, "give a name for each run, separated by commas");
    }
    for (int i = 0; i < n; i++, text += strcspn(text, ",") + 1)
        if (!(out[i] = arena_strndup(&src->mem, text, strcspn(text, ","), e)))
            return ERR_RESOURCE;
    return 0;
}

bool facets_one_model(const facets *x, const figure_facts *facts)
{
    bool one = true;
    for (int i = 1; i < x->n && x->kind == FACET_RUN; i++)
        one &= strcmp(facts[i].model, facts[0].model) == 0;
    return one;
}

static const char *title_of(figure_source *src, const facets *x, const figure_facts *facts, int i, bool many, err *e)
{
    if (x->kind != FACET_RUN)
        return x->kind == FACET_METRIC ? figure_words(src, x->word[i], e) : arena_strdup(&src->mem, x->word[i], e);
    if (!facets_one_model(x, facts))
        return figure_text(src, e, "%s, run %" PRId64, facts[i].model, src->facet[i].run);
    const char *label = many ? "" : facts[i].label; /* of one prompt */
    return figure_text(src, e, "run %" PRId64 "%s%s", src->facet[i].run, *label ? ", " : "", label);
}

int facets_titles(const char **title, figure_source *src, const facets *x, const figure_facts *facts, const command_args *a,
                  bool many, err *e)
{
    int rc = read_labels(title, src, x, a, e);
    bool given = !rc && title[0];
    for (int i = 0; i < x->n && !rc && !given; i++)
        if (!(title[i] = title_of(src, x, facts, i, many, e)))
            rc = ERR_RESOURCE;
    return rc;
}

bool facets_same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

const char *facets_quantity(figure_source *src, err *e)
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

const char *facets_title(figure_source *src, const facets *x, const figure_facts *facts, err *e)
{
    static const char dot[] = " \xc2\xb7 ";
    const char *title = src->facet[0].d.title, *end = strstr(title, dot);
    size_t n = end && !facets_one_model(x, facts) ? (size_t)(end - title) : strlen(title);
    return arena_strndup(&src->mem, title, n, e);
}

void facets_limits(figure_data *d, const figure_source *src)
{
    d->lo = src->facet[0].d.lo;
    d->hi = src->facet[0].d.hi;
    for (int i = 1; i < src->n_facet; i++) {
        const figure_data *one = &src->facet[i].d;
        d->lo = isnan(d->lo) || isnan(one->lo) ? (double)NAN : fmin(d->lo, one->lo);
        d->hi = isnan(d->hi) || isnan(one->hi) ? (double)NAN : fmax(d->hi, one->hi);
    }
}
