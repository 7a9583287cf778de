/* GPT-BigCode (StarCoder 1, SantaCoder): GPT-2 with one key/value head for all.
 * Hugging Face GPTBigCodeForCausalLM; GGUF architecture "starcoder". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"multi_query", "scale_attn_weights", "attention_softmax_in_fp32",
                                        "scale_attention_softmax_in_fp32", "add_cross_attention", "inference_runner",
                                        "validate_runner_input", "pre_allocate_kv_cache", "max_sequence_length",
                                        "max_batch_size", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_TANH, .tied = true, .causal = true};
    bool one = true, scaled = true;
    int rc;
    if (m->config) {
        if ((rc = decoder_read_config(m, &s, more_keys, e)) || (rc = config_bool(&one, m->config, "multi_query", e)) ||
            (rc = config_bool(&scaled, m->config, "scale_attn_weights", e)) ||
            (rc = config_must_be_bool(m->config, "add_cross_attention", false, e)))
            return rc;
        s.kv_heads = one ? 1 : s.heads;
    } else if ((rc = decoder_read_meta(m, &s, "starcoder", NULL, e))) {
        return rc;
    }
    if ((rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer && !scaled; l++)
        m->main->layers[l].self.plan.scale = 1;
    return 0;
}

static const decoder_names json_names = {
    .tokens = "wte", .positions = "wpe", .output = "lm_head", .final_norm = "ln_f", .attn_pre = "h.%d.ln_1",
    .mlp_pre = "h.%d.ln_2", .qkv = "h.%d.attn.c_attn", .out = "h.%d.attn.c_proj", .up = "h.%d.mlp.c_fc",
    .down = "h.%d.mlp.c_proj",
};

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? json_names : decoder_names_gguf;
    const attn_plan *p = &m->main->layers[0].self.plan;
    n.layout = m->config && p->n_kv_head == p->n_head ? QKV_PER_HEAD : QKV_STACKED;
    n.qkv_bias = n.out_bias = n.mlp_bias = BIND_BIAS;
    if (!m->config) {
        n.positions = "position_embd";
        n.qkv = "blk.%d.attn_qkv";
    }
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"gpt_bigcode", NULL};
static const char *const gguf_archs[] = {"starcoder", NULL};

const family family_gpt_bigcode = {
    .name = "gpt_bigcode",
    .summary = "StarCoder, SantaCoder",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
