/* llama2.c's model files, both layouts, written here byte by byte; and the real one where it is at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/llama2c_bytes.h"

static int64_t config_int(const checkpoint *c, const char *key)
{
    int64_t v = -1;
    assert_true(json_int(&v, json_get(c->config, key)));
    return v;
}

/* A tensor's shape, and its first element: mark plus the elements before it in its part. */
static void has(const checkpoint *c, const char *name, int64_t rows, int64_t columns, int mark, int before)
{
    const checkpoint_tensor *t = checkpoint_find(c, name);
    float first;
    if (!t)
        fprintf(stderr, "no %s\n", name);
    assert_non_null(t);
    assert_int_equal(t->t.n_dim, columns ? 2 : 1);
    assert_int_equal(t->t.shape[0], rows);
    if (columns)
        assert_int_equal(t->t.shape[1], columns);
    memcpy(&first, t->t.data, sizeof first);
    assert_true(first == (float)mark + (float)before / 1024);
}

static void test_llama2c(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        for (int tied = 0; tied < 2; tied++) {
            strbuf b = llama2c_file(version, tied);
            opened o = open_bytes(b.s, b.len, "tiny.bin");
            if (!o.c)
                fprintf(stderr, "refused: %s\n", o.e.msg);
            assert_non_null(o.c);
            assert_string_equal(o.c->reader->name, "llama2c");
            assert_true(o.c->interleaved_rope);
            assert_int_equal(o.c->n_tensor, 2 + 9 * LAYERS + !tied);
            has(o.c, "model.embed_tokens.weight", VOCAB, DIM, 1, 0);
            has(o.c, "model.norm.weight", DIM, 0, 100, 0);
            if (!tied)
                has(o.c, "lm_head.weight", VOCAB, DIM, 110, 0);
            has(o.c, "model.layers.1.input_layernorm.weight", DIM, 0, 10, DIM);
            has(o.c, "model.layers.1.post_attention_layernorm.weight", DIM, 0, 60, DIM);
            has(o.c, "model.layers.0.self_attn.q_proj.weight", DIM, DIM, 20, 0);
            has(o.c, "model.layers.1.self_attn.q_proj.weight", DIM, DIM, 20, DIM * DIM);
            has(o.c, "model.layers.1.self_attn.k_proj.weight", 4, DIM, 30, 4 * DIM);
            has(o.c, "model.layers.1.self_attn.v_proj.weight", 4, DIM, 40, 4 * DIM);
            has(o.c, "model.layers.1.self_attn.o_proj.weight", DIM, DIM, 50, DIM * DIM);
            has(o.c, "model.layers.1.mlp.gate_proj.weight", HIDDEN, DIM, 70, DIM * HIDDEN);
            has(o.c, "model.layers.1.mlp.down_proj.weight", DIM, HIDDEN, 80, DIM * HIDDEN);
            has(o.c, "model.layers.1.mlp.up_proj.weight", HIDDEN, DIM, 90, DIM * HIDDEN);
            bool is_tied = false;
            assert_string_equal(json_str(json_get(o.c->config, "model_type"), NULL), "llama");
            assert_int_equal(config_int(o.c, "vocab_size"), VOCAB);
            assert_int_equal(config_int(o.c, "num_key_value_heads"), KV_HEADS);
            assert_int_equal(config_int(o.c, "intermediate_size"), HIDDEN);
            assert_int_equal(config_int(o.c, "max_position_embeddings"), CONTEXT);
            assert_true(json_bool(&is_tied, json_get(o.c->config, "tie_word_embeddings")) && is_tied == tied);
            touch_all(o.c);
            close_bytes(&o);
            strbuf_free(&b);
        }
    }
}

static void llama2c_refused(const strbuf *b, size_t n, const char *fragment)
{
    opened o = open_bytes(b->s, n, "tiny.bin");
    if (o.c || !strstr(o.e.msg, fragment))
        fprintf(stderr, "wanted \"%s\", got \"%s\"\n", fragment, o.c ? "(opened)" : o.e.msg);
    assert_null(o.c);
    assert_non_null(strstr(o.e.msg, fragment));
    assert_true(o.e.hint[0]);
    close_bytes(&o);
}

static void test_llama2c_refusals(void **state)
{
    (void)state;
    strbuf b = llama2c_file(0, true);
    char expected[64];
    snprintf(expected, sizeof expected, "of these sizes has %zu bytes, but this one has %zu", b.len, b.len - 1);
    llama2c_refused(&b, b.len - 1, expected);
    strbuf_putc(&b, 0);
    llama2c_refused(&b, b.len, "of these sizes has");
    b.len--;
    for (size_t n = 0; n < b.len; n++)
        llama2c_refused(&b, n, n >= 28 ? "of these sizes has" : n ? "in a format that is known" : "the file is empty");
    static const int32_t bad[] = {0, -1, 3, 7, 1 << 20, (1 << 20) + 1, INT32_MAX, INT32_MIN, INT32_MIN + 1};
    for (size_t at = 0; at < 28; at += 4) {
        int32_t was;
        memcpy(&was, b.s + at, 4);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            memcpy(b.s + at, &bad[i], 4);
            llama2c_refused(&b, b.len, "");
        }
        memcpy(b.s + at, &was, 4);
    }
    strbuf_free(&b);

    b = llama2c_file(1, true);
    llama2c_refused(&b, b.len - 4, "of these sizes has");
    b.s[4] = 2;
    llama2c_refused(&b, b.len, "llama2.c format 2 is not supported");
    b.s[4] = 1;
    b.s[36] = 2; /* neither shared nor not */
    llama2c_refused(&b, b.len, "sizes that no model has");
    strbuf_free(&b);
}

static void test_llama2c_fixture(void **state)
{
    (void)state;
    char path[PATH_MAX];
    if (!shared_path(path, "fixtures/stories260k/stories260K.bin"))
        skip();
    checkpoint *c = NULL;
    assert_int_equal(checkpoint_open(&c, path, NULL), 0);
    touch_all(c);
    assert_string_equal(c->reader->name, "llama2c");
    assert_int_equal(c->n_tensor, 2 + 9 * 5);
    assert_int_equal(config_int(c, "hidden_size"), 64);
    assert_int_equal(config_int(c, "intermediate_size"), 172);
    assert_int_equal(config_int(c, "num_hidden_layers"), 5);
    assert_int_equal(config_int(c, "num_attention_heads"), 8);
    assert_int_equal(config_int(c, "num_key_value_heads"), 4);
    assert_int_equal(config_int(c, "vocab_size"), 512);
    assert_int_equal(config_int(c, "max_position_embeddings"), 512);
    const tensor *t = &checkpoint_find(c, "model.norm.weight")->t;
    float scale[64];
    memcpy(scale, t->data, sizeof scale);
    for (int i = 0; i < 64; i++) /* norm weights of a trained model, where the layout says they are */
        assert_true(scale[i] > 0.1f && scale[i] < 20);
    checkpoint_close(c);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama2c),
        cmocka_unit_test(test_llama2c_refusals),
        cmocka_unit_test(test_llama2c_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
