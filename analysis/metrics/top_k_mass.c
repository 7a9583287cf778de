#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/tile_lanes.h"
#include "base/mem.h"

enum { MAX_K = 256, MAX_LIST = 32 };

static const param top_params[] = {
    {"top-k", PARAM_LIST, "1,2,4,8,16", "K",
     "how many of the largest weights, comma-separated numbers", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct top_plan {
    int n, most;
    int k[MAX_LIST];     /* [n] increasing */
} top_plan;

typedef struct top_state {
    int64_t n;           /* queries that see any key */
    double mass[MAX_LIST];
    float best[];        /* [LANES, most] descending: scratch of a tile */
} top_state;

static int bad_list(const char *word, size_t len, err *e)
{
    err_set(e, ERR_USAGE, "top-k: '%.*s' is not a number of weights", (int)(len < 40 ? len : 40), word);
    return err_hint(e, "give at most %d whole numbers from 1 to %d separated by commas, for example --top-k 1,4,16",
                    MAX_LIST, MAX_K);
}

static void insert_sorted(top_plan *t, int k)
{
    int at = t->n;
    for (int i = 0; i < t->n; i++)
        if (t->k[i] == k)
            return;
    for (; at > 0 && t->k[at - 1] > k; at--)
        t->k[at] = t->k[at - 1];
    t->k[at] = k;
    t->n++;
    t->most = t->k[t->n - 1];
}

static int prepare(metric_ctx *c, err *e)
{
    top_plan *t = mem_array(1, sizeof(*t), e);
    if (!t)
        return ERR_RESOURCE;
    for (const char *word = params_str(c->p, "top-k");;) {
        size_t len = strcspn(word, ",");
        char text[16] = "";
        int64_t k = 0;
        if (len < sizeof(text))
            memcpy(text, word, len);
        if (!parse_int(&k, text) || k < 1 || k > MAX_K || t->n == MAX_LIST) {
            free(t);
            return bad_list(word, len, e);
        }
        insert_sorted(t, (int)k);
        if (word[len] == '\0')
            break;
        word += len + 1;
    }
    c->shared = t;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static size_t state_size(const metric_ctx *c)
{
    const top_plan *plan = c->shared;
    return sizeof(top_state) + LANES * (size_t)plan->most * sizeof(float);
}

/* Put p among the best of a query, which are in descending order; the least falls out. */
static void keep(float *best, int most, float p)
{
    int at = most - 1;
    for (; at > 0 && best[at - 1] < p; at--)
        best[at] = best[at - 1];
    best[at] = p;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const top_plan *plan = c->shared;
    top_state *s = state;
    float buffer[LANES];
    int most = plan->most;
    for (int64_t first = 0; first < t->n_query; first += LANES) {
        float least[LANES] = {0}, poison[LANES] = {0}; /* NaN once a weight is no number */
        memset(s->best, 0, LANES * (size_t)most * sizeof(float));
        for (int64_t key = t->k0; key < t->k0 + t->n_key; key++) {
            const float *p = tile_lanes(buffer, t, first, key);
            int any = 0;
            for (int j = 0; j < LANES; j++)
                any |= !(p[j] <= least[j]);
            for (int j = 0; any && j < LANES; j++)
                if (isnan(p[j])) {
                    poison[j] = p[j];
                } else if (p[j] > least[j]) {
                    keep(s->best + j * most, most, p[j]);
                    least[j] = s->best[j * most + most - 1];
                }
        }
        for (int64_t j = 0; j < lanes_used(t, first); j++) {
            double sum = (double)poison[j];
            int k = 0;
            if (!row_sees(t, first + j))
                continue;
            for (int i = 0; i < plan->n; i++) {
                for (; k < plan->k[i]; k++)
                    sum += (double)s->best[j * most + k];
                s->mass[i] += sum;
            }
            s->n++;
        }
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    const top_plan *plan = c->shared;
    top_state *a = into;
    const top_state *b = from;
    a->n += b->n;
    for (int i = 0; i < plan->n; i++)
        a->mass[i] += b->mass[i];
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const top_plan *plan = c->shared;
    const top_state *s = state;
    int rc = 0;
    for (int i = 0; i < plan->n && !rc && s->n > 0; i++)
        rc = metric_emit(c, out, layer, head, plan->k[i], s->mass[i] / (double)s->n, e);
    return rc;
}

const metric metric_top_k_mass = {
    .name = "top_k_mass",
    .summary = "mass of the k largest weights of a query",
    .formula = "mean_i sum of the k largest A[i][j]",
    .definition =
        "for each k of top-k, at position k: mean over queries that see any key of the sum of the k largest "
        "A[i][j] of row i; all of them where the query sees fewer than k keys.  k = 1 is max.  The recall of "
        "an oracle that keeps k keys",
    .unit = "",
    .range = "0 .. 1",
    .source = "mass recall of the oracle top-k: H2O (arXiv 2306.14048), MInference (arXiv 2407.02490)",
    .reading =
        "How sparse attention is: with k of 8 and 0.9 an oracle cache of 8 keys keeps 90 % of the weight.",
    .traps =
        "An oracle knows the weights beforehand; a method that guesses them keeps less. Short prompts make "
        "every head sparse.",
    .cite = "zhang2023h2o,jiang2024minference",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .axis = AXIS_RANK,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = top_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .tile = tile,
    .merge = merge,
    .finish = finish,
};
