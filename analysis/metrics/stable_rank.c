#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"

static const param stable_rank_params[] = {
    {"stable-rank-tolerance", PARAM_REAL, "1e-7", "TOL", "relative change at which the largest singular value is accepted",
     1e-14, 0.1, NULL, NULL},
    {"stable-rank-steps", PARAM_INT, "200", "N", "most steps of power iteration", 1, 100000, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* x of each head, and for each chunk A^T A x and the sum of squares of A. */
typedef struct iteration {
    int n_head;
    int64_t n_key;
    bool *done;          /* [n_head] */
    double *x;           /* [n_head][n_key] */
    double *next;        /* [chunk][n_head][n_key] */
    double *square;      /* [chunk][n_head] */
    bool first;
} iteration;

static void on_block(void *ud, const attn_panels *p)
{
    const iteration *it = ud;
    for (int h = 0; h < p->n_head; h++) {
        const float *panel = p->probs + h * p->h_stride;
        const double *x = it->x + h * it->n_key;
        double *next = it->next + (p->chunk * it->n_head + h) * it->n_key, y[ATTN_PANEL_COLUMNS] = {0}, square = 0;
        for (int64_t k = 0; k < p->n_key && !it->done[h]; k++)
            for (int i = 0; i < ATTN_PANEL_COLUMNS; i++)
                y[i] += (double)panel[k * p->k_stride + i] * x[k];
        for (int64_t k = 0; k < p->n_key && !it->done[h]; k++) {
            double sum = 0;
            for (int i = 0; i < ATTN_PANEL_COLUMNS; i++)
                sum += (double)panel[k * p->k_stride + i] * y[i];
            next[k] += sum;
        }
        for (int64_t k = 0; k < p->n_key * p->k_stride && it->first; k++)
            square += (double)panel[k] * (double)panel[k];
        it->square[p->chunk * it->n_head + h] += square;
    }
}

/* One step: s2[h] = x^T A^T A x for the unit vectors x, which become A^T A x, of length 1 again. */
static int step(iteration *it, const attn_args *a, runtime *r, double *s2, err *e)
{
    int chunks = attn_chunks(a->n_query);
    size_t cells = (size_t)it->n_head * (size_t)it->n_key;
    memset(it->next, 0, (size_t)chunks * cells * sizeof *it->next);
    int rc = runtime_attention_panels(r, a, 1, on_block, it, e);
    for (int h = 0; h < it->n_head && !rc; h++) {
        double *x = it->x + h * it->n_key, *z = it->next + h * it->n_key, dot = 0, length = 0;
        if (it->done[h])
            continue;
        for (int chunk = 1; chunk < chunks; chunk++)
            for (int64_t k = 0; k < it->n_key; k++)
                z[k] += it->next[(size_t)chunk * cells + (size_t)(h * it->n_key + k)];
        for (int64_t k = 0; k < it->n_key; k++) {
            dot += x[k] * z[k];
            length += z[k] * z[k];
        }
        length = sqrt(length);
        for (int64_t k = 0; k < it->n_key && length > 0; k++)
            x[k] = z[k] / length;
        s2[h] = dot;
    }
    return rc;
}

static int iterate(iteration *it, const attn_args *a, metric_ctx *c, double *s2, err *e)
{
    const double tolerance = params_real(c->p, "stable-rank-tolerance");
    const int64_t steps = params_int(c->p, "stable-rank-steps");
    int left = it->n_head, rc = 0;
    double *before = mem_array((size_t)it->n_head, sizeof *before, e);
    if (!before)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < steps && left > 0 && !rc; i++) {
        it->first = i == 0;
        rc = step(it, a, c->run, s2, e);
        for (int h = 0; h < it->n_head && !rc; h++) {
            if (!it->done[h] && i > 0 && s2[h] - before[h] <= tolerance * s2[h]) {
                it->done[h] = true;
                left--;
            }
            before[h] = s2[h];
        }
    }
    free(before);
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    const int chunks = attn_chunks(a->n_query);
    size_t cells, all;
    iteration it = {.n_head = a->n_head, .n_key = a->n_key};
    int rc = 0;
    if (!size_mul(&cells, (size_t)a->n_head, (size_t)a->n_key) || !size_mul(&all, cells, (size_t)chunks))
        return err_nomem(e, "singular vectors");
    double *s2 = mem_array((size_t)a->n_head, sizeof *s2, e);
    it.done = mem_array((size_t)a->n_head, sizeof *it.done, e);
    it.x = mem_array(cells, sizeof *it.x, e);
    it.next = mem_array(all, sizeof *it.next, e);
    it.square = mem_array((size_t)a->n_head * (size_t)chunks, sizeof *it.square, e);
    if (!s2 || !it.done || !it.x || !it.next || !it.square)
        rc = ERR_RESOURCE;
    /* Weights are not negative, so neither is the vector that is looked for: this one cannot be orthogonal to it. */
    for (size_t i = 0; i < cells && !rc; i++)
        it.x[i] = 1 / sqrt((double)a->n_key);
    if (!rc)
        rc = iterate(&it, a, c, s2, e);
    for (int h = 0; h < a->n_head && !rc; h++) {
        double square = 0;
        for (int chunk = 0; chunk < chunks; chunk++)
            square += it.square[chunk * a->n_head + h];
        if (s2[h] > 0)
            rc = metric_emit(c, out, a->layer, h, NO_INDEX, square / s2[h], e);
    }
    free(s2);
    free(it.done);
    free(it.x);
    free(it.next);
    free(it.square);
    return rc;
}

const metric metric_stable_rank = {
    .name = "stable_rank",
    .summary = "stable rank of the attention matrix",
    .definition =
        "|A|_F^2 / s_max^2 of the matrix [queries, keys] of a head, s_max its largest singular value: power iteration on "
        "A^T A from equal entries, until the square grows by less than the tolerance, at most so many steps.  1 when all "
        "rows are multiples of one, as with a pure sink; the number of queries for the identity",
    .unit = "",
    .range = "1 .. queries",
    .source = "Rudelson and Vershynin 2007 (stable rank)",
    .missing_mass = "rows are taken as they are",
    .cost = "attention once more for each step, all heads of a layer at a time; memory [16, H, n] and [H, n] panels a thread",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .params = stable_rank_params,
    .inputs = inputs,
};
