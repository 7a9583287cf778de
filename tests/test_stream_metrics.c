/* Metrics of the residual stream, of sublayers, of MLP inners and of all heads together: held against a second
 * implementation, in double, on the arrays that a plain observer keeps of the same run. */
#include "tests/activation_capture.h"
#include "tests/tiny_model.h"

static const char *const picks[] = {"mean", "first", "rest", "ratio", "each"};
enum { N_PICK = sizeof picks / sizeof picks[0] };

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

#define EACH_HIDDEN(c, kind, l)                                                                                         \
    for (int kind = 0; kind < CAPTURE_KINDS; kind++)                                                                    \
        for (int l = 0; l < CAPTURE_LAYERS; l++)                                                                        \
            if ((c)->hidden[kind][l])

static void check_residual(const case_data *d, const capture *c)
{
    double v[512];
    wanted peaks[3] = {{0}, {0}, {0}};
    static const char *const against[] = {"residual-peak-against=mean", "residual-peak-against=max",
                                          "residual-peak-against=difference"};
    for (int p = 0; p < N_PICK; p++) {
        wanted w = {0};
        char set[64];
        snprintf(set, sizeof set, "residual-norm-tokens=%s", picks[p]);
        EACH_HIDDEN(c, kind, l) {
            int64_t n = c->n[kind], width = c->width[kind];
            double sum = 0, top = 0;
            for (int64_t i = 0; i < n; i++) {
                const float *x = c->hidden[kind][l] + i * width;
                v[i] = sqrt(product(x, x, width));
                sum += i ? v[i] : 0;
                top = i ? fmax(top, v[i]) : 0;
            }
            want_tokens(&w, picks[p], (attn_kind)kind, l, NO_INDEX, v, n);
            double mean = sum / (double)(n - 1), peak[] = {v[0] / mean, v[0] / top, v[0] - mean};
            for (int i = 0; i < 3 && p == 0 && n > 1; i++)
                want(&peaks[i], (attn_kind)kind, l, NO_INDEX, NO_INDEX, peak[i]);
        }
        expect(&d->o, &d->ref.in, "residual_norm", set, NULL, &w, 1e-12);
    }
    for (int i = 0; i < 3; i++)
        expect(&d->o, &d->ref.in, "residual_peak", against[i], NULL, &peaks[i], 1e-11);
}

/* Random models have no massive activations at the published thresholds, so lower ones are held too. */
static void check_massive(const case_data *d, const capture *c, double above, double ratio)
{
    wanted top = {0}, median = {0}, count = {0}, channel = {0};
    char set[4][64];
    EACH_HIDDEN(c, kind, l) {
        int64_t width = c->width[kind], cells = c->n[kind] * width, found = 0;
        const float *x = c->hidden[kind][l];
        double *v = malloc((size_t)cells * sizeof *v);
        assert_non_null(v);
        for (int64_t i = 0; i < cells; i++)
            v[i] = fabs((double)x[i]);
        qsort(v, (size_t)cells, sizeof *v, descending);
        double middle = v[cells - 1 - (cells - 1) / 2];
        for (int i = 0; i < 3; i++)
            want(&top, (attn_kind)kind, l, NO_INDEX, i, v[i]);
        want(&median, (attn_kind)kind, l, NO_INDEX, NO_INDEX, middle);
        while (found < cells && v[found] > above && v[found] >= ratio * middle)
            found++;
        want(&count, (attn_kind)kind, l, NO_INDEX, NO_INDEX, (double)found);
        for (int64_t k = 0; k < width; k++) {
            double most = 0;
            for (int64_t i = 0; i < c->n[kind]; i++)
                most = fmax(most, fabs((double)x[i * width + k]));
            if (most > above && most >= ratio * middle)
                want(&channel, (attn_kind)kind, l, NO_INDEX, k, most);
        }
        free(v);
    }
    static const char *const of[] = {"massive-count-above", "massive-count-ratio", "massive-channel-above",
                                     "massive-channel-ratio"};
    for (int i = 0; i < 4; i++)
        snprintf(set[i], sizeof set[i], "%s=%.17g", of[i], i % 2 ? ratio : above);
    expect(&d->o, &d->ref.in, "massive_top", NULL, NULL, &top, 0);
    expect(&d->o, &d->ref.in, "massive_median", NULL, NULL, &median, 0);
    expect(&d->o, &d->ref.in, "massive_count", set[0], set[1], &count, 0);
    expect(&d->o, &d->ref.in, "massive_channel", set[2], set[3], &channel, 0);
}

/* max / mean of each token of x [n, width] under the three forms. */
static void want_outliers(wanted *w, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, double threshold)
{
    double mean = 0, found = 0;
    for (int64_t i = 0; i < n * width; i++)
        mean += fabs((double)x[i]) / (double)(n * width);
    for (int64_t i = 0; i < n; i++) {
        double top = 0;
        for (int64_t k = 0; k < width; k++)
            top = fmax(top, fabs((double)x[i * width + k]));
        want(&w[2], kind, layer, NO_INDEX, i, top / mean);
        if (top > threshold * mean) {
            want(&w[1], kind, layer, NO_INDEX, i, top / mean);
            found++;
        }
    }
    want(&w[0], kind, layer, NO_INDEX, NO_INDEX, found);
}

static void check_outliers(const case_data *d, const capture *c, double threshold)
{
    static const char *const forms[] = {"count", "tokens", "each"};
    wanted stream[3] = {{0}, {0}, {0}}, inner[3] = {{0}, {0}, {0}};
    EACH_HIDDEN(c, kind, l) {
        want_outliers(stream, (attn_kind)kind, l, c->hidden[kind][l], c->n[kind], c->width[kind], threshold);
        if (c->inner[kind][l])
            want_outliers(inner, (attn_kind)kind, l, c->inner[kind][l], c->n[kind], c->inner_width[kind], threshold);
    }
    for (int i = 0; i < 3; i++) {
        char set[2][64];
        snprintf(set[0], sizeof set[0], "activation-outlier-form=%s", forms[i]);
        snprintf(set[1], sizeof set[1], "activation-outlier-threshold=%.17g", threshold);
        expect(&d->o, &d->ref.in, "activation_outlier", set[0], set[1], &stream[i], 1e-11);
        snprintf(set[0], sizeof set[0], "inner-outlier-form=%s", forms[i]);
        snprintf(set[1], sizeof set[1], "inner-outlier-threshold=%.17g", threshold);
        expect(&d->o, &d->ref.in, "inner_outlier", set[0], set[1], &inner[i], 1e-11);
    }
}

static void check_sink_channels(const case_data *d, const capture *c, double tau)
{
    wanted dims = {0}, marked = {0}, each = {0};
    char set[2][64];
    EACH_HIDDEN(c, kind, l) {
        int64_t width = c->width[kind];
        for (int64_t i = 0; i < c->n[kind]; i++) {
            const float *first = c->hidden[kind][l], *x = first + i * width;
            double at_first = sqrt(product(first, first, width) / (double)width + 1e-6), top = 0;
            double rms = sqrt(product(x, x, width) / (double)width + 1e-6);
            for (int64_t k = 0; k < width; k++) {
                bool sink = fabs((double)first[k]) / at_first > tau;
                if (i == 0 && sink)
                    want(&dims, (attn_kind)kind, l, NO_INDEX, k, fabs((double)first[k]) / at_first);
                top = sink ? fmax(top, fabs((double)x[k]) / rms) : top;
            }
            want(&each, (attn_kind)kind, l, NO_INDEX, i, top);
            if (top > tau)
                want(&marked, (attn_kind)kind, l, NO_INDEX, i, top);
        }
    }
    snprintf(set[0], sizeof set[0], "sink-dimension-tau=%.17g", tau);
    snprintf(set[1], sizeof set[1], "sink-token-tau=%.17g", tau);
    expect(&d->o, &d->ref.in, "sink_dimension", set[0], NULL, &dims, 1e-12);
    expect(&d->o, &d->ref.in, "sink_token", set[1], NULL, &marked, 1e-12);
    expect(&d->o, &d->ref.in, "sink_token", set[1], "sink-token-form=each", &each, 1e-12);
}

/* ---- sublayers ---- */

static double cosine(const double *a, const double *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* x through a sublayer: sums cos(x, out) and cos(norm(x), added), leaves out in x. */
static void pass(double *x, const sublayer *at, const norm *pre, const float *added, int64_t width, double sums[2])
{
    double in[256], normed[256], out[256] = {0}, f[256] = {0};
    memcpy(in, x, (size_t)width * sizeof *x);
    normalise(normed, pre, in, width);
    for (int64_t k = 0; k < width; k++) {
        f[k] = added[k];
        out[k] = (at->residual_normed ? normed[k] : in[k]) + f[k];
    }
    normalise(x, &at->after, out, width);
    sums[0] += cosine(in, x, width);
    sums[1] += cosine(normed, f, width);
}

static void check_similarity(const case_data *d, const capture *c)
{
    wanted block = {0}, attention[2] = {{0}, {0}}, feeding[2] = {{0}, {0}};
    EACH_HIDDEN(c, kind, l) {
        const stack *s = model_stack(c->m, (attn_kind)kind);
        int64_t width = c->width[kind], n = c->n[kind];
        if (!c->hidden[kind][l + 1])
            continue;
        const model_layer *y = &s->layers[l];
        double blocks = 0, self[2] = {0}, cross[2] = {0}, feed[2] = {0};
        assert_in_range(width, 1, 256);
        for (int64_t i = 0; i < n; i++) {
            double x[256], before[256], after[256], apart[256];
            for (int64_t k = 0; k < width; k++) {
                x[k] = apart[k] = before[k] = c->hidden[kind][l][i * width + k];
                after[k] = c->hidden[kind][l + 1][i * width + k];
            }
            blocks += cosine(before, after, width);
            const float *a = c->added[kind][l][PART_SELF] + i * width, *f = c->added[kind][l][PART_MLP] + i * width;
            pass(x, &y->at_self, &y->at_self.pre, a, width, self);
            if (c->added[kind][l][PART_CROSS])
                pass(x, &y->at_cross, &y->at_cross.pre, c->added[kind][l][PART_CROSS] + i * width, width, cross);
            if (y->parallel) {
                pass(apart, &y->at_mlp, y->shared_norm ? &y->at_self.pre : &y->at_mlp.pre, f, width, feed);
                for (int64_t k = 0; k < width; k++)
                    x[k] += f[k];
            } else {
                pass(x, &y->at_mlp, &y->at_mlp.pre, f, width, feed);
            }
            for (int64_t k = 0; k < width; k++) /* the sublayers together are the block */
                assert_true(fabs(x[k] - after[k]) <= 1e-4 * (1 + fabs(after[k])));
        }
        want(&block, (attn_kind)kind, l, NO_INDEX, NO_INDEX, blocks / (double)n);
        for (int form = 0; form < 2; form++) {
            want(&attention[form], (attn_kind)kind, l, NO_INDEX, NO_INDEX, self[form] / (double)n);
            want(&feeding[form], (attn_kind)kind, l, NO_INDEX, NO_INDEX, feed[form] / (double)n);
        }
    }
    expect(&d->o, &d->ref.in, "block_similarity", NULL, NULL, &block, 1e-11);
    expect(&d->o, &d->ref.in, "attention_similarity", NULL, NULL, &attention[0], 1e-6);
    expect(&d->o, &d->ref.in, "attention_similarity", "attention-similarity-form=added", NULL, &attention[1], 1e-6);
    expect(&d->o, &d->ref.in, "mlp_similarity", NULL, NULL, &feeding[0], 1e-6);
    expect(&d->o, &d->ref.in, "mlp_similarity", "mlp-similarity-form=added", NULL, &feeding[1], 1e-6);
}

/* ---- attention of all heads together ---- */

/* Rows of weights in double, from queries and keys. */
static void weights_of(const attn_args *a, int h, int64_t i, double *w)
{
    double top = a->sinks ? a->sinks[h] : -INFINITY, total;
    for (int64_t j = 0; j < a->n_key; j++) {
        int64_t back = a->pos0 + i - j;
        bool sees = !(a->causal && back < 0) && !(a->window > 0 && llabs(back) >= a->window);
        double z = a->scale * product(a->q + i * a->ldq + h * a->d_qk,
                                      a->k + j * a->ldk + h / (a->n_head / a->n_kv_head) * a->d_qk, a->d_qk);
        z = a->softcap > 0 ? a->softcap * tanh(z / a->softcap) : z;
        z += a->key_bias ? a->key_bias[h * a->n_key + j] : 0;
        z += a->rel_bias ? a->rel_bias[h * (a->n_query + a->n_key - 1) + j - i + a->n_query - 1] : 0;
        w[j] = sees ? z : -INFINITY;
        top = fmax(top, w[j]);
    }
    total = a->sinks ? exp(a->sinks[h] - top) : 0;
    for (int64_t j = 0; j < a->n_key; j++)
        total += w[j] = exp(w[j] - top);
    for (int64_t j = 0; j < a->n_key; j++)
        w[j] /= total;
}

static void check_attention_outliers(const case_data *d, const capture *c, double share)
{
    wanted w[3] = {{0}, {0}, {0}};
    static const char *const forms[] = {"attention-outlier-form=count", "attention-outlier-form=keys",
                                        "attention-outlier-form=each"};
    char set[64];
    snprintf(set, sizeof set, "attention-outlier-share=%.17g", share);
    for (int kind = 0; kind < CAPTURE_KINDS; kind++)
        for (int l = 0; l < CAPTURE_LAYERS; l++) {
            const attn_args *a = &c->in[kind][l];
            double sums[512] = {0}, row[512], found = 0;
            if (a->n_head == 0)
                continue;
            for (int h = 0; h < a->n_head; h++)
                for (int64_t i = 0; i < a->n_query; i++) {
                    weights_of(a, h, i, row);
                    for (int64_t j = 0; j < a->n_key; j++)
                        sums[j] += row[j] / a->n_head;
                }
            for (int64_t j = 0; j < a->n_key; j++) {
                want(&w[2], a->kind, l, NO_INDEX, j, sums[j]);
                if (sums[j] >= share * (double)a->n_query) {
                    want(&w[1], a->kind, l, NO_INDEX, j, sums[j]);
                    found++;
                }
            }
            want(&w[0], a->kind, l, NO_INDEX, NO_INDEX, found);
        }
    for (int i = 0; i < 3; i++)
        expect(&d->o, &d->ref.in, "attention_outlier", set, forms[i], &w[i], 2e-5);
}

/* ---- cases ---- */

static void check_all(const case_data *d)
{
    capture *c = capture_run(&d->o, &d->ref.in);
    check_residual(d, c);
    check_massive(d, c, 100, 1000);
    check_massive(d, c, 1, 2);
    check_outliers(d, c, 1000);
    check_outliers(d, c, 3);
    check_sink_channels(d, c, 2);
    check_similarity(d, c);
    check_attention_outliers(d, c, 0.1);
    capture_free(c);
}

#define CASE(id, name, length)                                                                                          \
    static void test_##id(void **state)                                                                                 \
    {                                                                                                                   \
        case_data d;                                                                                                    \
        (void)state;                                                                                                    \
        if (!case_open(&d, name, length))                                                                               \
            skip();                                                                                                     \
        check_all(&d);                                                                                                  \
        case_close(&d);                                                                                                 \
    }
CASE(llama, "llama", 130)
CASE(gpt2, "gpt2", 9)
CASE(falcon_mqa, "falcon-mqa", 9)
CASE(bloom, "bloom", 9)
CASE(gemma2, "gemma2", 17)
CASE(gpt_oss, "gpt_oss", 100)
CASE(qwen3_next, "qwen3_next", 9)
CASE(deepseek_v3, "deepseek_v3", 9)
CASE(gpt_neox, "gpt_neox", 9)
CASE(olmo2, "olmo2", 9)
CASE(opt_post_norm, "opt-postnorm-proj", 9)
CASE(bert, "bert", 9)
CASE(t5, "t5", 25)
CASE(vit, "vit", 1)

static void test_tiny_models(void **state)
{
    (void)state;
    for (int k = TINY_DECODER; k <= TINY_LLAVA; k++) {
        tiny_model t;
        case_data d = {0};
        err e = {0};
        tiny_new(&t, (tiny_kind)k);
        if (k == TINY_DECODER) { /* a post-norm layer, and a parallel one */
            t.layers[0][0].at_self.pre.kind = t.layers[0][0].at_mlp.pre.kind = NORM_NONE;
            t.layers[0][0].at_self.after = t.layers[0][0].at_mlp.after = (norm){.kind = NORM_LAYER, .eps = 1e-5f};
            t.layers[0][1].parallel = t.layers[0][1].shared_norm = true;
        }
        d.o.m = &t.m;
        assert_int_equal(runtime_new(&d.o.r, &t.m, 2, PRECISION_F32, &e), 0);
        d.ref.in = tiny_input(&t, 11, 7);
        check_all(&d);
        runtime_free(d.o.r);
        tiny_free(&t);
    }
}

static void test_channels_of_the_option(void **state)
{
    (void)state;
    tiny_model t;
    opened o = {0};
    collected c = {0};
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    static const char *const two[] = {"sink-token-dims=0,7", "sink-token-tau=0", NULL};
    static const char *const bad[] = {"sink-token-dims=0,8", NULL};
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_token", two, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 3 * 5);
    collected_free(&c);
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_token", bad, NULL, 0, 0), ERR_USAGE);
    assert_non_null(strstr(c.e.msg, "'8' is not a channel"));
    assert_string_equal(c.e.hint, "channels go from 0 to 7");
    runtime_free(o.r);
    tiny_free(&t);
}

/* Every allocation that fails is reported, and leaves nothing behind. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"attention_outlier", "attention_similarity", "entropy_bound_weights", "head_norm",
                                        "inner_outlier", "massive_count", "residual_norm", "sink_cosine", "sink_logit_gap",
                                        "sink_token", "value_drain"};
    tiny_model t;
    opened o = {0};
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const metric *list[] = {metric_find(names[i])};
        int rc = ERR_RESOURCE, failures = -1;
        for (long nth = 1; rc && nth < 300; nth++, failures++) {
            params *p;
            collected c = {0};
            assert_int_equal(params_new(&p, &e), 0);
            if (list[0]->params)
                assert_int_equal(params_use(p, list[0]->params, &e), 0);
            if (!strcmp(names[i], "sink_token"))
                assert_int_equal(params_set(p, "sink-token-dims", "1,3", &e), 0);
            analysis_request req = {.metrics = list, .n_metric = 1, .p = p};
            result_sink sink = {collect_value, NULL, &c};
            mem_fail_at(nth);
            rc = analyse(o.r, o.m, &in, &req, &sink, NULL, &e);
            mem_fail_at(0);
            assert_true(rc == 0 || rc == ERR_RESOURCE);
            collected_free(&c);
            params_free(p);
        }
        assert_int_equal(rc, 0);
        assert_true(failures > 5);
    }
    runtime_free(o.r);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_falcon_mqa),
        cmocka_unit_test(test_bloom), cmocka_unit_test(test_gemma2), cmocka_unit_test(test_gpt_oss),
        cmocka_unit_test(test_qwen3_next), cmocka_unit_test(test_deepseek_v3), cmocka_unit_test(test_gpt_neox),
        cmocka_unit_test(test_olmo2), cmocka_unit_test(test_opt_post_norm), cmocka_unit_test(test_bert),
        cmocka_unit_test(test_t5), cmocka_unit_test(test_vit), cmocka_unit_test(test_tiny_models),
        cmocka_unit_test(test_channels_of_the_option), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
