/* SigLIP's image side (Zhai et al., arXiv 2303.15343): ViT without class token.  Hugging Face
 * SiglipVisionModel, and the image side of SiglipModel; the text side and the pooling head are not run. */
#include "model/families/vision.h"

static const char *const more_keys[] = {"vision_use_head", "projection_dim", "projector_hidden_act",
                                        "vocab_size", NULL};
static const char *const outer_keys[] = {"text_config", "vision_config", "initializer_factor", NULL};

static int configure_tower(model *m, stack **out, const json *config, err *e)
{
    vision_shape s = vision_base;
    s.eps = 1e-6;
    s.act = ACT_GELU_TANH;
    s.n_prefix = 0;
    int rc = vision_read_config(m, config, &s, more_keys, e);
    return rc ? rc : vision_build(m, out, &s, e);
}

static const vision_names in_files = {
    .positions = "embeddings.position_embedding.weight", .patch = "embeddings.patch_embedding",
    .patch_bias = BIND_BIAS, .final_norm = "post_layernorm", .attn_pre = "encoder.layers.%d.layer_norm1",
    .mlp_pre = "encoder.layers.%d.layer_norm2", .q = "encoder.layers.%d.self_attn.q_proj",
    .k = "encoder.layers.%d.self_attn.k_proj", .v = "encoder.layers.%d.self_attn.v_proj",
    .out = "encoder.layers.%d.self_attn.out_proj", .up = "encoder.layers.%d.mlp.fc1",
    .down = "encoder.layers.%d.mlp.fc2",
};
static const vision_names *const names[] = {&in_files, NULL};

const vision_tower vision_tower_siglip = {.model_type = "siglip_vision_model", .configure = configure_tower,
                                          .names = names};

static int configure(model *m, err *e)
{
    return vision_configure_alone(m, &vision_tower_siglip, outer_keys, e);
}

static int bind(model *m, err *e)
{
    return vision_bind_alone(m, names, e);
}

static const char *const model_types[] = {"siglip_vision_model", "siglip", NULL};

const family family_siglip = {
    .name = "siglip",
    .summary = "SigLIP (image side)",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
