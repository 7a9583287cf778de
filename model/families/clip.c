/* CLIP's image side (Radford et al., arXiv 2103.00020): ViT with patches without bias and a LayerNorm in
 * front of the layers.  Hugging Face CLIPVisionModel, and the image side of CLIPModel; the text side, the pooled
 * output and the projections are not run. */
#include "model/families/vision.h"

static const char *const more_keys[] = {"projection_dim", "vocab_size", NULL};
static const char *const outer_keys[] = {"text_config", "vision_config", "text_config_dict",
                                         "vision_config_dict", "projection_dim", "logit_scale_init_value",
                                         "initializer_factor", NULL};

static int configure_tower(model *m, stack **out, const json *config, err *e)
{
    vision_shape s = vision_base;
    s.patch = 32;
    s.eps = 1e-5;
    s.act = ACT_QUICK_GELU;
    s.embed_norm = true;
    int rc = vision_read_config(m, config, &s, more_keys, e);
    return rc ? rc : vision_build(m, out, &s, e);
}

static const vision_names in_files = {
    .prefix = {"embeddings.class_embedding"}, .positions = "embeddings.position_embedding.weight",
    .patch = "embeddings.patch_embedding", .patch_bias = BIND_NO_BIAS, .embed_norm = "pre_layrnorm",
    .final_norm = "post_layernorm", .attn_pre = "encoder.layers.%d.layer_norm1",
    .mlp_pre = "encoder.layers.%d.layer_norm2", .q = "encoder.layers.%d.self_attn.q_proj",
    .k = "encoder.layers.%d.self_attn.k_proj", .v = "encoder.layers.%d.self_attn.v_proj",
    .out = "encoder.layers.%d.self_attn.out_proj", .up = "encoder.layers.%d.mlp.fc1",
    .down = "encoder.layers.%d.mlp.fc2",
};
static const vision_names *const names[] = {&in_files, NULL};

const vision_tower vision_tower_clip = {.model_type = "clip_vision_model", .configure = configure_tower,
                                        .names = names};

static int configure(model *m, err *e)
{
    return vision_configure_alone(m, &vision_tower_clip, outer_keys, e);
}

static int bind(model *m, err *e)
{
    return vision_bind_alone(m, names, e);
}

static const char *const model_types[] = {"clip_vision_model", "clip", NULL};

const family family_clip = {
    .name = "clip",
    .summary = "CLIP (image side)",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
