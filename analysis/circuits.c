#include "analysis/circuits.h"

#include <stdlib.h>
#include "analysis/linalg.h"
#include "base/cancel.h"
#include "base/mem.h"

int circuit_load(circuit_factors *out, const model *m, attn_kind kind, int layer, circuit which, head_fold fold, err *e)
{
    const attention_block *b = model_attention(m, kind, layer);
    *out = (circuit_factors){0};
    if (!b)
        return err_set(e, ERR_USAGE, "layer %d has no attention of this kind", layer);
    out->plan = &b->plan;
    out->n_head = b->plan.n_head;
    out->d = which == CIRCUIT_QK ? b->plan.d_qk : b->plan.d_v;
    int rc = head_weights_load(&out->left, m, kind, layer, which == CIRCUIT_QK ? HEAD_Q : HEAD_V, fold, e);
    if (!rc)
        rc = head_weights_load(&out->right, m, kind, layer, which == CIRCUIT_QK ? HEAD_K : HEAD_O, fold, e);
    if (rc)
        circuit_free(out);
    return rc;
}

void circuit_free(circuit_factors *f)
{
    free(f->left.x);
    free(f->right.x);
    f->left.x = f->right.x = NULL;
}

typedef struct heads_job {
    const circuit_factors *f;
    int (*each)(void *ud, const circuit_factors *f, int head, err *e);
    void *ud;
    err *why;   /* [n_head] */
} heads_job;

static void one_head(void *ud, int64_t item, int thread)
{
    const heads_job *j = ud;
    (void)thread;
    int rc = j->each(j->ud, j->f, (int)item, &j->why[item]);
    j->why[item].code = rc;
}

int circuit_heads(const circuit_factors *f, pool *p, int (*each)(void *ud, const circuit_factors *f, int head, err *e),
                  void *ud, err *e)
{
    heads_job j = {f, each, ud, mem_array((size_t)f->n_head, sizeof(err), e)};
    if (!j.why)
        return ERR_RESOURCE;
    if (p)
        pool_run(p, f->n_head, one_head, &j);
    for (int h = 0; h < f->n_head && !p; h++)
        one_head(&j, h, 0);
    int rc = 0;
    for (int h = 0; h < f->n_head && !rc; h++)
        if ((rc = j.why[h].code) && e)
            *e = j.why[h];
    free(j.why);
    return rc ? rc : cancel_check(e);
}

static double *widened(const float *x, int64_t n, err *e)
{
    double *y = mem_array((size_t)n, sizeof *y, e);
    for (int64_t i = 0; y && i < n; i++)
        y[i] = (double)x[i];
    return y;
}

/* r [d, d]: |x^T of the rows|: see linalg_qr. */
static int triangle(double *r, const float *rows, int64_t d, int64_t width, err *e)
{
    double *a = widened(rows, d * width, e);
    int rc = a ? linalg_qr(r, a, d, width, e) : ERR_RESOURCE;
    free(a);
    return rc;
}

int circuit_singular_values(double *s, const circuit_factors *f, int head, err *e)
{
    int64_t d = f->d;
    double *r = mem_array((size_t)(3 * d * d), sizeof *r, e);
    if (!r)
        return ERR_RESOURCE;
    /* left = (Q1 R1)^T, right = (Q2 R2)^T: left^T right = Q1 R1 R2^T Q2^T. */
    int rc = triangle(r, head_rows(&f->left, f->plan, head), d, f->left.width, e);
    if (!rc)
        rc = triangle(r + d * d, head_rows(&f->right, f->plan, head), d, f->right.width, e);
    if (!rc) {
        linalg_times_transposed(r + 2 * d * d, r, r + d * d, d, d, d);
        rc = linalg_singular_values(s, r + 2 * d * d, d, d, e);
    }
    free(r);
    return rc;
}

int circuit_norm_factor(float *g, const circuit_factors *f, int head, int side, err *e)
{
    const head_matrices *keep = side == 0 ? &f->left : &f->right, *turn = side == 0 ? &f->right : &f->left;
    const float *rows = head_rows(keep, f->plan, head);
    int64_t d = f->d, width = keep->width;
    double *r = mem_array((size_t)(d * d), sizeof *r, e);
    if (!r)
        return ERR_RESOURCE;
    /* X left^T right = (X left^T) R^T Q^T, whose norm is that of X (R left)^T. */
    int rc = triangle(r, head_rows(turn, f->plan, head), d, turn->width, e);
    for (int64_t i = 0; i < d && !rc; i++)
        for (int64_t c = 0; c < width; c++) {
            double sum = 0;
            for (int64_t k = i; k < d; k++)
                sum += r[i * d + k] * (double)rows[k * width + c];
            g[i * width + c] = (float)sum;
        }
    free(r);
    return rc;
}
