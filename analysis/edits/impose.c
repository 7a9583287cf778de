#include "analysis/edit.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

typedef struct imposed { double weight; int64_t lo, hi, from, to; } imposed;

static int bad_span(const char *name, const char *text, err *e)
{
    err_set(e, ERR_USAGE, "edit impose: %s=%s is no range of tokens", name, text);
    return err_hint(e, "write %s=3 or %s=3-7, counted from 0", name, name);
}

static int prepare(edit_use *u, const model *m, err *e)
{
    const char *keys = params_str(u->values, "keys"), *queries = params_str(u->values, "queries");
    imposed p = {.weight = params_real(u->values, "weight"), .from = 0, .to = INT64_MAX};
    (void)m;
    if (!keys) {
        err_set(e, ERR_USAGE, "edit impose does not say which keys");
        return err_hint(e, "write impose keys=3-7 weight=0.9 L1H3");
    }
    if (!edit_read_span(&p.lo, &p.hi, keys))
        return bad_span("keys", keys, e);
    if (strcmp(queries, "all") != 0 && !edit_read_span(&p.from, &p.to, queries))
        return bad_span("queries", queries, e);
    if (!(u->state = mem_array(1, sizeof p, e)))
        return ERR_RESOURCE;
    *(imposed *)u->state = p;
    return 0;
}

static void release(edit_use *u)
{
    free(u->state);
}

static void impose_row(const imposed *p, const attn_tile *t, float *probs, int64_t i)
{
    int64_t lo = t->visible_lo[i], hi = t->visible_hi[i], q = t->q0 + i;
    int64_t from = p->lo > lo ? p->lo : lo, to = p->hi < hi ? p->hi + 1 : hi;
    double rest = 0;
    if (from >= to)
        return;
    for (int64_t k = lo; k < hi; k++)
        rest += k >= from && k < to ? 0 : (double)*edit_cell(t, probs, q, k);
    double left = rest > 0 ? (1 - p->weight) / rest : 0, share = (rest > 0 ? p->weight : 1) / (double)(to - from);
    for (int64_t k = lo; k < hi; k++) {
        float *w = edit_cell(t, probs, q, k);
        *w = (float)(k >= from && k < to ? share : (double)*w * left);
    }
}

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    const imposed *p = u->state;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t position = t->pos0 + t->q0 + i;
        if (position >= p->from && position <= p->to)
            impose_row(p, t, probs, i);
    }
}

static const param own[] = {
    {.name = "keys", .kind = PARAM_STR, .value = "RANGE", .help = "keys that get the weight: 3, or 3-7"},
    {.name = "weight", .kind = PARAM_REAL, .def = "1", .value = "W", .min = 0, .max = 1,
     .help = "what they get together"},
    {.name = "queries", .kind = PARAM_STR, .def = "all", .value = "RANGE",
     .help = "queries whose rows are changed: all, 12, 3-7"},
    {.name = NULL},
};

const edit edit_impose = {
    .name = "impose",
    .summary = "a chosen share of the attention goes to chosen keys",
    .definition = "in the rows of the chosen queries, the visible keys of the range get weight together, in equal shares, the "
                  "other keys 1 - weight in proportion to what they had (weight 1 where they had nothing).  Rows that see "
                  "none of the keys stay; nothing goes to a learned sink",
    .source = "Merullo et al., arXiv 2310.08744: heads made to attend as in another task",
    .reading = "Tests a story: would the answer be another one if the head had looked there. Yes speaks for it.",
    .traps = "Weights that the model never produces may have effects that it never has.",
    .cite = "merullo2024",
    .decoding = "the same at every step whose position is among the queries",
    .params = own, .prepare = prepare, .release = release, .weights = weights,
};
