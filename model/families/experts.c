/* Layers of experts. */
#include "model/families/experts.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_EXPERTS = 1 << 17 }; /* of all layers */

const char *const experts_meta_keys[] = {
    "expert_count", "expert_used_count", "expert_feed_forward_length",
    "expert_shared_feed_forward_length", "expert_shared_count", "expert_weights_scale",
    "expert_weights_norm", "expert_gating_func", "expert_group_count", "expert_group_used_count", NULL,
};

const expert_names expert_names_qwen = {.router = "layers.%d.mlp.gate",
                                        .gate = "layers.%d.mlp.experts.%e.gate_proj",
                                        .up = "layers.%d.mlp.experts.%e.up_proj",
                                        .down = "layers.%d.mlp.experts.%e.down_proj",
                                        .gate_up_stack = "layers.%d.mlp.experts.gate_up_proj",
                                        .down_stack = "layers.%d.mlp.experts.down_proj",
                                        .shared_gate = "layers.%d.mlp.shared_expert.gate_proj",
                                        .shared_up = "layers.%d.mlp.shared_expert.up_proj",
                                        .shared_down = "layers.%d.mlp.shared_expert.down_proj",
                                        .shared_switch = "layers.%d.mlp.shared_expert_gate"};

const expert_names expert_names_gguf = {.router = "blk.%d.ffn_gate_inp",
                                        .choice_bias = "blk.%d.exp_probs_b.bias",
                                        .gate = "blk.%d.ffn_gate.%e",
                                        .up = "blk.%d.ffn_up.%e",
                                        .down = "blk.%d.ffn_down.%e",
                                        .gate_up_stack = "blk.%d.ffn_gate_up_exps.weight",
                                        .gate_stack = "blk.%d.ffn_gate_exps.weight",
                                        .up_stack = "blk.%d.ffn_up_exps.weight",
                                        .down_stack = "blk.%d.ffn_down_exps.weight",
                                        .shared_gate = "blk.%d.ffn_gate_shexp",
                                        .shared_up = "blk.%d.ffn_up_shexp",
                                        .shared_down = "blk.%d.ffn_down_shexp",
                                        .shared_switch = "blk.%d.ffn_gate_inp_shexp"};

/* Files of older converters leave widths out: take them from the first tensor of that name, counted from the
 * end of its shape. */
static void width_of_tensor(const model *m, int64_t *width, const char *suffix)
{
    for (int i = 0; i < m->ckpt->n_tensor; i++) {
        const checkpoint_tensor *t = &m->ckpt->tensors[i];
        size_t n = strlen(t->name), k = strlen(suffix);
        if (n > k && strcmp(t->name + n - k, suffix) == 0 && t->t.n_dim >= 2 &&
            t->t.shape[t->t.n_dim - 2] < 1 << 24) {
            *width = t->t.shape[t->t.n_dim - 2];
            return;
        }
    }
}

static int read_meta(model *m, expert_shape *s, const char *arch, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int64_t count = 0;
    int rc;
    width_of_tensor(m, &s->inner, ".ffn_up_exps.weight");
    width_of_tensor(m, &s->shared_inner, ".ffn_up_shexp.weight");
    if ((rc = meta_int(&s->n_expert, g, arch, "expert_count", true, 0, MOE_MAX_EXPERTS, e)) ||
        (rc = meta_int(&s->n_used, g, arch, "expert_used_count", true, 0, MOE_MAX_EXPERTS, e)) ||
        (rc = meta_int(&s->inner, g, arch, "expert_feed_forward_length", false, 1, 1 << 24, e)) ||
        (rc = meta_int(&s->shared_inner, g, arch, "expert_shared_feed_forward_length", false, 0, 1 << 24, e)))
        return rc;
    return meta_int(&count, g, arch, "expert_shared_count", false, 0, MOE_MAX_EXPERTS, e);
}

int experts_read(model *m, expert_shape *s, const char *arch, err *e)
{
    const json *c = m->config;
    int rc;
    if (!c) {
        if ((rc = read_meta(m, s, arch, e)))
            return rc;
    } else if ((rc = config_int(&s->n_expert, c, "num_experts|num_local_experts|n_routed_experts", true, 1,
                                MOE_MAX_EXPERTS, e)) ||
               (rc = config_int(&s->n_used, c, "num_experts_per_tok|experts_per_token", true, 1,
                                MOE_MAX_EXPERTS, e)) ||
               (rc = config_int(&s->inner, c, "moe_intermediate_size", false, 1, 1 << 24, e)) ||
               (rc = config_int(&s->shared_inner, c, "shared_expert_intermediate_size", false, 0, 1 << 24,
                                e))) {
        return rc;
    }
    if (s->n_expert < 1 || s->n_used < 1 || s->n_used > s->n_expert)
        return err_set(e, ERR_INPUT, "%lld of %lld experts cannot be chosen for each token",
                       (long long)s->n_used, (long long)s->n_expert);
    return 0;
}

int experts_add(model *m, int layer, const moe *like, const expert_shape *s, err *e)
{
    model_layer *y = &m->main->layers[layer];
    mlp p = y->mlp;
    if (s->n_expert * m->main->n_layer > MAX_EXPERTS) /* their descriptions alone would fill the memory */
        return err_set(e, ERR_INPUT, "%lld experts in each of %d layers are more than %d in all",
                       (long long)s->n_expert, m->main->n_layer, MAX_EXPERTS);
    moe *x = arena_alloc(m->arena_, 1, sizeof *x, e);
    if (!x)
        return ERR_RESOURCE;
    *x = *like;
    x->n_expert = (int)s->n_expert;
    x->n_used = (int)s->n_used;
    x->has_shared = s->shared_inner > 0;
    x->experts = arena_alloc(m->arena_, (size_t)x->n_expert, sizeof *x->experts, e);
    if (!x->experts)
        return ERR_RESOURCE;
    p.inner = s->inner;
    for (int i = 0; i < x->n_expert; i++)
        x->experts[i] = p;
    p.inner = s->shared_inner;
    x->shared = p;
    y->moe = x;
    return 0;
}

int experts_add_sparse(model *m, const moe *like, const expert_shape *s, err *e)
{
    const json *dense = m->config ? json_get(m->config, "mlp_only_layers") : NULL;
    int64_t step = 1, l;
    int rc = m->config ? config_int(&step, m->config, "decoder_sparse_step", false, 1, 1 << 20, e) : 0;
    if (dense && json_kind_of(dense) == JSON_NULL_)
        dense = NULL;
    if (dense && json_kind_of(dense) != JSON_LIST)
        return err_set(e, ERR_INPUT, "config.json: mlp_only_layers is not a list");
    for (int i = 0; i < m->main->n_layer && !rc; i++) {
        bool sparse = (i + 1) % step == 0;
        for (size_t k = 0; dense && k < json_count(dense); k++) {
            if (!json_int(&l, json_at(dense, k)))
                return err_set(e, ERR_INPUT,
                               "config.json: mlp_only_layers holds an element that is not an integer");
            sparse &= l != i;
        }
        if (sparse)
            rc = experts_add(m, i, like, s, e);
    }
    return rc;
}

void experts_measure(model *m)
{
    int64_t widest = 1;
    for (int l = 0; l < m->main->n_layer; l++) {
        const model_layer *y = &m->main->layers[l];
        int64_t a = y->moe ? y->moe->experts[0].inner : y->mlp.inner, b = y->moe ? y->moe->shared.inner : 0;
        widest = a > widest ? a : widest;
        widest = b > widest ? b : widest;
    }
    m->main->ffn = widest;
}

weight experts_rows(const weight *all, int64_t first, int64_t n_out)
{
    const dtype_info *t = &dtypes[all->type];
    weight w = *all;
    w.data = (const unsigned char *)all->data + first * all->ld / t->block * t->block_bytes;
    w.scale_row0 += first;
    w.n_out = n_out;
    return w;
}

/* The name with the expert's number in it, and ".weight" where there is one. */
static int bind_single(model *m, weight *out, const char *pattern, int layer, int expert, int64_t n_out,
                       int64_t n_in, err *e)
{
    char name[160];
    bind_expert_name(name, pattern, expert);
    return bind_linear(m, out, name, layer, n_out, 0, n_out, n_in, 0, e);
}

static int bind_singles(model *m, moe *x, int layer, const expert_names *n, err *e)
{
    int64_t width = m->main->width, inner = x->experts[0].inner;
    int rc = 0;
    for (int i = 0; i < x->n_expert && !rc; i++) {
        mlp *p = &x->experts[i];
        if ((rc = bind_single(m, &p->gate, n->gate, layer, i, inner, width, e)) ||
            (rc = bind_single(m, &p->up, n->up, layer, i, inner, width, e)))
            break;
        rc = bind_single(m, &p->down, n->down, layer, i, width, inner, e);
    }
    return rc;
}

static int bind_biases(model *m, moe *x, int layer, const expert_names *n, err *e)
{
    int64_t width = m->main->width, inner = x->experts[0].inner;
    const float *gate = NULL, *up = NULL, *down = NULL;
    int rc;
    if (!n->gate_bias)
        return 0;
    if ((rc =
             bind_vector(m, &gate, n->gate_bias, layer, x->n_expert * inner, 0, x->n_expert * inner, 0, e)) ||
        (rc = bind_vector(m, &up, n->up_bias, layer, x->n_expert * inner, 0, x->n_expert * inner, 0, e)) ||
        (rc = bind_vector(m, &down, n->down_bias, layer, x->n_expert * width, 0, x->n_expert * width, 0, e)))
        return rc;
    for (int i = 0; i < x->n_expert; i++) {
        x->experts[i].gate.bias = gate + i * inner;
        x->experts[i].up.bias = up + i * inner;
        x->experts[i].down.bias = down + i * width;
    }
    return 0;
}

static int bind_stacks(model *m, moe *x, int layer, const expert_names *n, err *e)
{
    int64_t width = m->main->width, inner = x->experts[0].inner, rows = x->n_expert * inner;
    bool fused = !n->gate_stack || bind_has(m, n->gate_up_stack, layer);
    int64_t step = fused ? 2 * inner : inner;
    weight gate, up, down;
    int rc;
    if (fused) {
        rc = bind_weight(m, &gate, n->gate_up_stack, layer, 2 * rows, 0, 2 * rows, width, 0, e);
        up = gate;
    } else if (!(rc = bind_weight(m, &gate, n->gate_stack, layer, rows, 0, rows, width, 0, e))) {
        rc = bind_weight(m, &up, n->up_stack, layer, rows, 0, rows, width, 0, e);
    }
    if (rc || (rc = bind_weight(m, &down, n->down_stack, layer, x->n_expert * width, 0, x->n_expert * width,
                                inner, 0, e)))
        return rc;
    for (int i = 0; i < x->n_expert; i++) {
        x->experts[i].gate = experts_rows(&gate, i * step, inner);
        x->experts[i].up = experts_rows(&up, i * step + (fused ? inner : 0), inner);
        x->experts[i].down = experts_rows(&down, i * width, width);
    }
    return bind_biases(m, x, layer, n, e);
}

/* [1, C], or [C] as GGUF has it. */
static int bind_switch(model *m, weight *out, const char *pattern, int layer, err *e)
{
    const float *row;
    char name[160];
    int64_t width = m->main->width;
    snprintf(name, sizeof name, "%s.weight", pattern);
    int rc = bind_vector(m, &row, name, layer, width, 0, width, 0, e);
    if (!rc)
        *out = (weight){.type = DT_F32, .data = row, .n_out = 1, .n_in = width, .ld = width};
    return rc;
}

int experts_bind_router(model *m, int layer, const expert_names *n, err *e)
{
    moe *x = m->main->layers[layer].moe;
    int64_t width = m->main->width;
    mlp *p = &x->shared;
    int rc = bind_linear(m, &x->router, n->router, layer, x->n_expert, 0, x->n_expert, width, 0, e);
    if (rc || (n->choice_bias && (rc = bind_vector(m, &x->choice_bias, n->choice_bias, layer, x->n_expert, 0,
                                                   x->n_expert, BIND_OPTIONAL, e))))
        return rc;
    if (!x->has_shared)
        return 0;
    if ((rc = bind_linear(m, &p->gate, n->shared_gate, layer, p->inner, 0, p->inner, width, 0, e)) ||
        (rc = bind_linear(m, &p->up, n->shared_up, layer, p->inner, 0, p->inner, width, 0, e)) ||
        (rc = bind_linear(m, &p->down, n->shared_down, layer, width, 0, width, p->inner, 0, e)))
        return rc;
    return n->shared_switch ? bind_switch(m, &x->shared_gate, n->shared_switch, layer, e) : 0;
}

int experts_bind_layer(model *m, int layer, const expert_names *n, err *e)
{
    moe *x = m->main->layers[layer].moe;
    if (!x)
        return 0;
    bool stacked = bind_has(m, n->down_stack, layer);
    int rc = experts_bind_router(m, layer, n, e);
    if (rc)
        return rc;
    return stacked ? bind_stacks(m, x, layer, n, e) : bind_singles(m, x, layer, n, e);
}

int experts_bind(model *m, const expert_names *n, err *e)
{
    int rc = 0;
    for (int l = 0; l < m->main->n_layer && !rc; l++)
        rc = experts_bind_layer(m, l, n, e);
    return rc;
}
