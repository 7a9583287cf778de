#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "base/mem.h"

static const char *const row_choices[] = {"mean", "last", "each", NULL};

static const param entropy_params[] = {
    {"entropy-rows", PARAM_ENUM, "mean", "WHICH",
     "mean over all queries, the last query alone, or each query at its position", 0, 0, row_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

enum which { ROWS_MEAN, ROWS_LAST, ROWS_EACH };

typedef struct entropy_row {
    double value;
    bool seen;
} entropy_row;

typedef struct entropy_state {
    query_mean mean;
    entropy_row row[]; /* [0] for mean, [1] for last, [n] for each */
} entropy_state;

static int prepare(metric_ctx *c, err *e)
{
    enum which *w = mem_array(1, sizeof(*w), e);
    if (!w)
        return ERR_RESOURCE;
    const char *rows = params_str(c->p, "entropy-rows");
    *w = !strcmp(rows, "last") ? ROWS_LAST : !strcmp(rows, "each") ? ROWS_EACH : ROWS_MEAN;
    c->shared = w;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int64_t rows_kept(const metric_ctx *c)
{
    switch (*(const enum which *)c->shared) {
    case ROWS_LAST:
        return 1;
    case ROWS_EACH:
        return c->n;
    default:
        return 0;
    }
}

static size_t state_size(const metric_ctx *c)
{
    return sizeof(entropy_state) + (size_t)rows_kept(c) * sizeof(entropy_row);
}

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    entropy_state *s = state;
    int64_t kept = rows_kept(c);
    query_mean_add(&s->mean, r, r->entropy);
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t row = r->q0 + i - (c->n - kept);
        if (row >= 0 && row < kept && r->visible_lo[i] < r->visible_hi[i])
            s->row[row] = (entropy_row){(double)r->entropy[i], true};
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    entropy_state *a = into;
    const entropy_state *b = from;
    query_mean_merge(&a->mean, &b->mean, c);
    for (int64_t i = 0; i < rows_kept(c); i++)
        if (b->row[i].seen)
            a->row[i] = b->row[i];
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const entropy_state *s = state;
    int64_t kept = rows_kept(c);
    if (kept == 0)
        return query_mean_finish(&s->mean, c, layer, head, out, e);
    int r = 0;
    for (int64_t i = 0; i < kept && r == 0; i++)
        if (s->row[i].seen)
            r = metric_emit(c, out, layer, head, c->n - kept + i, s->row[i].value, e);
    return r;
}

const metric metric_entropy = {
    .name = "entropy",
    .summary = "how spread the attention of a query is",
    .formula = "H = -(1/n) sum_i sum_j A[i][j] ln A[i][j]",
    .definition =
        "E_i = -sum over keys j of A[i][j] ln A[i][j], with 0 ln 0 = 0.  mean: sum of E_i over all n "
        "queries, divided by n; under a causal mask the first query sees one key, has E_0 = 0 where rows sum "
        "to 1, and is included.  last: E of the last query, at its position.  each: E_i at position i, for "
        "every query",
    .unit = "nats",
    .range = "0 .. ln n, with a learned sink ln(n + 1)",
    .source = "Zhai et al. 2023 (arXiv 2303.06296), section 3, and its code",
    .reading =
        "0: every query picks one key; ln n: all keys alike without a mask, ln(n!) / n under a "
        "causal one. Low entropy comes in two kinds, a sink and a "
        "pointed head (previous token, induction): sink and prev_token tell which.",
    .traps =
        "It grows with ln of the prompt's length: compare equal lengths, or use entropy_normalised. A "
        "learned sink lowers it, because its weight has no term.",
    .cite = "zhai2023,clark2019",
    .missing_mass = "rows are taken as they are and not renormalised: the weight of a learned sink has no term "
                    "of its own, but makes the weights of the keys smaller",
    .cost = "free (row statistics)",
    .validated = "entropy of the reference files (two models, nine prompts): 1e-4; "
                 "identities of uniform, identity and pure-sink attention",
    .scope = METRIC_HEAD,
    .axis = AXIS_QUERY,
    .need = ATTN_NEED_ENTROPY,
    .kinds = KINDS_ALL,
    .params = entropy_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .rows = rows,
    .merge = merge,
    .finish = finish,
};
