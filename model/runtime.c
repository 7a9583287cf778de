/* Buffers of a run. */
#include "model/runtime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "compute/kernels.h"

static int replace(float **buffer, int64_t rows, int64_t cols, err *e)
{
    size_t n, bytes;
    if (!size_mul(&n, (size_t)rows, (size_t)cols) || !size_mul(&bytes, n, sizeof(float)))
        return err_nomem(e, "activations");
    mem_free_large(*buffer);
    *buffer = mem_large(bytes ? bytes : 64, e);
    return *buffer ? 0 : ERR_RESOURCE;
}

static int64_t widest(const model *m, int64_t (*of)(const attn_plan *))
{
    int64_t w = 0;
    for (int l = 0; l < m->n_layer; l++) {
        int64_t x = of(&m->layers[l].attn);
        w = x > w ? x : w;
    }
    return w;
}

static int64_t q_width(const attn_plan *a) { return (int64_t)a->n_head * a->d_qk; }
static int64_t k_width(const attn_plan *a) { return (int64_t)a->n_kv_head * a->d_qk; }
static int64_t v_width(const attn_plan *a) { return (int64_t)a->n_kv_head * a->d_v; }
static int64_t head_width(const attn_plan *a) { return (int64_t)a->n_head * a->d_v; }

int64_t runtime_logit_rows(const model *m)
{
    int64_t rows = (1 << 23) / m->vocab / 4;
    return rows < 1 ? 1 : rows > RUNTIME_ROWS ? RUNTIME_ROWS : rows;
}

static int64_t largest_input(const model *m)
{
    int64_t k = m->width > m->ffn ? m->width : m->ffn, h = widest(m, head_width);
    return k > h ? k : h;
}

int runtime_new(runtime **out, const model *m, int threads, precision prec, err *e)
{
    runtime *r = mem_array(1, sizeof *r, e);
    int rc = ERR_RESOURCE;
    if (!r)
        return rc;
    r->m = m;
    r->prec = prec;
    r->cos = mem_array((size_t)m->n_rope, sizeof *r->cos, e);
    r->sin = mem_array((size_t)m->n_rope, sizeof *r->sin, e);
    if (!r->cos || !r->sin || (rc = pool_new(&r->pool, threads, e)) || (rc = gemm_scratch_new(&r->gemm, r->pool, e)) ||
        (rc = attn_scratch_new(&r->attn, r->pool, e)) ||
        (rc = gemm_scratch_reserve(r->gemm, RUNTIME_ROWS, largest_input(m), e)) ||
        (rc = replace(&r->position, pool_threads(r->pool), m->width, e))) {
        runtime_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void runtime_free(runtime *r)
{
    if (!r)
        return;
    float *const buffers[] = {r->x, r->q, r->k, r->v, r->heads, r->normed, r->gate, r->up, r->added, r->position, r->logits};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mem_free_large(buffers[i]);
    for (int i = 0; r->cos && r->sin && i < r->m->n_rope; i++) {
        mem_free_large(r->cos[i]);
        mem_free_large(r->sin[i]);
    }
    free(r->cos);
    free(r->sin);
    attn_scratch_free(r->attn);
    gemm_scratch_free(r->gemm);
    pool_free(r->pool);
    free(r);
}

int runtime_threads(const runtime *r)
{
    return pool_threads(r->pool);
}

/* sin(r) for |r| <= pi/2 by the odd polynomial of degree 9 with the least relative error (6e-9).  Rounded to
 * float32 it gives, entry for entry, the tables of the reference implementation that were compared; correctly
 * rounded values differ from those in one entry of a dozen, by an ulp, and sharp heads show that. */
static double sine_core(double r)
{
    double s = r * r;
    double p = ((2.6057805813459353e-06 * s - 1.9809602877744937e-04) * s + 8.33306624577357e-03) * s -
               1.6666659550416696e-01;
    return r + r * s * p;
}

static float sine(float angle)
{
    double q = rint((double)angle / M_PI), y = sine_core((double)angle - q * M_PI);
    return (float)(fmod(q, 2) != 0 ? -y : y);
}

static float cosine(float angle)
{
    double q = rint((double)angle / M_PI - 0.5), y = sine_core((double)angle - (q + 0.5) * M_PI);
    return (float)(fmod(q, 2) != 0 ? y : -y);
}

/* Angles are rounded to float32 before cosine and sine, as in the reference implementation. */
static int make_rope(runtime *r, int64_t n, err *e)
{
    int rc;
    if (n <= r->rope_capacity)
        return 0;
    r->rope_capacity = 0; /* until every table has its new size */
    for (int i = 0; i < r->m->n_rope; i++) {
        const rope_plan *p = &r->m->ropes[i];
        int half = p->dim / 2;
        if ((rc = replace(&r->cos[i], n, half, e)) || (rc = replace(&r->sin[i], n, half, e)))
            return rc;
        for (int64_t t = 0; t < n; t++)
            for (int j = 0; j < half; j++) {
                float angle = (float)t * p->inv_freq[j];
                r->cos[i][t * half + j] = cosine(angle) * (float)p->magnitude;
                r->sin[i][t * half + j] = sine(angle) * (float)p->magnitude;
            }
    }
    r->rope_capacity = n;
    return 0;
}

int runtime_reserve(runtime *r, int64_t n, int64_t rope_n, err *e)
{
    const model *m = r->m;
    int rc = make_rope(r, rope_n, e);
    if (rc || n <= r->capacity)
        return rc;
    r->capacity = 0; /* until every buffer has its new size */
    if ((rc = replace(&r->x, n, m->width, e)) || (rc = replace(&r->q, n, widest(m, q_width), e)) ||
        (rc = replace(&r->k, n, widest(m, k_width), e)) || (rc = replace(&r->v, n, widest(m, v_width), e)) ||
        (rc = replace(&r->heads, n, widest(m, head_width), e)))
        return rc;
    int64_t rows = n < RUNTIME_ROWS ? n : RUNTIME_ROWS;
    if ((rc = replace(&r->normed, rows, m->width, e)) || (rc = replace(&r->added, rows, m->width, e)) ||
        (rc = replace(&r->gate, rows, m->ffn, e)) || (rc = replace(&r->up, rows, m->ffn, e)))
        return rc;
    r->capacity = n;
    return 0;
}

int runtime_reserve_logits(runtime *r, err *e)
{
    return r->logits ? 0 : replace(&r->logits, runtime_logit_rows(r->m), r->m->vocab, e);
}

size_t forward_memory(const model *m, int64_t n, int threads)
{
    double rows = n < RUNTIME_ROWS ? (double)n : RUNTIME_ROWS, t = (double)n;
    double kv = (double)(widest(m, k_width) + widest(m, v_width));
    double floats = t * (double)(m->width + widest(m, q_width) + widest(m, head_width)) + 2 * t * kv;
    floats += rows * (double)(2 * m->width + 2 * m->ffn) + (double)(runtime_logit_rows(m) * m->vocab);
    floats += (rows + GEMM_MAX_MR) * (double)largest_input(m);
    floats += threads * (2.0 * GEMM_MAX_NR * (double)largest_input(m) + GEMM_MAX_NR * t);
    for (int i = 0; i < m->n_rope; i++)
        floats += t * m->ropes[i].dim;
    return floats * 4 > 9e18 ? SIZE_MAX : (size_t)(floats * 4);
}
