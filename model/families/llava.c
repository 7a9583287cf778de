/* LLaVA 1.5 (Liu et al., arXiv 2310.03744): image patches of a CLIP tower, projected by two maps, take the
 * places of the image tokens in the prompt of a language model.  Hugging Face
 * LlavaForConditionalGeneration. */
#include "model/families/vision.h"

#include <string.h>

static const char *const known_keys[] = {
    "text_config", "vision_config", "image_token_index", "image_token_id", "image_seq_length",
    "projector_hidden_act", "multimodal_projector_bias", "vision_feature_layer",
    "vision_feature_select_strategy", "tie_word_embeddings", "ignore_index", "vocab_size", NULL,
};

/* text_config often states only what differs from the defaults of its model_type; the rest is here. */
static const struct sparse { const char *model_type, *defaults; } sparse[] = {
    {"llama", "{\"vocab_size\": 32000, \"hidden_size\": 4096, \"intermediate_size\": 11008,"
              " \"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"max_position_embeddings\": 2048}"},
    {"mistral", "{\"vocab_size\": 32000, \"hidden_size\": 4096, \"intermediate_size\": 14336,"
                " \"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"num_key_value_heads\": 8,"
                " \"max_position_embeddings\": 131072, \"sliding_window\": 4096}"},
    {"qwen2", "{\"vocab_size\": 151936, \"hidden_size\": 4096, \"intermediate_size\": 22016,"
              " \"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"num_key_value_heads\": 32,"
              " \"max_position_embeddings\": 32768}"},
};

static const vision_tower *const towers[] = {&vision_tower_clip, &vision_tower_siglip, NULL};

/* Like most readers, a configuration without model_type means what LLaVA 1.5 consists of. */
static const char *type_of(const json *config, const char *otherwise)
{
    const char *type = json_str(json_get(config, "model_type"), NULL);
    return type ? type : otherwise;
}

static const family *text_family(const model *m, const json *config)
{
    const char *type = type_of(config, "llama");
    for (const family *const *f = families; *f; f++)
        for (const char *const *t = (*f)->model_types; t && *t; t++)
            if (strcmp(*t, type) == 0 && *f != m->family)
                return *f;
    return NULL;
}

static const vision_tower *tower_of(const json *config)
{
    const char *type = type_of(config, "clip_vision_model");
    for (const vision_tower *const *t = towers; *t; t++)
        if (strcmp((*t)->model_type, type) == 0)
            return *t;
    return NULL;
}

/* Which of the tower's hidden states is read: as many layers are run. */
static int choose_layer(model *m, const json *config, err *e)
{
    static const config_name strategies[] = {{"default", true}, {"full", false}, {NULL, 0}};
    int64_t layer = -2, n = m->vision->n_layer;
    int drop = true, rc;
    if (json_kind_of(json_get(config, "vision_feature_layer")) == JSON_LIST) {
        err_set(e, ERR_INPUT, "config.json: vision_feature_layer is a list, which is not supported");
        return err_hint(e, "only one hidden state of the image tower can be read");
    }
    if ((rc = config_int(&layer, config, "vision_feature_layer", false, -n - 1, n, e)) ||
        (rc = config_enum(&drop, config, "vision_feature_select_strategy", strategies, false, e)))
        return rc;
    m->vision_layer = m->vision->n_run = (int)(layer < 0 ? n + 1 + layer : layer);
    m->vision_drop_first = drop;
    return 0;
}

static int configure_vision(model *m, const json *config, err *e)
{
    const json *vision = json_get(config, "vision_config");
    const vision_tower *t = tower_of(vision);
    int64_t token = 32000;
    int act = ACT_GELU_ERF, rc;
    if (json_kind_of(vision) != JSON_MAP)
        return err_set(e, ERR_INPUT, "config.json: vision_config is missing");
    if (!t)
        return err_set(e, ERR_INPUT, "config.json: vision_config.model_type \"%s\" is not supported",
                       type_of(vision, "?"));
    if ((rc = t->configure(m, &m->vision, vision, e)) || (rc = choose_layer(m, config, e)) ||
        (rc = config_int(&token, config, "image_token_id|image_token_index", false, 0, INT32_MAX, e)) ||
        (rc = config_enum(&act, config, "projector_hidden_act", config_activations, false, e)))
        return rc;
    m->image_token = (int32_t)token;
    m->projector_act = (act_kind)act;
    return 0;
}

static int configure_text(model *m, const json *config, err *e)
{
    const json *text = json_get(config, "text_config");
    const family *f = text_family(m, text);
    const char *type = type_of(text, "llama");
    bool tied = false;
    int rc = config_bool(&tied, config, "tie_word_embeddings", e);
    if (rc)
        return rc;
    if (json_kind_of(text) != JSON_MAP)
        return err_set(e, ERR_INPUT, "config.json: text_config is missing");
    if (!f)
        return err_set(e, ERR_INPUT, "config.json: text_config.model_type \"%s\" is not supported", type);
    m->config = text;
    for (size_t i = 0; i < sizeof sparse / sizeof sparse[0]; i++)
        if (strcmp(sparse[i].model_type, type) == 0) {
            if ((rc = json_complete(&m->completed, text, sparse[i].defaults, e)))
                return rc;
            m->config = m->completed;
        }
    if ((rc = f->configure(m, e)))
        return rc;
    if (!m->main || m->main->kind != ATTN_SELF || m->encoder || m->needs != NEEDS_TOKENS)
        return err_set(e, ERR_INPUT, "config.json: text_config.model_type \"%s\" is no decoder", type);
    m->tied |= tied;
    m->needs |= NEEDS_PIXELS;
    return 0;
}

static int configure(model *m, err *e)
{
    const json *config = m->config;
    int rc = config_check_keys(m, config, known_keys, NULL, e);
    if (rc || (rc = configure_vision(m, config, e)))
        return rc;
    return configure_text(m, config, e);
}

/* The image goes in behind the embedding of the tokens, in front of all else. */
static int check_embedding(const model *m, err *e)
{
    const embedding *b = &m->main->embed;
    if (b->scale == 1 && !b->type && !b->project.data && !b->positions.data && b->norm.kind == NORM_NONE)
        return 0;
    const char *type = type_of(m->config, "llama");
    err_set(e, ERR_INPUT, "config.json: text_config.model_type \"%s\" is not supported", type);
    return err_hint(e, "images can only be placed where the first layer reads plain token embeddings");
}

static int bind_projector(model *m, err *e)
{
    static const char *const names[2] = {"multi_modal_projector.linear_1", "multi_modal_projector.linear_2"};
    int64_t from = m->vision->width, to = m->main->width;
    bool bias = true;
    int rc = config_bool(&bias, m->ckpt->config, "multimodal_projector_bias", e);
    unsigned flags = bias ? BIND_BIAS : BIND_NO_BIAS;
    for (int i = 0; i < 2 && !rc; i++, from = to)
        rc = bind_linear(m, &m->projector[i], names[i], -1, to, 0, to, from, flags, e);
    return rc;
}

static int bind(model *m, err *e)
{
    static const char *const prefixes[] = {"vision_tower.vision_model.", "vision_tower.", NULL};
    const vision_tower *t = tower_of(json_get(m->ckpt->config, "vision_config"));
    int rc = text_family(m, m->config)->bind(m, e);
    if (rc || (rc = check_embedding(m, e)) ||
        (rc = vision_bind(m, m->vision, prefixes, t->names, BIND_BIAS, e)))
        return rc;
    return bind_projector(m, e);
}

static const char *const model_types[] = {"llava", NULL};

const family family_llava = {
    .name = "llava",
    .summary = "LLaVA 1.5 (CLIP or SigLIP images before a decoder)",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
