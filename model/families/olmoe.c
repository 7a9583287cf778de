/* OLMoE: pre-norm decoder with RMSNorm of q and k over all heads at once, optional clipping, and experts.
 * Hugging Face OlmoeForCausalLM; GGUF architecture "olmoe". */
#include "model/families/experts.h"

static const char *const more_keys[] = {
    "attention_bias", "clip_qkv", "num_experts", "num_local_experts", "num_experts_per_tok",
    "norm_topk_prob", "router_aux_loss_coef", "router_z_loss_coef", "output_router_logits", NULL,
};
static const char *const more_meta[] = {
    "attention.clamp_kqv", "expert_count", "expert_used_count", "expert_feed_forward_length", NULL,
};

static int configure(model *m, err *e)
{
    decoder_shape s = {
        .context = 4096,
        .norm = NORM_RMS, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX, .scale = 1};
    double clip = 0;
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e)
                       : decoder_read_meta(m, &s, "olmoe", more_meta, e);
    if (rc || (rc = decoder_build(m, &s, e)) || (rc = experts_read(m, &x, "olmoe", e)) ||
        (rc = m->config
                  ? config_real(&clip, m->config, "clip_qkv", false, 0, 1e9, e)
                  : meta_real(&clip, m->ckpt->gguf, "olmoe", "attention.clamp_kqv", false, 0, 1e9, e)) ||
        (m->config && (rc = config_bool(&like.normalise, m->config, "norm_topk_prob", e))))
        return rc;
    x.inner = s.ffn;
    x.shared_inner = 0;
    decoder_set_qk_norm(m, NORM_RMS, s.eps, true, false);
    for (int l = 0; l < m->main->n_layer; l++) {
        m->main->layers[l].self.clip = (float)clip;
        if ((rc = experts_add(m, l, &like, &x, e)))
            return rc;
    }
    experts_measure(m);
    return decoder_rope(m, "olmoe", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    if (rc || (rc = decoder_bind(m, &n, e)))
        return rc;
    return experts_bind(m, m->config ? &expert_names_qwen : &expert_names_gguf, e);
}

static const char *const model_types[] = {"olmoe", NULL};
static const char *const gguf_archs[] = {"olmoe", NULL};

const family family_olmoe = {.name = "olmoe",
                             .summary = "OLMoE",
                             .model_types = model_types,
                             .gguf_archs = gguf_archs,
                             .configure = configure,
                             .bind = bind};
