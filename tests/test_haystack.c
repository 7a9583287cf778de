/* Haystacks: made-up text, needles, ends of sentences, and prompts of a length with the needle at a depth. */
#include "tests/model_run.h"

#include "analysis/haystack.h"

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

static void test_generator(void **state)
{
    (void)state;
    strbuf a = {0}, b = {0}, other = {0}, seed = {0};
    err e = {0};
    assert_int_equal(haystack_generate(&a, 20000, 5, 1, &e), 0);
    assert_int_equal(haystack_generate(&b, 60000, 5, 1, &e), 0);
    assert_int_equal(haystack_generate(&other, 20000, 5, 2, &e), 0);
    assert_int_equal(haystack_generate(&seed, 20000, 6, 1, &e), 0);
    assert_in_range(a.len, 20000, 20300);
    assert_memory_equal(a.s, b.s, a.len); /* a longer text begins with the shorter one */
    assert_int_not_equal(memcmp(a.s, other.s, 1000), 0);
    assert_int_not_equal(memcmp(a.s, seed.s, 1000), 0);

    /* Plain text: ASCII, capitals first, no two blanks, no slot left over, paragraphs of several sentences. */
    int paragraphs = 0, sentences = 0;
    for (size_t i = 0; i < b.len; i++) {
        char c = b.s[i];
        assert_true(c == '\n' || (c >= ' ' && c < 0x7f));
        assert_int_not_equal(c, '%');
        if (i > 0 && c == ' ')
            assert_false(b.s[i - 1] == ' ' || b.s[i - 1] == '\n');
        if (c == '\n' && b.s[i + 1] == '\n') {
            char first = b.s[i + 2] == '"' ? b.s[i + 3] : b.s[i + 2];
            assert_true(first >= 'A' && first <= 'Z');
            paragraphs++;
        }
        sentences += c == '.' || c == '?';
    }
    assert_in_range(sentences, 3 * paragraphs, 8 * paragraphs);
    strbuf_free(&a);
    strbuf_free(&b);
    strbuf_free(&other);
    strbuf_free(&seed);
}

/* The text is the same on every machine. */
static void test_generator_text(void **state)
{
    (void)state;
    strbuf b = {0};
    sha256_hex digest;
    err e = {0};
    assert_int_equal(haystack_generate(&b, 100000, 0, 0, &e), 0);
    assert_int_equal(sha256_of(digest, b.s, b.len, &e), 0);
    assert_string_equal(digest, "ed8ac44f0a63c70d42f0c8ef15e49d5656af7210500094e3fe136f4778233d55");
    strbuf_free(&b);
}

static void test_needles(void **state)
{
    (void)state;
    err e = {0};
    needles s, again;
    for (int w = -1; w < 4; w++) {
        int64_t n = w == 0 ? 24 : w < 0 ? 48 : 12;
        const char *wording = w < 0 ? NULL : needle_wordings[w];
        assert_int_equal(needles_builtin(&s, n, wording, 11, &e), 0);
        assert_int_equal(needles_builtin(&again, n, wording, 11, &e), 0);
        assert_int_equal(s.n, n);
        for (int64_t i = 0; i < n; i++) {
            const needle *x = &s.list[i];
            assert_string_equal(x->text, again.list[i].text);
            assert_memory_equal(x->text, x->lead, strlen(x->lead)); /* lead, then answer */
            assert_string_equal(x->text + strlen(x->lead), x->answer);
            assert_int_equal(x->answer[0], ' ');
            assert_int_equal(x->text[strlen(x->text) - 1], '.');
            assert_int_equal(x->question[strlen(x->question) - 1], '?');
            assert_string_equal(x->label, needle_wordings[w < 0 ? i % 4 : w]);
            for (int64_t k = 0; k < i; k++)
                assert_string_not_equal(x->question, s.list[k].question);
        }
        needles_free(&s);
        needles_free(&again);
        assert_int_equal(needles_builtin(&s, n + 1, wording, 11, &e), ERR_USAGE);
    }
}

static void test_needle_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/attnscope-needles-XXXXXX", path[96];
    needles s;
    err e = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/n.jsonl", dir);
    static const struct { const char *text, *words; } bad[] = {
        {"", "holds no needles"},
        {"{\"text\": \"a\"}", "n.jsonl:1: no \"question\""},
        {"\n{\"question\": \"a\", \"answer\": \"b\"}", "n.jsonl:2: no \"text\""},
        {"{\"text\": \"a\", \"question\": \"b\", \"answer\": \"\"}", "no \"answer\""},
        {"{", "n.jsonl:1: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FILE *f = fopen(path, "w");
        fputs(bad[i].text, f);
        fclose(f);
        assert_int_equal(needles_load(&s, path, &e), ERR_INPUT);
        if (!strstr(e.msg, bad[i].words))
            fail_msg("%s", e.msg);
    }
    FILE *f = fopen(path, "w");
    fputs("{\"text\": \"A b.\", \"question\": \"c?\", \"answer\": \"b\", \"label\": \"one\"}\n"
          "{\"needle\": \"D e.\", \"question\": \"f?\", \"real_needle\": \"e\", \"lead\": \"D\"}\n", f);
    fclose(f);
    assert_int_equal(needles_load(&s, path, &e), 0);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.list[0].lead, "");
    assert_string_equal(s.list[0].label, "one");
    assert_string_equal(s.list[1].text, "D e.");
    assert_string_equal(s.list[1].answer, "e");
    needles_free(&s);
    unlink(path);
    rmdir(dir);
}

/* Bytes behind which a sentence ends. */
static void test_sentence_ends(void **state)
{
    (void)state;
    tokenizer *tok = lantern_tokenizer();
    static const struct { const char *text; int64_t end[8]; } cases[] = {
        {"One. Two! Three? Four", {4, 9, 16, 0}},
        {"It is 3.5 km. Yes.", {13, 18, 0}},
        {"He said \"No.\" And (so.) went.", {13, 23, 29, 0}},
        {"\xe5\x8c\x97\xe4\xba\xac\xe3\x80\x82\xe4\xb8\x9c\xe4\xba\xac", {9, 0}},
        {"no end here", {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        haystack h;
        err e = {0};
        int k = 0;
        assert_int_equal(haystack_open(&h, tok, cases[i].text, strlen(cases[i].text), &e), 0);
        for (int64_t t = 0; t < h.t.n; t++) {
            if (!h.sentence_end[t])
                continue;
            if (h.t.t[t].end != cases[i].end[k])
                fail_msg("%s: a sentence ends at byte %d, expected %d", cases[i].text, (int)h.t.t[t].end,
                         (int)cases[i].end[k]);
            k++;
        }
        assert_int_equal(cases[i].end[k], 0);
        assert_int_equal(h.n_end, k);
        haystack_close(&h);
    }
    tokenizer_free(tok);
}

typedef struct maker { tokenizer *tok; strbuf text; haystack h; needles needles; haystack_rules rules; } maker;

static maker new_maker(void)
{
    maker m = {.tok = lantern_tokenizer()};
    err e = {0};
    assert_int_equal(haystack_generate(&m.text, 12000, 4, 0, &e), 0);
    assert_int_equal(haystack_open(&m.h, m.tok, m.text.s, m.text.len, &e), 0);
    assert_int_equal(needles_builtin(&m.needles, 4, NULL, 4, &e), 0);
    m.rules = (haystack_rules){.trial = {.tok = m.tok, .special = true, .vocab = 2048}, .frame = frame_plain, .buffer = -1};
    return m;
}

static void free_maker(maker *m)
{
    needles_free(&m->needles);
    haystack_close(&m->h);
    strbuf_free(&m->text);
    tokenizer_free(m->tok);
}

static void test_trials(void **state)
{
    (void)state;
    maker m = new_maker();
    err e = {0};
    for (int64_t w = 0; w < 4; w++)
        for (int64_t length = 128; length <= 1024; length *= 2) {
            const needle *x = &m.needles.list[w];
            int64_t before = -1, overhead;
            assert_int_equal(haystack_overhead(&overhead, x, &m.rules, &e), 0);
            for (int depth = 0; depth <= 100; depth += 10) {
                trial t;
                if (haystack_trial(&t, &m.h, x, length, depth / 100.0, &m.rules, &e))
                    fail_msg("%s", e.msg);
                /* Of the length, to a few tokens: texts are tokenised again where they meet. */
                assert_in_range(t.n, length - 8, length + 8);
                assert_int_equal(t.length, length);
                assert_true(t.depth == depth / 100.0);
                /* The needle is a paragraph of its own, a sentence ends before it, and the question ends the prompt. */
                const char *at = strstr(t.text, x->text);
                assert_non_null(at);
                assert_memory_equal(at + strlen(x->text), "\n\n", 2);
                assert_memory_equal(at - 2, "\n\n", 2);
                if (at - 2 > t.text && depth < 100)
                    assert_non_null(strchr(".?\"", at[-3]));
                assert_string_equal(t.text + t.text_len - strlen(x->lead), x->lead);
                /* Never deeper than asked for, and no more than a sentence above; 0 and 100 are the ends. */
                double most = (double)(length - overhead) * depth / 100;
                assert_true((double)t.needle_begin <= most + 4); /* BOS and line ends */
                assert_true((double)t.needle_begin >= most - 60);
                if (depth == 0)
                    assert_int_equal(at - t.text, 2);
                assert_true(t.needle_begin >= before);
                before = t.needle_begin;
                if (depth == 100)
                    assert_ptr_equal(strstr(at, x->question), at + strlen(x->text) + 2);
                /* The answer's tokens are those of the needle. */
                bool in = false;
                for (int64_t k = t.needle_begin; k + t.n_answer <= t.needle_end; k++)
                    in |= memcmp(t.ids + k, t.answer_ids, (size_t)t.n_answer * sizeof *t.ids) == 0;
                assert_true(in);
                trial_free(&t);
            }
        }
    free_maker(&m);
}

static void test_frames_and_buffer(void **state)
{
    (void)state;
    maker m = new_maker();
    const needle *x = &m.needles.list[1];
    trial t;
    err e = {0};
    int64_t plain, book;
    assert_int_equal(haystack_overhead(&plain, x, &m.rules, &e), 0);
    m.rules.frame = frame_book;
    m.rules.place = NEEDLE_INLINE;
    assert_int_equal(haystack_overhead(&book, x, &m.rules, &e), 0);
    assert_int_equal(haystack_trial(&t, &m.h, x, 300, 0.5, &m.rules, &e), 0);
    assert_non_null(strstr(t.text, "Based on the content of the book, Question: "));
    assert_string_equal(t.text + t.text_len - 8, "\nAnswer:");
    const char *at = strstr(t.text, x->text);
    assert_true(at[-1] == ' ' && at[strlen(x->text)] == ' ');
    trial_free(&t);

    /* As published: length - 200 - needle tokens of haystack. */
    tokens alone;
    assert_int_equal(tokenizer_encode(m.tok, x->text, strlen(x->text), false, &alone, &e), 0);
    m.rules.buffer = 200;
    assert_int_equal(haystack_trial(&t, &m.h, x, 600, 0, &m.rules, &e), 0);
    assert_in_range(t.n, 600 - 200 - alone.n + book - 6, 600 - 200 - alone.n + book + 6);
    trial_free(&t);
    assert_int_equal(haystack_trial(&t, &m.h, x, 200 + alone.n, 0, &m.rules, &e), ERR_USAGE);
    assert_non_null(strstr(e.hint, "--buffer"));
    tokens_free(&alone);

    m.rules.buffer = -1;
    assert_int_equal(haystack_trial(&t, &m.h, x, book, 0, &m.rules, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "leaves no room"));
    assert_int_equal(haystack_trial(&t, &m.h, x, 100000, 0, &m.rules, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "the haystack has"));
    m.rules.frame = "{question} {lead}";
    assert_int_equal(haystack_trial(&t, &m.h, x, 300, 0, &m.rules, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "{context}"));
    m.rules.frame = "<{context}|{question}|{lead}>";
    assert_int_equal(haystack_trial(&t, &m.h, x, 300, 0.3, &m.rules, &e), 0);
    assert_int_equal(t.text[0], '<');
    assert_int_equal(t.text[t.text_len - 1], '>');
    trial_free(&t);

    haystack h;
    char words[2000];
    memset(words, 'a', sizeof words);
    for (size_t i = 5; i < sizeof words; i += 6)
        words[i] = ' ';
    assert_int_equal(haystack_open(&h, m.tok, words, sizeof words, &e), 0);
    m.rules.frame = frame_plain;
    assert_int_equal(haystack_trial(&t, &h, x, 200, 0.5, &m.rules, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no sentence ends"));
    haystack_close(&h);
    free_maker(&m);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/attnscope-hay-XXXXXX", path[96];
    const char *list[2] = {dir, path};
    strbuf b = {0};
    err e = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(haystack_read(&b, list, 1, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "a folder without files"));
    for (int i = 2; i >= 1; i--) {
        snprintf(path, sizeof path, "%s/%d.txt", dir, i);
        FILE *f = fopen(path, "w");
        fprintf(f, "text %d", i);
        fclose(f);
    }
    assert_int_equal(haystack_read(&b, list, 2, &e), 0); /* the folder by names, then a file */
    assert_string_equal(b.s, "text 1\ntext 2\ntext 1\n");
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/%d.txt", dir, i);
        unlink(path);
    }
    rmdir(dir);
    assert_int_equal(haystack_read(&b, list, 1, &e), ERR_INPUT);
    strbuf_free(&b);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_generator_text),
        cmocka_unit_test(test_needles),
        cmocka_unit_test(test_needle_files),
        cmocka_unit_test(test_sentence_ends),
        cmocka_unit_test(test_trials),
        cmocka_unit_test(test_frames_and_buffer),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
