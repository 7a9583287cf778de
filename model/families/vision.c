/* Structure and binding of image towers. */
#include "model/families/vision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MOST_PIXELS = 1 << 16, MOST_PATCH = 1 << 10, MOST_CHANNELS = 64 };

static const char *const common_keys[] = {
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "layer_norm_eps", "image_size", "patch_size", "num_channels", "dropout", "initializer_factor", NULL,
};

const vision_shape vision_base = {
    .layers = 12, .width = 768, .heads = 12, .ffn = 3072, .channels = 3, .image_height = 224,
    .image_width = 224, .patch = 16, .eps = 1e-12, .act = ACT_GELU_ERF, .n_prefix = 1,
};

/* A side, or [height, width]. */
static int read_size(int64_t out[2], const json *config, const char *key, int64_t max, err *e)
{
    const json *v = json_get(config, key);
    if (json_kind_of(v) == JSON_LIST) {
        if (json_count(v) != 2 || !json_int(&out[0], json_at(v, 0)) || !json_int(&out[1], json_at(v, 1)) ||
            out[0] < 1 || out[1] < 1 || out[0] > max || out[1] > max)
            return err_set(e, ERR_INPUT, "config.json: %s is not a pair of sizes from 1 to %lld", key,
                           (long long)max);
        return 0;
    }
    int rc = config_int(&out[0], config, key, false, 1, max, e);
    if (!rc && json_kind_of(v) == JSON_INT)
        out[1] = out[0];
    return rc;
}

static int check_shape(vision_shape *s, const int64_t patch[2], err *e)
{
    if (patch[0] != patch[1])
        return err_set(e, ERR_INPUT,
                       "config.json: patch_size [%lld, %lld]: only square patches are supported",
                       (long long)patch[0], (long long)patch[1]);
    s->patch = patch[0];
    if (s->image_height < s->patch || s->image_width < s->patch)
        return err_set(e, ERR_INPUT, "config.json: image_size is smaller than patch_size %lld",
                       (long long)s->patch);
    if (s->any_size && s->image_height != s->image_width)
        return err_set(e, ERR_INPUT, "config.json: image_size [%lld, %lld]: positions need square images",
                       (long long)s->image_height, (long long)s->image_width);
    if (s->head_width <= 0 && s->width % s->heads)
        return err_set(e, ERR_INPUT, "width %lld is not a multiple of %lld heads", (long long)s->width,
                       (long long)s->heads);
    if (s->head_width <= 0)
        s->head_width = s->width / s->heads;
    return 0;
}

int vision_read_config(model *m, const json *config, vision_shape *s, const char *const *more, err *e)
{
    int64_t image[2] = {s->image_height, s->image_width}, patch[2] = {s->patch, s->patch};
    int rc;
    if ((rc = config_int(&s->width, config, "hidden_size", false, 1, 1 << 20, e)) ||
        (rc = config_int(&s->layers, config, "num_hidden_layers", false, 1, 4096, e)) ||
        (rc = config_int(&s->heads, config, "num_attention_heads", false, 1, 4096, e)) ||
        (rc = config_int(&s->ffn, config, "intermediate_size", false, 1, 1 << 24, e)) ||
        (rc = config_int(&s->channels, config, "num_channels", false, 1, MOST_CHANNELS, e)) ||
        (rc = config_real(&s->eps, config, "layer_norm_eps", false, 0, 1, e)) ||
        (rc = config_enum(&s->act, config, "hidden_act", config_activations, false, e)) ||
        (rc = read_size(image, config, "image_size", MOST_PIXELS, e)) ||
        (rc = read_size(patch, config, "patch_size", MOST_PATCH, e)) ||
        (rc = config_check_keys(m, config, common_keys, more, e)))
        return rc;
    s->image_height = image[0];
    s->image_width = image[1];
    return check_shape(s, patch, e);
}

int vision_build(model *m, stack **out, const vision_shape *s, err *e)
{
    norm n = {.kind = NORM_LAYER, .eps = (float)s->eps};
    attn_plan plan = {.kind = ATTN_VISION, .n_head = (int)s->heads, .n_kv_head = (int)s->heads,
                      .d_qk = (int)s->head_width, .d_v = (int)s->head_width,
                      .scale = (float)(1 / sqrt((double)s->head_width)), .rope = -1};
    int rc = config_check_attention(&plan, e);
    if (rc || (rc = config_stack(m, out, ATTN_VISION, s->layers, s->width, e)))
        return rc;
    stack *t = *out;
    embedding *b = &t->embed;
    t->ffn = s->ffn;
    t->final_norm = n;
    for (int l = 0; l < t->n_layer; l++) {
        model_layer *y = &t->layers[l];
        y->self.plan = plan;
        y->at_self.pre = y->at_mlp.pre = n;
        y->mlp = (mlp){.act = (act_kind)s->act, .gated = s->gated, .inner = s->ffn};
    }
    b->kind = EMBED_PATCHES;
    b->channels = (int)s->channels;
    b->image_height = (int)s->image_height;
    b->image_width = (int)s->image_width;
    b->patch = (int)s->patch;
    b->n_prefix = s->n_prefix;
    b->n_register = (int)s->n_register;
    b->any_size = s->any_size;
    b->antialias = s->antialias;
    if (s->embed_norm)
        b->norm = n;
    t->context = (s->image_height / s->patch) * (s->image_width / s->patch) + s->n_prefix + s->n_register;
    return 0;
}

void vision_alone(model *m, stack *s)
{
    m->main = s;
    m->vocab = 0;
    m->needs = NEEDS_PIXELS;
}

int vision_configure_vit(model *m, int n_prefix, err *e)
{
    static const char *const more[] = {"qkv_bias", "head_dim", "encoder_stride", "pooler_act",
                                       "pooler_output_size", NULL};
    vision_shape s = vision_base;
    stack *t;
    s.n_prefix = n_prefix;
    int rc = config_int(&s.head_width, m->config, "head_dim", false, 1, 4096, e);
    if (rc || (rc = vision_read_config(m, m->config, &s, more, e)) || (rc = vision_build(m, &t, &s, e)))
        return rc;
    vision_alone(m, t);
    return 0;
}

/* The image side of a model of both.  Old files hold "vision_config_dict" as well, which takes precedence. */
static int take_nested(model *m, const vision_tower *t, const char *const *outer_keys, err *e)
{
    const json *old = json_get(m->config, "vision_config_dict");
    const json *inner = json_kind_of(old) == JSON_MAP ? old : json_get(m->config, "vision_config");
    const char *type = json_str(json_get(inner, "model_type"), NULL);
    int rc = config_check_keys(m, m->config, outer_keys, NULL, e);
    if (rc)
        return rc;
    if (json_kind_of(inner) != JSON_MAP) {
        err_set(e, ERR_INPUT, "config.json: vision_config is missing");
        return err_hint(e,
                        "the config must describe the image side; take the checkpoint's own");
    }
    if (type && strcmp(type, t->model_type) != 0)
        return err_set(e, ERR_INPUT, "config.json: vision_config.model_type \"%s\" is not supported, only %s",
                       type, t->model_type);
    m->config = inner;
    return 0;
}

int vision_configure_alone(model *m, const vision_tower *t, const char *const *outer_keys, err *e)
{
    const char *type = json_str(json_get(m->config, "model_type"), NULL);
    stack *s;
    int rc = type && strcmp(type, t->model_type) == 0 ? 0 : take_nested(m, t, outer_keys, e);
    if (rc || (rc = t->configure(m, &s, m->config, e)))
        return rc;
    vision_alone(m, s);
    return 0;
}

/* ViT and DeiT as published, and as transformers names them in memory since version 5. */
static const vision_names names_published = {
    .prefix = {"embeddings.cls_token", "embeddings.distillation_token"},
    .positions = "embeddings.position_embeddings", .patch = "embeddings.patch_embeddings.projection",
    .final_norm = "layernorm", .attn_pre = "encoder.layer.%d.layernorm_before",
    .mlp_pre = "encoder.layer.%d.layernorm_after", .q = "encoder.layer.%d.attention.attention.query",
    .k = "encoder.layer.%d.attention.attention.key", .v = "encoder.layer.%d.attention.attention.value",
    .out = "encoder.layer.%d.attention.output.dense", .up = "encoder.layer.%d.intermediate.dense",
    .down = "encoder.layer.%d.output.dense", .patch_bias = BIND_BIAS,
};
static const vision_names names_in_memory = {
    .prefix = {"embeddings.cls_token", "embeddings.distillation_token"},
    .positions = "embeddings.position_embeddings", .patch = "embeddings.patch_embeddings.projection",
    .final_norm = "layernorm", .attn_pre = "layers.%d.layernorm_before",
    .mlp_pre = "layers.%d.layernorm_after", .q = "layers.%d.attention.q_proj",
    .k = "layers.%d.attention.k_proj", .v = "layers.%d.attention.v_proj", .out = "layers.%d.attention.o_proj",
    .up = "layers.%d.mlp.fc1", .down = "layers.%d.mlp.fc2", .patch_bias = BIND_BIAS,
};
const vision_names *const vision_names_vit[] = {&names_published, &names_in_memory, NULL};

/* Where a tower's tensors are: the name under its prefix. */
typedef struct place {
    model *m;
    stack *s;
    const char *prefix;
    const vision_names *n;
    unsigned qkv_bias;
} place;

static const char *full_name(char out[160], const place *p, const char *name)
{
    snprintf(out, 160, "%s%s", p->prefix, name);
    return out;
}

static int linear(const place *p, weight *out, const char *name, int l, int64_t n_total, int64_t first,
                  int64_t n_out, int64_t n_in, unsigned flags, err *e)
{
    char full[160];
    return bind_linear(p->m, out, full_name(full, p, name), l, n_total, first, n_out, n_in, flags, e);
}

static int layer_norm(const place *p, norm *out, const char *name, int l, err *e)
{
    char full[160];
    return bind_norm(p->m, out, full_name(full, p, name), l, p->s->width, 0, e);
}

static int gain(const place *p, sublayer *at, const char *name, int l, err *e)
{
    char full[160];
    int64_t width = p->s->width;
    return name ? bind_vector(p->m, &at->gain, full_name(full, p, name), l, width, 0, width, 0, e) : 0;
}

static int bind_mlp(const place *p, mlp *f, int l, err *e)
{
    const vision_names *n = p->n;
    int64_t width = p->s->width, inner = f->inner;
    bool fused = f->gated && n->gate_up;
    const char *gate = fused ? n->gate_up : n->gate;
    const char *up = fused ? n->gate_up : f->gated ? n->gated_up : n->up;
    int64_t stored = fused ? 2 * inner : inner;
    int rc;
    if ((f->gated && (rc = linear(p, &f->gate, gate, l, stored, 0, inner, width, BIND_BIAS, e))) ||
        (rc = linear(p, &f->up, up, l, stored, fused ? inner : 0, inner, width, BIND_BIAS, e)))
        return rc;
    return linear(p, &f->down, f->gated ? n->gated_down : n->down, l, width, 0, width, inner, BIND_BIAS, e);
}

static int bind_layer(const place *p, int l, err *e)
{
    const vision_names *n = p->n;
    model_layer *y = &p->s->layers[l];
    attention_block *b = &y->self;
    int64_t width = p->s->width, heads = (int64_t)b->plan.n_head * b->plan.d_qk;
    int rc;
    if ((rc = layer_norm(p, &y->at_self.pre, n->attn_pre, l, e)) ||
        (rc = linear(p, &b->q, n->q, l, heads, 0, heads, width, p->qkv_bias, e)) ||
        (rc = linear(p, &b->k, n->k, l, heads, 0, heads, width, p->qkv_bias, e)) ||
        (rc = linear(p, &b->v, n->v, l, heads, 0, heads, width, p->qkv_bias, e)) ||
        (rc = linear(p, &b->out, n->out, l, width, 0, width, heads, BIND_BIAS, e)) ||
        (rc = gain(p, &y->at_self, n->attn_gain, l, e)) || (rc = bind_mlp(p, &y->mlp, l, e)) ||
        (rc = layer_norm(p, &y->at_mlp.pre, n->mlp_pre, l, e)))
        return rc;
    b->plan.qkv_bias = b->q.bias || b->k.bias || b->v.bias;
    b->plan.out_bias = b->out.bias;
    return gain(p, &y->at_mlp, n->mlp_gain, l, e);
}

/* The tokens in front, stored one by one, as one array. */
static int bind_prefix(const place *p, err *e)
{
    embedding *b = &p->s->embed;
    int64_t width = p->s->width;
    char full[160];
    float *all = arena_alloc(p->m->arena_, (size_t)b->n_prefix * (size_t)width, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    for (int i = 0; i < b->n_prefix; i++) {
        const float *token = NULL;
        int rc = bind_vector(p->m, &token, full_name(full, p, p->n->prefix[i]), -1, width, 0, width, 0, e);
        if (rc)
            return rc;
        for (int64_t c = 0; c < width; c++)
            all[i * width + c] = token[c];
    }
    b->prefix = all;
    return 0;
}

static int bind_embedding(const place *p, err *e)
{
    embedding *b = &p->s->embed;
    int64_t width = p->s->width, taken = (int64_t)b->channels * b->patch * b->patch;
    int64_t rows = (int64_t)(b->image_height / b->patch) * (b->image_width / b->patch) + b->n_prefix;
    int64_t registers = b->n_register * width;
    char full[160];
    int rc = linear(p, &b->patch_proj, p->n->patch, -1, width, 0, width, taken, p->n->patch_bias, e);
    if (rc || (b->n_prefix && (rc = bind_prefix(p, e))) ||
        (rc = bind_weight(p->m, &b->positions, full_name(full, p, p->n->positions), -1, rows, 0, rows, width,
                          0, e)))
        return rc;
    if (registers && (rc = bind_vector(p->m, &b->registers, full_name(full, p, p->n->registers), -1,
                                       registers, 0, registers, 0, e)))
        return rc;
    return p->n->embed_norm ? layer_norm(p, &b->norm, p->n->embed_norm, -1, e) : 0;
}

static bool lies_at(const place *p)
{
    char full[160], name[200];
    snprintf(name, sizeof name, "%s.weight", full_name(full, p, p->n->q));
    return bind_has(p->m, name, 0);
}

int vision_bind(model *m, stack *s, const char *const *prefixes, const vision_names *const *tables,
                unsigned qkv_bias, err *e)
{
    place p = {.m = m, .s = s, .prefix = prefixes[0], .n = tables[0], .qkv_bias = qkv_bias}, tried = p;
    bool found = false;
    for (int t = 0; tables[t] && !found; t++)
        for (int i = 0; prefixes[i] && !found; i++) {
            tried.n = tables[t];
            tried.prefix = prefixes[i];
            if ((found = lies_at(&tried)))
                p = tried;
        }
    int rc = bind_embedding(&p, e);
    for (int l = 0; l < s->n_run && !rc; l++)
        rc = bind_layer(&p, l, e);
    if (rc || s->n_run < s->n_layer)
        return rc;
    return layer_norm(&p, &s->final_norm, p.n->final_norm, -1, e);
}

int vision_bind_alone(model *m, const vision_names *const *tables, err *e)
{
    static const char *const prefixes[] = {"vision_model.", "", NULL};
    bool qkv_bias = true;
    int rc = config_bool(&qkv_bias, m->config, "qkv_bias", e);
    return rc ? rc : vision_bind(m, m->main, prefixes, tables, qkv_bias ? BIND_BIAS : BIND_NO_BIAS, e);
}
