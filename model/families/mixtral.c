/* Mixtral: Mistral with experts in place of the MLP, the weights of the chosen renormalised.
 * Hugging Face MixtralForCausalLM; its GGUF files call themselves "llama" (llama.c). */
#include "model/families/experts.h"

static const char *const more_keys[] = {
    "layer_types", "sliding_window", "num_local_experts", "num_experts", "num_experts_per_tok",
    "router_aux_loss_coef", "router_jitter_noise", "output_router_logits", NULL,
};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .context = 131072, .eps = 1e-5, .act = ACT_SILU, .gated = true, .causal = true};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX, .normalise = true, .scale = 1};
    int rc = config_int(&s.window, m->config, "sliding_window", false, 1, INT32_MAX, e);
    if (rc || (rc = decoder_read_config(m, &s, more_keys, e)) || (rc = decoder_build(m, &s, e)) ||
        (rc = decoder_windows(m, m->config, s.window, 0, false, e)) || (rc = experts_read(m, &x, NULL, e)))
        return rc;
    x.inner = s.ffn;
    x.shared_inner = 0;
    for (int l = 0; l < m->main->n_layer; l++)
        if ((rc = experts_add(m, l, &like, &x, e)))
            return rc;
    experts_measure(m);
    return decoder_rope(m, NULL, ROPE_HALF, 1e6, 1, e);
}

static const expert_names names = {.router = "layers.%d.block_sparse_moe.gate",
                                   .gate = "layers.%d.block_sparse_moe.experts.%e.w1",
                                   .up = "layers.%d.block_sparse_moe.experts.%e.w3",
                                   .down = "layers.%d.block_sparse_moe.experts.%e.w2",
                                   .gate_up_stack = "layers.%d.block_sparse_moe.experts.gate_up_proj",
                                   .down_stack = "layers.%d.block_sparse_moe.experts.down_proj"};

static int bind(model *m, err *e)
{
    int rc = decoder_bind(m, &decoder_names_llama, e);
    if (rc)
        return rc;
    bool newer = bind_has(m, "layers.%d.mlp.gate.weight", 0);
    return experts_bind(m, newer ? &expert_names_qwen : &names, e);
}

static const char *const model_types[] = {"mixtral", NULL};

const family family_mixtral = {.name = "mixtral",
                               .summary = "Mixtral 8x7B, 8x22B and their fine-tunes",
                               .model_types = model_types,
                               .configure = configure,
                               .bind = bind};
