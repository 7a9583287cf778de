/* Fuzz target for configurations: the input is a config.json, put beside the weights of the small case of its family
 * (tests/families/; without one, of a very small llama), or a GGUF file with metadata and hardly a tensor.  Whatever it
 * says, it ends in a model, which is then described and, where it reads tokens, run, or in one message.
 *
 * How to build and run it: tests/fuzz_checkpoint.c.  The plain driver changes members as a whole (values, kinds,
 * members of other families) before it damages bytes. */
#include <dirent.h>

#include "base/mapfile.h"
#include "model/forward.h"
#include "tests/config_edit.h"
#include "tests/gguf_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDTH = 8, HIDDEN = 12, VOCAB = 6, HEAD = 4, CASES_MAX = 32 };

/* ---- weights ---- */

static void put_tensor(strbuf *header, size_t *at, const char *name, int64_t rows, int64_t columns)
{
    size_t bytes = 4 * (size_t)rows * (size_t)(columns ? columns : 1);
    strbuf_printf(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld", header->len > 1 ? "," : "", name, (long long)rows);
    if (columns)
        strbuf_printf(header, ",%lld", (long long)columns);
    strbuf_printf(header, "],\"data_offsets\":[%zu,%zu]}", *at, *at + bytes);
    *at += bytes;
}

/* A llama of two heads over one key/value head in one layer. */
static const strbuf *tiny_llama(void)
{
    static strbuf file;
    strbuf header = {0};
    size_t n = 0;
    if (file.len)
        return &file;
    strbuf_putc(&header, '{');
    put_tensor(&header, &n, "model.embed_tokens.weight", VOCAB, WIDTH);
    put_tensor(&header, &n, "model.norm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.input_layernorm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.post_attention_layernorm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.self_attn.q_proj.weight", WIDTH, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.k_proj.weight", HEAD, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.v_proj.weight", HEAD, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.o_proj.weight", WIDTH, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.gate_proj.weight", HIDDEN, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.up_proj.weight", HIDDEN, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.down_proj.weight", WIDTH, HIDDEN);
    strbuf_putc(&header, '}');
    put_safetensors(&file, strbuf_str(&header), n);
    for (size_t i = file.len - n; i < file.len; i++)
        file.s[i] = i % 4 == 3 ? 0x3d : (char)i; /* float32 numbers near 0.1 */
    strbuf_free(&header);
    return &file;
}

/* What the cases of tests/families/ hold, by model_type. */
static struct carried { char type[64]; char *bytes; size_t n; } carried[CASES_MAX];
static int n_carried = -1;

static void load_carried(void)
{
    char root[PATH_MAX], path[PATH_MAX + 300];
    const char *srcdir = getenv("srcdir");
    n_carried = 0;
    snprintf(root, sizeof root, "%s/tests/families", srcdir ? srcdir : ".");
    DIR *d = opendir(root);
    for (const struct dirent *entry; d && (entry = readdir(d)) && n_carried < CASES_MAX;) {
        struct carried *c = &carried[n_carried];
        json *config;
        snprintf(path, sizeof path, "%s/%s/config.json", root, entry->d_name);
        if (json_load(&config, path, 1 << 20, NULL))
            continue;
        const char *type = json_str(json_get(config, "model_type"), NULL);
        snprintf(c->type, sizeof c->type, "%s", type ? type : "");
        json_free(config);
        snprintf(path, sizeof path, "%s/%s/model.safetensors", root, entry->d_name);
        n_carried += read_file(&c->bytes, &c->n, path, 1 << 24, NULL) == 0;
    }
    if (d)
        closedir(d);
}

static int open_weights(checkpoint **c, const char *type, err *e)
{
    const strbuf *llama = tiny_llama();
    if (n_carried < 0)
        load_carried();
    for (int i = 0; type && i < n_carried; i++)
        if (strcmp(carried[i].type, type) == 0)
            return checkpoint_open_memory(c, carried[i].bytes, carried[i].n, "x.safetensors", e);
    return checkpoint_open_memory(c, llama->s, llama->len, "x.safetensors", e);
}

/* ---- the target ---- */

static void must_explain(const err *e)
{
    if (!e->msg[0] || (e->code != ERR_INPUT && e->code != ERR_RESOURCE)) {
        fprintf(stderr, "code %d: %s\n", e->code, e->msg);
        abort();
    }
}

static void run_two_tokens(const model *m)
{
    static const int32_t ids[] = {0, 1};
    runtime *r;
    err e = {0};
    if (runtime_new(&r, m, 1, PRECISION_F32, &e)) {
        must_explain(&e);
        return;
    }
    if (forward(r, &(model_input){.ids = ids, .n = 2}, NULL, NULL, &e))
        must_explain(&e);
    runtime_free(r);
}

static void use_model(checkpoint *c)
{
    static const attn_kind kinds[] = {ATTN_SELF, ATTN_ENCODER, ATTN_CROSS, ATTN_VISION};
    model *m;
    err e = {0};
    strbuf text = {0};
    if (model_from_checkpoint(&m, c, &e)) {
        must_explain(&e);
        return;
    }
    for (int i = 0; i < 4; i++) {
        const stack *s = model_stack(m, kinds[i]);
        for (int l = 0; s && l < s->n_layer; l++)
            model_describe_layer(m, kinds[i], l, &text);
    }
    strbuf_free(&text);
    if (m->needs == NEEDS_TOKENS && m->n_param < 1 << 20)
        run_two_tokens(m);
    model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    checkpoint *c = NULL;
    json *config;
    err e = {0};
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        if (checkpoint_open_memory(&c, data, size, "x.gguf", &e))
            must_explain(&e);
        else
            use_model(c);
        return 0;
    }
    if (json_parse(&config, (const char *)data, size, "config.json", &e)) {
        must_explain(&e);
        return 0;
    }
    if (open_weights(&c, json_str(json_get(config, "model_type"), NULL), &e))
        abort();
    c->config = config;
    use_model(c);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

static const char *const values[] = {
    "null", "true", "false", "0", "-1", "1", "2", "3", "4", "5", "8", "16", "0.5", "-0.5", "1e-30", "1e30", "1e308", "5e-324",
    "1024", "1025", "4096", "4097", "65536", "1048576", "2147483647", "2147483648", "9223372036854775807",
    "-9223372036854775808", "[]", "{}", "\"\"", "\"x\"", "\"linear\"", "\"yarn\"", "\"dynamic\"", "\"llama3\"", "\"longrope\"",
    "\"sliding_attention\"", "\"full_attention\"", "\"gelu\"", "\"silu\"", "[1,2]", "[\"full_attention\",\"sliding_attention\"]",
    "{\"rope_type\":\"yarn\",\"factor\":4.0}", "{\"rope_type\":\"linear\",\"factor\":2}",
    "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":8}",
};
enum { VALUES = sizeof values / sizeof *values, PARSED_MAX = 200 };

static json *parsed[PARSED_MAX]; /* the seeds that are JSON */
static int n_parsed;

static size_t count_values(const json *v)
{
    void *it = NULL;
    const char *key;
    const json *value;
    size_t n = 1;
    if (json_kind_of(v) == JSON_MAP)
        while (json_each(v, &it, &key, &value))
            n += count_values(value);
    for (size_t i = 0; json_kind_of(v) == JSON_LIST && i < json_count(v); i++)
        n += count_values(json_at(v, i));
    return n;
}

/* The k-th value of v, counted as they come. */
static const json *value_at(const json *v, size_t *k)
{
    void *it = NULL;
    const char *key;
    const json *value, *found = NULL;
    if ((*k)-- == 0)
        return v;
    if (json_kind_of(v) == JSON_MAP)
        while (!found && json_each(v, &it, &key, &value))
            found = value_at(value, k);
    for (size_t i = 0; !found && json_kind_of(v) == JSON_LIST && i < json_count(v); i++)
        found = value_at(json_at(v, i), k);
    return found;
}

static void put_any_value(strbuf *b)
{
    if (fuzz_below(4)) {
        strbuf_puts(b, values[fuzz_below(VALUES)]);
        return;
    }
    const json *other = parsed[fuzz_below((size_t)n_parsed)];
    size_t k = fuzz_below(count_values(other));
    put_json(b, value_at(other, &k));
}

/* A member of any seed, with its own value or another. */
static void put_any_member(strbuf *b)
{
    const json *other = parsed[fuzz_below((size_t)n_parsed)];
    void *it = NULL;
    const char *key;
    const json *value;
    size_t at = fuzz_below(json_count(other));
    while (json_each(other, &it, &key, &value) && at--)
        ;
    strbuf_put_json(b, key, strlen(key));
    strbuf_putc(b, ':');
    if (fuzz_below(2))
        put_json(b, value);
    else
        put_any_value(b);
}

/* v with each value changed at odds of 1 to `odds`. */
static void put_changed(strbuf *b, const json *v, size_t odds, bool top)
{
    void *it = NULL;
    const char *key, *mark = "";
    const json *value;
    if (!top && fuzz_below(odds) == 0) {
        put_any_value(b);
        return;
    }
    if (json_kind_of(v) == JSON_MAP) {
        strbuf_putc(b, '{');
        while (json_each(v, &it, &key, &value)) {
            bool kept = fuzz_below(2 * odds) > 0;
            if (!kept && fuzz_below(2))
                continue;
            strbuf_puts(b, mark);
            mark = ",";
            if (!kept && fuzz_below(2)) {
                put_any_member(b);
                continue;
            }
            strbuf_put_json(b, key, strlen(key));
            strbuf_putc(b, ':');
            put_changed(b, value, strcmp(key, "model_type") ? odds : 8 * odds, false);
        }
        strbuf_putc(b, '}');
    } else if (json_kind_of(v) == JSON_LIST) {
        strbuf_putc(b, '[');
        for (size_t i = 0; i < json_count(v); i++)
            if (fuzz_below(4 * odds)) {
                strbuf_puts(b, mark);
                put_changed(b, json_at(v, i), odds, false);
                mark = ",";
            }
        strbuf_putc(b, ']');
    } else {
        put_json(b, v);
    }
}

/* Metadata with a key spoilt or added. */
static void put_changed_gguf(strbuf *b)
{
    static const char *const suffixes[] = {
        "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base",
        "rope.scaling.factor", "attention.sliding_window", "expert_count", "expert_used_count", "vocab_size",
        "attention.layer_norm_epsilon", "leading_dense_block_count", "expert_group_count", "full_attention_interval",
    };
    static const uint32_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 32, 1024, 1025, 4096, 65536, 1u << 30, UINT32_MAX};
    const char *archs[64];
    size_t n = 0;
    for (const family *const *f = families; *f; f++)
        for (const char *const *arch = (*f)->gguf_archs; arch && *arch && n < 64; arch++)
            archs[n++] = *arch;
    int spoilt = (int)fuzz_below(META_KEYS + 4);
    const char *more = fuzz_below(2) ? suffixes[fuzz_below(sizeof suffixes / sizeof *suffixes)] : NULL;
    put_gguf_model(b, archs[fuzz_below(n)], spoilt < META_KEYS ? spoilt : -1, (spoil)fuzz_below(4), more,
                   numbers[fuzz_below(sizeof numbers / sizeof *numbers)]);
}

static void structured_runs(long runs)
{
    strbuf b = {0};
    for (long i = 0; i < runs; i++) {
        strbuf_clear(&b);
        if (fuzz_below(8) == 0)
            put_changed_gguf(&b);
        else
            put_changed(&b, parsed[fuzz_below((size_t)n_parsed)], 2 + fuzz_below(60), true);
        if (b.failed)
            abort();
        if (getenv("FUZZ_SAVE"))
            fuzz_save(&b);
        LLVMFuzzerTestOneInput((const uint8_t *)strbuf_str(&b), b.len);
    }
    strbuf_free(&b);
}

static void add_config(const char *text, size_t n)
{
    if (n_parsed < PARSED_MAX && json_parse(&parsed[n_parsed], text, n, "seed", NULL) == 0)
        n_parsed++;
}

/* The carried configurations, and the published ones line by line. */
static void own_seeds(void)
{
    static const char *const words[] = {
        "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0},", "\"rope_type\":\"llama3\"", "\"type\":\"linear\"",
        "\"model_type\":\"gpt2\"", "\"model_type\":\"mistral\"", "\"sliding_window\":4,", "\"head_dim\":4,", "null",
        "true", "false", "0", "-1", "1e308", "1e-320", "9223372036854775807", "2147483648", "0.5", "[]", "{}", "\"\"",
        "\"num_hidden_layers\":", "\"vocab_size\":", "\"layer_types\":[\"sliding_attention\"],", NULL,
    };
    static const char llama[] =
        "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":6,\"max_position_embeddings\":16,"
        "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true,"
        "\"attention_bias\":false,\"rope_scaling\":null}";
    const char *srcdir = getenv("srcdir");
    char path[PATH_MAX + 300], *text, *save = NULL;
    size_t n;
    fuzz_words = words;
    fuzz_seed_bytes(llama, strlen(llama));
    if (n_carried < 0)
        load_carried();
    snprintf(path, sizeof path, "%s/tests/families", srcdir ? srcdir : ".");
    DIR *d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        snprintf(path, sizeof path, "%s/tests/families/%s/config.json", srcdir ? srcdir : ".", entry->d_name);
        fuzz_seed_file(path);
    }
    if (d)
        closedir(d);
    snprintf(path, sizeof path, "%s/tests/families/published.jsonl", srcdir ? srcdir : ".");
    if (read_file(&text, &n, path, 1 << 20, NULL) == 0) {
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            json *row;
            if (fuzz_n_seed == FUZZ_MOST_SEEDS || json_parse(&row, line, strlen(line), "published.jsonl", NULL))
                continue;
            put_json(fuzz_seed(), json_get(row, "config"));
            json_free(row);
        }
        free(text);
    }
    for (const family *const *f = families; *f; f++)
        for (const char *const *arch = (*f)->gguf_archs; arch && *arch && fuzz_n_seed < FUZZ_MOST_SEEDS; arch++)
            put_gguf_model(fuzz_seed(), *arch, -1, LEFT_OUT, NULL, 0);
    for (int i = 0; i < fuzz_n_seed; i++)
        add_config(strbuf_str(&fuzz_seeds[i]), fuzz_seeds[i].len);
}

int main(int argc, char **argv)
{
    const char *runs = getenv("FUZZ_RUNS");
    own_seeds();
    structured_runs(runs ? atol(runs) : FUZZ_DEFAULT_RUNS);
    int rc = fuzz_main(argc, argv, "damaged configurations");
    for (int i = 0; i < n_parsed; i++)
        json_free(parsed[i]);
    for (int i = 0; i < n_carried; i++)
        free(carried[i].bytes);
    return rc;
}

#endif
