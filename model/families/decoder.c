/* Structure of a one-stack model from its configuration. */
#include "model/families/decoder.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static const char *const common_keys[] = {
    "vocab_size", "hidden_size", "n_embd", "n_embed", "d_model", "dim", "hidden_dim", "activation",
    "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size",
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_attention_heads", "n_head", "n_heads", "num_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "hidden_activation", "activation_function", "max_position_embeddings",
    "n_positions", "n_ctx", "max_seq_len", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon",
    "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor", "rotary_pct", "rope_pct",
    "rotary_emb_base", "original_max_position_embeddings", "layer_types", NULL,
};

static const char *const common_meta[] = {
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "attention.key_length",
    "attention.value_length", "attention.causal", "rope.dimension_count", "rope.freq_base", "rope.scale_linear",
    "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned",
    "rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", NULL,
};

static int derive(decoder_shape *s, err *e)
{
    if (s->kv_heads <= 0)
        s->kv_heads = s->heads;
    if (s->head_width <= 0) {
        if (s->width % s->heads)
            return err_set(e, ERR_INPUT, "width %lld is not a multiple of %lld heads", (long long)s->width, (long long)s->heads);
        s->head_width = s->width / s->heads;
    }
    if (s->value_width <= 0)
        s->value_width = s->head_width;
    if (s->ffn <= 0)
        s->ffn = 4 * s->width;
    return 0;
}

/* Layers of different kinds, in a family that knows one. */
static int check_layer_types(const model *m, const char *const *more, err *e)
{
    const json *types = json_get(m->config, "layer_types");
    for (; more && *more; more++)
        if (strcmp(*more, "layer_types") == 0)
            return 0;
    for (size_t i = 0; i < json_count(types); i++) {
        const char *type = json_str(json_at(types, i), NULL);
        if (!type || strcmp(type, "full_attention"))
            return err_set(e, ERR_INPUT, "config.json: layer_types holds \"%s\", which is not supported for model_type %s",
                           type ? type : "?", m->family->name);
    }
    return 0;
}

int decoder_read_config(model *m, decoder_shape *s, const char *const *more, err *e)
{
    const json *c = m->config;
    int rc;
    if ((rc = config_int(&s->vocab, c, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&s->width, c, "hidden_size|n_embd|n_embed|d_model|dim", true, 1, 1 << 20, e)) ||
        (rc = config_int(&s->layers, c, "num_hidden_layers|n_layer|n_layers|num_layers", true, 1, 4096, e)) ||
        (rc = config_int(&s->heads, c, "num_attention_heads|n_head|n_heads|num_heads", true, 1, 4096, e)) ||
        (rc = config_int(&s->kv_heads, c, "num_key_value_heads", false, 1, s->heads, e)) ||
        (rc = config_int(&s->head_width, c, "head_dim", false, 1, 4096, e)) ||
        (rc = config_int(&s->ffn, c, "intermediate_size|ffn_dim|n_inner|ffn_hidden_size|hidden_dim", false, 1, 1 << 24, e)) ||
        (rc = config_int(&s->context, c, "max_position_embeddings|n_positions|n_ctx|max_seq_len", false, 1, INT32_MAX, e)) ||
        (rc = config_real(&s->eps, c, "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_eps|norm_epsilon", false, 1e-16, 1,
                          e)) ||
        (rc = config_enum(&s->act, c, "hidden_act|hidden_activation|activation_function|activation", config_activations, false,
                          e)) ||
        (rc = config_bool(&s->tied, c, "tie_word_embeddings", e)) || (rc = check_layer_types(m, more, e)) ||
        (rc = config_check_keys(m, c, common_keys, more, e)))
        return rc;
    if (s->context <= 0)
        s->context = 2048;
    return derive(s, e);
}

/* Rows of token_embd, which every GGUF of a language model has. */
static int count_tokens(model *m, int64_t *vocab, err *e)
{
    const checkpoint_tensor *t = checkpoint_find(m->ckpt, "token_embd.weight");
    if (!t || t->t.n_dim != 2 || t->t.shape[0] < 1 || t->t.shape[0] > INT32_MAX) {
        err_set(e, ERR_INPUT, "gguf: tensor token_embd.weight is missing or not a matrix");
        return err_hint(e, m->ckpt->n_tensor ? "`tensors FILE` lists what the file holds"
                                             : "this file holds no weights (a vocabulary only?)");
    }
    *vocab = t->t.shape[0];
    return 0;
}

int decoder_read_meta(model *m, decoder_shape *s, const char *arch, const char *const *more, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    const char *eps = s->norm == NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
    int rc;
    if ((rc = meta_int(&s->width, g, arch, "embedding_length", true, 1, 1 << 20, e)) ||
        (rc = meta_int(&s->layers, g, arch, "block_count", true, 1, 4096, e)) ||
        (rc = meta_int(&s->heads, g, arch, "attention.head_count", true, 1, 4096, e)) ||
        (rc = meta_int(&s->ffn, g, arch, "feed_forward_length", false, 1, 1 << 24, e)) ||
        (rc = meta_int(&s->context, g, arch, "context_length", true, 1, INT32_MAX, e)) ||
        (rc = meta_real(&s->eps, g, arch, eps, s->eps == 0, 1e-16, 1, e)) ||
        (rc = meta_int(&s->kv_heads, g, arch, "attention.head_count_kv", false, 1, s->heads, e)) ||
        (rc = meta_int(&s->head_width, g, arch, "attention.key_length", false, 1, 4096, e)) ||
        (rc = meta_int(&s->value_width, g, arch, "attention.value_length", false, 1, 4096, e)) ||
        (rc = meta_bool(&s->causal, g, arch, "attention.causal", e)) || (rc = count_tokens(m, &s->vocab, e)) ||
        (rc = meta_check_keys(m, g, arch, common_meta, more, e)))
        return rc;
    s->tied = !checkpoint_find(m->ckpt, "output.weight");
    return derive(s, e);
}

int decoder_build(model *m, const decoder_shape *s, err *e)
{
    norm n = {.kind = s->norm, .eps = (float)s->eps};
    attn_plan plan = {.kind = ATTN_SELF, .n_head = (int)s->heads, .n_kv_head = (int)s->kv_heads, .d_qk = (int)s->head_width,
                      .d_v = (int)s->value_width, .scale = (float)(1 / sqrt((double)s->head_width)), .causal = s->causal,
                      .window = s->window, .rope = -1};
    int rc = config_check_attention(&plan, e);
    if (rc || (rc = config_stack(m, &m->main, ATTN_SELF, s->layers, s->width, e)))
        return rc;
    stack *t = m->main;
    t->ffn = s->ffn;
    t->context = s->context;
    t->final_norm = n;
    m->vocab = s->vocab;
    m->tied = s->tied;
    m->needs = NEEDS_TOKENS;
    for (int l = 0; l < t->n_layer; l++) {
        model_layer *y = &t->layers[l];
        y->self.plan = plan;
        y->at_self.pre = y->at_mlp.pre = n;
        y->mlp = (mlp){.act = (act_kind)s->act, .gated = s->gated, .inner = s->ffn};
    }
    return 0;
}

void decoder_set_rope(model *m, int rope)
{
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].self.plan.rope = rope;
}

int decoder_rope(model *m, const char *arch, rope_kind kind, double base, double fraction, err *e)
{
    rope_want want = {.kind = kind, .head_width = m->main->layers[0].self.plan.d_qk, .base = base, .fraction = fraction};
    int rope, rc = m->ckpt->gguf ? meta_rope(m, m->ckpt->gguf, arch, &want, &rope, e)
        : config_rope(m, m->config, &want, &rope, e);
    if (rc)
        return rc;
    decoder_set_rope(m, rope);
    if (strcmp(m->ropes[rope].scaling, "dynamic") == 0) /* stretches with the sequence */
        m->main->context = (int64_t)((double)m->main->context * fmax(1, m->ropes[rope].factor));
    return 0;
}

void decoder_set_qk_norm(model *m, norm_kind kind, double eps, bool whole, bool per_head)
{
    for (int l = 0; l < m->main->n_layer; l++) {
        attention_block *b = &m->main->layers[l].self;
        qk_norm n = {.kind = kind, .eps = (float)eps, .width = b->plan.d_qk, .per_head = per_head};
        b->q_norm = b->k_norm = n;
        if (whole) {
            b->q_norm.width *= b->plan.n_head;
            b->k_norm.width *= b->plan.n_kv_head;
        }
    }
}

int decoder_windows(model *m, const json *config, int64_t window, int pattern, bool full_first, err *e)
{
    const json *types;
    stack *s = m->main;
    int rc = config ? config_list(&types, config, "layer_types", s->n_layer, e) : 0;
    if (!config)
        types = NULL;
    for (int l = 0; l < s->n_layer && !rc; l++) {
        bool local = pattern > 0 && (full_first ? l % pattern != 0 : l % pattern < pattern - 1);
        size_t n;
        const char *type = types ? json_str(json_at(types, (size_t)l), &n) : NULL;
        if (types) {
            if (!type || (strcmp(type, "full_attention") && strcmp(type, "sliding_attention")))
                return err_set(e, ERR_INPUT, "config.json: layer_types holds \"%s\", which is not supported", type ? type : "?");
            local = strcmp(type, "sliding_attention") == 0;
        }
        if (local && window <= 0)
            return err_set(e, ERR_INPUT, "config.json: layer %d slides but there is no sliding_window", l);
        if (types || pattern > 0)
            s->layers[l].self.plan.window = local ? window : 0;
    }
    return rc;
}

int decoder_late_windows(model *m, err *e)
{
    int64_t window = 0, first = m->main->n_layer;
    bool use = false;
    int rc;
    if ((rc = config_bool(&use, m->config, "use_sliding_window", e)) ||
        (rc = config_int(&window, m->config, "sliding_window", false, 1, INT32_MAX, e)) ||
        (rc = config_int(&first, m->config, "max_window_layers", false, 0, 4096, e)))
        return rc;
    for (int64_t l = first; use && l < m->main->n_layer; l++)
        m->main->layers[l].self.plan.window = window;
    return decoder_windows(m, m->config, window, 0, false, e);
}

void decoder_norm_outputs(model *m)
{
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->at_self.out = y->at_self.pre;
        y->at_mlp.out = y->at_mlp.pre;
        y->at_self.pre = y->at_mlp.pre = (norm){.kind = NORM_NONE};
    }
}

int decoder_alibi(model *m, err *e)
{
    int heads = m->main->layers[0].self.plan.n_head, n = 1;
    while (2 * n <= heads)
        n *= 2;
    float *slope = arena_alloc(m->arena_, (size_t)heads, sizeof *slope, e);
    if (!slope)
        return ERR_RESOURCE;
    for (int h = 0; h < heads; h++)
        slope[h] = (float)(h < n ? pow(2, -8.0 * (h + 1) / n) : pow(2, -4.0 * (2 * (h - n) + 1) / n));
    m->main->alibi_slopes = slope;
    return 0;
}

int decoder_bias_flag(const model *m, const char *key, unsigned *flag, err *e)
{
    bool yes;
    *flag = 0;
    if (!m->config || !json_get(m->config, key) || json_kind_of(json_get(m->config, key)) == JSON_NULL_)
        return 0;
    int rc = config_bool(&yes, m->config, key, e);
    if (!rc)
        *flag = yes ? BIND_BIAS : BIND_NO_BIAS;
    return rc;
}
