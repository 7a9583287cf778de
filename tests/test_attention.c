/* Instrumented attention and matrix products against straightforward double-precision code: head widths,
 * grouped heads, windows, decoding, taps, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "compute/attention.h"
#include "compute/kernels.h"

static uint64_t seed = 7;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int64_t)(seed >> 33) / (float)(1 << 30) - 1;
}

static float *random_floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = uniform();
    return x;
}

/* Everything a tap saw, dense, so that it can be compared; deliberately n x n (tests only). */
typedef struct record {
    int64_t n_query, n_key;
    float *probs;                            /* [n_head, n_query, n_key], NaN where nothing was delivered */
    float *lse, *entropy, *maximum, *self, *prev, *distance; /* [n_head, n_query] */
    int64_t *last_q;                         /* [n_head, chunks] rows must come in increasing order */
    int heads_done;
} record;

static void on_rows(void *ud, const attn_rows *r)
{
    record *rec = ud;
    int64_t at = r->head * rec->n_query + r->q0, *last = &rec->last_q[r->head * ATTN_MAX_CHUNK + r->chunk];
    if (r->q0 <= *last) /* cmocka may not be used from worker threads: make the comparison fail instead */
        rec->lse[at] = NAN;
    *last = r->q0;
    for (int64_t i = 0; i < r->n_query; i++) {
        rec->lse[at + i] = r->lse[i];
        rec->entropy[at + i] = r->entropy[i];
        rec->maximum[at + i] = r->maximum[i];
        rec->self[at + i] = r->self[i];
        rec->prev[at + i] = r->prev[i];
        rec->distance[at + i] = r->distance[i];
    }
}

static void on_tile(void *ud, const attn_tile *t)
{
    record *rec = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++)
        for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
            rec->probs[(t->head * rec->n_query + q) * rec->n_key + k] = attn_tile_at(t, q, k);
}

static int on_heads_done(void *ud, int l, int head0, int head1, err *e)
{
    record *rec = ud;
    (void)l;
    (void)e;
    assert_int_equal(head0, rec->heads_done);
    rec->heads_done = head1;
    return 0;
}

static record *new_record(const attn_args *a)
{
    record *rec = calloc(1, sizeof *rec);
    int64_t rows = a->n_head * a->n_query;
    *rec = (record){.n_query = a->n_query, .n_key = a->n_key};
    rec->probs = malloc((size_t)(rows * a->n_key) * sizeof(float));
    for (int64_t i = 0; i < rows * a->n_key; i++)
        rec->probs[i] = NAN;
    float **const stats[] = {&rec->lse, &rec->entropy, &rec->maximum, &rec->self, &rec->prev, &rec->distance};
    for (size_t i = 0; i < 6; i++)
        *stats[i] = calloc((size_t)rows, sizeof(float));
    rec->last_q = malloc((size_t)a->n_head * ATTN_MAX_CHUNK * sizeof(int64_t));
    memset(rec->last_q, 0xff, (size_t)a->n_head * ATTN_MAX_CHUNK * sizeof(int64_t));
    return rec;
}

static void free_record(record *rec)
{
    float *const stats[] = {rec->probs, rec->lse, rec->entropy, rec->maximum, rec->self, rec->prev, rec->distance};
    for (size_t i = 0; i < sizeof stats / sizeof *stats; i++)
        free(stats[i]);
    free(rec->last_q);
    free(rec);
}

enum { ALL_NEEDS = ATTN_NEED_LSE | ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_SELF | ATTN_NEED_PREV |
                   ATTN_NEED_DISTANCE | ATTN_NEED_PROBS };

static record *run(const attn_args *a, int threads)
{
    pool *p;
    attn_scratch *s;
    record *rec = new_record(a);
    attn_tap tap = {.need = ALL_NEEDS, .rows = on_rows, .tile = on_tile, .heads_done = on_heads_done, .ud = rec};
    err e = {0};
    assert_int_equal(pool_new(&p, threads, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    assert_int_equal(attention(s, a, &tap, &e), 0);
    assert_int_equal(rec->heads_done, a->n_head);
    attn_scratch_free(s);
    pool_free(p);
    return rec;
}

static void close_to(double got, double want, double tolerance)
{
    assert_true(fabs(got - want) <= tolerance);
}

/* Softmax attention as on paper. */
static void compare(const attn_args *a, const record *rec, double tolerance)
{
    double *p = malloc((size_t)a->n_key * sizeof *p), *out = malloc((size_t)a->d_v * sizeof *out);
    for (int h = 0; h < a->n_head; h++)
        for (int64_t q = 0; q < a->n_query; q++) {
            int64_t pos = a->pos0 + q, row = h * a->n_query + q, kv = h / (a->n_head / a->n_kv_head);
            int64_t lo = a->window > 0 && pos - a->window + 1 > 0 ? pos - a->window + 1 : 0;
            int64_t hi = a->causal ? pos + 1 : a->n_key;
            double m = -INFINITY, sum = 0, entropy = 0, maximum = 0, distance = 0;
            if (!a->causal && a->window > 0 && pos + a->window < hi)
                hi = pos + a->window;
            for (int64_t k = lo; k < hi; k++) {
                double s = 0;
                for (int c = 0; c < a->d_qk; c++)
                    s += (double)a->q[q * a->ldq + h * a->d_qk + c] * a->k[k * a->ldk + kv * a->d_qk + c];
                p[k] = s * a->scale;
                m = fmax(m, p[k]);
            }
            for (int64_t k = lo; k < hi; k++)
                sum += exp(p[k] - m);
            memset(out, 0, (size_t)a->d_v * sizeof *out);
            for (int64_t k = 0; k < a->n_key; k++) {
                float got = rec->probs[row * a->n_key + k];
                if (k < lo || k >= hi) {
                    assert_true(isnan(got) || got == 0);
                    continue;
                }
                double w = exp(p[k] - m) / sum;
                close_to(got, w, tolerance);
                entropy -= w * log(w);
                maximum = fmax(maximum, w);
                distance += w * fabs((double)(pos - k));
                for (int c = 0; c < a->d_v; c++)
                    out[c] += w * a->v[k * a->ldv + kv * a->d_v + c];
            }
            close_to(rec->lse[row], m + log(sum), 10 * tolerance);
            close_to(rec->entropy[row], entropy, 10 * tolerance);
            close_to(rec->maximum[row], maximum, tolerance);
            close_to(rec->distance[row], distance, tolerance * (double)a->n_key * 4);
            close_to(rec->self[row], pos < hi ? exp(p[pos] - m) / sum : 0, tolerance);
            close_to(rec->prev[row], pos - 1 >= lo ? exp(p[pos - 1] - m) / sum : 0, tolerance);
            for (int c = 0; c < a->d_v; c++)
                close_to(a->out[q * a->ldo + h * a->d_v + c], out[c], 4 * tolerance);
        }
    free(p);
    free(out);
}

static attn_args make(int64_t n_query, int64_t n_key, int heads, int kv, int d_qk, int d_v)
{
    attn_args a = {.n_head = heads, .n_kv_head = kv, .d_qk = d_qk, .d_v = d_v, .n_query = n_query, .n_key = n_key,
                   .pos0 = n_key - n_query, .scale = 2 / sqrtf((float)d_qk), .causal = true,
                   .ldq = heads * d_qk + 3, .ldk = kv * d_qk, .ldv = kv * d_v + 1, .ldo = heads * d_v};
    a.q = random_floats(n_query * a.ldq);
    a.k = random_floats(n_key * a.ldk);
    a.v = random_floats(n_key * a.ldv);
    a.out = random_floats(n_query * a.ldo);
    return a;
}

static void destroy(attn_args *a)
{
    free((void *)a->q);
    free((void *)a->k);
    free((void *)a->v);
    free(a->out);
}

static void check(attn_args a, double tolerance)
{
    record *rec = run(&a, 2);
    compare(&a, rec, tolerance);
    free_record(rec);
}

static void each_isa(void (*f)(void))
{
    const char *note;
    for (const kernels *const *k = kernels_all(); *k; k++)
        if (kernels_usable(*k)) {
            assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
            f();
        }
    kernels_select("best", &note, NULL);
}

static void shapes(void)
{
    static const struct { int64_t n; int heads, kv, d_qk, d_v; } s[] = {
        {1, 4, 2, 12, 12}, {2, 1, 1, 8, 8}, {4, 2, 1, 5, 5}, {5, 3, 3, 7, 7}, {9, 4, 4, 16, 16}, {33, 4, 1, 64, 64},
        {65, 9, 3, 64, 64}, {130, 2, 1, 80, 80}, {200, 2, 2, 24, 9}, {70, 1, 1, 256, 128}, {1030, 1, 1, 8, 8},
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        attn_args a = make(s[i].n, s[i].n, s[i].heads, s[i].kv, s[i].d_qk, s[i].d_v);
        check(a, 2e-6);
        destroy(&a);
    }
}

static void windows(void)
{
    static const int64_t window[] = {1, 2, 7, 16, 100, 1000};
    for (size_t i = 0; i < sizeof window / sizeof *window; i++) {
        attn_args a = make(101, 101, 2, 1, 16, 16);
        a.window = window[i];
        check(a, 2e-6);
        a.causal = false;
        check(a, 2e-6);
        destroy(&a);
    }
}

static void bidirectional(void)
{
    attn_args a = make(50, 50, 2, 2, 16, 16);
    a.causal = false;
    check(a, 2e-6);
    destroy(&a);
}

/* One query more at a time, and a block of queries, over a cache. */
static void decoding(void)
{
    static const int64_t n_query[] = {1, 3, 40};
    for (size_t i = 0; i < 3; i++) {
        attn_args a = make(n_query[i], 90, 4, 2, 32, 32);
        check(a, 2e-6);
        destroy(&a);
    }
}

static void same_bits(void)
{
    attn_args a = make(700, 700, 3, 1, 32, 32);
    size_t bytes = (size_t)(a.n_query * a.ldo) * sizeof(float), rows = (size_t)(a.n_head * a.n_query) * sizeof(float);
    record *one = run(&a, 1);
    float *out = malloc(bytes);
    memcpy(out, a.out, bytes);
    for (int threads = 2; threads <= 8; threads++) {
        record *many = run(&a, threads);
        assert_memory_equal(a.out, out, bytes);
        assert_memory_equal(many->entropy, one->entropy, rows);
        assert_memory_equal(many->lse, one->lse, rows);
        free_record(many);
    }
    free(out);
    free_record(one);
    destroy(&a);
}

/* Uniform scores: every statistic has a closed form. */
static void uniform_scores(void)
{
    enum { N = 64 };
    attn_args a = make(N, N, 1, 1, 8, 8);
    memset((void *)a.q, 0, (size_t)(N * a.ldq) * sizeof(float));
    record *rec = run(&a, 1);
    for (int i = 0; i < N; i++) {
        close_to(rec->entropy[i], log(i + 1), 1e-6);
        close_to(rec->maximum[i], 1.0 / (i + 1), 1e-7);
        close_to(rec->distance[i], i / 2.0, 1e-5);
        close_to(rec->lse[i], log(i + 1), 1e-6);
    }
    free_record(rec);
    destroy(&a);
}

static void bf16(void)
{
    attn_args a = make(80, 80, 2, 1, 32, 32);
    a.prec = PRECISION_BF16;
    check(a, 2e-2);
    destroy(&a);
}

static void test_shapes(void **s) { (void)s; each_isa(shapes); }
static void test_windows(void **s) { (void)s; each_isa(windows); }
static void test_bidirectional(void **s) { (void)s; each_isa(bidirectional); }
static void test_decoding(void **s) { (void)s; each_isa(decoding); }
static void test_same_bits(void **s) { (void)s; each_isa(same_bits); }
static void test_uniform(void **s) { (void)s; each_isa(uniform_scores); }
static void test_bf16(void **s) { (void)s; each_isa(bf16); }

static void test_cancel(void **state)
{
    (void)state;
    attn_args a = make(30, 30, 2, 2, 8, 8);
    pool *p;
    attn_scratch *s;
    err e = {0};
    assert_int_equal(pool_new(&p, 2, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    cancel_request();
    assert_int_equal(attention(s, &a, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(attention(s, &a, NULL, &e), 0);
    attn_scratch_free(s);
    pool_free(p);
    destroy(&a);
}

static void test_chunks(void **state)
{
    (void)state;
    assert_int_equal(attn_chunks(1), 1);
    assert_int_equal(attn_chunks(64), 1);
    assert_int_equal(attn_chunks(65), 2);
    for (int64_t n = 1; n < 5000; n += 7)
        assert_in_range(attn_chunks(n), 1, ATTN_MAX_CHUNK);
    assert_int_equal(attn_heads_in_flight(1, 9, 4096), 1);
    assert_int_equal(attn_heads_in_flight(8, 4, 10), 4);
}

/* Products of activations with weights of several types, all row counts around the panel sizes. */
static void products(void)
{
    static const int64_t rows[] = {1, 2, 5, 12, 13, 70, 513};
    pool *p;
    gemm_scratch *s;
    err e = {0};
    enum { IN = 96, OUT = 75 };
    float *w = random_floats(IN * OUT), *bias = random_floats(OUT), *transposed = malloc(IN * OUT * sizeof(float));
    uint16_t *half = malloc(IN * OUT * sizeof *half);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++) {
            half[o * IN + i] = f32_to_bf16(w[o * IN + i]);
            w[o * IN + i] = bf16_to_f32(half[o * IN + i]);
            transposed[i * OUT + o] = w[o * IN + i];
        }
    const weight forms[] = {
        {.type = DT_F32, .data = w, .n_out = OUT, .n_in = IN, .ld = IN, .bias = bias},
        {.type = DT_BF16, .data = half, .n_out = OUT, .n_in = IN, .ld = IN, .bias = bias},
        {.type = DT_F32, .data = transposed, .n_out = OUT, .n_in = IN, .ld = OUT, .transposed = true, .bias = bias},
    };
    assert_int_equal(pool_new(&p, 3, &e), 0);
    assert_int_equal(gemm_scratch_new(&s, p, &e), 0);
    assert_int_equal(gemm_scratch_reserve(s, 513, IN, &e), 0);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        int64_t ldx = IN + 2, ldy = OUT + 5;
        float *x = random_floats(rows[r] * ldx), *y = malloc((size_t)(rows[r] * ldy) * sizeof *y);
        for (size_t f = 0; f < 3; f++) {
            gemm(s, y, ldy, x, ldx, rows[r], &forms[f], PRECISION_F32);
            for (int64_t i = 0; i < rows[r]; i++)
                for (int o = 0; o < OUT; o++) {
                    double sum = bias[o];
                    for (int k = 0; k < IN; k++)
                        sum += (double)x[i * ldx + k] * w[o * IN + k];
                    close_to(y[i * ldy + o], sum, 2e-5);
                }
            /* A row alone gives the same bits. */
            float alone[OUT], vector[OUT];
            const float *last = x + (rows[r] - 1) * ldx;
            gemm(s, alone, OUT, last, ldx, 1, &forms[f], PRECISION_F32);
            assert_memory_equal(alone, y + (rows[r] - 1) * ldy, sizeof alone);
            gemv(s, vector, last, &forms[f], PRECISION_F32);
            for (int o = 0; o < OUT; o++)
                close_to(vector[o], alone[o], 2e-5);
        }
        free(x);
        free(y);
    }
    gemm_scratch_free(s);
    pool_free(p);
    free(w);
    free(bias);
    free(transposed);
    free(half);
}

static void test_products(void **s) { (void)s; each_isa(products); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_windows), cmocka_unit_test(test_bidirectional),
        cmocka_unit_test(test_decoding), cmocka_unit_test(test_same_bits), cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_bf16), cmocka_unit_test(test_cancel), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_products),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
