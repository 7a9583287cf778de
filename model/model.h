/* A model: the structure that a checkpoint describes, with its weights bound. */
#ifndef ATTNSCOPE_MODEL_MODEL_H
#define ATTNSCOPE_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/result.h"
#include "base/strbuf.h"
#include "compute/tensor.h"
#include "model/checkpoint.h"

typedef enum norm_kind { NORM_LAYER, NORM_RMS } norm_kind;
typedef enum act_kind { ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU } act_kind;
typedef enum rope_kind { ROPE_NONE, ROPE_HALF, ROPE_INTERLEAVED } rope_kind;

/* Rotary embedding of one kind of layer.  HALF pairs dimensions (i, i + dim/2), INTERLEAVED (2i, 2i+1). */
typedef struct rope_plan {
    rope_kind kind;
    int dim;                 /* rotated dimensions of each head, the first ones */
    double base;
    char scaling[16];        /* "none", "linear", "llama3", "yarn", "factors" */
    double factor;
    double original_context; /* llama3, yarn */
    double low_freq_factor, high_freq_factor;   /* llama3 */
    double beta_fast, beta_slow;                /* yarn */
    bool truncate;                              /* yarn: whole dimensions in the ramp */
    double magnitude;        /* cos and sin are multiplied by it (yarn's attention factor), else 1 */
    float *inv_freq;         /* [dim/2] radians a position; owned by the model */
} rope_plan;

/* How one layer attends: everything that `info` prints. */
typedef struct attn_plan {
    attn_kind kind;
    int n_head, n_kv_head;
    int d_qk, d_v;           /* head widths */
    float scale;
    bool causal;
    int64_t window;          /* 0: all earlier keys */
    int rope;                /* index into model.ropes, -1: none */
    bool qkv_bias, out_bias;
} attn_plan;

typedef struct norm_weight { const float *w, *b; } norm_weight; /* [C]; b NULL for RMS */

typedef struct model_layer {
    attn_plan attn;
    norm_weight norm_attn, norm_mlp;  /* before attention, before the MLP */
    weight q, k, v, out;
    act_kind act;
    bool gated;                        /* down(act(gate x) * up x), else down(act(up x)) */
    weight gate, up, down;
} model_layer;

typedef struct model model;

/* A family (model/families/): how its configurations read and what its tensors are called. */
typedef struct family {
    const char *name;                       /* "llama" */
    const char *summary;
    const char *const *model_types;         /* Hugging Face config.json model_type, NULL-terminated */
    const char *const *gguf_archs;          /* GGUF general.architecture, NULL-terminated */
    /* Fill the structure of m from its checkpoint's config (config.json or GGUF metadata). */
    int (*configure)(model *m, err *e);
    /* Bind the weights. */
    int (*bind)(model *m, err *e);
} family;

struct model {
    checkpoint *ckpt;            /* owned */
    const family *family;
    char *name;                  /* last part of the path, for titles */
    int n_layer;
    int64_t width;               /* C */
    int64_t ffn;                 /* widest MLP inner width */
    int64_t vocab;               /* V: rows of the unembedding */
    int64_t context;             /* longest prompt that positions allow for */
    norm_kind norm;
    float norm_eps;
    bool tied;                   /* unembedding = token embedding */
    model_layer *layers;               /* [n_layer] */
    int n_rope;
    rope_plan *ropes;            /* [n_rope] */
    weight token_embedding;      /* [V, C], read row by row */
    weight position_embedding;   /* [context, C]; data NULL when positions are not embedded */
    norm_weight final_norm;
    weight unembedding;
    int64_t n_param;             /* elements of all bound tensors, tied ones once */
    int n_ignored;               /* config keys that no family table knows and that do not touch attention */
    const char **ignored;        /* [n_ignored] */
    bool *used;                  /* [ckpt->n_tensor] bound by the family */
    void *arena_;
};

extern const family *const families[]; /* NULL-terminated */

int model_open(model **out, const char *path, err *e);
void model_free(model *m);
/* "32 heads over 8 key/value heads of 64, causal, RoPE half base 10000 llama3 x32, scale 0.125" */
void model_describe_layer(const model *m, int layer, strbuf *out);

#endif
