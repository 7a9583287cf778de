/* Qwen1.5-MoE, Qwen2-MoE: Qwen2 with many small experts and a shared one behind a sigmoid gate.
 * Hugging Face Qwen2MoeForCausalLM; GGUF architecture "qwen2moe". */
#include "model/families/experts.h"

static const char *const more_keys[] = {
    "layer_types", "use_sliding_window", "sliding_window", "max_window_layers", "qkv_bias", "num_experts",
    "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size", "norm_topk_prob",
    "decoder_sparse_step", "mlp_only_layers", "router_aux_loss_coef", "output_router_logits", NULL,
};

/* Without layer_types: every other one of the first max_window_layers layers slides. */
static int windows(model *m, err *e)
{
    int64_t window = 4096, until = 28;
    bool use = false;
    int rc;
    if ((rc = config_bool(&use, m->config, "use_sliding_window", e)) ||
        (rc = config_int(&window, m->config, "sliding_window", false, 0, INT32_MAX, e)) ||
        (rc = config_int(&until, m->config, "max_window_layers", false, 0, 4096, e)))
        return rc;
    for (int l = 0; use && l < until && l < m->main->n_layer; l += 2)
        m->main->layers[l].self.plan.window = window;
    return decoder_windows(m, m->config, window, 0, false, e);
}

static int configure(model *m, err *e)
{
    decoder_shape s = {
        .context = 32768,
        .norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX, .scale = 1};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e)
                       : decoder_read_meta(m, &s, "qwen2moe", experts_meta_keys, e);
    if (rc || (rc = decoder_build(m, &s, e)) || (rc = experts_read(m, &x, "qwen2moe", e)))
        return rc;
    if (m->config &&
        ((rc = windows(m, e)) || (rc = config_bool(&like.normalise, m->config, "norm_topk_prob", e))))
        return rc;
    if ((rc = experts_add_sparse(m, &like, &x, e)))
        return rc;
    experts_measure(m);
    return decoder_rope(m, "qwen2moe", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "qkv_bias", &n.qkv_bias, e);
    if (rc || (rc = decoder_bind(m, &n, e)))
        return rc;
    return experts_bind(m, m->config ? &expert_names_qwen : &expert_names_gguf, e);
}

static const char *const model_types[] = {"qwen2_moe", NULL};
static const char *const gguf_archs[] = {"qwen2moe", NULL};

const family family_qwen2_moe = {.name = "qwen2_moe",
                                 .summary = "Qwen1.5-MoE and Qwen2-MoE",
                                 .model_types = model_types,
                                 .gguf_archs = gguf_archs,
                                 .configure = configure,
                                 .bind = bind};
