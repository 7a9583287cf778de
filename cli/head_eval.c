/* Selections of heads, from what was parsed to heads. */
#include "cli/head_select.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "cli/head_grammar.h"
#include "cli/head_list.h"

/* Heads of a space, by index, in the order chosen. */
typedef struct chosen { int *at, n; bool *has; } chosen;

typedef struct evaluation {
    const head_space *space;
    head_source *src;
} evaluation;

static int evaluate(chosen *out, const evaluation *v, const head_expr *x, err *e);

static int chosen_new(chosen *c, const head_space *space, err *e)
{
    *c = (chosen){.at = mem_array((size_t)space->n + 1, sizeof *c->at, e)};
    if (c->at)
        c->has = mem_array((size_t)space->n + 1, sizeof *c->has, e);
    return c->has ? 0 : ERR_RESOURCE;
}

static void chosen_free(chosen *c)
{
    free(c->at);
    free(c->has);
}

static void add(chosen *c, int at)
{
    if (!c->has[at])
        c->at[c->n++] = at;
    c->has[at] = true;
}

/* ---- names ---- */

static int out_of_range(const char *what, int64_t i, const char *owner, int64_t n, const char *things, err *e)
{
    err_set(e, ERR_USAGE, "%s %" PRId64 " out of range (%s has %" PRId64 " %s)", what, i, owner, n, things);
    return err_hint(e, i < 0 ? "-1 is the last" : "layers and heads count from 0");
}

typedef struct bounds { int64_t lo, hi; bool to_end; } bounds;

/* Negative bounds become places; *wrong: the bound that there is not, as it was written. */
static bool resolve(bounds *out, int64_t *wrong, const head_span *s, int64_t n)
{
    *out = (bounds){s->lo < 0 ? s->lo + n : s->lo, s->to_end ? n - 1 : s->hi < 0 ? s->hi + n : s->hi, s->to_end};
    *wrong = out->lo < 0 || (!s->to_end && out->lo >= n) ? s->lo : s->hi;
    return out->lo >= 0 && (s->to_end || (out->lo < n && out->hi >= 0 && out->hi < n));
}

static int backwards(const head_expr *x, err *e)
{
    err_set(e, ERR_USAGE, "'%s': the range runs backwards", x->text);
    return err_hint(e, "write the lower end first: L3-7; L-3- is the last three layers");
}

/* The heads of layer l that x names.  *any: the layer has attention weights; *reached: x names some of it. */
static int add_layer(chosen *out, const evaluation *v, const head_expr *x, attn_kind kind, int64_t l, bool *any, bool *reached,
                     err *e)
{
    const int *first = v->space->first[kind] + l, n = first[1] - first[0];
    bounds b;
    int64_t wrong;
    char owner[32];
    if (n == 0)
        return 0;
    *any = true;
    snprintf(owner, sizeof owner, "layer %" PRId64, l);
    if (!resolve(&b, &wrong, &x->heads, n))
        return out_of_range("head", wrong, owner, n, "heads", e);
    if (b.hi < b.lo && !b.to_end)
        return backwards(x, e);
    *reached |= b.lo <= b.hi;
    for (int64_t h = b.lo; h <= b.hi; h++)
        add(out, first[0] + (int)h);
    return 0;
}

static int add_kind(chosen *out, const evaluation *v, const head_expr *x, attn_kind kind, err *e)
{
    const head_space *space = v->space;
    int64_t n_layer = space->n_layer[kind], wrong;
    bool any = false, reached = false;
    bounds b;
    int rc = 0;
    if (n_layer == 0) {
        err_set(e, ERR_USAGE, space->layers ? "'%s': %s has no such layers" : "'%s': %s has no attention of that kind", x->text,
                space->name);
        return err_hint(e, "`info` prints the %s", space->layers ? "layers of each stack" : "attention of each layer");
    }
    if (!resolve(&b, &wrong, &x->layers, n_layer) || (b.to_end && b.lo >= n_layer))
        return out_of_range("layer", b.to_end ? x->layers.lo : wrong, "model", n_layer, "layers", e);
    if (b.hi < b.lo)
        return backwards(x, e);
    for (int64_t l = b.lo; l <= b.hi && !rc; l++)
        rc = add_layer(out, v, x, kind, l, &any, &reached, e);
    if (rc || (any && (reached || !x->heads.to_end)))
        return rc;
    if (any) /* "H20-": an open range that none of the layers reaches */
        err_set(e, ERR_USAGE, "'%s': no layer has so many heads", x->text);
    else
        err_set(e, ERR_USAGE, "'%s': %s attention weights", x->text,
                b.lo == b.hi ? "the layer has no" : "none of the layers has");
    return err_hint(e, "`info` prints the attention of each layer");
}

/* ", with enc. or cross. before it": the kinds that a word may name. */
static const char *prefixes(char *out, size_t size, const head_space *space)
{
    size_t len = 0;
    out[0] = '\0';
    for (int k = ATTN_SELF + 1; k < HEAD_KINDS; k++)
        if (space->n_layer[k])
            len += (size_t)snprintf(out + len, size - len, "%s%s.", len ? " or " : ", with ", attn_kind_name((attn_kind)k));
    if (len)
        snprintf(out + len, size - len, " before it");
    return out;
}

static int check_name(const head_space *space, const head_expr *x, err *e)
{
    char kinds[64];
    if (space->layers && x->of_heads) {
        err_set(e, ERR_USAGE, "'%s' names no layer", x->text);
        return err_hint(e, "write L2, L2-5, L-1 or all; separate several with commas");
    }
    if (!space->layers && (x->bare || x->of_layer)) {
        err_set(e, ERR_USAGE, x->of_layer ? "'%s' is an activation of a layer, not of heads" : "'%s' names no head", x->text);
        return x->of_layer ? err_hint(e, "heads are those of blocks.3.attn.hook_z and the like (`help heads`)")
                           : err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all%s; separate several with commas",
                                      prefixes(kinds, sizeof kinds, space));
    }
    return 0;
}

static int of_name(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    int rc = check_name(v->space, x, e);
    if (rc)
        return rc;
    if (x->prefixed || !x->every || v->space->layers)
        return add_kind(out, v, x, x->prefixed ? x->kind : v->space->main, e);
    for (int k = ATTN_SELF; k < HEAD_KINDS && !rc; k++)
        if (v->space->n_layer[k])
            rc = add_kind(out, v, x, (attn_kind)k, e);
    return rc;
}

static int no_store(const head_expr *x, err *e)
{
    err_set(e, ERR_USAGE, "'%s' needs a store, and here heads are chosen by name", x->text);
    return err_hint(e, "write L1H3, L1H* (a layer) or all");
}

static int of_list(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    head_id *head = NULL;
    int n = 0, rc = v->src && v->src->s ? head_list_stored(&head, &n, v->src->s, x->name, e) : no_store(x, e);
    for (int i = 0; i < n && !rc; i++) {
        head_text name;
        char text[160];
        head_format(name, head[i]);
        snprintf(text, sizeof text, "%.100s: %s", x->text, name);
        const head_span layer = {head[i].layer, head[i].layer, false}, at = {head[i].head, head[i].head, false};
        const head_expr one = {.op = HEADS_NAME, .text = text, .kind = head[i].kind, .prefixed = head[i].kind != ATTN_SELF,
                               .of_heads = true, .layers = layer, .heads = at};
        rc = of_name(out, v, &one, e);
        if (rc && strncmp(e ? e->msg : "'", "'", 1) != 0)
            err_prefix(e, "%s", text);
    }
    free(head);
    return rc;
}

/* ---- by values, and by chance ---- */

typedef struct scored { double value; int at; } scored;

static int by_value(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value) - (x->value < y->value) : x->at - y->at;
}

static bool passes(double v, const head_expr *x)
{
    switch (x->compare) {
    case LESS: return v < x->bound;
    case LESS_EQUAL: return v <= x->bound;
    case GREATER: return v > x->bound;
    case GREATER_EQUAL: return v >= x->bound;
    case EQUAL: return v == x->bound;
    default: return v != x->bound;
    }
}

/* The heads that x chooses among: of its `in`, else all; *base is zeroed where there is no `in`. */
static int base_of(chosen *base, const evaluation *v, const head_expr *x, err *e)
{
    *base = (chosen){0};
    if (!x->child)
        return 0;
    int rc = chosen_new(base, v->space, e);
    return rc ? rc : evaluate(base, v, x->child, e);
}

/* Those of them that have a value, in order of layers; with a condition those that pass. */
static int scores(scored **out, int *n, int64_t *run, const evaluation *v, const head_expr *x, err *e)
{
    chosen base = {0};
    double *value = NULL;
    *out = NULL;
    *n = 0;
    if (!v->src || !v->src->s || v->space->layers)
        return no_store(x, e);
    int rc = head_values_load(&value, run, v->space, v->src, x, e);
    if (!rc)
        rc = base_of(&base, v, x, e);
    if (!rc && !(*out = mem_array((size_t)v->space->n + 1, sizeof **out, e)))
        rc = ERR_RESOURCE;
    for (int i = 0; i < v->space->n && !rc; i++)
        if ((!x->child || base.has[i]) && !isnan(value[i]) && (x->op != HEADS_WHERE || passes(value[i], x)))
            (*out)[(*n)++] = (scored){x->op == HEADS_TOP ? -value[i] : value[i], i};
    chosen_free(&base);
    free(value);
    if (rc || *n > 0 || x->op == HEADS_WHERE)
        return rc;
    err_set(e, ERR_USAGE, "run %" PRId64 " has no %s of the heads of \"%s\"", *run, x->metric, x->child ? x->child->text : "all");
    return err_hint(e, "`top %s --run %" PRId64 "` lists the values", x->metric, *run);
}

static int of_values(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    scored *s = NULL;
    int n = 0;
    int64_t run = 0;
    int rc = scores(&s, &n, &run, v, x, e);
    if (!rc && x->op != HEADS_WHERE) {
        qsort(s, (size_t)n, sizeof *s, by_value);
        double want = x->percent ? floor(x->count / 100 * n + .5) : x->count;
        n = want < 1 ? 1 : want < n ? (int)want : n;
    }
    for (int i = 0; i < n && !rc; i++)
        add(out, s[i].at);
    free(s);
    return rc;
}

static int of_chance(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    const head_space *space = v->space;
    chosen base;
    rng r;
    int64_t *order = mem_array((size_t)space->n + 1, sizeof *order, e), n = 0;
    int *among = order ? mem_array((size_t)space->n + 1, sizeof *among, e) : NULL;
    int rc = base_of(&base, v, x, e);
    if (!among && !rc)
        rc = ERR_RESOURCE;
    for (int i = 0; i < space->n && !rc; i++)
        if (x->child ? base.has[i] : space->head[i].kind == space->main)
            among[n++] = i;
    if (!rc && x->count > (double)n) {
        err_set(e, ERR_USAGE, "\"%s\": there are only %" PRId64 " heads to draw from", x->text, n);
        rc = err_hint(e, "ask for fewer");
    }
    if (!rc) {
        bool *drawn = mem_array((size_t)space->n + 1, sizeof *drawn, e);
        rng_seed(&r, x->seed, 0);
        rng_shuffle(&r, order, n);
        for (int64_t i = 0; drawn && i < (int64_t)x->count; i++)
            drawn[among[order[i]]] = true;
        for (int i = 0; drawn && i < space->n; i++)
            if (drawn[i])
                add(out, i);
        rc = drawn ? 0 : ERR_RESOURCE;
        free(drawn);
    }
    chosen_free(&base);
    free(among);
    free(order);
    return rc;
}

/* ---- what joins them ---- */

/* Keep of `out` from place `from` on those that are (or are not) in `other`. */
static void filter(chosen *out, const chosen *other, bool in)
{
    int kept = 0;
    for (int i = 0; i < out->n; i++) {
        if (other->has[out->at[i]] == in)
            out->at[kept++] = out->at[i];
        else
            out->has[out->at[i]] = false;
    }
    out->n = kept;
}

static int of_group(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    chosen all;
    bool filters = false;
    int rc = 0;
    for (const head_expr *c = x->child; c; c = c->next)
        filters |= c->join != JOIN_OR;
    for (const head_expr *c = x->child; c && !filters && !rc; c = c->next)
        rc = evaluate(out, v, c, e);
    if (rc || !filters)
        return rc;
    rc = chosen_new(&all, v->space, e);
    for (const head_expr *c = x->child; c && !rc; c = c->next) {
        chosen one;
        if (c->join == JOIN_OR) {
            rc = evaluate(&all, v, c, e);
            continue;
        }
        rc = chosen_new(&one, v->space, e);
        if (!rc)
            rc = evaluate(&one, v, c, e);
        if (!rc)
            filter(&all, &one, c->join == JOIN_AND);
        chosen_free(&one);
    }
    for (int i = 0; i < all.n && !rc; i++)
        add(out, all.at[i]);
    chosen_free(&all);
    return rc;
}

static int of_rest(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    chosen without;
    int rc = chosen_new(&without, v->space, e);
    if (!rc)
        rc = evaluate(&without, v, x->child, e);
    for (int i = 0; i < v->space->n && !rc; i++)
        if (!without.has[i])
            add(out, i);
    chosen_free(&without);
    return rc;
}

static int evaluate(chosen *out, const evaluation *v, const head_expr *x, err *e)
{
    switch (x->op) {
    case HEADS_NAME: return of_name(out, v, x, e);
    case HEADS_LIST: return of_list(out, v, x, e);
    case HEADS_RANDOM: return of_chance(out, v, x, e);
    case HEADS_GROUP: return of_group(out, v, x, e);
    case HEADS_NOT: return of_rest(out, v, x, e);
    default: return of_values(out, v, x, e);
    }
}

static int nothing_left(const head_expr *x, const char *text, bool layers, err *e)
{
    const char *what = layers ? "layer" : "head";
    err_set(e, ERR_USAGE, x->op == HEADS_WHERE ? "no %s passes \"%s\"" : "no %s is left of \"%s\"", what, text);
    if (x->op == HEADS_WHERE)
        return err_hint(e, "`top %s` lists the values", x->metric);
    return err_hint(e, "`and` keeps what both sides name, `except` takes away; a comma joins");
}

int head_select_in(head_id **out, int *n, const head_space *space, head_source *src, const char *text, err *e)
{
    arena mem = {0};
    head_expr *x = NULL;
    chosen c = {0};
    char kinds[64];
    const evaluation v = {space, src};
    *out = NULL;
    *n = 0;
    int rc = head_expr_parse(&x, &mem, text, prefixes(kinds, sizeof kinds, space), e);
    if (!rc)
        rc = chosen_new(&c, space, e);
    if (!rc)
        rc = evaluate(&c, &v, x, e);
    if (!rc && c.n == 0)
        rc = nothing_left(x, text, space->layers, e);
    if (!rc && !(*out = mem_array((size_t)c.n, sizeof **out, e)))
        rc = ERR_RESOURCE;
    for (int i = 0; i < c.n && !rc; i++)
        (*out)[i] = space->head[c.at[i]];
    *n = rc ? 0 : c.n;
    chosen_free(&c);
    arena_free(&mem);
    return rc;
}
