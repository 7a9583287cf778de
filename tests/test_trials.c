/* Trials: files of ids and of text, where the needle lies among the tokens, and what is refused. */
#include "tests/model_run.h"

#include "analysis/trials.h"
#include "base/rng.h"

static tokenizer *lantern_tokenizer(void)
{
    path_text path;
    tokenizer *t;
    err e = {0};
    source_path(path, "examples/models/lantern-3m");
    if (tokenizer_open(&t, path, &e))
        fail_msg("%s", e.msg);
    return t;
}

typedef struct folder { char dir[64], file[96]; } folder;

static folder new_file(const char *text, size_t n)
{
    folder f;
    strcpy(f.dir, "/tmp/attnscope-trials-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.file, sizeof f.file, "%s/t.jsonl", f.dir);
    FILE *out = fopen(f.file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    fclose(out);
    return f;
}

static void remove_file(folder *f)
{
    unlink(f->file);
    rmdir(f->dir);
}

static int load(trials *out, const char *text, const trial_rules *rules, err *e)
{
    folder f = new_file(text, strlen(text));
    int rc = trials_load(out, f.file, rules, e);
    remove_file(&f);
    return rc;
}

static void test_ids(void **state)
{
    (void)state;
    const trial_rules rules = {.vocab = 100};
    trials s;
    err e = {0};
    static const char text[] =
        "{\"ids\": [1, 2, 3, 4, 5], \"needle\": [1, 3], \"answer_ids\": [3]}\n"
        "\n  \t\r\n"
        "{\"ids\": [7, 8, 9], \"needle\": [0, 3], \"answer_ids\": [9, 7], \"length\": 128, \"depth\": 0.25, \"label\": "
        "\"\\u00e9\", \"answer\": \"x\", \"more\": {}}";
    assert_int_equal(load(&s, text, &rules, &e), 0);
    assert_int_equal(s.n, 2);
    const trial *a = &s.t[0], *b = &s.t[1];
    assert_int_equal(a->n, 5);
    assert_int_equal(a->ids[4], 5);
    assert_int_equal(a->needle_begin, 1);
    assert_int_equal(a->needle_end, 3);
    assert_int_equal(a->answer_ids[0], 3);
    assert_int_equal(a->length, 5);
    assert_true(fabs(a->depth - 1.0 / 3) < 1e-12); /* one of three tokens beside the needle is before it */
    assert_null(a->answer);
    assert_string_equal(a->where, "t.jsonl:1");
    assert_int_equal(b->length, 128);
    assert_true(b->depth == 0.25);
    assert_string_equal(b->label, "\xc3\xa9");
    assert_string_equal(b->answer, "x");
    assert_string_equal(b->where, "t.jsonl:4");
    trials_free(&s);
}

static void test_refused(void **state)
{
    (void)state;
    tokenizer *tok = lantern_tokenizer();
    const trial_rules ids = {.vocab = 100}, text = {.tok = tok, .special = true, .vocab = 2048};
    static const struct { const char *line, *words; bool text; } cases[] = {
        {"", "holds no trials", false},
        {"[1]", "t.jsonl:1: is no JSON object", false},
        {"{\"ids\": [1, 2}", "t.jsonl:1: ", false},
        {"{\"ids\": [], \"needle\": [0, 1], \"answer_ids\": [1]}", "\"ids\" is no list of token ids", false},
        {"{\"ids\": [1, 2.5], \"needle\": [0, 1], \"answer_ids\": [1]}", "element 1 is no token id", false},
        {"{\"ids\": [1, -2], \"needle\": [0, 1], \"answer_ids\": [1]}", "element 1 is no token id", false},
        {"{\"ids\": [1, 100], \"needle\": [0, 1], \"answer_ids\": [1]}", "100 is outside of the vocabulary", false},
        {"{\"ids\": [1, 2], \"needle\": [0, 1]}", "\"answer_ids\" is no list", false},
        {"{\"ids\": [1, 2], \"answer_ids\": [1]}", "\"needle\" is no pair", false},
        {"{\"ids\": [1, 2], \"needle\": [1, 1], \"answer_ids\": [1]}", "the needle [1, 1) is not within", false},
        {"{\"ids\": [1, 2], \"needle\": [1, 3], \"answer_ids\": [1]}", "the needle [1, 3) is not within", false},
        {"{\"ids\": [1, 2], \"needle\": [-1, 1], \"answer_ids\": [1]}", "the needle [-1, 1) is not within", false},
        {"{\"ids\": [1], \"needle\": [0, 1], \"answer_ids\": [1]}", "fewer than two tokens", false},
        {"{\"ids\": [1, 2], \"needle\": [0, 1], \"answer_ids\": [1], \"depth\": 25}", "\"depth\" is no share", false},
        {"{\"ids\": [1, 2], \"needle\": [0, 1], \"answer_ids\": [1], \"length\": 0}", "\"length\" is no number", false},
        {"{\"ids\": [1, 2], \"needle\": [0, 1], \"answer_ids\": [1], \"label\": 3}", "\"label\" is no text", false},
        {"{\"text\": \"a\", \"needle_text\": \"a\", \"answer\": \"a\"}", "the model has no tokenizer", false},
        {"\n{\"text\": \"a b\", \"needle_text\": \"c\", \"answer\": \"a\"}", "t.jsonl:2: the needle does not stand in", true},
        {"{\"text\": \"a b\", \"needle_text\": \"\", \"answer\": \"a\"}", "the needle does not stand in", true},
        {"{\"text\": \"a b\", \"needle_text\": \"b\", \"answer\": \"\"}", "the answer is empty", true},
        {"{\"text\": \"a b\", \"needle_text\": \"b\"}", "no \"answer\"", true},
        {"{\"text\": \"a b\", \"answer\": \"b\"}", "no \"needle_text\"", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trials s;
        err e = {0};
        assert_int_equal(load(&s, cases[i].line, cases[i].text ? &text : &ids, &e), ERR_INPUT);
        if (!strstr(e.msg, cases[i].words))
            fail_msg("%s: %s", cases[i].line, e.msg);
        assert_int_equal(s.n, 0);
    }
    trials s;
    err e = {0};
    assert_int_equal(trials_load(&s, "/nonexistent/t.jsonl", &ids, &e), ERR_INPUT);
    tokenizer_free(tok);
}

static const char hay[] = "It was a dark night.\n\nThe lucky number of Ellen is 4 7 1.\n\nNobody spoke. The lucky number of "
                          "Ellen is";
static const char statement[] = "The lucky number of Ellen is 4 7 1.";

/* The tokens of the span hold the needle and nothing but white space beside it. */
static void check_span(const tokenizer *tok, const trial *t, const char *needle)
{
    strbuf b = {0};
    err e = {0};
    assert_int_equal(tokenizer_decode(tok, t->ids + t->needle_begin, t->needle_end - t->needle_begin, false, &b, &e), 0);
    const char *at = strstr(strbuf_str(&b), needle);
    assert_non_null(at);
    for (const char *s = b.s; *s; s++)
        assert_true((s >= at && s < at + strlen(needle)) || strchr(" \n", *s));
    strbuf_free(&b);
}

static void test_text(void **state)
{
    (void)state;
    tokenizer *tok = lantern_tokenizer();
    trial_rules rules = {.tok = tok, .special = true, .vocab = 2048};
    trial t;
    err e = {0};
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), "4 7 1", 5, &rules, &e), 0);
    check_span(tok, &t, statement);
    assert_int_equal(t.ids[0], tokenizer_bos(tok));
    assert_int_equal(t.length, t.n);
    assert_non_null(strstr(t.policy, "bos"));
    /* The answer is spelled as in the needle, with its space, and without the full stop. */
    strbuf b = {0};
    assert_int_equal(tokenizer_decode(tok, t.answer_ids, t.n_answer, false, &b, &e), 0);
    assert_string_equal(b.s, " 4 7 1");
    strbuf_clear(&b);
    int64_t begin = t.needle_begin, end = t.needle_end;
    trial_free(&t);

    /* An answer in other words is tokenised alone. */
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), "seven", 5, &rules, &e), 0);
    assert_int_equal(tokenizer_decode(tok, t.answer_ids, t.n_answer, false, &b, &e), 0);
    assert_string_equal(b.s, "seven");
    strbuf_free(&b);
    trial_free(&t);

    /* Without special tokens everything is one token earlier. */
    rules.special = false;
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), "4 7 1", 5, &rules, &e), 0);
    assert_int_equal(t.needle_begin, begin - 1);
    trial_free(&t);

    /* By overlap: as wide as the needle alone, and at most a few tokens off. */
    rules.special = true;
    rules.match = NEEDLE_OVERLAP;
    tokens alone;
    assert_int_equal(tokenizer_encode(tok, statement, strlen(statement), false, &alone, &e), 0);
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), "4 7 1", 5, &rules, &e), 0);
    assert_int_equal(t.needle_end - t.needle_begin, alone.n);
    assert_in_range(t.needle_begin + 3, begin, end);
    tokens_free(&alone);
    trial_free(&t);
    tokenizer_free(tok);
}

static int in_brackets(void *ud, char **out, size_t *len, bool *special, const char *text, size_t n, err *e)
{
    strbuf b = {0};
    (void)ud;
    strbuf_puts(&b, "[[");
    strbuf_add(&b, text, n);
    strbuf_puts(&b, "]]");
    *len = b.len;
    *special = false;
    *out = strbuf_take(&b, e);
    return *out ? 0 : ERR_RESOURCE;
}

static void test_rendered(void **state)
{
    (void)state;
    tokenizer *tok = lantern_tokenizer();
    const trial_rules rules = {.tok = tok, .special = true, .vocab = 2048, .render = in_brackets};
    trial t;
    err e = {0};
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), "4 7 1", 5, &rules, &e), 0);
    assert_int_equal(t.text_len, strlen(hay) + 4);
    assert_memory_equal(t.text, "[[It", 4);
    assert_int_not_equal(t.ids[0], tokenizer_bos(tok));
    check_span(tok, &t, statement);
    trial_free(&t);
    tokenizer_free(tok);
}

/* What is written reads back as the same trial. */
static void test_round_trip(void **state)
{
    (void)state;
    tokenizer *tok = lantern_tokenizer();
    const trial_rules rules = {.tok = tok, .special = true, .vocab = 2048};
    trial t;
    trials s;
    strbuf b = {0};
    err e = {0};
    assert_int_equal(trial_of_text(&t, hay, strlen(hay), statement, strlen(statement), " 4 7 1.", 7, &rules, &e), 0);
    t.depth = 0.3;
    t.length = 64;
    trial_put_json(&b, &t);
    assert_int_equal(load(&s, strbuf_str(&b), &rules, &e), 0);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.t[0].n, t.n);
    assert_memory_equal(s.t[0].ids, t.ids, (size_t)t.n * sizeof *t.ids);
    assert_int_equal(s.t[0].needle_begin, t.needle_begin);
    assert_int_equal(s.t[0].needle_end, t.needle_end);
    assert_int_equal(s.t[0].n_answer, t.n_answer);
    assert_string_equal(s.t[0].answer, " 4 7 1.");
    assert_true(s.t[0].depth == 0.3);
    assert_int_equal(s.t[0].length, 64);
    strbuf_free(&b);
    trials_free(&s);
    trial_free(&t);
    tokenizer_free(tok);
}

/* Every window counted anew. */
static int64_t slow_overlap(const int32_t *ids, int64_t n, const int32_t *needle, int64_t width)
{
    for (int64_t i = 0; i + width <= n; i++) {
        int distinct = 0, shared = 0;
        for (int64_t k = 0; k < width; k++) {
            bool before = false, in = false;
            for (int64_t b = 0; b < k; b++)
                before |= needle[b] == needle[k];
            for (int64_t b = i; b < i + width; b++)
                in |= ids[b] == needle[k];
            distinct += !before;
            shared += !before && in;
        }
        if ((double)shared / distinct > 0.9)
            return i;
    }
    return -1;
}

static void test_overlap(void **state)
{
    (void)state;
    rng r;
    err e = {0};
    int found = 0;
    rng_seed(&r, 3, 0);
    for (int round = 0; round < 400; round++) {
        int32_t ids[60], needle[20];
        int64_t n = 1 + rng_below(&r, 60), width = 1 + rng_below(&r, 20), kinds = 2 + rng_below(&r, 14), at;
        for (int64_t i = 0; i < n; i++)
            ids[i] = (int32_t)rng_below(&r, kinds);
        for (int64_t i = 0; i < width; i++)
            needle[i] = (int32_t)rng_below(&r, kinds);
        assert_int_equal(trial_find_overlap(&at, ids, n, needle, width, &e), 0);
        assert_int_equal(at, slow_overlap(ids, n, needle, width));
        found += at >= 0;
    }
    assert_in_range(found, 50, 350); /* both cases were met */
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_rendered),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
