/* Reading metadata and writing the members of config.json. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/convert/hf.h"

/* ---- reading ---- */

bool hf_key(const hf_writer *w, const char *key)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", w->arch, key);
    return gguf_find(w->c->gguf, name) != NULL;
}

static int64_t read_int(hf_writer *w, const char *key, bool required, int64_t fallback)
{
    int64_t v = fallback;
    if (!w->rc)
        w->rc = meta_int(&v, w->c->gguf, w->arch, key, required, 0, INT32_MAX, w->e);
    return v;
}

int64_t hf_int(hf_writer *w, const char *key, int64_t fallback)
{
    return read_int(w, key, false, fallback);
}

int64_t hf_need(hf_writer *w, const char *key)
{
    int64_t v = read_int(w, key, true, 0);
    if (!w->rc && v == 0)
        w->rc = err_set(w->e, ERR_INPUT, "gguf: %s.%s is 0", w->arch, key);
    return v ? v : 1; /* a divisor in what follows, whose result is not used */
}

double hf_real(hf_writer *w, const char *key, double fallback)
{
    double v = fallback;
    if (!w->rc)
        w->rc = meta_real(&v, w->c->gguf, w->arch, key, false, -1e30, 1e30, w->e);
    return v;
}

bool hf_bool(hf_writer *w, const char *key, bool fallback)
{
    bool v = fallback;
    if (!w->rc)
        w->rc = meta_bool(&v, w->c->gguf, w->arch, key, w->e);
    return v;
}

int64_t hf_head_dim(hf_writer *w)
{
    int64_t width = hf_need(w, "embedding_length"), heads = hf_need(w, "attention.head_count");
    return hf_int(w, "attention.key_length", width / heads);
}

int64_t hf_vocab(hf_writer *w)
{
    const checkpoint_tensor *t = checkpoint_find(w->c, "token_embd.weight");
    if (!w->rc && (!t || t->t.n_dim != 2))
        w->rc = err_set(w->e, ERR_INPUT, t ? "token_embd.weight is no matrix" : "token_embd.weight is missing");
    return t ? t->t.shape[0] : 0;
}

/* ---- writing ---- */

/* Begin a member; false when there is one of that name: the first counts, so what is special goes first. */
static bool put_name(hf_writer *w, const char *name)
{
    char member[80];
    snprintf(member, sizeof member, "\n  \"%s\": ", name);
    if (strstr(strbuf_str(w->b), member))
        return false;
    if (w->b->len > 1)
        strbuf_putc(w->b, ',');
    strbuf_puts(w->b, member);
    return true;
}

void hf_put_int(hf_writer *w, const char *name, int64_t v)
{
    if (put_name(w, name))
        strbuf_printf(w->b, "%" PRId64, v);
}

void hf_put_number(strbuf *b, double v)
{
    char s[40];
    size_t at = b->len;
    if (v == (double)(float)v) { /* metadata is float32: the shortest text that is the same float */
        for (int digits = 1; digits <= 9; digits++) {
            snprintf(s, sizeof s, "%.*g", digits, v);
            if (strtof(s, NULL) == (float)v)
                break;
        }
        strbuf_puts(b, s);
    } else {
        strbuf_put_real(b, v);
    }
    if (!b->failed && strspn(b->s + at, "-0123456789") == b->len - at)
        strbuf_puts(b, ".0");
}

void hf_put_real(hf_writer *w, const char *name, double v)
{
    if (put_name(w, name))
        hf_put_number(w->b, v);
}

void hf_put_bool(hf_writer *w, const char *name, bool v)
{
    if (put_name(w, name))
        strbuf_puts(w->b, v ? "true" : "false");
}

void hf_put_text(hf_writer *w, const char *name, const char *v)
{
    if (put_name(w, name))
        strbuf_put_json(w->b, v, strlen(v));
}

void hf_put_raw(hf_writer *w, const char *name, const char *json_text)
{
    if (put_name(w, name))
        strbuf_puts(w->b, json_text);
}

void hf_put_null(hf_writer *w, const char *name)
{
    hf_put_raw(w, name, "null");
}

void hf_put_layers(hf_writer *w, const char *name, const char *yes, const char *no,
                   bool (*is)(int64_t layer, int64_t arg), int64_t arg)
{
    int64_t n = hf_need(w, "block_count");
    if (!put_name(w, name))
        return;
    strbuf_putc(w->b, '[');
    for (int64_t l = 0; l < n && !w->rc && !w->b->failed; l++)
        strbuf_printf(w->b, "%s\"%s\"", l ? ", " : "", is(l, arg) ? yes : no);
    strbuf_putc(w->b, ']');
}

void hf_put_token_ids(hf_writer *w)
{
    static const struct { const char *key, *name; } ids[] = {
        {"tokenizer.ggml.bos_token_id", "bos_token_id"},
        {"tokenizer.ggml.eos_token_id", "eos_token_id"},
        {"tokenizer.ggml.padding_token_id", "pad_token_id"},
    };
    int64_t id;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (gguf_int(&id, gguf_find(w->c->gguf, ids[i].key), 0) && id >= 0 && id < INT32_MAX)
            hf_put_int(w, ids[i].name, id);
        else
            hf_put_null(w, ids[i].name);
}

/* ---- RoPE ---- */

static void put_factors(strbuf *b, const char *name, const float *f, int64_t n)
{
    strbuf_printf(b, ", \"%s\": [", name);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            strbuf_puts(b, ", ");
        hf_put_number(b, (double)f[i]);
    }
    strbuf_putc(b, ']');
}

/* A tensor of factors as floats; *n 0 when there is none. */
static float *read_factors(hf_writer *w, const char *name, int64_t *n)
{
    const checkpoint_tensor *t = checkpoint_find(w->c, name);
    *n = 0;
    if (!t || w->rc)
        return NULL;
    if (t->t.n_dim != 1 || dtypes[t->t.type].block != 1 || !dtypes[t->t.type].to_f32 || t->t.shape[0] > 4096) {
        w->rc = err_set(w->e, ERR_INPUT, "%s is no vector of plain numbers", name);
        return NULL;
    }
    float *f = mem_array((size_t)t->t.shape[0], sizeof *f, w->e);
    if (!f) {
        w->rc = ERR_RESOURCE;
        return NULL;
    }
    dtypes[t->t.type].to_f32(f, t->t.data, t->t.shape[0]);
    *n = t->t.shape[0];
    return f;
}

/* Do factors follow the scaling of Llama 3 with these constants?  For a period of the original context times
 * 1/low .. 1/high the frequency goes smoothly from 1/factor to 1 times itself. */
static bool is_llama3(const float *f, int64_t n, double theta, double factor, double original)
{
    const double low = 1, high = 4;
    for (int64_t i = 0; i < n; i++) {
        double period = 2 * M_PI * pow(theta, (double)i / (double)n), expect = 1;
        if (period > original / low)
            expect = factor;
        else if (period > original / high) {
            double s = (original / period - low) / (high - low);
            expect = 1 / ((1 - s) / factor + s);
        }
        if (fabs((double)f[i] - expect) > 2e-6 * expect)
            return false;
    }
    return true;
}

/* rope_freqs: the converter's record of Llama 3's scaling, whose constants are found again by trying; any other
 * list is said as a longrope with one list for all lengths, which computes the same. */
static void put_rope_freqs(hf_writer *w, double theta, const float *f, int64_t n)
{
    double factor = 1;
    for (int64_t i = 0; i < n; i++)
        factor = (double)f[i] > factor ? (double)f[i] : factor;
    if (factor == 1)
        return;
    (void)put_name(w, "rope_scaling");
    for (int k = 4; k <= 24; k++)
        if (is_llama3(f, n, theta, factor, ldexp(1, k))) {
            strbuf_puts(w->b, "{\"rope_type\": \"llama3\", \"factor\": ");
            hf_put_number(w->b, factor);
            strbuf_printf(w->b, ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
                                "\"original_max_position_embeddings\": %.0f}", ldexp(1, k));
            return;
        }
    strbuf_printf(w->b, "{\"rope_type\": \"longrope\", \"attention_factor\": 1.0, "
                        "\"original_max_position_embeddings\": %" PRId64, hf_need(w, "context_length"));
    put_factors(w->b, "short_factor", f, n);
    put_factors(w->b, "long_factor", f, n);
    strbuf_putc(w->b, '}');
}

static void put_longrope(hf_writer *w, const float *l, int64_t n)
{
    int64_t n_short;
    float *s = read_factors(w, "rope_factors_short.weight", &n_short);
    if (s) {
        (void)put_name(w, "rope_scaling");
        strbuf_printf(w->b, "{\"rope_type\": \"longrope\", \"type\": \"longrope\"");
        put_factors(w->b, "short_factor", s, n_short);
        put_factors(w->b, "long_factor", l, n);
        strbuf_putc(w->b, '}');
    } else if (!w->rc) {
        w->rc = err_set(w->e, ERR_INPUT, "rope_factors_short.weight is missing beside rope_factors_long.weight");
    }
    free(s);
}

static void put_yarn(hf_writer *w, double factor)
{
    static const struct { const char *key, *name; } optional[] = {
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"},
    };
    int64_t original = hf_int(w, "rope.scaling.original_context_length", 0);
    (void)put_name(w, "rope_scaling");
    strbuf_puts(w->b, "{\"rope_type\": \"yarn\", \"factor\": ");
    hf_put_number(w->b, factor);
    if (original)
        strbuf_printf(w->b, ", \"original_max_position_embeddings\": %" PRId64, original);
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (hf_key(w, optional[i].key)) {
            strbuf_printf(w->b, ", \"%s\": ", optional[i].name);
            hf_put_number(w->b, hf_real(w, optional[i].key, 0));
        }
    if (hf_key(w, "rope.scaling.yarn_log_multiplier")) { /* 0.1 mscale_all_dim */
        double m = (double)(float)(hf_real(w, "rope.scaling.yarn_log_multiplier", 0) * 10);
        strbuf_puts(w->b, ", \"mscale\": ");
        hf_put_number(w->b, m);
        strbuf_puts(w->b, ", \"mscale_all_dim\": ");
        hf_put_number(w->b, m);
    }
    if (strcmp(w->arch, "gpt-oss") == 0)
        strbuf_puts(w->b, ", \"truncate\": false");
    strbuf_putc(w->b, '}');
}

void hf_put_rope(hf_writer *w, double default_theta)
{
    gguf_string type = {"", 0};
    char key[128];
    double theta = hf_real(w, "rope.freq_base", default_theta);
    double factor = hf_real(w, "rope.scaling.factor", hf_real(w, "rope.scale_linear", 0));
    int64_t n_freq, n_long;
    float *freqs = read_factors(w, "rope_freqs.weight", &n_freq);
    float *longer = read_factors(w, "rope_factors_long.weight", &n_long);

    hf_put_real(w, "rope_theta", theta);
    snprintf(key, sizeof key, "%s.rope.scaling.type", w->arch);
    gguf_text(&type, gguf_find(w->c->gguf, key));
    if (w->rc) {
    } else if (longer) {
        put_longrope(w, longer, n_long);
    } else if (freqs) {
        put_rope_freqs(w, theta, freqs, n_freq);
    } else if (type.len == 4 && memcmp(type.s, "yarn", 4) == 0) {
        put_yarn(w, factor);
    } else if (factor != 0 && factor != 1 && !(type.len == 4 && memcmp(type.s, "none", 4) == 0)) {
        (void)put_name(w, "rope_scaling");
        strbuf_puts(w->b, "{\"rope_type\": \"linear\", \"factor\": ");
        hf_put_number(w->b, factor);
        strbuf_putc(w->b, '}');
    }
    free(freqs);
    free(longer);
}
