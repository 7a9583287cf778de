/* Divergence of head outputs with and without a part of the prompt, against whole outputs kept by an observer. */
#include "tests/model_run.h"
#include "analysis/vhd.h"
#include "tests/tiny_model.h"

enum { LAYERS = 3, ROWS = 32 };

typedef struct whole {
    float heads[LAYERS][ROWS][TINY_WIDTH];
} whole;

static int keep(void *ud, const head_outputs *h, err *e)
{
    whole *w = ud;
    (void)e;
    if (h->kind == ATTN_SELF)
        for (int64_t i = 0; i < h->n; i++)
            memcpy(w->heads[h->layer][h->pos0 + i], h->heads + i * h->width, TINY_WIDTH * sizeof(float));
    return 0;
}

static double length_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void check(const vhd *v, const whole *a, const whole *b, const int64_t *at, const int64_t *at_b, int top_k)
{
    const int d = TINY_WIDTH / TINY_HEADS;
    for (int64_t i = 0; i < v->n_at; i++) {
        double total = 0;
        for (int l = 0; l < v->n_layer; l++) {
            double div[TINY_HEADS], without[TINY_HEADS], kept[TINY_HEADS];
            assert_int_equal(v->n_head[l], TINY_HEADS);
            for (int h = 0; h < TINY_HEADS; h++) {
                double x[TINY_WIDTH], y[TINY_WIDTH], z[TINY_WIDTH];
                for (int c = 0; c < d; c++) {
                    x[c] = (double)a->heads[l][at[i]][h * d + c];
                    y[c] = (double)b->heads[l][at_b[i]][h * d + c];
                    z[c] = x[c] - y[c];
                }
                const vhd_head *got = vhd_at(v, i, l, h);
                div[h] = length_of(z, d);
                without[h] = length_of(y, d);
                assert_true(fabs(got->divergence - div[h]) < 1e-9);
                assert_true(fabs(got->with - length_of(x, d)) < 1e-9 && fabs(got->without - without[h]) < 1e-9);
            }
            /* Of two values none is above mean + standard deviation, but for rounding. */
            double mean = (div[0] + div[1]) / 2, sd = fabs(div[0] - div[1]) / 2;
            double mean_n = (without[0] + without[1]) / 2, sd_n = fabs(without[0] - without[1]) / 2;
            double most = 0, sum = 0;
            for (int h = 0; h < TINY_HEADS; h++) {
                bool outlier = vhd_at(v, i, l, h)->outlier;
                assert_true(!outlier || (div[h] > mean + sd - 1e-9 && without[h] > mean_n + sd_n - 1e-9));
                kept[h] = outlier ? 0 : div[h];
                most = kept[h] > most ? kept[h] : most;
                sum += kept[h];
            }
            for (int h = 0; h < TINY_HEADS; h++)
                assert_int_equal(vhd_at(v, i, l, h)->above_median, kept[h] > (kept[0] + kept[1]) / 2);
            total += top_k == 1 ? most : sum;
        }
        assert_true(fabs(v->total[i] - total) < 1e-9);
    }
}

static void test_outputs(void **state)
{
    static whole a, b;
    tiny_model t;
    opened o = {.m = &t.m};
    err e = {0};
    vhd v;
    (void)state;
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(runtime_new(&o.r, o.m, 2, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 20, 0), less = in;
    int32_t ids[20];
    /* Tokens 3 .. 7 are left out. */
    for (int i = 0, k = 0; i < 20; i++)
        if (i < 3 || i > 7)
            ids[k++] = in.ids[i];
    less.ids = ids;
    less.n = 15;
    const int64_t at[] = {1, 8, 19}, at_b[] = {1, 3, 14};
    const observer first = {.heads = keep, .ud = &a}, second = {.heads = keep, .ud = &b};
    assert_int_equal(forward(o.r, &in, &first, NULL, &e), 0);
    assert_int_equal(forward(o.r, &less, &second, NULL, &e), 0);
    for (int top_k = 1; top_k <= 9; top_k += 8) {
        assert_int_equal(vhd_measure(&v, o.r, o.m, &in, &less, at, at_b, 3, top_k, NULL, &e), 0);
        assert_int_equal(v.n_layer, 2);
        check(&v, &a, &b, at, at_b, top_k);
        for (int h = 0; h < TINY_HEADS; h++) /* before the span nothing changes */
            assert_true(vhd_at(&v, 0, 1, h)->divergence < 1e-6 && vhd_at(&v, 2, 1, h)->divergence > 1e-3);
        vhd_free(&v);
    }
    runtime_free(o.r);
    tiny_free(&t);
}

/* Without an image the tower does not run. */
static void test_image(void **state)
{
    static whole a, b;
    tiny_model t;
    opened o = {.m = &t.m};
    err e = {0};
    vhd v;
    (void)state;
    tiny_new(&t, TINY_LLAVA);
    assert_int_equal(runtime_new(&o.r, o.m, 2, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 15, 0), less = in;
    int32_t ids[15];
    int64_t n = 0;
    for (int i = 0; i < 15; i++)
        if (in.ids[i] != TINY_IMAGE_TOKEN)
            ids[n++] = in.ids[i];
    less.ids = ids;
    less.n = n;
    less.pixels = NULL;
    const int64_t at[] = {14}, at_b[] = {n - 1};
    const observer first = {.heads = keep, .ud = &a}, second = {.heads = keep, .ud = &b};
    assert_int_equal(forward(o.r, &in, &first, NULL, &e), 0);
    assert_int_equal(forward(o.r, &less, &second, NULL, &e), 0);
    assert_int_equal(vhd_measure(&v, o.r, o.m, &in, &less, at, at_b, 1, 8, NULL, &e), 0);
    assert_true(n < 15);
    check(&v, &a, &b, at, at_b, 8);
    vhd_free(&v);
    runtime_free(o.r);
    tiny_free(&t);
}

/* An outlier by hand is needed for a layer of many heads: the bundled model has eight. */
static void test_rules(void **state)
{
    path_text path;
    int32_t ids[24], less_ids[16];
    err e = {0};
    vhd v;
    int outliers = 0;
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 2);
    for (int i = 0; i < 24; i++)
        ids[i] = i * 41 % 700 + 1;
    for (int i = 0, k = 0; i < 24; i++)
        if (i < 4 || i >= 12)
            less_ids[k++] = ids[i];
    int64_t at[12], at_b[12];
    for (int i = 0; i < 12; i++) {
        at[i] = 12 + i;
        at_b[i] = 4 + i;
    }
    const model_input in = {.ids = ids, .n = 24}, less = {.ids = less_ids, .n = 16};
    assert_int_equal(vhd_measure(&v, o.r, o.m, &in, &less, at, at_b, 12, 3, NULL, &e), 0);
    for (int64_t i = 0; i < 12; i++) {
        double total = 0;
        for (int l = 0; l < v.n_layer; l++) {
            double mean = 0, sd = 0, mean_n = 0, sd_n = 0, kept[8];
            for (int h = 0; h < 8; h++) {
                mean += vhd_at(&v, i, l, h)->divergence / 8;
                mean_n += vhd_at(&v, i, l, h)->without / 8;
            }
            for (int h = 0; h < 8; h++) {
                sd += pow(vhd_at(&v, i, l, h)->divergence - mean, 2) / 8;
                sd_n += pow(vhd_at(&v, i, l, h)->without - mean_n, 2) / 8;
            }
            for (int h = 0; h < 8; h++) {
                const vhd_head *x = vhd_at(&v, i, l, h);
                assert_int_equal(x->outlier, x->divergence > mean + sqrt(sd) && x->without > mean_n + sqrt(sd_n));
                outliers += x->outlier;
                kept[h] = x->outlier ? 0 : x->divergence;
            }
            for (int k = 0; k < 3; k++) {
                int most = 0;
                for (int h = 1; h < 8; h++)
                    most = kept[h] > kept[most] ? h : most;
                total += kept[most];
                kept[most] = 0;
            }
            int above = 0;
            for (int h = 0; h < 8; h++)
                above += vhd_at(&v, i, l, h)->above_median;
            assert_in_range(above, 3, 4);
        }
        assert_true(fabs(v.total[i] - total) < 1e-9 * total);
    }
    assert_true(outliers > 0);
    vhd_free(&v);
    close_model(&o);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests_name("vhd", tests, NULL, NULL);
}
