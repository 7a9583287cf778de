#include <stdlib.h>
#include "analysis/repeats.h"
#include "base/mem.h"

static const param prefix_params[] = {
    {"prefix-length", PARAM_INT, "1", "K", "tokens that must match: the query's and those before it", 1, 64,
     NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct gram {
    int32_t before, id;   /* what ends one token earlier, and the token */
    int64_t position;
} gram;

static int by_gram(const void *x, const void *y)
{
    const gram *a = x, *b = y;
    if (a->before != b->before)
        return a->before < b->before ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

enum { NEVER = -1 }; /* number of a run of tokens that has no equal: too short, or with a piece of an image */

/* number [n]: equal where the last `length` tokens are equal. */
static int number_runs(int32_t *number, const metric_ctx *c, int64_t length, err *e)
{
    gram *g = mem_array((size_t)c->n, sizeof *g, e);
    if (!g)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < c->n; i++)
        number[i] = 0;
    for (int64_t step = 0; step < length; step++) {
        for (int64_t i = 0; i < c->n; i++) {
            int32_t before = step == 0 ? 0 : i > 0 ? number[i - 1] : NEVER;
            g[i] = (gram){c->ids[i] == c->placeholder ? NEVER : before, c->ids[i], i};
        }
        qsort(g, (size_t)c->n, sizeof *g, by_gram);
        int32_t n = 0;
        for (int64_t i = 0; i < c->n; i++) {
            n += i > 0 && by_gram(&g[i], &g[i - 1]) != 0;
            number[g[i].position] = g[i].before == NEVER ? NEVER : n;
        }
    }
    free(g);
    return 0;
}

static int prepare(metric_ctx *c, err *e)
{
    repeats *r;
    int32_t *number = mem_array((size_t)c->n, sizeof *number, e);
    int rc = number ? number_runs(number, c, params_int(c->p, "prefix-length"), e) : ERR_RESOURCE;
    if (!rc)
        rc = repeats_new(&r, number, c->n, NEVER, e);
    free(number);
    if (rc)
        return rc;
    r->match = REPEAT_ANY;
    r->shift = 1;
    c->shared = r;
    return 0;
}

const metric metric_prefix_matching = {
    .name = "prefix_matching",
    .summary = "weight on all tokens that followed earlier copies of the query's token, or of the last K",
    .formula = "mean_i sum_{j : t_(j-K+1..j) = t_(i-K+1..i)} A[i][j + 1]",
    .definition =
        "mean, over the queries i whose last K tokens occurred before, of the sum of A[i][j + 1] over all "
        "positions j < i at which such an occurrence ends.  K = 1 is what induction gives with "
        "induction-match any; a larger K tells heads that match a longer context.  Olsson et al. measure it "
        "on a BOS and 25 random tokens repeated four times.  With a window, queries that see none of their "
        "keys are left out.  No value when nothing occurs twice",
    .unit = "",
    .range = "0 .. 1",
    .source = "prefix-matching score of Olsson et al. 2022 (arXiv 2209.11895); K > 1 is our own",
    .reading =
        "As induction on any text. With K = 2 or 3, heads that still score need the longer context and not "
        "just the token.",
    .traps =
        "On prose, frequent tokens dominate: use repeated random tokens. Few positions qualify for large "
        "K, which makes the mean noisy.",
    .cite = "olsson2022",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
    .validated = "second implementation on dense attention; a perfect copying head",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KIND_SELF | KIND_ENCODER,
    .by_token = true,
    .params = prefix_params,
    .prepare = prepare,
    .release = repeats_release,
    .state_size = query_mean_size,
    .tile = repeats_tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
