/* OPT: learned positions shifted by two rows, ReLU MLP, norms before or behind, a narrower embedding in one size.
 * Hugging Face OPTForCausalLM. */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"word_embed_proj_dim", "do_layer_norm_before", "_remove_final_layer_norm",
                                        "enable_bias", "layer_norm_elementwise_affine", "layerdrop", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_RELU, .tied = true, .causal = true};
    bool before = true, no_final = false;
    int rc = decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = config_bool(&before, m->config, "do_layer_norm_before", e)) ||
        (rc = config_bool(&no_final, m->config, "_remove_final_layer_norm", e)) ||
        (rc = config_must_be_bool(m->config, "layer_norm_elementwise_affine", true, e)) || (rc = decoder_build(m, &s, e)))
        return rc;
    m->main->embed.position_offset = 2;
    if (!before || no_final)
        m->main->final_norm.kind = NORM_NONE;
    for (int l = 0; l < m->main->n_layer && !before; l++) {
        model_layer *y = &m->main->layers[l];
        y->at_self.after = y->at_mlp.after = y->at_self.pre;
        y->at_self.pre = y->at_mlp.pre = (norm){.kind = NORM_NONE};
    }
    return 0;
}

static const decoder_names names = {
    .positions = "embed_positions", .final_norm = "final_layer_norm", .q = "layers.%d.self_attn.q_proj",
    .k = "layers.%d.self_attn.k_proj", .v = "layers.%d.self_attn.v_proj", .out = "layers.%d.self_attn.out_proj",
    .up = "layers.%d.fc1", .down = "layers.%d.fc2",
};

/* Embeddings may be narrower than the stream: a map in, and one out before they are used as unembedding. */
static int bind_vocabulary_of(model *m, err *e)
{
    stack *s = m->main;
    int64_t inner = s->width;
    int rc = config_int(&inner, m->config, "word_embed_proj_dim", false, 1, s->width, e);
    if (rc || (rc = bind_weight(m, &s->embed.tokens, "embed_tokens.weight", -1, m->vocab, 0, m->vocab, inner, 0, e)))
        return rc;
    m->head.unembedding = s->embed.tokens;
    if (!m->tied && (rc = bind_weight(m, &m->head.unembedding, "lm_head.weight", -1, m->vocab, 0, m->vocab, inner, 0, e)))
        return rc;
    if (inner == s->width)
        return 0;
    s->embed.project_first = true;
    if ((rc = bind_weight(m, &s->embed.project, "project_in.weight", -1, s->width, 0, s->width, inner, 0, e)))
        return rc;
    return bind_weight(m, &m->head.project, "project_out.weight", -1, inner, 0, inner, s->width, 0, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = names;
    stack *s = m->main;
    int64_t rows = s->context + 2;
    unsigned bias;
    bool before = s->layers[0].at_self.pre.kind != NORM_NONE;
    int rc;
    if ((rc = decoder_bias_flag(m, "enable_bias", &bias, e)) || (rc = bind_vocabulary_of(m, e)) ||
        (rc = bind_weight(m, &s->embed.positions, "embed_positions.weight", -1, rows, 0, rows, s->width, 0, e)) ||
        (rc = bind_norm(m, &s->final_norm, n.final_norm, -1, s->width, 0, e)))
        return rc;
    n.qkv_bias = n.out_bias = n.mlp_bias = bias;
    *(before ? &n.attn_pre : &n.attn_after) = "layers.%d.self_attn_layer_norm";
    *(before ? &n.mlp_pre : &n.mlp_after) = "layers.%d.final_layer_norm";
    return decoder_bind_layers(m, &n, e);
}

static const char *const model_types[] = {"opt", NULL};

const family family_opt = {
    .name = "opt",
    .summary = "OPT, Galactica",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
