#include <math.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "analysis/spectral.h"

/* What the tiles of one query give. */
typedef struct bound_row {
    double log_sum, log_square;  /* of ln of its weights */
    double mass;
    double n;                    /* visible keys */
} bound_row;

static size_t state_size(const metric_ctx *c)
{
    return (size_t)c->n * sizeof(bound_row);
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    bound_row *rows = state;
    (void)c;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        bound_row row = rows[q];
        int64_t from, to;
        attn_tile_visible(t, q, &from, &to);
        for (int64_t k = from; k < to; k++) {
            float w = attn_tile_at(t, q, k);
            double z = w > 0 ? (double)logf(w) : (double)-INFINITY;
            row.log_sum += z;
            row.log_square += z * z;
            row.mass += (double)w;
        }
        row.n += to > from ? (double)(to - from) : 0;
        rows[q] = row;
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    bound_row *a = into;
    const bound_row *b = from;
    for (int64_t i = 0; i < c->n; i++) {
        a[i].log_sum += b[i].log_sum;
        a[i].log_square += b[i].log_square;
        a[i].mass += b[i].mass;
        a[i].n += b[i].n;
    }
}

/* Least -sum w ln w of a row whose weights sum to `mass`. */
static double bound_of(const bound_row *r)
{
    if (r->mass <= 0)
        return 0;
    double sigma = INFINITY;
    if (isfinite(r->log_sum)) {
        double square = r->log_square - r->log_sum * r->log_sum / r->n;
        sigma = square > 0 ? sqrt(square) : 0;
    }
    return r->mass * (entropy_floor(sigma, r->n) - log(r->mass));
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const bound_row *rows = state;
    query_mean mean = {0};
    for (int64_t i = 0; i < c->n; i++)
        if (rows[i].n > 0) {
            mean.sum += bound_of(&rows[i]);
            mean.n++;
        }
    return query_mean_finish(&mean, c, layer, head, out, e);
}

const metric metric_entropy_bound = {
    .name = "entropy_bound",
    .summary = "the entropy that logits of this size cannot go below",
    .formula =
        "mean_i F(sigma_i, T_i), F(s, T) = ln(1 + (T - 1) b) + s sqrt(T (T - 1)) b / (1 + (T - 1) b), b = "
        "exp(-s sqrt(T / (T - 1)))",
    .definition =
        "mean over queries i of F(sigma_i, T_i), the least entropy of a softmax over the T_i visible keys "
        "whose logits z have ||z - mean z|| = sigma_i: F = ln(1 + (T - 1) b) + sigma sqrt(T (T - 1)) b / (1 "
        "+ (T - 1) b), b = exp(-sigma sqrt(T / (T - 1))).  Logits as the row has them: scaled, biased, "
        "after RoPE; up to a constant they are the logarithms of the weights.  Never above metric entropy.  "
        "A row with a weight of 0 has bound 0 before its mass counts",
    .unit = "nats",
    .range = "0 .. ln n, with a learned sink ln(n + 1)",
    .source = "Zhai et al. 2023 (arXiv 2303.06296), theorem 3.1 for the norm of the actual row; "
              "entropy_bound_weights is the theorem's own",
    .reading =
        "How peaked attention could be with logits of this size. Close to entropy: the logits are used to "
        "the full on one key; far below it: the head could be sharper than it is.",
    .traps =
        "A bound, not an estimate. It uses the logits of this prompt; for what the weights alone guarantee "
        "see entropy_bound_weights.",
    .cite = "zhai2023",
    .missing_mass = "as entropy: a row whose weights sum to m has bound m (F - ln m)",
    .cost = "tiles, a logarithm for each weight; a state of n rows",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m; "
                 "three values of the theorem (sigma 2, T 16: 2.41871)",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .state_size = state_size,
    .tile = tile,
    .merge = merge,
    .finish = finish,
};
