/* Retrieval scores: the reference trials of the bundled model, and a straightforward second implementation. */
#include "tests/model_run.h"

#include "analysis/porter.h"
#include "analysis/retrieval.h"
#include "analysis/rouge.h"
#include "base/json.h"
#include "tests/tiny_model.h"

typedef struct subject {
    opened o;
    tokenizer *tok;
    trial_rules trial;
    retrieval_rules rules;
} subject;

static subject open_lantern(void)
{
    subject s = {0};
    path_text path;
    err e = {0};
    source_path(path, "examples/models/lantern-3m");
    s.o = open_model(path, 2);
    assert_int_equal(tokenizer_of_checkpoint(&s.tok, s.o.m->ckpt, &e), 0);
    s.trial = (trial_rules){.tok = s.tok, .special = true, .vocab = s.o.m->vocab};
    s.rules = (retrieval_rules){.steps = 24, .stop_at_newline = true, .tok = s.tok, .stem = true, .recall = 0.5};
    return s;
}

static void close_subject(subject *s)
{
    tokenizer_free(s->tok);
    close_model(&s->o);
}

static double real_at(const json *v)
{
    double x;
    assert_true(json_real(&x, v));
    return x;
}

static void check_scores(const json *want, const retrieval *got, bool set)
{
    for (int l = 0; l < got->n_layer; l++)
        for (int h = 0; h < got->n_head; h++) {
            const head_retrieval *r = &got->heads[l * got->n_head + h];
            double x = real_at(json_at(json_at(want, (size_t)l), (size_t)h));
            assert_true(fabs((set ? r->set : r->coded) - x) < 1e-12);
        }
}

/* Forty trials: generated ids, exact, recall, and both scores of all heads. */
static void test_reference_trials(void **state)
{
    (void)state;
    path_text file, scores;
    subject s = open_lantern();
    trials all;
    json *root;
    err e = {0};
    shared_path(file, "models/lantern-3m-reference/needle-trials.jsonl");
    shared_path(scores, "models/lantern-3m-reference/needle-scores.json");
    if (trials_load(&all, file, &s.trial, &e) || json_load(&root, scores, 1 << 20, &e))
        fail_msg("%s", e.msg);
    const json *list = json_get(root, "trials");
    assert_int_equal(all.n, 40);
    assert_int_equal(json_count(list), 40);
    double sum[3] = {0};
    int counted = 0, exact = 0, best[3][2] = {{1, 3}, {1, 2}, {2, 5}};
    for (int64_t i = 0; i < all.n; i++) {
        const json *want = json_at(list, (size_t)i);
        retrieval got;
        if (retrieval_run(&got, s.o.r, s.o.m, &all.t[i], &s.rules, NULL, &e))
            fail_msg("trial %d: %s", (int)i, e.msg);
        const json *ids = json_get(want, "generated");
        assert_int_equal(got.n_generated, json_count(ids));
        for (int64_t k = 0; k < got.n_generated; k++) {
            int64_t id;
            assert_true(json_int(&id, json_at(ids, (size_t)k)));
            assert_int_equal(got.generated[k], id);
        }
        bool is_exact;
        assert_true(json_bool(&is_exact, json_get(want, "exact")));
        assert_int_equal(got.exact, is_exact);
        assert_true(fabs(got.token_recall - real_at(json_get(want, "token_recall"))) < 1e-12);
        check_scores(json_get(want, "coded"), &got, false);
        check_scores(json_get(want, "set"), &got, true);
        counted += got.success;
        exact += got.exact;
        for (int k = 0; got.success && k < 3; k++)
            sum[k] += got.heads[best[k][0] * got.n_head + best[k][1]].coded;
        retrieval_free(&got);
    }
    /* The model's card: 97 % of the trials count, 55 % are exact; L1H3 .377, L1H2 .276, L2H5 .152. */
    assert_int_equal(counted, 39);
    assert_int_equal(exact, 22);
    assert_true(fabs(sum[0] / counted - 0.377) < 0.0006);
    assert_true(fabs(sum[1] / counted - 0.276) < 0.0006);
    assert_true(fabs(sum[2] / counted - 0.152) < 0.0006);
    json_free(root);
    trials_free(&all);
    close_subject(&s);
}

/* Dense attention of a whole sequence, one head after the other. */
typedef struct dense { int64_t n; int n_head; float *a; } dense;

static void keep_tile(void *ud, const attn_tile *t)
{
    dense *d = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++)
        for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
            d->a[(((int64_t)t->layer * d->n_head + t->head) * d->n + q) * d->n + k] = attn_tile_at(t, q, k);
}

typedef struct dense_watch { dense d; attn_tap tap; } dense_watch;

static int watch_all(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    dense_watch *w = ud;
    (void)m;
    (void)site;
    (void)e;
    *tap = &w->tap;
    return 0;
}

/* The same scores from one forward pass over prompt and answer. */
static void check_against_dense(const subject *s, const trial *t, const retrieval *got)
{
    int64_t n = t->n + got->n_generated - 1;
    int n_head = got->n_head, n_layer = got->n_layer;
    dense_watch w = {.d = {.n = n, .n_head = n_head}};
    err e = {0};
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    w.d.a = calloc((size_t)(n_layer * n_head) * (size_t)(n * n), sizeof(float));
    assert_true(ids && w.d.a);
    memcpy(ids, t->ids, (size_t)t->n * sizeof *ids);
    memcpy(ids + t->n, got->generated, (size_t)(got->n_generated - 1) * sizeof *ids);
    w.tap = (attn_tap){.need = ATTN_NEED_PROBS, .tile = keep_tile, .ud = &w.d};
    const observer o = {.attention = watch_all, .ud = &w};
    const model_input in = {.ids = ids, .n = n};
    assert_int_equal(forward(s->o.r, &in, &o, NULL, &e), 0);
    for (int l = 0; l < n_layer; l++)
        for (int h = 0; h < n_head; h++) {
            double coded = 0, offset = 0, width = (double)(t->needle_end - t->needle_begin);
            int64_t hits = 0, in_needle = 0, found = 0;
            for (int64_t i = 0; i < got->n_generated; i++) {
                const float *row = &w.d.a[(((int64_t)l * n_head + h) * n + t->n - 1 + i) * n];
                int64_t j = 0;
                for (int64_t k = 1; k < t->n + i; k++)
                    if (row[k] > row[j])
                        j = k;
                if (j < t->needle_begin || j >= t->needle_end || ids[j] != got->generated[i])
                    continue;
                coded += 1 / width;
                offset += (double)(j - t->needle_begin);
                hits++;
                bool listed = false;
                for (int64_t k = 0; k < got->n_hits; k++)
                    listed |= got->hits[k].layer == l && got->hits[k].head == h && got->hits[k].step == i &&
                              got->hits[k].key == j;
                assert_true(listed);
            }
            for (int64_t k = t->needle_begin; k < t->needle_end; k++) {
                bool seen = false, hit = false;
                for (int64_t b = t->needle_begin; b < k; b++)
                    seen |= ids[b] == ids[k];
                for (int64_t b = 0; b < got->n_hits; b++)
                    hit |= got->hits[b].layer == l && got->hits[b].head == h && ids[got->hits[b].key] == ids[k];
                in_needle += !seen;
                found += !seen && hit;
            }
            const head_retrieval *r = &got->heads[l * n_head + h];
            assert_int_equal(r->n_hit, hits);
            assert_true(fabs(r->coded - coded) < 1e-9);
            assert_true(fabs(r->set - (double)found / (double)in_needle) < 1e-12);
            assert_true(hits == 0 ? r->copy_offset == 0 : fabs(r->copy_offset - offset / (double)hits) < 1e-9);
        }
    free(ids);
    free(w.d.a);
}

static const char small_text[] =
    "The sea was quiet that night, and nobody spoke.\n\nThe number of Harold is 4 7 1 9 2.\n\nThe old man went up to the "
    "house and sat down by the fire. He said nothing for a long time.\n\nWhat is the number of Harold? The number of "
    "Harold is";
static const char small_needle[] = "The number of Harold is 4 7 1 9 2.";

static void test_second_implementation(void **state)
{
    (void)state;
    subject s = open_lantern();
    trial t;
    retrieval got;
    err e = {0};
    if (trial_of_text(&t, small_text, strlen(small_text), small_needle, strlen(small_needle), " 4 7 1 9 2.", 11, &s.trial,
                      &e))
        fail_msg("%s", e.msg);
    if (retrieval_run(&got, s.o.r, s.o.m, &t, &s.rules, NULL, &e))
        fail_msg("%s", e.msg);
    assert_true(got.n_hits > 5);
    assert_string_equal(got.stopped, "newline");
    assert_non_null(strchr(got.text, '\n'));
    check_against_dense(&s, &t, &got);

    /* Fewer steps, and an end token. */
    retrieval shorter;
    retrieval_rules rules = s.rules;
    rules.steps = 3;
    assert_int_equal(retrieval_run(&shorter, s.o.r, s.o.m, &t, &rules, NULL, &e), 0);
    assert_int_equal(shorter.n_generated, 3);
    assert_string_equal(shorter.stopped, "steps");
    assert_memory_equal(shorter.generated, got.generated, 3 * sizeof(int32_t));
    retrieval_free(&shorter);
    rules.steps = 24;
    rules.end_ids = &got.generated[1];
    rules.n_end = 1;
    assert_int_equal(retrieval_run(&shorter, s.o.r, s.o.m, &t, &rules, NULL, &e), 0);
    assert_string_equal(shorter.stopped, "end");
    assert_true(shorter.n_generated <= 2);
    retrieval_free(&shorter);
    retrieval_free(&got);
    trial_free(&t);
    close_subject(&s);
}

/* The bits do not depend on the number of threads. */
static void test_threads(void **state)
{
    (void)state;
    subject s = open_lantern();
    trial t;
    retrieval a, b;
    err e = {0};
    runtime *one;
    assert_int_equal(runtime_new(&one, s.o.m, 1, PRECISION_F32, &e), 0);
    assert_int_equal(trial_of_text(&t, small_text, strlen(small_text), small_needle, strlen(small_needle), " 4 7", 4,
                                   &s.trial, &e), 0);
    assert_int_equal(retrieval_run(&a, s.o.r, s.o.m, &t, &s.rules, NULL, &e), 0);
    assert_int_equal(retrieval_run(&b, one, s.o.m, &t, &s.rules, NULL, &e), 0);
    assert_int_equal(a.n_hits, b.n_hits);
    assert_memory_equal(a.heads, b.heads, (size_t)(a.n_layer * a.n_head) * sizeof *a.heads);
    retrieval_free(&a);
    retrieval_free(&b);
    trial_free(&t);
    runtime_free(one);
    close_subject(&s);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    subject s = open_lantern();
    int32_t *ids = calloc(600, sizeof *ids), answer = 5;
    char stars[] = "***";
    trial t = {.ids = ids, .n = 600, .needle_begin = 1, .needle_end = 4, .answer_ids = &answer, .n_answer = 1};
    retrieval got;
    err e = {0};
    assert_int_equal(retrieval_run(&got, s.o.r, s.o.m, &t, &s.rules, NULL, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "longer than the context"));
    t.n = 511;
    assert_int_equal(retrieval_run(&got, s.o.r, s.o.m, &t, &s.rules, NULL, &e), 0);
    assert_true(got.n_generated <= 2); /* the context ends there */
    retrieval_free(&got);
    t.n = 20;
    t.answer = stars;
    t.answer_len = 3;
    s.rules.success = SUCCESS_ROUGE1;
    assert_int_equal(retrieval_run(&got, s.o.r, s.o.m, &t, &s.rules, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no words"));
    free(ids);
    close_subject(&s);

    static const tiny_kind kinds[] = {TINY_TOWER, TINY_ENCODER, TINY_SPEECH, TINY_LLAVA};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_model tiny;
        tiny_new(&tiny, kinds[i]);
        assert_int_equal(retrieval_check_model(&tiny.m, &e), ERR_USAGE);
        assert_true(strlen(e.hint) > 0);
        tiny_free(&tiny);
    }
}

/* An encoder-decoder: the prompt is read by the encoder, and heads of the cross attention are scored. */
static void test_across(void **state)
{
    (void)state;
    tiny_model tiny;
    runtime *r;
    retrieval got;
    err e = {0};
    int32_t ids[18], answer = 3;
    for (int i = 0; i < 18; i++)
        ids[i] = i;
    tiny_new(&tiny, TINY_TRANSLATOR);
    assert_int_equal(runtime_new(&r, &tiny.m, 1, PRECISION_F32, &e), 0);
    const trial t = {.ids = ids, .n = 18, .needle_begin = 0, .needle_end = 18, .answer_ids = &answer, .n_answer = 1};
    const retrieval_rules rules = {.steps = 12, .recall = 0.5, .start = TINY_START};
    if (retrieval_run(&got, r, &tiny.m, &t, &rules, NULL, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(got.kind, ATTN_CROSS);
    assert_int_equal(got.n_generated, 12);
    assert_int_equal(got.n_layer, 2);
    assert_int_equal(got.layer_heads[1], TINY_HEADS);
    for (int64_t i = 0; i < got.n_hits; i++) /* ids are their own positions */
        assert_int_equal(got.hits[i].key, got.generated[got.hits[i].step]);
    retrieval_free(&got);
    runtime_free(r);
    tiny_free(&tiny);
}

static void test_recall(void **state)
{
    (void)state;
    err e = {0};
    double r;
    int64_t words;
    static const char needle[] = "The best thing is eating sandwiches, and sitting in Dolores Park.";
    assert_int_equal(rouge1_recall(&r, &words, needle, strlen(needle), "eat a sandwich; sit in the park", 31, true, &e), 0);
    assert_int_equal(words, 11);
    assert_true(fabs(r - 6.0 / 11) < 1e-12); /* the, eat, sandwich, sit, in, park */
    assert_int_equal(rouge1_recall(&r, &words, needle, strlen(needle), "eat a sandwich; sit in the park", 31, false, &e),
                     0);
    assert_true(fabs(r - 3.0 / 11) < 1e-12);
    /* Repeated words count as often as both have them. */
    assert_int_equal(rouge1_recall(&r, &words, "a a b", 5, "A, a; a!", 8, true, &e), 0);
    assert_true(fabs(r - 2.0 / 3) < 1e-12);
    assert_int_equal(rouge1_recall(&r, &words, "***", 3, "x", 1, true, &e), 0);
    assert_int_equal(words, 0);
    assert_int_equal(rouge1_recall(&r, &words, "x", 1, "", 0, true, &e), 0);
    assert_true(r == 0);
    static const int32_t want[] = {4, 4, 5, 6}, gave[] = {6, 9, 4};
    assert_int_equal(token_recall(&r, want, 4, gave, 3, &e), 0);
    assert_true(fabs(r - 2.0 / 3) < 1e-12);
}

/* Stems by NLTK 3.9, default mode. */
static void test_stems(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"caresses", "caress"}, {"ponies", "poni"}, {"ties", "tie"}, {"cats", "cat"}, {"agreed", "agre"},
        {"feed", "feed"}, {"plastered", "plaster"}, {"motoring", "motor"}, {"sing", "sing"}, {"conflated", "conflat"},
        {"hopping", "hop"}, {"falling", "fall"}, {"filing", "file"}, {"happy", "happi"}, {"sky", "sky"},
        {"skies", "sky"}, {"dying", "die"}, {"enjoy", "enjoy"}, {"relational", "relat"}, {"radically", "radic"},
        {"vietnamization", "vietnam"}, {"operator", "oper"}, {"hopefulness", "hope"}, {"electrical", "electr"},
        {"adjustment", "adjust"}, {"adoption", "adopt"}, {"probate", "probat"}, {"controlling", "control"},
        {"geology", "geolog"}, {"died", "die"}, {"dies", "die"}, {"flies", "fli"}, {"possibly", "possibl"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char word[32];
        snprintf(word, sizeof word, "%s", pairs[i][0]);
        word[porter_stem(word, strlen(word))] = '\0';
        assert_string_equal(word, pairs[i][1]);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_trials),
        cmocka_unit_test(test_second_implementation),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_across),
        cmocka_unit_test(test_recall),
        cmocka_unit_test(test_stems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
