/* Operations over rows of activations, in slices shared out to the threads. */
#include "compute/kernels.h"
#include "model/runtime.h"

enum { SLICE = 16 };

typedef struct row_job {
    const kernels *k;
    const norm *norm;
    const qk_norm *qk;
    const rope_plan *rope;
    const float *cos, *sin;
    float *x;                /* rows that change */
    const float *y;
    int64_t ldx, ldy, rows, width, pos0;
    int heads, d;
    act_kind act;
    float a;
} row_job;

static void over_rows(runtime *r, row_job *j, pool_fn fn)
{
    j->k = kernels_get();
    pool_run(r->pool, (j->rows + SLICE - 1) / SLICE, fn, j);
}

static int64_t slice_end(const row_job *j, int64_t item)
{
    return (item + 1) * SLICE < j->rows ? (item + 1) * SLICE : j->rows;
}

#define EACH_ROW(j, item, i) (void)thread; for (int64_t i = (item) * SLICE; i < slice_end(j, item); i++)

static void norm_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i) {
        if (j->norm->kind == NORM_RMS)
            j->k->rms_norm(j->x + i * j->ldx, j->y + i * j->ldy, j->norm->w, j->width, j->norm->eps);
        else
            j->k->layer_norm(j->x + i * j->ldx, j->y + i * j->ldy, j->norm->w, j->norm->b, j->width, j->norm->eps);
    }
}

void rows_norm(runtime *r, const norm *n, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, int64_t width)
{
    row_job j = {.norm = n, .x = y, .ldx = ldy, .y = x, .ldy = ldx, .rows = rows, .width = width};
    over_rows(r, &j, norm_slice);
}

static void qk_norm_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    const qk_norm *n = j->qk;
    int groups = j->heads * j->d / n->width;
    EACH_ROW(j, item, i)
        for (int g = 0; g < groups; g++) {
            float *x = j->x + i * j->ldx + (int64_t)g * n->width;
            const float *w = n->w ? n->w + (n->per_head ? (int64_t)g * n->width : 0) : NULL;
            const float *b = n->b ? n->b + (n->per_head ? (int64_t)g * n->width : 0) : NULL;
            if (n->kind == NORM_RMS)
                j->k->rms_norm(x, x, w, n->width, n->eps);
            else
                j->k->layer_norm(x, x, w, b, n->width, n->eps);
        }
}

void rows_qk_norm(runtime *r, const qk_norm *n, float *x, int64_t ld, int64_t rows, int heads, int d)
{
    row_job j = {.qk = n, .x = x, .ldx = ld, .rows = rows, .heads = heads, .d = d};
    if (n->kind != NORM_NONE)
        over_rows(r, &j, qk_norm_slice);
}

static void add_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i)
        j->k->add(j->x + i * j->ldx, j->y + i * j->ldy, j->width);
}

void rows_add(runtime *r, float *x, int64_t ldx, const float *y, int64_t ldy, int64_t rows, int64_t width)
{
    row_job j = {.x = x, .ldx = ldx, .y = y, .ldy = ldy, .rows = rows, .width = width};
    over_rows(r, &j, add_slice);
}

static void scale_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i)
        j->k->scale(j->x + i * j->ldx, j->a, j->width);
}

void rows_scale(runtime *r, float *x, int64_t ld, float a, int64_t rows, int64_t width)
{
    row_job j = {.x = x, .ldx = ld, .a = a, .rows = rows, .width = width};
    if (a != 1)
        over_rows(r, &j, scale_slice);
}

static void gain_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i)
        j->k->mul(j->x + i * j->ldx, j->y, j->width);
}

void rows_gain(runtime *r, float *x, int64_t ld, const float *gain, int64_t rows, int64_t width)
{
    row_job j = {.x = x, .ldx = ld, .y = gain, .rows = rows, .width = width};
    over_rows(r, &j, gain_slice);
}

static void clamp_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i)
        j->k->clamp(j->x + i * j->ldx, -j->a, j->a, j->width);
}

void rows_clamp(runtime *r, float *x, int64_t ld, float limit, int64_t rows, int64_t width)
{
    row_job j = {.x = x, .ldx = ld, .a = limit, .rows = rows, .width = width};
    over_rows(r, &j, clamp_slice);
}

/* GPT-OSS: alpha and limit of its gated activation. */
static const float oai_alpha = 1.702f, oai_limit = 7.0f;

static void activate_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    EACH_ROW(j, item, i) {
        float *x = j->x + i * j->ldx;
        switch (j->act) {
        case ACT_SILU: j->k->silu(x, j->width); break;
        case ACT_GELU_TANH: j->k->gelu_tanh(x, j->width); break;
        case ACT_GELU_NEW: j->k->gelu_new(x, j->width); break;
        case ACT_GELU_FAST: j->k->gelu_fast(x, j->width); break;
        case ACT_GELU_ERF: j->k->gelu_erf(x, j->width); break;
        case ACT_QUICK_GELU: j->k->quick_gelu(x, j->width); break;
        case ACT_RELU: j->k->relu(x, j->width); break;
        case ACT_RELU2: j->k->relu2(x, j->width); break;
        case ACT_SIGMOID: j->k->sigmoid(x, j->width); break;
        case ACT_SWIGLU_OAI:
            j->k->swiglu_oai(x, j->y + i * j->ldy, j->width, oai_alpha, oai_limit);
            continue;
        }
        if (j->y)
            j->k->mul(x, j->y + i * j->ldy, j->width);
    }
}

void rows_activate(runtime *r, act_kind act, float *gate, int64_t ldg, const float *up, int64_t ldu, int64_t rows,
                   int64_t width)
{
    row_job j = {.act = act, .x = gate, .ldx = ldg, .y = up, .ldy = ldu, .rows = rows, .width = width};
    over_rows(r, &j, activate_slice);
}

static void rope_slice(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    int half = j->rope->dim / 2;
    bool pairs = j->rope->kind == ROPE_INTERLEAVED;
    EACH_ROW(j, item, i) {
        const float *c = j->cos + (j->pos0 + i) * half, *s = j->sin + (j->pos0 + i) * half;
        for (int h = 0; h < j->heads; h++) {
            float *x = j->x + i * j->ldx + (int64_t)h * j->d + j->rope->offset;
            for (int t = 0; t < half; t++) {
                float *p = pairs ? x + 2 * t : x + t, *q = pairs ? p + 1 : p + half;
                float u = *p, v = *q;
                *p = u * c[t] - v * s[t];
                *q = v * c[t] + u * s[t];
            }
        }
    }
}

void rows_rope(runtime *r, int rope, float *x, int64_t ld, int64_t rows, int64_t pos0, int heads, int d)
{
    row_job j = {.rope = &r->m->ropes[rope], .cos = r->cos[rope], .sin = r->sin[rope], .x = x, .ldx = ld,
                 .rows = rows, .pos0 = pos0, .heads = heads, .d = d};
    over_rows(r, &j, rope_slice);
}

void rows_maps(runtime *r, const gemm_map *maps, int n, const float *x, int64_t ldx, int64_t rows, bool decoding)
{
    if (decoding && rows == 1)
        gemv_maps(r->gemm, maps, n, x, r->prec);
    else
        gemm_maps(r->gemm, maps, n, x, ldx, rows, r->prec);
}

void rows_linear(runtime *r, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w,
                 bool decoding)
{
    rows_maps(r, &(gemm_map){w, y, ldy}, 1, x, ldx, rows, decoding);
}
