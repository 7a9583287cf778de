/* Qwen3-Next: three layers of the gated delta rule to one of attention, whose outputs have a gate each; partial
 * RoPE, norms of heads, many small experts and a shared one.
 * Hugging Face Qwen3NextForCausalLM; GGUF architecture "qwen3next". */
#include "model/families/experts.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static const char *const more_keys[] = {
    "layer_types", "attention_bias", "linear_conv_kernel_dim", "linear_key_head_dim",
    "linear_value_head_dim", "linear_num_key_heads", "linear_num_value_heads", "full_attention_interval",
    "num_experts", "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size",
    "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers", "router_aux_loss_coef",
    "output_router_logits", NULL,
};
static const char *const more_meta[] = {
    "ssm.conv_kernel", "ssm.state_size", "ssm.group_count", "ssm.time_step_rank", "ssm.inner_size",
    "full_attention_interval", "expert_count", "expert_used_count", "expert_feed_forward_length",
    "expert_shared_feed_forward_length", NULL,
};

typedef struct delta_shape {
    int64_t key_heads, value_heads, d_key, d_value, conv, interval;
} delta_shape;

static int read_delta(const model *m, delta_shape *d, err *e)
{
    const json *c = m->config;
    const gguf_meta *g = m->ckpt->gguf;
    int64_t inner = 0;
    int rc;
    if (c) {
        if ((rc = config_int(&d->key_heads, c, "linear_num_key_heads", true, 1, 4096, e)) ||
            (rc = config_int(&d->value_heads, c, "linear_num_value_heads", true, 1, 4096, e)) ||
            (rc = config_int(&d->d_key, c, "linear_key_head_dim", true, 1, 4096, e)) ||
            (rc = config_int(&d->d_value, c, "linear_value_head_dim", true, 1, DELTA_MAX_VALUE, e)) ||
            (rc = config_int(&d->conv, c, "linear_conv_kernel_dim", true, 1, DELTA_MAX_CONV, e)) ||
            (rc = config_int(&d->interval, c, "full_attention_interval", false, 1, 4096, e)))
            return rc;
    } else {
        if ((rc = meta_int(&d->key_heads, g, "qwen3next", "ssm.group_count", true, 1, 4096, e)) ||
            (rc = meta_int(&d->value_heads, g, "qwen3next", "ssm.time_step_rank", true, 1, 4096, e)) ||
            (rc = meta_int(&d->d_key, g, "qwen3next", "ssm.state_size", true, 1, 4096, e)) ||
            (rc = meta_int(&inner, g, "qwen3next", "ssm.inner_size", true, 1, 1 << 22, e)) ||
            (rc = meta_int(&d->conv, g, "qwen3next", "ssm.conv_kernel", true, 1, DELTA_MAX_CONV, e)) ||
            (rc = meta_int(&d->interval, g, "qwen3next", "full_attention_interval", false, 1, 4096, e)))
            return rc;
        d->d_value = inner / d->value_heads;
        if (inner % d->value_heads || d->d_value > DELTA_MAX_VALUE)
            return err_set(e, ERR_INPUT, "gguf: %lld values cannot be divided into %lld heads",
                           (long long)inner, (long long)d->value_heads);
    }
    if (d->value_heads % d->key_heads)
        return err_set(e, ERR_INPUT, "%lld value heads cannot share %lld key heads evenly",
                       (long long)d->value_heads, (long long)d->key_heads);
    return 0;
}

/* Attention in the layers that layer_types names, else in the last of each `interval` layers. */
static int mix_layers(model *m, const delta_shape *d, double eps, err *e)
{
    const json *types = NULL;
    int rc = m->config ? config_list(&types, m->config, "layer_types", m->main->n_layer, e) : 0;
    if (rc)
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        const char *type = types ? json_str(json_at(types, (size_t)l), NULL) : NULL;
        bool full = type ? strcmp(type, "full_attention") == 0 : (l + 1) % d->interval == 0;
        if (types && (!type || (!full && strcmp(type, "linear_attention"))))
            return err_set(e, ERR_INPUT, "config.json: layer_types holds \"%s\", which is not supported",
                           type ? type : "?");
        if (full)
            continue;
        y->delta = arena_alloc(m->arena_, 1, sizeof *y->delta, e);
        if (!y->delta)
            return ERR_RESOURCE;
        *y->delta = (delta_net){.n_key_head = (int)d->key_heads,
                                .n_value_head = (int)d->value_heads,
                                .d_key = (int)d->d_key,
                                .d_value = (int)d->d_value,
                                .conv = (int)d->conv,
                                .out_norm = {.kind = NORM_RMS, .eps = (float)eps}};
        y->self = (attention_block){.plan = {.kind = ATTN_SELF, .rope = -1}};
    }
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {
        .context = 32768,
        .norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX, .normalise = true, .scale = 1};
    delta_shape d = {.interval = 4};
    int rc;
    if (m->config)
        s.head_width = 256;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e)
                   : decoder_read_meta(m, &s, "qwen3next", more_meta, e);
    if (rc || (rc = read_delta(m, &d, e)) || (rc = decoder_build(m, &s, e)) ||
        (rc = experts_read(m, &x, "qwen3next", e)) ||
        (m->config && (rc = config_bool(&like.normalise, m->config, "norm_topk_prob", e))) ||
        (rc = experts_add_sparse(m, &like, &x, e)))
        return rc;
    if (s.act != ACT_SILU)
        return err_set(e, ERR_INPUT,
                       "config.json: hidden_act must be silu: the short convolutions use it too");
    experts_measure(m);
    decoder_set_qk_norm(m, NORM_RMS, s.eps, false, false);
    if ((rc = decoder_rope(m, "qwen3next", ROPE_HALF, 10000, 0.25, e)))
        return rc;
    return mix_layers(m, &d, s.eps, e);
}

typedef struct delta_names {
    const char *mixed;              /* for each key head: its q, k, v, z rows */
    const char *qkv, *z;            /* or all q, all k, all v rows; all z rows.  NULL: never */
    const char *rates;              /* for each key head: beta and alpha rows of its value heads */
    const char *conv, *a, *dt_bias; /* whole names */
    const char *norm, *out;
    bool log; /* a is stored as the logarithm of its negative */
} delta_names;

static const delta_names json_names = {.mixed = "layers.%d.linear_attn.in_proj_qkvz",
                                       .rates = "layers.%d.linear_attn.in_proj_ba",
                                       .conv = "layers.%d.linear_attn.conv1d.weight",
                                       .a = "layers.%d.linear_attn.A_log",
                                       .dt_bias = "layers.%d.linear_attn.dt_bias",
                                       .norm = "layers.%d.linear_attn.norm",
                                       .out = "layers.%d.linear_attn.out_proj",
                                       .log = true};

static const delta_names gguf_names = {.mixed = "blk.%d.ssm_in",
                                       .qkv = "blk.%d.attn_qkv",
                                       .z = "blk.%d.attn_gate",
                                       .rates = "blk.%d.ssm_ba",
                                       .conv = "blk.%d.ssm_conv1d.weight",
                                       .a = "blk.%d.ssm_a",
                                       .dt_bias = "blk.%d.ssm_dt.bias",
                                       .norm = "blk.%d.ssm_norm",
                                       .out = "blk.%d.ssm_out"};

static int bind_projections(model *m, delta_net *d, int l, const delta_names *n, err *e)
{
    int64_t keys = (int64_t)d->n_key_head * d->d_key, values = (int64_t)d->n_value_head * d->d_value,
            width = m->main->width;
    int64_t share = values / d->n_key_head, stride = 2 * d->d_key + 2 * share, all = 2 * keys + 2 * values;
    int rc;
    if (n->z && bind_has(m, "blk.%d.attn_gate.weight", l)) {
        all = 2 * keys + values;
        if ((rc = bind_linear(m, &d->q, n->qkv, l, all, 0, keys, width, 0, e)) ||
            (rc = bind_linear(m, &d->k, n->qkv, l, all, keys, keys, width, 0, e)) ||
            (rc = bind_linear(m, &d->v, n->qkv, l, all, 2 * keys, values, width, 0, e)))
            return rc;
        return bind_linear(m, &d->z, n->z, l, values, 0, values, width, 0, e);
    }
    if ((rc = bind_rows(m, &d->q, n->mixed, l, all, 0, d->d_key, stride, keys, width, 0, e)) ||
        (rc = bind_rows(m, &d->k, n->mixed, l, all, d->d_key, d->d_key, stride, keys, width, 0, e)) ||
        (rc = bind_rows(m, &d->v, n->mixed, l, all, 2 * d->d_key, share, stride, values, width, 0, e)))
        return rc;
    return bind_rows(m, &d->z, n->mixed, l, all, 2 * d->d_key + share, share, stride, values, width, 0, e);
}

static int bind_delta(model *m, int l, const delta_names *n, err *e)
{
    delta_net *d = m->main->layers[l].delta;
    int64_t heads = d->n_value_head, values = heads * d->d_value, width = m->main->width;
    int64_t taps = (2 * (int64_t)d->n_key_head * d->d_key + values) * d->conv;
    int rc;
    if ((rc = bind_projections(m, d, l, n, e)) ||
        (rc = bind_linear(m, &d->rates, n->rates, l, 2 * heads, 0, 2 * heads, width, 0, e)) ||
        (rc = bind_vector(m, &d->conv_w, n->conv, l, taps, 0, taps, 0, e)) ||
        (rc = bind_vector(m, &d->a, n->a, l, heads, 0, heads, 0, e)) ||
        (rc = bind_vector(m, &d->dt_bias, n->dt_bias, l, heads, 0, heads, 0, e)) ||
        (rc = bind_norm(m, &d->out_norm, n->norm, l, d->d_value, 0, e)) ||
        (rc = bind_linear(m, &d->out, n->out, l, width, 0, width, values, 0, e)) || !n->log)
        return rc;
    float *a = arena_alloc(m->arena_, (size_t)heads, sizeof *a, e);
    if (!a)
        return ERR_RESOURCE;
    for (int64_t h = 0; h < heads; h++)
        a[h] = -expf(d->a[h]);
    d->a = a;
    return 0;
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    n.query_gate = true;
    if (m->config)
        n.norm_flags = BIND_PLUS_ONE;
    else
        n.mlp_pre = "blk.%d.post_attention_norm";
    if (rc || (rc = decoder_bind(m, &n, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        if (m->main->layers[l].delta && (rc = bind_delta(m, l, m->config ? &json_names : &gguf_names, e)))
            return rc;
    /* Layers for predicting several tokens ("mtp.") are not run. */
    for (int i = 0; i < m->ckpt->n_tensor; i++)
        m->used[i] |= strncmp(m->ckpt->tensors[i].name, "mtp.", 4) == 0;
    return experts_bind(m, m->config ? &expert_names_qwen : &expert_names_gguf, e);
}

static const char *const model_types[] = {"qwen3_next", NULL};
static const char *const gguf_archs[] = {"qwen3next", NULL};

const family family_qwen3_next = {.name = "qwen3_next",
                                  .summary = "Qwen3-Next",
                                  .model_types = model_types,
                                  .gguf_archs = gguf_archs,
                                  .configure = configure,
                                  .bind = bind};
