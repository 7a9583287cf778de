/* Products of one vector with stored rows of small integers that stay integers: what decodes tokens from quantised weights.
 *
 * A weight of such a row is d q + c with q of four to six bits; d and c belong to 16 or 32 elements.  The vector is prepared
 * once for all rows: four or eight elements, a lane, share a power of two and are whole multiples of it, of 24 bits, cut into
 * three digits of eight.  Products of bytes and their sums in a lane are then exact; a lane is rounded once, when it becomes
 * a float and is multiplied by d and the power of two.  So an element is rounded by at most 2^-23 of the largest of its lane,
 * and everything behind that in float32.  Every instruction set that has fused multiply-adds gives the same bits. */
#ifndef ATTNSCOPE_COMPUTE_BLOCKS_H
#define ATTNSCOPE_COMPUTE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include "compute/kernels.h"

enum {
    BLOCK_UNIT = 128,     /* elements that are worked on together: a half, or four blocks */
    BLOCK_LANES = 16,     /* lanes of one set of bytes; a lane is four of them */
    BLOCK_ROWS = 4,       /* rows at a time */
    BLOCK_OUTLIER = 12,   /* log2 of what the largest lane may be above the mean (of exponents) */
};

/* A lane's largest element is multiplied by this before its exponent is taken, so that three signed digits hold it. */
#define BLOCK_ROOM 1.004f
/* Smallest exponent of a lane: smaller elements are multiples of the smallest power that is a normal number. */
#define BLOCK_LEAST 23
/* Vectors whose largest lane is below this exponent are left to floats. */
#define BLOCK_TINY 64

/* 128 elements.  Bytes of a row come in two sets of 64: of its low nibbles and of its high ones.  A product is
 *   sum over lanes of d scale ((((start 2^8 + s2) 2^8 + s1) 2^8 + s0) + d whole + c sum,   s: sums of q times a digit,
 * where start makes the integer sum that of q less its middle value, or nearly; `whole` takes that back. */
typedef struct block_unit {
    int8_t digit[3][2][64];             /* the highest first */
    int32_t start[2][BLOCK_LANES];      /* blocks of 32: both sets together use the first */
    float scale[2][BLOCK_LANES];
    /* Of groups of lanes that share d.  Blocks of 32: four of each in whole, c behind d; else: of a superblock, in its first
     * unit. */
    float whole[BLOCK_LANES], sum[BLOCK_LANES];
} block_unit;

/* How a type lies in its bytes. */
typedef enum block_order {
    BLOCKS_NONE,
    BLOCKS_OF_32,         /* four blocks: elements 0..15 of each, and elements 16..31 */
    BLOCKS_IN_PAIRS,      /* sub-blocks 0 and 2 of 32, and 1 and 3: q4_k, q5_k */
    BLOCKS_IN_HALVES,     /* elements 0..63 and 64..127 with d for every 16: q6_k */
} block_order;

typedef struct block_type {
    block_order order;
    int middle;           /* of q: weights are d (q - middle); 0: they are d q + c */
    int centre;           /* what start takes off q */
} block_type;

static inline block_type block_type_of(dtype t)
{
    switch (t) {
    case DT_Q4_0: return (block_type){BLOCKS_OF_32, 8, 8};
    case DT_Q4_1: return (block_type){BLOCKS_OF_32, 0, 8};
    case DT_Q5_0: return (block_type){BLOCKS_OF_32, 16, 16};
    case DT_Q5_1: return (block_type){BLOCKS_OF_32, 0, 16};
    case DT_Q4_K: return (block_type){BLOCKS_IN_PAIRS, 0, 8};
    case DT_Q5_K: return (block_type){BLOCKS_IN_PAIRS, 0, 16};
    case DT_Q6_K: return (block_type){BLOCKS_IN_HALVES, 32, 32};
    default: return (block_type){BLOCKS_NONE, 0, 0};
    }
}

/* Units of n elements; the last may hold zeros behind them. */
static inline int64_t block_units(int64_t n)
{
    return (n + BLOCK_UNIT - 1) / BLOCK_UNIT;
}

typedef struct block_kernels {
    /* x [n], n whole blocks of type t, into u [block_units(n)], aligned to 64 bytes.  False: x is not finite, or some lanes
     * are so much larger than the others that these would lose their digits; use kernels.row_dot or dot. */
    bool (*prepare)(block_unit *u, const float *x, int64_t n, dtype t);
    /* y[r] = the product with rows[r], r < BLOCK_ROWS, of n elements at any address; NULL for types that are not such. */
    void (*dot[DT_COUNT])(float *y, const block_unit *u, const void *const *rows, int64_t n);
} block_kernels;

extern const block_kernels blocks_c; /* the definition */
#if defined(__x86_64__)
extern const block_kernels blocks_avx2, blocks_avx512, blocks_avx512_vnni;
#endif

/* Those of the instruction set of k, the best that this machine has there; NULL for plain C, where converting a row first is
 * faster. */
const block_kernels *blocks_for(const kernels *k);
/* All that this machine can run, NULL-terminated. */
const block_kernels *const *blocks_all(void);

/* Set and place, in sets of 16 elements, of elements 16 i .. 16 i + 15 of a unit. */
static inline void block_place(block_order o, int i, int *set, int *place)
{
    *set = o == BLOCKS_OF_32 ? i % 2 : o == BLOCKS_IN_PAIRS ? i / 2 % 2 : i / 4;
    *place = o == BLOCKS_OF_32 ? i / 2 : o == BLOCKS_IN_PAIRS ? i / 4 * 2 + i % 2 : i % 4;
}

/* What prepare gathers of lanes, [set][lane], into the sums of a unit: see block_unit. */
static inline void block_sums(block_unit *u, int64_t index, block_type t, const float whole[2][BLOCK_LANES],
                              const float sum[2][BLOCK_LANES])
{
    if (t.order == BLOCKS_OF_32) {
        for (int i = 0; i < 4; i++) {
            const float *w = whole[0] + 4 * i, *s = sum[0] + 4 * i;
            u[index].whole[i] = (w[0] + w[1]) + (w[2] + w[3]);
            u[index].whole[4 + i] = t.middle > 0 ? 0 : (s[0] + s[1]) + (s[2] + s[3]);
        }
        return;
    }
    block_unit *to = u + index / 2 * 2;
    const int half = (int)(index % 2), width = t.order == BLOCKS_IN_PAIRS ? 8 : 4;
    for (int set = 0; set < 2; set++)
        for (int l = 0; l < BLOCK_LANES; l += width) {
            const float *w = whole[set] + l, *s = sum[set] + l;
            float a = (w[0] + w[1]) + (w[2] + w[3]), b = (s[0] + s[1]) + (s[2] + s[3]);
            if (width == 8) {
                a += (w[4] + w[5]) + (w[6] + w[7]);
                b += (s[4] + s[5]) + (s[6] + s[7]);
            }
            const int at = width == 8 ? 4 * half + l / 8 * 2 + set : 8 * half + 4 * set + l / 4;
            to->whole[at] = a;
            to->sum[at] = b;
        }
}

/* Exponents (with their bias) of lanes that are not zero, for the decision of prepare. */
typedef struct block_spread { int64_t n, sum; int most; } block_spread;

static inline void block_see_lane(block_spread *s, int exponent)
{
    s->n += exponent > 0;
    s->sum += exponent;
    s->most = exponent > s->most ? exponent : s->most;
}

static inline bool block_spread_fits(const block_spread *s)
{
    return s->most >= BLOCK_TINY && s->most < 255 && s->most * s->n - s->sum <= BLOCK_OUTLIER * s->n;
}

#endif
