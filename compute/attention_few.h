/* Attention of few queries (decoding): keys and values are read once where they lie, scores of a query lie side by side, and
 * the work is proportional to the queries there are. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_FEW_H
#define ATTNSCOPE_COMPUTE_ATTENTION_FEW_H

#include "compute/attention_parts.h"

/* Sums over a row of exponentials e = exp(t), t = scale s - m: of e in SOFTMAX_WAYS parts by index, of e t, and of
 * e |position - index|. */
typedef struct few_sums { float part[SOFTMAX_WAYS]; double weighted, distance; } few_sums;

/* Memory that is asked for meanwhile: lines of 64 bytes from `at` on, `lines` for every four keys. */
typedef struct few_ahead { const char *at; int lines; } few_ahead;

/* Inner loops; tests compare them with few_c. */
typedef struct few_kernels {
    /* s[i] = q . k_i for i < n, k_i [d] at k + i ldk; the order of additions depends on d alone. */
    void (*dots)(float *s, const float *q, const float *k, int64_t ldk, int64_t n, int d, few_ahead ahead);
    /* The largest scale s[i]; n, here and below, is a multiple of SOFTMAX_WAYS. */
    float (*largest)(const float *s, int64_t n, float scale);
    /* s becomes e.  e of -inf is 0 and counts nowhere.  The parts have the same bits in every set. */
    void (*exponentials)(few_sums *sums, float *s, int64_t n, float scale, float m, int64_t position);
    /* out [d] += p[i] v_i for i < n (any), in order. */
    void (*sum_rows)(float *out, const float *p, const float *v, int64_t ldv, int64_t n, int d,
                     few_ahead ahead);
} few_kernels;

extern const few_kernels few_c;
#if defined(__x86_64__)
extern const few_kernels few_avx2, few_avx512; /* isa/avx2.c, isa/avx512.c */
#endif
const few_kernels *few_for(const kernels *k);

/* Floats of a query's row of scores over n_key keys, and of all rows of a head of a. */
int64_t attn_few_row(int64_t n_key);
int64_t attn_few_room(const attn_args *a);
/* Keys of a range, and ranges of all: what is worked on at a time.  They depend on n_key alone. */
int64_t attn_few_range(int64_t n_key);
int attn_few_ranges(int64_t n_key);
/* Products with keys from .. to - 1 in heads head .. head + n - 1, into scores [n][n_query][attn_few_row], by key. */
void attn_few_scores(const attn_block *b, const attn_parts *p, int head, int n, int64_t from, int64_t to, float *scores);
/* attn_block_weights from the products of one head, in place; b's strides say how they lie.  Cells of keys k0 .. k1 - 1 that
 * are masked become 0. */
void attn_few_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores);
/* What keys from .. to - 1 give the outputs of all heads: out [n_query, n_head * d_v]. */
void attn_few_output(const attn_block *b, const attn_parts *p, int64_t from, int64_t to, const float *scores, float *out);

#endif
