#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "base/mem.h"

static const char *const self_choices[] = {"include", "exclude", NULL};
static const param same_params[] = {
    {"same-self", PARAM_ENUM, "include", "HOW",
     "the query's own position: counted as a key of the same token or not", 0, 0, self_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct key_of { int32_t id; int64_t key; } key_of;

typedef struct same {
    bool exclude;            /* the key at the query's own position */
    key_of *sorted;          /* [n_key] by id, then key */
    int64_t *begin, *end;    /* [n] of the query's token within sorted */
} same;

static int by_id_then_key(const void *x, const void *y)
{
    const key_of *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

/* First index in [a, b) of sorted that is not below (id, key). */
static int64_t first_from(const same *s, int64_t a, int64_t b, int32_t id, int64_t key)
{
    const key_of wanted = {id, key};
    while (a < b) {
        int64_t mid = a + (b - a) / 2;
        if (by_id_then_key(&s->sorted[mid], &wanted) < 0)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static void release(metric_ctx *c)
{
    same *s = c->shared;
    free(s->sorted);
    free(s->begin);
    free(s->end);
    free(s);
    c->shared = NULL;
}

static int prepare(metric_ctx *c, err *e)
{
    bool both = c->ids && c->key_ids;
    int64_t n = both ? c->n : 0, n_key = both ? c->n_key : 0;
    same *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    c->shared = s;
    s->exclude = !strcmp(params_str(c->p, "same-self"), "exclude");
    s->sorted = mem_array((size_t)n_key, sizeof *s->sorted, e);
    s->begin = mem_array((size_t)n, sizeof *s->begin, e);
    s->end = mem_array((size_t)n, sizeof *s->end, e);
    if (!s->sorted || !s->begin || !s->end) {
        release(c);
        return ERR_RESOURCE;
    }
    for (int64_t k = 0; k < n_key; k++)
        s->sorted[k] = (key_of){c->key_ids[k], k};
    qsort(s->sorted, (size_t)n_key, sizeof *s->sorted, by_id_then_key);
    for (int64_t q = 0; q < n; q++) {
        bool piece = c->ids[q] == c->placeholder; /* of an image: the same as itself alone */
        s->begin[q] = first_from(s, 0, n_key, c->ids[q], piece ? q : 0);
        s->end[q] = first_from(s, s->begin[q], n_key, c->ids[q], piece ? q + 1 : n_key);
    }
    return 0;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const same *s = c->shared;
    query_mean *mean = state;
    bool own = c->kind != ATTN_CROSS;
    if (!c->ids || !c->key_ids)
        return;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t from, to, hi = t->visible_hi[q - t->q0], self = own && s->exclude ? t->pos0 + q : -1;
        attn_tile_visible(t, q, &from, &to);
        if (from >= to)
            continue;
        int64_t i = first_from(s, s->begin[q], s->end[q], c->ids[q], from), last = -1;
        for (; i < s->end[q] && s->sorted[i].key < to; i++)
            if (s->sorted[i].key != self) {
                mean->sum += (double)attn_tile_at(t, q, s->sorted[i].key);
                last = s->sorted[i].key;
            }
        /* counted where the last of its keys lies */
        if (i < s->end[q] && s->sorted[i].key == self)
            i++;
        if (last >= 0 && (i == s->end[q] || s->sorted[i].key >= hi))
            mean->n++;
    }
}

const metric metric_same_token = {
    .name = "same_token",
    .summary = "weight on keys that are the same token as the query",
    .formula = "mean_i sum_{j : t_j = t_i} A[i][j]",
    .definition =
        "mean, over the queries i that see such a key, of the sum of A[i][j] over all visible keys j whose "
        "token is that of i, earlier or later.  include: its own position is such a key, so every query "
        "counts.  exclude: it is none.  In cross attention the keys are the source's tokens and the query "
        "has no position among them.  Pieces of an image are the same as nothing but themselves.  No value "
        "when no query counts",
    .unit = "",
    .range = "0 .. 1",
    .source =
        "own; exclude is duplicate_token with later tokens, which only attention that is not causal sees",
    .reading = "High: identity heads, in encoders also those that gather copies of a word.",
    .traps = "With `include` a head on the query itself scores fully: use exclude, or read it beside self.",
    .cite = "attnscope",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
    .validated = "second implementation on dense attention and on maps of every kind of attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .by_token = true,
    .params = same_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .tile = tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
