/* Reading rotary plans from configurations, old spellings and new. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

enum { MAX_ROPES = 4 };

static int new_rope(model *m, const rope_want *want, rope_plan **out, int *index, err *e)
{
    if (!m->ropes && !(m->ropes = arena_alloc(m->arena_, MAX_ROPES, sizeof *m->ropes, e)))
        return ERR_RESOURCE;
    if (m->n_rope == MAX_ROPES)
        return err_set(e, ERR_INPUT, "more than %d kinds of rotary embedding", MAX_ROPES);
    *index = m->n_rope;
    *out = &m->ropes[m->n_rope++];
    **out = (rope_plan){.kind = want->kind, .offset = want->offset, .base = want->base, .scaling = "none", .factor = 1,
                        .magnitude = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true};
    return 0;
}

/* Rotated dimensions: the given number, or a fraction of the head. */
static int set_dim(rope_plan *r, const rope_want *want, double fraction, err *e)
{
    r->period = want->dim > 0 ? want->dim : (int)(want->head_width * fraction);
    r->dim = r->period + (want->dim > 0 ? 0 : r->period % 2);
    if (r->dim <= 0 || r->dim % 2 || r->offset + r->dim > want->head_width)
        return err_set(e, ERR_INPUT, "rotary embedding over %d of %d dimensions: must be even, positive and within the head",
                       r->dim, want->head_width);
    return 0;
}

/* YaRN's attention factor: 0.1 ln(factor) + 1, weighted by mscale where a config has one. */
double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static int check_scaling_keys(const json *scaling, err *e)
{
    static const char *const known[] = {"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings",
                                        "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast",
                                        "beta_slow", "mscale", "mscale_all_dim", "truncate", "finetuned",
                                        "partial_rotary_factor", "short_factor", "long_factor", "short_mscale",
                                        "long_mscale", NULL};
    void *it = NULL;
    const char *key;
    const json *value;
    while (json_each(scaling, &it, &key, &value)) {
        const char *const *k = known;
        while (*k && strcmp(*k, key))
            k++;
        if (!*k && json_kind_of(value) != JSON_NULL_)
            return err_set(e, ERR_INPUT, "config.json: rope scaling key \"%s\" is not supported", key);
    }
    return 0;
}

static int read_llama3(rope_plan *r, const json *scaling, err *e)
{
    int rc;
    if ((rc = config_real(&r->low_freq_factor, scaling, "low_freq_factor", true, 1e-6, 1e6, e)) ||
        (rc = config_real(&r->high_freq_factor, scaling, "high_freq_factor", true, 1e-6, 1e6, e)))
        return rc;
    if (r->high_freq_factor <= r->low_freq_factor)
        return err_set(e, ERR_INPUT, "config.json: high_freq_factor must be above low_freq_factor");
    return 0;
}

static int read_yarn(rope_plan *r, const json *scaling, err *e)
{
    double attention_factor = 0, mscale = 0, mscale_all = 0;
    int rc;
    if ((rc = config_real(&attention_factor, scaling, "attention_factor", false, 1e-6, 1e6, e)) ||
        (rc = config_real(&mscale, scaling, "mscale", false, 0, 1e6, e)) ||
        (rc = config_real(&mscale_all, scaling, "mscale_all_dim", false, 0, 1e6, e)) ||
        (rc = config_real(&r->beta_fast, scaling, "beta_fast", false, 1e-6, 1e9, e)) ||
        (rc = config_real(&r->beta_slow, scaling, "beta_slow", false, 1e-6, 1e9, e)) ||
        (rc = config_bool(&r->truncate, scaling, "truncate", e)))
        return rc;
    if (attention_factor > 0)
        r->magnitude = attention_factor;
    else if (mscale > 0 && mscale_all > 0)
        r->magnitude = yarn_magnitude(r->factor, mscale) / yarn_magnitude(r->factor, mscale_all);
    else
        r->magnitude = yarn_magnitude(r->factor, 1);
    return 0;
}

/* A list of dim/2 positive factors. */
static int read_factors(model *m, const float **out, const json *scaling, const char *key, int n, err *e)
{
    const json *list = json_get(scaling, key);
    if (!list || json_kind_of(list) != JSON_LIST || json_count(list) != (size_t)n)
        return err_set(e, ERR_INPUT, "config.json: rope scaling key %s must be a list of %d numbers", key, n);
    float *f = arena_alloc(m->arena_, (size_t)n, sizeof *f, e);
    if (!f)
        return ERR_RESOURCE;
    for (int i = 0; i < n; i++) {
        double x;
        if (!json_real(&x, json_at(list, (size_t)i)) || !(x > 0 && x < 1e30))
            return err_set(e, ERR_INPUT, "config.json: %s holds an element that is not a positive number", key);
        f[i] = (float)x;
    }
    *out = f;
    return 0;
}

static double longrope_magnitude(double factor, double original)
{
    return factor <= 1 ? 1 : sqrt(1 + log(factor) / log(original));
}

static int read_longrope(model *m, rope_plan *r, const json *scaling, double max_context, err *e)
{
    int rc;
    double attention_factor = 0, factor = 0;
    if (r->original_context <= 1)
        return err_set(e, ERR_INPUT, "config.json: longrope needs original_max_position_embeddings");
    if ((rc = config_real(&factor, scaling, "factor", false, 1e-3, 1e6, e)) ||
        (rc = config_real(&attention_factor, scaling, "attention_factor", false, 1e-6, 1e6, e)) ||
        (rc = read_factors(m, &r->divisors, scaling, "short_factor", r->dim / 2, e)) ||
        (rc = read_factors(m, &r->long_divisors, scaling, "long_factor", r->dim / 2, e)))
        return rc;
    r->factor = factor > 0 ? factor : max_context / r->original_context;
    r->magnitude = attention_factor > 0 ? attention_factor : longrope_magnitude(r->factor, r->original_context);
    return 0;
}

enum { KIND_NONE, KIND_LINEAR, KIND_LLAMA3, KIND_YARN, KIND_DYNAMIC, KIND_LONGROPE };
static const char *const kind_names[] = {"none", "linear", "llama3", "yarn", "dynamic", "longrope"};

static int read_scaling(model *m, rope_plan *r, const json *config, const json *scaling, err *e)
{
    static const config_name kinds[] = {{"default", KIND_NONE}, {"none", KIND_NONE}, {"linear", KIND_LINEAR},
                                        {"llama3", KIND_LLAMA3}, {"yarn", KIND_YARN}, {"dynamic", KIND_DYNAMIC},
                                        {"longrope", KIND_LONGROPE}, {"su", KIND_LONGROPE}, {NULL, 0}};
    int kind = KIND_NONE, rc;
    double context = m->main ? (double)m->main->context : 2048, factor = 1;
    if ((rc = config_enum(&kind, scaling, "rope_type|type", kinds, false, e))) {
        err_hint(e, "RoPE scalings of this version: linear, dynamic, llama3, yarn, longrope");
        return rc;
    }
    if ((rc = check_scaling_keys(scaling, e)))
        return rc;
    if (kind == KIND_NONE) {
        bool named = json_str(json_get(scaling, "rope_type"), NULL) || json_str(json_get(scaling, "type"), NULL);
        if (!named && ((rc = config_real(&factor, scaling, "factor", false, -1e30, 1e30, e)) || factor != 1))
            return rc ? rc : err_set(e, ERR_INPUT, "config.json: rope scaling has a factor but no rope_type");
        return 0;
    }
    snprintf(r->scaling, sizeof r->scaling, "%s", kind_names[kind]);
    if ((rc = config_real(&context, config, "max_position_embeddings|n_positions|max_seq_len|seq_length", false, 1, 1e12, e)))
        return rc;
    if (kind != KIND_LONGROPE && (rc = config_real(&r->factor, scaling, "factor", true, 1e-3, 1e6, e)))
        return rc;
    if (kind == KIND_LINEAR)
        return 0;
    r->original_context = kind == KIND_LONGROPE ? 0 : context;
    if (kind == KIND_DYNAMIC)
        return 0; /* it counts from max_position_embeddings */
    if ((rc = config_real(&r->original_context, config, "original_max_position_embeddings", false, 1, 1e12, e)) ||
        (rc = config_real(&r->original_context, scaling, "original_max_position_embeddings", kind == KIND_LLAMA3, 1, 1e12, e)))
        return rc;
    return kind == KIND_LLAMA3 ? read_llama3(r, scaling, e)
         : kind == KIND_YARN ? read_yarn(r, scaling, e) : read_longrope(m, r, scaling, context, e);
}

/* The object that describes scaling: rope_parameters (newest; may be one for each type of layer) or rope_scaling. */
static int find_scaling(const json **out, const json *config, const char *layer_type, err *e)
{
    static const char *const places[] = {"rope_parameters", "rope_scaling"};
    *out = NULL;
    for (int i = 0; i < 2; i++) {
        const json *v = json_get(config, places[i]);
        if (!v || json_kind_of(v) == JSON_NULL_)
            continue;
        if (json_kind_of(v) != JSON_MAP)
            return err_set(e, ERR_INPUT, "config.json: %s is not an object", places[i]);
        if (*out)
            return err_set(e, ERR_INPUT, "config.json: both rope_parameters and rope_scaling are given");
        *out = v;
    }
    const json *nested = *out && layer_type ? json_get(*out, layer_type) : NULL;
    if (nested && json_kind_of(nested) == JSON_MAP)
        *out = nested;
    return 0;
}

int config_rope(model *m, const json *config, const rope_want *want, int *index, err *e)
{
    rope_plan *r;
    const json *scaling;
    double fraction = want->fraction > 0 ? want->fraction : 1;
    int rc = new_rope(m, want, &r, index, e);
    if (rc || (rc = find_scaling(&scaling, config, want->layer_type, e)) ||
        (rc = config_real(&r->base, config, want->base_keys ? want->base_keys : "rope_theta|rotary_emb_base", false, 1.001,
                          1e15, e)) ||
        (rc = config_real(&fraction, config, "partial_rotary_factor|rotary_pct|rope_pct", false, 1e-6, 1, e)))
        return rc;
    if (want->unscaled)
        scaling = NULL;
    if (scaling && ((rc = config_real(&r->base, scaling, "rope_theta", false, 1.001, 1e15, e)) ||
                    (rc = config_real(&fraction, scaling, "partial_rotary_factor", false, 1e-6, 1, e))))
        return rc;
    if ((rc = set_dim(r, want, fraction, e)))
        return rc;
    return scaling ? read_scaling(m, r, config, scaling, e) : 0;
}

/* dim/2 positive float32 factors in a tensor of their own; absent: *out stays NULL. */
static int meta_factors(model *m, const float **out, const char *name, int n, err *e)
{
    const checkpoint_tensor *t = checkpoint_find(m->ckpt, name);
    if (!t)
        return 0;
    if (t->t.type != DT_F32 || t->t.n_dim != 1 || t->t.shape[0] != n)
        return err_set(e, ERR_INPUT, "gguf: %s must hold %d float32 factors", name, n);
    float *f = arena_alloc(m->arena_, (size_t)n, sizeof *f, e);
    if (!f)
        return ERR_RESOURCE;
    memcpy(f, t->t.data, (size_t)n * sizeof *f);
    for (int i = 0; i < n; i++)
        if (!(f[i] > 0 && isfinite(f[i])))
            return err_set(e, ERR_INPUT, "gguf: %s holds a factor that is not a positive number", name);
    *out = f;
    return 0;
}

static bool is(gguf_string s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.s, word, s.len) == 0;
}

int meta_rope(model *m, const gguf_meta *g, const char *arch, const rope_want *want, int *index, err *e)
{
    rope_plan *r;
    char key[128];
    gguf_string type = {"none", 4};
    double attn_factor = 0;
    int64_t dim = 0;
    rope_want w = *want;
    int rc = new_rope(m, want, &r, index, e);
    if (rc || (rc = meta_int(&dim, g, arch, "rope.dimension_count", false, 2, 1 << 16, e)))
        return rc;
    if (w.dim <= 0)
        w.dim = (int)dim;
    const char *base = want->base_keys ? want->base_keys : "rope.freq_base";
    if ((rc = set_dim(r, &w, want->fraction > 0 ? want->fraction : 1, e)) ||
        (rc = meta_real(&r->base, g, arch, base, false, 1.001, 1e15, e)) || want->unscaled)
        return rc;
    if ((rc = meta_real(&r->factor, g, arch, "rope.scale_linear", false, 0, 1e6, e)) ||
        (rc = meta_real(&r->factor, g, arch, "rope.scaling.factor", false, 0, 1e6, e)) ||
        (rc = meta_real(&attn_factor, g, arch, "rope.scaling.attn_factor", false, 1e-6, 1e6, e)) ||
        (rc = meta_real(&r->beta_fast, g, arch, "rope.scaling.yarn_beta_fast", false, 1e-6, 1e9, e)) ||
        (rc = meta_real(&r->beta_slow, g, arch, "rope.scaling.yarn_beta_slow", false, 1e-6, 1e9, e)))
        return rc;
    if (r->factor == 0)
        r->factor = 1;
    if (r->factor < 1e-3)
        return err_set(e, ERR_INPUT, "gguf: %s.rope.scaling.factor %g is out of range", arch, r->factor);
    snprintf(key, sizeof key, "%s.rope.scaling.type", arch);
    const gguf_kv *kv = gguf_find(g, key);
    if (kv && !gguf_text(&type, kv))
        return err_set(e, ERR_INPUT, "gguf: %s is not a string", key);
    if (!kv && r->factor != 1)
        type = (gguf_string){"linear", 6}; /* the format's default when only a factor is given */
    if ((rc = meta_factors(m, &r->divisors, "rope_freqs.weight", r->dim / 2, e)))
        return rc;
    if (is(type, "linear")) {
        snprintf(r->scaling, sizeof r->scaling, "linear");
    } else if (is(type, "yarn") || is(type, "longrope")) {
        snprintf(r->scaling, sizeof r->scaling, "%s", is(type, "yarn") ? "yarn" : "longrope");
        r->original_context = (double)m->main->context;
        if ((rc = meta_real(&r->original_context, g, arch, "rope.scaling.original_context_length", false, 1, 1e12, e)))
            return rc;
        if (is(type, "yarn"))
            r->magnitude = (attn_factor > 0 ? attn_factor : 1) * yarn_magnitude(r->factor, 1);
    } else if (!is(type, "none")) {
        return err_set(e, ERR_INPUT, "gguf: %s \"%.*s\" is not supported", key, (int)type.len, type.s);
    }
    const float *divisors = NULL;
    if ((rc = meta_factors(m, &divisors, "rope_factors_short.weight", r->dim / 2, e)) ||
        (rc = meta_factors(m, &r->long_divisors, "rope_factors_long.weight", r->dim / 2, e)))
        return rc;
    if (!divisors != !r->long_divisors)
        return err_set(e, ERR_INPUT, "gguf: only one of rope_factors_short.weight and rope_factors_long.weight is there");
    if (divisors) {
        if (r->original_context <= 0) {
            r->original_context = (double)m->main->context;
            if ((rc = meta_real(&r->original_context, g, arch, "rope.scaling.original_context_length", false, 1, 1e12, e)))
                return rc;
        }
        r->divisors = divisors;
        r->factor = (double)m->main->context / r->original_context;
        r->magnitude = attn_factor > 0 ? attn_factor : longrope_magnitude(r->factor, r->original_context);
        snprintf(r->scaling, sizeof r->scaling, "longrope");
    } else if (r->divisors && strcmp(r->scaling, "none") == 0) {
        snprintf(r->scaling, sizeof r->scaling, "factors");
    }
    return 0;
}
