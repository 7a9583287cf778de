#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "analysis/spectral.h"
#include "base/mem.h"

static const param stable_rank_params[] = {
    {"stable-rank-tolerance", PARAM_REAL, "1e-12", "TOL",
     "relative change over four steps at which the largest singular value is accepted",
     1e-14, 0.1, NULL, NULL},
    {"stable-rank-steps", PARAM_INT, "1000", "N", "most steps of the Lanczos method", 1, 100000, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* The Lanczos method on A^T A of every head.  Vectors behind the last two are not kept: what rounding makes of
 * their orthogonality repeats eigenvalues that were found, and does not move the largest (Paige 1971). */
typedef struct iteration {
    int n_head;
    int64_t n_key;
    bool *done;          /* [n_head] */
    double *x, *last;    /* [n_head][n_key] the vector at hand and the one before it */
    double *next;        /* [chunk][n_head][n_key] A^T A x */
    double *alpha, *beta; /* [n_head][steps] */
    int64_t steps;
    double *square;      /* [chunk][n_head] of the cells of A */
    bool first;
} iteration;

static void on_block(void *ud, const attn_panels *p)
{
    const iteration *it = ud;
    for (int h = 0; h < p->n_head; h++) {
        const float *panel = p->probs + h * p->h_stride;
        const double *x = it->x + h * it->n_key;
        double *next = it->next + (p->chunk * it->n_head + h) * it->n_key;
        double y[ATTN_PANEL_COLUMNS] = {0}, square = 0;
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

/* Row j of the tridiagonal matrix of head h, and the next vector, from z = A^T A x; false: there is none. */
static bool advance(iteration *it, int h, int64_t j, double *z)
{
    double *x = it->x + h * it->n_key, *last = it->last + h * it->n_key, alpha = 0, square = 0;
    double *row = it->alpha + h * it->steps, *beside = it->beta + h * it->steps;
    double before = j > 0 ? beside[j - 1] : 0;
    for (int64_t k = 0; k < it->n_key; k++)
        alpha += x[k] * z[k];
    for (int64_t k = 0; k < it->n_key; k++) {
        z[k] -= alpha * x[k] + before * last[k];
        square += z[k] * z[k];
    }
    double length = sqrt(square);
    row[j] = alpha;
    beside[j] = length;
    for (int64_t k = 0; k < it->n_key && length > 0; k++) {
        last[k] = x[k];
        x[k] = z[k] / length;
    }
    return length > 1e-14 * alpha;
}

/* One step of all heads that are not done; s2[h]: the largest eigenvalue so far, every fourth step and at the
 * end. */
static int step(iteration *it, const attn_args *a, metric_ctx *c, int64_t j, double *s2, err *e)
{
    enum { EVERY = 4 };
    const double tolerance = params_real(c->p, "stable-rank-tolerance");
    int chunks = attn_chunks(a->n_query);
    size_t cells = (size_t)it->n_head * (size_t)it->n_key;
    memset(it->next, 0, (size_t)chunks * cells * sizeof *it->next);
    int rc = runtime_attention_panels(c->run, a, 1, on_block, it, e);
    for (int h = 0; h < it->n_head && !rc; h++) {
        double *z = it->next + h * it->n_key, before = s2[h];
        if (it->done[h])
            continue;
        for (int chunk = 1; chunk < chunks; chunk++)
            for (int64_t k = 0; k < it->n_key; k++)
                z[k] += it->next[(size_t)chunk * cells + (size_t)(h * it->n_key + k)];
        bool last = !advance(it, h, j, z) || j + 1 == it->steps;
        if (!last && (j + 1) % EVERY)
            continue;
        s2[h] = spectral_top_tridiagonal(it->alpha + h * it->steps, it->beta + h * it->steps, j + 1);
        it->done[h] = last || s2[h] - before <= tolerance * s2[h];
    }
    return rc;
}

static bool all_done(const iteration *it)
{
    for (int h = 0; h < it->n_head; h++)
        if (!it->done[h])
            return false;
    return true;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    const int chunks = attn_chunks(a->n_query);
    size_t cells, all;
    iteration it = {.n_head = a->n_head, .n_key = a->n_key, .steps = params_int(c->p, "stable-rank-steps")};
    int rc = 0;
    if (!size_mul(&cells, (size_t)a->n_head, (size_t)a->n_key) || !size_mul(&all, cells, (size_t)chunks))
        return err_nomem(e, "singular vectors");
    double *s2 = mem_array((size_t)a->n_head, sizeof *s2, e);
    it.done = mem_array((size_t)a->n_head, sizeof *it.done, e);
    it.x = mem_array(cells, sizeof *it.x, e);
    it.last = mem_array(cells, sizeof *it.last, e);
    it.alpha = mem_array((size_t)a->n_head * (size_t)it.steps, sizeof *it.alpha, e);
    it.beta = mem_array((size_t)a->n_head * (size_t)it.steps, sizeof *it.beta, e);
    it.next = mem_array(all, sizeof *it.next, e);
    it.square = mem_array((size_t)a->n_head * (size_t)chunks, sizeof *it.square, e);
    if (!s2 || !it.done || !it.x || !it.last || !it.alpha || !it.beta || !it.next || !it.square)
        rc = ERR_RESOURCE;
    /* Weights are not negative, so neither is the vector that is looked for: this one is not orthogonal to it. */
    for (size_t i = 0; i < cells && !rc; i++)
        it.x[i] = 1 / sqrt((double)a->n_key);
    for (int64_t j = 0; j < it.steps && !rc && !all_done(&it); j++) {
        it.first = j == 0;
        rc = step(&it, a, c, j, s2, e);
    }
    for (int h = 0; h < a->n_head && !rc; h++) {
        double square = 0;
        for (int chunk = 0; chunk < chunks; chunk++)
            square += it.square[chunk * a->n_head + h];
        if (s2[h] != 0) /* not NaN either: that is an error */
            rc = metric_emit(c, out, a->layer, h, NO_INDEX, square / s2[h], e);
    }
    free(s2);
    free(it.done);
    free(it.x);
    free(it.last);
    free(it.alpha);
    free(it.beta);
    free(it.next);
    free(it.square);
    return rc;
}

const metric metric_stable_rank = {
    .name = "stable_rank",
    .summary = "stable rank of the attention matrix",
    .formula = "|A|_F^2 / s_max^2",
    .definition =
        "|A|_F^2 / s_max^2 of the matrix [queries, keys] of a head, s_max its largest singular value: the "
        "Lanczos method on A^T A from equal entries, until four steps raise the square by less than the "
        "tolerance, at most stable-rank-steps of them.  1 when all rows are multiples of one, as with a "
        "pure sink; the number of queries for the identity",
    .unit = "",
    .range = "1 .. queries",
    .source = "Rudelson and Vershynin 2007 (stable rank)",
    .reading =
        "1: one pattern for all queries; higher: as many patterns as it says. Robust against small "
        "singular values.",
    .traps = "Grows with the prompt; compare equal lengths. Found by iteration to the given tolerance.",
    .cite = "rudelson2007",
    .missing_mass = "rows are taken as they are",
    .cost = "attention once more for each step (some dozens), all heads of a layer at a time; memory "
            "[18, H, n], and [H, n] panels a thread",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .validated = "singular values by LAPACK of maps of random models of every kind and of reference models",
    .params = stable_rank_params,
    .inputs = inputs,
};
