/* Inside of a runtime: buffers that the layer loop uses, all sized before it starts. */
#ifndef ATTNSCOPE_MODEL_RUNTIME_H
#define ATTNSCOPE_MODEL_RUNTIME_H

#include "model/forward.h"

/* Rows of activations that the MLP and the logits are computed for at a time. */
enum { RUNTIME_ROWS = 512 };

/* Rows of logits at a time: a quarter of a million values, so that vocabularies of any size fit. */
int64_t runtime_logit_rows(const model *m);

struct runtime {
    const model *m;
    pool *pool;
    gemm_scratch *gemm;
    attn_scratch *attn;
    precision prec;
    int64_t capacity;     /* tokens that the buffers hold */
    int64_t rope_capacity;
    float *x;             /* [capacity, C] residual stream */
    float *q;             /* [capacity, n_head * d_qk] of one layer */
    float *k, *v;         /* [capacity, n_kv_head * d] of one layer */
    float *heads;         /* [capacity, n_head * d_v] head outputs */
    float *normed;        /* [RUNTIME_ROWS, C] */
    float *gate, *up;     /* [RUNTIME_ROWS, ffn] */
    float *added;         /* [RUNTIME_ROWS, C] what a block adds to the stream */
    float *position;      /* [threads, C] */
    float *logits;        /* [runtime_logit_rows, V]; made when first asked for */
    float **cos, **sin;   /* a rope: [rope_capacity, dim/2] */
};

/* Room for n tokens from position 0 (rope tables up to rope_n). */
int runtime_reserve(runtime *r, int64_t n, int64_t rope_n, err *e);
int runtime_reserve_logits(runtime *r, err *e);

/* Where keys and values of a layer live: [n_key, ...] with room for pos0 + n rows. */
typedef struct kv_view { float *k, *v; } kv_view;

/* The layers over tokens ids [n] at positions pos0...; cache [n_layer] holds keys and values of the positions
 * before; NULL: a prefill in the runtime's own buffers (pos0 must be 0). */
int run_layers(runtime *r, const int32_t *ids, int64_t n, int64_t pos0, kv_view *cache, const observer *o,
               const progress *p, err *e);

/* Logits [rows, V] of rows of the residual stream after the last block.  decoding: one row, read at memory
 * speed. */
void run_logits(runtime *r, const float *x, int64_t rows, float *logits, bool decoding);

#endif
