/* What encoder-decoder families share: two stacks, cross attention, binding by a table of names. */
#ifndef ATTNSCOPE_MODEL_FAMILIES_ENCDEC_H
#define ATTNSCOPE_MODEL_FAMILIES_ENCDEC_H

#include "model/bind.h"
#include "model/config.h"

typedef struct encdec_shape {
    int64_t layers, width, heads, head_width, ffn, context;
    norm norm;               /* of every place below */
    bool pre;                /* norms before attention and MLP, and at the end; else behind them */
    act_kind act;
    bool gated;
    float scale;             /* of scores */
} encdec_shape;

/* One stack: kind ATTN_ENCODER (bidirectional) or ATTN_SELF (causal, with cross attention in every layer). */
int encdec_stack(model *m, stack **out, attn_kind kind, const encdec_shape *s, err *e);

/* encoder_layers, decoder_attention_heads and so on of config.json into *s, whose width is set. */
int encdec_read_side(const model *m, encdec_shape *s, bool decoder, err *e);

/* Names of a stack's tensors, without ".weight" and ".bias"; %d is the layer.  NULL: none. */
typedef struct encdec_names {
    const char *q, *k, *v, *out, *norm_self;
    const char *cross_q, *cross_k, *cross_v, *cross_out, *norm_cross;
    const char *gate, *up, *down, *norm_mlp, *final_norm;
    unsigned bias;           /* of q, v, out and the MLP: BIND_BIAS, BIND_NO_BIAS or 0 */
    unsigned key_bias;       /* of k */
} encdec_names;
int encdec_bind(model *m, stack *s, const encdec_names *n, err *e);

#endif
