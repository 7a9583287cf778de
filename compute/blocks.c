/* Products with rows of small integers in plain C: the definition that isa/block_body.h follows, and which set of kernels a
 * machine runs. */
#include "compute/blocks.h"

#include <math.h>
#include <string.h>

#include "compute/dtype_rows.h"

/* a b + c, rounded once (but for the rarest of cases). */
static float fused(float a, float b, float c)
{
    return (float)((double)a * b + c);
}

/* Exponent of a lane, and what its elements are multiplied by. */
static int lane_exponent(const float *x, int n, float *up, float *down)
{
    float most = 0;
    for (int i = 0; i < n; i++) {
        const float a = fabsf(x[i]);
        most = most > a ? most : a; /* a NaN goes through, as in vectors */
    }
    const int exponent = (int)(bits_of_float(most * BLOCK_ROOM) >> 23), used = exponent > BLOCK_LEAST ? exponent : BLOCK_LEAST;
    *up = float_of_bits((uint32_t)(276 - used) << 23);
    *down = float_of_bits((uint32_t)(used - 22) << 23);
    return exponent;
}

/* Four elements at place `at` of a set; their sum as integers. */
static int put_digits(block_unit *u, int set, int at, const float *x, float up)
{
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        const int v = (int)lrintf(x[i] * up), v1 = (v + 128) >> 8, v2 = (v1 + 128) >> 8;
        u->digit[0][set][at + i] = (int8_t)v2;
        u->digit[1][set][at + i] = (int8_t)(uint8_t)v1;
        u->digit[2][set][at + i] = (int8_t)(uint8_t)v;
        sum += v;
    }
    return sum;
}

static bool all_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static bool prepare(block_unit *u, const float *x, int64_t n, dtype type)
{
    const block_type t = block_type_of(type);
    const bool small = t.order == BLOCKS_OF_32;
    block_spread spread = {0};
    float whole[2][BLOCK_LANES], total[2][BLOCK_LANES];
    if (!all_finite(x, n))
        return false;
    for (int64_t index = 0; index < block_units(n); index++) {
        const int64_t left = n - index * BLOCK_UNIT;
        float part[BLOCK_UNIT] = {0};
        memcpy(part, x + index * BLOCK_UNIT, (size_t)(left < BLOCK_UNIT ? left : BLOCK_UNIT) * sizeof *x);
        for (int i = 0; i < BLOCK_UNIT; i += 4) {
            int set, place, v;
            block_place(t.order, i / 16, &set, &place);
            if (small && set == 1)
                continue;
            const int at = 16 * place + i % 16, lane = at / 4;
            float both[8] = {0}, up, down;
            memcpy(both, part + i, 4 * sizeof *both);
            if (small)
                memcpy(both + 4, part + i + 16, 4 * sizeof *both);
            block_see_lane(&spread, lane_exponent(both, 8, &up, &down));
            v = put_digits(u + index, set, at, both, up);
            if (small)
                v += put_digits(u + index, 1, at, both + 4, up);
            const int minus = (v * t.centre + (1 << 15)) >> 16;
            u[index].start[set][lane] = -minus;
            u[index].scale[set][lane] = down;
            whole[set][lane] = (float)(minus * 65536 - v * t.middle) * down;
            total[set][lane] = (float)v * down;
        }
        block_sums(u, index, t, whole, total);
    }
    return block_spread_fits(&spread);
}

/* d and c of a group of elements; q of all of a unit, as sets of bytes. */
typedef struct unit_bytes { uint8_t q[2][64]; } unit_bytes;

/* Lane of a set; overflow does not happen, but for how it is written. */
static float lane_sum(const block_unit *u, const unit_bytes *b, int set, int lane, int last_set)
{
    int sum = 0;
    for (int digit = 0; digit < 3; digit++) {
        sum = digit == 0 ? u->start[set][lane] : sum * 256;
        for (int s = set; s <= last_set; s++)
            for (int i = 4 * lane; i < 4 * lane + 4; i++)
                sum += b->q[s][i] * u->digit[digit][s][i];
    }
    return (float)sum;
}

/* Bytes of a block, those before its fifth bits (0: none), and before c (0: none). */
typedef struct small_layout { int bytes, fifth, second; } small_layout;

static small_layout small_layout_of(dtype t)
{
    switch (t) {
    case DT_Q4_0: return (small_layout){18, 0, 0};
    case DT_Q4_1: return (small_layout){20, 0, 2};
    case DT_Q5_0: return (small_layout){22, 2, 0};
    default: return (small_layout){24, 4, 2};
    }
}

/* Halves of the lanes first, then what was kept apart; its lanes from 8 on are halves too. */
static float total_of(const float acc[BLOCK_LANES], const float rest[BLOCK_LANES])
{
    float sum[8];
    for (int l = 0; l < 8; l++)
        sum[l] = (acc[l] + acc[l + 8]) + (rest[l] + rest[l + 8]);
    for (int half = 4; half; half /= 2)
        for (int l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

static float small_row(const block_unit *u, const uint8_t *row, int64_t n, dtype type)
{
    const small_layout t = small_layout_of(type);
    float acc[BLOCK_LANES] = {0}, rest[BLOCK_LANES] = {0};
    for (int64_t block = 0; block < n / 32; block += 4, u++) {
        unit_bytes bytes = {0};
        const int n_block = n / 32 - block < 4 ? (int)(n / 32 - block) : 4;
        for (int k = 0; k < n_block; k++) {
            const uint8_t *b = row + (block + k) * t.bytes, *q = b + t.bytes - 16;
            const uint32_t fifth = t.fifth ? *(const u32_at *)(b + t.fifth) : 0;
            for (int i = 0; i < 16; i++) {
                bytes.q[0][16 * k + i] = (uint8_t)((q[i] & 15) | (fifth >> i & 1) << 4);
                bytes.q[1][16 * k + i] = (uint8_t)(q[i] >> 4 | (fifth >> (16 + i) & 1) << 4);
            }
            rest[k] = fused(half_at(b), u->whole[k], rest[k]);
            rest[4 + k] = fused(half_at(b + t.second), u->whole[4 + k], rest[4 + k]);
        }
        for (int l = 0; l < 4 * n_block; l++) {
            const float d = half_at(row + (block + l / 4) * t.bytes);
            acc[l] = fused(d * u->scale[0][l], lane_sum(u, &bytes, 0, l, 1), acc[l]);
        }
    }
    return total_of(acc, rest);
}

/* Bytes of a half of a superblock of q4_k and q5_k (fifth: 32 bytes, or NULL), and of q6_k. */
static void pairs_bytes(unit_bytes *out, const uint8_t *q, const uint8_t *fifth, int half)
{
    for (int i = 0; i < 64; i++) {
        const int bit = 4 * half + i / 32 * 2, h = fifth ? fifth[i % 32] : 0;
        out->q[0][i] = (uint8_t)((q[64 * half + i] & 15) | (h >> bit & 1) << 4);
        out->q[1][i] = (uint8_t)(q[64 * half + i] >> 4 | (h >> (bit + 1) & 1) << 4);
    }
}

static void halves_bytes(unit_bytes *out, const uint8_t *b, int half)
{
    for (int i = 0; i < 64; i++) {
        const int h = b[128 + 32 * half + i % 32] >> i / 32 * 2;
        out->q[0][i] = (uint8_t)((b[64 * half + i] & 15) | (h & 3) << 4);
        out->q[1][i] = (uint8_t)(b[64 * half + i] >> 4 | (h >> 4 & 3) << 4);
    }
}

/* d and c of the sub-blocks of q4_k and q5_k. */
static void pairs_scales(float d[8], float c[8], const uint8_t *b)
{
    const uint8_t *s = b + 4;
    for (int i = 0; i < 8; i++) {
        const int scale = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
        const int least = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
        d[i] = half_at(b) * (float)scale;
        c[i] = -half_at(b + 2) * (float)least;
    }
}

static float large_row(const block_unit *u, const uint8_t *row, int64_t n, dtype type)
{
    const bool pairs = type != DT_Q6_K;
    const int block_bytes = dtypes[type].block_bytes, run = pairs ? 8 : 4;
    float acc[BLOCK_LANES] = {0}, rest[BLOCK_LANES] = {0};
    for (const uint8_t *b = row; n > 0; n -= 256, b += block_bytes, u += 2) {
        float d[BLOCK_LANES], c[8];
        if (pairs)
            pairs_scales(d, c, b);
        for (int i = 0; i < 16 && !pairs; i++)
            d[i] = half_at(b + 208) * (float)(int8_t)b[192 + i];
        for (int i = 0; i < (pairs ? 8 : 16); i++)
            rest[i] = fused(d[i], u->whole[i], rest[i]);
        for (int i = 0; i < 8 && pairs; i++)
            rest[i] = fused(c[i], u->sum[i], rest[i]);
        for (int half = 0; half < 2; half++) {
            unit_bytes bytes;
            if (pairs)
                pairs_bytes(&bytes, b + (type == DT_Q4_K ? 16 : 48), type == DT_Q4_K ? NULL : b + 16, half);
            else
                halves_bytes(&bytes, b, half);
            for (int set = 0; set < 2; set++)
                for (int l = 0; l < BLOCK_LANES; l++) {
                    const int group = pairs ? 4 * half + l / run * 2 + set : 8 * half + 4 * set + l / run;
                    acc[l] = fused(d[group] * u[half].scale[set][l], lane_sum(u + half, &bytes, set, l, set), acc[l]);
                }
        }
    }
    return total_of(acc, rest);
}

#define BLOCK_DOT(name, type, row_of)                                                           \
    static void name(float *y, const block_unit *u, const void *const *rows, int64_t n)         \
    {                                                                                           \
        for (int r = 0; r < BLOCK_ROWS; r++)                                                    \
            y[r] = row_of(u, rows[r], n, type);                                                 \
    }
BLOCK_DOT(q4_0, DT_Q4_0, small_row)
BLOCK_DOT(q4_1, DT_Q4_1, small_row)
BLOCK_DOT(q5_0, DT_Q5_0, small_row)
BLOCK_DOT(q5_1, DT_Q5_1, small_row)
BLOCK_DOT(q4_k, DT_Q4_K, large_row)
BLOCK_DOT(q5_k, DT_Q5_K, large_row)
BLOCK_DOT(q6_k, DT_Q6_K, large_row)

const block_kernels blocks_c = {
    prepare,
    {[DT_Q4_0] = q4_0, [DT_Q4_1] = q4_1, [DT_Q5_0] = q5_0, [DT_Q5_1] = q5_1,
     [DT_Q4_K] = q4_k, [DT_Q5_K] = q5_k, [DT_Q6_K] = q6_k},
};

#if defined(__x86_64__)
static bool has_vnni(void)
{
    return __builtin_cpu_supports("avx512vnni");
}
#endif

const block_kernels *blocks_for(const kernels *k)
{
#if defined(__x86_64__)
    if (k == &kernels_avx2)
        return &blocks_avx2;
    if (k != &kernels_c)
        return has_vnni() ? &blocks_avx512_vnni : &blocks_avx512;
#endif
    (void)k;
    return NULL;
}

const block_kernels *const *blocks_all(void)
{
    static const block_kernels *all[5];
    int n = 0;
    all[n++] = &blocks_c;
#if defined(__x86_64__)
    if (kernels_usable(&kernels_avx2))
        all[n++] = &blocks_avx2;
    if (kernels_usable(&kernels_avx512))
        all[n++] = &blocks_avx512;
    if (kernels_usable(&kernels_avx512) && has_vnni())
        all[n++] = &blocks_avx512_vnni;
#endif
    all[n] = NULL;
    return all;
}
