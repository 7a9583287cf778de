/* Every way a linear map may lie in a file, against the same map written out as plain float32: the products
 * must be the same bits, on every instruction set, with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/gemm.h"
#include "compute/kernels.h"

enum { MAX_OUT = 150 };

static uint64_t seed = 20260303;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float small(void)
{
    return (float)(next() >> 8) / (float)(1 << 22) - 1;
}

/* A stored tensor with room before and behind, and the map it stands for in float32. */
typedef struct sample {
    weight w;
    unsigned char *data, *scale;
    float *plain; /* [n_out, n_in] */
    float bias[MAX_OUT];
} sample;

/* Finite numbers in any type: bytes at random, exponents kept moderate. */
static void fill(unsigned char *data, size_t bytes, dtype t)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)next();
    uint16_t h;
    float f;
    switch (t) {
    case DT_F32:
        for (size_t i = 0; i + 4 <= bytes; i += 4) {
            f = small();
            memcpy(data + i, &f, 4);
        }
        break;
    case DT_F16:
        for (size_t i = 1; i < bytes; i += 2)
            data[i] = (unsigned char)((data[i] & 0x87) | 0x30);
        break;
    case DT_BF16:
        for (size_t i = 0; i + 2 <= bytes; i += 2) {
            h = f32_to_bf16(small());
            memcpy(data + i, &h, 2);
        }
        break;
    case DT_Q4_0:
        for (size_t i = 0; i + 18 <= bytes; i += 18) {
            data[i] = (unsigned char)next();
            data[i + 1] = (unsigned char)(0x28 | (next() & 0x83));
        }
        break;
    case DT_F8_E4M3:
        for (size_t i = 0; i < bytes; i++)
            data[i] = (data[i] & 0x7f) == 0x7f ? 0x38 : data[i];
        break;
    default:
        break;
    }
}

/* The stored tensor has `rows` rows of ld elements. */
static sample *sample_new(dtype t, int64_t n_out, int64_t n_in, bool transposed, int64_t rows, int64_t ld)
{
    sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    size_t bytes = (size_t)(rows * ld / dtypes[t].block * dtypes[t].block_bytes);
    s->data = malloc(bytes + 1);
    s->plain = malloc((size_t)(n_out * n_in) * sizeof *s->plain);
    assert_true(s->data && s->plain);
    fill(s->data + 1, bytes, t); /* odd addresses: files align nothing */
    s->w = (weight){.type = t, .data = s->data + 1, .n_out = n_out, .n_in = n_in, .ld = ld,
                    .transposed = transposed};
    for (int64_t i = 0; i < n_out; i++)
        s->bias[i] = small();
    return s;
}

static void sample_free(sample *s)
{
    free(s->data);
    free(s->scale);
    free(s->plain);
    free(s);
}

/* Element (stored row, stored column) counted from data, straight from the bytes. */
static float stored(const weight *w, int64_t row, int64_t col)
{
    const dtype_info *t = &dtypes[w->type];
    int64_t at = row * w->ld + col;
    float block[256], x;
    t->to_f32(block, (const unsigned char *)w->data + at / t->block * t->block_bytes, t->block);
    x = block[at % t->block];
    if (w->scale_kind == SCALE_E8M0_32) {
        const unsigned char *e = w->scale;
        x = ldexpf(x, e[(w->scale_row0 + row) * w->scale_ld + col / 32] - 127);
    }
    if (w->scale_kind == SCALE_F32_TILE) {
        float f;
        int64_t tile = (w->scale_row0 + row) / w->scale_rows * w->scale_ld + col / w->scale_cols;
        memcpy(&f, (const unsigned char *)w->scale + tile * 4, 4);
        x *= f;
    }
    return x;
}

/* Fill s->plain, given where each output is stored. */
static void write_out(sample *s, const int64_t *at)
{
    for (int64_t o = 0; o < s->w.n_out; o++)
        for (int64_t i = 0; i < s->w.n_in; i++)
            s->plain[o * s->w.n_in + i] = s->w.transposed ? stored(&s->w, i, at[o]) : stored(&s->w, at[o], i);
}

/* The products of the sample against those of the plain map. */
static void compare(sample *s, bool with_bias)
{
    const weight *w = &s->w;
    static const int threads[] = {1, 2, 5};
    static const precision precisions[] = {PRECISION_F32, PRECISION_BF16};
    int64_t n_out = w->n_out, n_in = w->n_in, ldy = n_out + 3, rows = 17;
    float *x = malloc((size_t)(rows * n_in) * sizeof *x), *y = malloc((size_t)(rows * ldy) * sizeof *y);
    float *want = malloc((size_t)(rows * ldy) * sizeof *want);
    float *t = malloc((size_t)(n_out * n_in) * sizeof *t);
    assert_true(x && y && want && t);
    for (int64_t i = 0; i < rows * n_in; i++)
        x[i] = small();
    s->w.bias = with_bias ? s->bias : NULL;
    weight plain = {.type = DT_F32, .data = s->plain, .n_out = n_out, .n_in = n_in, .ld = n_in,
                    .bias = s->w.bias};
    for (int64_t o = 0; o < n_out; o++)
        for (int64_t i = 0; i < n_in; i++)
            t[i * n_out + o] = s->plain[o * n_in + i];
    uint16_t *upper = malloc((size_t)(n_out * n_in) * sizeof *upper); /* bfloat16 rows have an order of additions of their own */
    assert_true(upper);
    for (int64_t i = 0; i < n_out * n_in; i++)
        memcpy(upper + i, (const char *)(s->plain + i) + 2, sizeof *upper);
    weight halves = {.type = DT_BF16, .data = upper, .n_out = n_out, .n_in = n_in, .ld = n_in, .bias = s->w.bias};
    weight columns = {.type = DT_F32, .data = t, .n_out = n_out, .n_in = n_in, .ld = n_out,
                      .transposed = true, .bias = s->w.bias};

    for (int64_t o = 0; o < n_out; o++) {
        weight_load(y, w, o, 0, n_in);
        assert_memory_equal(y, s->plain + o * n_in, (size_t)n_in * sizeof *y);
        int64_t block = dtypes[w->type].block, first = n_in / block / 2 * block;
        weight_load(y, w, o, first, n_in - first);
        assert_memory_equal(y, s->plain + o * n_in + first, (size_t)(n_in - first) * sizeof *y);
    }
    for (const kernels *const *k = kernels_all(); *k; k++) {
        const char *note;
        assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
        for (size_t c = 0; c < 6; c++) {
            precision prec = precisions[c / 3];
            err e = {0};
            pool *p;
            gemm_scratch *g;
            assert_int_equal(pool_new(&p, threads[c % 3], &e), 0);
            assert_int_equal(gemm_scratch_new(&g, p, &e), 0);
            assert_int_equal(gemm_scratch_reserve(g, rows, n_in, &e), 0);
            for (int64_t i = 0; i < rows * ldy; i++)
                y[i] = want[i] = 99;
            /* strict: how many terms tiles take depends on the type */
            gemm(g, y, ldy, x, n_in, rows, w, prec == PRECISION_F32 ? PRECISION_F32_STRICT : prec);
            gemm(g, want, ldy, x, n_in, rows, &plain, prec == PRECISION_F32 ? PRECISION_F32_STRICT : prec);
            assert_memory_equal(y, want, (size_t)(rows * ldy) * sizeof *y);
            gemv(g, y, x, w, prec == PRECISION_F32 ? PRECISION_F32_STRICT : prec); /* blocks as floats */
            gemv(g, want, x, w->transposed ? &columns : w->type == DT_BF16 ? &halves : &plain, prec);
            assert_memory_equal(y, want, (size_t)n_out * sizeof *y);
            gemm_scratch_free(g);
            pool_free(p);
        }
    }
    assert_int_equal(kernels_select("best", &(const char *){NULL}, NULL), 0);
    free(x);
    free(y);
    free(want);
    free(t);
    free(upper);
}

static const dtype plain_types[] = {DT_F32, DT_F16, DT_BF16};

/* A matrix on its own, and rows of one inside a wider tensor. */
static void test_plain(void **state)
{
    (void)state;
    int64_t at[MAX_OUT];
    for (int i = 0; i < MAX_OUT; i++)
        at[i] = i;
    for (size_t k = 0; k < 3; k++)
        for (int wide = 0; wide < 2; wide++)
            for (int transposed = 0; transposed < 2; transposed++) {
                int64_t n_out = 70, n_in = k ? 45 : 700, ld = (transposed ? n_out : n_in) + 13 * wide;
                int64_t rows = transposed ? n_in : n_out;
                sample *s = sample_new(plain_types[k], n_out, n_in, transposed, rows, ld);
                write_out(s, at);
                compare(s, wide);
                sample_free(s);
            }
    sample *s = sample_new(DT_Q4_0, 67, 96, false, 67, 128);
    write_out(s, at);
    compare(s, true);
    sample_free(s);
}

/* Queries, keys and values of a head side by side, and gate and up in turn: every part is one map. */
static void test_row_blocks(void **state)
{
    (void)state;
    static const struct { int64_t block, stride, blocks; } cases[] = {
        {1, 2, 75}, {1, 3, 50}, {4, 12, 20}, {8, 24, 9}, {16, 80, 8}, {64, 192, 2}, {50, 350, 3}, {5, 5, 13},
    };
    int64_t at[MAX_OUT];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int transposed = 0; transposed < 2; transposed++) {
            int64_t block = cases[k].block, stride = cases[k].stride, blocks = cases[k].blocks;
            int64_t n_out = block * blocks, n_in = 33, stored_out = stride * blocks, offset = stride - block;
            int64_t rows = transposed ? n_in : stored_out, ld = transposed ? stored_out : n_in;
            sample *s = sample_new(plain_types[k % 3], n_out, n_in, transposed, rows, ld);
            /* the last of the parts: nothing may be read behind it */
            int64_t size = dtypes[s->w.type].block_bytes;
            s->w.data = s->data + 1 + offset * size * (transposed ? 1 : n_in);
            s->w.row_block = block;
            s->w.row_stride = stride;
            for (int64_t o = 0; o < n_out; o++)
                at[o] = o / block * stride + o % block;
            write_out(s, at);
            compare(s, k & 1);
            sample_free(s);
        }
}

/* Rows whose heads have their halves interleaved, alone and within fused rows. */
static void test_paired(void **state)
{
    (void)state;
    int64_t at[MAX_OUT];
    for (int fused = 0; fused < 2; fused++)
        for (int transposed = 0; transposed < 2; transposed++)
            for (int d = 4; d <= 48; d += 22) {
                int64_t heads = 3, n_out = heads * d, n_in = 21;
                int64_t stride = fused ? 3 * d : d, rows = heads * stride;
                sample *s = sample_new(DT_BF16, n_out, n_in, transposed, transposed ? n_in : rows,
                                       transposed ? rows : n_in);
                s->w.paired = d;
                if (fused) {
                    s->w.row_block = d;
                    s->w.row_stride = stride;
                }
                for (int64_t h = 0; h < heads; h++)
                    for (int64_t half = 0; half < 2; half++)
                        for (int64_t i = 0; i < d / 2; i++)
                            at[h * d + half * d / 2 + i] = h * stride + 2 * i + half;
                write_out(s, at);
                compare(s, fused);
                sample_free(s);
            }
}

/* Four-bit floats with a power of two for every 32 inputs: even rows of an expert's gate and up. */
static void test_e8m0_scales(void **state)
{
    (void)state;
    enum { OUT = 37, IN = 96, EXPERT = 2 };
    int64_t at[OUT];
    sample *s = sample_new(DT_F4, OUT, IN, false, 3 * 2 * OUT, IN);
    s->scale = malloc(3 * 2 * OUT * (IN / 32));
    assert_non_null(s->scale);
    for (int i = 0; i < 3 * 2 * OUT * (IN / 32); i++)
        s->scale[i] = (unsigned char)(118 + next() % 12);
    s->scale[EXPERT * 2 * OUT * (IN / 32)] = 0; /* 2^-127 */
    s->w.row_block = 1;
    s->w.row_stride = 2;
    s->w.data = s->data + 1 + EXPERT * 2 * OUT * IN / 2;
    s->w.scale_kind = SCALE_E8M0_32;
    s->w.scale = s->scale;
    s->w.scale_ld = IN / 32;
    s->w.scale_row0 = EXPERT * 2 * OUT;
    for (int o = 0; o < OUT; o++)
        at[o] = 2 * o;
    write_out(s, at);

    /* the low nibble comes first: the definition, once more and by hand */
    static const float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    const unsigned char *row = (const unsigned char *)s->w.data;
    for (int i = 0; i < IN; i++) {
        int q = i % 2 ? row[i / 2] >> 4 : row[i / 2] & 15;
        double scale = ldexp(1, s->scale[EXPERT * 2 * OUT * (IN / 32) + i / 32] - 127);
        assert_true((double)s->plain[i] == (q & 8 ? -1 : 1) * (double)e2m1[q & 7] * scale);
    }
    compare(s, true);
    sample_free(s);
}

/* Eight-bit floats with a float32 for every tile, in a view that begins inside a tile; tiles that the
 * matrix does not fill. */
static void test_tile_scales(void **state)
{
    (void)state;
    static const struct { int rows, cols; } tiles[] = {{128, 128}, {16, 16}, {1, 64}, {7, 300}};
    int64_t at[MAX_OUT];
    for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++)
        for (int transposed = 0; transposed < 2; transposed++) {
            int64_t n_out = 90, n_in = 150, skip = 9, ld = transposed ? n_out : n_in;
            int64_t rows = skip + (transposed ? n_in : n_out);
            int64_t tile_rows = (rows + tiles[k].rows - 1) / tiles[k].rows;
            int64_t tile_cols = (ld + tiles[k].cols - 1) / tiles[k].cols;
            sample *s = sample_new(DT_F8_E4M3, n_out, n_in, transposed, rows, ld);
            size_t bytes = (size_t)(tile_rows * tile_cols) * 4;
            s->scale = malloc(bytes + 1);
            assert_non_null(s->scale);
            fill(s->scale + 1, bytes, DT_F32);
            s->w.data = s->data + 1 + skip * ld;
            s->w.scale_kind = SCALE_F32_TILE;
            s->w.scale = s->scale + 1;
            s->w.scale_ld = tile_cols;
            s->w.scale_rows = tiles[k].rows;
            s->w.scale_cols = tiles[k].cols;
            s->w.scale_row0 = skip;
            for (int64_t o = 0; o < n_out; o++)
                at[o] = o;
            write_out(s, at);
            compare(s, false);
            sample_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_row_blocks),  cmocka_unit_test(test_paired),
        cmocka_unit_test(test_e8m0_scales), cmocka_unit_test(test_tile_scales),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("gemm layouts", tests, NULL, NULL);
}
