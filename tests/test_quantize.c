/* Weights rounded to quantised forms: rows against the reference quantisers, every layout of a map, whole
 * models. */
#include "tests/model_run.h"
#include "compute/gemm.h"
#include "compute/quantize.h"
#include "model/quantize.h"
#include "tests/quantize_cases.h"
#include "tests/tiny_model.h"

static const dtype all[] = {DT_Q8_0, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_BF16, DT_F16, DT_F8_E4M3};
enum { N_TYPE = sizeof all / sizeof *all };

/* ---- the generator of tests/make_quantize_cases.py ---- */

static uint64_t seed;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float small(void)
{
    return (float)(next() >> 7) * 0x1p-23f - 1;
}

static void make_row(float *x, int kind, int64_t n)
{
    float size = ldexpf(1, (int)(next() % 12) - 8);
    for (int64_t i = 0; i < n; i++) {
        float a = small(), b = small();
        x[i] = a * b * size;
    }
    for (int64_t i = 0; i < n; i++)
        switch (kind) {
        case 1:
            x[i] = 0;
            break;
        case 2:
            x[i] = x[0];
            break;
        case 3:
            x[i] = i == 5 ? -64 * size : x[i];
            break;
        case 4:
            x[i] = (float)((int)(next() % 31) - 15) / 2;
            break;
        case 5:
            x[i] = i == 3 ? 2 * size : i == 7 ? -2 * size : x[i];
            break;
        case 6:
            x[i] = fabsf(x[i]) + size;
            break;
        case 7:
            x[i] *= 0x1p-20f;
            break;
        case 8:
            x[i] *= 0x1p10f;
            break;
        default:
            break;
        }
}

static size_t row_bytes(dtype t, int64_t n)
{
    return (size_t)(n / dtypes[t].block * dtypes[t].block_bytes);
}

static void test_rows_are_those_of_the_references(void **state)
{
    (void)state;
    const struct quantize_case *c = quantize_cases, *end = c + sizeof quantize_cases / sizeof *c;
    int n = 0;
    seed = 20261122;
    for (int i = 0; i < QUANTIZE_ROWS; i++) {
        float x[32], scale;
        unsigned char bytes[64];
        make_row(x, i, 32);
        for (; c < end && c->row == i; c++, n++) {
            assert_true(quantize_row(bytes, &scale, c->type, x, 32));
            if (memcmp(bytes, c->bytes, row_bytes(c->type, 32)) || memcmp(&scale, &c->scale, sizeof scale))
                fail_msg("row %d in %s differs", i, dtypes[c->type].name);
        }
    }
    assert_ptr_equal(c, end);
    assert_int_equal(n, QUANTIZE_ROWS * N_TYPE);

    float *x = malloc(QUANTIZE_LONG * sizeof *x);
    unsigned char *bytes = malloc(QUANTIZE_LONG * 2);
    assert_true(x && bytes);
    make_row(x, 0, QUANTIZE_LONG);
    for (size_t i = 0; i < sizeof quantize_sums / sizeof *quantize_sums; i++) {
        const struct quantize_sum *s = &quantize_sums[i];
        uint64_t h = 0xcbf29ce484222325u;
        float scale;
        assert_true(quantize_row(bytes, &scale, s->type, x, QUANTIZE_LONG));
        for (size_t b = 0; b < row_bytes(s->type, QUANTIZE_LONG); b++)
            h = (h ^ bytes[b]) * 0x100000001b3u;
        if (h != s->fnv || memcmp(&scale, &s->scale, sizeof scale))
            fail_msg("%d numbers in %s differ", QUANTIZE_LONG, dtypes[s->type].name);
    }
    free(x);
    free(bytes);
}

/* No error is larger than the distance between levels allows. */
static void test_errors_are_within_half_a_level(void **state)
{
    (void)state;
    static const double levels[] = {254, 16, 15, 32, 31};
    seed = 4;
    for (int round = 0; round < 200; round++) {
        float x[64], back[64], scale;
        unsigned char bytes[128];
        make_row(x, round % 2 ? 0 : 6, 64);
        for (int t = 0; t < N_TYPE; t++) {
            assert_true(quantize_row(bytes, &scale, all[t], x, 64));
            dtypes[all[t]].to_f32(back, bytes, 64);
            for (int i = 0; i < 64; i++) {
                const float *block = x + i / 32 * 32;
                double most = 0, low = (double)block[0], high = low, bound;
                for (int j = 0; j < 32; j++) {
                    most = fmax(most, fabs((double)block[j]));
                    low = fmin(low, (double)block[j]);
                    high = fmax(high, (double)block[j]);
                }
                bool lowest = all[t] == DT_Q4_1 || all[t] == DT_Q5_1;
                if (t < 5) /* a whole level at the far end of q4_0 and q5_0; the scale itself is rounded to a
                              half */
                    bound = (lowest ? high - low : 2 * most) / levels[t] *
                                (all[t] == DT_Q4_0 || all[t] == DT_Q5_0 ? 1 : 0.5) +
                            0x1p-10 * most;
                else
                    bound = all[t] == DT_BF16  ? 0x1p-8 * fabs((double)x[i])
                            : all[t] == DT_F16 ? 0x1p-11 * fabs((double)x[i]) + 0x1p-25
                                               : 0x1p-4 * fabs((double)x[i]) + (double)scale * 0x1p-10;
                double error = fabs((double)back[i] * (double)scale - (double)x[i]);
                if (!(error <= bound * (1 + 1e-6)))
                    fail_msg("%s: %g became %g, more than %g off", dtypes[all[t]].name, (double)x[i],
                             (double)(back[i] * scale), bound);
            }
        }
    }
}

static void test_what_a_form_cannot_hold(void **state)
{
    (void)state;
    unsigned char bytes[64];
    float scale;
    for (int t = 0; t < N_TYPE; t++) {
        float x[32] = {1, 2, 3};
        assert_true(quantize_row(bytes, &scale, all[t], x, 32));
        x[9] = NAN;
        assert_false(quantize_row(bytes, &scale, all[t], x, 32));
        x[9] = -INFINITY;
        assert_false(quantize_row(bytes, &scale, all[t], x, 32));
        x[9] = 1e9f; /* its scale, too, is beyond a half */
        assert_int_equal(quantize_row(bytes, &scale, all[t], x, 32),
                         all[t] == DT_BF16 || all[t] == DT_F8_E4M3);
        x[9] = 3.39e38f;
        x[10] = -3.39e38f;
        assert_int_equal(quantize_row(bytes, &scale, all[t], x, 32),
                         all[t] == DT_F8_E4M3 || all[t] == DT_BF16);
        x[9] = 3.4028235e38f; /* rounds up to infinity in bf16 */
        assert_int_equal(quantize_row(bytes, &scale, all[t], x, 32), all[t] == DT_F8_E4M3);
        x[9] = x[10] = 1e-45f;
        x[0] = x[1] = x[2] = 0; /* 1 / scale is infinite */
        assert_true(quantize_row(bytes, &scale, all[t], x, 32));
    }
}

/* ---- maps of any layout ---- */

enum { OUT = 48, IN = 64 };

/* What the map's rows become: taken element by element, whatever their layout. */
static void expect_rounded(const weight *from, const weight *made, dtype t)
{
    float x[IN], expected[IN], back[IN], scale;
    unsigned char bytes[2 * IN];
    assert_int_equal(made->type, t);
    assert_int_equal(made->n_out, from->n_out);
    assert_int_equal(made->n_in, from->n_in);
    assert_ptr_equal(made->bias, from->bias);
    assert_ptr_not_equal(made->data, from->data);
    for (int64_t row = 0; row < from->n_out; row++) {
        weight_load(x, from, row, 0, IN);
        assert_true(quantize_row(bytes, &scale, t, x, IN));
        dtypes[t].to_f32(expected, bytes, IN);
        for (int i = 0; i < IN; i++)
            expected[i] *= scale;
        weight_load(back, made, row, 0, IN);
        assert_memory_equal(back, expected, sizeof back);
    }
}

static void test_maps_of_every_layout(void **state)
{
    (void)state;
    static float numbers[3 * OUT * IN], bias[OUT], tile_scale[6] = {1, 2, 0.5f, 3, 4, 0.25f};
    static unsigned char narrow[OUT * IN];
    seed = 11;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = small();
    for (size_t i = 0; i < sizeof narrow; i++)
        narrow[i] = (unsigned char)(next() % 120 | (next() & 128));
    const weight plain = {.type = DT_F32, .data = numbers, .n_out = OUT, .n_in = IN, .ld = IN, .bias = bias};
    weight layouts[5] = {plain, plain, plain, plain, plain};
    layouts[1].transposed = true;
    layouts[1].ld = 2 * OUT;
    layouts[2].paired = 16;
    layouts[3].row_block = 8;
    layouts[3].row_stride = 24;
    layouts[4] = (weight){.type = DT_F8_E4M3,
                          .data = narrow,
                          .n_out = OUT,
                          .n_in = IN,
                          .ld = IN,
                          .scale_kind = SCALE_F32_TILE,
                          .scale = tile_scale,
                          .scale_ld = 2,
                          .scale_rows = 16,
                          .scale_cols = 32};
    for (int f = 1; quantize_names[f]; f++) {
        tiny_model t;
        err e = {0};
        tiny_new(&t, TINY_TRANSLATOR);
        t.m.arena_ = &t.mem;
        model_layer *y = &t.m.main->layers[0];
        weight *const at[5] = {&y->self.q, &y->cross.v, &y->self.k, &y->mlp.gate,
                               &t.m.encoder->layers[2].self.out};
        for (int i = 0; i < 5; i++)
            *at[i] = layouts[i];
        const void *embedded = t.m.main->embed.tokens.data;
        assert_int_equal(model_quantize(&t.m, quantize_names[f], false, f % 3 + 1, NULL, &e), 0);
        for (int i = 0; i < 5; i++)
            expect_rounded(&layouts[i], at[i], all[f - 1]);
        assert_ptr_equal(t.m.main->embed.tokens.data, embedded);
        assert_int_equal(t.m.head.unembedding.type, DT_F32);
        assert_int_equal(t.m.main->embed.positions.type, DT_F32);
        /* the tiny maps have rows of 8: blocks of 32 leave them as they are */
        bool blocks = dtypes[all[f - 1]].block == 32;
        assert_int_equal(t.m.main->layers[1].self.q.type, blocks ? DT_F32 : all[f - 1]);
        if (blocks)
            assert_non_null(strstr(t.m.quantized, " maps as stored"));
        else
            assert_string_equal(t.m.quantized, quantize_names[f]);
        tiny_free(&t);
    }
}

static void test_a_weight_out_of_range_is_named(void **state)
{
    (void)state;
    tiny_model t;
    err e = {0};
    tiny_new(&t, TINY_TRANSLATOR);
    t.m.arena_ = &t.mem;
    float *x = (float *)(uintptr_t)t.m.encoder->layers[1].cross.q.data;
    assert_null(x); /* no cross attention in an encoder */
    x = (float *)(uintptr_t)t.m.encoder->layers[1].mlp.up.data;
    x[13] = 1e6f;
    assert_int_equal(model_quantize(&t.m, "f16", false, 2, NULL, &e), ERR_FAILED);
    assert_string_equal(
        e.msg, "MLP up of layer 1 of the encoder: a weight is not finite or beyond the range of f16");
    assert_int_equal(model_quantize(&t.m, "q9", false, 2, NULL, &e), ERR_USAGE);
    tiny_free(&t);
}

/* ---- whole models ---- */

static opened open_rounded(const char *name, bool embeddings, int threads)
{
    path_text path;
    err e = {0};
    source_path(path, "examples/models/lantern-3m");
    opened o = {0};
    if (model_open(&o.m, path, &e) || (name && model_quantize(o.m, name, embeddings, threads, NULL, &e)) ||
        runtime_new(&o.r, o.m, 2, PRECISION_F32, &e))
        fail_msg("%s", e.msg);
    return o;
}

static const int32_t ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};

static void values_of(collected *c, const char *name, bool embeddings, int threads)
{
    opened o = open_rounded(name, embeddings, threads);
    if (run_analysis(c, &o, ids, 11, "entropy,sink,nll", NULL, NULL, 0, 0))
        fail_msg("%s", c->e.msg);
    close_model(&o);
}

static double furthest(const collected *a, const collected *b)
{
    double most = 0;
    assert_int_equal(a->n_value, b->n_value);
    for (int64_t i = 0; i < a->n_value; i++)
        most = fmax(most, fabs(a->value[i].value - b->value[i].value));
    return most;
}

static void test_bundled_model(void **state)
{
    (void)state;
    collected stored = {0}, made = {0}, again = {0};
    double drift[3];
    values_of(&stored, NULL, false, 0);
    values_of(&made, "bf16", true, 1); /* its weights are bf16 */
    assert_true(furthest(&stored, &made) == 0);
    collected_free(&made);
    for (int i = 0; i < 3; i++) {
        values_of(&made, (const char *const[]){"q8_0", "q5_1", "q4_0"}[i], false, 1);
        values_of(&again, (const char *const[]){"q8_0", "q5_1", "q4_0"}[i], false, 3);
        assert_true(furthest(&made, &again) == 0);
        drift[i] = furthest(&stored, &made);
        collected_free(&made);
        collected_free(&again);
    }
    fprintf(stderr, "# largest change of entropy, sink and nll: q8_0 %.3g, q5_1 %.3g, q4_0 %.3g\n", drift[0],
            drift[1], drift[2]);
    assert_true(drift[0] > 0 && drift[0] < drift[1] && drift[1] < drift[2] && drift[2] < 2);
    collected_free(&stored);
}

/* The run is that of the rounded weights: as when they are put in their place as float32. */
static void test_run_is_that_of_the_rounded_weights(void **state)
{
    (void)state;
    opened a = open_rounded("fp8", false, 2), b = open_rounded(NULL, false, 2);
    arena mem = {0};
    collected x = {0}, y = {0};
    for (int l = 0; l < b.m->main->n_layer; l++) {
        model_layer *to = &b.m->main->layers[l], *from = &a.m->main->layers[l];
        weight *const dst[] = {&to->self.q,   &to->self.k, &to->self.v,  &to->self.out,
                               &to->mlp.gate, &to->mlp.up, &to->mlp.down};
        const weight *const src[] = {&from->self.q,   &from->self.k, &from->self.v,  &from->self.out,
                                     &from->mlp.gate, &from->mlp.up, &from->mlp.down};
        for (int i = 0; i < 7; i++) {
            const weight *w = src[i];
            if (!w->data)
                continue;
            float *copy = arena_alloc(&mem, (size_t)(w->n_out * w->n_in), sizeof *copy, NULL);
            assert_non_null(copy);
            for (int64_t row = 0; row < w->n_out; row++)
                weight_load(copy + row * w->n_in, w, row, 0, w->n_in);
            *dst[i] = (weight){.type = DT_F32,
                               .data = copy,
                               .n_out = w->n_out,
                               .n_in = w->n_in,
                               .ld = w->n_in,
                               .bias = w->bias};
        }
    }
    if (run_analysis(&x, &a, ids, 11, "entropy,nll", NULL, NULL, 0, 0) ||
        run_analysis(&y, &b, ids, 11, "entropy,nll", NULL, NULL, 0, 0))
        fail_msg("no run");
    assert_true(furthest(&x, &y) < 1e-4);
    collected_free(&x);
    collected_free(&y);
    arena_free(&mem);
    close_model(&a);
    close_model(&b);
}

static void test_embeddings_are_left_or_taken(void **state)
{
    (void)state;
    opened o = open_rounded("q8_0", false, 2);
    assert_int_equal(o.m->main->layers[0].self.q.type, DT_Q8_0);
    assert_int_equal(o.m->main->embed.tokens.type, DT_BF16);
    assert_int_equal(o.m->head.unembedding.type, DT_BF16);
    assert_string_equal(o.m->quantized, "q8_0");
    close_model(&o);
    o = open_rounded("q8_0", true, 2);
    assert_int_equal(o.m->main->embed.tokens.type, DT_Q8_0);
    assert_true(o.m->tied);
    assert_ptr_equal(o.m->head.unembedding.data, o.m->main->embed.tokens.data);
    assert_string_equal(o.m->quantized, "q8_0 with embeddings");
    close_model(&o);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_those_of_the_references),
        cmocka_unit_test(test_errors_are_within_half_a_level),
        cmocka_unit_test(test_what_a_form_cannot_hold),
        cmocka_unit_test(test_maps_of_every_layout),
        cmocka_unit_test(test_a_weight_out_of_range_is_named),
        cmocka_unit_test(test_bundled_model),
        cmocka_unit_test(test_run_is_that_of_the_rounded_weights),
        cmocka_unit_test(test_embeddings_are_left_or_taken),
    };
    return cmocka_run_group_tests_name("quantize", tests, NULL, NULL);
}
