/* Llama: pre-norm decoder with RMSNorm, rotary positions, grouped keys and values, gated SiLU MLP.
 * Structure and names: Hugging Face LlamaForCausalLM; GGUF architecture "llama", which Mistral and Mixtral
 * take as well: with experts the MLP is Mixtral's. */
#include "model/families/experts.h"

static const char *const more_keys[] = {"attention_bias", "mlp_bias", NULL};
static const char *const more_meta[] = {"expert_count", "expert_used_count", "expert_feed_forward_length", NULL};

static int add_experts(model *m, int64_t ffn, err *e)
{
    moe like = {.score = MOE_SOFTMAX, .normalise = true, .scale = 1};
    expert_shape x = {0};
    int64_t count = 0;
    int rc = meta_int(&count, m->ckpt->gguf, "llama", "expert_count", false, 0, MOE_MAX_EXPERTS, e);
    if (rc || !count || (rc = experts_read(m, &x, "llama", e)))
        return rc;
    x.inner = x.inner > 0 ? x.inner : ffn;
    x.shared_inner = 0;
    rc = experts_add_sparse(m, &like, &x, e);
    experts_measure(m);
    return rc;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "llama", more_meta, e);
    if (rc || (rc = decoder_build(m, &s, e)) || (!m->config && (rc = add_experts(m, s.ffn, e))))
        return rc;
    return decoder_rope(m, "llama", m->ckpt->interleaved_rope ? ROPE_INTERLEAVED : ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc;
    n.paired = !m->config; /* the converter to GGUF turns half rotation into interleaved pairs by reordering rows */
    if ((rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e)) || (rc = decoder_bias_flag(m, "mlp_bias", &n.mlp_bias, e)))
        return rc;
    n.out_bias = n.qkv_bias;
    if ((rc = decoder_bind(m, &n, e)))
        return rc;
    return experts_bind(m, &expert_names_gguf, e);
}

static const char *const model_types[] = {"llama", NULL};
static const char *const gguf_archs[] = {"llama", NULL};

const family family_llama = {
    .name = "llama",
    .summary = "Llama 1 to 3, TinyLlama, SmolLM and their fine-tunes",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
