/* Checkpoints written by other programs: small reference models of every family and their GGUF twins,
 * vocabularies, files that are broken on purpose, and a language model when it is at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>

#include "tests/checkpoint_bytes.h"

static checkpoint *opens(const char *path)
{
    checkpoint *c = NULL;
    err e = {0};
    if (checkpoint_open(&c, path, &e) != 0)
        fprintf(stderr, "refused: %s\n", e.msg);
    assert_non_null(c);
    return c;
}

/* ---- safetensors ---- */

static void test_safetensors_fixture(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char *bytes;
    size_t n;
    err e = {0};
    if (!shared_path(path, "fixtures/invalid-trailing-nul.safetensors"))
        skip();
    checkpoint *c;
    assert_int_equal(checkpoint_open(&c, path, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "trailing-nul.safetensors: 5 bytes after the last tensor belong to none"));
    assert_int_equal(read_file(&bytes, &n, path, 1 << 20, NULL), 0);
    opened o = open_bytes(bytes, n - 5, path);
    assert_non_null(o.c);
    assert_int_equal(checkpoint_find(o.c, "test.weight.0")->t.shape[1], 128);
    close_bytes(&o);
    free(bytes);
}

static void has(const checkpoint *c, const char *name, int64_t rows, int64_t columns)
{
    const checkpoint_tensor *t = checkpoint_find(c, name);
    assert_non_null(t);
    assert_int_equal(t->t.type, DT_F32);
    assert_int_equal(t->t.n_dim, columns ? 2 : 1);
    assert_int_equal(t->t.shape[0], rows);
    if (columns)
        assert_int_equal(t->t.shape[1], columns);
    assert_int_equal(t->t.bytes, 4 * rows * (columns ? columns : 1));
}

static void test_golden(void **state)
{
    (void)state;
    char path[PATH_MAX];
    if (!shared_path(path, "golden/llama"))
        skip();
    checkpoint *c = opens(path);
    assert_int_equal(c->n_tensor, 30);
    has(c, "model.embed_tokens.weight", 320, 48);
    has(c, "lm_head.weight", 320, 48);
    has(c, "model.norm.weight", 48, 0);
    for (int i = 0; i < 3; i++) {
        static const struct { const char *name; int rows, columns; } parts[] = {
            {"input_layernorm", 48, 0}, {"post_attention_layernorm", 48, 0}, {"self_attn.q_proj", 48, 48},
            {"self_attn.k_proj", 24, 48}, {"self_attn.v_proj", 24, 48}, {"self_attn.o_proj", 48, 48},
            {"mlp.gate_proj", 96, 48}, {"mlp.up_proj", 96, 48}, {"mlp.down_proj", 48, 96},
        };
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            char name[96];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, parts[k].name);
            has(c, name, parts[k].rows, parts[k].columns);
        }
    }
    assert_string_equal(json_str(json_get(c->config, "model_type"), NULL), "llama");
    checkpoint_close(c);

    c = opens(shared_path(path, "golden/gpt2"));
    assert_int_equal(c->n_tensor, 40);
    has(c, "transformer.wte.weight", 320, 48);
    has(c, "transformer.wpe.weight", 256, 48);
    has(c, "transformer.h.2.attn.c_attn.weight", 48, 144);
    has(c, "transformer.h.0.mlp.c_proj.weight", 192, 48);
    has(c, "transformer.ln_f.bias", 48, 0);
    checkpoint_close(c);
}

/* Every reference model opens, and so does its twin. */
static void test_every_golden(void **state)
{
    (void)state;
    char root[PATH_MAX], path[PATH_MAX + 300];
    int n = 0, twins = 0;
    if (!shared_path(root, "golden"))
        skip();
    DIR *d = opendir(root);
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s/model.safetensors", root, entry->d_name);
        if (access(path, R_OK) != 0)
            continue;
        checkpoint *c = opens(path);
        assert_true(c->n_tensor > 5);
        touch_all(c);
        checkpoint_close(c);
        n++;
        snprintf(path, sizeof path, "%s/%s/model-f32.gguf", root, entry->d_name);
        if (access(path, R_OK) != 0)
            continue;
        c = opens(path);
        assert_true(c->n_tensor > 5);
        touch_all(c);
        checkpoint_close(c);
        twins++;
    }
    closedir(d);
    assert_true(n >= 60 && twins >= 20);
}

/* ---- GGUF ---- */

static void test_gguf_fixtures(void **state)
{
    (void)state;
    char path[PATH_MAX];
    checkpoint *c;
    err e = {0};
    gguf_string s;
    if (!shared_path(path, "fixtures/valid-no-tensors.gguf"))
        skip();
    assert_int_equal(checkpoint_open(&c, path, &e), 0);
    assert_int_equal(c->n_tensor, 0);
    assert_true(gguf_text(&s, gguf_find(c->gguf, "general.architecture")));
    assert_true(s.len == 5 && memcmp(s.s, "llama", 5) == 0);
    checkpoint_close(c);

    shared_path(path, "fixtures/invalid-truncated.gguf");
    assert_int_equal(checkpoint_open(&c, path, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "truncated.gguf: tensor \"test.weight.0\" of 32768 bytes runs past"));

    static const struct { const char *file, *model; uint64_t tokens; } vocabularies[] = {
        {"gpt-2", "gpt2", 50257}, {"mpt", "gpt2", 50432}, {"starcoder", "gpt2", 49152},
        {"llama-spm", "llama", 32000}, {"phi-3", "llama", 32064}, {"bert-bge", "bert", 30522},
    };
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
        char name[64];
        snprintf(name, sizeof name, "fixtures/vocab/%s.gguf", vocabularies[i].file);
        assert_non_null(shared_path(path, name));
        assert_int_equal(checkpoint_open(&c, path, &e), 0);
        assert_true(gguf_text(&s, gguf_find(c->gguf, "tokenizer.ggml.model")));
        assert_int_equal(s.len, strlen(vocabularies[i].model));
        assert_memory_equal(s.s, vocabularies[i].model, s.len);
        assert_int_equal(gguf_find(c->gguf, "tokenizer.ggml.tokens")->count, vocabularies[i].tokens);
        touch_all(c);
        checkpoint_close(c);
    }
}

static void test_gguf_twin(void **state)
{
    (void)state;
    char path[PATH_MAX];
    checkpoint *g, *h;
    err e = {0};
    int64_t layers;
    if (!shared_path(path, "golden/llama/model-f32.gguf"))
        skip();
    assert_int_equal(checkpoint_open(&g, path, &e), 0);
    assert_int_equal(checkpoint_open(&h, shared_path(path, "golden/llama"), &e), 0);
    assert_true(gguf_int(&layers, gguf_find(g->gguf, "llama.block_count"), 0));
    assert_int_equal(layers, 3);
    assert_null(g->config);
    assert_null(g->directory);
    assert_string_equal(h->reader->name, "safetensors"); /* preferred in a directory that has both */

    /* the embedding is the same matrix in both files; rows are outputs */
    const tensor *a = &checkpoint_find(g, "token_embd.weight")->t;
    const tensor *b = &checkpoint_find(h, "model.embed_tokens.weight")->t;
    assert_int_equal(a->n_dim, 2);
    assert_int_equal(a->shape[0], 320);
    assert_int_equal(a->shape[1], 48);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
    const tensor *k = &checkpoint_find(g, "blk.2.attn_k.weight")->t;
    assert_int_equal(k->shape[0], 24);
    assert_int_equal(k->shape[1], 48);
    checkpoint_close(h);
    checkpoint_close(g);
}

static void test_smollm2(void **state)
{
    (void)state;
    const char *path = getenv("ATTNSCOPE_SMOLLM2"), *srcdir = getenv("srcdir");
    char beside[PATH_MAX];
    checkpoint *c;
    err e = {0};
    int64_t v;
    double r;
    if (!path) {
        snprintf(beside, sizeof beside, "%s/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf",
                 srcdir ? srcdir : ".");
        path = beside;
    }
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "%s is not here\n", path);
        skip();
    }
    assert_int_equal(checkpoint_open(&c, path, &e), 0);
    assert_int_equal(c->n_tensor, 272);
    assert_int_equal(gguf_count(c->gguf), 33);
    assert_true(gguf_int(&v, gguf_find(c->gguf, "llama.block_count"), 0) && v == 30);
    assert_true(gguf_int(&v, gguf_find(c->gguf, "llama.attention.head_count"), 0) && v == 9);
    assert_true(gguf_int(&v, gguf_find(c->gguf, "llama.attention.head_count_kv"), 0) && v == 3);
    assert_true(gguf_real(&r, gguf_find(c->gguf, "llama.rope.freq_base"), 0) && r == 100000);
    int n_q4_1 = 0, n_f32 = 0, n_q8_0 = 0;
    for (int i = 0; i < c->n_tensor; i++) {
        n_q4_1 += c->tensors[i].t.type == DT_Q4_1;
        n_f32 += c->tensors[i].t.type == DT_F32;
        n_q8_0 += c->tensors[i].t.type == DT_Q8_0;
    }
    assert_int_equal(n_q4_1 + n_f32 + n_q8_0, c->n_tensor);
    assert_int_equal(n_q8_0, 1);
    const tensor *t = &checkpoint_find(c, "blk.29.attn_k.weight")->t;
    assert_int_equal(t->shape[0], 192);
    assert_int_equal(t->shape[1], 576);
    t = &checkpoint_find(c, "token_embd.weight")->t;
    assert_int_equal(t->shape[0], 49152);
    assert_int_equal(t->shape[1], 576);
    checkpoint_close(c);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_fixture),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_golden),
        cmocka_unit_test(test_gguf_fixtures),
        cmocka_unit_test(test_gguf_twin),
        cmocka_unit_test(test_smollm2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
