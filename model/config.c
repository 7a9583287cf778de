/* Typed reading of config.json and of GGUF metadata. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const config_name config_activations[] = {
    {"silu", ACT_SILU}, {"swish", ACT_SILU}, {"gelu", ACT_GELU_ERF}, {"gelu_new", ACT_GELU_NEW},
    {"gelu_pytorch_tanh", ACT_GELU_TANH}, {"gelu_fast", ACT_GELU_FAST}, {"relu", ACT_RELU},
    {"relu2", ACT_RELU2}, {"quick_gelu", ACT_QUICK_GELU}, {"gelu_python", ACT_GELU_ERF},
    {"gelu_accurate", ACT_GELU_NEW}, {"sigmoid", ACT_SIGMOID}, {NULL, 0},
};

/* Copy the next of '|'-separated names into word; false at the end. */
static bool next_key(const char **keys, char word[64])
{
    if (!**keys)
        return false;
    size_t n = strcspn(*keys, "|");
    snprintf(word, 64, "%.*s", (int)n, *keys);
    *keys += n + ((*keys)[n] == '|');
    return true;
}

/* The first member that is there and not null; word gets its name (or the first name when none is). */
static const json *lookup(const json *config, const char *keys, char word[64])
{
    char first[64];
    next_key(&keys, word);
    memcpy(first, word, sizeof first);
    do {
        const json *v = json_get(config, word);
        if (v && json_kind_of(v) != JSON_NULL_)
            return v;
    } while (next_key(&keys, word));
    memcpy(word, first, sizeof first);
    return NULL;
}

static int absent(bool required, const char *word, err *e)
{
    if (!required)
        return 0;
    err_set(e, ERR_INPUT, "config.json: %s is missing", word);
    return err_hint(e, "the config must describe the model; take the one that came with the checkpoint");
}

int config_int(int64_t *out, const json *config, const char *keys, bool required, int64_t min, int64_t max, err *e)
{
    char word[64];
    const json *v = lookup(config, keys, word);
    int64_t n;
    if (!v)
        return absent(required, word, e);
    if (!json_int(&n, v))
        return err_set(e, ERR_INPUT, "config.json: %s is not an integer", word);
    if (n < min || n > max)
        return err_set(e, ERR_INPUT, "config.json: %s is %lld, out of range (%lld to %lld)", word, (long long)n,
                       (long long)min, (long long)max);
    *out = n;
    return 0;
}

int config_real(double *out, const json *config, const char *keys, bool required, double min, double max, err *e)
{
    char word[64];
    const json *v = lookup(config, keys, word);
    double x;
    if (!v)
        return absent(required, word, e);
    if (!json_real(&x, v))
        return err_set(e, ERR_INPUT, "config.json: %s is not a number", word);
    if (!(x >= min && x <= max))
        return err_set(e, ERR_INPUT, "config.json: %s is %g, out of range (%g to %g)", word, x, min, max);
    *out = x;
    return 0;
}

int config_bool(bool *out, const json *config, const char *keys, err *e)
{
    char word[64];
    const json *v = lookup(config, keys, word);
    if (v && !json_bool(out, v))
        return err_set(e, ERR_INPUT, "config.json: %s is not true or false", word);
    return 0;
}

int config_enum(int *out, const json *config, const char *keys, const config_name *table, bool required, err *e)
{
    char word[64];
    const json *v = lookup(config, keys, word);
    if (!v)
        return absent(required, word, e);
    const char *name = json_str(v, NULL);
    for (; name && table->name; table++)
        if (strcmp(name, table->name) == 0) {
            *out = table->value;
            return 0;
        }
    return err_set(e, ERR_INPUT, "config.json: %s \"%s\" is not supported", word, name ? name : "(not a string)");
}

int config_must_be_bool(const json *config, const char *key, bool value, err *e)
{
    bool is = value;
    int rc = config_bool(&is, config, key, e);
    if (!rc && is != value)
        rc = err_set(e, ERR_INPUT, "config.json: %s = %s is not supported", key, is ? "true" : "false");
    return rc;
}

static const char *meta_key(char out[128], const char *arch, const char *suffix)
{
    if (suffix[0] == '.')
        snprintf(out, 128, "%s", suffix + 1);
    else
        snprintf(out, 128, "%s.%s", arch, suffix);
    return out;
}

static int meta_absent(bool required, const char *key, err *e)
{
    if (!required)
        return 0;
    err_set(e, ERR_INPUT, "gguf: key %s is missing", key);
    return err_hint(e, "the file does not describe a whole model (a vocabulary only?)");
}

int meta_int(int64_t *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, int64_t min,
             int64_t max, err *e)
{
    char key[128];
    const gguf_kv *kv = gguf_find(g, meta_key(key, arch, suffix));
    int64_t n;
    if (!kv)
        return meta_absent(required, key, e);
    if (!gguf_int(&n, kv, 0) || (kv->type == GGUF_ARRAY && kv->count == 0))
        return err_set(e, ERR_INPUT, "gguf: %s is not an integer", key);
    if (kv->type == GGUF_ARRAY) {
        for (uint64_t i = 1; i < kv->count; i++) {
            int64_t other;
            if (!gguf_int(&other, kv, i) || other != n)
                return err_set(e, ERR_INPUT, "gguf: %s differs between layers, which is not supported", key);
        }
    }
    if (n < min || n > max)
        return err_set(e, ERR_INPUT, "gguf: %s is %lld, out of range (%lld to %lld)", key, (long long)n,
                       (long long)min, (long long)max);
    *out = n;
    return 0;
}

int meta_real(double *out, const gguf_meta *g, const char *arch, const char *suffix, bool required, double min,
              double max, err *e)
{
    char key[128];
    const gguf_kv *kv = gguf_find(g, meta_key(key, arch, suffix));
    double x;
    if (!kv)
        return meta_absent(required, key, e);
    if (!gguf_real(&x, kv, 0))
        return err_set(e, ERR_INPUT, "gguf: %s is not a number", key);
    if (!(x >= min && x <= max))
        return err_set(e, ERR_INPUT, "gguf: %s is %g, out of range (%g to %g)", key, x, min, max);
    *out = x;
    return 0;
}

int meta_bool(bool *out, const gguf_meta *g, const char *arch, const char *suffix, err *e)
{
    char key[128];
    const gguf_kv *kv = gguf_find(g, meta_key(key, arch, suffix));
    if (kv && !gguf_bool(out, kv, 0))
        return err_set(e, ERR_INPUT, "gguf: %s is not a boolean", key);
    return 0;
}

int config_stack(model *m, stack **out, attn_kind kind, int64_t layers, int64_t width, err *e)
{
    stack *s = arena_alloc(m->arena_, 1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    *s = (stack){.kind = kind, .n_layer = (int)layers, .n_run = (int)layers, .width = width, .context = INT32_MAX,
                 .alibi_scale = 1};
    s->embed.scale = 1;
    s->embed.pad_id = -1;
    s->layers = arena_alloc(m->arena_, (size_t)layers, sizeof *s->layers, e);
    if (!s->layers)
        return ERR_RESOURCE;
    for (int l = 0; l < s->n_layer; l++) {
        model_layer *y = &s->layers[l];
        y->at_self.scale = y->at_cross.scale = y->at_mlp.scale = 1;
        y->self.plan.rope = y->cross.plan.rope = -1;
    }
    *out = s;
    return 0;
}

int config_check_attention(const attn_plan *p, err *e)
{
    if (p->n_head < 1 || p->n_kv_head < 1 || p->n_head % p->n_kv_head)
        return err_set(e, ERR_INPUT, "%d attention heads cannot share %d key/value heads evenly", p->n_head, p->n_kv_head);
    if (!(p->scale > 0 && isfinite(p->scale)))
        return err_set(e, ERR_INPUT, "attention scale is not a positive number");
    return 0;
}

/* The config of a layer list ("layer_types", "no_rope_layers"), which must have one entry a layer. */
int config_list(const json **out, const json *config, const char *key, int64_t n, err *e)
{
    const json *v = json_get(config, key);
    *out = NULL;
    if (!v || json_kind_of(v) == JSON_NULL_)
        return 0;
    if (json_kind_of(v) != JSON_LIST || json_count(v) != (size_t)n)
        return err_set(e, ERR_INPUT, "config.json: %s must be a list with one entry for each of %lld layers", key, (long long)n);
    *out = v;
    return 0;
}
