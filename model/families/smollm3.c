/* SmolLM3: Llama whose every fourth layer has no positions.
 * Hugging Face SmolLM3ForCausalLM; GGUF architecture "smollm3". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"layer_types", "no_rope_layers", "no_rope_layer_interval", "use_sliding_window",
                                        "sliding_window",
                                        "max_window_layers", "attention_bias", "mlp_bias", NULL};

/* no_rope_layers holds 1 for layers with positions; else every interval-th layer (the last of each group) has none. */
static int drop_positions(model *m, err *e)
{
    const json *list = NULL;
    int64_t interval = 4;
    int rc = 0;
    if (m->config && ((rc = config_list(&list, m->config, "no_rope_layers", m->main->n_layer, e)) ||
                      (rc = config_int(&interval, m->config, "no_rope_layer_interval", false, 1, 4096, e))))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        int64_t use = (l + 1) % interval != 0;
        if (list && !json_int(&use, json_at(list, (size_t)l)))
            return err_set(e, ERR_INPUT, "config.json: no_rope_layers holds an element that is not an integer");
        if (!use)
            m->main->layers[l].self.plan.rope = -1;
    }
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true,
                       .tied = true, .causal = true, .context = 32768};
    int64_t window = 0;
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "smollm3", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    if (m->config && ((rc = config_int(&window, m->config, "sliding_window", false, 1, INT32_MAX, e)) ||
                      (rc = decoder_windows(m, m->config, window, 0, false, e))))
        return rc;
    if ((rc = decoder_rope(m, "smollm3", ROPE_HALF, m->config ? 2e6 : 10000, 1, e)))
        return rc;
    return drop_positions(m, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc;
    n.paired = !m->config;
    if ((rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e)) || (rc = decoder_bias_flag(m, "mlp_bias", &n.mlp_bias, e)))
        return rc;
    n.out_bias = n.qkv_bias;
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"smollm3", NULL};
static const char *const gguf_archs[] = {"smollm3", NULL};

const family family_smollm3 = {
    .name = "smollm3",
    .summary = "SmolLM3",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
