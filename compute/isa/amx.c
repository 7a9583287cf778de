/* AMX: products of tiles.h by TDPBF16PS, four tiles of sums, two of the left and two of the right operand.  Packing is that of
 * AVX-512. */
#include "compute/isa/tile_parts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16,prefer-vector-width=512")
#endif

/* The operand of LDTILECFG: every tile has 16 rows of 64 bytes. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "as the processor reads it");

static const tile_config config = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

static void begin(void)
{
    /* Not _tile_loadconfig: gcc 12 states only the first bytes of the operand as read. */
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

static void end(void)
{
    _tile_release();
}

enum { LINE = 64 }; /* bytes from one row of a packed tile to the next */

#define LOAD_PAIR(first, second, from)                   \
    do {                                                 \
        _tile_loadd(first, (from), LINE);                \
        _tile_loadd(second, (from) + TILE_ELEMENTS, LINE); \
    } while (0)

#define MULTIPLY_FOUR()           \
    do {                          \
        _tile_dpbf16ps(0, 4, 6);  \
        _tile_dpbf16ps(1, 4, 7);  \
        _tile_dpbf16ps(2, 5, 6);  \
        _tile_dpbf16ps(3, 5, 7);  \
    } while (0)

/* All steps of two by two tiles; the terms are constants where this is called. */
static inline void all_steps(const tile_product *p, const int a_terms, const int b_terms)
{
    const int most = a_terms > b_terms ? a_terms : b_terms;
    const int64_t a_step = a_terms * 2 * TILE_ELEMENTS, b_step = b_terms * 2 * TILE_ELEMENTS;
    const uint16_t *a = p->a, *b = p->b;
    for (int64_t step = tile_steps(p->k); step > 0; step--, a += a_step, b += b_step)
        for (int i = 0; i < a_terms; i++) {
            LOAD_PAIR(4, 5, a + i * 2 * TILE_ELEMENTS);
            for (int j = 0; j < b_terms && i + j < most; j++) {
                if (i == 0 || b_terms > 1)
                    LOAD_PAIR(6, 7, b + j * 2 * TILE_ELEMENTS);
                MULTIPLY_FOUR();
            }
        }
}

/* Sums from memory, or zeros; to is where they go: their own place or a block of TILE_BLOCK columns. */
static inline void product(const tile_product *p, float *to, int64_t ld, bool add)
{
    const int64_t bytes = ld * (int64_t)sizeof *to;
    if (add) {
        _tile_loadd(0, to, bytes);
        _tile_loadd(1, to + TILE_LINES, bytes);
        _tile_loadd(2, to + TILE_LINES * ld, bytes);
        _tile_loadd(3, to + TILE_LINES * ld + TILE_LINES, bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    if (p->a_terms == 1 && p->b_terms == 1)
        all_steps(p, 1, 1);
    else if (p->a_terms == 3 && p->b_terms == 1)
        all_steps(p, 3, 1);
    else if (p->a_terms == 3 && p->b_terms == 3)
        all_steps(p, 3, 3);
    else
        all_steps(p, p->a_terms, p->b_terms);
    _tile_stored(0, to, bytes);
    _tile_stored(1, to + TILE_LINES, bytes);
    _tile_stored(2, to + TILE_LINES * ld, bytes);
    _tile_stored(3, to + TILE_LINES * ld + TILE_LINES, bytes);
}

static void multiply(const tile_product *p)
{
    float c[TILE_BLOCK * TILE_BLOCK] __attribute__((aligned(64)));
    if (p->m == TILE_BLOCK && p->n == TILE_BLOCK && p->ldc == TILE_BLOCK) {
        product(p, p->c, TILE_BLOCK, p->add);
        return;
    }
    /* Rows of a result that lie a multiple of a page apart slow tile stores down; and what is not there must stay. */
    if (p->add) {
        memset(c, 0, sizeof c);
        for (int i = 0; i < p->m; i++)
            memcpy(c + i * TILE_BLOCK, p->c + i * p->ldc, (size_t)p->n * sizeof *c);
    }
    product(p, c, TILE_BLOCK, p->add);
    for (int i = 0; i < p->m; i++)
        memcpy(p->c + i * p->ldc, c + i * TILE_BLOCK, (size_t)p->n * sizeof *c);
}

static float multiply_adds(int64_t rounds, int *flop)
{
    float c[TILE_LINES * TILE_LINES] __attribute__((aligned(64)));
    begin();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (int64_t r = 0; r < rounds; r++)
        MULTIPLY_FOUR();
    _tile_stored(0, c, LINE);
    end();
    *flop = 4 * 2 * TILE_LINES * TILE_LINES * TILE_DEPTH;
    return c[0];
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const tile_kernels tiles_amx = {
    .bf16 = true,
    .split = true,
    .begin = begin,
    .end = end,
    TILE_AVX512_PARTS,
    .multiply = multiply,
    .multiply_adds = multiply_adds,
};
#else
typedef int attnscope_no_amx;
#endif
