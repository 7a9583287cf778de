/* Counting what a pass takes: the same walk over a model as the forward pass makes (forward.c, layers.c, attend.c). */
#include "model/cost.h"

#include "model/runtime.h"

/* Products of a stack that all see the same rows. */
typedef struct passing {
    const cost_visitor *to;
    double rows, block;
} passing;

static passing all_rows(const cost_visitor *to, int64_t n)
{
    return (passing){to, (double)n, (double)batch_tokens()};
}

static void add(const passing *p, const weight *w)
{
    const cost_product product = {w, p->rows, p->block};
    if (w->data && p->rows > 0 && p->to->product)
        p->to->product(p->to->ud, &product);
}

static void add_mlp(const passing *p, const mlp *m)
{
    if (m->gated)
        add(p, &m->gate);
    add(p, &m->up);
    add(p, &m->down);
}

static void add_moe(const passing *p, const moe *m)
{
    const double share = (double)m->n_used / m->n_expert;
    const passing some = {p->to, p->rows * share, p->block * share};
    add(p, &m->router);
    for (int i = 0; i < m->n_expert; i++)
        add_mlp(&some, &m->experts[i]);
    if (m->has_shared) {
        add_mlp(p, &m->shared);
        add(p, &m->shared_gate);
    }
}

static void add_delta(const passing *p, const delta_net *d)
{
    const weight *const all[] = {&d->q, &d->k, &d->v, &d->z, &d->rates, &d->out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        add(p, all[i]);
}

/* keys: the rows that keys and values are made of. */
static void add_projections(const passing *p, const passing *keys, const attention_block *b)
{
    const latent *l = b->mla;
    add(p, &b->q);
    add(p, &b->out);
    add(p, &b->gate);
    if (!l) {
        add(keys, &b->k);
        add(keys, &b->v);
        return;
    }
    add(p, &l->q_down);
    add(keys, &l->kv_down);
    add(keys, &l->k_up);
    add(keys, &l->v_up);
}

static double triangle(double n)
{
    return n * (n + 1) / 2;
}

double cost_visible_pairs(const attn_plan *p, double n)
{
    const double w = p->window > 0 && (double)p->window < n ? (double)p->window : n;
    const double one_side = triangle(n) - triangle(n - w);
    return p->causal ? one_side : 2 * one_side - n;
}

static void add_attention(const cost_visitor *to, const attention_block *b, int layer, int64_t queries, int64_t keys, bool own)
{
    const cost_attention a = {b, layer, queries, keys,
                              own ? cost_visible_pairs(&b->plan, (double)queries) : (double)queries * (double)keys};
    if (queries > 0 && keys > 0 && to->attention)
        to->attention(to->ud, &a);
}

static void add_layer(const stack *s, int layer, const passing *p, int64_t n, int64_t source)
{
    const model_layer *y = &s->layers[layer];
    const passing read = all_rows(p->to, source);
    if (y->delta) {
        add_delta(p, y->delta);
    } else {
        add_projections(p, p, &y->self);
        add_attention(p->to, &y->self, layer, n, n, true);
    }
    if (y->has_cross) {
        add_projections(p, &read, &y->cross);
        add_attention(p->to, &y->cross, layer, n, source, false);
    }
    if (y->moe)
        add_moe(p, y->moe);
    else
        add_mlp(p, &y->mlp);
}

/* What the first layer reads. */
static void add_embedding(const embedding *b, const passing *p)
{
    const passing twice = {p->to, 2 * p->rows, p->block};
    switch (b->kind) {
    case EMBED_TOKENS:
        add(p, &b->project);
        break;
    case EMBED_PATCHES:
        add(p, &b->patch_proj);
        break;
    case EMBED_AUDIO:
        add(&twice, &b->conv1);
        add(p, &b->conv2);
        break;
    }
}

static void add_stack(const stack *s, int64_t n, int64_t source, const cost_visitor *to)
{
    const passing p = all_rows(to, n);
    if (n <= 0)
        return;
    add_embedding(&s->embed, &p);
    for (int l = 0; l < s->n_run; l++)
        add_layer(s, l, &p, n, source);
}

void forward_cost(const model *m, const input_lengths *n, bool logits, const cost_visitor *to)
{
    const passing image = all_rows(to, n->vision), main = {to, (double)n->main, (double)runtime_logit_rows(m)};
    if (m->vision) {
        add_stack(m->vision, n->vision, 0, to);
        for (int i = 0; i < 2; i++)
            add(&image, &m->projector[i]);
    }
    if (m->encoder)
        add_stack(m->encoder, n->encoder, 0, to);
    add_stack(m->main, n->main, n->encoder, to);
    if (logits) {
        add(&main, &m->head.transform);
        add(&main, &m->head.project);
        add(&main, &m->head.unembedding);
    }
}

double cost_product_flop(const cost_product *p)
{
    return 2 * p->rows * (double)p->w->n_out * (double)p->w->n_in;
}

double cost_attention_flop(const cost_attention *a)
{
    const attn_plan *p = &a->block->plan;
    return 2 * a->pairs * p->n_head * (double)(p->d_qk + p->d_v);
}
