/* AVX512-BF16: the products of tiles.h by dot products of pairs, twice the rate of float32 multiply-adds where the processor
 * is not slower at them than at those (VDPBF16PS adds the odd product first, then the even one, to the sum itself); and the
 * packing that AMX needs as well. */
#include "compute/isa/tile_parts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "compute/kernels_c.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,prefer-vector-width=512")
#endif

typedef __m512i tile[TILE_LINES];

static inline __mmask16 first_lanes(int64_t n)
{
    return (__mmask16)(n <= 0 ? 0 : n >= 16 ? 0xffff : (1u << n) - 1);
}

#include "compute/isa/avx512_range.h"

/* Which keys key0 .. key0 + n_key - 1, counted from key0, 16 queries see: none outside first .. last - 1; all: every one each. */
typedef struct tile_view {
    int64_t first, last;
    bool all;
} tile_view;

static inline tile_view tile_view_of(int64_t key0, int64_t n_key, const int64_t *lo, const int64_t *hi)
{
    tile_view v = {n_key, 0, true};
    for (int i = 0; i < 16; i++) {
        const int64_t from = lo[i] > key0 ? lo[i] - key0 : 0, to = hi[i] - key0 < n_key ? hi[i] - key0 : n_key;
        v.all = v.all && from == 0 && to == n_key;
        if (from < to) {
            v.first = from < v.first ? from : v.first;
            v.last = to > v.last ? to : v.last;
        }
    }
    return v;
}

/* Rows and columns of 32-bit elements change places. */
static inline void transpose(tile r)
{
    tile t;
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* What a term, 16 bfloat16 in the upper halves of 32-bit lanes, leaves of x: 0 where that is no number. */
static inline __m512 remainder_of(__m512 x, __m512i term)
{
    const __m512 rest = _mm512_sub_ps(x, _mm512_castsi512_ps(term));
    /* classes: quiet NaN, +inf, -inf, signalling NaN */
    return _mm512_maskz_mov_ps((__mmask16)~_mm512_fpclass_ps_mask(rest, 0x01 | 0x08 | 0x10 | 0x80), rest);
}

/* 32 numbers that follow each other to one term; they become what is left of them. */
static inline __m512i take_line(float *x)
{
    const __m512 a = _mm512_load_ps(x), b = _mm512_load_ps(x + 16);
    const __m512i h = (__m512i)_mm512_cvtne2ps_pbh(b, a);
    const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(h));
    const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(h, 1));
    _mm512_store_ps(x, remainder_of(a, _mm512_slli_epi32(low, 16)));
    _mm512_store_ps(x + 16, remainder_of(b, _mm512_slli_epi32(high, 16)));
    return h;
}

/* Numbers k of 16 lines in a, k + 1 in b, to pairs. */
static inline __m512i pairs_of(__m512 a, __m512 b)
{
    const __m512i order = _mm512_set_epi32(0x001f000f, 0x001e000e, 0x001d000d, 0x001c000c, 0x001b000b, 0x001a000a, 0x00190009,
                                           0x00180008, 0x00170007, 0x00160006, 0x00150005, 0x00140004, 0x00130003, 0x00120002,
                                           0x00110001, 0x00100000);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

static inline __m512i take_pairs(float *x)
{
    const __m512 a = _mm512_load_ps(x), b = _mm512_load_ps(x + 16);
    const __m512i h = pairs_of(a, b);
    _mm512_store_ps(x, remainder_of(a, _mm512_slli_epi32(h, 16)));
    _mm512_store_ps(x + 16, remainder_of(b, _mm512_and_si512(h, _mm512_set1_epi32((int)0xffff0000))));
    return h;
}

static inline void store_tile(uint16_t *dst, const tile r)
{
    for (int i = 0; i < TILE_LINES; i++)
        _mm512_storeu_si512(dst + i * TILE_DEPTH, r[i]);
}

/* One tile of every term: n lines of n_k numbers, each contiguous. */
static inline void pack_lines(uint16_t *dst, bool right, int terms, const float *src, int64_t ld, int n, int64_t n_k)
{
    float x[TILE_LINES][TILE_DEPTH] __attribute__((aligned(64)));
    const __mmask16 low = first_lanes(n_k), high = first_lanes(n_k - 16);
    for (int i = 0; i < TILE_LINES; i++) {
        const bool there = i < n;
        _mm512_store_ps(x[i], there ? _mm512_maskz_loadu_ps(low, src + i * ld) : _mm512_setzero_ps());
        _mm512_store_ps(x[i] + 16, there && high ? _mm512_maskz_loadu_ps(high, src + i * ld + 16) : _mm512_setzero_ps());
    }
    for (int t = 0; t < terms; t++) {
        tile r;
        for (int i = 0; i < TILE_LINES; i++)
            r[i] = take_line(x[i]);
        if (right)
            transpose(r);
        store_tile(dst + t * 2 * TILE_ELEMENTS, r);
    }
}

/* The same of lines that lie across: number k of all of them contiguous. */
static inline void pack_across(uint16_t *dst, bool right, int terms, const float *src, int64_t ld, int n, int64_t n_k)
{
    float x[TILE_DEPTH][TILE_LINES] __attribute__((aligned(64)));
    const __mmask16 there = first_lanes(n);
    for (int k = 0; k < TILE_DEPTH; k++)
        _mm512_store_ps(x[k], there && k < n_k ? _mm512_maskz_loadu_ps(there, src + k * ld) : _mm512_setzero_ps());
    for (int t = 0; t < terms; t++) {
        tile r;
        for (int p = 0; p < TILE_LINES; p++)
            r[p] = take_pairs(x[2 * p]);
        if (!right)
            transpose(r);
        store_tile(dst + t * 2 * TILE_ELEMENTS, r);
    }
}

#define EACH_TILE(pack, right, line_step, k_step)                                                              \
    for (int64_t step = 0; step < tile_steps(k); step++, dst += terms * 2 * TILE_ELEMENTS)                     \
        for (int half = 0; half < 2; half++)                                                                   \
            pack(dst + half * TILE_ELEMENTS, right, terms, src + half * TILE_LINES * (line_step) + step * TILE_DEPTH * (k_step), \
                 ld, n - half * TILE_LINES, k - step * TILE_DEPTH)

void tile_avx512_pack_left(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    EACH_TILE(pack_lines, false, ld, 1);
}

void tile_avx512_pack_left_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    EACH_TILE(pack_across, false, 1, ld);
}

void tile_avx512_pack_right(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    EACH_TILE(pack_lines, true, ld, 1);
}

void tile_avx512_pack_right_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k)
{
    EACH_TILE(pack_across, true, 1, ld);
}

void tile_avx512_pack_right_bf16(uint16_t *dst, const void *src, int64_t ld, int n, int64_t k)
{
    for (int64_t step = 0; step < tile_steps(k); step++)
        for (int half = 0; half < 2; half++, dst += TILE_ELEMENTS) {
            const int64_t left = k - step * TILE_DEPTH;
            const __mmask32 there = left >= TILE_DEPTH ? 0xffffffffu : (1u << left) - 1;
            const unsigned char *from = (const unsigned char *)src + 2 * (half * TILE_LINES * ld + step * TILE_DEPTH);
            tile r;
            for (int i = 0; i < TILE_LINES; i++)
                r[i] = half * TILE_LINES + i < n ? _mm512_maskz_loadu_epi16(there, from + 2 * i * ld) : _mm512_setzero_si512();
            transpose(r);
            store_tile(dst, r);
        }
}

void tile_avx512_column_tops(float *top, const float *s, int64_t key0, int64_t n_key, const int64_t *lo, const int64_t *hi)
{
    for (int half = 0; half < 2; half++, top += 16, s += 16, lo += 16, hi += 16) {
        const tile_view seen = tile_view_of(key0, n_key, lo, hi);
        __m512 m = _mm512_loadu_ps(top);
        for (int64_t k = seen.first; k < seen.last; k++) {
            const __m512 x = _mm512_loadu_ps(s + k * TILE_BLOCK);
            m = seen.all ? _mm512_max_ps(x, m) : _mm512_mask_max_ps(m, m_and_range(key0 + k, lo, hi), x, m);
        }
        _mm512_storeu_ps(top, m);
    }
}

/* 2^t; see tiles_c.c. */
static inline __m512 power_of_two(__m512 t)
{
    const __m512 big = _mm512_set1_ps(12582912.0f); /* 1.5 2^23: sums have no fraction left */
    const __m512 whole = _mm512_sub_ps(_mm512_add_ps(t, big), big), f = _mm512_sub_ps(t, whole);
    __m512 p = _mm512_set1_ps(1.327647068e-03f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.675541324e-03f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550713278e-02f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402211972e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931469671e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}

typedef struct column_state { __m512 sum, weighted, distance, c, shift, from; } column_state;

/* Key k of the stretch: its exponentials, and what they add. */
static inline __m512 one_key(column_state *st, const float *s, int64_t k, __mmask16 seen, bool want_distance)
{
    __m512 t = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(s + k * TILE_BLOCK), st->shift), st->c);
    t = _mm512_max_ps(_mm512_set1_ps(-200), t); /* the order lets a NaN through */
    const __m512 e = _mm512_maskz_mov_ps(seen, power_of_two(t));
    st->sum = _mm512_mask_add_ps(st->sum, seen, st->sum, e);
    st->weighted = _mm512_mask3_fmadd_ps(e, t, st->weighted, seen);
    if (want_distance)
        st->distance = _mm512_mask3_fmadd_ps(e, _mm512_abs_ps(_mm512_sub_ps(st->from, _mm512_set1_ps((float)k))), st->distance,
                                             seen);
    return e;
}

/* Keys 2 p and 2 p + 1; a key that is not there counts as unseen. */
static inline void one_pair(column_state *st, const tile_exponentials *b, float *s, uint16_t *packed, int64_t p, __mmask16 first,
                            __mmask16 second, bool want_distance)
{
    const __m512 e = one_key(st, s, 2 * p, first, want_distance);
    const __m512 f = 2 * p + 1 < b->n_key ? one_key(st, s, 2 * p + 1, second, want_distance) : _mm512_setzero_ps();
    if (b->keep) {
        _mm512_storeu_ps(s + 2 * p * TILE_BLOCK, e);
        if (2 * p + 1 < b->n_key)
            _mm512_storeu_ps(s + (2 * p + 1) * TILE_BLOCK, f);
    }
    if (!packed)
        return;
    __m512 x = e, y = f;
    uint16_t *to = packed + p / TILE_LINES * b->terms * 2 * TILE_ELEMENTS + p % TILE_LINES * TILE_DEPTH;
    for (int t = 0; t < b->terms; t++, to += 2 * TILE_ELEMENTS) {
        const __m512i h = pairs_of(x, y);
        _mm512_storeu_si512(to, h);
        if (t + 1 < b->terms) {
            x = remainder_of(x, _mm512_slli_epi32(h, 16));
            y = remainder_of(y, _mm512_and_si512(h, _mm512_set1_epi32((int)0xffff0000)));
        }
    }
}

static inline void one_half(const tile_exponentials *b, int half, bool want_distance)
{
    const int64_t *lo = b->lo + 16 * half, *hi = b->hi + 16 * half;
    const tile_view view = tile_view_of(b->key0, b->n_key, lo, hi);
    float *s = b->s + 16 * half;
    uint16_t *packed = b->packed ? b->packed + half * TILE_ELEMENTS : NULL;
    float from[16];
    for (int i = 0; i < 16; i++)
        from[i] = (float)(b->qpos[16 * half + i] - b->key0);
    column_state st = {
        _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_set1_ps(b->c),
        _mm512_loadu_ps(b->shift + 16 * half), _mm512_loadu_ps(from),
    };
    const int64_t pairs = (b->n_key + 1) / 2;
    if (view.all)
        for (int64_t p = 0; p < pairs; p++)
            one_pair(&st, b, s, packed, p, 0xffff, 0xffff, want_distance);
    else
        for (int64_t p = 0; p < pairs; p++)
            one_pair(&st, b, s, packed, p, m_and_range(b->key0 + 2 * p, lo, hi), m_and_range(b->key0 + 2 * p + 1, lo, hi),
                     want_distance);
    for (int64_t p = pairs; packed && p % TILE_LINES; p++)
        for (int t = 0; t < b->terms; t++)
            _mm512_storeu_si512(packed + (p / TILE_LINES * b->terms + t) * 2 * TILE_ELEMENTS + p % TILE_LINES * TILE_DEPTH,
                                _mm512_setzero_si512());
    float *sum = b->sum + 16 * half, *weighted = b->weighted + 16 * half;
    _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), st.sum));
    _mm512_storeu_ps(weighted, _mm512_add_ps(_mm512_loadu_ps(weighted), st.weighted));
    if (want_distance) {
        float *distance = b->distance + 16 * half;
        _mm512_storeu_ps(distance, _mm512_add_ps(_mm512_loadu_ps(distance), st.distance));
    }
}

void tile_avx512_exponentials(const tile_exponentials *b)
{
    for (int half = 0; half < 2; half++)
        if (b->distance)
            one_half(b, half, true);
        else
            one_half(b, half, false);
}

/* ROWS rows of the left block from `row` on, times the whole right block. */
enum { ROWS = 8 };

static inline void multiply_rows(const tile_product *p, int row)
{
    const int most = p->a_terms > p->b_terms ? p->a_terms : p->b_terms;
    const int64_t a_step = p->a_terms * 2 * TILE_ELEMENTS, b_step = p->b_terms * 2 * TILE_ELEMENTS;
    const uint16_t *a0 = p->a + row / TILE_LINES * TILE_ELEMENTS + row % TILE_LINES * TILE_DEPTH;
    const __mmask16 low = first_lanes(p->n), high = first_lanes(p->n - 16);
    float *c = p->c + row * p->ldc;
    __m512 sum[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < 2; v++)
            sum[i][v] = p->add && row + i < p->m ? _mm512_maskz_loadu_ps(v ? high : low, c + i * p->ldc + 16 * v)
                        : _mm512_setzero_ps();
    for (int64_t step = 0; step < tile_steps(p->k); step++)
        for (int s = 0; s < p->a_terms; s++)
            for (int t = 0; t < p->b_terms && s + t < most; t++) {
                const uint16_t *a = a0 + step * a_step + s * 2 * TILE_ELEMENTS;
                const uint16_t *b = p->b + step * b_step + t * 2 * TILE_ELEMENTS;
                for (int pair = 0; pair < TILE_DEPTH / 2; pair++, b += TILE_DEPTH) {
                    const __m512bh x = (__m512bh)_mm512_loadu_si512(b), y = (__m512bh)_mm512_loadu_si512(b + TILE_ELEMENTS);
#pragma GCC unroll 8
                    for (int i = 0; i < ROWS; i++) {
                        int two;
                        memcpy(&two, a + i * TILE_DEPTH + 2 * pair, sizeof two);
                        const __m512bh w = (__m512bh)_mm512_set1_epi32(two);
                        sum[i][0] = _mm512_dpbf16_ps(sum[i][0], w, x);
                        sum[i][1] = _mm512_dpbf16_ps(sum[i][1], w, y);
                    }
                }
            }
    for (int i = 0; i < ROWS && row + i < p->m; i++) {
        _mm512_mask_storeu_ps(c + i * p->ldc, low, sum[i][0]);
        if (high)
            _mm512_mask_storeu_ps(c + i * p->ldc + 16, high, sum[i][1]);
    }
}

static void multiply(const tile_product *p)
{
    for (int row = 0; row < p->m; row += ROWS)
        multiply_rows(p, row);
}

static float multiply_adds(int64_t rounds, int *flop)
{
    enum { CHAINS = 12 };
    const __m512bh one = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    __m512 x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbf16_ps(x[i], one, one);
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm512_add_ps(x[0], x[i]);
    *flop = 2 * 32 * CHAINS;
    return _mm512_reduce_add_ps(x[0]);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static void nothing(void)
{
}

const tile_kernels tiles_avx512_bf16 = {
    .bf16 = true,
    .begin = nothing,
    .end = nothing,
    TILE_AVX512_PARTS,
    .multiply = multiply,
    .multiply_adds = multiply_adds,
};
#else
typedef int attnscope_no_avx512_bf16;
#endif
