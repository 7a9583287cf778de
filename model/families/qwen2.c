/* Qwen2 and 2.5: Llama with biases on q, k and v; layers from max_window_layers on may slide.
 * Hugging Face Qwen2ForCausalLM; GGUF architecture "qwen2". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"layer_types", "use_sliding_window", "sliding_window", "max_window_layers", "use_mrope",
                                        NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true,
                       .causal = true, .context = 32768};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "qwen2", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)) ||
        (m->config && ((rc = config_must_be_bool(m->config, "use_mrope", false, e)) || (rc = decoder_late_windows(m, e)))))
        return rc;
    return decoder_rope(m, "qwen2", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    n.qkv_bias = BIND_BIAS;
    n.out_bias = m->config ? BIND_NO_BIAS : 0;
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"qwen2", NULL};
static const char *const gguf_archs[] = {"qwen2", NULL};

const family family_qwen2 = {
    .name = "qwen2",
    .summary = "Qwen2, Qwen2.5 and models distilled into them",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
