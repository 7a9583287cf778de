/* GPT-2: pre-norm decoder with LayerNorm, learned positions, fused q, k, v, plain GELU MLP, biases everywhere.
 * Structure and names: Hugging Face GPT2LMHeadModel, whose Conv1D weights are stored [in, out]; GGUF
 * architecture "gpt2", stored [out, in]. */
#include "model/families/decoder.h"

static const char *const more_keys[] = {
    "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention", NULL,
};

static int scale_attention(model *m, err *e)
{
    bool scaled = true, by_layer = false, upcast = false; /* attention is float32 here anyway */
    int rc;
    if ((rc = config_bool(&scaled, m->config, "scale_attn_weights", e)) ||
        (rc = config_bool(&by_layer, m->config, "scale_attn_by_inverse_layer_idx", e)) ||
        (rc = config_bool(&upcast, m->config, "reorder_and_upcast_attn", e)) ||
        (rc = config_must_be_bool(m->config, "add_cross_attention", false, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        attn_plan *p = &m->main->layers[l].self.plan;
        p->scale = (scaled ? p->scale : 1) / (by_layer ? (float)(l + 1) : 1);
    }
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->ckpt->gguf ? 0 : 1e-5, .act = ACT_GELU_NEW, .tied = true, .causal = true};
    int rc = m->ckpt->gguf ? decoder_read_meta(m, &s, "gpt2", NULL, e) : decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    return m->config ? scale_attention(m, e) : 0;
}

static const decoder_names json_names = {
    .tokens = "wte", .positions = "wpe", .output = "lm_head", .final_norm = "ln_f", .attn_pre = "h.%d.ln_1",
    .mlp_pre = "h.%d.ln_2", .layout = QKV_STACKED, .qkv = "h.%d.attn.c_attn", .out = "h.%d.attn.c_proj",
    .up = "h.%d.mlp.c_fc", .down = "h.%d.mlp.c_proj", .transposed = true,
    .qkv_bias = BIND_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static const decoder_names meta_names = {
    .tokens = "token_embd", .positions = "position_embd", .output = "output", .final_norm = "output_norm",
    .attn_pre = "blk.%d.attn_norm", .mlp_pre = "blk.%d.ffn_norm", .layout = QKV_STACKED, .qkv = "blk.%d.attn_qkv",
    .out = "blk.%d.attn_output", .up = "blk.%d.ffn_up", .down = "blk.%d.ffn_down",
    .qkv_bias = BIND_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    return decoder_bind(m, m->ckpt->gguf ? &meta_names : &json_names, e);
}

static const char *const model_types[] = {"gpt2", NULL};
static const char *const gguf_archs[] = {"gpt2", NULL};

const family family_gpt2 = {
    .name = "gpt2",
    .summary = "GPT-2 and its fine-tunes",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
