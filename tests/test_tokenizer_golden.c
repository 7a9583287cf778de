/* Tokenizers against reference data: 600 strings for each trained kind, 800 for SmolLM2, and the vectors that
 * come with real vocabularies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mapfile.h"
#include "model/tokenizer/tokenizer.h"

typedef char path_text[1024];

/* A file of the reference data beside the source tree; skips the test when it is not there. */
static void shared_path(path_text out, const char *name)
{
    const char *dir = getenv("ATTNSCOPE_SHARED"), *src = getenv("srcdir");
    if (dir)
        snprintf(out, sizeof(path_text), "%s/%s", dir, name);
    else
        snprintf(out, sizeof(path_text), "%s/../shared/%s", src ? src : ".", name);
    if (access(out, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s\n", out);
        skip();
    }
}

static tokenizer *open_path(const char *path)
{
    tokenizer *t;
    err e = { 0 };
    if (tokenizer_open(&t, path, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return t;
}

static char *read_all(const char *path, size_t *n)
{
    char *s;
    err e = { 0 };
    if (read_file(&s, n, path, 64 << 20, &e))
        fail_msg("%s", e.msg);
    return s;
}

/* Do the ids of a text equal a JSON list? */
static bool same_ids(const tokenizer *t, const char *s, size_t n, bool special, const json *want)
{
    tokens k;
    err e = { 0 };
    int64_t id;
    if (tokenizer_encode(t, s, n, special, &k, &e))
        fail_msg("%s", e.msg);
    bool same = k.n == (int64_t)json_count(want);
    for (int64_t i = 0; same && i < k.n; i++)
        same = json_int(&id, json_at(want, (size_t)i)) && id == k.t[i].id;
    tokens_free(&k);
    return same;
}

/* Do ids decode to a JSON string? */
static bool same_text(const tokenizer *t, const json *ids, const json *want)
{
    size_t n = json_count(ids), n_want;
    const char *s = json_str(want, &n_want);
    int32_t *list = calloc(n + 1, sizeof *list);
    strbuf b = { 0 };
    err e = { 0 };
    int64_t id = 0;
    assert_non_null(list);
    for (size_t i = 0; i < n; i++) {
        json_int(&id, json_at(ids, i));
        list[i] = (int32_t)id;
    }
    if (tokenizer_decode(t, list, (int64_t)n, false, &b, &e))
        fail_msg("%s", e.msg);
    bool same = b.len == n_want && !memcmp(strbuf_str(&b), s, n_want);
    strbuf_free(&b);
    free(list);
    return same;
}

/* Byte-level tokens spell their text and lie in order; true for texts that no normaliser changes. */
static bool covers(const tokenizer *t, const char *s, size_t n)
{
    tokens k;
    strbuf b = { 0 };
    int64_t at = 0;
    bool good = true;
    assert_int_equal(tokenizer_encode(t, s, n, false, &k, NULL), 0);
    for (int64_t i = 0; i < k.n; i++) {
        token_text x = tokenizer_text(t, k.t[i].id);
        strbuf_add(&b, x.s, x.len);
        good = good && k.t[i].begin >= (i ? k.t[i - 1].begin : 0) && k.t[i].begin <= at && k.t[i].end >= at;
        at = k.t[i].end;
    }
    good = good && b.len == n && !memcmp(strbuf_str(&b), s, n) && at == (int64_t)n;
    strbuf_free(&b);
    tokens_free(&k);
    return good;
}

enum { SPELLED = 1 }; /* the texts of the tokens join to the input */

static void check_cases(const tokenizer *t, const char *path, int n_want, int flags)
{
    size_t n, n_text;
    char *all = read_all(path, &n), *line = all, *end;
    int cases = 0, ids = 0, special = 0, decoded = 0, spelled = 0;
    for (; (end = memchr(line, '\n', n - (size_t)(line - all))); line = end + 1) {
        json *c;
        err e = { 0 };
        if (json_parse(&c, line, (size_t)(end - line), path, &e))
            fail_msg("%s", e.msg);
        const char *s = json_str(json_get(c, "text"), &n_text);
        assert_non_null(s);
        cases++;
        ids += !same_ids(t, s, n_text, false, json_get(c, "ids"));
        special += !same_ids(t, s, n_text, true, json_get(c, "ids_special"));
        decoded += !same_text(t, json_get(c, "ids"), json_get(c, "decoded"));
        spelled += flags & SPELLED && !covers(t, s, n_text);
        json_free(c);
    }
    free(all);
    if (cases != n_want || ids || special || decoded || spelled)
        fail_msg("%s: of %d cases (%d expected) differ %d ids, %d ids with special tokens, %d decodings, "
                 "%d spellings", path, cases, n_want, ids, special, decoded, spelled);
}

static void golden(const char *kind, int flags)
{
    path_text file, cases;
    char name[128];
    snprintf(name, sizeof name, "golden/tokenizers/%s/cases.jsonl", kind);
    shared_path(cases, name);
    snprintf(name, sizeof name, "golden/tokenizers/%s", kind); /* a tokenizer.json or a tokenizer.model */
    shared_path(file, name);
    tokenizer *t = open_path(file);
    check_cases(t, cases, 600, flags);
    tokenizer_free(t);
}

#define GOLDEN(function, kind, flags) \
    static void function(void **state) \
    { \
        (void)state; \
        golden(kind, flags); \
    }
GOLDEN(gpt2, "gpt2", SPELLED)
GOLDEN(smollm, "smollm", SPELLED)
GOLDEN(llama3, "llama3", SPELLED)
GOLDEN(qwen2, "qwen2", 0)
GOLDEN(o200k, "o200k", SPELLED)
GOLDEN(deepseek, "deepseek", SPELLED)
GOLDEN(clip, "clip", 0)
GOLDEN(llama_spm_json, "llama-spm-json", 0)
GOLDEN(gemma_like, "gemma-like", 0)

GOLDEN(bert_cased, "bert-cased", 0)
GOLDEN(bert_uncased, "bert-uncased", 0)
GOLDEN(unigram, "unigram", 0)
GOLDEN(spm_bpe, "spm-bpe", 0)
GOLDEN(spm_unigram, "spm-unigram", 0)

static void smollm2(void **state)
{
    (void)state;
    const char *named = getenv("ATTNSCOPE_SMOLLM2"), *src = getenv("srcdir");
    path_text model, cases;
    if (named)
        snprintf(model, sizeof model, "%s", named);
    else
        snprintf(model, sizeof model, "%s/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf", src ? src : ".");
    if (access(model, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s (examples/get-smollm2 fetches it)\n", model);
        skip();
    }
    shared_path(cases, "golden/smollm2-135m-q4_1/tokenizer-cases.jsonl");
    tokenizer *t = open_path(model);
    assert_string_equal(tokenizer_kind(t), "byte-level BPE (smollm)");
    assert_int_equal(tokenizer_vocab(t), 49152);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    check_cases(t, cases, 800, SPELLED);
    tokenizer_free(t);
}

/* One vocabulary with the vectors of a name: texts, each with a marker line behind it; ids a line each. */
static void vectors_of(const char *vocabulary, const char *name)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    path_text path, texts, ids;
    char file[128];
    size_t n_text, n_ids;
    int bad = 0, cases = 0;
    snprintf(file, sizeof file, "fixtures/vocab/%s.gguf.inp", name);
    shared_path(texts, file);
    snprintf(file, sizeof file, "fixtures/vocab/%s.gguf.out", name);
    shared_path(ids, file);
    shared_path(path, vocabulary);
    tokenizer *t = open_path(path);
    char *s = read_all(texts, &n_text), *want = read_all(ids, &n_ids), *line = want;
    for (char *from = s, *end; (end = memmem(from, n_text - (size_t)(from - s), mark, sizeof mark - 1));
         from = end + sizeof mark - 1) {
        char *line_end = strchr(line, '\n');
        tokens k;
        assert_non_null(line_end);
        assert_int_equal(tokenizer_encode(t, from, (size_t)(end - from), false, &k, NULL), 0);
        bool same = true;
        for (int64_t i = 0; same && i < k.n; i++) {
            char *number_end;
            long id = strtol(line, &number_end, 10);
            same = number_end != line && number_end <= line_end && id == k.t[i].id;
            line = number_end;
        }
        bad += !same || strspn(line, " ") != (size_t)(line_end - line);
        tokens_free(&k);
        cases++;
        line = line_end + 1;
    }
    free(s);
    free(want);
    tokenizer_free(t);
    assert_int_equal(cases, 46);
    assert_int_equal(bad, 0);
}

static void vectors(const char *name)
{
    char file[128];
    snprintf(file, sizeof file, "fixtures/vocab/%s.gguf", name);
    vectors_of(file, name);
}

static void vocabularies(void **state)
{
    (void)state;
    vectors("gpt-2");
    vectors("mpt");
    vectors("starcoder");
    vectors("llama-spm");
    vectors("phi-3");
    vectors("bert-bge");
}

/* GPT-2 by the ranks of its tokens alone. */
static void tiktoken(void **state)
{
    (void)state;
    path_text path;
    vectors_of("fixtures/tiktoken/gpt2.tiktoken", "gpt-2");
    shared_path(path, "fixtures/tiktoken/gpt2.tiktoken");
    tokenizer *t = open_path(path);
    assert_string_equal(tokenizer_kind(t), "tiktoken BPE (text cut as by gpt2, by the number of tokens)");
    assert_int_equal(tokenizer_eos(t), 50256);
    tokenizer_free(t);
}

/* The first ids of the story in golden.txt. */
static void llama2c(void **state)
{
    (void)state;
    static const int32_t want[] = { 1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298 };
    path_text path;
    tokens k;
    shared_path(path, "fixtures/stories260k/tok512.bin");
    tokenizer *t = open_path(path);
    assert_int_equal(tokenizer_vocab(t), 512);
    assert_int_equal(tokenizer_encode(t, "Once upon a time, there was a little girl", 41, true, &k, NULL), 0);
    assert_true(k.n > 11);
    for (int i = 0; i < 11; i++)
        assert_int_equal(k.t[i].id, want[i]);
    tokens_free(&k);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),
        cmocka_unit_test(smollm),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(o200k),
        cmocka_unit_test(deepseek),
        cmocka_unit_test(clip),
        cmocka_unit_test(llama_spm_json),
        cmocka_unit_test(gemma_like),
        cmocka_unit_test(bert_cased),
        cmocka_unit_test(bert_uncased),
        cmocka_unit_test(unigram),
        cmocka_unit_test(spm_bpe),
        cmocka_unit_test(spm_unigram),
        cmocka_unit_test(smollm2),
        cmocka_unit_test(vocabularies),
        cmocka_unit_test(tiktoken),
        cmocka_unit_test(llama2c),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
