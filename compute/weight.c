/* Stored weights as float32: transposition, row order and scales that lie apart. */
#include "compute/weight.h"

#include <string.h>

/* Columns that a window of a plan spans at most, and the gap between two that is read rather
 * than skipped; rows that are fetched before their turn. */
enum { WINDOW = 256, GAP = 16, AHEAD = 12 };

/* 2^(e - 127); e = 255, which stands for no number, becomes infinity. */
static inline float e8m0(unsigned char e)
{
    union { uint32_t u; float f; } v = {e ? (uint32_t)e << 23 : 0x00400000};
    return v.f;
}

static float scale_at(const weight *w, int64_t scale_row, int64_t scale_col)
{
    int64_t at = scale_row * w->scale_ld + scale_col;
    float s;
    if (w->scale_kind == SCALE_E8M0_32)
        return e8m0(((const unsigned char *)w->scale)[at]);
    memcpy(&s, (const unsigned char *)w->scale + at * (int64_t)sizeof s, sizeof s);
    return s;
}

/* x [n], elements col .. of a stored row, times their scales. */
static void apply_scales(float *x, const weight *w, int64_t row, int64_t col, int64_t n)
{
    int64_t rows = w->scale_kind == SCALE_E8M0_32 ? 1 : w->scale_rows;
    int64_t cols = w->scale_kind == SCALE_E8M0_32 ? 32 : w->scale_cols;
    int64_t scale_row = (w->scale_row0 + row) / rows;
    for (int64_t tile = col / cols, end = col + n; col < end; tile++) {
        int64_t stop = (tile + 1) * cols < end ? (tile + 1) * cols : end;
        float s = scale_at(w, scale_row, tile);
        for (; col < stop; col++)
            *x++ *= s;
    }
}

const void *weight_stored(const weight *w, int64_t row, int64_t col)
{
    const dtype_info *t = &dtypes[w->type];
    return (const unsigned char *)w->data + (row * w->ld + col) / t->block * t->block_bytes;
}

typedef void (*row_values)(float *restrict dst, const void *restrict src, int64_t n);

static row_values values_of(dtype t)
{
    const row_values fast = kernels_get()->row_values[t];
    return fast ? fast : dtypes[t].to_f32;
}

/* Elements col .. col + n - 1 of a stored row, counted from data. */
static void load_stored(float *dst, const weight *w, int64_t row, int64_t col, int64_t n)
{
    values_of(w->type)(dst, weight_stored(w, row, col), n);
    if (w->scale_kind != SCALE_NONE)
        apply_scales(dst, w, row, col, n);
}

void weight_load(float *dst, const weight *w, int64_t row, int64_t first, int64_t n)
{
    int64_t stored = weight_stored_row(w, row);
    if (!w->transposed) {
        load_stored(dst, w, stored, first, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        load_stored(dst + i, w, first + i, stored, 1);
}

void weight_plan_columns(column_plan *p, const weight *w, int64_t first, int n)
{
    column_window *c = NULL;
    p->n_window = 0;
    for (int i = 0; i < n; i++) {
        int64_t at = p->column[i] = weight_stored_row(w, first + i);
        int64_t lo = c && c->first < at ? c->first : at;
        int64_t hi = c && c->first + c->n > at ? c->first + c->n : at + 1;
        bool near = c && at >= c->first - GAP && at <= c->first + c->n + GAP;
        if (near && hi - lo <= WINDOW) {
            c->in_order = c->in_order && at == c->first + c->n;
            c->first = lo;
            c->n = (int)(hi - lo);
            c->n_out++;
        } else {
            c = &p->windows[p->n_window++];
            *c = (column_window){.first = at, .n = 1, .first_out = i, .n_out = 1, .in_order = true};
        }
    }
}

/* One window in order, without scales, for n inputs: the common case.  The pieces lie a whole row apart,
 * where no prefetcher finds them by itself. */
static void copy_window(float *dst, int64_t stride, const weight *w, const column_window *c, int64_t first,
                        int64_t n)
{
    const dtype_info *t = &dtypes[w->type];
    const row_values convert = values_of(w->type);
    const char *src = (const char *)w->data + (first * w->ld + c->first) * t->block_bytes;
    int64_t step = w->ld * t->block_bytes, bytes = (int64_t)c->n * t->block_bytes;
    for (int64_t i = 0; i < n; i++, src += step) {
        if (i + AHEAD < n)
            for (int64_t line = 0; line < bytes; line += 64)
                __builtin_prefetch(src + AHEAD * step + line);
        convert(dst + i * stride + c->first_out, src, c->n);
    }
}

static void load_window(float *dst, int64_t stride, const weight *w, const column_plan *p,
                        const column_window *c, int64_t first, int64_t n)
{
    float buffer[WINDOW];
    int last = c->first_out + c->n_out;
    if (c->in_order && w->scale_kind == SCALE_NONE) {
        copy_window(dst, stride, w, c, first, n);
        return;
    }
    for (int64_t i = 0; i < n; i++, dst += stride) {
        load_stored(buffer, w, first + i, c->first, c->n);
        for (int j = c->first_out; j < last; j++)
            dst[j] = buffer[p->column[j] - c->first];
    }
}

void weight_load_columns(float *dst, int64_t stride, const weight *w, const column_plan *p, int64_t first,
                         int64_t n)
{
    for (const column_window *c = p->windows; c < p->windows + p->n_window; c++)
        load_window(dst, stride, w, p, c, first, n);
}
