/* A model: the structure that a checkpoint describes, with its weights bound. */
#ifndef ATTNSCOPE_MODEL_MODEL_H
#define ATTNSCOPE_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/result.h"
#include "base/strbuf.h"
#include "compute/tensor.h"
#include "model/checkpoint.h"

typedef enum act_kind {
    ACT_SILU, ACT_GELU_TANH, ACT_GELU_NEW, ACT_GELU_FAST, ACT_GELU_ERF, ACT_QUICK_GELU, ACT_RELU, ACT_RELU2, ACT_SIGMOID,
    ACT_SWIGLU_OAI,   /* GPT-OSS: gate and up clamped, (up + 1) gate sigmoid(1.702 gate) */
} act_kind;

typedef enum norm_kind { NORM_NONE, NORM_LAYER, NORM_RMS } norm_kind;
/* NORM_NONE: passes its input on.  w NULL: all ones; b NULL: zeros (always for RMS). */
typedef struct norm { norm_kind kind; float eps; const float *w, *b; } norm;

typedef enum rope_kind { ROPE_NONE, ROPE_HALF, ROPE_INTERLEAVED } rope_kind;

/* Rotary embedding of one kind of layer.  HALF pairs dimensions (i, i + dim/2), INTERLEAVED (2i, 2i+1). */
typedef struct rope_plan {
    rope_kind kind;
    int dim;                 /* rotated dimensions of each head; they follow the first `offset` ones */
    int offset;
    int period;              /* frequency i is base^(-2 i / period): dim, or dim - 1 where a fraction of the head is odd */
    double base;
    char scaling[16];        /* "none", "linear", "dynamic", "llama3", "yarn", "longrope", "factors" */
    double factor;
    double original_context; /* dynamic, llama3, yarn, longrope */
    double low_freq_factor, high_freq_factor;   /* llama3 */
    double beta_fast, beta_slow;                /* yarn */
    bool truncate;                              /* yarn: whole dimensions in the ramp */
    double magnitude;        /* cos and sin are multiplied by it (yarn's and longrope's attention factor), else 1 */
    const float *divisors;   /* [dim/2] frequencies are divided by these: longrope up to original_context tokens, and
                              * GGUF's rope_freqs; NULL: none */
    const float *long_divisors; /* [dim/2] longrope beyond original_context */
} rope_plan;

/* How one layer attends: everything that `info` prints. */
typedef struct attn_plan {
    attn_kind kind;
    int n_head, n_kv_head;
    int d_qk, d_v;           /* head widths */
    float scale;
    bool causal;
    int64_t window;          /* 0: all keys; else keys with |difference| < window */
    int rope;                /* index into model.ropes, -1: none */
    float softcap;           /* 0: none */
    bool qkv_bias, out_bias, qk_norm, sinks, gate, latent; /* latent: MLA */
} attn_plan;

/* Normalisation of queries or keys before RoPE.  width: values that are normalised together, a head's (d_qk)
 * or all heads' (n_head * d_qk); w [width], or [heads, width] with per_head. */
typedef struct qk_norm { norm_kind kind; float eps; int width; bool per_head; const float *w, *b; } qk_norm;

/* Latent attention (DeepSeek): k and v of all heads from a short vector. */
typedef struct latent {
    int kv_rank, d_nope, d_rope;  /* d_qk = d_nope + d_rope */
    weight q_down;                /* [q_rank, C]; data NULL: attention.q reads x directly */
    norm q_norm;                  /* of the q_rank values */
    weight kv_down;               /* [kv_rank + d_rope, C]: latent, then the key part that all heads share */
    norm kv_norm;                 /* of the kv_rank values */
    weight k_up, v_up;            /* [H d_nope, kv_rank], [H d_v, kv_rank] */
} latent;

typedef struct attention_block {
    attn_plan plan;
    weight q, k, v, out;
    weight gate;              /* [n_head * d_v, C] sigmoid gate on the head outputs; data NULL: none */
    qk_norm q_norm, k_norm;
    float clip;               /* > 0: q, k, v are clamped to +- clip after the norm */
    const float *sinks;       /* [n_head] or NULL */
    latent *mla;              /* NULL unless plan.latent */
} attention_block;

/* Where a sublayer sits in the residual stream: x = after(x + scale * gain * out_norm(f(pre(x)))).
 * residual_normed: the sum takes pre(x) instead of x. */
typedef struct sublayer {
    norm pre, out, after;
    const float *gain;        /* [C] layer scale or NULL */
    float scale;              /* 1 */
    bool residual_normed;
} sublayer;

/* down(act(up x)), or gated: down(act(gate x) * up x). */
typedef struct mlp {
    act_kind act;
    bool gated;
    int64_t inner;
    weight gate, up, down;
} mlp;

enum { MOE_MAX_EXPERTS = 1024 };
typedef enum moe_score { MOE_SOFTMAX, MOE_SIGMOID, MOE_SOFTMAX_OF_CHOSEN } moe_score;
typedef enum moe_group_rule { MOE_GROUP_NONE, MOE_GROUP_MAX, MOE_GROUP_TOP2 } moe_group_rule;

/* Mixture of experts: score the experts, choose n_used (within the best groups), add their outputs weighted. */
typedef struct moe {
    int n_expert, n_used;
    weight router;            /* [n_expert, C], with bias where the family has one */
    const float *choice_bias; /* [n_expert] added for the choice only (DeepSeek V3) or NULL */
    moe_score score;
    bool normalise;           /* weights of the chosen are divided by their sum */
    float normalise_eps;      /* added to that sum */
    float scale;              /* the weights are multiplied by it */
    int n_group, n_group_used;
    moe_group_rule group_rule;
    mlp *experts;             /* [n_expert] */
    bool has_shared;
    mlp shared;
    weight shared_gate;       /* [1, C] sigmoid gate on the shared expert; data NULL: none */
} moe;

enum { DELTA_MAX_CONV = 16, DELTA_MAX_VALUE = 1024 }; /* taps, and width of a value head */
/* Gated delta rule (Qwen3-Next): a recurrent layer without attention weights. */
typedef struct delta_net {
    int n_key_head, n_value_head, d_key, d_value, conv; /* conv: taps of the short convolution */
    weight q, k, v, z;        /* [n_key_head d_key, C] twice, [n_value_head d_value, C] twice */
    weight rates;             /* [2 n_value_head, C]: for each key head beta, then alpha, of its value heads */
    const float *conv_w;      /* [q, k, v channels in this order, conv] */
    const float *a;           /* [n_value_head] -exp(A_log) */
    const float *dt_bias;     /* [n_value_head] */
    norm out_norm;            /* of each head's d_value */
    weight out;               /* [C, n_value_head d_value] */
} delta_net;

typedef struct model_layer {
    attention_block self;
    delta_net *delta;         /* in place of self attention; self.plan is then unused (n_head 0) */
    bool has_cross;
    attention_block cross;    /* reads the encoder's output */
    bool parallel;            /* attention and MLP read the same x, their outputs are added together */
    bool shared_norm;         /* parallel: the MLP reads at_self.pre(x) as well */
    sublayer at_self, at_cross, at_mlp;
    mlp mlp;
    moe *moe;                 /* in place of mlp */
} model_layer;

/* What the first layer of a stack reads. */
typedef enum embedding_kind { EMBED_TOKENS, EMBED_PATCHES, EMBED_AUDIO } embedding_kind;
typedef struct embedding {
    embedding_kind kind;
    /* tokens: norm(project?(scale * tokens[id] + type) + positions[...]) */
    weight tokens;            /* [V, E], read row by row */
    float scale;              /* 1 */
    const float *type;        /* [E] added to every token or NULL */
    bool project_first;       /* positions are added after the projection (OPT), not before the norm (ELECTRA) */
    weight project;           /* [C, E]; data NULL: none (E = C) */
    weight positions;         /* [P, E or C] data NULL: none */
    int position_offset;      /* row of position 0 */
    int32_t pad_id;           /* >= 0: such tokens take row position_offset - 1 and do not count (RoBERTa); -1 */
    norm norm;
    /* patches: norm(prefix tokens, then convolved patches; + positions; then registers behind the first prefix token) */
    int channels, image_height, image_width, patch;
    weight patch_proj;        /* [C, channels * patch * patch] */
    int n_prefix, n_register;
    const float *prefix;      /* [n_prefix, C] */
    const float *registers;   /* [n_register, C] */
    bool any_size;            /* positions are interpolated to other image sizes */
    bool antialias;           /* with a filter that stretches where they shrink */
    /* audio: gelu(conv1), gelu(conv2 with stride 2), + positions */
    int n_mel;
    int64_t n_frame;          /* frames that the model takes: 2 * rows of positions */
    weight conv1, conv2;      /* [C, n_mel * 3], [C, C * 3], stored [out, in, tap] */
} embedding;

/* A tower of layers over one sequence. */
typedef struct stack {
    attn_kind kind;           /* of its self attention: ATTN_SELF, ATTN_ENCODER, ATTN_VISION */
    int n_layer;
    int64_t width;            /* C */
    int64_t ffn;              /* widest MLP inner width */
    int64_t context;          /* longest sequence that positions allow for */
    model_layer *layers;      /* [n_layer] */
    embedding embed;
    norm final_norm;
    /* T5: bias of (key - query) buckets, shared by all layers of the stack; NULL: none */
    const float *rel_table;   /* [rel_buckets, n_head] */
    int rel_buckets, rel_max_distance;
    bool rel_bidirectional;
    /* ALiBi: slope times key position, rounded to bfloat16 with alibi_bf16 (Falcon), times alibi_scale */
    const float *alibi_slopes; /* [n_head] or NULL */
    bool alibi_bf16;
    float alibi_scale;
    int n_run;                /* layers that are run: below n_layer where later ones feed nothing (LLaVA's tower) */
} stack;

/* logits = softcap(scale * unembedding(project(norm(act(transform(in_scale * final_norm(x))))))). */
typedef struct logits_head {
    float in_scale;           /* 1; only with a final norm */
    weight transform;         /* masked language models; data NULL: none */
    act_kind act;
    norm norm;
    weight project;           /* OPT: [E, C]; data NULL: none */
    weight unembedding;       /* [V, ...]; data NULL: the model has no logits */
    float scale;              /* 1 */
    float softcap;            /* 0: none */
} logits_head;

typedef struct model model;

/* A family (model/families/): how its configurations read and what its tensors are called. */
typedef struct family {
    const char *name;                       /* "llama" */
    const char *summary;
    const char *const *model_types;         /* Hugging Face config.json model_type, NULL-terminated */
    const char *const *gguf_archs;          /* GGUF general.architecture, NULL-terminated; NULL: none */
    /* Fill the structure of m from its checkpoint's config (config.json or GGUF metadata). */
    int (*configure)(model *m, err *e);
    /* Bind the weights. */
    int (*bind)(model *m, err *e);
} family;

/* What a prompt for the model is made of. */
enum model_needs { NEEDS_TOKENS = 1, NEEDS_SOURCE = 2, NEEDS_PIXELS = 4, NEEDS_FEATURES = 8 };

struct model {
    checkpoint *ckpt;            /* owned */
    const family *family;
    const json *config;          /* of the model: ckpt->config; NULL for GGUF */
    json *completed;             /* owned: a configuration that the family filled up with defaults (LLaVA's text_config), or
                                  * NULL */
    char *name;                  /* last part of the path, for titles */
    unsigned needs;              /* enum model_needs */
    stack *main;                 /* [T, C] the stack that logits come from; never NULL */
    stack *encoder;              /* text or audio encoder that main attends to across, or NULL */
    stack *vision;               /* image tower whose patches main reads (LLaVA), or NULL; a lone tower is main */
    int64_t vocab;               /* V: rows of the unembedding; 0: no logits */
    bool tied;                   /* unembedding = token embedding */
    logits_head head;
    /* LLaVA: image features into main's sequence where image_token stands */
    int32_t image_token;         /* -1: none */
    int vision_layer;            /* hidden state of the tower that is read */
    bool vision_drop_first;      /* without its class token */
    weight projector[2];         /* linear, activation, linear */
    act_kind projector_act;
    int n_rope;
    rope_plan *ropes;            /* [n_rope] */
    int64_t n_param;             /* elements of all bound tensors, tied ones once */
    int n_ignored;               /* config keys that no family table knows and that do not touch attention */
    const char **ignored;        /* [n_ignored] */
    int n_assumed;               /* what the file does not say and the family takes for granted, for `info` and `run` */
    const char *assumed[4];      /* static texts */
    int tile_rows, tile_cols;    /* elements that share a scale in FP8 weights; 128 x 128 */
    const char *quantized;       /* what model_quantize did, for users; NULL: weights are as stored */
    bool *used;                  /* [ckpt->n_tensor] bound by the family */
    void *arena_;
};

/* The stacks that a model has, in the order they run: vision, encoder, main. */
enum { MODEL_MAX_STACKS = 3 };
int model_stacks(const model *m, const stack *out[MODEL_MAX_STACKS]);
/* The stack whose self attention is of this kind, or that has this cross attention; NULL: none. */
const stack *model_stack(const model *m, attn_kind kind);
/* Attention of a kind in a layer; NULL when the layer has none (no such stack or layer, a delta-rule layer). */
const attention_block *model_attention(const model *m, attn_kind kind, int layer);

/* Note a default that the file could not state; text is static. */
void model_assume(model *m, const char *text);

extern const family *const families[]; /* NULL-terminated */

int model_open(model **out, const char *path, err *e);
/* The same of an open checkpoint, which the model then owns; on failure it is closed. */
int model_from_checkpoint(model **out, checkpoint *c, err *e);
void model_free(model *m);
/* "32 heads over 8 key/value heads of 64, causal, RoPE half base 10000 llama3 x32, scale 0.125"; for a layer
 * without attention of this kind, what it has instead. */
void model_describe_layer(const model *m, attn_kind kind, int layer, strbuf *out);

#endif
