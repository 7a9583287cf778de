/* GPT-OSS: learned sinks, sliding and full layers in turn, YaRN, experts with a clamped gated activation.
 * Hugging Face GptOssForCausalLM, experts plain or in MXFP4; GGUF architecture "gpt-oss". */
#include "model/families/experts.h"

#include <stdio.h>

static const char *const more_keys[] = {
    "layer_types", "attention_bias", "sliding_window", "num_local_experts", "num_experts",
    "num_experts_per_tok", "experts_per_token", "swiglu_alpha", "swiglu_limit", "router_aux_loss_coef",
    "output_router_logits", "initial_context_length", NULL,
};
static const char *const more_meta[] = {
    "attention.sliding_window", "expert_count", "expert_used_count", "expert_feed_forward_length", NULL,
};

/* The activation's constants are part of it (rows.c). */
static int check_activation(const model *m, err *e)
{
    double alpha = 1.702, limit = 7;
    int act = ACT_SILU, rc;
    if (!m->config)
        return 0;
    if ((rc = config_real(&alpha, m->config, "swiglu_alpha", false, -1e9, 1e9, e)) ||
        (rc = config_real(&limit, m->config, "swiglu_limit", false, -1e9, 1e9, e)) ||
        (rc = config_enum(&act, m->config, "hidden_act", config_activations, false, e)))
        return rc;
    if (alpha != 1.702 || limit != 7 || act != ACT_SILU)
        return err_set(
            e, ERR_INPUT,
            "config.json: only swiglu_alpha 1.702, swiglu_limit 7 and hidden_act silu are supported");
    return 0;
}

/* A configuration without any scaling means the published models'. */
static void published_rope(rope_plan *r)
{
    snprintf(r->scaling, sizeof r->scaling, "yarn");
    r->factor = 32;
    r->original_context = 4096;
    r->magnitude = yarn_magnitude(32, 1);
    r->truncate = false;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {
        .context = 131072,
        .norm = NORM_RMS, .eps = m->config ? 1e-5 : 0, .gated = true, .causal = true, .head_width = 64};
    expert_shape x = {0};
    moe like = {.score = MOE_SOFTMAX_OF_CHOSEN, .scale = 1};
    int64_t window = 128;
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e)
                       : decoder_read_meta(m, &s, "gpt-oss", more_meta, e);
    s.act = ACT_SWIGLU_OAI;
    if (rc || (rc = check_activation(m, e)) || (rc = decoder_build(m, &s, e)) ||
        (rc = experts_read(m, &x, "gpt-oss", e)) ||
        (rc = m->config ? config_int(&window, m->config, "sliding_window", false, 1, INT32_MAX, e)
                        : meta_int(&window, m->ckpt->gguf, "gpt-oss", "attention.sliding_window", false, 1,
                                   INT32_MAX, e)) ||
        (rc = decoder_windows(m, m->config, window, 2, false, e)))
        return rc;
    if (m->config)
        x.inner = s.ffn;
    x.shared_inner = 0;
    for (int l = 0; l < m->main->n_layer; l++)
        if ((rc = experts_add(m, l, &like, &x, e)))
            return rc;
    experts_measure(m);
    if ((rc = decoder_rope(m, "gpt-oss", ROPE_HALF, 150000, 1, e)))
        return rc;
    if (!m->config)
        m->ropes[0].truncate = false; /* the format has no key for it */
    else if (!json_get(m->config, "rope_parameters") && !json_get(m->config, "rope_scaling"))
        published_rope(&m->ropes[0]);
    return 0;
}

/* Gate and up rows of one expert lie in turns. */
static int split_gate_up(model *m, mlp *p, const weight *both, const float *bias, err *e)
{
    int64_t two = 2 * p->inner;
    const dtype_info *t = &dtypes[both->type];
    p->gate = *both;
    p->gate.n_out = p->inner;
    p->gate.row_block = 1;
    p->gate.row_stride = 2;
    p->up = p->gate;
    p->up.data =
        (const unsigned char *)both->data + (both->transposed ? 1 : both->ld) / t->block * t->block_bytes;
    p->up.scale_row0 += both->transposed ? 0 : 1;
    int rc = bind_order_bias(m, &p->gate, two, bias, e);
    return rc ? rc : bind_order_bias(m, &p->up, two - 1, bias + 1, e);
}

/* MXFP4: half bytes [E, rows, C / 32, 16], the low one first, and for 32 of them one E8M0 byte
 * [E, rows, C / 32]. */
static int bind_mxfp4(model *m, weight *out, const char *map, int layer, int64_t experts, int64_t rows,
                      int64_t cols, err *e)
{
    char blocks_name[160], scales_name[160];
    snprintf(blocks_name, sizeof blocks_name, "layers.%d.mlp.experts.%s_blocks", layer, map);
    snprintf(scales_name, sizeof scales_name, "layers.%d.mlp.experts.%s_scales", layer, map);
    const checkpoint_tensor *b = bind_find(m, blocks_name), *s = bind_find(m, scales_name);
    if (!b || !s)
        return err_set(e, ERR_INPUT, "tensor %s is missing", b ? scales_name : blocks_name);
    bool fits = cols % 32 == 0 && b->t.type == DT_U8 && b->t.n_dim == 4 && b->t.shape[0] == experts &&
                b->t.shape[1] == rows && b->t.shape[2] == cols / 32 && b->t.shape[3] == 16;
    bool scaled = (s->t.type == DT_U8 || s->t.type == DT_F8_E8M0) && s->t.n_dim == 3 &&
                  s->t.shape[0] == experts && s->t.shape[1] == rows && s->t.shape[2] == cols / 32;
    if (!fits || !scaled)
        return err_set(e, ERR_INPUT, "tensor %s must hold bytes [%lld, %lld, %lld%s]",
                       fits ? scales_name : blocks_name, (long long)experts, (long long)rows,
                       (long long)(cols / 32), fits ? "" : ", 16");
    m->used[b - m->ckpt->tensors] = m->used[s - m->ckpt->tensors] = true;
    m->n_param += experts * rows * cols;
    *out = (weight){.type = DT_F4,
                    .data = b->t.data,
                    .n_out = experts * rows,
                    .n_in = cols,
                    .ld = cols,
                    .scale_kind = SCALE_E8M0_32,
                    .scale = s->t.data,
                    .scale_ld = cols / 32};
    return 0;
}

/* One expert of a stack [E, rows, cols], or with `transposed` [E, cols, rows]. */
static weight one_expert(const weight *all, int i, int64_t rows, int64_t cols)
{
    if (!all->transposed)
        return experts_rows(all, i * rows, rows);
    weight w = *all;
    w.data = (const unsigned char *)all->data + i * cols * rows * dtypes[all->type].block_bytes;
    w.n_out = rows;
    w.n_in = cols;
    return w;
}

static int bind_layer(model *m, int l, err *e)
{
    static const expert_names router = {.router = "layers.%d.mlp.router"};
    moe *x = m->main->layers[l].moe;
    int64_t width = m->main->width, inner = x->experts[0].inner, n = x->n_expert;
    const float *both_bias, *down_bias;
    weight both, down;
    int rc;
    bool packed = bind_has(m, "layers.%d.mlp.experts.gate_up_proj_blocks", l);
    if (packed) {
        if ((rc = bind_mxfp4(m, &both, "gate_up_proj", l, n, 2 * inner, width, e)) ||
            (rc = bind_mxfp4(m, &down, "down_proj", l, n, width, inner, e)))
            return rc;
    } else if ((rc = bind_weight(m, &both, "layers.%d.mlp.experts.gate_up_proj", l, 2 * inner, 0, 2 * inner,
                                 n * width, BIND_TRANSPOSED, e)) ||
               (rc = bind_weight(m, &down, "layers.%d.mlp.experts.down_proj", l, width, 0, width, n * inner,
                                 BIND_TRANSPOSED, e))) {
        return rc;
    }
    if ((rc = bind_vector(m, &both_bias, "layers.%d.mlp.experts.gate_up_proj_bias", l, 2 * n * inner, 0,
                          2 * n * inner, 0, e)) ||
        (rc = bind_vector(m, &down_bias, "layers.%d.mlp.experts.down_proj_bias", l, n * width, 0, n * width,
                          0, e)))
        return rc;
    for (int i = 0; i < n; i++) {
        mlp *p = &x->experts[i];
        weight w = one_expert(&both, i, 2 * inner, width);
        if ((rc = split_gate_up(m, p, &w, both_bias + i * 2 * inner, e)))
            return rc;
        p->down = one_expert(&down, i, width, inner);
        p->down.bias = down_bias + i * width;
    }
    return experts_bind_router(m, l, &router, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    expert_names x = expert_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    n.sinks = m->config ? "layers.%d.self_attn.sinks" : "blk.%d.attn_sinks.weight";
    if (!m->config)
        n.mlp_pre = "blk.%d.post_attention_norm";
    if (rc || (rc = decoder_bind(m, &n, e)))
        return rc;
    x.gate_bias = "blk.%d.ffn_gate_exps.bias";
    x.up_bias = "blk.%d.ffn_up_exps.bias";
    x.down_bias = "blk.%d.ffn_down_exps.bias";
    if (!m->config)
        return experts_bind(m, &x, e);
    for (int l = 0; l < m->main->n_layer && !rc; l++)
        rc = bind_layer(m, l, e);
    return rc;
}

static const char *const model_types[] = {"gpt_oss", NULL};
static const char *const gguf_archs[] = {"gpt-oss", NULL};

const family family_gpt_oss = {.name = "gpt_oss",
                               .summary = "gpt-oss-20b and 120b",
                               .model_types = model_types,
                               .gguf_archs = gguf_archs,
                               .configure = configure,
                               .bind = bind};
