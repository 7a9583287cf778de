/* StarCoder2: LayerNorm, RoPE, grouped keys and values, plain GELU MLP, biases, a window.
 * Hugging Face Starcoder2ForCausalLM; GGUF architecture "starcoder2". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"sliding_window", "use_bias", "norm_type", "mlp_type", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_TANH, .tied = true,
                       .causal = true, .context = 4096};
    int rc = m->config ? config_int(&s.window, m->config, "sliding_window", false, 1, INT32_MAX, e) : 0;
    static const config_name layer_norm[] = {{"layer_norm", 0}, {NULL, 0}}, plain[] = {{"default", 0}, {NULL, 0}};
    int any;
    if (!rc && m->config && !(rc = config_enum(&any, m->config, "norm_type", layer_norm, false, e)))
        rc = config_enum(&any, m->config, "mlp_type", plain, false, e);
    if (rc || (rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "starcoder2", NULL, e)) ||
        (rc = decoder_build(m, &s, e)))
        return rc;
    return decoder_rope(m, "starcoder2", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "use_bias", &n.qkv_bias, e);
    n.out_bias = n.mlp_bias = n.qkv_bias;
    if (m->config) {
        n.up = "layers.%d.mlp.c_fc";
        n.down = "layers.%d.mlp.c_proj";
    }
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"starcoder2", NULL};
static const char *const gguf_archs[] = {"starcoder2", NULL};

const family family_starcoder2 = {
    .name = "starcoder2",
    .summary = "StarCoder2",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
