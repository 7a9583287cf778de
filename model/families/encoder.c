/* Structure and binding that text encoders share. */
#include "model/families/encoder.h"

#include <stdio.h>
#include <string.h>

void encoder_mark(model *m)
{
    m->main->kind = ATTN_ENCODER;
    for (int l = 0; l < m->main->n_layer; l++) {
        m->main->layers[l].self.plan.kind = ATTN_ENCODER;
        m->main->layers[l].self.plan.causal = false;
    }
}

int encoder_build(model *m, const decoder_shape *s, err *e)
{
    int rc = decoder_build(m, s, e);
    if (rc)
        return rc;
    encoder_mark(m);
    m->main->embed.norm = m->main->final_norm;
    m->main->final_norm = (norm){.kind = NORM_NONE};
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->at_self.after = y->at_mlp.after = y->at_self.pre;
        y->at_self.pre = y->at_mlp.pre = (norm){.kind = NORM_NONE};
    }
    return 0;
}

int encoder_check(const model *m, err *e)
{
    const char *type = json_str(json_get(m->config, "position_embedding_type"), NULL);
    int rc;
    if (type && strcmp(type, "absolute"))
        return err_set(e, ERR_INPUT, "config.json: position_embedding_type \"%s\" is not supported", type);
    if ((rc = config_must_be_bool(m->config, "is_decoder", false, e)))
        return rc;
    return config_must_be_bool(m->config, "add_cross_attention", false, e);
}

int encoder_bind_type(model *m, const char *name, int64_t types, int64_t width, err *e)
{
    return bind_vector(m, &m->main->embed.type, name, -1, types * width, 0, width, 0, e);
}

int encoder_bind_head(model *m, const encoder_head *h, int64_t width, float eps, err *e)
{
    char full[160];
    logits_head *out = &m->head;
    int rc;
    snprintf(full, sizeof full, "%s.weight", h->dense);
    if (!bind_has(m, full, -1)) {
        out->unembedding = (weight){0};
        m->vocab = 0;
        return 0;
    }
    out->act = h->act;
    out->norm = (norm){.kind = NORM_LAYER, .eps = eps};
    if ((rc = bind_linear(m, &out->transform, h->dense, -1, width, 0, width, m->main->width,
                          h->dense_bias ? BIND_BIAS : 0, e)) ||
        (rc = bind_norm(m, &out->norm, h->norm, -1, width, BIND_ANY_BIAS, e)))
        return rc;
    out->unembedding = m->main->embed.tokens;
    snprintf(full, sizeof full, "%s.weight", h->decoder);
    if (!m->tied && bind_has(m, full, -1) &&
        (rc = bind_weight(m, &out->unembedding, full, -1, m->vocab, 0, m->vocab, width, 0, e)))
        return rc;
    for (const char *const *b = h->bias; *b && !out->unembedding.bias; b++)
        if ((rc = bind_vector(m, &out->unembedding.bias, *b, -1, m->vocab, 0, m->vocab, BIND_OPTIONAL, e)))
            return rc;
    return 0;
}
