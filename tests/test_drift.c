/* Two checkpoints held against each other: maps against dense matrices in double, predictions against logits. */
#include "tests/model_run.h"
#include "analysis/drift.h"
#include "model/quantize.h"
#include "tests/tiny_model.h"

static void near(double ours, double want, double gate, const char *what)
{
    if (!(fabs(ours - want) <= gate * (1 + fabs(want))))
        fail_msg("%s: %.12g, wanted %.12g", what, ours, want);
}

static void test_cells(void **state)
{
    (void)state;
    assert_true(jsd_cell(0, 0) == 0 && jsd_cell(.3, .3) == 0);
    near(jsd_cell(1, 0), .5 * log(2), 1e-15, "a cell that only one has");
    near(jsd_cell(0, .4), .2 * log(2), 1e-15, "and the other way round");
    assert_true(jsd_cell(.7, .1) == jsd_cell(.1, .7));
    /* rows of spec/operators.md 0.5: the square root is .301641 */
    const double p[] = {.226563, .050553, .107021, .615863};
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += jsd_cell(p[i], .25);
    near(sqrt(sum), .301641, 2e-6, "sqrt of JSD(softmax row, uniform)");
    /* the series meets the logarithms: both sides of where it ends, against long double */
    for (double d = 1e-6; d < .5; d *= 1.37) {
        long double a = .3L * (1 + (long double)d), b = .3L * (1 - (long double)d), m = .3L;
        long double want = .5L * (a * logl(a / m) + b * logl(b / m));
        double got = jsd_cell((double)a, (double)b);
        /* want loses 1e-19 to cancellation, got what rounding a and b to double moves d by */
        if (!(fabsl(got - want) <= want * (4e-16L / (long double)d + 1e-12L) + 1e-19L))
            fail_msg("jsd_cell at d = %g: %.17g, wanted %.17Lg", d, got, want);
    }
}

/* ---- the same from dense maps ---- */

typedef struct dense {
    opened o;
    collected c;
    float *logits;          /* [n, V] */
    int64_t n, vocab;
} dense;

static int take_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    dense *d = ud;
    (void)e;
    d->logits = realloc(d->logits, (size_t)((pos0 + n) * vocab) * sizeof *logits);
    assert_non_null(d->logits);
    memcpy(d->logits + pos0 * vocab, logits, (size_t)(n * vocab) * sizeof *logits);
    d->n = pos0 + n;
    d->vocab = vocab;
    return 0;
}

static void run_dense(dense *d, opened o, const model_input *in)
{
    head_id heads[64];
    int n = 0;
    err e = {0};
    const observer watch = {.logits = take_logits, .ud = d};
    *d = (dense){.o = o};
    for (int kind = ATTN_SELF; kind <= ATTN_VISION; kind++)
        for (int l = 0; model_stack(o.m, (attn_kind)kind) && l < model_stack(o.m, (attn_kind)kind)->n_run; l++) {
            const attention_block *b = model_attention(o.m, (attn_kind)kind, l);
            for (int h = 0; b && h < b->plan.n_head; h++) {
                assert_in_range(n, 0, 63);
                heads[n++] = (head_id){(attn_kind)kind, l, h};
            }
        }
    if (run_analysis_of(&d->c, &o, in, "max", NULL, heads, n, 0))
        fail_msg("%s: %s", o.m->name, d->c.e.msg);
    assert_int_equal(forward(o.r, in, &watch, NULL, &e), 0);
}

static void dense_free(dense *d)
{
    collected_free(&d->c);
    free(d->logits);
}

static double entropy_term(double p)
{
    return p > 0 ? -p * log(p) : 0;
}

/* H((P + Q) / 2) - (H(P) + H(Q)) / 2 of rows, mean over those that see a key; masked cells are NaN. */
static double dense_jsd(const result_map *a, const result_map *b, bool sinks)
{
    double sum = 0;
    int64_t rows = 0;
    for (int64_t q = 0; q < a->n_query; q++) {
        double jsd = 0, left_a = 1, left_b = 1;
        bool any = false;
        for (int64_t k = 0; k < a->n_key; k++) {
            double x = (double)a->cells[q * a->n_key + k], y = (double)b->cells[q * a->n_key + k];
            any |= !isnan(x) || !isnan(y);
            x = isnan(x) ? 0 : x;
            y = isnan(y) ? 0 : y;
            jsd += entropy_term((x + y) / 2) - (entropy_term(x) + entropy_term(y)) / 2;
            left_a -= x;
            left_b -= y;
        }
        if (sinks)
            jsd += entropy_term((left_a + left_b) / 2) - (entropy_term(left_a) + entropy_term(left_b)) / 2;
        sum += any ? jsd : 0;
        rows += any;
    }
    return sum / (double)rows;
}

static const result_map *map_at(const collected *c, const result_value *v)
{
    for (int i = 0; i < c->n_map; i++)
        if (c->map[i].kind == v->kind && c->map[i].layer == v->layer && c->map[i].head == v->head)
            return &c->map[i];
    fail_msg("no map");
    return NULL;
}

static double dense_kl(const float *a, const float *b, int64_t vocab, bool *agree)
{
    double sum_a = 0, sum_b = 0, kl = 0;
    int64_t top_a = 0, top_b = 0;
    for (int64_t i = 0; i < vocab; i++) {
        sum_a += exp((double)a[i] - (double)a[0]);
        sum_b += exp((double)b[i] - (double)b[0]);
        top_a = a[i] > a[top_a] ? i : top_a;
        top_b = b[i] > b[top_b] ? i : top_b;
    }
    for (int64_t i = 0; i < vocab; i++) {
        double p = exp((double)a[i] - (double)a[0]) / sum_a, q = exp((double)b[i] - (double)b[0]) / sum_b;
        kl += p > 0 ? p * (log(p) - log(q)) : 0;
    }
    *agree = top_a == top_b;
    return kl;
}

static void against_dense(opened first, opened second, const model_input *in)
{
    static dense a, b;
    collected got = {0}, small = {0};
    const result_sink sink = {.value = collect_value, .ud = &got}, again = {.value = collect_value, .ud = &small};
    err e = {0};
    int heads = 0, n_token = 0;
    double far = 0;
    run_dense(&a, first, in);
    run_dense(&b, second, in);
    if (drift_run(first.r, first.m, second.r, second.m, in, 0, &sink, NULL, &e))
        fail_msg("%s: %s", first.m->name, e.msg);
    for (int64_t i = 0; i < got.n_value; i++) {
        const result_value *v = &got.value[i];
        if (strcmp(v->metric, "map_jsd") == 0) {
            const attention_block *block = model_attention(first.m, v->kind, v->layer);
            near(v->value, dense_jsd(map_at(&a.c, v), map_at(&b.c, v), block->sinks != NULL), 1e-9, first.m->name);
            far = v->value > far ? v->value : far;
            heads++;
            continue;
        }
        bool agree;
        double kl = dense_kl(a.logits + v->position * a.vocab, b.logits + v->position * a.vocab, a.vocab, &agree);
        if (strcmp(v->metric, "logit_kl") == 0)
            near(v->value, kl, 1e-9, "logit_kl");
        else
            assert_true(v->value == agree);
        n_token++;
    }
    assert_int_equal(heads, a.c.n_map);
    assert_int_equal(n_token, 2 * a.n);
    assert_true(far > 1e-6);
    /* a layer at a time: the same bits, perhaps in another order of layers and stacks */
    assert_int_equal(drift_run(first.r, first.m, second.r, second.m, in, 1, &again, NULL, &e), 0);
    assert_int_equal(small.n_value, got.n_value);
    for (int64_t i = 0; i < small.n_value; i++) {
        const result_value *x = &small.value[i], *y = &got.value[i];
        assert_true(x->value == y->value && x->kind == y->kind && x->layer == y->layer && x->head == y->head);
    }
    collected_free(&got);
    collected_free(&small);
    dense_free(&a);
    dense_free(&b);
}

static void test_stacks(void **state)
{
    (void)state;
    static const tiny_kind kinds[] = {TINY_DECODER, TINY_ENCODER, TINY_TRANSLATOR, TINY_SPEECH, TINY_TOWER, TINY_LLAVA};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_model a, b;
        err e = {0};
        opened first, second;
        tiny_new(&a, kinds[i]);
        tiny_new(&b, kinds[i]);
        for (int s = 0; s < 3; s++) /* the second has other weights */
            for (int l = 0; l < 3; l++)
                if (b.layers[s][l].self.q.data) {
                    b.layers[s][l].self.q = tiny_weight(&b, TINY_WIDTH, TINY_WIDTH);
                    b.layers[s][l].mlp.up = tiny_weight(&b, TINY_WIDTH, TINY_WIDTH);
                }
        first.m = &a.m;
        second.m = &b.m;
        assert_int_equal(runtime_new(&first.r, first.m, 2, PRECISION_F32, &e), 0);
        assert_int_equal(runtime_new(&second.r, second.m, 1, PRECISION_F32, &e), 0);
        const model_input in = tiny_input(&a, 13, 9);
        against_dense(first, second, &in);
        runtime_free(first.r);
        runtime_free(second.r);
        tiny_free(&a);
        tiny_free(&b);
    }
}

/* Carried models against themselves with rounded weights: ALiBi, sinks, soft caps and windows, relative biases. */
static void test_rounded(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "gpt_oss", "bloom", "gemma3", "t5", "qwen3_next", "bert"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_text path;
        char name[64];
        int32_t ids[16], source[11];
        err e = {0};
        snprintf(name, sizeof name, "tests/families/%.40s", names[i]);
        source_path(path, name);
        opened first = open_model(path, 1), second = open_model(path, 2);
        assert_int_equal(model_quantize(second.m, "fp8", true, 1, NULL, &e), 0);
        for (int t = 0; t < 16; t++)
            ids[t] = (int32_t)((t * 37 + 11) % first.m->main->embed.tokens.n_out);
        for (int t = 0; t < 11; t++)
            source[t] = (int32_t)((t * 29 + 3) % first.m->main->embed.tokens.n_out);
        int64_t n = first.m->main->context < 16 ? first.m->main->context : 16;
        bool text = first.m->needs & NEEDS_SOURCE;
        const model_input in = {.ids = ids, .n = n, .source = text ? source : NULL, .n_source = text ? 11 : 0};
        against_dense(first, second, &in);
        close_model(&first);
        close_model(&second);
    }
}

static void test_itself(void **state)
{
    (void)state;
    path_text path;
    int32_t ids[200];
    collected got = {0};
    const result_sink sink = {.value = collect_value, .ud = &got};
    err e = {0};
    source_path(path, "examples/models/lantern-3m");
    opened first = open_model(path, 1), second = open_model(path, 2);
    for (int t = 0; t < 200; t++)
        ids[t] = t ? 2 + t * 7919 % 2000 : 0;
    const model_input in = {.ids = ids, .n = 200};
    assert_int_equal(drift_run(first.r, first.m, second.r, second.m, &in, 0, &sink, NULL, &e), 0);
    assert_int_equal(got.n_value, 32 + 2 * 200);
    for (int64_t i = 0; i < got.n_value; i++)
        assert_true(got.value[i].value == (strcmp(got.value[i].metric, "top1_agree") == 0 ? 1 : 0));
    collected_free(&got);
    close_model(&second);
    source_path(path, "tests/families/llama");
    second = open_model(path, 1);
    assert_int_equal(drift_check(first.m, second.m, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "4 and 2 layers"));
    assert_int_equal(drift_run(first.r, first.m, second.r, second.m, &in, 0, &sink, NULL, &e), ERR_USAGE);
    close_model(&second);
    source_path(path, "tests/families/t5");
    second = open_model(path, 1);
    assert_int_equal(drift_check(first.m, second.m, &e), ERR_USAGE);
    close_model(&first);
    close_model(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells), cmocka_unit_test(test_stacks), cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_itself),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
