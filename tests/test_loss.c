/* Loss, accuracy and entropy of predictions; greedy continuations. */
#include "tests/model_run.h"
#include "tests/tiny_model.h"
#include "analysis/edit.h"
#include "analysis/loss.h"
#include "base/npz.h"

static void near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

static const int32_t short_ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
enum { N_SHORT = 11, VOCAB = 2048 };

static opened lantern(int threads)
{
    path_text path;
    source_path(path, "examples/models/lantern-3m");
    return open_model(path, threads);
}

typedef struct kept { double nll[64], entropy[64]; int right[64]; const int32_t *ids; int64_t n; } kept;

/* Softmax written out, in double. */
static int by_hand(void *ud, int64_t pos0, const float *z, int64_t n, int64_t vocab, err *e)
{
    kept *k = ud;
    (void)e;
    for (int64_t i = 0; i < n && pos0 + i + 1 < k->n; i++) {
        const float *row = z + i * vocab;
        double sum = 0, best = -INFINITY, entropy = 0;
        for (int64_t v = 0; v < vocab; v++) {
            sum += exp((double)row[v]);
            best = fmax(best, (double)row[v]);
        }
        for (int64_t v = 0; v < vocab; v++)
            entropy -= exp((double)row[v]) / sum * log(exp((double)row[v]) / sum);
        double own = (double)row[k->ids[pos0 + i + 1]];
        k->nll[pos0 + i + 1] = -log(exp(own) / sum);
        k->entropy[pos0 + i + 1] = entropy;
        k->right[pos0 + i + 1] = own == best;
    }
    return 0;
}

static void test_against_the_logits(void **state)
{
    (void)state;
    const model_input in = {.ids = short_ids, .n = N_SHORT};
    for (int threads = 1; threads < 4; threads += 2) {
        opened o = lantern(threads);
        kept k = {.ids = short_ids, .n = N_SHORT};
        const observer watch = {.logits = by_hand, .ud = &k};
        loss l;
        double each[N_SHORT], nll = 0, entropy = 0, right = 0;
        assert_int_equal(forward(o.r, &in, &watch, NULL, NULL), 0);
        assert_int_equal(loss_measure(&l, each, o.r, o.m, &in, NULL, NULL), 0);
        assert_int_equal(l.n, N_SHORT - 1);
        assert_true(each[0] == 0);
        for (int i = 1; i < N_SHORT; i++) {
            near(each[i], k.nll[i], 1e-9, "nll of a token");
            nll += k.nll[i];
            entropy += k.entropy[i];
            right += k.right[i];
        }
        near(l.nll, nll / (N_SHORT - 1), 1e-9, "nll");
        near(l.entropy, entropy / (N_SHORT - 1), 1e-9, "entropy");
        near(l.accuracy, right / (N_SHORT - 1), 1e-15, "accuracy");
        close_model(&o);
    }
}

/* With the unembedding at zero every token is as probable as any other. */
static void test_uniform_predictions(void **state)
{
    (void)state;
    tiny_model t;
    runtime *r;
    loss l;
    tiny_new(&t, TINY_DECODER);
    memset((void *)(uintptr_t)t.m.head.unembedding.data, 0, TINY_VOCAB * TINY_WIDTH * sizeof(float));
    const model_input in = tiny_input(&t, 12, 0);
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, NULL), 0);
    assert_int_equal(loss_measure(&l, NULL, r, &t.m, &in, NULL, NULL), 0);
    near(l.nll, log(TINY_VOCAB), 1e-12, "nll");
    near(l.entropy, log(TINY_VOCAB), 1e-12, "entropy");
    int zeros = 0;
    for (int i = 1; i < 12; i++)
        zeros += in.ids[i] == 0;
    near(l.accuracy, zeros / 11.0, 1e-15, "of equal logits token 0 counts as the largest");
    runtime_free(r);
    tiny_free(&t);
}

/* The mean nll that the reference implementation gives for the bundled model. */
static void test_reference_nll(void **state)
{
    (void)state;
    path_text path;
    npz *z;
    npy ids, nll;
    opened o = lantern(2);
    static const char *const names[] = {"short", "story", "needle"};
    for (int i = 0; i < 3; i++) {
        char name[128];
        snprintf(name, sizeof name, "models/lantern-3m-reference/ref-%s.npz", names[i]);
        shared_path(path, name);
        assert_int_equal(npz_open(&z, path, NULL), 0);
        assert_int_equal(npz_get(&ids, z, "ids", NULL), 0);
        assert_int_equal(npz_get(&nll, z, "logits", NULL), 0);
        int32_t *list = malloc((size_t)ids.count * sizeof *list);
        for (int64_t k = 0; k < ids.count; k++) {
            int64_t v;
            assert_true(npy_int(&v, &ids, k));
            list[k] = (int32_t)v;
        }
        double sum = 0;
        for (int64_t k = 1; k < ids.count; k++) {
            double total = 0;
            for (int64_t v = 0; v < VOCAB; v++)
                total += exp(npy_real(&nll, (k - 1) * VOCAB + v));
            sum += log(total) - npy_real(&nll, (k - 1) * VOCAB + list[k]);
        }
        const model_input in = {.ids = list, .n = ids.count};
        loss l;
        assert_int_equal(loss_measure(&l, NULL, o.r, o.m, &in, NULL, NULL), 0);
        near(l.nll, sum / (double)(ids.count - 1), 1e-5, names[i]);
        free(list);
        npy_free(&ids);
        npy_free(&nll);
        npz_close(z);
    }
    close_model(&o);
}

/* Greedy text is the largest logit of a forward pass, again and again; edits count. */
static void test_greedy(void **state)
{
    (void)state;
    opened o = lantern(2);
    edit_plan *plan;
    int32_t ids[N_SHORT + 12], made[2][12];
    int64_t n;
    const head_id heads[] = {{ATTN_SELF, 1, 3}, {ATTN_SELF, 1, 2}, {ATTN_SELF, 0, 1}};
    assert_int_equal(edit_plan_new(&plan, o.m, NULL), 0);
    assert_int_equal(edit_plan_add(plan, edit_find("zero"), heads, 3, NULL, NULL, NULL), 0);
    for (int edited = 0; edited < 2; edited++) {
        runtime_set_edits(o.r, edited ? edit_plan_edits(plan) : NULL);
        assert_int_equal(greedy_continue(made[edited], &n, o.r, o.m, NULL, short_ids, N_SHORT, 12, NULL), 0);
        assert_int_equal(n, 12);
        memcpy(ids, short_ids, sizeof short_ids);
        memcpy(ids + N_SHORT, made[edited], 12 * sizeof *ids);
        /* the last 12 tokens are all predicted, by the largest logit */
        double each[N_SHORT + 12];
        loss l;
        assert_int_equal(loss_measure(&l, each, o.r, o.m, &(model_input){.ids = ids, .n = N_SHORT + 12}, NULL, NULL), 0);
        loss prompt;
        assert_int_equal(loss_measure(&prompt, NULL, o.r, o.m, &(model_input){.ids = ids, .n = N_SHORT}, NULL, NULL), 0);
        near(l.accuracy * (N_SHORT + 11), prompt.accuracy * (N_SHORT - 1) + 12, 1e-9, "greedy tokens are right");
    }
    assert_memory_not_equal(made[0], made[1], sizeof made[0]);
    runtime_set_edits(o.r, NULL);
    edit_plan_free(plan);
    close_model(&o);
}

static void test_refusals(void **state)
{
    (void)state;
    tiny_model t;
    runtime *r;
    loss l;
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    const model_input in = tiny_input(&t, 1, 0);
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, NULL), 0);
    assert_int_equal(loss_measure(&l, NULL, r, &t.m, &in, NULL, &e), ERR_USAGE);
    assert_string_equal(e.msg, "a text of 1 token has no next token to predict");
    int32_t ids[TINY_CONTEXT] = {0}, out[4];
    int64_t made;
    assert_int_equal(greedy_continue(out, &made, r, &t.m, NULL, ids, TINY_CONTEXT, 4, &e), ERR_USAGE);
    assert_int_equal(greedy_continue(out, &made, r, &t.m, NULL, ids, TINY_CONTEXT - 2, 4, &e), 0);
    assert_int_equal(made, 2);
    runtime_free(r);
    tiny_free(&t);
    tiny_new(&t, TINY_ENCODER);
    assert_int_equal(loss_check(&t.m, &e), ERR_USAGE);
    assert_true(e.hint[0]);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_logits),
        cmocka_unit_test(test_uniform_predictions),
        cmocka_unit_test(test_reference_nll),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
