/* What families of one stack share: reading the ordinary keys, building the layers, binding by a table of names.
 *
 * A family file states its structure (decoder_shape with the family's defaults, then whatever is different,
 * set on the layers), its tensor names in each format (decoder_names), and the few functions that are really
 * its own. */
#ifndef ATTNSCOPE_MODEL_FAMILIES_DECODER_H
#define ATTNSCOPE_MODEL_FAMILIES_DECODER_H

#include "model/bind.h"
#include "model/config.h"

typedef struct decoder_shape {
    int64_t layers, width, heads, kv_heads, head_width, value_width, ffn, vocab, context;
    int64_t window;          /* sliding_window; 0: none.  Set on all layers by decoder_build */
    double eps;
    norm_kind norm;
    int act;                 /* act_kind */
    bool gated, tied, causal;
} decoder_shape;

/* Read the keys that nearly every family has, under all their spellings, into *s, which holds the family's
 * defaults (fields that are 0: required, or derived: kv_heads = heads, head_width = width / heads, value_width =
 * head_width, ffn = 4 width).  more: keys that the family reads itself; every other key is checked
 * (config_check_keys).  eps_keys may be NULL: "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_eps|norm_epsilon". */
int decoder_read_config(model *m, decoder_shape *s, const char *const *more, err *e);
int decoder_read_meta(model *m, decoder_shape *s, const char *arch, const char *const *more, err *e);

/* Make m->main of this shape: pre-norms of s->norm in every layer and at the end, causal attention scaled by
 * 1 / sqrt(head width) without positions, an MLP.  Families change the layers afterwards. */
int decoder_build(model *m, const decoder_shape *s, err *e);
/* The same stack over and over: set `rope` in every layer. */
void decoder_set_rope(model *m, int rope);
/* RoPE over whole heads (or the configuration's part of them) in every layer, from config.json or GGUF. */
int decoder_rope(model *m, const char *arch, rope_kind kind, double base, double fraction, err *e);
/* layer_types, or (older) sliding_window with a pattern: layers of type "sliding_attention" get the window, the
 * others none.  pattern > 0: without layer_types, every pattern-th layer is full (the last of each group, or the
 * first with full_first).  0: without layer_types all layers keep what they have. */
int decoder_windows(model *m, const json *config, int64_t window, int pattern, bool full_first, err *e);

/* Qwen: with use_sliding_window, layers from max_window_layers on slide; layer_types where they are given. */
int decoder_late_windows(model *m, err *e);
/* Norms on what attention and MLP give instead of on what they read. */
void decoder_norm_outputs(model *m);

typedef enum qkv_layout {
    QKV_SEPARATE,   /* q, k, v in tensors of their own */
    QKV_STACKED,    /* one: all q rows, all k rows, all v rows */
    QKV_PER_HEAD,   /* one: q, k, v rows of head 0, of head 1, ... (GPT-NeoX, BLOOM); as many k as q heads */
    QKV_PER_GROUP,  /* one: the q rows of the first group of heads, its k rows, its v rows, ... (Falcon) */
} qkv_layout;

/* Tensor names without ".weight" and ".bias" (tokens, positions and output too); %d is the layer.  NULL: the
 * family has none.  Norms are bound where the layer's norm has a kind. */
typedef struct decoder_names {
    const char *tokens, *positions, *embed_norm, *final_norm, *output;
    const char *attn_pre, *attn_out_norm, *attn_after, *mlp_pre, *mlp_out_norm, *mlp_after;
    qkv_layout layout;
    const char *qkv, *q, *k, *v, *out, *q_norm, *k_norm, *sinks; /* sinks: the whole name */
    bool query_gate;             /* q holds the query rows of head 0, its gate's rows (attention_block.gate), ... */
    const char *gate_up;         /* one: gate rows, then up rows */
    const char *gate, *up, *down;
    bool transposed;             /* linear maps are stored [in, out] (Conv1D) */
    int paired;                  /* q and k rows are stored interleaved, as GGUF does for some: 1, else 0 */
    unsigned qkv_bias, out_bias, mlp_bias; /* BIND_BIAS, BIND_NO_BIAS, or 0: there or not */
    unsigned norm_flags;         /* for bind_norm */
    int64_t n_position;          /* rows of positions; 0: the context (+ position_offset) */
} decoder_names;

/* The names of Llama, which many families took over, and the ordinary ones of GGUF (all norms, qkv in three). */
extern const decoder_names decoder_names_llama, decoder_names_gguf;

/* Bind main by names.  Layers with experts (y->moe) or a delta rule keep their MLP or attention unbound: the
 * family binds those. */
int decoder_bind(model *m, const decoder_names *n, err *e);
/* ALiBi in every layer, with the slopes of Press et al. (arXiv 2108.12409): 2^(-8 k / n) for the n heads of a
 * power of two, then every other slope of twice as many. */
int decoder_alibi(model *m, err *e);
/* Gemma 2 and 3: norms before and behind attention and MLP, in config.json form stored minus one. */
int decoder_bind_gemma(model *m, err *e);
/* decoder_bind without the embeddings and the final norm. */
int decoder_bind_layers(model *m, const decoder_names *n, err *e);
/* Parts of it, for families that need another order. */
int decoder_bind_attention(model *m, int layer, const decoder_names *n, err *e);
int decoder_bind_mlp(model *m, mlp *p, int layer, const decoder_names *n, err *e);
int decoder_bind_qk_norm(model *m, qk_norm *q, const char *name, int layer, int heads, int d, unsigned norm_flags, err *e);
/* LayerNorm or RMSNorm of q and k in every layer, over a head's width or, with `whole`, over all heads at once. */
void decoder_set_qk_norm(model *m, norm_kind kind, double eps, bool whole, bool per_head);
/* config.json's boolean as a bias flag: BIND_BIAS, BIND_NO_BIAS, or 0 when the key is not there. */
int decoder_bias_flag(const model *m, const char *key, unsigned *flag, err *e);

#endif
