/* What image towers share: a transformer over image patches, read from its configuration and bound under a
 * prefix.
 *
 * A tower is a model of its own (vision_configure, vision_bind on m->main) or the front of another one (LLaVA
 * builds m->vision with the functions of vision_tower). */
#ifndef ATTNSCOPE_MODEL_FAMILIES_VISION_H
#define ATTNSCOPE_MODEL_FAMILIES_VISION_H

#include "model/bind.h"
#include "model/config.h"

typedef struct vision_shape {
    int64_t layers, width, heads, ffn, channels, image_height, image_width, patch;
    int64_t head_width;      /* 0: width / heads */
    double eps;
    int act;                 /* act_kind */
    bool gated;
    bool embed_norm;         /* LayerNorm on what the first layer reads */
    int n_prefix;            /* tokens in front of the patches */
    int64_t n_register;      /* and those behind the first of them, without positions */
    bool any_size;           /* positions are interpolated to other image sizes ... */
    bool antialias;          /* ... with the filter stretched where they shrink */
} vision_shape;

/* ViT-B, patches of 16 pixels, images of 224. */
extern const vision_shape vision_base;
/* Read the keys that every image tower has into *s, which holds the family's defaults: configurations nested
 * in others state only what differs from them.  more: keys that the family reads itself; every other key is
 * checked (config_check_keys). */
int vision_read_config(model *m, const json *config, vision_shape *s, const char *const *more, err *e);
/* A stack of this shape: LayerNorm before attention and MLP, a final one, bidirectional attention, learned
 * positions.  Its context is the number of tokens of the image size that it was trained with. */
int vision_build(model *m, stack **out, const vision_shape *s, err *e);
/* Make the tower the whole model: it needs pixels and has no logits. */
void vision_alone(model *m, stack *s);
/* ViT with n_prefix tokens in front (DeiT has two), alone. */
int vision_configure_vit(model *m, int n_prefix, err *e);

/* Tensor names under the tower's prefix; %d is the layer.  Linear maps and norms without ".weight" and
 * ".bias", the others whole.  NULL: the family has none. */
typedef struct vision_names {
    const char *prefix[2];       /* as many as n_prefix */
    const char *registers, *positions, *patch, *embed_norm, *final_norm;
    const char *attn_pre, *mlp_pre, *q, *k, *v, *out;
    const char *attn_gain, *mlp_gain;
    const char *up, *down;       /* MLP without gate */
    const char *gate_up, *gated_down; /* gated: gate rows, then up rows */
    const char *gate, *gated_up;      /* gated, in two */
    unsigned patch_bias;              /* BIND_BIAS or BIND_NO_BIAS */
} vision_names;

/* Bind the layers that are run, the embedding, and the final norm when all layers are run.  tables
 * (NULL-terminated): spellings of the names, the first whose query map is there is taken.  prefixes
 * (NULL-terminated): likewise, of those where the tower may lie in the checkpoint. */
int vision_bind(model *m, stack *s, const char *const *prefixes, const vision_names *const *tables,
                unsigned qkv_bias, err *e);
/* The tower that is the whole model; its configuration may have "qkv_bias". */
int vision_bind_alone(model *m, const vision_names *const *tables, err *e);

/* Names of ViT and DeiT. */
extern const vision_names *const vision_names_vit[];

/* Image sides of models of image and text, which others put in front as well. */
typedef struct vision_tower {
    const char *model_type;      /* of its configuration */
    int (*configure)(model *m, stack **out, const json *config, err *e);
    const vision_names *const *names;
} vision_tower;
extern const vision_tower vision_tower_clip, vision_tower_siglip;
/* The tower alone: m->config is its configuration, or holds it as "vision_config" beside outer_keys. */
int vision_configure_alone(model *m, const vision_tower *t, const char *const *outer_keys, err *e);

#endif
