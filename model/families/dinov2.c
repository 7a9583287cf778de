/* DINOv2 (Oquab et al., arXiv 2304.07193): ViT with layer scale, images of any size, and in the giant model a
 * gated feed-forward; with registers (Darcet et al., arXiv 2309.16588) four more tokens behind the class
 * token.  Hugging Face Dinov2Model, Dinov2WithRegistersModel. */
#include "model/families/vision.h"

#include <string.h>

/* layerscale_value and drop_path_rate are of training, the others of the use as a backbone. */
static const char *const more_keys[] = {
    "qkv_bias", "head_dim", "mlp_ratio", "use_swiglu_ffn", "num_register_tokens", "layerscale_value",
    "drop_path_rate", "out_features", "out_indices", "stage_names", "apply_layernorm",
    "reshape_hidden_states", "use_mask_token", NULL,
};

static int configure(model *m, err *e)
{
    vision_shape s = vision_base;
    double ratio = 4;
    stack *t;
    int rc;
    s.patch = 14;
    s.eps = 1e-6;
    s.any_size = true;
    if (strcmp(json_str(json_get(m->config, "model_type"), NULL), "dinov2_with_registers") == 0) {
        s.n_register = 4;
        s.patch = 16;
        s.antialias = true;
        if ((rc = config_int(&s.n_register, m->config, "num_register_tokens", false, 0, 1024, e)))
            return rc;
    }
    if ((rc = config_int(&s.head_width, m->config, "head_dim", false, 1, 4096, e)) ||
        (rc = config_bool(&s.gated, m->config, "use_swiglu_ffn", e)) ||
        (rc = config_real(&ratio, m->config, "mlp_ratio", false, 1e-3, 1024, e)) ||
        (rc = vision_read_config(m, m->config, &s, more_keys, e)))
        return rc;
    s.ffn = (int64_t)((double)s.width * ratio);
    if (s.gated) { /* two thirds, rounded up to eights */
        s.ffn = (s.ffn * 2 / 3 + 7) / 8 * 8;
        s.act = ACT_SILU;
    }
    if (s.ffn < 1)
        return err_set(e, ERR_INPUT, "config.json: mlp_ratio %g leaves no feed-forward", ratio);
    if ((rc = vision_build(m, &t, &s, e)))
        return rc;
    vision_alone(m, t);
    return 0;
}

static const vision_names published = {
    .prefix = {"embeddings.cls_token"}, .registers = "embeddings.register_tokens",
    .positions = "embeddings.position_embeddings", .patch = "embeddings.patch_embeddings.projection",
    .final_norm = "layernorm", .attn_pre = "encoder.layer.%d.norm1", .mlp_pre = "encoder.layer.%d.norm2",
    .q = "encoder.layer.%d.attention.attention.query", .k = "encoder.layer.%d.attention.attention.key",
    .v = "encoder.layer.%d.attention.attention.value", .out = "encoder.layer.%d.attention.output.dense",
    .attn_gain = "encoder.layer.%d.layer_scale1.lambda1", .mlp_gain = "encoder.layer.%d.layer_scale2.lambda1",
    .up = "encoder.layer.%d.mlp.fc1", .down = "encoder.layer.%d.mlp.fc2",
    .gate_up = "encoder.layer.%d.mlp.weights_in", .gated_down = "encoder.layer.%d.mlp.weights_out",
    .patch_bias = BIND_BIAS,
};
static const vision_names in_memory = {
    .prefix = {"embeddings.cls_token"}, .registers = "embeddings.register_tokens",
    .positions = "embeddings.position_embeddings", .patch = "embeddings.patch_embeddings.projection",
    .final_norm = "layernorm", .attn_pre = "encoder.layer.%d.norm1", .mlp_pre = "encoder.layer.%d.norm2",
    .q = "encoder.layer.%d.attention.q_proj", .k = "encoder.layer.%d.attention.k_proj",
    .v = "encoder.layer.%d.attention.v_proj", .out = "encoder.layer.%d.attention.o_proj",
    .attn_gain = "encoder.layer.%d.layer_scale1.lambda1", .mlp_gain = "encoder.layer.%d.layer_scale2.lambda1",
    .up = "encoder.layer.%d.mlp.fc1", .down = "encoder.layer.%d.mlp.fc2",
    .gate = "encoder.layer.%d.mlp.gate_proj", .gated_up = "encoder.layer.%d.mlp.up_proj",
    .gated_down = "encoder.layer.%d.mlp.down_proj", .patch_bias = BIND_BIAS,
};
static const vision_names *const names[] = {&published, &in_memory, NULL};

static int bind(model *m, err *e)
{
    return vision_bind_alone(m, names, e);
}

static const char *const model_types[] = {"dinov2", "dinov2_with_registers", NULL};

const family family_dinov2 = {
    .name = "dinov2",
    .summary = "DINOv2, with and without registers",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
