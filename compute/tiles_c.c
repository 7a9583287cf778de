/* What tile instructions compute, in plain C: the definition of tiles.h, operation by operation as the manual of the
 * processor's maker states TDPBF16PS (Intel 64 and IA-32 Architectures SDM, volume 2). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "compute/dtype.h"
#include "compute/tiles.h"

static float flush(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

/* The next term of *x; *x becomes what is left. */
static uint16_t take_term(float *x)
{
    const uint16_t h = f32_to_bf16(flush(*x));
    const float rest = *x - bf16_to_f32(h);
    *x = fabsf(rest) <= FLT_MAX ? rest : 0;
    return h;
}

enum operand { LEFT, RIGHT };

static void pack(uint16_t *dst, enum operand side, int terms, const float *src, int64_t line_step, int64_t k_step, int n,
                 int64_t k)
{
    memset(dst, 0, (size_t)tile_block_size(k, terms) * sizeof *dst);
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) {
            const int line = i % TILE_LINES, at = (int)(j % TILE_DEPTH);
            float x = src[i * line_step + j * k_step];
            for (int t = 0; t < terms; t++)
                dst[((j / TILE_DEPTH * terms + t) * 2 + i / TILE_LINES) * TILE_ELEMENTS +
                    (side == LEFT ? TILE_DEPTH * line + at : 2 * TILE_LINES * (at / 2) + 2 * line + at % 2)] = take_term(&x);
        }
}

static void pack_left(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    pack(dst, LEFT, terms, src, ld, 1, n, k);
}

static void pack_left_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    pack(dst, LEFT, terms, src, 1, ld, n, k);
}

static void pack_right(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    pack(dst, RIGHT, terms, src, ld, 1, n, k);
}

static void pack_right_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    pack(dst, RIGHT, terms, src, 1, ld, n, k);
}

static void pack_right_bf16(uint16_t *dst, const void *src, int64_t ld, int n, int64_t k)
{
    const unsigned char *from = src;
    memset(dst, 0, (size_t)tile_block_size(k, 1) * sizeof *dst);
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++)
            memcpy(&dst[(j / TILE_DEPTH * 2 + i / TILE_LINES) * TILE_ELEMENTS + 2 * TILE_LINES * (j % TILE_DEPTH / 2) +
                        2 * (i % TILE_LINES) + j % 2], from + 2 * (i * ld + j), sizeof *dst);
}

/* One tile instruction's part of one cell. */
static float step_sum(float c, const uint16_t *a, const uint16_t *b, int line)
{
    float even = 0, odd = 0;
    for (int p = 0; p < TILE_DEPTH / 2; p++) {
        const uint16_t *pair = b + 2 * TILE_LINES * p + 2 * line;
        even = flush(fmaf(flush(bf16_to_f32(a[2 * p])), flush(bf16_to_f32(pair[0])), even));
        odd = flush(fmaf(flush(bf16_to_f32(a[2 * p + 1])), flush(bf16_to_f32(pair[1])), odd));
    }
    return flush(flush(c) + flush(even + odd));
}

static void multiply(const tile_product *p)
{
    const int most = p->a_terms > p->b_terms ? p->a_terms : p->b_terms;
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->n; j++) {
            float sum = p->add ? p->c[i * p->ldc + j] : 0;
            for (int64_t step = 0; step < tile_steps(p->k); step++) {
                const uint16_t *a = p->a + (step * p->a_terms * 2 + i / TILE_LINES) * TILE_ELEMENTS;
                const uint16_t *b = p->b + (step * p->b_terms * 2 + j / TILE_LINES) * TILE_ELEMENTS;
                for (int s = 0; s < p->a_terms; s++)
                    for (int t = 0; t < p->b_terms && s + t < most; t++)
                        sum = step_sum(sum, a + s * 2 * TILE_ELEMENTS + TILE_DEPTH * (i % TILE_LINES),
                                       b + t * 2 * TILE_ELEMENTS, j % TILE_LINES);
            }
            p->c[i * p->ldc + j] = sum;
        }
}

static void column_tops(float *top, const float *s, int64_t key0, int64_t n_key, const int64_t *lo, const int64_t *hi)
{
    for (int64_t k = 0; k < n_key; k++)
        for (int j = 0; j < TILE_BLOCK; j++)
            if (key0 + k >= lo[j] && key0 + k < hi[j] && s[k * TILE_BLOCK + j] > top[j])
                top[j] = s[k * TILE_BLOCK + j];
}

/* 2^t for t >= -200: minimax of degree 5 on half a unit to either side of an integer (relative error 2e-7). */
static float power_of_two(float t)
{
    const float whole = rintf(t), f = t - whole;
    float p = 1.327647068e-03f;
    p = fmaf(p, f, 9.675541324e-03f);
    p = fmaf(p, f, 5.550713278e-02f);
    p = fmaf(p, f, 2.402211972e-01f);
    p = fmaf(p, f, 6.931469671e-01f);
    p = fmaf(p, f, 1.0f);
    return isnan(t) || isinf(t) ? t : ldexpf(p, (int)fminf(whole, 1000));
}

/* The clamped exponent of a score. */
static float exponent_of(float s, float c, float shift)
{
    const float t = (s - shift) * c;
    return t < -200 ? -200 : t;
}

float tile_exponential(float s, float c, float shift)
{
    return power_of_two(exponent_of(s, c, shift));
}

static void exponentials(const tile_exponentials *b)
{
    float e[TILE_STRETCH * TILE_BLOCK];
    for (int j = 0; j < TILE_BLOCK; j++) {
        float sum = 0, weighted = 0, distance = 0;
        for (int64_t k = 0; k < b->n_key; k++) {
            const int64_t key = b->key0 + k;
            float x = 0;
            if (key >= b->lo[j] && key < b->hi[j]) {
                const float t = exponent_of(b->s[k * TILE_BLOCK + j], b->c, b->shift[j]);
                x = power_of_two(t);
                sum += x;
                weighted = fmaf(x, t, weighted);
                distance = fmaf(x, fabsf((float)(b->qpos[j] - b->key0) - (float)k), distance);
            }
            e[k * TILE_BLOCK + j] = x;
        }
        b->sum[j] += sum;
        b->weighted[j] += weighted;
        if (b->distance)
            b->distance[j] += distance;
    }
    if (b->packed)
        pack_right_turned(b->packed, b->terms, e, TILE_BLOCK, TILE_BLOCK, b->n_key);
    if (b->keep)
        memcpy(b->s, e, (size_t)b->n_key * TILE_BLOCK * sizeof *e);
}

static void nothing(void)
{
}

static float multiply_adds(int64_t rounds, int *flop)
{
    uint16_t a[TILE_DEPTH], b[TILE_ELEMENTS];
    float sum = 0;
    for (int i = 0; i < TILE_ELEMENTS; i++)
        b[i] = f32_to_bf16(0.5f);
    memcpy(a, b, sizeof a);
    for (int64_t r = 0; r < rounds; r++)
        sum = step_sum(sum, a, b, (int)(r % TILE_LINES));
    *flop = 2 * TILE_DEPTH;
    return sum;
}

const tile_kernels tiles_c = {
    .begin = nothing,
    .end = nothing,
    .pack_left = pack_left,
    .pack_left_turned = pack_left_turned,
    .pack_right = pack_right,
    .pack_right_turned = pack_right_turned,
    .pack_right_bf16 = pack_right_bf16,
    .multiply = multiply,
    .column_tops = column_tops,
    .exponentials = exponentials,
    .multiply_adds = multiply_adds,
};
