/* Decoding through the cache, however a prompt is cut, gives what one pass over it gives. */
#include "tests/family_cases.h"
#include "tests/tiny_model.h"

#include <math.h>

#include "analysis/reference.h"
#include "base/cancel.h"

typedef struct all_logits { float *x; int64_t vocab; } all_logits;

static int keep_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    const all_logits *l = ud;
    (void)e;
    memcpy(l->x + pos0 * vocab, logits, (size_t)(n * vocab) * sizeof *logits);
    return 0;
}

/* [n, V] of one pass; free() it. */
static float *whole(runtime *r, const model *m, const model_input *in)
{
    all_logits l = {.x = calloc((size_t)(in->n * m->vocab), sizeof(float)), .vocab = m->vocab};
    observer o = {.logits = keep_logits, .ud = &l};
    err e = {0};
    if (forward(r, in, &o, NULL, &e))
        fail_msg("%s: %s", m->name, e.msg);
    return l.x;
}

/* The largest difference of a row, relative to the root mean square of the expected one. */
static double distance(const float *got, const float *want, int64_t n)
{
    double most = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        most = d <= most ? most : d;
        squares += (double)want[i] * (double)want[i];
    }
    return most / sqrt(squares / (double)n);
}

/* Where frequencies depend on the length, only the last row is of the same length. */
static bool by_length(const model *m)
{
    bool any = false;
    for (int i = 0; i < m->n_rope; i++)
        any |= m->ropes[i].long_divisors || !strcmp(m->ropes[i].scaling, "dynamic");
    return any;
}

/* Pieces of first, then of step tokens. */
static void check_pieces(runtime *r, const model *m, const model_input *in, const float *want, int64_t first, int64_t step)
{
    decoder *d;
    const float *logits;
    err e = {0};
    if (decoder_new(&d, r, m->encoder || m->vision ? in : NULL, in->n, &e))
        fail_msg("%s: %s", m->name, e.msg);
    for (int64_t at = 0, n; at < in->n; at += n) {
        n = at == 0 ? first : step;
        n = n < in->n - at ? n : in->n - at;
        if (decoder_feed(d, in->ids + at, n, &logits, NULL, &e))
            fail_msg("%s: %s", m->name, e.msg);
        int64_t row = at + n - 1;
        double far = distance(logits, want + row * m->vocab, m->vocab);
        if ((!by_length(m) || row == in->n - 1) && !(far <= 1e-4))
            fail_msg("%s: %lld tokens in pieces of %lld and %lld: row %lld is off by %g", m->name, (long long)in->n,
                     (long long)first, (long long)step, (long long)row, far);
    }
    assert_int_equal(decoder_feed(d, in->ids, 1, &logits, NULL, &e), ERR_FAILED);
    decoder_free(d);
}

static void check_model(const model *m, const model_input *in)
{
    runtime *r;
    assert_int_equal(runtime_new(&r, m, 2, PRECISION_F32, NULL), 0);
    float *want = whole(r, m, in);
    check_pieces(r, m, in, want, 1, 1);
    check_pieces(r, m, in, want, 3, 4);
    check_pieces(r, m, in, want, in->n > 5 ? in->n - 5 : 1, 1);
    check_pieces(r, m, in, want, in->n, 1);
    free(want);
    runtime_free(r);
}

static void test_stacks(void **state)
{
    static const tiny_kind kinds[] = {TINY_DECODER, TINY_TRANSLATOR, TINY_SPEECH, TINY_LLAVA};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_model t;
        tiny_new(&t, kinds[i]);
        model_input in = tiny_input(&t, 20, 11);
        check_model(&t.m, &in);
        tiny_free(&t);
    }
}

/* Two sets of frequencies: texts of 9 tokens and more have the long ones, whatever they were fed as. */
static void test_longrope(void **state)
{
    static const float near[] = {1, 1}, far[] = {1, 3};
    rope_plan rope = {.kind = ROPE_HALF, .dim = 4, .period = 4, .base = 100, .scaling = "longrope", .factor = 1,
                      .original_context = 8, .magnitude = 1, .divisors = near, .long_divisors = far};
    tiny_model t;
    (void)state;
    tiny_new(&t, TINY_DECODER);
    t.m.ropes = &rope;
    t.m.n_rope = 1;
    for (int l = 0; l < t.m.main->n_layer; l++)
        t.m.main->layers[l].self.plan.rope = 0;
    for (int64_t n = 7; n < 20; n++) {
        model_input in = tiny_input(&t, n, 0);
        check_model(&t.m, &in);
    }
    tiny_free(&t);
}

static void test_refusals(void **state)
{
    tiny_model t;
    runtime *r;
    decoder *d;
    err e = {0};
    (void)state;
    tiny_new(&t, TINY_TRANSLATOR);
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, NULL), 0);
    assert_int_equal(decoder_new(&d, r, NULL, 4, &e), ERR_USAGE);
    assert_string_equal(e.msg, "tiny continues what its encoder reads, and nothing is given for it");
    runtime_free(r);
    tiny_free(&t);
    static const tiny_kind silent[] = {TINY_ENCODER, TINY_TOWER};
    for (int i = 0; i < 2; i++) {
        tiny_new(&t, silent[i]);
        assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, NULL), 0);
        assert_int_equal(decoder_new(&d, r, NULL, 4, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "no causal language model"));
        runtime_free(r);
        tiny_free(&t);
    }
}

/* A cancelled piece uses nothing up, image tokens included. */
static void test_cancelled_piece(void **state)
{
    tiny_model t;
    runtime *r;
    decoder *d;
    const float *logits;
    err e = {0};
    (void)state;
    tiny_new(&t, TINY_LLAVA);
    model_input in = tiny_input(&t, 12, 0);
    assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, NULL), 0);
    float *want = whole(r, &t.m, &in);
    assert_int_equal(decoder_new(&d, r, &in, in.n, NULL), 0);
    assert_int_equal(decoder_feed(d, in.ids, 4, &logits, NULL, &e), 0);
    cancel_request();
    assert_int_equal(decoder_feed(d, in.ids + 4, 8, &logits, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(decoder_feed(d, in.ids + 4, 8, &logits, NULL, &e), 0);
    assert_true(distance(logits, want + 11 * TINY_VOCAB, TINY_VOCAB) <= 1e-4);
    free(want);
    decoder_free(d);
    runtime_free(r);
    tiny_free(&t);
}

/* Nobody sees what a cancelled run left behind. */
static int must_not_run(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    (void)kind, (void)layer, (void)x, (void)n, (void)width, (void)e;
    *(bool *)ud = true;
    return 0;
}

static void test_cancelled_run(void **state)
{
    tiny_model t;
    runtime *r;
    bool seen = false;
    observer o = {.hidden = must_not_run, .ud = &seen};
    err e = {0};
    (void)state;
    tiny_new(&t, TINY_LLAVA);
    model_input in = tiny_input(&t, 12, 0);
    assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, NULL), 0);
    cancel_request();
    assert_int_equal(forward(r, &in, &o, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    assert_false(seen);
    runtime_free(r);
    tiny_free(&t);
}

/* Dynamic RoPE beyond the original context: keys keep the frequencies that they came with. */
static bool changes_on_the_way(const model *m, int64_t n)
{
    bool any = false;
    for (int i = 0; i < m->n_rope; i++)
        any |= !strcmp(m->ropes[i].scaling, "dynamic") && (double)n > m->ropes[i].original_context;
    return any;
}

static int check_case(const model_case *c)
{
    model_case refs[REFERENCES_MAX];
    int n = list_references(refs, c->path), checked = 0;
    model *m;
    err e = {0};
    if (model_open(&m, c->path, &e))
        fail_msg("%s: %s", c->name, e.msg);
    for (int i = 0; i < n && m->main->kind == ATTN_SELF && m->vocab > 0; i++) {
        reference_input in = {0};
        if (reference_input_open(&in, m, refs[i].path, &e))
            fail_msg("%s: %s", refs[i].path, e.msg);
        if (!changes_on_the_way(m, in.in.n)) {
            check_model(m, &in.in);
            checked++;
        }
        reference_input_free(&in);
    }
    model_free(m);
    return checked;
}

static void test_families(void **state)
{
    model_case cases[CASES_MAX];
    char root[CASE_PATH];
    int checked = 0;
    (void)state;
    golden_path(root, "");
    int n = list_cases(cases, root);
    if (n == 0) {
        print_message("no %s: the reference models are not there\n", root);
        skip();
    }
    for (int i = 0; i < n; i++)
        checked += check_case(&cases[i]);
    assert_true(checked >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks), cmocka_unit_test(test_longrope), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancelled_piece), cmocka_unit_test(test_cancelled_run), cmocka_unit_test(test_families),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
