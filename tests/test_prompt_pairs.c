/* Generators of clean and corrupted prompts, with a small vocabulary that knows some of the words. */
#include <stdio.h>
#include "analysis/experiments/prompt_pairs.h"
#include "tests/tokenizer_json.h"

#define VOCAB(names) "{'pre_tokenizer':{'type':'Whitespace'},'model':{'type':'WordLevel','unk_token':'[UNK]','vocab':{" \
    "'[UNK]':0,'and':1," names "'park':20,'book':21,'red':30,'blue':31,'green':32,'cup':40,'pen':41,'hat':42}}}"
#define FOUR "'Mary':10,'John':11,'Tom':12,'Anna':13,"

static bool has(const char *text, const char *word)
{
    return strstr(text, word) != NULL;
}

static int named(const char *text)
{
    return has(text, " Mary") + has(text, " John") + has(text, " Tom") + has(text, " Anna");
}

static void test_ioi(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(VOCAB(FOUR));
    text_pairs p, again, other, one;
    err e = {0};
    assert_int_equal(pair_task_make(&p, &pair_task_ioi, t, 24, 0, 5, &e), 0);
    assert_int_equal(p.n, 24);
    for (int64_t i = 0; i < p.n; i++) {
        const text_pair *a = &p.pair[i], *b = &p.pair[i ^ 1];
        /* neighbours are each other's corrupted form, with answers exchanged */
        assert_string_equal(a->corrupted, b->clean);
        assert_string_equal(a->answer, b->wrong);
        assert_string_not_equal(a->answer, a->wrong);
        assert_string_not_equal(a->clean, a->corrupted);
        assert_int_equal(strlen(a->clean) - strlen(a->wrong), strlen(a->corrupted) - strlen(a->answer));
        /* two names of the vocabulary; the wrong one twice, the answer once */
        assert_int_equal(named(a->clean), 2);
        const char *first = strstr(a->clean, a->wrong), *once = strstr(a->clean, a->answer);
        assert_non_null(first);
        assert_non_null(once);
        assert_non_null(strstr(first + 1, a->wrong));
        assert_null(strstr(once + 1, a->answer));
        assert_true(has(a->clean, " park"));
        assert_true(has(a->clean, " book") || has(a->clean, " cup") || has(a->clean, " pen") || has(a->clean, " hat"));
    }
    assert_int_equal(pair_task_make(&again, &pair_task_ioi, t, 24, 0, 5, &e), 0);
    assert_int_equal(pair_task_make(&other, &pair_task_ioi, t, 24, 0, 6, &e), 0);
    int differ = 0;
    for (int64_t i = 0; i < p.n; i++) {
        assert_string_equal(p.pair[i].clean, again.pair[i].clean);
        differ += strcmp(p.pair[i].clean, other.pair[i].clean) != 0;
    }
    assert_true(differ > 0);
    /* the first prompts do not depend on how many there are; one template gives one sentence */
    assert_int_equal(pair_task_make(&one, &pair_task_ioi, t, 6, 2, 5, &e), 0);
    for (int64_t i = 0; i < one.n; i++)
        assert_true(strncmp(one.pair[i].clean, "After ", 6) == 0);
    text_pairs_free(&one);
    text_pairs_free(&p);
    text_pairs_free(&again);
    text_pairs_free(&other);
    tokenizer_free(t);
}

static void test_demo(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(VOCAB(""));
    text_pairs p;
    err e = {0};
    assert_int_equal(pair_task_make(&p, &pair_task_ioi_demo, t, 8, 0, 0, &e), 0);
    assert_string_equal(p.pair[0].clean, "When John and Mary went to the shops, Mary gave the bag to");
    assert_string_equal(p.pair[0].answer, " John");
    assert_string_equal(p.pair[0].wrong, " Mary");
    assert_string_equal(p.pair[1].clean, "When John and Mary went to the shops, John gave the bag to");
    assert_string_equal(p.pair[5].clean, "When Dan and Sid went to the shops, Dan gave an apple to");
    assert_string_equal(p.pair[7].clean, "After Martin and Amy went to the park, Martin gave a drink to");
    text_pairs_free(&p);
    assert_int_equal(pair_task_make(&p, &pair_task_ioi_demo, t, 6, 0, 0, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "has 8 prompts, not 6"));
    tokenizer_free(t);
}

/* The thing that is asked for has the colour of the answer. */
static void test_colours(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(VOCAB(""));
    text_pairs p;
    err e = {0};
    assert_int_equal(pair_task_make(&p, &pair_task_colored_objects, t, 30, 0, 9, &e), 0);
    for (int64_t i = 0; i < p.n; i++) {
        const text_pair *a = &p.pair[i], *b = &p.pair[i ^ 1];
        const char *things[] = {" cup", " pen", " hat", " book"};
        int found = 0;
        assert_string_equal(a->corrupted, b->clean);
        assert_string_equal(a->answer, b->wrong);
        assert_string_not_equal(a->answer, a->wrong);
        for (int k = 0; k < 4; k++) {
            char want[32], wrong[32];
            const char *first = strstr(a->clean, things[k]);
            snprintf(want, sizeof want, "%s%s", a->answer, things[k]);
            snprintf(wrong, sizeof wrong, "%s%s", a->wrong, things[k]);
            if (first && strstr(first + 1, things[k])) { /* it comes again in the question */
                assert_true(has(a->clean, want));
                found++;
            }
            first = strstr(a->corrupted, things[k]);
            if (first && strstr(first + 1, things[k]))
                assert_true(has(a->clean, wrong));
        }
        assert_int_equal(found, 1);
    }
    text_pairs_free(&p);
    tokenizer_free(t);
}

static void test_refused(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(VOCAB("'Mary':10,'John':11,"));
    text_pairs p;
    err e = {0};
    assert_int_equal(pair_task_make(&p, &pair_task_ioi, t, 4, 0, 0, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "only 2 of "));
    assert_non_null(strstr(e.msg, "names as one token, 4 are needed"));
    assert_int_equal(pair_task_make(&p, &pair_task_ioi, t, 3, 0, 0, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "come in twos"));
    assert_int_equal(pair_task_make(&p, &pair_task_ioi, t, 4, 99, 0, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "no template 99"));
    assert_int_equal(pair_task_make(&p, &pair_task_ioi, NULL, 4, 0, 0, &e), ERR_USAGE);
    bool yes;
    assert_int_equal(word_is_single(&yes, t, "Mary", &e), 0);
    assert_true(yes);
    assert_int_equal(word_is_single(&yes, t, "Tom", &e), 0); /* not known: no token of its own */
    assert_false(yes);
    assert_int_equal(word_is_single(&yes, t, "Mary John", &e), 0);
    assert_false(yes);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ioi), cmocka_unit_test(test_demo), cmocka_unit_test(test_colours), cmocka_unit_test(test_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
