/* Small image towers for the tests of families. */
#ifndef ATTNSCOPE_TESTS_TINY_VISION_H
#define ATTNSCOPE_TESTS_TINY_VISION_H

#include "tests/tiny_checkpoint.h"

enum { C = 8, PATCH = 3, CHANNELS = 2 };

static inline void add_linear(tiny *t, const char *name, int64_t out, int64_t in, bool bias)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    tiny_add(t, full, 0, 0.6f, out, in, 0, 0);
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias)
        tiny_add(t, full, 0, 0.2f, out, 0, 0, 0);
}

static inline void add_norm(tiny *t, const char *name, int64_t n)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    tiny_add(t, full, 1, 0.2f, n, 0, 0, 0);
    snprintf(full, sizeof full, "%s.bias", name);
    tiny_add(t, full, 0, 0.2f, n, 0, 0, 0);
}

/* A layer: two norms, q, k, v, out, up, down; # in their names is the layer. */
static inline void add_layer(tiny *t, int l, const char *const parts[8], int64_t width, int64_t inner)
{
    char name[120];
    for (int i = 0; i < 8; i++) {
        const char *at = strchr(parts[i], '#');
        snprintf(name, sizeof name, "%.*s%d%s", (int)(at - parts[i]), parts[i], l, at + 1);
        if (i < 2)
            add_norm(t, name, width);
        else
            add_linear(t, name, i == 6 ? inner : width, i == 7 ? inner : width, true);
    }
}

static const char *const clip_parts[8] = {
    "encoder.layers.#.layer_norm1",      "encoder.layers.#.layer_norm2",
    "encoder.layers.#.self_attn.q_proj", "encoder.layers.#.self_attn.k_proj",
    "encoder.layers.#.self_attn.v_proj", "encoder.layers.#.self_attn.out_proj",
    "encoder.layers.#.mlp.fc1",          "encoder.layers.#.mlp.fc2",
};

/* CLIP's or SigLIP's tower for images of 2 x 2 patches. */
static inline void make_clip(tiny *t, bool siglip, int layers)
{
    if (!siglip) {
        tiny_add(t, "embeddings.class_embedding", 0, 1, C, 0, 0, 0);
        add_norm(t, "pre_layrnorm", C);
    } else {
        tiny_add(t, "embeddings.patch_embedding.bias", 0, 0.5f, C, 0, 0, 0);
    }
    tiny_add(t, "embeddings.patch_embedding.weight", 0, 0.5f, C, CHANNELS, PATCH, PATCH);
    tiny_add(t, "embeddings.position_embedding.weight", 0, 1, siglip ? 4 : 5, C, 0, 0);
    for (int l = 0; l < layers; l++)
        add_layer(t, l, clip_parts, C, 2 * C);
    add_norm(t, "post_layernorm", C);
}

static float image[CHANNELS * 64 * 64];

static inline model_input image_input(int64_t height, int64_t width)
{
    for (int64_t i = 0; i < CHANNELS * height * width; i++)
        image[i] = tiny_noise("image", i);
    return (model_input){.pixels = image, .channels = CHANNELS, .height = height, .width = width};
}

static const char *const vit_parts[8] = {
    "encoder.layer.#.layernorm_before",          "encoder.layer.#.layernorm_after",
    "encoder.layer.#.attention.attention.query", "encoder.layer.#.attention.attention.key",
    "encoder.layer.#.attention.attention.value", "encoder.layer.#.attention.output.dense",
    "encoder.layer.#.intermediate.dense",        "encoder.layer.#.output.dense",
};
static const char *const dino_parts[8] = {
    "encoder.layer.#.norm1",
    "encoder.layer.#.norm2",
    "encoder.layer.#.attention.attention.query",
    "encoder.layer.#.attention.attention.key",
    "encoder.layer.#.attention.attention.value",
    "encoder.layer.#.attention.output.dense",
    "encoder.layer.#.mlp.fc1",
    "encoder.layer.#.mlp.fc2",
};
/* ViT, DeiT (2 tokens in front), DINOv2 (registers): images of rows x columns patches. */
static inline void make_vit(tiny *t, int n_prefix, int64_t registers, const char *const parts[8], int rows,
                            int columns)
{
    tiny_add(t, "embeddings.cls_token", 0, 1, 1, 1, C, 0);
    if (n_prefix == 2)
        tiny_add(t, "embeddings.distillation_token", 0, 1, 1, 1, C, 0);
    if (registers)
        tiny_add(t, "embeddings.register_tokens", 0, 1, 1, registers, C, 0);
    tiny_add(t, "embeddings.patch_embeddings.projection.weight", 0, 0.5f, C, CHANNELS, PATCH, PATCH);
    tiny_add(t, "embeddings.patch_embeddings.projection.bias", 0, 0.5f, C, 0, 0, 0);
    tiny_add(t, "embeddings.position_embeddings", 0, 1, 1, n_prefix + rows * columns, C, 0);
    for (int l = 0; l < 2; l++)
        add_layer(t, l, parts, C, 2 * C);
    add_norm(t, "layernorm", C);
}

static inline void add_layer_scale(tiny *t)
{
    for (int i = 0; i < 4; i++) {
        char name[120];
        snprintf(name, sizeof name, "encoder.layer.%d.layer_scale%d.lambda1", i / 2, i % 2 + 1);
        tiny_add(t, name, 0.5f, 0.4f, C, 0, 0, 0);
    }
}

static char tower_text[2048];

/* A configuration of the small towers; more: members of its own. */
static inline const char *tower_config(const char *type, const char *size, const char *more)
{
    snprintf(tower_text, sizeof tower_text,
             "{\"model_type\": \"%s\", \"hidden_size\": 8, \"num_hidden_layers\": 2, "
             "\"num_attention_heads\": 2, \"intermediate_size\": 16, \"num_channels\": 2, \"patch_size\": 3, "
             "\"mlp_ratio\": 2, \"image_size\": %s%s}",
             type, size, more);
    if (strncmp(type, "dinov2", 6) != 0) { /* the others have no such member */
        char *at = strstr(tower_text, "\"mlp_ratio\": 2, ");
        memmove(at, at + 16, strlen(at + 16) + 1);
    }
    return tower_text;
}

#endif
