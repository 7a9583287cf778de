/* GGUF metadata of every architecture: each key that a model needs, left out or of another type, is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/bind.h"
#include "model/model.h"
#include "tests/gguf_meta.h"

/* Opening it must fail with this message. */
static void refused(const char *arch, int spoilt, spoil how, const char *extra, uint32_t extra_value, const char *message)
{
    strbuf b = {0};
    checkpoint *c;
    model *m = NULL;
    err e = {0};
    put_gguf_model(&b, arch, spoilt, how, extra, extra_value);
    assert_false(b.failed);
    if (checkpoint_open_memory(&c, strbuf_str(&b), b.len, "x.gguf", &e))
        fail_msg("%s: %s", arch, e.msg);
    int rc = model_from_checkpoint(&m, c, &e);
    if (rc != ERR_INPUT || !strstr(e.msg, message))
        fail_msg("%s: \"%s\" was expected, this happened: %s", arch, message, rc ? e.msg : "opened");
    strbuf_free(&b);
}

static void check_arch(const char *arch)
{
    refused(arch, -1, LEFT_OUT, NULL, 0, " is missing"); /* a tensor: the metadata are complete */
    refused(arch, -1, LEFT_OUT, NULL, 0, "tensor ");
    for (int i = 0; i < META_KEYS; i++) {
        char message[128];
        bool t5_endless = strcmp(arch, "t5") == 0 && strcmp(meta_keys[i].suffix, "context_length") == 0;
        if (!meta_key_belongs(&meta_keys[i], arch) || t5_endless || (!meta_keys[i].needed && meta_keys[i].real))
            continue;
        snprintf(message, sizeof message, "key %s.%s is missing", arch, meta_keys[i].suffix);
        if (meta_keys[i].needed)
            refused(arch, i, LEFT_OUT, NULL, 0, message);
        snprintf(message, sizeof message, "%s.%s is not %s", arch, meta_keys[i].suffix, meta_keys[i].real ? "a number"
                 : "an integer");
        refused(arch, i, A_STRING, NULL, 0, message);
        snprintf(message, sizeof message, "%s.%s is -1, out of range", arch, meta_keys[i].suffix);
        refused(arch, i, NEGATIVE, NULL, 0, message);
        snprintf(message, sizeof message, "%s.%s is 9223372036854775807, out of range", arch, meta_keys[i].suffix);
        if (!meta_keys[i].real)
            refused(arch, i, HUGE_NUMBER, NULL, 0, message);
    }
    char message[128];
    snprintf(message, sizeof message, "key %s.attention.whirl may change attention and is not supported", arch);
    refused(arch, -1, LEFT_OUT, "attention.whirl", 1, message);
    refused(arch, -1, LEFT_OUT, "attention.whirl", 0, "tensor "); /* switched off */
    refused(arch, -1, LEFT_OUT, "colour", 7, "tensor ");
}

static void test_all_architectures(void **state)
{
    int n = 0;
    (void)state;
    for (const family *const *f = families; *f; f++)
        for (const char *const *arch = (*f)->gguf_archs; arch && *arch; arch++, n++)
            check_arch(*arch);
    assert_true(n >= 31);
}

/* Epsilon has no default where the format has a key for it. */
static void test_epsilon(void **state)
{
    (void)state;
    int rms = meta_key_at("attention.layer_norm_rms_epsilon"), layer = meta_key_at("attention.layer_norm_epsilon");
    refused("llama", rms, LEFT_OUT, NULL, 0, "key llama.attention.layer_norm_rms_epsilon is missing");
    refused("llama", rms, A_STRING, NULL, 0, "llama.attention.layer_norm_rms_epsilon is not a number");
    refused("llama", rms, NEGATIVE, NULL, 0, "llama.attention.layer_norm_rms_epsilon is -1, out of range");
    refused("gpt2", layer, LEFT_OUT, NULL, 0, "key gpt2.attention.layer_norm_epsilon is missing");
    refused("gpt2", layer, A_STRING, NULL, 0, "gpt2.attention.layer_norm_epsilon is not a number");
}

static void test_contradictions(void **state)
{
    (void)state;
    refused("llama", -1, LEFT_OUT, "attention.head_count_kv", 3, "4 attention heads cannot share 3 key/value heads evenly");
    refused("llama", -1, LEFT_OUT, "attention.head_count_kv", 8, "llama.attention.head_count_kv is 8, out of range (1 to 4)");
    refused("llama", -1, LEFT_OUT, "rope.dimension_count", 7, "rotary embedding over");
    refused("llama", -1, LEFT_OUT, "rope.dimension_count", 16, "rotary embedding over 16 of 8 dimensions");
    refused("llama", -1, LEFT_OUT, "expert_count", 2000, "llama.expert_count is 2000, out of range (0 to 1024)");
    refused("llama", -1, LEFT_OUT, "expert_count", 4, "key llama.expert_used_count is missing");
    refused("llama", -1, LEFT_OUT, "rope.scaling.type", 1, "llama.rope.scaling.type is not a string");
    refused("lama", -1, LEFT_OUT, NULL, 0, "general.architecture \"lama\" is not supported");
}

/* A head of one dimension would be divided by its half. */
static void test_odd_heads(void **state)
{
    weight w = {0};
    err e = {0};
    (void)state;
    assert_int_equal(bind_paired(NULL, &w, 1, &e), ERR_INPUT);
    assert_int_equal(bind_paired(NULL, &w, 7, &e), ERR_INPUT);
    assert_string_equal(e.msg, "heads of width 7: rows that are stored in pairs need an even width");
    assert_int_equal(w.paired, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_architectures),
        cmocka_unit_test(test_epsilon),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_odd_heads),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
