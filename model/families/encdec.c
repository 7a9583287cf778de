/* Stacks of encoder-decoders. */
#include "model/families/encdec.h"

#include <math.h>

int encdec_stack(model *m, stack **out, attn_kind kind, const encdec_shape *s, err *e)
{
    bool decoder = kind == ATTN_SELF;
    attn_plan plan = {.kind = kind, .n_head = (int)s->heads, .n_kv_head = (int)s->heads, .d_qk = (int)s->head_width,
                      .d_v = (int)s->head_width, .scale = s->scale, .causal = decoder, .rope = -1};
    int rc = config_check_attention(&plan, e);
    if (rc || (rc = config_stack(m, out, kind, s->layers, s->width, e)))
        return rc;
    stack *t = *out;
    t->ffn = s->ffn;
    t->context = s->context;
    if (s->pre)
        t->final_norm = s->norm;
    for (int l = 0; l < t->n_layer; l++) {
        model_layer *y = &t->layers[l];
        sublayer *const places[] = {&y->at_self, &y->at_mlp, &y->at_cross};
        y->self.plan = y->cross.plan = plan;
        y->cross.plan.kind = ATTN_CROSS;
        y->cross.plan.causal = false;
        y->has_cross = decoder;
        y->mlp = (mlp){.act = s->act, .gated = s->gated, .inner = s->ffn};
        for (int i = 0; i < (decoder ? 3 : 2); i++)
            *(s->pre ? &places[i]->pre : &places[i]->after) = s->norm;
    }
    return 0;
}

typedef struct attention_names { const char *q, *k, *v, *out; } attention_names;

static int bind_attention(model *m, const stack *s, attention_block *b, int l, const attention_names *a, int64_t source,
                          const encdec_names *n, err *e)
{
    int64_t wide = (int64_t)b->plan.n_head * b->plan.d_qk;
    int rc;
    if ((rc = bind_linear(m, &b->q, a->q, l, wide, 0, wide, s->width, n->bias, e)) ||
        (rc = bind_linear(m, &b->k, a->k, l, wide, 0, wide, source, n->key_bias, e)) ||
        (rc = bind_linear(m, &b->v, a->v, l, wide, 0, wide, source, n->bias, e)) ||
        (rc = bind_linear(m, &b->out, a->out, l, s->width, 0, s->width, wide, n->bias, e)))
        return rc;
    b->plan.qkv_bias = b->q.bias || b->k.bias || b->v.bias;
    b->plan.out_bias = b->out.bias;
    return 0;
}

static int bind_place(model *m, sublayer *at, const char *name, int l, int64_t width, err *e)
{
    return bind_norm(m, at->pre.kind != NORM_NONE ? &at->pre : &at->after, name, l, width, 0, e);
}

static int bind_layer(model *m, stack *s, int l, const encdec_names *n, err *e)
{
    model_layer *y = &s->layers[l];
    mlp *p = &y->mlp;
    attention_names self = {n->q, n->k, n->v, n->out}, cross = {n->cross_q, n->cross_k, n->cross_v, n->cross_out};
    int rc;
    if ((rc = bind_place(m, &y->at_self, n->norm_self, l, s->width, e)) ||
        (rc = bind_attention(m, s, &y->self, l, &self, s->width, n, e)) ||
        (rc = bind_place(m, &y->at_mlp, n->norm_mlp, l, s->width, e)) ||
        (p->gated && (rc = bind_linear(m, &p->gate, n->gate, l, p->inner, 0, p->inner, s->width, n->bias, e))) ||
        (rc = bind_linear(m, &p->up, n->up, l, p->inner, 0, p->inner, s->width, n->bias, e)) ||
        (rc = bind_linear(m, &p->down, n->down, l, s->width, 0, s->width, p->inner, n->bias, e)))
        return rc;
    if (!y->has_cross)
        return 0;
    rc = bind_place(m, &y->at_cross, n->norm_cross, l, s->width, e);
    return rc ? rc : bind_attention(m, s, &y->cross, l, &cross, m->encoder->width, n, e);
}

int encdec_bind(model *m, stack *s, const encdec_names *n, err *e)
{
    int rc = s->final_norm.kind != NORM_NONE ? bind_norm(m, &s->final_norm, n->final_norm, -1, s->width, 0, e) : 0;
    for (int l = 0; l < s->n_layer && !rc; l++)
        rc = bind_layer(m, s, l, n, e);
    return rc;
}

int encdec_read_side(const model *m, encdec_shape *s, bool decoder, err *e)
{
    int rc;
    if ((rc = config_int(&s->layers, m->config, decoder ? "decoder_layers" : "encoder_layers", true, 1, 4096, e)) ||
        (rc = config_int(&s->heads, m->config, decoder ? "decoder_attention_heads" : "encoder_attention_heads", true, 1, 4096,
                         e)) ||
        (rc = config_int(&s->ffn, m->config, decoder ? "decoder_ffn_dim" : "encoder_ffn_dim", true, 1, 1 << 24, e)))
        return rc;
    if (s->width % s->heads)
        return err_set(e, ERR_INPUT, "config.json: d_model %lld is not a multiple of %lld heads", (long long)s->width,
                       (long long)s->heads);
    s->head_width = s->width / s->heads;
    s->scale = (float)(1 / sqrt((double)s->head_width));
    return 0;
}
