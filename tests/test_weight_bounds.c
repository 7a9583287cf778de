/* Metrics of weights and of gates, and the numbers behind them (spectral norms, the entropy bound, order statistics): held
 * against dense decompositions, published vectors and direct evaluation. */
#include "tests/activation_capture.h"
#include "analysis/abs_order.h"
#include "analysis/linalg.h"
#include "analysis/spectral.h"
#include "tests/tiny_model.h"

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* ---- weights ---- */

/* A metric of weights on one kind of attention. */
static void run_weights(collected *c, const opened *o, attn_kind kind, const char *name, const char *set)
{
    const metric *m = metric_find(name);
    params *p;
    *c = (collected){0};
    assert_non_null(m);
    assert_int_equal(params_new(&p, &c->e), 0);
    if (m->params)
        assert_int_equal(params_use(p, m->params, &c->e), 0);
    if (set) {
        char option[64];
        const char *eq = strchr(set, '=');
        snprintf(option, sizeof option, "%.*s", (int)(eq - set), set);
        assert_int_equal(params_set(p, option, eq + 1, &c->e), 0);
    }
    metric_ctx ctx = {.m = m, .p = p, .n_layer = model_stack(o->m, kind)->n_layer, .kind = kind, .model = o->m,
                      .run = o->r, .placeholder = -1};
    result_sink sink = {collect_value, NULL, c};
    if (m->weights(&ctx, &sink, NULL, &c->e))
        fail_msg("%s: %s", name, c->e.msg);
    params_free(p);
}

static double *dense_rows(const weight *w, int64_t first, int64_t rows)
{
    float *row = malloc((size_t)w->n_in * sizeof *row);
    double *out = malloc((size_t)(rows * w->n_in) * sizeof *out);
    assert_true(row && out);
    for (int64_t i = 0; i < rows; i++) {
        weight_load(row, w, first + i, 0, w->n_in);
        for (int64_t k = 0; k < w->n_in; k++)
            out[i * w->n_in + k] = row[k];
    }
    free(row);
    return out;
}

/* scale * largest singular value of the [width, width] product, formed and decomposed. */
static double dense_spectral_norm(const attention_block *b, int h)
{
    const attn_plan *p = &b->plan;
    int64_t c = b->q.n_in, ck = b->k.n_in, d = p->d_qk;
    double *q = dense_rows(&b->q, h * d, d), *k = dense_rows(&b->k, h / (p->n_head / p->n_kv_head) * d, d);
    double *a = calloc((size_t)(c * ck), sizeof *a), *s = calloc((size_t)(c > ck ? c : ck), sizeof *s);
    err e = {0};
    assert_true(a && s);
    for (int64_t i = 0; i < c; i++)
        for (int64_t j = 0; j < ck; j++)
            for (int64_t r = 0; r < d; r++)
                a[i * ck + j] += q[r * c + i] * k[r * ck + j];
    assert_int_equal(linalg_singular_values(s, a, c, ck, &e), 0);
    double top = s[0] * p->scale;
    free(q);
    free(k);
    free(a);
    free(s);
    return top;
}

static void check_logit_norms(const opened *o)
{
    for (int kind = 0; kind < CAPTURE_KINDS; kind++) {
        collected c = {0};
        int64_t n = 0;
        if (!model_stack(o->m, (attn_kind)kind))
            continue;
        run_weights(&c, o, (attn_kind)kind, "logit_spectral_norm", NULL);
        for (int l = 0; l < model_stack(o->m, (attn_kind)kind)->n_layer; l++) {
            const attention_block *b = model_attention(o->m, (attn_kind)kind, l);
            for (int h = 0; b && !b->mla && b->q_norm.kind == NORM_NONE && h < b->plan.n_head; h++, n++) {
                double ours = value_of(&c, "logit_spectral_norm", l, h, NO_INDEX), dense = dense_spectral_norm(b, h);
                assert_true(fabs(ours - dense) <= 1e-10 * dense);
            }
        }
        assert_int_equal(c.n_value, n);
        collected_free(&c);
    }
}

static int64_t add_ratios(double *column, double *row, const weight *w, int64_t at_column, int64_t at_row)
{
    double *a = dense_rows(w, 0, w->n_out);
    for (int64_t k = 0; k < w->n_in; k++) {
        double top = 0, sum = 0;
        for (int64_t i = 0; i < w->n_out; i++) {
            top = fmax(top, fabs(a[i * w->n_in + k]));
            sum += fabs(a[i * w->n_in + k]);
        }
        column[at_column + k] = top / (sum / (double)w->n_out + 1e-8);
    }
    for (int64_t i = 0; i < w->n_out; i++) {
        double top = 0, sum = 0;
        for (int64_t k = 0; k < w->n_in; k++) {
            top = fmax(top, fabs(a[i * w->n_in + k]));
            sum += fabs(a[i * w->n_in + k]);
        }
        row[at_row + i] = top / (sum / (double)w->n_in + 1e-8);
    }
    free(a);
    return w->n_in;
}

static void close_to(double ours, double wanted_value)
{
    if (!(fabs(ours - wanted_value) <= 1e-11 * fabs(wanted_value)))
        fail_msg("%.15g, expected %.15g", ours, wanted_value);
}

static void check_weight_outliers(const opened *o)
{
    attn_kind kind = o->m->main->kind;
    static const char *const forms[] = {"score", "median", "row", "module", "columns", "rows"};
    collected c[6];
    for (int i = 0; i < 6; i++) {
        char set[64];
        snprintf(set, sizeof set, "weight-outlier-form=%s", forms[i]);
        run_weights(&c[i], o, kind, "weight_outlier", set);
    }
    for (int l = 0; l < o->m->main->n_layer; l++) {
        const model_layer *y = &o->m->main->layers[l];
        static double column[8192], row[8192];
        int64_t n_column = 0, n_row = 0;
        for (int i = 0; i < (y->moe ? y->moe->n_expert + y->moe->has_shared : 1); i++) {
            const weight *w = !y->moe ? &y->mlp.down : i < y->moe->n_expert ? &y->moe->experts[i].down : &y->moe->shared.down;
            assert_in_range(n_column + w->n_in, 1, 8192);
            assert_in_range(n_row + w->n_out, 1, 8192);
            n_column += add_ratios(column, row, w, n_column, n_row);
            n_row += w->n_out;
        }
        for (int64_t k = 0; k < n_column; k++)
            close_to(value_of(&c[4], "weight_outlier", l, NO_INDEX, k), column[k]);
        for (int64_t k = 0; k < n_row; k++)
            close_to(value_of(&c[5], "weight_outlier", l, NO_INDEX, k), row[k]);
        qsort(column, (size_t)n_column, sizeof column[0], descending);
        qsort(row, (size_t)n_row, sizeof row[0], descending);
        close_to(value_of(&c[0], "weight_outlier", l, NO_INDEX, NO_INDEX), column[0]);
        close_to(value_of(&c[1], "weight_outlier", l, NO_INDEX, NO_INDEX),
                 (column[(n_column - 1) / 2] + column[n_column / 2]) / 2);
        close_to(value_of(&c[2], "weight_outlier", l, NO_INDEX, NO_INDEX), row[0]);
        close_to(value_of(&c[3], "weight_outlier", l, NO_INDEX, NO_INDEX), fmax(row[0], column[0]));
    }
    for (int i = 0; i < 6; i++)
        collected_free(&c[i]);
}

/* Gates from their weights: sigmoid(W_gate norm(x)). */
static void test_gates(void **state)
{
    (void)state;
    case_data d;
    if (!case_open(&d, "qwen3_next", 60))
        skip();
    capture *c = capture_run(&d.o, &d.ref.in);
    wanted mean = {0}, closed = {0}, open = {0}, norms = {0};
    for (int l = 0; l < d.o.m->main->n_layer; l++) {
        const attention_block *b = model_attention(d.o.m, ATTN_SELF, l);
        int64_t n = c->n[ATTN_SELF], width = c->width[ATTN_SELF];
        if (!b)
            continue;
        double *rows = dense_rows(&b->gate, 0, b->gate.n_out);
        for (int h = 0; h < b->plan.n_head; h++) {
            double sums[4] = {0}, cells = (double)(n * b->plan.d_v);
            for (int64_t i = 0; i < n; i++) {
                double x[256], normed[256], before = 0, after = 0;
                for (int64_t k = 0; k < width; k++)
                    x[k] = c->hidden[ATTN_SELF][l][i * width + k];
                normalise(normed, &d.o.m->main->layers[l].at_self.pre, x, width);
                for (int v = 0; v < b->plan.d_v; v++) {
                    int64_t out = h * b->plan.d_v + v;
                    double z = 0, plain = c->heads[ATTN_SELF][l].ungated[i * b->gate.n_out + out];
                    for (int64_t k = 0; k < width; k++)
                        z += rows[out * width + k] * normed[k];
                    double g = 1 / (1 + exp(-z));
                    assert_true(fabs(g * plain - c->heads[ATTN_SELF][l].heads[i * b->gate.n_out + out]) < 1e-5);
                    sums[0] += g;
                    sums[1] += g < 0.1;
                    sums[2] += g > 0.9;
                    before += plain * plain;
                    after += g * plain * g * plain;
                }
                sums[3] += sqrt(after / before);
            }
            want(&mean, ATTN_SELF, l, h, NO_INDEX, sums[0] / cells);
            want(&closed, ATTN_SELF, l, h, NO_INDEX, sums[1] / cells);
            want(&open, ATTN_SELF, l, h, NO_INDEX, sums[2] / cells);
            want(&norms, ATTN_SELF, l, h, NO_INDEX, sums[3] / (double)n);
        }
        free(rows);
    }
    assert_true(mean.n > 0 && d.o.m->main->n_layer > 1);
    expect(&d.o, &d.ref.in, "gate_mean", NULL, NULL, &mean, 1e-6);
    expect(&d.o, &d.ref.in, "gate_closed", NULL, NULL, &closed, 1e-9);
    expect(&d.o, &d.ref.in, "gate_open", NULL, NULL, &open, 1e-9);
    expect(&d.o, &d.ref.in, "gate_norm", NULL, NULL, &norms, 1e-6);
    capture_free(c);
    case_close(&d);
}

/* ---- cases ---- */

static void check_weights_of(const char *name, int64_t length)
{
    case_data d;
    if (!case_open(&d, name, length))
        skip();
    check_logit_norms(&d.o);
    check_weight_outliers(&d.o);
    case_close(&d);
}

#define CASE(id, name, length)                                                                                          \
    static void test_##id(void **state)                                                                                 \
    {                                                                                                                   \
        (void)state;                                                                                                    \
        check_weights_of(name, length);                                                                                 \
    }
CASE(llama, "llama", 9)
CASE(gpt2, "gpt2", 9)
CASE(falcon_mqa, "falcon-mqa", 9)
CASE(gpt_oss, "gpt_oss", 9)
CASE(qwen3_next, "qwen3_next", 9)
CASE(deepseek_v3, "deepseek_v3", 9)
CASE(olmoe, "olmoe", 9)
CASE(t5, "t5", 25)

static void test_tiny_models(void **state)
{
    (void)state;
    for (int k = TINY_DECODER; k <= TINY_LLAVA; k++) {
        tiny_model t;
        opened o = {0};
        err e = {0};
        tiny_new(&t, (tiny_kind)k);
        o.m = &t.m;
        assert_int_equal(runtime_new(&o.r, &t.m, 2, PRECISION_F32, &e), 0);
        check_logit_norms(&o);
        check_weight_outliers(&o);
        runtime_free(o.r);
        tiny_free(&t);
    }
}

/* ---- numbers ---- */

static void test_entropy_floor(void **state)
{
    (void)state;
    assert_true(fabs(entropy_floor(2, 16) - 2.41871) < 5e-6);
    assert_true(fabs(entropy_floor(5, 64) - 1.80262) < 5e-6);
    assert_true(fabs(entropy_floor(0.5, 4) - 1.34962) < 5e-6);
    assert_true(fabs(entropy_floor(0, 100) - log(100)) < 1e-12);
    assert_true(entropy_floor(1e9, 100) == 0 && entropy_floor(INFINITY, 100) == 0 && entropy_floor(3, 1) == 0);
    /* Attained: one logit sigma sqrt((T - 1) / T), the others -sigma / sqrt(T (T - 1)). */
    for (int t = 2; t < 40; t += 3) {
        double sigma = 0.3 * t, one = sigma * sqrt((t - 1.0) / t), rest = -sigma / sqrt(t * (t - 1.0));
        double total = exp(one) + (t - 1) * exp(rest), p = exp(one) / total, q = exp(rest) / total;
        assert_true(fabs(entropy_floor(sigma, t) + p * log(p) + (t - 1) * q * log(q)) < 1e-12);
    }
}

static void test_spectral_top(void **state)
{
    (void)state;
    enum { N = 40 };
    uint64_t seed = 3;
    static double x[N * N], a[N * N], k[N * N], ak[N * N], re[N], im[N];
    err e = {0};
    double top;
    for (int round = 0; round < 6; round++) {
        int rank = round < 3 ? N : 5; /* singular ones too */
        for (double *m = a; m; m = m == a ? k : NULL) {
            for (int i = 0; i < N * N; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                x[i] = i % N < rank ? (double)(int64_t)(seed >> 20) / 1e13 - 0.8 : 0;
            }
            linalg_times_transposed(m, x, x, N, N, N);
        }
        linalg_times(ak, a, k, N, N, N);
        assert_int_equal(linalg_eigenvalues(re, im, ak, N, &e), 0);
        double most = 0;
        for (int i = 0; i < N; i++)
            most = fmax(most, re[i]);
        assert_int_equal(spectral_top_of(&top, a, k, N, &e), 0);
        assert_true(fabs(top - most) <= 1e-10 * most);
    }
    memset(a, 0, sizeof a);
    assert_int_equal(spectral_top_of(&top, a, k, N, &e), 0);
    assert_true(top == 0);
    for (int i = 0; i < N; i++)
        a[i * N + i] = i == 7 ? 3 : 1; /* two eigenvalues: the Lanczos method ends after two steps */
    assert_int_equal(spectral_top_of(&top, a, NULL, N, &e), 0);
    assert_true(fabs(top - 3) < 1e-12);
    a[5 * N + 5] = NAN;
    assert_int_equal(spectral_top_of(&top, a, NULL, N, &e), 0);
    assert_true(isnan(top));
}

static void test_median(void **state)
{
    (void)state;
    static int64_t counts[ABS_ORDER_CELLS];
    float x[] = {-3, 0, 1e-40f, 2, -0.0f, 1e30f, -2};
    assert_true(abs_order(x, 7, 0, counts) == 0 && abs_order(x, 7, 1, counts) == 0);
    assert_true(abs_order(x, 7, 2, counts) == 1e-40f && abs_median(x, 7, counts) == 2);
    assert_true(abs_order(x, 7, 4, counts) == 2 && abs_order(x, 7, 5, counts) == 3);
    assert_true(abs_order(x, 7, 6, counts) == 1e30f && abs_median(x, 1, counts) == 3);
    assert_true(abs_median(x, 6, counts) == 1e-40f); /* 0 0 1e-40 | 2 3 1e30 */
}

/* Largest singular value of rows of a weight [d, n_in] with its bias as one more column. */
static double factor_norm(const weight *w, int64_t first, int64_t d, double *product_of, const weight *other, int64_t at)
{
    int64_t c = w->n_in + 1, n = other ? c : d;
    double *a = dense_rows(w, first, d), *b = other ? dense_rows(other, at, d) : NULL, s[64], top;
    double *m = product_of;
    err e = {0};
    memset(m, 0, (size_t)(n * c) * sizeof *m);
    for (int64_t r = 0; r < d; r++)
        for (int64_t i = 0; i < (other ? c : 1); i++)
            for (int64_t j = 0; j < c; j++) {
                double x = j < w->n_in ? a[r * w->n_in + j] : w->bias ? w->bias[first + r] : 0;
                double y = !other ? 1 : i < w->n_in ? b[r * w->n_in + i] : other->bias ? other->bias[at + r] : 0;
                m[(other ? i : r) * c + j] += x * y;
            }
    assert_int_equal(linalg_singular_values(s, m, n, c, &e), 0);
    top = s[0];
    free(a);
    free(b);
    return top;
}

/* The theorem's own bound from dense decompositions; scales are small, so that it is not 0. */
static void test_bound_of_weights(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        bool rope = form == 1, plain = form == 2; /* plain: no biases, and no column for them */
        int columns = TINY_WIDTH + !plain;
        tiny_model t;
        case_data d = {0};
        err e = {0};
        wanted w = {0};
        static const float bias[TINY_WIDTH] = {0.3f, -0.8f, 0.5f, 0.1f, -0.2f, 0.9f, 0.4f, -0.6f};
        rope_plan turn = {.kind = ROPE_HALF, .dim = 4, .period = 4, .base = 10000, .scaling = "none", .factor = 1,
                          .magnitude = 1.25};
        tiny_new(&t, TINY_DECODER);
        for (int l = 0; l < 2; l++) {
            attention_block *b = &t.layers[0][l].self;
            b->plan.scale = 1e-3f;
            b->plan.rope = rope - 1;
            b->q.bias = plain ? NULL : bias;
            b->k.bias = l && !plain ? bias : NULL;
        }
        if (rope) {
            t.m.ropes = &turn;
            t.m.n_rope = 1;
        }
        d.o.m = &t.m;
        assert_int_equal(runtime_new(&d.o.r, &t.m, 2, PRECISION_F32, &e), 0);
        d.ref.in = tiny_input(&t, 11, 0);
        capture *c = capture_run(&d.o, &d.ref.in);
        for (int l = 0; l < 2; l++) {
            const attention_block *b = &t.layers[0][l].self;
            double x[11 * (TINY_WIDTH + 1)], s[16], room[(TINY_WIDTH + 1) * (TINY_WIDTH + 1)];
            for (int i = 0; i < 11; i++) {
                double in[TINY_WIDTH];
                for (int k = 0; k < TINY_WIDTH; k++)
                    in[k] = c->hidden[ATTN_SELF][l][i * TINY_WIDTH + k];
                normalise(x + i * columns, &t.layers[0][l].at_self.pre, in, TINY_WIDTH);
                if (!plain)
                    x[i * columns + TINY_WIDTH] = 1;
            }
            assert_int_equal(linalg_singular_values(s, x, 11, columns, &e), 0);
            for (int h = 0; h < TINY_HEADS; h++) {
                double sigma = rope ? factor_norm(&b->q, h * 4, 4, room, NULL, 0) * factor_norm(&b->k, h * 4, 4, room, NULL, 0) *
                                      1.25 * 1.25 : factor_norm(&b->q, h * 4, 4, room, &b->k, h * 4);
                double sum = 0;
                sigma *= (double)b->plan.scale * s[0] * s[0];
                for (int i = 0; i < 11; i++)
                    sum += entropy_floor(sigma, i + 1);
                assert_true(sum > 0.1);
                want(&w, ATTN_SELF, l, h, NO_INDEX, sum / 11);
            }
        }
        expect(&d.o, &d.ref.in, "entropy_bound_weights", NULL, NULL, &w, 1e-6);
        capture_free(c);
        runtime_free(d.o.r);
        tiny_free(&t);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_falcon_mqa),
        cmocka_unit_test(test_gpt_oss), cmocka_unit_test(test_qwen3_next), cmocka_unit_test(test_deepseek_v3),
        cmocka_unit_test(test_olmoe), cmocka_unit_test(test_t5), cmocka_unit_test(test_tiny_models),
        cmocka_unit_test(test_gates), cmocka_unit_test(test_entropy_floor), cmocka_unit_test(test_spectral_top),
        cmocka_unit_test(test_median), cmocka_unit_test(test_bound_of_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
