/* GPT-Neo: GPT-2 with separate q, k, v without biases, unscaled scores, and every other layer local.
 * Hugging Face GPTNeoForCausalLM. */
#include "model/families/decoder.h"

#include <string.h>

static const char *const more_keys[] = {"attention_types", "attention_layers", "window_size", NULL};

/* [[["global", "local"], 12]]: each list of kinds, so many times over. */
static int expand_types(model *m, const json *types, int64_t window, err *e)
{
    stack *s = m->main;
    int l = 0;
    for (size_t i = 0; i < json_count(types); i++) {
        const json *pair = json_at(types, i), *kinds = json_at(pair, 0);
        int64_t times = 0;
        if (!json_count(kinds) || !json_int(&times, json_at(pair, 1)) || times < 1)
            return err_set(e, ERR_INPUT, "config.json: attention_types must be lists of kinds with a count");
        for (int64_t t = 0; t < times && l <= s->n_layer; t++)
            for (size_t k = 0; k < json_count(kinds) && l <= s->n_layer; k++, l++) {
                const char *kind = json_str(json_at(kinds, k), NULL);
                if (!kind || (strcmp(kind, "global") && strcmp(kind, "local")))
                    return err_set(e, ERR_INPUT, "config.json: attention_types holds \"%s\", which is not supported",
                                   kind ? kind : "?");
                if (l < s->n_layer)
                    s->layers[l].self.plan.window = strcmp(kind, "local") ? 0 : window;
            }
    }
    if (l != s->n_layer)
        return err_set(e, ERR_INPUT, "config.json: attention_types describes another number of layers than the %d there are",
                       s->n_layer);
    return 0;
}

/* ["global", "local", ...]: attention_types written out, which has the last word. */
static int read_layers(model *m, const json *layers, int64_t window, err *e)
{
    for (int l = 0; l < m->main->n_layer; l++) {
        const char *kind = json_str(json_at(layers, (size_t)l), NULL);
        if (!kind || (strcmp(kind, "global") && strcmp(kind, "local")))
            return err_set(e, ERR_INPUT, "config.json: attention_layers holds \"%s\", which is not supported", kind ? kind : "?");
        m->main->layers[l].self.plan.window = strcmp(kind, "local") ? 0 : window;
    }
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_NEW, .tied = true, .causal = true};
    int64_t window = 256;
    const json *types = json_get(m->config, "attention_types"), *layers;
    int rc = decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = config_int(&window, m->config, "window_size", false, 1, INT32_MAX, e)) || (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        m->main->layers[l].self.plan.scale = 1;
        m->main->layers[l].self.plan.window = l % 2 ? window : 0;
    }
    if (types && json_kind_of(types) != JSON_NULL_ && (rc = expand_types(m, types, window, e)))
        return rc;
    rc = config_list(&layers, m->config, "attention_layers", m->main->n_layer, e);
    return rc || !layers ? rc : read_layers(m, layers, window, e);
}

static const decoder_names names = {
    .tokens = "wte", .positions = "wpe", .output = "lm_head", .final_norm = "ln_f", .attn_pre = "h.%d.ln_1",
    .mlp_pre = "h.%d.ln_2", .q = "h.%d.attn.attention.q_proj", .k = "h.%d.attn.attention.k_proj",
    .v = "h.%d.attn.attention.v_proj", .out = "h.%d.attn.attention.out_proj", .up = "h.%d.mlp.c_fc", .down = "h.%d.mlp.c_proj",
    .qkv_bias = BIND_NO_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    return decoder_bind(m, &names, e);
}

static const char *const model_types[] = {"gpt_neo", NULL};

const family family_gpt_neo = {
    .name = "gpt_neo",
    .summary = "GPT-Neo, TinyStories",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
