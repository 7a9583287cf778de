/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) and grouped experts: structure. */
#include "model/families/deepseek.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

const char *const deepseek_keys[] = {
    "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "qk_head_dim", "v_head_dim",
    "attention_bias", "mlp_bias", "first_k_dense_replace", "moe_layer_freq", "moe_intermediate_size",
    "n_routed_experts", "num_local_experts", "num_experts", "n_shared_experts", "num_experts_per_tok",
    "n_group", "topk_group", "topk_method", "scoring_func", "norm_topk_prob", "routed_scaling_factor",
    "rope_interleave", "output_router_logits", "router_aux_loss_coef", "num_nextn_predict_layers",
    "num_mtp_layers", NULL,
};

int deepseek_expect(const model *m, const char *key, const char *word, err *e)
{
    const config_name only[] = {{word, 0}, {NULL, 0}};
    int any;
    return config_enum(&any, m->config, key, only, false, e);
}

int deepseek_read_groups(const model *m, moe *rule, err *e)
{
    int64_t groups, used;
    int rc;
    if ((rc = config_int(&groups, m->config, "n_group", true, 1, MOE_MAX_EXPERTS, e)) ||
        (rc = config_int(&used, m->config, "topk_group", true, 1, groups, e)))
        return rc;
    rule->n_group = (int)groups;
    rule->n_group_used = (int)used;
    return 0;
}

static int check_groups(const moe *rule, const expert_shape *x, err *e)
{
    if (rule->group_rule == MOE_GROUP_NONE)
        return 0;
    if (rule->n_group < 1 || x->n_expert % rule->n_group)
        return err_set(e, ERR_INPUT, "%lld experts cannot be divided into %d groups", (long long)x->n_expert,
                       rule->n_group);
    if (rule->n_group_used < 1 || rule->n_group_used > rule->n_group ||
        x->n_used > x->n_expert / rule->n_group * rule->n_group_used)
        return err_set(e, ERR_INPUT,
                       "%lld experts for each token cannot be chosen from %d of %d groups of experts",
                       (long long)x->n_used, rule->n_group_used, rule->n_group);
    return 0;
}

/* Layers, from what the configuration said; s is complete but for the heads' widths. */
static int build(model *m, decoder_shape *s, const deepseek_shape *d, const expert_shape *x, err *e)
{
    int rc;
    s->kv_heads =
        s->heads; /* every head has keys of its own, whatever the file says of those of the short vector */
    s->head_width = d->nope + d->rope;
    s->value_width = d->value;
    if ((rc = check_groups(&d->rule, x, e)) || (rc = decoder_build(m, s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        attention_block *b = &m->main->layers[l].self;
        /* The inner norms have the reference's default, not rms_norm_eps. */
        norm low = {.kind = NORM_RMS, .eps = 1e-6f};
        latent *a = arena_alloc(m->arena_, 1, sizeof *a, e);
        if (!a)
            return ERR_RESOURCE;
        *a = (latent){.kv_rank = (int)d->kv_rank,
                      .d_nope = (int)d->nope,
                      .d_rope = (int)d->rope,
                      .kv_norm = low,
                      .q_norm = low,
                      .q_down.n_out = d->q_rank};
        b->mla = a;
        b->plan.latent = true;
        if (l >= d->first_sparse && l % d->every == 0 && (rc = experts_add(m, l, &d->rule, x, e)))
            return rc;
    }
    experts_measure(m);
    return 0;
}

static void set_scale(model *m, double magnitude)
{
    for (int l = 0; l < m->main->n_layer; l++) {
        attn_plan *p = &m->main->layers[l].self.plan;
        p->scale = (float)(pow(p->d_qk, -0.5) * magnitude * magnitude);
    }
}

/* With mscale_all_dim, scores grow by the square of YaRN's factor. */
static int scale_of_config(model *m, int rope, err *e)
{
    const rope_plan *r = &m->ropes[rope];
    const json *new = json_get(m->config, "rope_parameters"), *old = json_get(m->config, "rope_scaling");
    const json *scaling = new &&json_kind_of(new) == JSON_MAP   ? new
                          : old &&json_kind_of(old) == JSON_MAP ? old
                                                                : NULL;
    double all = 0;
    int rc = scaling ? config_real(&all, scaling, "mscale_all_dim", false, 0, 1e6, e) : 0;
    if (!rc && all > 0 && strcmp(r->scaling, "none") != 0)
        set_scale(m, yarn_magnitude(r->factor, all));
    return rc;
}

static int read_latent(const model *m, deepseek_shape *d, err *e)
{
    const json *c = m->config;
    int rc;
    if ((rc = config_int(&d->q_rank, c, "q_lora_rank", false, 1, 1 << 20, e)) ||
        (rc = config_int(&d->kv_rank, c, "kv_lora_rank", true, 1, 1 << 20, e)) ||
        (rc = config_int(&d->nope, c, "qk_nope_head_dim", true, 1, 4096, e)) ||
        (rc = config_int(&d->rope, c, "qk_rope_head_dim", true, 2, 4096, e)))
        return rc;
    return config_int(&d->value, c, "v_head_dim", true, 1, 4096, e);
}

int deepseek_configure(model *m, deepseek_shape *d, err *e)
{
    const json *c = m->config;
    decoder_shape s = {
        .norm = NORM_RMS, .eps = 1e-6, .act = ACT_SILU, .gated = true, .causal = true, .head_width = 1,
        .context = strcmp(m->family->name, "deepseek_v3") == 0 ? 4096 : 2048};
    expert_shape x = {0};
    double scale = d->rule.scale;
    int64_t shared = 0;
    int rope, rc;
    if ((rc = decoder_read_config(m, &s, deepseek_keys, e)) || (rc = read_latent(m, d, e)) ||
        (rc = experts_read(m, &x, NULL, e)) ||
        (rc = config_int(&d->first_sparse, c, "first_k_dense_replace", false, 0, 4096, e)) ||
        (rc = config_int(&d->every, c, "moe_layer_freq", false, 1, 4096, e)) ||
        (rc = config_int(&shared, c, "n_shared_experts", false, 0, MOE_MAX_EXPERTS, e)) ||
        (rc = config_real(&scale, c, "routed_scaling_factor", false, 1e-6, 1e6, e)))
        return rc;
    if (x.inner <= 0)
        return err_set(e, ERR_INPUT, "config.json: moe_intermediate_size is missing");
    x.shared_inner = shared * x.inner;
    d->rule.scale = (float)scale;
    if ((rc = build(m, &s, d, &x, e)))
        return rc;
    rope_want want = {.kind = d->kind,
                      .head_width = (int)s.head_width,
                      .offset = (int)d->nope,
                      .dim = (int)d->rope,
                      .base = 10000};
    if ((rc = config_rope(m, c, &want, &rope, e)))
        return rc;
    decoder_set_rope(m, rope);
    return scale_of_config(m, rope, e);
}

static const char *const more_meta[] = {
    "attention.q_lora_rank", "attention.kv_lora_rank", "attention.key_length_mla",
    "attention.value_length_mla", "leading_dense_block_count", "rope.scaling.yarn_log_multiplier",
    "expert_count", "expert_used_count", "expert_feed_forward_length", "expert_shared_count",
    "expert_shared_feed_forward_length", "expert_weights_scale", "expert_weights_norm",
    "expert_gating_func", "expert_group_count", "expert_group_used_count", NULL,
};

/* The rule of choice.  Files without expert_gating_func: V3 is told by its choice bias. */
static int meta_rule(model *m, moe *rule, err *e)
{
    enum { GATE_SOFTMAX = 1, GATE_SIGMOID = 2 };
    const gguf_meta *g = m->ckpt->gguf;
    int64_t gate = GATE_SOFTMAX, groups = 1, used = 1;
    double scale = 1;
    int rc;
    for (int i = 0; i < m->ckpt->n_tensor; i++)
        if (strstr(m->ckpt->tensors[i].name, ".exp_probs_b"))
            gate = GATE_SIGMOID;
    if ((rc = meta_int(&gate, g, "deepseek2", "expert_gating_func", false, GATE_SOFTMAX, GATE_SIGMOID, e)) ||
        (rc = meta_int(&groups, g, "deepseek2", "expert_group_count", false, 0, MOE_MAX_EXPERTS, e)) ||
        (rc = meta_int(&used, g, "deepseek2", "expert_group_used_count", false, 0, MOE_MAX_EXPERTS, e)) ||
        (rc = meta_real(&scale, g, "deepseek2", "expert_weights_scale", false, 0, 1e6, e)) ||
        (rc = meta_bool(&rule->normalise, g, "deepseek2", "expert_weights_norm", e)))
        return rc;
    rule->score = gate == GATE_SIGMOID ? MOE_SIGMOID : MOE_SOFTMAX;
    rule->normalise_eps = 1e-20f;
    rule->scale = scale > 0 ? (float)scale : 1;
    rule->n_group = (int)groups;
    rule->n_group_used = (int)used;
    if (groups > 1)
        rule->group_rule = gate == GATE_SIGMOID ? MOE_GROUP_TOP2 : MOE_GROUP_MAX;
    return 0;
}

int deepseek_configure_gguf(model *m, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    decoder_shape s = {.norm = NORM_RMS, .act = ACT_SILU, .gated = true, .causal = true, .head_width = 1};
    deepseek_shape d = {.kind = ROPE_INTERLEAVED, .every = 1};
    expert_shape x = {0};
    double log_multiplier = 0;
    int rope, rc;
    if ((rc = decoder_read_meta(m, &s, "deepseek2", more_meta, e)) ||
        (rc = experts_read(m, &x, "deepseek2", e)) || (rc = meta_rule(m, &d.rule, e)) ||
        (rc = meta_int(&d.q_rank, g, "deepseek2", "attention.q_lora_rank", false, 0, 1 << 20, e)) ||
        (rc = meta_int(&d.kv_rank, g, "deepseek2", "attention.kv_lora_rank", true, 1, 1 << 20, e)) ||
        (rc = meta_int(&d.rope, g, "deepseek2", "rope.dimension_count", true, 2, 4096, e)) ||
        (rc = meta_int(&d.first_sparse, g, "deepseek2", "leading_dense_block_count", false, 0, 4096, e)) ||
        (rc = meta_real(&log_multiplier, g, "deepseek2", "rope.scaling.yarn_log_multiplier", false, 0, 1e3,
                        e)))
        return rc;
    /* Newer files give the widths of a short-vector head as the widths, and these beside them. */
    if ((rc = meta_int(&s.head_width, g, "deepseek2", "attention.key_length_mla", false, 3, 4096, e)) ||
        (rc = meta_int(&s.value_width, g, "deepseek2", "attention.value_length_mla", false, 1, 4096, e)))
        return rc;
    d.nope = s.head_width - d.rope;
    d.value = s.value_width;
    if (d.nope < 1)
        return err_set(e, ERR_INPUT, "gguf: heads of %lld have no room for %lld rotated dimensions",
                       (long long)s.head_width, (long long)d.rope);
    if ((rc = build(m, &s, &d, &x, e)))
        return rc;
    rope_want want = {.kind = d.kind,
                      .head_width = (int)s.head_width,
                      .offset = (int)d.nope,
                      .dim = (int)d.rope,
                      .base = 10000};
    if ((rc = meta_rope(m, g, "deepseek2", &want, &rope, e)))
        return rc;
    decoder_set_rope(m, rope);
    if (log_multiplier > 0 &&
        strcmp(m->ropes[rope].scaling, "yarn") == 0) { /* 0.1 mscale_all_dim, with mscale the same */
        m->ropes[rope].magnitude = 1;
        set_scale(m, yarn_magnitude(m->ropes[rope].factor, 10 * log_multiplier));
    }
    return 0;
}
