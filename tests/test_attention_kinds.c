/* Attention with all that model families add to it: soft-cap, biases, learned sinks, windows, cross
 * attention, keys and values of different widths.  Every combination is held against double precision; then
 * published rows, identities, extreme scores, and the same bits from every instruction set and number of
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attention_reference.h"

enum { SOFTCAP = 1, KEY_BIAS = 2, REL_BIAS = 4, SINKS = 8, EVERYTHING = 15 };

static float *scaled_floats(int64_t n, float size)
{
    float *x = random_floats(n);
    for (int64_t i = 0; i < n; i++)
        x[i] *= size;
    return x;
}

/* With the extras of the set; random ones. */
static attn_args make_with(int64_t n_query, int64_t n_key, int heads, int kv, int d_qk, int d_v, int set)
{
    attn_args a = make(n_query, n_key, heads, kv, d_qk, d_v);
    if (set & SOFTCAP)
        a.softcap = 1.5f;
    if (set & KEY_BIAS)
        a.key_bias = scaled_floats(heads * n_key, 2);
    if (set & REL_BIAS)
        a.rel_bias = scaled_floats(heads * (n_query + n_key - 1), 2);
    if (set & SINKS)
        a.sinks = scaled_floats(heads, 4);
    return a;
}

/* The masks and the relations of queries to keys that models have. */
static const struct mask {
    attn_kind kind;
    int64_t n_query, n_key;
    bool causal, cache;  /* cache: the queries are the last ones; else both begin at 0 */
    int64_t window;
} masks[] = {
    {ATTN_SELF, 67, 67, true, false, 0},     {ATTN_SELF, 67, 67, true, false, 9},
    {ATTN_SELF, 1, 1, true, false, 0},       {ATTN_SELF, 15, 15, true, false, 0},
    {ATTN_SELF, 3, 80, true, true, 0},       {ATTN_SELF, 1, 80, true, true, 16},
    {ATTN_SELF, 3, 80, true, true, 1},       {ATTN_SELF, 40, 80, true, true, 33},
    {ATTN_ENCODER, 45, 45, false, false, 0}, {ATTN_VISION, 66, 66, false, false, 9},
    {ATTN_CROSS, 1, 50, false, false, 0},    {ATTN_CROSS, 2, 300, false, false, 0},
    {ATTN_CROSS, 70, 33, false, false, 0},   {ATTN_CROSS, 5, 1, false, false, 0},
    {ATTN_CROSS, 20, 300, false, false, 0},
};

static attn_args make_masked(const struct mask *m, int heads, int kv, int d_qk, int d_v, int set)
{
    attn_args a = make_with(m->n_query, m->n_key, heads, kv, d_qk, d_v, set);
    a.kind = m->kind;
    a.causal = m->causal;
    a.pos0 = m->cache ? m->n_key - m->n_query : 0;
    a.window = m->window;
    return a;
}

/* heads, key/value heads, widths: grouped, multi-query, odd, keys and values of different width. */
static const int widths[][4] = {{4, 2, 16, 16}, {3, 1, 7, 5}, {2, 2, 24, 9}, {1, 1, 9, 33}};

static void combinations(void)
{
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (int set = 0; set <= EVERYTHING; set++) {
                const int *width = widths[w];
                attn_args a = make_masked(&masks[m], width[0], width[1], width[2], width[3], set);
                check(a, 2e-6);
                destroy(&a);
            }
}

static void all_widths(void)
{
    for (int d = 1; d <= 256; d++) {
        attn_args a = make_with(6, 6, 2, 1, d, 257 - d, d % 16);
        a.pos0 = 0;
        check(a, 2e-6);
        destroy(&a);
    }
}

/* A masked cell is 0 or was not handed over, as the blocks of an instruction set have it. */
static bool same_cell(float a, float b)
{
    return a == b || ((isnan(a) || a == 0) && (isnan(b) || b == 0));
}

/* Bits of everything on every instruction set, and on any number of threads.  Entropy and distance are sums in
 * another order there.  A few queries over many keys are outside of this: their products are plain dots. */
static void test_same_bits(void **state)
{
    (void)state;
    const char *note;
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++)
        for (int set = 0; set <= EVERYTHING; set++) {
            attn_args a = make_masked(&masks[m], 4, 2, 20, 12, set);
            size_t rows = (size_t)(a.n_head * a.n_query), bytes = (size_t)(a.n_query * a.ldo) * sizeof(float);
            if (a.n_query <= 4 && a.n_key > 64) {
                destroy(&a);
                continue;
            }
            assert_int_equal(kernels_select("c", &note, NULL), 0);
            record *plain = run(&a, 1);
            float *out = malloc(bytes);
            memcpy(out, a.out, bytes);
            for (const kernels *const *k = kernels_all(); *k; k++)
                for (int threads = 1; kernels_usable(*k) && threads <= 4; threads++) {
                    assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
                    record *rec = run(&a, threads);
                    assert_memory_equal(a.out, out, bytes);
                    for (size_t i = 0; i < N_STATS; i++) {
                        const float *got = *record_stat(rec, i), *want = *record_stat(plain, i);
                        if (got == rec->entropy || got == rec->distance)
                            for (size_t r = 0; r < rows; r++)
                                close_to(got[r], want[r], 1e-5 * fmax(1, want[r]));
                        else
                            assert_memory_equal(got, want, rows * sizeof(float));
                    }
                    for (size_t i = 0; i < rows * (size_t)a.n_key; i++)
                        assert_true(same_cell(rec->probs[i], plain->probs[i]));
                    free_record(rec);
                }
            free_record(plain);
            free(out);
            destroy(&a);
        }
    kernels_select("best", &note, NULL);
}

/* All statistics, for one instruction set and many chunks, whatever the number of threads. */
static void threads(void)
{
    attn_args a = make_with(330, 330, 3, 1, 16, 16, EVERYTHING);
    size_t rows = (size_t)(a.n_head * a.n_query) * sizeof(float);
    size_t bytes = (size_t)(a.n_query * a.ldo) * sizeof(float);
    record *one = run(&a, 1);
    float *out = malloc(bytes);
    memcpy(out, a.out, bytes);
    for (int n = 2; n <= 8; n++) {
        record *many = run(&a, n);
        assert_memory_equal(a.out, out, bytes);
        for (size_t i = 0; i < N_STATS; i++)
            assert_memory_equal(*record_stat(many, i), *record_stat(one, i), rows);
        free_record(many);
    }
    free(out);
    free_record(one);
    destroy(&a);
}

/* One query that has the scores of `row`, and values that spell out the weights. */
typedef struct spelled { float q, k[4], v[16], out[4], bias[4], sink; attn_args a; } spelled;

static void spell(spelled *s, const float row[4])
{
    *s = (spelled){.q = 1};
    memcpy(s->k, row, sizeof s->k);
    for (int i = 0; i < 4; i++)
        s->v[5 * i] = 1;
    s->a = (attn_args){.kind = ATTN_CROSS, .n_head = 1, .n_kv_head = 1, .d_qk = 1, .d_v = 4, .n_query = 1,
                       .n_key = 4, .scale = 1, .q = &s->q, .k = s->k, .v = s->v, .out = s->out, .ldq = 1,
                       .ldk = 1, .ldv = 4, .ldo = 4};
}

static void expect(const spelled *s, const double want[4], double sink)
{
    record *rec = run(&s->a, 1);
    for (int k = 0; k < 4; k++) {
        close_to(rec->probs[k], want[k], 1e-6);
        close_to(s->out[k], want[k], 1e-6);
    }
    close_to(rec->sink[0], sink, 1e-6);
    double keys = exp(s->k[0] + s->bias[0]) + exp(s->k[1]) + exp(s->k[2]) + exp(s->k[3]);
    close_to(rec->lse[0], log(keys), 1e-6);
    free_record(rec);
}

/* Rows worked out to six digits elsewhere. */
static void published(void)
{
    static const float row[4] = {1, -0.5f, 0.25f, 2};
    spelled s;
    spell(&s, row);
    expect(&s, (const double[]){.226563, .050553, .107021, .615863}, 0);
    record *rec = run(&s.a, 1);
    close_to(rec->lse[0], 2.484731, 1e-6);
    close_to(rec->entropy[0], 1.024964, 1e-6);
    close_to(rec->maximum[0], .615863, 1e-6);
    free_record(rec);

    s.a.sinks = &s.sink; /* 0: softmax-off-by-one */
    expect(&s, (const double[]){.209132, .046664, .098787, .568481}, .076936);
    s.sink = 0.7f;
    expect(&s, (const double[]){.194002, .043288, .091640, .527351}, .143720);

    spell(&s, row);
    s.a.key_bias = s.bias;
    s.bias[0] = logf(2); /* a weight doubled, then renormalised */
    expect(&s, (const double[]){.369428, .041215, .087253, .502104}, 0);
    s.bias[0] = 1;       /* a score doubled */
    expect(&s, (const double[]){.443290, .036387, .077032, .443290}, 0);
}

/* What the same attention gives with one field changed. */
static void same(const attn_args *a, const attn_args *b, double tolerance)
{
    size_t n = (size_t)(a->n_query * a->ldo), rows = (size_t)(a->n_head * a->n_query);
    record *x = run(a, 2);
    float *out = malloc(n * sizeof *out);
    memcpy(out, a->out, n * sizeof *out);
    record *y = run(b, 2);
    for (size_t i = 0; i < n; i++)
        close_to(b->out[i], out[i], tolerance);
    for (size_t i = 0; i < rows; i++) {
        close_to(y->lse[i], x->lse[i], 2 * tolerance);
        close_to(y->entropy[i], x->entropy[i], 4 * tolerance);
        close_to(y->maximum[i], x->maximum[i], tolerance);
        close_to(y->sink[i], x->sink[i], tolerance);
    }
    free(out);
    free_record(x);
    free_record(y);
}

static void identities(void)
{
    enum { N = 70, HEADS = 3 };
    attn_args a = make(N, N, HEADS, 1, 16, 16), b = a;
    const float gone[HEADS] = {-INFINITY, -1e30f, -200};
    float zeros[HEADS * (2 * N - 1)] = {0}, falling[HEADS * (2 * N - 1)];
    b.sinks = gone;
    same(&a, &b, 2e-7);
    b = a;
    b.window = N;
    same(&a, &b, 0);
    b = a;
    b.key_bias = b.rel_bias = zeros;
    same(&a, &b, 0);
    b = a;
    b.softcap = 1e5f;
    same(&a, &b, 2e-6);
    /* The bias of distance -.5 |i - j| under a causal mask is that of the key's position, but for a constant. */
    attn_args c = a;
    float by_key[HEADS * N];
    for (int h = 0; h < HEADS; h++) {
        for (int k = 0; k < N; k++)
            by_key[h * N + k] = 0.5f * (float)k;
        for (int i = 0; i < 2 * N - 1; i++)
            falling[h * (2 * N - 1) + i] = -0.5f * fabsf((float)(i - (N - 1)));
    }
    b.softcap = 0;
    b.key_bias = by_key;
    c.rel_bias = falling;
    record *x = run(&b, 1), *y = run(&c, 1);
    for (int64_t i = 0; i < HEADS * N; i++) {
        close_to(x->lse[i], y->lse[i] + 0.5 * (double)(i % N), 4e-6);
        for (int64_t k = 0; k <= i % N; k++)
            close_to(x->probs[i * N + k], y->probs[i * N + k], 2e-6);
    }
    free_record(x);
    free_record(y);
    destroy(&a);
}

/* A sink multiplies a row by 1 - sink, sink = 1 / (1 + exp(lse - score)), and leaves lse alone, however high
 * it is. */
static void sinks(void)
{
    static const float score[] = {-40, -3, 0, 2, 15, 59, 61, 80, 90, 300};
    enum { N = 50 };
    attn_args a = make(N, N, 1, 1, 16, 16), b = a;
    record *plain = run(&a, 1);
    for (size_t i = 0; i < sizeof score / sizeof *score; i++) {
        b.sinks = &score[i];
        record *rec = run(&b, 1);
        for (int64_t q = 0; q < N; q++) {
            double share = 1 / (1 + exp(plain->lse[q] - score[i]));
            double rest = 1 / (1 + exp(score[i] - plain->lse[q]));
            close_to(rec->lse[q], plain->lse[q], 2e-6);
            close_to(rec->sink[q], share, 5e-7);
            close_to(rec->maximum[q], rest * plain->maximum[q], 3e-7);
            close_to(rec->distance[q], rest * plain->distance[q], 1e-6 * N);
            close_to(rec->entropy[q], rest * plain->entropy[q] - (rest > 1e-30 ? rest * log(rest) : 0), 4e-6);
            for (int64_t k = 0; k <= q; k++)
                close_to(rec->probs[q * N + k], rest * plain->probs[q * N + k], 5e-7);
        }
        free_record(rec);
    }
    free_record(plain);
    destroy(&a);
}

/* Products that are exact in float32, so that double precision agrees however large they are. */
static void extreme_scores(void)
{
    static const float size[] = {1e-42f, 1e-38f, 1e4f, 1e15f, 1e30f};
    static const int sets[] = {0, SINKS, SOFTCAP, SOFTCAP | SINKS, SOFTCAP | REL_BIAS, EVERYTHING};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (size_t j = 0; j < sizeof sets / sizeof *sets; j++) {
            attn_args a = make_with(37, 37, 2, 1, 4, 6, sets[j]);
            a.scale = 1;
            for (int64_t k = 0; k < 37 * a.ldq; k++)
                ((float *)a.q)[k] = 1;
            for (int64_t k = 0; k < 37; k++)
                for (int c = 0; c < 4; c++)
                    ((float *)a.k)[k * a.ldk + c] = c ? 0 : (float)(k * 7 % 11 - 5) * size[i];
            check(a, 3e-6);
            destroy(&a);
        }
}

/* Keys shut out by a bias of minus infinity, until none is left. */
static void shut_out(void)
{
    for (int set = KEY_BIAS; set <= EVERYTHING; set++) {
        if (!(set & KEY_BIAS))
            continue;
        attn_args a = make_with(37, 37, 2, 1, 8, 8, set);
        for (int k = 0; k < 20; k++)
            ((float *)a.key_bias)[k] = -INFINITY;
        check(a, 2e-6);
        destroy(&a);
    }
}

/* A NaN must show in each kind of row. */
static void not_a_number(void)
{
    for (int set = 0; set <= EVERYTHING; set++) {
        attn_args a = make_with(20, 20, 1, 1, 8, 8, set);
        ((float *)a.q)[10 * a.ldq] = NAN;
        record *rec = run(&a, 1);
        assert_true(isnan(rec->maximum[10]) && isnan(rec->probs[10 * 20]) && isnan(a.out[10 * a.ldo]));
        assert_false(isnan(rec->maximum[9]) || isnan(a.out[11 * a.ldo]));
        free_record(rec);
        destroy(&a);
    }
}

static void bf16(void)
{
    attn_args a = make_with(80, 80, 2, 1, 32, 24, EVERYTHING);
    a.prec = PRECISION_BF16;
    check(a, 3e-2);
    a.causal = false;
    a.n_query = 2;
    a.pos0 = 0;
    check(a, 3e-2);
    destroy(&a);
}

/* The hyperbolic tangent by itself: a cap of 1.  Within 2 units in the last place, odd, never above 1, and
 * with the bits of plain C. */
static void hyperbolic_tangent(void)
{
    enum { ROWS = 64 };
    const kernels *k = kernels_get();
    float x[ROWS * GEMM_MAX_NR], y[ROWS * GEMM_MAX_NR], z[ROWS * 4];
    score_block b = {.s = y, .scale = 1, .n_key = ROWS, .n_query = k->nr, .softcap = 1};
    for (int round = 0; round < 400; round++) {
        int n = ROWS * k->nr;
        for (int i = 0; i < n; i += 2) {
            x[i] = ldexpf(1 + fabsf(uniform()), round < 150 ? round - 149 : round % 12 - 8);
            x[i + 1] = -x[i];
        }
        memcpy(y, x, (size_t)n * sizeof *x);
        k->score_columns(&b);
        for (int i = 0; i < n; i++) {
            double want = tanh(x[i]), ulp = nextafterf((float)fabs(want), 2) - (float)fabs(want);
            close_to(y[i], want, 2 * ulp);
            assert_true(fabsf(y[i]) <= 1 && (i % 2 == 0 || y[i] == -y[i - 1]));
        }
        for (int i = 0; i + ROWS * 4 <= n; i += ROWS * 4) {
            score_block plain = {.s = z, .scale = 1, .n_key = ROWS, .n_query = 4, .softcap = 1};
            memcpy(z, x + i, sizeof z);
            kernels_c.score_columns(&plain);
            assert_memory_equal(z, y + i, sizeof z);
        }
    }
    static const float special[] = {0, -FLT_TRUE_MIN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX};
    static const float want[] = {0, -FLT_TRUE_MIN, 1, -1, 1, -1};
    memset(y, 0, sizeof y);
    for (int i = 0; i < 6; i++)
        y[i * k->nr] = special[i];
    y[6 * k->nr] = NAN;
    k->score_columns(&b);
    for (int i = 0; i < 6; i++)
        assert_true(y[i * k->nr] == want[i]);
    assert_true(isnan(y[6 * k->nr]));
}

/* Arrays that nobody asked for are not there; the sink is there when the layer has one. */
static void see_few(void *ud, const attn_rows *r)
{
    bool *as_asked = ud;
    *as_asked = r->kind == ATTN_CROSS && r->entropy && r->sink && !r->maximum && !r->self && !r->prev &&
                !r->distance;
}

static void test_asked_for(void **state)
{
    (void)state;
    attn_args a = make_with(3, 9, 2, 1, 8, 8, SINKS);
    pool *p;
    attn_scratch *s;
    bool as_asked = false;
    attn_tap tap = {.need = ATTN_NEED_ENTROPY, .rows = see_few, .ud = &as_asked};
    err e = {0};
    a.kind = ATTN_CROSS;
    a.causal = false;
    a.pos0 = 0;
    assert_int_equal(pool_new(&p, 1, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    assert_int_equal(attention(s, &a, &tap, &e), 0);
    assert_true(as_asked);
    attn_scratch_free(s);
    pool_free(p);
    destroy(&a);
}

static void test_combinations(void **s) { (void)s; each_isa(combinations); }
static void test_widths(void **s) { (void)s; each_isa(all_widths); }
static void test_threads(void **s) { (void)s; each_isa(threads); }
static void test_published(void **s) { (void)s; each_isa(published); }
static void test_identities(void **s) { (void)s; each_isa(identities); }
static void test_sinks(void **s) { (void)s; each_isa(sinks); }
static void test_extreme_scores(void **s) { (void)s; each_isa(extreme_scores); }
static void test_shut_out(void **s) { (void)s; each_isa(shut_out); }
static void test_not_a_number(void **s) { (void)s; each_isa(not_a_number); }
static void test_bf16(void **s) { (void)s; each_isa(bf16); }
static void test_tanh(void **s) { (void)s; each_isa(hyperbolic_tangent); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_combinations), cmocka_unit_test(test_widths), cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_published), cmocka_unit_test(test_identities),
        cmocka_unit_test(test_sinks), cmocka_unit_test(test_extreme_scores), cmocka_unit_test(test_shut_out),
        cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_bf16), cmocka_unit_test(test_tanh),
        cmocka_unit_test(test_asked_for),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("attention kinds", tests, NULL, NULL);
}
