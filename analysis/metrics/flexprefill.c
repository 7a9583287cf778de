#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/head_rows.h"
#include "base/mem.h"

static const param flexprefill_params[] = {
    {"flexprefill-block", PARAM_INT, "128", "N",
     "queries at the end that are looked at, and keys of a block", 1, 1e6, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* Sums of weights by key, for each chunk. */
typedef struct sums { double *of; int64_t n_key; } sums;

static void on_block(void *ud, const attn_panels *p)
{
    const sums *s = ud;
    for (int64_t k = 0; k < p->n_key; k++)
        for (int i = 0; i < p->n_query; i++)
            s->of[p->chunk * s->n_key + k] += (double)p->probs[k * p->k_stride + i];
}

static double relative(const double *p, const double *q, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += p[i] == 0 ? 0 : p[i] * log(2 * p[i] / (p[i] + q[i]));
    return sum;
}

/* softmax of the mean query against mean keys of blocks. */
static void estimate(double *p, double *q, const attn_args *a, int head, int64_t block, int64_t rows)
{
    const float *keys = a->k + head / (a->n_head / a->n_kv_head) * a->d_qk;
    const float *queries = a->q + (a->n_query - rows) * a->ldq + (int64_t)head * a->d_qk;
    double most = -INFINITY, sum = 0;
    int64_t n = (a->n_key + block - 1) / block;
    for (int c = 0; c < a->d_qk; c++) {
        q[c] = 0;
        for (int64_t i = 0; i < rows; i++)
            q[c] += (double)queries[i * a->ldq + c] / (double)rows;
    }
    for (int64_t b = 0; b < n; b++) {
        int64_t end = (b + 1) * block < a->n_key ? (b + 1) * block : a->n_key;
        double score = 0;
        for (int64_t k = b * block; k < end; k++)
            for (int c = 0; c < a->d_qk; c++)
                score += q[c] * (double)keys[k * a->ldk + c];
        p[b] = score / (double)(end - b * block) * (double)a->scale;
        most = p[b] > most ? p[b] : most;
    }
    for (int64_t b = 0; b < n; b++)
        sum += p[b] = exp(p[b] - most);
    for (int64_t b = 0; b < n; b++)
        p[b] /= sum;
}

/* Mean of the last rows, summed over blocks of keys. */
static int truth(double *p, const sums *s, const attn_args *a, runtime *r, int head, int64_t block, int64_t rows,
                 err *e)
{
    const attn_args last = attn_rows_of_head(a, head, a->n_query - rows, rows);
    int chunks = attn_chunks(rows);
    memset(s->of, 0, (size_t)chunks * (size_t)s->n_key * sizeof *s->of);
    int rc = runtime_attention_panels(r, &last, 1, on_block, (void *)(uintptr_t)s, e);
    double all = 0;
    for (int64_t b = 0; b * block < s->n_key; b++)
        p[b] = 0;
    for (int chunk = 0; chunk < chunks; chunk++)
        for (int64_t k = 0; k < s->n_key; k++) {
            p[k / block] += s->of[chunk * s->n_key + k];
            all += s->of[chunk * s->n_key + k];
        }
    for (int64_t b = 0; b * block < s->n_key && all > 0; b++)
        p[b] /= all;
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    const int64_t block = params_int(c->p, "flexprefill-block"), rows = a->n_query < block ? a->n_query : block;
    const size_t blocks = (size_t)((a->n_key + block - 1) / block);
    size_t cells;
    int rc = attn_rows_unedited(a, "flexprefill", e);
    if (rc || blocks < 2)
        return rc;
    if (!size_mul(&cells, (size_t)attn_chunks(rows), (size_t)a->n_key))
        return err_nomem(e, "sums of weights");
    sums s = {mem_array(cells, sizeof(double), e), a->n_key};
    double *p = mem_array(blocks, sizeof *p, e), *true_p = mem_array(blocks, sizeof *true_p, e);
    double *q = mem_array((size_t)a->d_qk, sizeof *q, e);
    if (!s.of || !p || !true_p || !q)
        rc = ERR_RESOURCE;
    for (int h = 0; h < a->n_head && !rc; h++) {
        estimate(p, q, a, h, block, rows);
        rc = truth(true_p, &s, a, c->run, h, block, rows, e);
        int64_t n = (int64_t)blocks;
        double jsd = (relative(p, true_p, n) + relative(true_p, p, n)) / 2;
        if (!rc)
            rc = metric_emit(c, out, a->layer, h, NO_INDEX, jsd <= 0 ? 0 : sqrt(jsd), e); /* keeps NaN */
    }
    free(s.of);
    free(p);
    free(true_p);
    free(q);
    return rc;
}

const metric metric_flexprefill = {
    .name = "flexprefill",
    .summary = "how far block means of keys misjudge the attention of the last queries",
    .formula = "sqrt(JSD(p, t)), p = softmax of block means of q . k, t = block sums of the true weights",
    .definition =
        "with the last 128 queries and keys in blocks of 128: p = softmax over blocks of mean(q) . mean(k) "
        "scale, t = mean over these queries of the weights, summed over each block; the square root of the "
        "Jensen-Shannon divergence of p and t, natural logarithm.  A head is query-aware when it is below "
        "tau (0.1 in the published example, 0 by default in the code), else vertical-slash.  0 log 0 is 0: "
        "the code has NaN there, which counts as vertical-slash.  The estimate knows neither mask, cap nor "
        "bias.  No value for a prompt of one block",
    .unit = "",
    .range = "0 .. sqrt(ln 2)",
    .source = "Lai et al. 2025, FlexPrefill (arXiv 2502.20766), and its code",
    .reading =
        "Small: cheap block means predict where the last queries look, so the head can be pruned by "
        "query-aware blocks. Large: treat it as vertical and slash lines.",
    .traps =
        "Depends on the block size and on the last 128 queries alone. The published example and the code's "
        "default use different thresholds (0.1 and 0).",
    .cite = "lai2025flexprefill",
    .missing_mass = "weights of the last queries are divided by their sum: a learned sink is left out",
    .cost = "128 rows of attention once more, and one pass over the keys of each head",
    .scope = METRIC_HEAD,
    .kinds = KIND_SELF,
    .validated = "second implementation in double on queries, keys and maps of a trained model",
    .params = flexprefill_params,
    .inputs = inputs,
};
