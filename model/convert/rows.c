/* Element by element: gather the rows of an output tensor, round them, write them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "model/convert/plan.h"
#include "model/readers/reader.h"

enum { PIECE = 1 << 20 }; /* elements, or bytes, at a time */

/* ---- rounding ---- */

static int overflowed(const plan_tensor *t, float x, err *e)
{
    shown_name text;
    err_set(e, ERR_FAILED, "tensor \"%s\" holds %g, beyond the range of float16 (65504)",
            show_name(text, t->name, strlen(t->name)), (double)x);
    return err_hint(e, "use --dtype bf16, which has the range of float32, or --dtype f32");
}

/* n values in place: x becomes what the output type stores.  *bytes is their size. */
static int round_values(float *x, int64_t n, const plan_tensor *t, size_t *bytes, err *e)
{
    unsigned char *h = (unsigned char *)x; /* the i-th half never overtakes the i-th float */
    bool overflow = false;

    *bytes = (size_t)n * sizeof *x;
    if (t->type == DT_F32)
        return 0;
    *bytes = (size_t)n * sizeof(uint16_t);
    for (int64_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, &x[i], sizeof v);
        uint16_t r = t->type == DT_F16 ? f32_to_f16(v, &overflow) : f32_to_bf16(v);
        if (overflow)
            return overflowed(t, v, e);
        memcpy(h + 2 * i, &r, sizeof r);
    }
    return 0;
}

/* ---- gathering ---- */

/* n elements of a tensor from element `at`; both on block boundaries. */
static void decode(float *dst, const tensor *t, int64_t at, int64_t n)
{
    const dtype_info *d = &dtypes[t->type];
    d->to_f32(dst, (const unsigned char *)t->data + at / d->block * d->block_bytes, n);
}

/* Which row of which source makes row r. */
static const tensor *row_source(int64_t *row, const plan_tensor *t, int64_t r)
{
    const tensor *s = &t->src[0]->t;

    switch (t->kind) {
    case ROWS_UNPAIRED: {
        int64_t in = r % t->head, half = t->head / 2;
        *row = r - in + 2 * (in % half) + in / half;
        return s;
    }
    case ROWS_GROUPED_QKV: {
        int64_t group_rows = (t->q_per_kv + 2) * t->head, group = r / group_rows, in = r % group_rows;
        int64_t n_group = t->n_row / group_rows, part = in / t->head, d = in % t->head;
        if (part < t->q_per_kv)
            *row = (group * t->q_per_kv + part) * t->head + d;
        else
            *row = (n_group * (t->q_per_kv + part - t->q_per_kv) + group) * t->head + d;
        return s;
    }
    case ROWS_ALTERNATE:
        *row = r / 2;
        return r % 2 ? &t->src[1]->t : s;
    default:
        *row = t->first + r;
        return s;
    }
}

/* Row r of kv_b_proj; plane is a decoded head of source 0, [rank, head]. */
static void mla_row(float *dst, const plan_tensor *t, const float *plane, int64_t h, int64_t in)
{
    if (in < t->head)
        for (int64_t j = 0; j < t->n_col; j++)
            dst[j] = plane[j * t->head + in];
    else
        decode(dst, &t->src[1]->t, (h * t->v_head + in - t->head) * t->n_col, t->n_col);
}

/* Rows r0 .. r0 + n - 1; spare has room for a plane of ROWS_MLA_KV, which is kept from call to call. */
static void gather(float *dst, const plan_tensor *t, int64_t r0, int64_t n, float *spare)
{
    for (int64_t r = r0; r < r0 + n; r++, dst += t->n_col) {
        int64_t row;
        if (t->kind == ROWS_MLA_KV) {
            int64_t rows = t->head + t->v_head, h = r / rows;
            if (r == r0 || r % rows == 0)
                decode(spare, &t->src[0]->t, h * t->head * t->n_col, t->head * t->n_col);
            mla_row(dst, t, spare, h, r % rows);
            continue;
        }
        const tensor *s = row_source(&row, t, r);
        decode(dst, s, row * t->n_col, t->n_col);
    }
    if (t->minus_one)
        for (float *x = dst - n * t->n_col; x < dst; x++)
            *x -= 1;
}

/* [rows, cols] -> [cols, rows] */
static void transpose(float *dst, const float *src, int64_t rows, int64_t cols)
{
    enum { TILE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < cols; c0 += TILE)
            for (int64_t r = r0; r < rows && r < r0 + TILE; r++)
                for (int64_t c = c0; c < cols && c < c0 + TILE; c++)
                    dst[c * rows + r] = src[r * cols + c];
}

/* ---- writing ---- */

/* The bytes of the source as they are. */
static int copy_bytes(outfile *f, const plan_tensor *t, const progress *p, double *done, double total, err *e)
{
    const unsigned char *from = t->src[0]->t.data;
    int rc = 0;

    if (t->bytes)
        from += (size_t)t->first * (t->bytes / (size_t)t->n_row);
    for (size_t at = 0; at < t->bytes && !rc; at += PIECE) {
        size_t n = t->bytes - at < PIECE ? t->bytes - at : PIECE;
        rc = outfile_write(f, from + at, n, e);
        *done += (double)n;
        progress_step(p, "writing tensors", *done, total);
        if (!rc)
            rc = cancel_check(e);
    }
    return rc;
}

static bool is_plain_copy(const plan_tensor *t)
{
    return t->kind == ROWS_AS_THEY_ARE && !t->minus_one && !t->slab && t->type == t->src[0]->t.type;
}

int rows_write(outfile *f, const plan_tensor *t, const progress *p, double *done, double total, err *e)
{
    if (is_plain_copy(t))
        return copy_bytes(f, t, p, done, total, e);

    int64_t step = t->slab ? t->slab : PIECE / (t->n_col ? t->n_col : 1) + 1;
    size_t n_value, n_spare = t->kind == ROWS_MLA_KV ? (size_t)(t->head * t->n_col) : 0;
    float *x = NULL, *turned = NULL, *spare = NULL;
    int rc = ERR_RESOURCE;

    if (step > t->n_row)
        step = t->n_row;
    if (!size_mul(&n_value, (size_t)step, (size_t)t->n_col))
        return err_nomem(e, "a tensor");
    x = mem_array(n_value, sizeof *x, e);
    turned = t->slab ? mem_array(n_value, sizeof *x, e) : NULL;
    spare = mem_array(n_spare, sizeof *x, e);
    if (!x || !spare || (t->slab && !turned))
        goto out;
    rc = 0;
    for (int64_t r = 0; r < t->n_row && !rc; r += step) {
        int64_t n = t->n_row - r < step ? t->n_row - r : step;
        size_t bytes;
        float *value = x;
        gather(x, t, r, n, spare);
        if (t->slab) {
            transpose(turned, x, n, t->n_col);
            value = turned;
        }
        rc = round_values(value, n * t->n_col, t, &bytes, e);
        if (!rc)
            rc = outfile_write(f, value, bytes, e);
        *done += (double)bytes;
        progress_step(p, "writing tensors", *done, total);
        if (!rc)
            rc = cancel_check(e);
    }
out:
    free(x);
    free(turned);
    free(spare);
    return rc;
}
