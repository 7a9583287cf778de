#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/activation.h"
#include "base/mem.h"

static const char *const row_choices[] = {"mean", "each", NULL};

static const param sink_logit_gap_params[] = {
    {"sink-logit-gap-key", PARAM_INT, "0", "POSITION", "key of the sink column; negative counts from the end", 0, 0, NULL,
     NULL},
    {"sink-logit-gap-rows", PARAM_ENUM, "mean", "WHICH", "mean over the queries, or each query at its position", 0, 0,
     row_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct gap_state {
    int64_t key;
    bool there, each;
} gap_state;

#define NO_GAP (-DBL_MAX)

/* One layer: gaps [n_head, n_query], NO_GAP where a query has none. */
typedef struct gap_job {
    const attn_args *a;
    int64_t sink;
    double *gaps;
    double *sums;       /* [threads, d_qk] of the keys in view */
    bool cross;
} gap_job;

static int prepare(metric_ctx *c, err *e)
{
    gap_state made = {0}, *s;
    int rc = key_option(&made.key, &made.there, c, "sink-logit-gap-key", e);
    if (rc)
        return rc;
    made.each = !strcmp(params_str(c->p, "sink-logit-gap-rows"), "each");
    if (!(s = mem_array(1, sizeof *s, e)))
        return ERR_RESOURCE;
    *s = made;
    c->shared = s;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static const float *key_of(const attn_args *a, int head, int64_t k)
{
    return a->k + k * a->ldk + (int64_t)(head / (a->n_head / a->n_kv_head)) * a->d_qk;
}

/* What is added to the scaled product of query q and key k. */
static double bias_of(const attn_args *a, int head, int64_t q, int64_t k)
{
    double b = 0;
    if (a->key_bias)
        b += (double)a->key_bias[head * a->n_key + k];
    if (a->rel_bias) /* element key - position + n_query's last position */
        b += (double)a->rel_bias[head * (a->n_query + a->n_key - 1) + k - q + a->n_query - 1];
    return b;
}

static double logit_of(const attn_args *a, int head, int64_t q, int64_t k)
{
    double z = (double)a->scale * row_dot(a->q + q * a->ldq + (int64_t)head * a->d_qk, key_of(a, head, k), a->d_qk);
    if (a->softcap > 0)
        z = (double)a->softcap * tanh(z / (double)a->softcap);
    return z + bias_of(a, head, q, k);
}

static void add_key(double *sum, const float *k, int d, double sign)
{
    for (int i = 0; i < d; i++)
        sum[i] += sign * (double)k[i];
}

/* Sum of the logits over keys lo <= key < hi; linear in the keys unless they are capped. */
static double logit_sum(const gap_job *j, int head, int64_t q, int64_t lo, int64_t hi, const double *keys)
{
    const attn_args *a = j->a;
    const float *query = a->q + q * a->ldq + (int64_t)head * a->d_qk;
    double z = 0;
    if (a->softcap > 0) {
        for (int64_t k = lo; k < hi; k++)
            z += logit_of(a, head, q, k);
        return z;
    }
    for (int i = 0; i < a->d_qk; i++)
        z += (double)query[i] * keys[i];
    z *= (double)a->scale;
    for (int64_t k = lo; k < hi && (a->key_bias || a->rel_bias); k++)
        z += bias_of(a, head, q, k);
    return z;
}

static void one_head(void *ud, int64_t item, int thread)
{
    const gap_job *j = ud;
    const attn_args *a = j->a;
    int head = (int)item;
    int64_t from = 0, to = 0;     /* keys that are in the sum */
    double *keys = j->sums + (int64_t)thread * a->d_qk, *gaps = j->gaps + item * a->n_query;
    memset(keys, 0, (size_t)a->d_qk * sizeof *keys);
    for (int64_t q = 0; q < a->n_query; q++) {
        int64_t lo, hi, own = j->cross ? NO_INDEX : a->pos0 + q;
        attn_visible(a, q, &lo, &hi);
        for (; to < hi; to++)
            add_key(keys, key_of(a, head, to), a->d_qk, 1);
        for (; from < lo; from++)
            add_key(keys, key_of(a, head, from), a->d_qk, -1);
        bool diagonal = own >= lo && own < hi && own != j->sink;
        int64_t others = hi - lo - 1 - diagonal;
        gaps[q] = NO_GAP;
        if (j->sink < lo || j->sink >= hi || own == j->sink || others < 1)
            continue;
        double z = logit_of(a, head, q, j->sink), rest = logit_sum(j, head, q, lo, hi, keys) - z;
        if (diagonal)
            rest -= logit_of(a, head, q, own);
        gaps[q] = z - rest / (double)others;
    }
}

static int emit_head(const metric_ctx *c, const gap_job *j, int head, const result_sink *out, err *e)
{
    const gap_state *s = c->shared;
    const double *gaps = j->gaps + head * j->a->n_query;
    double sum = 0;
    int64_t n = 0;
    int rc = 0;
    for (int64_t q = 0; q < j->a->n_query && !rc; q++) {
        if (gaps[q] == NO_GAP)
            continue;
        if (s->each)
            rc = metric_emit(c, out, j->a->layer, head, q, gaps[q], e);
        sum += gaps[q];
        n++;
    }
    if (n == 0 || s->each || rc)
        return rc;
    return metric_emit(c, out, j->a->layer, head, NO_INDEX, sum / (double)n, e);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    const gap_state *s = c->shared;
    gap_job j = {.a = a, .sink = s->key, .cross = c->kind == ATTN_CROSS};
    size_t cells;
    int rc = ERR_RESOURCE;
    if (!s->there)
        return 0;
    if (!size_mul(&cells, (size_t)a->n_head, (size_t)a->n_query))
        return err_nomem(e, "logit gaps");
    j.gaps = mem_array(cells, sizeof *j.gaps, e);
    j.sums = mem_array((size_t)share_threads(c->run) * (size_t)a->d_qk, sizeof *j.sums, e);
    if (!j.gaps || !j.sums)
        goto out;
    rc = share_out(c->run, a->n_head, one_head, &j, e);
    for (int h = 0; h < a->n_head && !rc; h++)
        rc = emit_head(c, &j, h, out, e);
out:
    free(j.gaps);
    free(j.sums);
    return rc;
}

const metric metric_sink_logit_gap = {
    .name = "sink_logit_gap",
    .summary = "how far the sink's logit lies above those of the other keys",
    .formula = "gap_i = Z[i][s] - mean_{j != s, i} Z[i][j]",
    .definition =
        "gap_i = Z[i][s] - mean of Z[i][j] over the keys j that query i sees, but s and i itself; Z scaled, "
        "capped and biased, before the mask and without a learned sink.  mean: over all queries with a gap, "
        "which under a causal mask and s = 0 are i >= 2.  each: gap_i at position i.  In cross attention no "
        "key is the query's own.  sink-logit-gap-key says which s",
    .unit = "nats",
    .range = "any",
    .source = "Guo et al. 2024 (arXiv 2410.13835) and its probe_utils.py, which averages by token id instead",
    .reading =
        "How firmly the sink is held, in nats: at a gap g the sink has about exp(g) times the weight of a "
        "mean key. It can go on growing in training when the attention has long been saturated.",
    .traps =
        "The published code averages by token id; here it is over positions. A gap of logits is no share "
        "of weight: 100 keys with gap 3 take most of it.",
    .cite = "guo2024dormant",
    .missing_mass = "does not apply: logits, not weights",
    .cost = "one pass over queries and keys; as much as attention itself where logits are capped",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_QUERY,
    .params = sink_logit_gap_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
};
