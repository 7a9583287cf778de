/* Inside of a runtime: buffers that the layer loop uses, all sized before it starts, and the steps of a layer. */
#ifndef ATTNSCOPE_MODEL_RUNTIME_H
#define ATTNSCOPE_MODEL_RUNTIME_H

#include "compute/attention_ring.h"
#include "model/forward.h"

/* Rows of activations that the MLP and the logits are computed for at a time (R below). */
enum { RUNTIME_ROWS = 512 };

/* Rows of logits at a time: a quarter of a million values, so that vocabularies of any size fit. */
int64_t runtime_logit_rows(const model *m);

/* Buffers of a run.  n: tokens of the stack that runs; widths are the widest of all layers. */
typedef enum buffer {
    BUF_X,        /* [n, C] residual stream */
    BUF_Q,        /* [n, n_head * d_qk] of one layer; runtime_heads */
    BUF_K,        /* [n_key, n_kv_head * d_qk] of one layer */
    BUF_V,        /* [n_key, n_kv_head * d_v] */
    BUF_HEADS,    /* [n, n_head * d_v] head outputs, where they do not take the places of the queries */
    BUF_GATES,    /* [n, n_head * d_v] gates on the head outputs */
    BUF_NORMED,   /* [R, C] what a block reads */
    BUF_ADDED,    /* [R, C] what a block adds to the stream */
    BUF_ADDED_2,  /* [R, C] */
    BUF_INNER,    /* [R, ffn] MLP: gate, and up where there is no gate */
    BUF_UP,       /* [R, ffn] */
    BUF_LOW,      /* [R, ranks of latent attention] */
    BUF_LOW_2,    /* [R, n_head * d_nope] */
    BUF_ROUTER,   /* [R, 2 n_expert] scores, weights */
    BUF_EXPERT,   /* [R, C] rows that chose an expert */
    BUF_EXPERT_2, /* [R, C] what the expert makes of them */
    BUF_ROW,      /* [threads, widest embedding] */
    BUF_KEY_BIAS, /* [n_head, n_key] ALiBi */
    BUF_REL_BIAS, /* [n_head, n + n_key - 1] T5 */
    BUF_SOURCE,   /* [n_source, C] what cross attention reads */
    BUF_IMAGE,    /* [patches, C] image features in main's width */
    BUF_FRONT,    /* unfolded patches or frames */
    BUF_FRONT_2,
    BUF_STATE,    /* delta rule: [n_value_head, d_key, d_value] and the convolution's last inputs */
    BUF_DELTA,    /* [threads, delta_rule_scratch] */
    BUF_RATES,    /* [2, n_value_head, n] delta rule: beta, decay */
    BUF_LOGITS,   /* [runtime_logit_rows, V] */
    BUF_COUNT
} buffer;

struct runtime {
    const model *m;
    pool *pool;
    gemm_scratch *gemm;
    attn_scratch *attn;
    precision prec;
    const forward_edits *edits;  /* NULL: none */
    attn_ring *ring;             /* the sequence is shared out over ranks; NULL: it is not */
    bool in_place;               /* head outputs are written over the queries, see runtime_heads */
    float *buf[BUF_COUNT];
    size_t room[BUF_COUNT];      /* floats */
    int64_t n_source, n_image;   /* rows of BUF_SOURCE and BUF_IMAGE that hold something */
    int64_t image_placed;        /* rows of BUF_IMAGE that are in the stream already */
    int *chosen;                 /* [R, n_used] experts of each row */
    size_t chosen_room;
    int64_t rope_rows, rope_length; /* positions in the tables, and the sequence length that they are for */
    float **cos, **sin;          /* a rope: [rope_rows, dim/2]; with a ring, of the positions of its rows */
};

/* Make buffer b hold rows x cols floats; its contents are lost when it grows. */
int runtime_room(runtime *r, buffer b, int64_t rows, int64_t cols, err *e);
/* Two buffers change places, with their room. */
void runtime_swap(runtime *r, buffer a, buffer b);
/* Outputs of the heads of the layer at hand, [n, n_head * d_v].  Where they are as wide as the queries in all layers of a
 * stack, they take their places: at long prompts each is as large as the residual stream. */
static inline float *runtime_heads(const runtime *r)
{
    return r->buf[r->in_place ? BUF_Q : BUF_HEADS];
}
/* Room for n queries of a stack over n_key keys (self attention), which is the length that length-dependent RoPE
 * scalings see, and RoPE tables for positions below `positions` (n_key or more, when it will grow). */
int runtime_reserve(runtime *r, const stack *s, int64_t n, int64_t n_key, int64_t positions, err *e);
int runtime_reserve_logits(runtime *r, err *e);

/* Where a layer keeps what later calls need: keys and values of the positions before, of the encoder's
 * output, or the state of a delta rule.  NULL in a prefill. */
typedef struct layer_cache { float *k, *v, *cross_k, *cross_v, *state; } layer_cache;
/* Floats of a delta rule's state. */
int64_t delta_net_state(const delta_net *d);

/* One of several prompts that pass together: rows row .. row + n - 1, at positions 0 .. n - 1, watched by o. */
typedef struct segment { int64_t row, n; const observer *o; } segment;

/* One stack's pass. */
typedef struct pass {
    runtime *r;
    const stack *s;
    int64_t n, pos0;             /* rows of BUF_X, and the position of the first */
    const segment *segments;     /* [n_segment] of the rows, in their order; NULL: one prompt, whose observer is o */
    int n_segment;
    layer_cache *cache;          /* [n_layer] or NULL */
    bool decoding;               /* one row reads weights at memory speed */
    const observer *o;
    const progress *p;
} pass;

static inline int pass_segments(const pass *a)
{
    return a->segments ? a->n_segment : 1;
}
static inline segment pass_segment(const pass *a, int i)
{
    return a->segments ? a->segments[i] : (segment){0, a->n, a->o};
}

/* The parts of a run (forward.c), shared with decoding. */
bool forward_wants_logits(const model *m, const observer *o);
/* Logits of the n positions whose first is row `at` of BUF_X, for o->logits. */
int forward_logits(runtime *r, int64_t at, int64_t n, const observer *o, const progress *p, err *e);
int forward_memory_check(const runtime *r, const input_lengths *n, err *e);
int check_main_ids(const model *m, const int32_t *ids, int64_t n, int64_t pos0, err *e);
/* Encoder and image tower: BUF_SOURCE and BUF_IMAGE. */
int run_towers(runtime *r, const model_input *in, const input_lengths *n, const observer *o, const progress *p, err *e);
int run_main(runtime *r, const model_input *in, int64_t n, int64_t pos0, layer_cache *cache, const observer *o,
             const progress *p, err *e);

/* A run of a sequence that is split over ranks (forward_split.c). */
int forward_split(runtime *r, const model_input *in, const observer *o, const progress *p, err *e);
/* Keys that the attention of a pass sees. */
static inline int64_t pass_keys(const pass *a)
{
    return a->r->ring ? attn_ring_split(a->r->ring)->n : a->pos0 + a->n;
}

/* The steps of a layer, each in a file of its own; x is BUF_X. */
int stack_layers(pass *a, err *e);                                   /* layers.c */
/* ALiBi's and T5's biases for n queries over n_key keys, where the stack has them. */
void fill_biases(pass *a, int64_t n, int64_t n_key);
/* What a sublayer reads of x: rows row .. row + rows - 1 of it, or their norm, [rows, C]. */
const float *sublayer_input(pass *a, const sublayer *at, int64_t row, int64_t rows);
int attend_self(pass *a, int layer, err *e);                         /* attend.c: x -> runtime_heads */
int attend_cross(pass *a, int layer, err *e);
void project_latent(pass *a, const attention_block *b, const float *in, int64_t row, int64_t rows, float *k, float *v);
int delta_net_rows(pass *a, int layer, err *e);                      /* delta_net.c: likewise */
void mlp_rows(pass *a, const mlp *m, const float *in, int64_t ld, float *out, int64_t rows);  /* mlp.c */
void moe_rows(pass *a, const moe *m, const float *in, float *out, int64_t rows);              /* moe.c */
int embed_tokens(runtime *r, const stack *s, const int32_t *ids, int64_t n, int64_t pos0, err *e);  /* embed.c */
/* The same to x [n, C]. */
void embed_tokens_at(runtime *r, const stack *s, float *x, const int32_t *ids, int64_t n, int64_t pos0);
int embed_patches(runtime *r, const stack *s, const model_input *in, err *e);     /* embed_patches.c */
int embed_audio(runtime *r, const stack *s, const model_input *in, err *e);       /* embed_audio.c */
int64_t patch_tokens(const embedding *e, int64_t height, int64_t width);  /* tokens of an image */
/* Logits [rows, V] of rows of the residual stream after the last block. */
void run_logits(runtime *r, const float *x, int64_t rows, float *logits, bool decoding);

/* Operations over rows, shared out to the threads (rows.c).  ld: floats from one row to the next. */
void rows_norm(runtime *r, const norm *n, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, int64_t width);
void rows_qk_norm(runtime *r, const qk_norm *n, float *x, int64_t ld, int64_t rows, int heads, int d);
void rows_add(runtime *r, float *x, int64_t ldx, const float *y, int64_t ldy, int64_t rows, int64_t width);
void rows_scale(runtime *r, float *x, int64_t ld, float a, int64_t rows, int64_t width);
void rows_gain(runtime *r, float *x, int64_t ld, const float *gain, int64_t rows, int64_t width); /* x *= gain */
void rows_clamp(runtime *r, float *x, int64_t ld, float limit, int64_t rows, int64_t width);
/* gate = act(gate) * up; up NULL: act(gate). */
void rows_activate(runtime *r, act_kind act, float *gate, int64_t ldg, const float *up, int64_t ldu, int64_t rows,
                   int64_t width);
void rows_rope(runtime *r, int rope, float *x, int64_t ld, int64_t rows, int64_t pos0, int heads, int d);
/* y = W x + b: one row of a decoder reads the weights at memory speed; more rows share panels. */
void rows_linear(runtime *r, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w,
                 bool decoding);
/* The same of n maps of one x, at most GEMM_MAPS. */
void rows_maps(runtime *r, const gemm_map *maps, int n, const float *x, int64_t ldx, int64_t rows, bool decoding);

#endif
