/* Rotary embedding: frequencies and their scalings.
 *
 * Sources: RoPE (Su et al., arXiv 2104.09864); position interpolation (Chen et al., 2306.15595) = linear;
 * YaRN (Peng et al., 2309.00071, equations 17-23); llama3 scaling as published with Llama 3.1.  Where the
 * reference implementation (Hugging Face transformers, modeling_rope_utils) rounds to float32, so does
 * this: at thousands of tokens an ulp of a frequency shows in the angles. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

static void scale_llama3(rope_plan *r, int n)
{
    double low_wavelength = r->original_context / r->low_freq_factor;
    double high_wavelength = r->original_context / r->high_freq_factor;
    for (int i = 0; i < n; i++) {
        float f = r->inv_freq[i], wavelength = (float)(2 * M_PI) / f;
        if (wavelength > (float)low_wavelength) {
            r->inv_freq[i] = f / (float)r->factor;
        } else if (!(wavelength < (float)high_wavelength)) {
            float s = ((float)r->original_context / wavelength - (float)r->low_freq_factor) /
                      (float)(r->high_freq_factor - r->low_freq_factor);
            r->inv_freq[i] = (1 - s) * f / (float)r->factor + s * f;
        }
    }
}

static double yarn_dimension(const rope_plan *r, double rotations)
{
    return r->dim * log(r->original_context / (rotations * 2 * M_PI)) / (2 * log(r->base));
}

static void scale_yarn(rope_plan *r, int n)
{
    double low = yarn_dimension(r, r->beta_fast), high = yarn_dimension(r, r->beta_slow);
    if (r->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, r->dim - 1);
    if (low == high)
        high += 0.001;
    for (int i = 0; i < n; i++) {
        float period = powf((float)r->base, (float)(2 * i) / (float)r->dim);
        float ramp = ((float)i - (float)low) / (float)(high - low);
        float keep = 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
        r->inv_freq[i] = 1 / ((float)r->factor * period) * (1 - keep) + 1 / period * keep;
    }
}

int rope_frequencies(model *m, rope_plan *r, const float *factors, err *e)
{
    if (r->dim <= 0 || r->dim % 2)
        return err_set(e, ERR_INPUT, "rotary embedding over %d dimensions: must be even and positive", r->dim);
    int n = r->dim / 2;
    r->inv_freq = arena_alloc(m->arena_, (size_t)n, sizeof *r->inv_freq, e);
    if (!r->inv_freq)
        return ERR_RESOURCE;
    if (r->magnitude == 0)
        r->magnitude = 1;
    for (int i = 0; i < n; i++) {
        r->inv_freq[i] = 1 / powf((float)r->base, (float)(2 * i) / (float)r->dim);
        if (factors)
            r->inv_freq[i] /= factors[i];
    }
    if (strcmp(r->scaling, "linear") == 0)
        for (int i = 0; i < n; i++)
            r->inv_freq[i] /= (float)r->factor;
    else if (strcmp(r->scaling, "llama3") == 0)
        scale_llama3(r, n);
    else if (strcmp(r->scaling, "yarn") == 0)
        scale_yarn(r, n);
    return 0;
}

static int new_rope(model *m, rope_plan **out, int dim, rope_kind kind, err *e)
{
    m->n_rope = 1;
    m->ropes = arena_alloc(m->arena_, 1, sizeof *m->ropes, e);
    if (!m->ropes)
        return ERR_RESOURCE;
    *out = m->ropes;
    **out = (rope_plan){.kind = kind, .dim = dim, .base = 10000, .scaling = "none", .factor = 1, .magnitude = 1,
                        .beta_fast = 32, .beta_slow = 1, .truncate = true};
    return 0;
}

/* YaRN's attention factor: 0.1 ln(factor) + 1, weighted by mscale where a config has one. */
static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static int read_scaling(rope_plan *r, const json *scaling, int64_t max_context, err *e)
{
    static const config_name kinds[] = {{"default", 0}, {"none", 0}, {"linear", 1}, {"llama3", 2}, {"yarn", 3}, {NULL, 0}};
    static const char *const known[] = {"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings",
                                        "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast",
                                        "beta_slow", "mscale", "mscale_all_dim", "truncate", "finetuned", NULL};
    int kind = 0, rc;
    if ((rc = config_enum(&kind, scaling, "rope_type|type", kinds, false, e))) {
        err_hint(e, "RoPE scalings of this version: linear, llama3, yarn");
        return rc;
    }
    void *it = NULL;
    const char *key;
    const json *value;
    while (json_each(scaling, &it, &key, &value)) {
        const char *const *k = known;
        while (*k && strcmp(*k, key))
            k++;
        double number;
        bool whole = strcmp(key, "partial_rotary_factor") == 0 && json_real(&number, value) && number == 1;
        if (!*k && !whole && json_kind_of(value) != JSON_NULL_)
            return err_set(e, ERR_INPUT, "config.json: rope scaling key \"%s\" is not supported", key);
    }
    double ignored_factor = 1;
    if (kind == 0 && !json_str(json_get(scaling, "rope_type"), NULL) && !json_str(json_get(scaling, "type"), NULL) &&
        ((rc = config_real(&ignored_factor, scaling, "factor", false, -1e30, 1e30, e)) || ignored_factor != 1))
        return rc ? rc : err_set(e, ERR_INPUT, "config.json: rope scaling has a factor but no rope_type");
    if (kind == 0)
        return 0;
    snprintf(r->scaling, sizeof r->scaling, "%s", kind == 1 ? "linear" : kind == 2 ? "llama3" : "yarn");
    if ((rc = config_real(&r->factor, scaling, "factor", true, 1e-3, 1e6, e)) || kind == 1)
        return rc;
    r->original_context = (double)max_context;
    if ((rc = config_real(&r->original_context, scaling, "original_max_position_embeddings", kind == 2, 1, 1e12, e)))
        return rc;
    if (kind == 2) {
        if ((rc = config_real(&r->low_freq_factor, scaling, "low_freq_factor", true, 1e-6, 1e6, e)) ||
            (rc = config_real(&r->high_freq_factor, scaling, "high_freq_factor", true, 1e-6, 1e6, e)))
            return rc;
        if (r->high_freq_factor <= r->low_freq_factor)
            return err_set(e, ERR_INPUT, "config.json: high_freq_factor must be above low_freq_factor");
        return 0;
    }
    double attention_factor = 0, mscale = 0, mscale_all = 0;
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
        r->magnitude = yarn_mscale(r->factor, mscale) / yarn_mscale(r->factor, mscale_all);
    else
        r->magnitude = yarn_mscale(r->factor, 1);
    return 0;
}

int config_rope(model *m, const json *config, int dim, rope_kind kind, err *e)
{
    rope_plan *r;
    int rc = new_rope(m, &r, dim, kind, e);
    const json *scaling = NULL;
    static const char *const places[] = {"rope_parameters", "rope_scaling"};
    for (int i = 0; i < 2; i++) {
        const json *v = json_get(config, places[i]);
        if (!v || json_kind_of(v) == JSON_NULL_)
            continue;
        if (json_kind_of(v) != JSON_MAP)
            return err_set(e, ERR_INPUT, "config.json: %s is not an object", places[i]);
        if (scaling)
            return err_set(e, ERR_INPUT, "config.json: both rope_parameters and rope_scaling are given");
        scaling = v;
    }
    if (rc || (rc = config_real(&r->base, config, "rope_theta", false, 1.001, 1e15, e)))
        return rc;
    if (scaling) {
        if ((rc = config_real(&r->base, scaling, "rope_theta", false, 1.001, 1e15, e)) ||
            (rc = read_scaling(r, scaling, m->context, e)))
            return rc;
    }
    return rope_frequencies(m, r, NULL, e);
}

int meta_rope(model *m, const gguf_meta *g, const char *arch, int dim, rope_kind kind, err *e)
{
    rope_plan *r;
    char key[128];
    gguf_string type = {"none", 4};
    double attn_factor = 1;
    int rc = new_rope(m, &r, dim, kind, e);
    if (rc || (rc = meta_real(&r->base, g, arch, "rope.freq_base", false, 1.001, 1e15, e)) ||
        (rc = meta_real(&r->factor, g, arch, "rope.scale_linear", false, 0, 1e6, e)) ||
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
    if (type.len == 6 && !memcmp(type.s, "linear", 6)) {
        snprintf(r->scaling, sizeof r->scaling, "linear");
    } else if (type.len == 4 && !memcmp(type.s, "yarn", 4)) {
        snprintf(r->scaling, sizeof r->scaling, "yarn");
        r->original_context = (double)m->context;
        if ((rc = meta_real(&r->original_context, g, arch, "rope.scaling.original_context_length", false, 1, 1e12, e)))
            return rc;
        r->magnitude = attn_factor * yarn_mscale(r->factor, 1);
    } else if (type.len != 4 || memcmp(type.s, "none", 4)) {
        return err_set(e, ERR_INPUT, "gguf: %s \"%.*s\" is not supported", key, (int)type.len, type.s);
    }
    const checkpoint_tensor *t = checkpoint_find(m->ckpt, "rope_freqs.weight");
    if (!t)
        return rope_frequencies(m, r, NULL, e);
    if (t->t.type != DT_F32 || t->t.n_dim != 1 || t->t.shape[0] != dim / 2)
        return err_set(e, ERR_INPUT, "gguf: rope_freqs.weight must hold %d float32 factors", dim / 2);
    float *factors = arena_alloc(m->arena_, (size_t)dim / 2, sizeof *factors, e);
    if (!factors)
        return ERR_RESOURCE;
    memcpy(factors, t->t.data, (size_t)dim / 2 * sizeof *factors);
    for (int i = 0; i < dim / 2; i++)
        if (!(factors[i] > 0 && isfinite(factors[i])))
            return err_set(e, ERR_INPUT, "gguf: rope_freqs.weight holds a factor that is not a positive number");
    if (strcmp(r->scaling, "none") == 0)
        snprintf(r->scaling, sizeof r->scaling, "factors");
    return rope_frequencies(m, r, factors, e);
}
