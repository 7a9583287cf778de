#include "cli/tensor_stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/cancel.h"
#include "base/mem.h"

enum { PIECE = 1 << 17, ROUND = 256 }; /* elements of a piece, pieces between two looks at the clock */

/* What is known of some elements: mean and sum of squared distances from it (Welford), mergeable in order. */
typedef struct part {
    int64_t finite, nan, inf, zero;
    double min, max, mean, m2;
} part;

typedef struct job {
    const tensor *t;
    int64_t n, first;  /* elements of the tensor; first piece of this round */
    float *scratch;    /* [threads, PIECE] */
    part *parts;       /* [pieces of the round] */
} job;

int64_t tensor_elements(const tensor *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->n_dim; d++)
        n *= t->shape[d];
    return n;
}

static void measure_piece(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const dtype_info *d = &dtypes[j->t->type];
    int64_t at = (j->first + item) * PIECE, n = j->n - at < PIECE ? j->n - at : PIECE;
    float *x = j->scratch + (int64_t)thread * PIECE;
    part p = {.min = INFINITY, .max = -INFINITY};
    double sum = 0;

    d->to_f32(x, (const unsigned char *)j->t->data + at / d->block * d->block_bytes, n);
    for (int64_t i = 0; i < n; i++) {
        double v = (double)x[i];
        if (!isfinite(v)) {
            p.nan += isnan(v) != 0;
            p.inf += isinf(v) != 0;
            continue;
        }
        p.finite++;
        p.zero += x[i] == 0;
        p.min = v < p.min ? v : p.min;
        p.max = v > p.max ? v : p.max;
        sum += v;
    }
    p.mean = p.finite ? sum / (double)p.finite : 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)x[i] - p.mean;
        if (isfinite(v))
            p.m2 += v * v;
    }
    j->parts[item] = p;
}

static void merge(part *a, const part *b)
{
    double na = (double)a->finite, nb = (double)b->finite, apart = b->mean - a->mean;
    a->nan += b->nan;
    a->inf += b->inf;
    a->zero += b->zero;
    if (!b->finite)
        return;
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
    a->mean += apart * (nb / (na + nb));
    a->m2 += b->m2 + apart * apart * (na * nb / (na + nb));
    a->finite += b->finite;
}

int tensor_measure(tensor_stats *out, const tensor *t, pool *p, const progress *prog, double *done, double total,
                   err *e)
{
    job j = {.t = t, .n = tensor_elements(t)};
    part all = {.min = INFINITY, .max = -INFINITY};
    int64_t pieces = (j.n + PIECE - 1) / PIECE;
    int rc = 0;

    *out = (tensor_stats){.n = j.n, .min = (double)NAN, .max = (double)NAN, .mean = (double)NAN, .std = (double)NAN,
                          .rms = (double)NAN};
    if (!dtypes[t->type].to_f32) {
        *done += (double)t->bytes;
        return 0;
    }
    j.scratch = mem_array((size_t)pool_threads(p) * PIECE, sizeof *j.scratch, e);
    j.parts = mem_array(ROUND, sizeof *j.parts, e);
    if (!j.scratch || !j.parts)
        rc = ERR_RESOURCE;
    for (; j.first < pieces && !rc; j.first += ROUND) {
        int64_t n = pieces - j.first < ROUND ? pieces - j.first : ROUND;
        progress_step(prog, "measuring", *done + (double)t->bytes * (double)j.first / (double)pieces, total);
        pool_run(p, n, measure_piece, &j);
        rc = cancel_check(e);
        for (int64_t i = 0; i < n && !rc; i++)
            merge(&all, &j.parts[i]);
    }
    *done += (double)t->bytes;
    free(j.scratch);
    free(j.parts);
    if (rc)
        return rc;
    out->known = true;
    out->nan = all.nan;
    out->inf = all.inf;
    out->zero = all.zero;
    if (all.finite) {
        double n = (double)all.finite;
        out->min = all.min;
        out->max = all.max;
        out->mean = all.mean;
        out->std = sqrt(all.m2 / n);
        out->rms = sqrt(all.m2 / n + all.mean * all.mean);
    }
    return 0;
}
