/* GPT-NeoX, Pythia: q, k, v fused per head, partial RoPE, attention and MLP in parallel behind a LayerNorm each.
 * Hugging Face GPTNeoXForCausalLM; GGUF architecture "gptneox". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"use_parallel_residual", "attention_bias", "classifier_dropout", NULL};
static const char *const more_meta[] = {"use_parallel_residual", "layer_norm_epsilon", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_ERF, .causal = true};
    bool parallel = true;
    int rc;
    if (!m->config && (rc = meta_real(&s.eps, m->ckpt->gguf, "gptneox", "layer_norm_epsilon", false, 1e-16, 1, e)))
        return rc;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "gptneox", more_meta, e);
    if (rc || (rc = m->config ? config_bool(&parallel, m->config, "use_parallel_residual", e)
                              : meta_bool(&parallel, m->ckpt->gguf, "gptneox", "use_parallel_residual", e)) ||
        (s.kv_heads = s.heads, rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].parallel = parallel;
    return decoder_rope(m, "gptneox", ROPE_HALF, 10000, 0.25, e);
}

static const decoder_names json_names = {
    .tokens = "embed_in", .output = "embed_out", .final_norm = "final_layer_norm", .attn_pre = "layers.%d.input_layernorm",
    .mlp_pre = "layers.%d.post_attention_layernorm", .layout = QKV_PER_HEAD, .qkv = "layers.%d.attention.query_key_value",
    .out = "layers.%d.attention.dense", .up = "layers.%d.mlp.dense_h_to_4h", .down = "layers.%d.mlp.dense_4h_to_h",
    .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? json_names : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    if (!m->config) { /* the converter takes q, k and v apart */
        n.layout = QKV_STACKED;
        n.qkv = "blk.%d.attn_qkv";
    }
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"gpt_neox", NULL};
static const char *const gguf_archs[] = {"gptneox", NULL};

const family family_gpt_neox = {
    .name = "gpt_neox",
    .summary = "GPT-NeoX and Pythia",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
