/* Qwen3-MoE: Qwen3 with many small experts.
 * Hugging Face Qwen3MoeForCausalLM; GGUF architecture "qwen3moe". */
#include "model/families/experts.h"

static const char *const more_keys[] = {
    "use_sliding_window", "sliding_window", "max_window_layers", "attention_bias", "num_experts",
    "num_local_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob",
    "decoder_sparse_step", "mlp_only_layers", "router_aux_loss_coef", "output_router_logits", NULL,
};

static int configure(model *m, err *e)
{
    decoder_shape s = {
        .context = 32768,
        .norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX, .normalise = !m->config, .scale = 1}; /* GGUF has no key: always true */
    bool slides = false;
    int rc;
    if (m->config &&
        ((rc = config_bool(&slides, m->config, "use_sliding_window", e)) ||
         (slides && (rc = config_int(&s.window, m->config, "sliding_window", false, 1, INT32_MAX, e)))))
        return rc;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e)
                   : decoder_read_meta(m, &s, "qwen3moe", experts_meta_keys, e);
    if (rc || (rc = decoder_build(m, &s, e)) || (rc = experts_read(m, &x, "qwen3moe", e)))
        return rc;
    x.shared_inner = 0;
    decoder_set_qk_norm(m, NORM_RMS, s.eps, false, false);
    if ((m->config && (rc = config_bool(&like.normalise, m->config, "norm_topk_prob", e))) ||
        (rc = experts_add_sparse(m, &like, &x, e)))
        return rc;
    experts_measure(m);
    return decoder_rope(m, "qwen3moe", ROPE_HALF, 10000, 1, e);
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

static const char *const model_types[] = {"qwen3_moe", NULL};
static const char *const gguf_archs[] = {"qwen3moe", NULL};

const family family_qwen3_moe = {.name = "qwen3_moe",
                                 .summary = "Qwen3 with experts",
                                 .model_types = model_types,
                                 .gguf_archs = gguf_archs,
                                 .configure = configure,
                                 .bind = bind};
