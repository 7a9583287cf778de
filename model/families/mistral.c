/* Mistral: Llama with a sliding window in every layer.
 * Hugging Face MistralForCausalLM; its GGUF files call themselves "llama". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"layer_types", "sliding_window", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = 1e-6, .act = ACT_SILU, .gated = true, .causal = true,
                       .context = 131072};
    s.window = json_get(m->config, "sliding_window") ? 0 : 4096; /* null: none */
    int rc = config_int(&s.window, m->config, "sliding_window", false, 1, INT32_MAX, e);
    if (rc || (rc = decoder_read_config(m, &s, more_keys, e)) || (rc = decoder_build(m, &s, e)) ||
        (rc = decoder_windows(m, m->config, s.window, 0, false, e)))
        return rc;
    return decoder_rope(m, NULL, ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    return decoder_bind(m, &decoder_names_llama, e);
}

static const char *const model_types[] = {"mistral", NULL};

const family family_mistral = {
    .name = "mistral",
    .summary = "Mistral 7B, Nemo and their fine-tunes",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
