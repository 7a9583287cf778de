/* convert: names, layouts and rounding of what is written, and that nothing is left behind otherwise. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <math.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "model/convert/convert.h"
#include "tests/checkpoint_bytes.h"
#include "tests/test_base_folder.h"

static const convert_options as_stored = {.keep = true, .shard_bytes = 1 << 30};

/* ---- a GGUF in the making: value i of a tensor is base + i ---- */

enum { MOST = 24 };
typedef struct gguf_tensor { const char *name; uint32_t n_dim; uint64_t dims[3]; float base; } gguf_tensor;
typedef struct gguf_key { const char *key; double v; bool real; } gguf_key;

static opened make_gguf(const char *arch, const gguf_key *keys, const gguf_tensor *tensors)
{
    strbuf b = {0};
    uint64_t n_key = 0, n_tensor = 0, at = 0;
    char name[128];
    while (keys[n_key].key)
        n_key++;
    while (tensors[n_tensor].name)
        n_tensor++;
    put_gguf_header(&b, 3, n_tensor, n_key + 1);
    put_kv_string(&b, "general.architecture", arch);
    for (uint64_t i = 0; i < n_key; i++) {
        snprintf(name, sizeof name, "%s.%s", arch, keys[i].key);
        put_key(&b, name, keys[i].real ? GGUF_F32 : GGUF_U32);
        float f = (float)keys[i].v;
        uint32_t u = (uint32_t)keys[i].v;
        strbuf_add(&b, keys[i].real ? (void *)&f : (void *)&u, 4);
    }
    for (int write = 0; write < 2; write++) {
        for (uint64_t i = 0; i < n_tensor; i++) {
            const gguf_tensor *t = &tensors[i];
            uint64_t n = 1;
            for (uint32_t d = 0; d < t->n_dim; d++)
                n *= t->dims[d];
            if (!write) {
                put_tensor_info(&b, t->name, t->n_dim, t->dims, 0, at);
                at += (4 * n + 31) / 32 * 32;
                continue;
            }
            for (uint64_t k = 0; k < n; k++) {
                float f = t->base + (float)k;
                strbuf_add(&b, &f, sizeof f);
            }
            put_padding(&b, 32);
        }
        put_padding(&b, 32);
    }
    opened o = open_bytes(b.s, b.len, "x.gguf");
    strbuf_free(&b);
    if (!o.c)
        fail_msg("%s", o.e.msg);
    return o;
}

static checkpoint *convert_and_open(opened *o, const convert_options *with)
{
    err e = {0};
    checkpoint *c = NULL;
    convert_report r;
    if (convert_checkpoint(o->c, in_folder("out"), with, NULL, &r, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(entries(folder), 1);
    if (checkpoint_open(&c, in_folder("out"), &e))
        fail_msg("%s", e.msg);
    close_bytes(o);
    return c;
}

static void expect_tensor(const checkpoint *c, const char *name, const char *shape, int64_t n, const float *want)
{
    const checkpoint_tensor *t = checkpoint_find(c, name);
    char text[64] = "";
    float have[256];
    if (!t)
        fail_msg("no tensor %s", name);
    for (int d = 0; d < t->t.n_dim; d++)
        snprintf(text + strlen(text), sizeof text - strlen(text), d ? " %d" : "%d", (int)t->t.shape[d]);
    assert_string_equal(text, shape);
    assert_true(n <= 256 && dtypes[t->t.type].to_f32);
    assert_int_equal(t->t.bytes, (size_t)n * (size_t)dtypes[t->t.type].block_bytes);
    dtypes[t->t.type].to_f32(have, t->t.data, n);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&have[i], &want[i], sizeof *want) != 0)
            fail_msg("%s[%d] is %g, not %g", name, (int)i, (double)have[i], (double)want[i]);
}

#define EXPECT(c, name, shape, ...) \
    expect_tensor(c, name, shape, sizeof((float[]){__VA_ARGS__}) / sizeof(float), (float[]){__VA_ARGS__})

static int64_t config_number(const checkpoint *c, const char *key)
{
    int64_t v = -1;
    assert_true(json_int(&v, json_get(c->config, key)));
    return v;
}

/* ---- from GGUF ---- */

#define SIZES(layers) {"block_count", layers, false}, {"context_length", 16, false}, {"embedding_length", 4, false}, \
    {"feed_forward_length", 2, false}, {"attention.head_count", 1, false}

static void llama_gets_its_halves_back(void **state)
{
    static const gguf_key keys[] = {SIZES(1), {"attention.layer_norm_rms_epsilon", 1e-5, true}, {0}};
    static const gguf_tensor tensors[] = {
        {"token_embd.weight", 2, {4, 2}, 0}, {"output_norm.weight", 1, {4}, 1},
        {"blk.0.attn_q.weight", 2, {4, 4}, 0}, {"blk.0.attn_q.bias", 1, {4}, 0},
        {"blk.0.attn_k.weight", 2, {4, 4}, 100}, {"blk.0.attn_output.bias", 1, {4}, 7}, {0}};
    opened o = make_gguf("llama", keys, tensors);
    checkpoint *c = convert_and_open(&o, &as_stored);
    bool tied = false, bias = false;
    double eps = 0;
    (void)state;
    /* rows 0 1 2 3 were stored for halves (0, 2), (1, 3) */
    EXPECT(c, "model.layers.0.self_attn.q_proj.weight", "4 4", 0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15);
    EXPECT(c, "model.layers.0.self_attn.q_proj.bias", "4", 0, 2, 1, 3);
    EXPECT(c, "model.layers.0.self_attn.o_proj.bias", "4", 7, 8, 9, 10);
    EXPECT(c, "model.norm.weight", "4", 1, 2, 3, 4);
    EXPECT(c, "model.embed_tokens.weight", "2 4", 0, 1, 2, 3, 4, 5, 6, 7);
    assert_string_equal(json_str(json_get(c->config, "model_type"), NULL), "llama");
    assert_string_equal(json_str(json_get(c->config, "torch_dtype"), NULL), "float32");
    assert_int_equal(config_number(c, "hidden_size"), 4);
    assert_int_equal(config_number(c, "vocab_size"), 2);
    assert_int_equal(config_number(c, "num_key_value_heads"), 1);
    assert_true(json_bool(&tied, json_get(c->config, "tie_word_embeddings")) && tied);
    assert_true(json_bool(&bias, json_get(c->config, "attention_bias")) && bias);
    assert_true(json_real(&eps, json_get(c->config, "rms_norm_eps")));
    assert_true(eps == 1e-5); /* not the float32 next to it */
    checkpoint_close(c);
}

static void gpt2_is_transposed(void **state)
{
    static const gguf_key keys[] = {SIZES(1), {0}};
    static const gguf_tensor tensors[] = {
        {"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.ffn_up.weight", 2, {2, 3}, 0}, {"blk.0.ffn_up.bias", 1, {3}, 5},
        {0}};
    opened o = make_gguf("gpt2", keys, tensors);
    checkpoint *c = convert_and_open(&o, &as_stored);
    (void)state;
    EXPECT(c, "transformer.h.0.mlp.c_fc.weight", "2 3", 0, 2, 4, 1, 3, 5);
    EXPECT(c, "transformer.h.0.mlp.c_fc.bias", "3", 5, 6, 7);
    checkpoint_close(c);
}

static void falcon_groups_heads_with_their_keys(void **state)
{
    /* 4 heads over 2 key/value heads of width 1: q0 q1 q2 q3 k0 k1 v0 v1 -> q0 q1 k0 v0 q2 q3 k1 v1 */
    static const gguf_key keys[] = {{"block_count", 1, false}, {"context_length", 16, false},
        {"embedding_length", 4, false}, {"attention.head_count", 4, false}, {"attention.head_count_kv", 2, false}, {0}};
    static const gguf_tensor tensors[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.attn_qkv.bias", 1, {8}, 0},
        {"blk.0.attn_norm_2.weight", 1, {4}, 0}, {0}};
    opened o = make_gguf("falcon", keys, tensors);
    checkpoint *c = convert_and_open(&o, &as_stored);
    (void)state;
    EXPECT(c, "transformer.h.0.self_attention.query_key_value.bias", "8", 0, 1, 4, 6, 2, 3, 5, 7);
    checkpoint_close(c);
}

static void experts_and_norms(void **state)
{
    static const gguf_key moe[] = {SIZES(1), {"expert_count", 2, false}, {"expert_used_count", 1, false}, {0}};
    static const gguf_tensor experts[] = {
        {"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.ffn_gate_inp.weight", 2, {4, 2}, 0},
        {"blk.0.ffn_down_exps.weight", 3, {2, 2, 2}, 0}, {0}};
    static const gguf_key sizes[] = {SIZES(1), {0}};
    static const gguf_tensor norms[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.attn_norm.weight", 1, {4}, 1},
        {0}};
    opened o = make_gguf("llama", moe, experts);
    checkpoint *c = convert_and_open(&o, &as_stored);
    (void)state;
    assert_string_equal(json_str(json_get(c->config, "model_type"), NULL), "mixtral");
    EXPECT(c, "model.layers.0.block_sparse_moe.experts.0.w2.weight", "2 2", 0, 1, 2, 3);
    EXPECT(c, "model.layers.0.block_sparse_moe.experts.1.w2.weight", "2 2", 4, 5, 6, 7);
    checkpoint_close(c);
    remove_tree(in_folder("out"));
    o = make_gguf("gemma", sizes, norms);
    c = convert_and_open(&o, &as_stored);
    EXPECT(c, "model.layers.0.input_layernorm.weight", "4", 0, 1, 2, 3);
    checkpoint_close(c);
}

static void gpt_oss_joins_gate_and_up(void **state)
{
    static const gguf_key keys[] = {SIZES(1), {"expert_count", 1, false}, {"expert_used_count", 1, false}, {0}};
    static const gguf_tensor tensors[] = {
        {"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.ffn_gate_exps.weight", 3, {3, 2, 1}, 0},
        {"blk.0.ffn_up_exps.weight", 3, {3, 2, 1}, 10}, {"blk.0.ffn_gate_exps.bias", 2, {2, 1}, 0},
        {"blk.0.ffn_up_exps.bias", 2, {2, 1}, 10}, {0}};
    opened o = make_gguf("gpt-oss", keys, tensors);
    checkpoint *c = convert_and_open(&o, &as_stored);
    (void)state;
    EXPECT(c, "model.layers.0.mlp.experts.gate_up_proj", "1 3 4", 0, 10, 3, 13, 1, 11, 4, 14, 2, 12, 5, 15);
    EXPECT(c, "model.layers.0.mlp.experts.gate_up_proj_bias", "1 4", 0, 10, 1, 11);
    checkpoint_close(c);
}

static void expect_refusal(opened *o, const convert_options *with, int code, const char *words)
{
    err e = {0};
    int before = entries(folder);
    assert_int_equal(convert_checkpoint(o->c, in_folder("out"), with, NULL, NULL, &e), code);
    if (!strstr(e.msg, words))
        fail_msg("'%s' is not in: %s", words, e.msg);
    assert_int_equal(entries(folder), before);
    close_bytes(o);
}

static void what_has_no_place_is_refused(void **state)
{
    static const gguf_key keys[] = {SIZES(1), {0}}, two[] = {SIZES(2), {0}};
    static const gguf_tensor other[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.strange.weight", 1, {4}, 0}, {0}};
    static const gguf_tensor odd[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.attn_q.weight", 2, {4, 3}, 0}, {0}};
    static const gguf_tensor plain[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"blk.0.attn_v.weight", 2, {4, 4}, 0}, {0}};
    opened o = make_gguf("mamba", keys, plain);
    (void)state;
    expect_refusal(&o, &as_stored, ERR_INPUT, "architecture \"mamba\" cannot be converted");
    o = make_gguf("llama", keys, other);
    expect_refusal(&o, &as_stored, ERR_INPUT, "tensor \"blk.0.strange.weight\" has no place in a llama");
    o = make_gguf("llama", keys, odd);
    expect_refusal(&o, &as_stored, ERR_INPUT, "does not hold whole heads");
    o = make_gguf("llama", two, plain);
    expect_refusal(&o, &as_stored, ERR_INPUT, "layer 1 of 2 has no tensors");
}

/* ---- rounding, files ---- */

/* A directory with n float32 values as one tensor "x". */
static checkpoint *make_plain(const float *v, size_t n)
{
    strbuf b = {0};
    char header[200];
    err e = {0};
    checkpoint *c = NULL;
    snprintf(header, sizeof header,
             "{\"x\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", n, 4 * n);
    mkdir(in_folder("in"), 0777);
    put_safetensors(&b, header, 0);
    strbuf_add(&b, v, 4 * n);
    write_bytes(in_folder("in/model.safetensors"), b.s, b.len);
    strbuf_free(&b);
    static const char config[] = "{\"model_type\":\"m\",\"eps\":1e-05,\"one\":1.0,\"n\":3,"
                                 "\"deep\":{\"a\":[1,\"\\u00e9\",null]},"
                                 "\"torch_dtype\":\"float32\"}";
    write_bytes(in_folder("in/config.json"), config, sizeof config - 1);
    write_bytes(in_folder("in/tokenizer.json"), "{}", 2);
    write_bytes(in_folder("in/unrelated.txt"), "x", 1);
    if (checkpoint_open(&c, in_folder("in"), &e))
        fail_msg("%s", e.msg);
    return c;
}

static void rounding_is_to_nearest_even(void **state)
{
    /* values, and the nearest halves and bfloat16s */
    static const float v[] = {1, 1 + 0x1p-11f, 1 + 0x1.8p-10f, 65519.996f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.004p-14f,
                              -0x1.ffcp-15f, 0.1f, -0.0f, INFINITY, 1 + 0x1p-8f, 1 + 0x1.8p-7f};
    static const float half[] = {1, 1, 1 + 0x1p-9f, 65504, 0x1p-24f, 0, 0x1p-24f, 0x1.004p-14f, -0x1.ff8p-15f,
                                 0x1.998p-4f, -0.0f, INFINITY, 1 + 0x1p-8f, 1 + 0x1.8p-7f};
    static const float brain[] = {1, 1, 1, 65536, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1p-14f, -0x1p-14f, 0x1.9ap-4f,
                                  -0.0f, INFINITY, 1, 1 + 0x1p-6f};
    enum { N = sizeof v / sizeof *v };
    checkpoint *in = make_plain(v, N), *c = NULL;
    convert_options o = {.type = DT_F16, .shard_bytes = 1 << 20};
    err e = {0};
    (void)state;
    assert_int_equal(convert_checkpoint(in, in_folder("half"), &o, NULL, NULL, &e), 0);
    assert_int_equal(checkpoint_open(&c, in_folder("half"), &e), 0);
    float want[N];
    memcpy(want, half, sizeof want);
    want[8] = -0x1p-14f; /* 0x1.ffcp-15 lies between 0x1.ff8p-15 and 0x1p-14: a tie, to the even one */
    expect_tensor(c, "x", "14", N, want);
    assert_string_equal(json_str(json_get(c->config, "torch_dtype"), NULL), "float16");
    checkpoint_close(c);
    o.type = DT_BF16;
    assert_int_equal(convert_checkpoint(in, in_folder("brain"), &o, NULL, NULL, &e), 0);
    assert_int_equal(checkpoint_open(&c, in_folder("brain"), &e), 0);
    expect_tensor(c, "x", "14", N, brain);
    checkpoint_close(c);
    checkpoint_close(in);
}

static void side_files_come_along(void **state)
{
    static const float v[] = {1, 2};
    checkpoint *in = make_plain(v, 2), *c = NULL;
    err e = {0};
    double eps;
    int64_t n;
    (void)state;
    assert_int_equal(convert_checkpoint(in, in_folder("out/"), &as_stored, NULL, NULL, &e), 0);
    assert_int_equal(entries(in_folder("out")), 3); /* config, tokenizer, tensors */
    assert_int_equal(checkpoint_open(&c, in_folder("out"), &e), 0);
    assert_true(json_real(&eps, json_get(c->config, "eps")));
    assert_true(eps == 1e-05);
    assert_int_equal(json_kind_of(json_get(c->config, "one")), JSON_REAL);
    assert_true(json_int(&n, json_at(json_get(json_get(c->config, "deep"), "a"), 0)));
    assert_string_equal(json_str(json_at(json_get(json_get(c->config, "deep"), "a"), 1), NULL), "\xc3\xa9");
    expect_tensor(c, "x", "2", 2, v);
    checkpoint_close(c);
    checkpoint_close(in);
}

static void failures_leave_nothing(void **state)
{
    static const float v[] = {1, 65520, 3};
    checkpoint *in = make_plain(v, 3);
    convert_options half = {.type = DT_F16, .shard_bytes = 1 << 20};
    convert_options force = {.keep = true, .shard_bytes = 1, .replace = true};
    err e = {0};
    (void)state;
    assert_int_equal(convert_checkpoint(in, in_folder("out"), &half, NULL, NULL, &e), ERR_FAILED);
    assert_string_equal(e.msg, "tensor \"x\" holds 65520, beyond the range of float16 (65504)");
    assert_non_null(strstr(e.hint, "bf16"));
    assert_int_equal(entries(folder), 1);
    cancel_request();
    assert_int_equal(convert_checkpoint(in, in_folder("out"), &as_stored, NULL, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(entries(folder), 1);
    for (long nth = 1; nth < 60; nth++) {
        mem_fail_at(nth);
        int rc = convert_checkpoint(in, in_folder("out"), &as_stored, NULL, NULL, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_RESOURCE);
        assert_int_equal(entries(folder), rc == 0 ? 2 : 1);
        remove_tree(in_folder("out"));
    }
    /* what exists stays, unless it is a model and may be replaced */
    assert_int_equal(convert_checkpoint(in, in_folder("in"), &force, NULL, NULL, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "is the model that is converted"));
    mkdir(in_folder("other"), 0777);
    write_bytes(in_folder("other/precious"), "x", 1);
    assert_int_equal(convert_checkpoint(in, in_folder("other"), &as_stored, NULL, NULL, &e), ERR_FAILED);
    assert_non_null(strstr(e.hint, "--force"));
    assert_int_equal(convert_checkpoint(in, in_folder("other"), &force, NULL, NULL, &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "is no model directory"));
    write_bytes(in_folder("other/config.json"), "{}", 2);
    assert_int_equal(convert_checkpoint(in, in_folder("other"), &force, NULL, NULL, &e), 0);
    assert_int_equal(entries(in_folder("other")), 3);
    assert_int_equal(entries(folder), 2);
    checkpoint_close(in);
}

static void shards_have_an_index(void **state)
{
    static const gguf_key keys[] = {SIZES(1), {0}};
    static const gguf_tensor tensors[] = {{"token_embd.weight", 2, {4, 2}, 0}, {"output_norm.weight", 1, {4}, 1},
        {"blk.0.attn_norm.weight", 1, {4}, 5}, {"blk.0.ffn_norm.weight", 1, {4}, 9}, {0}};
    convert_options o = {.keep = true, .shard_bytes = 32};
    opened in = make_gguf("qwen2", keys, tensors);
    checkpoint *c = convert_and_open(&in, &o); /* opening checks index against shards */
    (void)state;
    assert_int_equal(c->n_file, 3); /* 32, 16 + 16, 16 bytes */
    EXPECT(c, "model.layers.0.post_attention_layernorm.weight", "4", 9, 10, 11, 12);
    checkpoint_close(c);
}

/* ---- the shared models: their GGUF twins become what they were ---- */

static const char *shared_golden(void)
{
    static char path[4096];
    const char *shared = getenv("ATTNSCOPE_SHARED"), *src = getenv("srcdir");
    if (shared)
        snprintf(path, sizeof path, "%s/golden", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/golden", src ? src : ".");
    return access(path, R_OK) == 0 ? path : NULL;
}

/* Norms that the twin holds plus one come back to the last bit of that sum. */
static void compare_tensor(const char *model, const checkpoint_tensor *a, const checkpoint_tensor *b)
{
    size_t n = a->t.bytes / sizeof(float);
    assert_int_equal(a->t.bytes, b->t.bytes);
    assert_int_equal(a->t.n_dim, b->t.n_dim);
    assert_memory_equal(a->t.shape, b->t.shape, (size_t)a->t.n_dim * sizeof *a->t.shape);
    for (size_t i = 0; i < n; i++) {
        float x, y;
        memcpy(&x, (const char *)a->t.data + 4 * i, 4);
        memcpy(&y, (const char *)b->t.data + 4 * i, 4);
        if (memcmp(&x, &y, 4) != 0 && !(strstr(a->name, "norm") && x + 1 == y + 1))
            fail_msg("%s: %s[%zu] is %a, not %a", model, a->name, i, (double)y, (double)x);
    }
}

static void twins_become_what_they_were(void **state)
{
    const char *golden = shared_golden();
    struct dirent **names = NULL;
    int n = golden ? scandir(golden, &names, NULL, alphasort) : 0, done = 0;
    (void)state;
    if (n <= 0) {
        print_message("no shared models\n");
        skip();
    }
    for (int i = 0; i < n; i++) {
        char gguf[8192], original[8192];
        err e = {0};
        checkpoint *a = NULL, *b = NULL, *c = NULL;
        const char *model = names[i]->d_name;
        snprintf(gguf, sizeof gguf, "%s/%s/model-f32.gguf", golden, model);
        snprintf(original, sizeof original, "%s/%s/model.safetensors", golden, model);
        if (access(gguf, R_OK) == 0) {
            if (checkpoint_open(&b, gguf, &e) || convert_checkpoint(b, in_folder("out"), &as_stored, NULL, NULL, &e) ||
                checkpoint_open(&c, in_folder("out"), &e) || checkpoint_open(&a, original, &e))
                fail_msg("%s: %s", model, e.msg);
            for (int k = 0; k < c->n_tensor; k++) {
                const checkpoint_tensor *t = checkpoint_find(a, c->tensors[k].name);
                if (!t)
                    fail_msg("%s: %s is no tensor of the original", model, c->tensors[k].name);
                compare_tensor(model, t, &c->tensors[k]);
            }
            /* The twins of encoders lack the head. */
            bool head = strstr(model, "bert") != NULL;
            assert_true(head ? c->n_tensor <= a->n_tensor : c->n_tensor == a->n_tensor);
            checkpoint_close(a);
            checkpoint_close(b);
            checkpoint_close(c);
            remove_tree(in_folder("out"));
            done++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(done >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(llama_gets_its_halves_back),
        FILE_TEST(gpt2_is_transposed),
        FILE_TEST(falcon_groups_heads_with_their_keys),
        FILE_TEST(experts_and_norms),
        FILE_TEST(gpt_oss_joins_gate_and_up),
        FILE_TEST(what_has_no_place_is_refused),
        FILE_TEST(rounding_is_to_nearest_even),
        FILE_TEST(side_files_come_along),
        FILE_TEST(failures_leave_nothing),
        FILE_TEST(shards_have_an_index),
        FILE_TEST(twins_become_what_they_were),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
