/* Conversions to float32: against published values, against second implementations written for clearness,
 * and against the reference dequantiser's output where that is at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "base/npz.h"
#include "compute/dtype.h"
#include "tests/checkpoint_bytes.h"

static uint32_t bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint64_t seed = 20260202;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) ^ (uint32_t)(seed >> 13);
}

/* n elements at src + shift (so that the converter sees every alignment) through the table. */
static void convert(float *dst, dtype t, const void *src, int64_t n, size_t shift)
{
    size_t bytes = (size_t)(n / dtypes[t].block) * (size_t)dtypes[t].block_bytes;
    unsigned char *copy = malloc(bytes + shift + 1);
    assert_non_null(copy);
    memcpy(copy + shift, src, bytes);
    dtypes[t].to_f32(dst, copy + shift, n);
    free(copy);
}

/* ---- the table ---- */

static void test_table(void **state)
{
    (void)state;
    static const struct { const char *name; int block, bytes; } published[] = {
        {"f32", 1, 4}, {"f16", 1, 2}, {"bf16", 1, 2}, {"f64", 1, 8}, {"i8", 1, 1}, {"i16", 1, 2},
        {"i32", 1, 4}, {"i64", 1, 8}, {"u8", 1, 1}, {"u16", 1, 2}, {"u32", 1, 4}, {"u64", 1, 8},
        {"bool", 1, 1}, {"c64", 1, 8}, {"f8_e4m3", 1, 1}, {"f8_e5m2", 1, 1}, {"f8_e8m0", 1, 1},
        {"f8_e4m3fnuz", 1, 1}, {"f8_e5m2fnuz", 1, 1}, {"f6_e2m3", 4, 3}, {"f6_e3m2", 4, 3}, {"f4", 2, 1},
        {"q4_0", 32, 18}, {"q4_1", 32, 20}, {"q5_0", 32, 22}, {"q5_1", 32, 24}, {"q8_0", 32, 34},
        {"q8_1", 32, 36}, {"q2_k", 256, 84}, {"q3_k", 256, 110}, {"q4_k", 256, 144}, {"q5_k", 256, 176},
        {"q6_k", 256, 210}, {"q8_k", 256, 292}, {"iq2_xxs", 256, 66}, {"iq2_xs", 256, 74}, {"iq2_s", 256, 82},
        {"iq3_xxs", 256, 98}, {"iq3_s", 256, 110}, {"iq1_s", 256, 50}, {"iq1_m", 256, 56}, {"iq4_nl", 32, 18},
        {"iq4_xs", 256, 136}, {"tq1_0", 256, 54}, {"tq2_0", 256, 66}, {"mxfp4", 32, 17}, {"nvfp4", 64, 36},
        {"q1_0", 128, 18}, {"q2_0", 64, 18},
    };
    size_t n = sizeof published / sizeof *published;
    assert_int_equal(n, DT_COUNT);
    for (size_t i = 0; i < n; i++) {
        int seen = 0;
        for (int t = 0; t < DT_COUNT; t++) {
            assert_non_null(dtypes[t].name);
            if (strcmp(dtypes[t].name, published[i].name) == 0) {
                assert_int_equal(dtypes[t].block, published[i].block);
                assert_int_equal(dtypes[t].block_bytes, published[i].bytes);
                seen++;
            }
        }
        assert_int_equal(seen, 1);
    }
}

/* ---- halves ---- */

/* IEEE 754 binary16 by its definition. */
static double half_by_definition(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double sign = h >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (!exponent)
        return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void test_f16(void **state)
{
    (void)state;
    assert_true(f16_to_f32(0x3c00) == 1.0f);
    assert_true(f16_to_f32(0xc000) == -2.0f);
    assert_true(f16_to_f32(0x7bff) == 65504.0f);
    assert_true(f16_to_f32(0x3555) == 0.333251953125f);
    assert_true(f16_to_f32(0x0001) == 0x1p-24f);
    assert_true(f16_to_f32(0x03ff) == 0x3ffp-24f);
    assert_true(f16_to_f32(0x0400) == 0x1p-14f);

    uint16_t *all = malloc(65536 * sizeof *all);
    float *row = malloc(65536 * sizeof *row);
    assert_true(all && row);
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    convert(row, DT_F16, all, 65536, 1);
    for (int i = 0; i < 65536; i++) {
        double want = half_by_definition((uint16_t)i);
        float one = f16_to_f32((uint16_t)i);
        assert_int_equal(bits(one), bits(row[i]));
        if (isnan(want)) {
            assert_true(isnan(one));
            assert_int_equal(bits(one) >> 13 & 0x3ff, i & 0x3ff); /* the payload is kept */
        } else {
            assert_true((double)one == want);
            assert_int_equal(signbit(one) != 0, i >> 15);
        }
    }
    free(row);
    free(all);
}

static void test_bf16(void **state)
{
    (void)state;
    assert_int_equal(f32_to_bf16(1.0f), 0x3f80);
    assert_int_equal(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);           /* a tie goes to the even one below */
    assert_int_equal(f32_to_bf16(1.0f + 0x3p-8f), 0x3f82);           /* and above */
    assert_int_equal(f32_to_bf16(1.0f + 0x1p-8f + 0x1p-23f), 0x3f81);
    assert_int_equal(f32_to_bf16(FLT_MAX), 0x7f80);
    assert_int_equal(f32_to_bf16(-INFINITY), 0xff80);
    assert_int_equal(f32_to_bf16(-0.0f), 0x8000);
    assert_int_equal(f32_to_bf16(0x1p-149f), 0);
    assert_true(isnan(bf16_to_f32(f32_to_bf16(from_bits(0x7f800001)))));
    assert_true(isnan(bf16_to_f32(f32_to_bf16(from_bits(0xffffffff)))));

    uint16_t *all = malloc(65536 * sizeof *all);
    float *row = malloc(65536 * sizeof *row);
    assert_true(all && row);
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    convert(row, DT_BF16, all, 65536, 1);
    for (int i = 0; i < 65536; i++) {
        assert_int_equal(bits(row[i]), (uint32_t)i << 16);
        assert_int_equal(f32_to_bf16(row[i]), isnan(row[i]) ? i | 0x40 : i);
    }
    free(row);
    free(all);

    for (int i = 0; i < 100000; i++) { /* no neighbour is nearer; of two equally near ones it is even */
        float x = from_bits(next());
        if (!isfinite(x) || fabsf(x) > 3e38f)
            continue;
        uint16_t h = f32_to_bf16(x);
        double here = fabs((double)bf16_to_f32(h) - x);
        double up = fabs((double)bf16_to_f32((uint16_t)(h + 1)) - x);
        double down = h & 0x7fff ? fabs((double)bf16_to_f32((uint16_t)(h - 1)) - x) : (double)INFINITY;
        assert_true(here <= up && here <= down);
        assert_true((here < up && here < down) || h % 2 == 0);
    }
}

/* ---- plain numbers ---- */

static void test_plain(void **state)
{
    (void)state;
    float y[4];
    const double f64[4] = {1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-50, -1e300, 0x1.8p-149};
    convert(y, DT_F64, f64, 4, 3);
    assert_true(y[0] == 1.0f && y[1] == 1.0f + 0x1p-23f && y[2] == -INFINITY && y[3] == 0x1p-148f);

    const float f32[4] = {1.5f, -0.0f, from_bits(0x7f812345), 0x1p-149f};
    convert(y, DT_F32, f32, 4, 1);
    assert_memory_equal(y, f32, sizeof y);

    const int8_t i8[4] = {-128, -1, 0, 127};
    convert(y, DT_I8, i8, 4, 1);
    assert_true(y[0] == -128 && y[1] == -1 && y[2] == 0 && y[3] == 127);
    const uint8_t u8[4] = {0, 1, 128, 255};
    convert(y, DT_U8, u8, 4, 1);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] == 128 && y[3] == 255);
    convert(y, DT_BOOL, u8, 4, 1);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] == 1 && y[3] == 1);
    const int16_t i16[4] = {INT16_MIN, -1, 1, INT16_MAX};
    convert(y, DT_I16, i16, 4, 1);
    assert_true(y[0] == -32768 && y[1] == -1 && y[2] == 1 && y[3] == 32767);
    const uint16_t u16[4] = {0, 1, 32768, UINT16_MAX};
    convert(y, DT_U16, u16, 4, 1);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] == 32768 && y[3] == 65535);
    const int32_t i32[4] = {INT32_MIN, -16777217, 16777219, INT32_MAX};
    convert(y, DT_I32, i32, 4, 1);
    assert_true(y[0] == -0x1p31f && y[1] == -16777216.0f && y[2] == 16777220.0f && y[3] == 0x1p31f);
    const uint32_t u32[4] = {0, 16777217, 0x80000000, UINT32_MAX};
    convert(y, DT_U32, u32, 4, 1);
    assert_true(y[0] == 0 && y[1] == 16777216.0f && y[2] == 0x1p31f && y[3] == 0x1p32f);
    const int64_t i64[4] = {INT64_MIN, -1, 16777217, INT64_MAX};
    convert(y, DT_I64, i64, 4, 1);
    assert_true(y[0] == -0x1p63f && y[1] == -1 && y[2] == 16777216.0f && y[3] == 0x1p63f);
    const uint64_t u64[4] = {0, 1, 0x8000010000000001, UINT64_MAX};
    convert(y, DT_U64, u64, 4, 1);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] == 0x1.000002p63f && y[3] == 0x1p64f);
}

/* ---- blocks ---- */

/* Small blocks worked out by hand.  0x3800 is 0.5, 0xb400 is -0.25, 0x4200 is 3. */
static void test_blocks_by_hand(void **state)
{
    (void)state;
    float y[32];
    unsigned char q[16];
    for (int j = 0; j < 16; j++)
        q[j] = (unsigned char)(j | (15 - j) << 4); /* low nibbles 0..15, high ones 15..0 */

    unsigned char q4_0[18] = {0x00, 0x38};
    memcpy(q4_0 + 2, q, 16);
    convert(y, DT_Q4_0, q4_0, 32, 1);
    for (int j = 0; j < 16; j++) {
        assert_true(y[j] == 0.5f * (float)(j - 8));
        assert_true(y[j + 16] == 0.5f * (float)(7 - j));
    }

    unsigned char q4_1[20] = {0x00, 0xb4, 0x00, 0x42};
    memcpy(q4_1 + 4, q, 16);
    convert(y, DT_Q4_1, q4_1, 32, 1);
    for (int j = 0; j < 16; j++) {
        assert_true(y[j] == 3.0f - 0.25f * (float)j);
        assert_true(y[j + 16] == 3.0f - 0.25f * (float)(15 - j));
    }

    /* the fifth bit is set for elements 0, 9, 16 and 31 */
    unsigned char q5_0[22] = {0x00, 0x38, 0x01, 0x02, 0x01, 0x80};
    memcpy(q5_0 + 6, q, 16);
    convert(y, DT_Q5_0, q5_0, 32, 1);
    for (int j = 0; j < 16; j++) {
        assert_true(y[j] == 0.5f * (float)(j - 16 + (j == 0 || j == 9 ? 16 : 0)));
        assert_true(y[j + 16] == 0.5f * (float)(15 - j - 16 + (j == 0 || j == 15 ? 16 : 0)));
    }

    unsigned char q5_1[24] = {0x00, 0xb4, 0x00, 0x42, 0x01, 0x02, 0x01, 0x80};
    memcpy(q5_1 + 8, q, 16);
    convert(y, DT_Q5_1, q5_1, 32, 1);
    for (int j = 0; j < 16; j++) {
        assert_true(y[j] == 3.0f - 0.25f * (float)(j + (j == 0 || j == 9 ? 16 : 0)));
        assert_true(y[j + 16] == 3.0f - 0.25f * (float)(15 - j + (j == 0 || j == 15 ? 16 : 0)));
    }

    unsigned char q8_0[34] = {0x00, 0x38};
    for (int j = 0; j < 32; j++)
        q8_0[j + 2] = (unsigned char)(j * 8 - 128);
    convert(y, DT_Q8_0, q8_0, 32, 1);
    for (int j = 0; j < 32; j++)
        assert_true(y[j] == 0.5f * (float)(j * 8 - 128));
}

/* Element i of a block, by the definition of its type. */
static float element(dtype t, const unsigned char *b, int i)
{
    uint16_t d, m = 0;
    int nibble = i % 16, shift = i / 16 * 4, q = 0, with_m = t == DT_Q4_1 || t == DT_Q5_1;
    memcpy(&d, b, 2);
    if (with_m)
        memcpy(&m, b + 2, 2);
    const unsigned char *rest = b + 2 + 2 * with_m;
    if (t == DT_Q8_0)
        q = (signed char)rest[i];
    else if (t == DT_Q4_0 || t == DT_Q4_1)
        q = rest[nibble] >> shift & 15;
    else
        q = (rest[4 + nibble] >> shift & 15) | (rest[i / 8] >> i % 8 & 1) << 4;
    if (t == DT_Q4_0)
        q -= 8;
    if (t == DT_Q5_0)
        q -= 16;
    float y = (float)q * f16_to_f32(d);
    return with_m ? y + f16_to_f32(m) : y;
}

static void test_blocks_random(void **state)
{
    (void)state;
    static const dtype types[] = {DT_Q8_0, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1};
    enum { BLOCKS = 257 };
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        dtype t = types[k];
        size_t size = (size_t)dtypes[t].block_bytes;
        unsigned char *src = malloc(BLOCKS * size);
        float *y = malloc(BLOCKS * 32 * sizeof *y);
        assert_true(src && y);
        for (size_t i = 0; i < BLOCKS * size; i++)
            src[i] = (unsigned char)next();
        for (size_t shift = 0; shift < 4; shift++) {
            convert(y, t, src, BLOCKS * 32, shift);
            for (size_t i = 0; i < BLOCKS * 32; i++) {
                float want = element(t, src + i / 32 * size, (int)(i % 32));
                assert_true(isnan(want) ? isnan(y[i]) : bits(y[i]) == bits(want));
            }
        }
        float guard = 7;
        dtypes[t].to_f32(&guard, src, 0);
        assert_true(guard == 7);
        free(y);
        free(src);
    }
}

/* Every block type that the reference dequantiser knows, against its arrays. */
static void test_blocks_reference(void **state)
{
    (void)state;
    char path[PATH_MAX];
    checkpoint *c;
    npz *z;
    err e = {0};
    if (!shared_path(path, "golden/quants/quants.gguf"))
        skip();
    assert_int_equal(checkpoint_open(&c, path, &e), 0);
    assert_int_equal(npz_open(&z, shared_path(path, "golden/quants/quants.npz"), &e), 0);
    assert_int_equal(c->n_tensor, 25);
    for (int i = 0; i < c->n_tensor; i++) {
        const tensor *t = &c->tensors[i].t;
        npy want;
        assert_string_equal(c->tensors[i].name, dtypes[t->type].name);
        assert_int_equal(npz_get(&want, z, c->tensors[i].name, &e), 0);
        assert_int_equal(t->n_dim, 2);
        assert_int_equal(t->shape[0], want.shape[0]);
        assert_int_equal(t->shape[1], want.shape[1]);
        assert_non_null(dtypes[t->type].to_f32);
        float *y = malloc((size_t)want.count * sizeof *y);
        assert_non_null(y);
        dtypes[t->type].to_f32(y, t->data, want.count);
        assert_memory_equal(y, want.data, (size_t)want.count * sizeof *y);
        free(y);
        npy_free(&want);
    }
    npz_close(z);
    checkpoint_close(c);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_blocks_by_hand),
        cmocka_unit_test(test_blocks_random),
        cmocka_unit_test(test_blocks_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
