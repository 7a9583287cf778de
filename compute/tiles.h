/* Products of matrices by tile instructions, whose operands are bfloat16.  A float32 operand becomes a sum of up to
 * three bfloat16 terms,
 *   x = t0 + t1 + t2,  t0 = bf16(x), t1 = bf16(x - t0), t2 = bf16(x - t0 - t1)
 * (24 bits: three terms are x itself), and a product of sums the products of terms (i, j) with i + j < the larger number
 * of terms: one of one each (bfloat16 arithmetic); six of three each, five of three and two, three of three and one (all
 * float32 grade, when two terms or one are the other operand itself).  Two of each would leave an error of 2^-17 of the
 * magnitudes: too much for weights of attention to come out as a float32 pass has them.
 *
 * Operands are packed: blocks of TILE_BLOCK lines (rows of the left one, columns of the right one), each cut into steps
 * of TILE_DEPTH products; a step holds its terms one behind the other, a term two tiles of TILE_LINES lines of 16 x 64 bytes:
 *   left  [step][term][2][16 lines][32]          element (line, k) of a tile at 32 line + k
 *   right [step][term][2][16 pairs][16 lines][2] element (line, k) at 32 (k / 2) + 2 line + k % 2
 * What is not there is 0.
 *
 * A number below 2^-126 in magnitude counts as 0, in operands and sums; one beyond the largest bfloat16 as infinite, and
 * what is not finite has no second term. */
#ifndef ATTNSCOPE_COMPUTE_TILES_H
#define ATTNSCOPE_COMPUTE_TILES_H

#include <stdbool.h>
#include <stdint.h>

enum { TILE_LINES = 16, TILE_BLOCK = 32, TILE_DEPTH = 32, TILE_TERMS = 3, TILE_ELEMENTS = TILE_LINES * TILE_DEPTH };

/* Steps of k products, and elements (uint16_t) of a packed block. */
static inline int64_t tile_steps(int64_t k)
{
    return (k + TILE_DEPTH - 1) / TILE_DEPTH;
}

/* Blocks of n lines, and lines of a block behind which `left` are left. */
static inline int64_t tile_blocks(int64_t n)
{
    return (n + TILE_BLOCK - 1) / TILE_BLOCK;
}

static inline int tile_block_lines(int64_t left)
{
    return (int)(left < TILE_BLOCK ? left : TILE_BLOCK);
}

static inline int64_t tile_block_size(int64_t k, int n_term)
{
    return tile_steps(k) * n_term * 2 * TILE_ELEMENTS;
}

/* c[i * ldc + j] = sum over k of a_i b_j, for i < m and j < n, both at most TILE_BLOCK; what else lies in c stays. */
typedef struct tile_product {
    int64_t k;
    const uint16_t *a, *b;         /* a packed block each, left and right */
    int a_terms, b_terms;
    float *c;
    int64_t ldc;
    int m, n;
    bool add;                      /* c += */
} tile_product;

/* A stretch of the keys of TILE_BLOCK queries, a column each: scores to exponentials and their sums.  With c = scale log2 e
 * and t = max((s - shift) c, -200), e = 2^t for keys that the query sees and 0 for the others:
 *   sum += sum of e,  weighted += sum of e t,  distance += sum of e |qpos - key|,
 * keys in increasing order within the stretch, then added.  The exponentials are packed as a right operand. */
typedef struct tile_exponentials {
    float *s;                      /* [n_key, TILE_BLOCK] scores */
    int64_t key0, n_key;           /* keys key0 .. key0 + n_key - 1; n_key at most TILE_STRETCH */
    float c;
    const float *shift;            /* [TILE_BLOCK], finite */
    const int64_t *lo, *hi, *qpos; /* [TILE_BLOCK]: query j sees keys lo <= key < hi */
    float *sum, *weighted;         /* [TILE_BLOCK] */
    float *distance;               /* [TILE_BLOCK]; NULL: not wanted */
    int terms;
    uint16_t *packed;              /* [tile_block_size(n_key, terms)]; NULL: not wanted */
    bool keep;                     /* exponentials replace the scores */
} tile_exponentials;

enum { TILE_STRETCH = 128 };

/* e of one score that is seen, with the bits that tile_kernels.exponentials gives. */
float tile_exponential(float s, float c, float shift);

typedef struct tile_kernels {
    bool bf16, split;              /* precisions that are faster with these than by multiply-adds */
    /* Before the first and behind the last multiply of some work on a thread. */
    void (*begin)(void);
    void (*end)(void);
    /* Pack n lines of k numbers, n at most TILE_BLOCK: number k of line i at src[i * ld + k], in the turned forms at
     * src[k * ld + i]. */
    void (*pack_left)(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
    void (*pack_left_turned)(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
    void (*pack_right)(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
    void (*pack_right_turned)(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
    /* pack_right with one term of lines that are bfloat16; src may be at any address, ld counts elements. */
    void (*pack_right_bf16)(uint16_t *dst, const void *src, int64_t ld, int n, int64_t k);
    /* Per step and pair of terms, (0,0) (0,1) (1,0) (2,0): the sums of even and of odd products, by fused multiply-adds in
     * increasing k from 0, are added, then to c.  (A table without tile instructions may take the order of its own.) */
    void (*multiply)(const tile_product *p);
    /* top[j] = the larger of it and of s[key * TILE_BLOCK + j] over keys lo[j] <= key0 + key < hi[j], key < n_key; a NaN may
     * be passed over. */
    void (*column_tops)(float *top, const float *s, int64_t key0, int64_t n_key, const int64_t *lo, const int64_t *hi);
    void (*exponentials)(const tile_exponentials *b);
    /* Products that stay in registers, to measure what the processor can do: rounds of *flop operations each. */
    float (*multiply_adds)(int64_t rounds, int *flop);
} tile_kernels;

/* Plain C: the definition; too slow to be chosen. */
extern const tile_kernels tiles_c;
#if defined(__x86_64__)
extern const tile_kernels tiles_avx512_bf16, tiles_amx;
#endif

#endif
