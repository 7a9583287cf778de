/* Opening models: every contradiction of a configuration is refused by name.  Running them: positions, limits,
 * decoding against prefill, threads and instruction sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "compute/kernels.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/rope.h"

static char lantern[512], folder[512];

static const char *source(const char *name)
{
    const char *srcdir = getenv("srcdir");
    snprintf(lantern, sizeof lantern, "%s/examples/models/lantern-3m/%s", srcdir ? srcdir : ".", name);
    return lantern;
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/attnscope-model-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[600];
    (void)state;
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    return rmdir(folder);
}

/* The bundled model with its config changed: the text `from` (NULL: the last brace) becomes `to`. */
static void variant(const char *from, const char *to)
{
    char path[600], absolute[600], *text, *at;
    size_t n;
    assert_int_equal(read_file(&text, &n, source("config.json"), 1 << 16, NULL), 0);
    at = from ? strstr(text, from) : strrchr(text, '}');
    assert_non_null(at);
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + (from ? strlen(from) : 1));
    fclose(f);
    free(text);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (access(path, F_OK) != 0) {
        assert_non_null(realpath(source("model.safetensors"), absolute));
        assert_int_equal(symlink(absolute, path), 0);
    }
}

static void refused(const char *from, const char *to, const char *message)
{
    model *m = NULL;
    err e = {0};
    variant(from, to);
    int rc = model_open(&m, folder, &e);
    if (rc != ERR_INPUT || !strstr(e.msg, message))
        fail_msg("%s -> %s: code %d, \"%s\", expected \"%s\"", from ? from : "}", to, rc, e.msg, message);
}

static model *accepted(const char *from, const char *to)
{
    model *m = NULL;
    err e = {0};
    variant(from, to);
    if (model_open(&m, folder, &e))
        fail_msg("%s -> %s: \"%s\"", from ? from : "}", to, e.msg);
    return m;
}

static void test_contradictions(void **state)
{
    (void)state;
    refused("\"llama\"", "\"lama\"", "model_type \"lama\" is not supported");
    refused("\"model_type\": \"llama\",", "", "model_type is missing");
    refused("\"hidden_size\": 256,", "", "hidden_size is missing");
    refused("\"hidden_size\": 256", "\"hidden_size\": \"256\"", "hidden_size is not an integer");
    refused("\"hidden_size\": 256", "\"hidden_size\": 128", "has shape");
    refused("\"hidden_size\": 256", "\"hidden_size\": 0", "out of range");
    refused("\"num_attention_heads\": 8", "\"num_attention_heads\": 0", "out of range");
    refused("\"num_attention_heads\": 8", "\"num_attention_heads\": 6", "cannot share");
    refused("\"num_key_value_heads\": 4", "\"num_key_value_heads\": 3", "cannot share");
    refused("\"num_key_value_heads\": 4", "\"num_key_value_heads\": 2", "has shape");
    refused("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5", "layers.4.input_layernorm.weight is missing");
    refused("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 4000000000", "out of range");
    refused("\"head_dim\": 32", "\"head_dim\": 33", "rotary embedding over 34 of 33");
    refused("\"vocab_size\": 2048", "\"vocab_size\": 2049", "has shape");
    refused("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "lm_head.weight is missing");
    refused("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1", "is not true or false");
    refused("\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\"", "hidden_act \"mish\" is not supported");
    refused("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", "out of range");
    refused("\"rope_theta\": 10000.0", "\"rope_theta\": 0", "out of range");
}

/* What a checkpoint states and this program does not know is never replaced by a default. */
static void test_unknown_keys(void **state)
{
    (void)state;
    refused(NULL, ",\"attn_logit_softcapping\": 50.0}", "key \"attn_logit_softcapping\" may change attention");
    refused(NULL, ",\"sliding_window\": 4096}", "key \"sliding_window\"");
    refused(NULL, ",\"rope_scaling\": {\"type\": \"spiral\", \"factor\": 2.0}}", "\"spiral\" is not supported");
    refused(NULL, ",\"rope_scaling\": {\"rope_type\": \"linear\"}}", "factor is missing");
    refused(NULL, ",\"rope_scaling\": {\"factor\": 8}}", "factor but no rope_type");
    refused(NULL, ",\"rope_scaling\": \"linear\"}", "rope_scaling is not an object");
    refused(NULL, ",\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}}", "\"full_attention\"");
    refused("\"attention_bias\": false", "\"attention_bias\": true", "q_proj.bias is missing");
    refused("\"mlp_bias\": false", "\"mlp_bias\": true", "gate_proj.bias is missing");
    refused(NULL, ",\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0, \"swirl\": 1}}", "\"swirl\"");
    refused(NULL, ",\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 4.0, "
                  "\"high_freq_factor\": 1.0, \"original_max_position_embeddings\": 64}}", "high_freq_factor");
    model *m = accepted(NULL, ",\"sliding_window\": null, \"use_sliding_window\": false, \"favourite_colour\": \"blue\"}");
    assert_int_equal(m->n_ignored, 3);
    assert_string_equal(m->ignored[2], "favourite_colour");
    model_free(m);
}

static const float *frequencies(const model *m)
{
    static float f[16];
    assert_int_equal(m->ropes[0].dim, 32);
    rope_frequencies(f, &m->ropes[0], 512);
    return f;
}

/* Frequencies in closed form; old and new spellings of the same thing. */
static void test_rope(void **state)
{
    (void)state;
    model *m = accepted("\"rope_theta\": 10000.0,", "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500.0},");
    for (int i = 0; i < 16; i++)
        assert_true(fabs(frequencies(m)[i] - (pow(500, -2.0 * i / 32))) <= 1e-6);
    model_free(m);

    m = accepted(NULL, ",\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}}");
    for (int i = 0; i < 16; i++)
        assert_true(fabs(frequencies(m)[i] - (pow(10000, -2.0 * i / 32) / 4)) <= 1e-7);
    assert_true(m->ropes[0].magnitude == 1);
    model_free(m);

    /* llama3: short wavelengths stay, long ones are divided, between them a blend. */
    m = accepted(NULL, ",\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
                       "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}}");
    for (int i = 0; i < 16; i++) {
        double f = pow(10000, -2.0 * i / 32), wavelength = 2 * M_PI / f, want = f;
        if (wavelength > 64)
            want = f / 8;
        else if (wavelength > 16) {
            double s = (64 / wavelength - 1) / 3;
            want = (1 - s) * f / 8 + s * f;
        }
        assert_true(fabs(frequencies(m)[i] - want) <= 1e-6 * f + 1e-9);
    }
    model_free(m);

    /* yarn: the fastest dimension is kept, the slowest divided; magnitude 0.1 ln 4 + 1. */
    m = accepted(NULL, ",\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\":"
                       " 128}}");
    assert_true(fabs(frequencies(m)[0] - (1)) <= 1e-6);
    assert_true(fabs(frequencies(m)[15] - (pow(10000, -30.0 / 32) / 4)) <= 1e-8);
    assert_true(fabs(m->ropes[0].magnitude - (0.1 * log(4) + 1)) <= 1e-12);
    model_free(m);
}

/* Logits of a run. */
typedef struct kept { float *logits; int64_t n, vocab; } kept;

static int keep_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    kept *k = ud;
    (void)e;
    assert_true(pos0 + n <= k->n && vocab == k->vocab);
    memcpy(k->logits + pos0 * vocab, logits, (size_t)(n * vocab) * sizeof(float));
    return 0;
}

static float *run_ids(const model *m, const int32_t *ids, int64_t n, int threads)
{
    runtime *r;
    kept k = {malloc((size_t)(n * m->vocab) * sizeof(float)), n, m->vocab};
    observer o = {.logits = keep_logits, .ud = &k};
    assert_int_equal(runtime_new(&r, m, threads, PRECISION_F32, NULL), 0);
    assert_int_equal(forward(r, &(model_input){.ids = ids, .n = n}, &o, NULL, NULL), 0);
    runtime_free(r);
    return k.logits;
}

enum { TOKENS = 130 };

static const int32_t *some_ids(void)
{
    static int32_t ids[600];
    for (int i = 0; i < 600; i++)
        ids[i] = i == 0 ? 0 : (i * 37 + i * i) % 2048;
    return ids;
}

static void test_same_bits(void **state)
{
    (void)state;
    model *m;
    const char *note;
    assert_int_equal(model_open(&m, source(""), NULL), 0);
    size_t bytes = (size_t)(TOKENS * m->vocab) * sizeof(float);
    float *want = run_ids(m, some_ids(), TOKENS, 1);
    for (int threads = 2; threads <= 4; threads++) {
        float *got = run_ids(m, some_ids(), TOKENS, threads);
        assert_memory_equal(got, want, bytes);
        free(got);
    }
    for (const kernels *const *k = kernels_all(); *k; k++)
        if (kernels_usable(*k)) {
            assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
            float *got = run_ids(m, some_ids(), TOKENS, 2);
            assert_memory_equal(got, want, bytes);
            free(got);
        }
    kernels_select("best", &note, NULL);
    for (int64_t n = 1; n <= 6; n++) { /* prompts shorter than a block */
        kernels_select("c", &note, NULL);
        float *plain = run_ids(m, some_ids(), n, 1);
        kernels_select("best", &note, NULL);
        float *best = run_ids(m, some_ids(), n, 2);
        assert_memory_equal(best, plain, (size_t)(n * m->vocab) * sizeof(float));
        free(plain);
        free(best);
    }
    /* A prefix of the prompt gives the prefix of the logits: causality, and no dependence on n. */
    float *prefix = run_ids(m, some_ids(), 70, 2);
    for (int64_t i = 0; i < 70 * m->vocab; i++)
        assert_true(fabsf(prefix[i] - want[i]) <= 1e-3f);
    free(prefix);
    free(want);
    model_free(m);
}

/* Token by token through the cache gives what the whole prompt gives. */
static void test_decoding(void **state)
{
    (void)state;
    model *m;
    runtime *r;
    decoder *d;
    const float *logits;
    err e = {0};
    assert_int_equal(model_open(&m, source(""), NULL), 0);
    float *want = run_ids(m, some_ids(), 40, 2);
    assert_int_equal(runtime_new(&r, m, 2, PRECISION_F32, NULL), 0);
    assert_int_equal(decoder_new(&d, r, NULL, 40, NULL), 0);
    for (int64_t t = 0; t < 40; t += t < 20 ? 20 : 1) {
        int64_t n = t < 20 ? 20 : 1; /* a prompt of 20, then one at a time */
        assert_int_equal(decoder_feed(d, some_ids() + t, n, &logits, NULL, NULL), 0);
        for (int64_t i = 0; i < m->vocab; i++)
            assert_true(fabsf(logits[i] - want[(t + n - 1) * m->vocab + i]) <= 2e-3f);
    }
    assert_int_equal(decoder_feed(d, some_ids(), 1, &logits, NULL, &e), ERR_FAILED);
    decoder_free(d);
    runtime_free(r);
    free(want);
    model_free(m);
}

static void test_limits(void **state)
{
    (void)state;
    model *m;
    runtime *r;
    err e = {0};
    int32_t bad[] = {0, 5, 2048}, negative[] = {-1};
    assert_int_equal(model_open(&m, source(""), NULL), 0);
    assert_int_equal(runtime_new(&r, m, 2, PRECISION_F32, NULL), 0);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 513}, NULL, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "513"));
    assert_non_null(strstr(e.msg, "512"));
    assert_true(e.hint[0]);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 512}, NULL, NULL, &e), 0);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 0}, NULL, NULL, &e), ERR_USAGE);
    assert_int_equal(forward(r, &(model_input){.ids = bad, .n = 3}, NULL, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "2048 at position 2"));
    assert_int_equal(forward(r, &(model_input){.ids = negative, .n = 1}, NULL, NULL, &e), ERR_INPUT);
    cancel_request();
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 100}, NULL, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    runtime_free(r);
    model_free(m);
}

/* A failed allocation in one prompt must not harm the next. */
static void test_after_failure(void **state)
{
    (void)state;
    model *m;
    runtime *r;
    decoder *d;
    const float *logits;
    assert_int_equal(model_open(&m, source(""), NULL), 0);
    assert_int_equal(runtime_new(&r, m, 2, PRECISION_F32, NULL), 0);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 5}, NULL, NULL, NULL), 0);
    mem_fail_at(1);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 40}, NULL, NULL, NULL), ERR_RESOURCE);
    mem_fail_at(0);
    assert_int_equal(forward(r, &(model_input){.ids = some_ids(), .n = 5}, NULL, NULL, NULL), 0);
    assert_int_equal(decoder_new(&d, r, NULL, 10, NULL), 0);
    cancel_request();
    assert_int_equal(decoder_feed(d, some_ids(), 4, &logits, NULL, NULL), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(decoder_feed(d, some_ids(), 10, &logits, NULL, NULL), 0); /* nothing was used up */
    decoder_free(d);
    runtime_free(r);
    model_free(m);
}

/* Whichever allocation fails: an error, and nothing lost (the sanitizer watches). */
static void test_no_memory(void **state)
{
    (void)state;
    model *m;
    runtime *r;
    int failures = 0;
    for (long nth = 1; nth < 100000; nth++) {
        mem_fail_at(nth);
        int rc = model_open(&m, source(""), NULL);
        mem_fail_at(0);
        if (rc == 0) {
            model_free(m);
            break;
        }
        assert_int_equal(rc, ERR_RESOURCE);
        failures++;
    }
    assert_in_range(failures, 10, 99999);
    assert_int_equal(model_open(&m, source(""), NULL), 0);
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = runtime_new(&r, m, 2, PRECISION_F32, NULL);
        if (rc == 0) {
            rc = forward(r, &(model_input){.ids = some_ids(), .n = 20}, NULL, NULL, NULL);
            runtime_free(r);
        }
        mem_fail_at(0);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_RESOURCE);
    }
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_rope),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_decoding), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_after_failure), cmocka_unit_test(test_no_memory),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("model", tests, make_folder, remove_folder);
}
