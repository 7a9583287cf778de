/* Quantised blocks and narrow floats against second implementations: one element at a time, straight from the
 * definition of its type, on random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compute/dtype.h"
#include "compute/dtype_grids.h"

typedef unsigned char byte;

static uint64_t seed = 20260404;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) ^ (uint32_t)(seed >> 13);
}

static bool same(float a, float b)
{
    return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0;
}

/* Bits at .. at + n - 1 of a string of bytes, the lowest bit of byte 0 first. */
static unsigned bits(const byte *p, int at, int n)
{
    unsigned v = 0;
    for (int i = 0; i < n; i++)
        v |= (unsigned)(p[(at + i) / 8] >> (at + i) % 8 & 1) << i;
    return v;
}

static float half(const byte *p)
{
    return f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* ---- narrow floats ---- */

typedef struct narrow { dtype type; int exponent, mantissa, bias; } narrow;

static float narrow_value(const narrow *f, unsigned code)
{
    int e = (int)(code >> f->mantissa) & ((1 << f->exponent) - 1), m = (int)code & ((1 << f->mantissa) - 1);
    double sign = code >> (f->exponent + f->mantissa) & 1 ? -1 : 1, one = 1 << f->mantissa;
    if (f->type == DT_F8_E4M3 && (code & 0x7f) == 0x7f)
        return NAN;
    if (f->type == DT_F8_E5M2 && e == 31)
        return m ? NAN : (float)(sign * (double)INFINITY);
    if ((f->type == DT_F8_E4M3FNUZ || f->type == DT_F8_E5M2FNUZ) && code == 0x80)
        return NAN;
    return (float)(sign * (e ? ldexp(1 + m / one, e - f->bias) : ldexp(m / one, 1 - f->bias)));
}

static void test_f8(void **state)
{
    (void)state;
    static const narrow forms[] = {
        {DT_F8_E4M3, 4, 3, 7}, {DT_F8_E5M2, 5, 2, 15}, {DT_F8_E4M3FNUZ, 4, 3, 8}, {DT_F8_E5M2FNUZ, 5, 2, 16},
    };
    byte all[256];
    float y[256];
    for (int i = 0; i < 256; i++)
        all[i] = (byte)i;
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        dtypes[forms[k].type].to_f32(y, all, 256);
        for (unsigned i = 0; i < 256; i++)
            assert_true(same(y[i], narrow_value(&forms[k], i)));
    }
    dtypes[DT_F8_E8M0].to_f32(y, all, 256);
    for (int i = 0; i < 255; i++)
        assert_true((double)y[i] == ldexp(1, i - 127));
    assert_true(isnan(y[255]));

    /* published extremes */
    dtypes[DT_F8_E4M3].to_f32(y, (byte[]){0x7e, 0x08, 0x01, 0xbc}, 4);
    assert_true(y[0] == 448 && y[1] == 0x1p-6f && y[2] == 0x1p-9f && y[3] == -1.5f);
    dtypes[DT_F8_E5M2].to_f32(y, (byte[]){0x7b, 0x04, 0x01, 0xfc}, 4);
    assert_true(y[0] == 57344 && y[1] == 0x1p-14f && y[2] == 0x1p-16f && y[3] == -INFINITY);
    dtypes[DT_F8_E4M3FNUZ].to_f32(y, (byte[]){0x7f, 0x01}, 2);
    assert_true(y[0] == 240 && y[1] == 0x1p-10f);
    dtypes[DT_F8_E5M2FNUZ].to_f32(y, (byte[]){0x7f, 0x01}, 2);
    assert_true(y[0] == 57344 && y[1] == 0x1p-17f);
}

static void test_f6_f4(void **state)
{
    (void)state;
    static const narrow forms[] = {{DT_F6_E2M3, 2, 3, 1}, {DT_F6_E3M2, 3, 2, 3}, {DT_F4, 2, 1, 1}};
    byte src[192];
    float y[512];
    for (size_t k = 0; k < 3; k++) {
        int width = k < 2 ? 6 : 4, n = (int)sizeof src * 8 / width / 4 * 4;
        for (size_t i = 0; i < sizeof src; i++)
            src[i] = (byte)next();
        dtypes[forms[k].type].to_f32(y, src, n);
        for (int i = 0; i < n; i++)
            assert_true(same(y[i], narrow_value(&forms[k], bits(src, i * width, width))));
    }
    static const float e2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    dtypes[DT_F4].to_f32(y, (byte[]){0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe}, 16);
    for (int i = 0; i < 16; i++)
        assert_true(same(y[i], e2m1[i]));
    dtypes[DT_F6_E2M3].to_f32(y, (byte[]){0x1f, 0, 0}, 4);
    assert_true(y[0] == 7.5f && y[1] == 0);
    dtypes[DT_F6_E3M2].to_f32(y, (byte[]){0xdf, 0x0f, 0}, 4); /* 31, then 63 */
    assert_true(y[0] == 28 && y[1] == -28 && y[2] == 0);
}

/* ---- blocks: element i of the block at b ---- */

static float by_q8_1(const byte *b, int i) { return (float)(signed char)b[4 + i] * half(b); }
static float by_q1_0(const byte *b, int i) { return bits(b + 2, i, 1) ? half(b) : -half(b); }
static float by_q2_0(const byte *b, int i) { return (float)((int)bits(b + 2, 2 * i, 2) - 1) * half(b); }

static float by_tq1_0(const byte *b, int i)
{
    int at, digit;
    if (i < 160) {
        at = i % 32;
        digit = i / 32;
    } else if (i < 240) {
        at = 32 + (i - 160) % 16;
        digit = (i - 160) / 16;
    } else {
        at = 48 + (i - 240) % 4;
        digit = (i - 240) / 4;
    }
    int power = 1;
    while (digit--)
        power *= 3;
    return (float)((b[at] * power % 256 * 3 >> 8) - 1) * half(b + 52);
}

static float by_tq2_0(const byte *b, int i)
{
    return (float)((b[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - 1) * half(b + 64);
}

/* The two-bit field of element i in the order that q2_k and q3_k share. */
static int two_bits(const byte *q, int i)
{
    return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

static float by_q2_k(const byte *b, int i)
{
    float d = half(b + 80) * (float)(b[i / 16] & 15), m = half(b + 82) * (float)(b[i / 16] >> 4);
    return d * (float)two_bits(b + 16, i) - m;
}

static float by_q3_k(const byte *b, int i)
{
    const byte *s = b + 96;
    int group = i / 16, low = group < 8 ? s[group] & 15 : s[group - 8] >> 4;
    int scale = (low | (s[8 + group % 4] >> group / 4 * 2 & 3) << 4) - 32;
    int q = two_bits(b + 32, i) - (b[i % 32] >> i / 32 & 1 ? 0 : 4);
    return half(b + 108) * (float)scale * (float)q;
}

static float by_q45_k(const byte *b, int i, bool fifth)
{
    const byte *s = b + 4, *q = b + (fifth ? 48 : 16);
    int k = i / 32, l = i % 32, scale, least, v = q[k / 2 * 32 + l] >> k % 2 * 4 & 15;
    if (k < 4) {
        scale = s[k] & 63;
        least = s[k + 4] & 63;
    } else {
        scale = (s[k + 4] & 15) | (s[k - 4] >> 6) << 4;
        least = s[k + 4] >> 4 | (s[k] >> 6) << 4;
    }
    if (fifth && (b[16 + l] >> k & 1))
        v += 16;
    return half(b) * (float)scale * (float)v - half(b + 2) * (float)least;
}

static float by_q4_k(const byte *b, int i) { return by_q45_k(b, i, false); }
static float by_q5_k(const byte *b, int i) { return by_q45_k(b, i, true); }

static float by_q6_k(const byte *b, int i)
{
    int h = i / 128, r = i % 128, l = r % 32;
    int low = b[64 * h + r % 64] >> r / 64 * 4 & 15, high = b[128 + 32 * h + l] >> r / 32 * 2 & 3;
    return half(b + 208) * (float)(signed char)b[192 + i / 16] * (float)((low | high << 4) - 32);
}

static float by_q8_k(const byte *b, int i)
{
    float d;
    memcpy(&d, b, 4);
    return (float)(signed char)b[4 + i] * d;
}

static const int nonlinear[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static float by_iq4_nl(const byte *b, int i)
{
    return half(b) * (float)nonlinear[b[2 + i % 16] >> i / 16 * 4 & 15];
}

static float by_iq4_xs(const byte *b, int i)
{
    int k = i / 32, q = b[8 + 16 * k + i % 16] >> i % 32 / 16 * 4 & 15;
    int scale = (int)(bits(b + 4, 4 * k, 4) | bits(b + 2, 2 * k, 2) << 4) - 32;
    return half(b) * (float)scale * (float)nonlinear[q];
}

static float e2m1(int q)
{
    static const float magnitude[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return q == 8 ? 0 : q & 8 ? -magnitude[q & 7] : magnitude[q];
}

static float by_mxfp4(const byte *b, int i)
{
    return (float)ldexp((double)e2m1(b[1 + i % 16] >> i / 16 * 4 & 15), b[0] - 127);
}

static float by_nvfp4(const byte *b, int i)
{
    static const narrow e4m3 = {DT_U8, 4, 3, 7}; /* without its NaN */
    int k = i / 16, q = b[4 + 8 * k + i % 8] >> i % 16 / 8 * 4 & 15;
    return e2m1(q) * (b[k] == 0x7f ? 0 : narrow_value(&e4m3, b[k] & 0x7f));
}

/* Groups of code books: the value of element j. */
static float grid2(const uint16_t *grid, unsigned at, int j)
{
    static const float value[] = {8, 25, 43, NAN};
    return value[grid[at] >> 2 * j & 3];
}

static float sign(unsigned eight, int j)
{
    return eight >> j & 1 ? -1 : 1;
}

/* Seven bits and, as the eighth, one that makes the number of minus signs even. */
static float even_sign(unsigned seven, int j)
{
    unsigned ones = 0;
    for (int k = 0; k < 7; k++)
        ones += seven >> k & 1;
    return j < 7 ? sign(seven, j) : ones % 2 ? -1 : 1;
}

static float by_iq2_xxs(const byte *b, int i)
{
    const byte *q = b + 2 + i / 32 * 8;
    int g = i % 32 / 8, j = i % 8;
    float d = half(b) * (0.5f + (float)(q[7] >> 4)) * 0.25f;
    return d * grid2(dtype_grid_iq2_xxs, q[g], j) * even_sign(bits(q + 4, 7 * g, 7), j);
}

static float by_iq2_xs(const byte *b, int i)
{
    const byte *q = b + 2 + i / 8 * 2;
    float d = half(b) * (0.5f + (float)bits(b + 66, i / 16 * 4, 4)) * 0.25f;
    return d * grid2(dtype_grid_iq2_xs, bits(q, 0, 9), i % 8) * even_sign(q[1] >> 1, i % 8);
}

static float by_iq2_s(const byte *b, int i)
{
    int g = i / 8;
    float d = half(b) * (0.5f + (float)bits(b + 74, i / 16 * 4, 4)) * 0.25f;
    unsigned at = b[2 + g] | bits(b + 66, 2 * g, 2) << 8;
    return d * grid2(dtype_grid_iq2_s, at, i % 8) * sign(b[34 + g], i % 8);
}

static float by_iq3_xxs(const byte *b, int i)
{
    static const float value[16] = {4, 12, 20, 28, 36, 44, 52, 62};
    const byte *s = b + 66 + i / 32 * 4;
    float d = half(b) * (0.5f + (float)(s[3] >> 4)) * 0.5f;
    return d * value[dtype_grid_iq3_xxs[b[2 + i / 4]] >> i % 4 * 4 & 15] *
           even_sign(bits(s, i % 32 / 8 * 7, 7), i % 8);
}

static float by_iq3_s(const byte *b, int i)
{
    unsigned at = b[2 + i / 4] | bits(b + 66, i / 4, 1) << 8;
    float d = half(b) * (1 + 2 * (float)bits(b + 106, i / 32 * 4, 4));
    return d * (float)(1 + 2 * (dtype_grid_iq3_s[at] >> i % 4 * 4 & 15)) * sign(b[74 + i / 8], i % 8);
}

static float grid1(unsigned at, int j, bool minus)
{
    return (float)((dtype_grid_iq1[at] >> 2 * j & 3) - 1) + (minus ? -0.125f : 0.125f);
}

static float by_iq1_s(const byte *b, int i)
{
    const byte *h = b + 34 + i / 32 * 2;
    float d = half(b) * (float)(2 * bits(h, 12, 3) + 1);
    return d * grid1(b[2 + i / 8] | bits(h, i % 32 / 8 * 3, 3) << 8, i % 8, bits(h, 15, 1));
}

static float by_iq1_m(const byte *b, int i)
{
    const byte *s = b + 48;
    unsigned h = bits(b + 32, i / 8 * 4, 4);
    byte d[2] = {(byte)(s[1] >> 4 | (s[3] & 0xf0)), (byte)(s[5] >> 4 | (s[7] & 0xf0))};
    float scale = half(d) * (float)(2 * bits(s + i / 64 * 2, i / 16 % 4 * 3, 3) + 1);
    return scale * grid1(b[i / 8] | (h & 7) << 8, i % 8, h & 8);
}

static const struct { dtype type; float (*element)(const byte *b, int i); } definitions[] = {
    {DT_Q8_1, by_q8_1},       {DT_Q1_0, by_q1_0},     {DT_Q2_0, by_q2_0},   {DT_TQ1_0, by_tq1_0},
    {DT_TQ2_0, by_tq2_0},     {DT_Q2_K, by_q2_k},     {DT_Q3_K, by_q3_k},   {DT_Q4_K, by_q4_k},
    {DT_Q5_K, by_q5_k},       {DT_Q6_K, by_q6_k},     {DT_Q8_K, by_q8_k},   {DT_IQ4_NL, by_iq4_nl},
    {DT_IQ4_XS, by_iq4_xs},   {DT_MXFP4, by_mxfp4},   {DT_NVFP4, by_nvfp4}, {DT_IQ2_XXS, by_iq2_xxs},
    {DT_IQ2_XS, by_iq2_xs},   {DT_IQ2_S, by_iq2_s},   {DT_IQ3_XXS, by_iq3_xxs}, {DT_IQ3_S, by_iq3_s},
    {DT_IQ1_S, by_iq1_s},     {DT_IQ1_M, by_iq1_m},
};

static void test_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 300 };
    for (size_t k = 0; k < sizeof definitions / sizeof *definitions; k++) {
        const dtype_info *t = &dtypes[definitions[k].type];
        size_t bytes = BLOCKS * (size_t)t->block_bytes;
        byte *src = malloc(bytes + 3);
        float *y = malloc((size_t)(BLOCKS * t->block) * sizeof *y);
        assert_true(src && y);
        for (size_t shift = 0; shift < 4; shift++) {
            for (size_t i = 0; i < bytes; i++)
                src[shift + i] = (byte)next();
            t->to_f32(y, src + shift, BLOCKS * t->block);
            for (int i = 0; i < BLOCKS * t->block; i++) {
                const byte *b = src + shift + i / t->block * t->block_bytes;
                float want = definitions[k].element(b, i % t->block);
                if (!same(y[i], want))
                    fail_msg("%s: block %d, element %d: %a, not %a", t->name, i / t->block, i % t->block,
                             (double)y[i], (double)want);
            }
        }
        free(y);
        free(src);
    }
}

/* The code books themselves, by what is published of them: their first and last groups, and that no group is
 * there twice, and a checksum (64-bit FNV-1a of the packed numbers). */
static void test_grids(void **state)
{
    (void)state;
    static const struct {
        const uint16_t *grid;
        int n, fields;
        uint16_t first, last;
        uint64_t sum;
    } books[] = {
        {dtype_grid_iq2_xxs, 256, 8, 0x0000, 0xa904, UINT64_C(0x6fca17f5c451905d)},
        {dtype_grid_iq2_xs, 512, 8, 0x0000, 0xaaaa, UINT64_C(0x29d6ac8e0e6b14e3)},
        {dtype_grid_iq2_s, 1024, 8, 0x0000, 0xaaaa, UINT64_C(0x641f9aa3fbd98694)},
        {dtype_grid_iq3_xxs, 256, 4, 0x0000, 0x7630, UINT64_C(0xa3a695908a710942)},
        {dtype_grid_iq3_s, 512, 4, 0x0000, 0x7700, UINT64_C(0xde38cc0714d23202)},
        {dtype_grid_iq1, 2048, 8, 0x0000, 0xaaaa, UINT64_C(0x03f1880817eeffa4)},
    };
    for (size_t k = 0; k < sizeof books / sizeof *books; k++) {
        byte seen[65536] = {0};
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        int n = books[k].n;
        for (int i = 0; i < n; i++) {
            uint16_t w = books[k].grid[i];
            assert_int_equal(seen[w]++, 0);
            sum = (sum ^ (w & 255)) * UINT64_C(0x100000001b3);
            sum = (sum ^ w >> 8) * UINT64_C(0x100000001b3);
            for (int j = 0; j < books[k].fields; j++)
                assert_true(books[k].fields == 8 ? (w >> 2 * j & 3) < 3 : (w >> 4 * j & 15) < 8);
        }
        assert_int_equal(books[k].grid[0], books[k].first);
        assert_int_equal(books[k].grid[n - 1], books[k].last);
        assert_true(sum == books[k].sum);
    }
}

/* Only complex numbers can be listed but not computed with. */
static void test_all_computed(void **state)
{
    (void)state;
    for (int t = 0; t < DT_COUNT; t++)
        assert_int_equal(dtypes[t].to_f32 != NULL, t != DT_C64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f8),    cmocka_unit_test(test_f6_f4),        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_grids), cmocka_unit_test(test_all_computed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("quants", tests, NULL, NULL);
}
