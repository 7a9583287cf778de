/* Attention of few queries (decoding): keys and values are read once where they lie, scores of a query lie side by side, and
 * the work is proportional to the queries there are. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_FEW_H
#define ATTNSCOPE_COMPUTE_ATTENTION_FEW_H

#include "compute/attention_parts.h"

/* Sums over a row of exponentials e = exp(t), t = scale s - m: of e in SOFTMAX_WAYS parts by index, of e t, and of
 * e |position - index|. */
typedef struct few_sums { float part[SOFTMAX_WAYS]; double weighted, distance; } few_sums;

/* Inner loops; tests compare them with few_c. */
typedef struct few_kernels {
    /* s[i] = q . k_i for i < n, k_i [d] at k + i ldk; the order of additions depends on d alone. */
    void (*dots)(float *s, const float *q, const float *k, int64_t ldk, int64_t n, int d);
    /* The largest scale s[i]; n, here and below, is a multiple of SOFTMAX_WAYS. */
    float (*largest)(const float *s, int64_t n, float scale);
    /* s becomes e.  e of -inf is 0 and counts nowhere.  The parts have the same bits in every set. */
    void (*exponentials)(few_sums *sums, float *s, int64_t n, float scale, float m, int64_t position);
    /* out [d] = sum over i < n (any) of p[i] v_i. */
    void (*sum_rows)(float *out, const float *p, const float *v, int64_t ldv, int64_t n, int d);
} few_kernels;

extern const few_kernels few_c;
#if defined(__x86_64__)
extern const few_kernels few_avx2, few_avx512; /* isa/avx2.c, isa/avx512.c */
#endif
const few_kernels *few_for(const kernels *k);

/* Floats of a query's row of scores over n_key keys. */
int64_t attn_few_row(int64_t n_key);
/* attn_block_weights of a block that reads keys where they lie: scores [n_query][attn_few_row], by key; b's strides say so.
 * Cells of keys k0 .. k1 - 1 that are masked become 0. */
void attn_few_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores);
/* The outputs of these queries. */
void attn_few_output(const attn_block *b, const attn_parts *p, int head, const float *scores);

#endif
