/* analyse: what comes out, in which order, the same for any number of threads; maps; known values of the
 * bundled model. */
#include "tests/model_run.h"
#include "base/mem.h"
#include "compute/attention.h"

/* "It was a dark night, and the old man" with its BOS. */
static const int32_t short_ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
enum { N_SHORT = 11, LAYERS = 4, HEADS = 8, V = 2048 };

static opened lantern(int threads)
{
    path_text path;
    source_path(path, "examples/models/lantern-3m");
    return open_model(path, threads);
}

/* A longer prompt of the vocabulary: several chunks of queries. */
static void long_prompt(int32_t *ids, int64_t n)
{
    uint32_t x = 12345;
    for (int64_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = i ? (int32_t)(2 + (x >> 8) % (V - 2)) : 0;
    }
}

static void near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

/* Numbers of an independent implementation (eager attention in float32, metrics in double). */
static void test_known_values(void **state)
{
    (void)state;
    static const struct {
        int layer, head;
        double sink, entropy, prev, self, max, distance, last;
    } known[] = {
        {0, 1, 0.18089883, 0.01611234, 0.99741333, 0.09219143, 0.99764848, 0.90896061, 0.02333241},
        {1, 3, 0.98623827, 0.07183964, 0.10511072, 0.09142362, 0.98623827, 4.95070944, 0.01745590},
        {2, 5, 0.99986834, 0.00117888, 0.09999997, 0.09091099, 0.99986834, 4.99985154, 0.00001606},
        {3, 7, 0.76257265, 0.30453820, 0.10026437, 0.09092543, 0.85735259, 4.23719071, 1.24599193},
    };
    static const double nll[] = {7.861793, 2.157069, 2.666692, 6.884374, 3.881797,
                                 1.571595, 1.168850, 2.469375, 4.859188, 2.223136};
    opened o = lantern(1);
    collected c = {0}, last = {0}, each = {0};
    assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, metric_defaults, NULL, NULL, 0, 0), 0);
    const char *const at_the_end[] = {"entropy-rows=last", NULL}, *const everywhere[] = {"entropy-rows=each",
                                                                                         NULL};
    assert_int_equal(run_analysis(&last, &o, short_ids, N_SHORT, "entropy", at_the_end, NULL, 0, 0), 0);
    assert_int_equal(run_analysis(&each, &o, short_ids, N_SHORT, "entropy", everywhere, NULL, 0, 0), 0);
    assert_int_equal(last.n_value, LAYERS * HEADS);
    assert_int_equal(each.n_value, LAYERS * HEADS * N_SHORT);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        int l = known[i].layer, h = known[i].head;
        near(value_of(&c, "sink", l, h, 0), known[i].sink, 1e-4, "sink");
        near(value_of(&c, "entropy", l, h, NO_INDEX), known[i].entropy, 1e-4, "entropy");
        near(value_of(&c, "prev_token", l, h, NO_INDEX), known[i].prev, 1e-4, "prev_token");
        near(value_of(&c, "self", l, h, NO_INDEX), known[i].self, 1e-4, "self");
        near(value_of(&c, "max", l, h, NO_INDEX), known[i].max, 1e-4, "max");
        near(value_of(&c, "distance", l, h, NO_INDEX), known[i].distance, 1e-4, "distance");
        near(value_of(&last, "entropy", l, h, N_SHORT - 1), known[i].last, 1e-4, "entropy of the last query");
        double sum = 0;
        for (int64_t q = 0; q < N_SHORT; q++)
            sum += value_of(&each, "entropy", l, h, q);
        near(sum / N_SHORT, value_of(&c, "entropy", l, h, NO_INDEX), 1e-12,
             "mean of the entropies of all queries");
        near(value_of(&each, "entropy", l, h, N_SHORT - 1), value_of(&last, "entropy", l, h, N_SHORT - 1), 0,
             "last");
    }
    for (int64_t i = 1; i < N_SHORT; i++)
        near(value_of(&c, "nll", NO_INDEX, NO_INDEX, i), nll[i - 1], 1e-3, "nll");
    collected_free(&c);
    collected_free(&last);
    collected_free(&each);
    close_model(&o);
}

/* Layer, head, metric as asked for, position; then what comes from logits. */
static void test_order_of_values(void **state)
{
    (void)state;
    opened o = lantern(2);
    collected c = {0};
    static const char *const order[] = {"max", "sink", "sink", "sink", "entropy"};
    static const int64_t position[] = {NO_INDEX, 0, 4, N_SHORT - 1, NO_INDEX};
    const char *const keys[] = {"sink-keys=-1,4,0", NULL};
    assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, "max,nll,sink,entropy", keys, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, LAYERS * HEADS * 5 + N_SHORT - 1);
    int64_t i = 0;
    for (int l = 0; l < LAYERS; l++)
        for (int h = 0; h < HEADS; h++)
            for (int k = 0; k < 5; k++, i++) {
                assert_string_equal(c.value[i].metric, order[k]);
                assert_int_equal(c.value[i].layer, l);
                assert_int_equal(c.value[i].head, h);
                assert_int_equal(c.value[i].position, position[k]);
                assert_int_equal(c.value[i].kind, ATTN_SELF);
            }
    for (int64_t p = 1; p < N_SHORT; p++, i++) {
        assert_string_equal(c.value[i].metric, "nll");
        assert_int_equal(c.value[i].layer, NO_INDEX);
        assert_int_equal(c.value[i].head, NO_INDEX);
        assert_int_equal(c.value[i].position, p);
    }
    collected_free(&c);
    close_model(&o);
}

static void all_heads(head_id *maps)
{
    for (int i = 0; i < LAYERS * HEADS; i++)
        maps[i] = (head_id){ATTN_SELF, i / HEADS, i % HEADS};
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    enum { N = 300 };
    int32_t ids[N];
    head_id maps[LAYERS * HEADS];
    collected first = {0};
    long_prompt(ids, N);
    all_heads(maps);
    assert_true(attn_chunks(N) > 2);
    for (int threads = 1; threads <= 4; threads *= 2) {
        opened o = lantern(threads);
        collected c = {0};
        assert_int_equal(run_analysis(&c, &o, ids, N, metric_defaults, NULL, maps, LAYERS * HEADS, 64), 0);
        if (threads == 1) {
            first = c;
        } else {
            assert_int_equal(c.n_value, first.n_value);
            for (int64_t i = 0; i < c.n_value; i++) {
                assert_string_equal(c.value[i].metric, first.value[i].metric);
                assert_int_equal(c.value[i].head, first.value[i].head);
                assert_memory_equal(&c.value[i].value, &first.value[i].value, sizeof(double));
            }
            assert_int_equal(c.n_map, first.n_map);
            for (int i = 0; i < c.n_map; i++)
                assert_memory_equal(c.map[i].cells, first.map[i].cells, 60 * 60 * sizeof(float));
            collected_free(&c);
        }
        close_model(&o);
    }
    collected_free(&first);
}

/* Metrics do not depend on what else is measured in the same run. */
static void test_company_does_not_matter(void **state)
{
    (void)state;
    enum { N = 150 };
    int32_t ids[N];
    long_prompt(ids, N);
    opened o = lantern(2);
    collected all = {0}, alone = {0};
    assert_int_equal(run_analysis(&all, &o, ids, N, metric_defaults, NULL, NULL, 0, 0), 0);
    assert_int_equal(run_analysis(&alone, &o, ids, N, "distance", NULL, NULL, 0, 0), 0);
    assert_int_equal(alone.n_value, LAYERS * HEADS);
    for (int64_t i = 0; i < alone.n_value; i++)
        near(alone.value[i].value,
             value_of(&all, "distance", alone.value[i].layer, alone.value[i].head, NO_INDEX), 0, "distance");
    collected_free(&all);
    collected_free(&alone);
    close_model(&o);
}

/* ---- maps ---- */

static void test_full_map(void **state)
{
    (void)state;
    enum { N = 90 };
    int32_t ids[N];
    long_prompt(ids, N);
    opened o = lantern(2);
    collected c = {0};
    /* Asked for twice and out of order: each once, in order. */
    const head_id maps[] = {{ATTN_SELF, 3, 2}, {ATTN_SELF, 0, 1}, {ATTN_SELF, 3, 2}, {ATTN_SELF, 3, 0}};
    assert_int_equal(run_analysis(&c, &o, ids, N, "sink,prev_token,entropy", NULL, maps, 4, N), 0);
    assert_int_equal(c.n_map, 3);
    static const int layer[] = {0, 3, 3}, head[] = {1, 0, 2};
    for (int m = 0; m < 3; m++) {
        const result_map *map = &c.map[m];
        assert_int_equal(map->layer, layer[m]);
        assert_int_equal(map->head, head[m]);
        assert_int_equal(map->n_query, N);
        assert_int_equal(map->n_key, N);
        assert_int_equal(map->pool, 1);
        assert_string_equal(map->pooling, "none");
        double alpha = 0, previous = 0, entropy = 0;
        for (int64_t q = 0; q < N; q++) {
            double sum = 0;
            for (int64_t k = 0; k < N; k++) {
                double p = (double)map->cells[q * N + k];
                assert_int_equal(isnan(p) != 0, k > q);
                if (k > q)
                    continue;
                assert_true(p >= 0 && p <= 1.000001);
                sum += p;
                entropy -= p > 0 ? p * log(p) : 0;
            }
            near(sum, 1, 1e-5, "a row");
            alpha += (double)map->cells[q * N];
            previous += q > 0 ? (double)map->cells[q * N + q - 1] : 0;
        }
        near(alpha / N, value_of(&c, "sink", layer[m], head[m], 0), 1e-12, "sink");
        near(previous / (N - 1), value_of(&c, "prev_token", layer[m], head[m], NO_INDEX), 1e-12,
             "prev_token");
        near(entropy / N, value_of(&c, "entropy", layer[m], head[m], NO_INDEX), 1e-5, "entropy");
    }
    collected_free(&c);
    close_model(&o);
}

/* Blocks that straddle chunks of queries, sides that do not divide. */
static void test_pooled_map_is_the_mean_of_visible_cells(void **state)
{
    (void)state;
    enum { N = 301 };
    static const int64_t limits[] = {1, 2, 7, 43, 100, 150, 300};
    int32_t ids[N];
    long_prompt(ids, N);
    opened o = lantern(2);
    const head_id maps[] = {{ATTN_SELF, 1, 3}, {ATTN_SELF, 2, 0}};
    collected full = {0};
    assert_int_equal(run_analysis(&full, &o, ids, N, "max", NULL, maps, 2, 0), 0);
    assert_int_equal(full.n_map, 2);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        collected c = {0};
        assert_int_equal(run_analysis(&c, &o, ids, N, "max", NULL, maps, 2, limits[i]), 0);
        assert_int_equal(c.n_map, 2);
        for (int m = 0; m < 2; m++) {
            int64_t block = (N + limits[i] - 1) / limits[i], side = (N + block - 1) / block;
            assert_int_equal(c.map[m].pool, block);
            assert_string_equal(c.map[m].pooling, "mean");
            assert_true(side <= limits[i]);
            for (int64_t r = 0; r < side; r++)
                for (int64_t col = 0; col < side; col++) {
                    double sum = 0;
                    int64_t n = 0;
                    for (int64_t q = r * block; q < (r + 1) * block && q < N; q++)
                        for (int64_t k = col * block; k < (col + 1) * block && k <= q; k++, n++)
                            sum += (double)full.map[m].cells[q * N + k];
                    double cell = (double)c.map[m].cells[r * side + col];
                    assert_int_equal(isnan(cell) != 0, n == 0);
                    if (n > 0)
                        near(cell, sum / (double)n, 1e-7, "a pooled cell");
                }
        }
        collected_free(&c);
    }
    collected_free(&full);
    close_model(&o);
}

/* Maps alone, without any metric. */
static void test_maps_without_metrics(void **state)
{
    (void)state;
    opened o = lantern(1);
    collected c = {0};
    const head_id map = {ATTN_SELF, 0, 1};
    assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, "", NULL, &map, 1, 0), 0);
    assert_int_equal(c.n_value, 0);
    assert_int_equal(c.n_map, 1);
    near((double)c.map[0].cells[3 * N_SHORT + 2], 0.99, 0.02, "L0H1 looks one token back");
    collected_free(&c);
    close_model(&o);
}

/* ---- refusals ---- */

static void test_heads_out_of_range(void **state)
{
    (void)state;
    static const struct { head_id head; const char *message; } bad[] = {
        {{ATTN_SELF, 4, 0}, "layer 4 out of range (model has 4 layers)"},
        {{ATTN_SELF, -1, 0}, "layer -1 out of range (model has 4 layers)"},
        {{ATTN_SELF, 3, 8}, "head 8 out of range (layer 3 has 8 heads)"},
        {{ATTN_CROSS, 1, 0}, "lantern-3m has no cross attention"},
    };
    opened o = lantern(1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        collected c = {0};
        assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, "max", NULL, &bad[i].head, 1, 0),
                         ERR_USAGE);
        assert_string_equal(c.e.msg, bad[i].message);
        assert_int_equal(c.n_value, 0);
    }
    close_model(&o);
}

static void test_bad_prompts(void **state)
{
    (void)state;
    enum { TOO_LONG = 513 };
    static int32_t ids[TOO_LONG];
    opened o = lantern(1);
    collected c = {0};
    assert_int_equal(run_analysis(&c, &o, ids, 0, "max", NULL, NULL, 0, 0), ERR_USAGE);
    assert_int_equal(run_analysis(&c, &o, ids, TOO_LONG, "max", NULL, NULL, 0, 0), ERR_INPUT);
    ids[2] = V;
    assert_int_equal(run_analysis(&c, &o, ids, 5, "max,nll", NULL, NULL, 0, 0), ERR_INPUT);
    assert_int_equal(c.n_value, 0);
    const char *const keys[] = {"sink-keys=0,5", NULL};
    ids[2] = 0;
    assert_int_equal(run_analysis(&c, &o, ids, 5, "max,sink", keys, NULL, 0, 0), ERR_USAGE);
    assert_string_equal(c.e.msg, "sink-keys: key 5 is outside the prompt (5 tokens)");
    assert_int_equal(c.n_value, 0);
    close_model(&o);
}

/* One token: no previous token, no prediction, no repetition; everything else has a value. */
static void test_single_token(void **state)
{
    (void)state;
    opened o = lantern(1);
    collected c = {0};
    assert_int_equal(run_analysis(&c, &o, short_ids, 1, metric_defaults, NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, LAYERS * HEADS * 5);
    near(value_of(&c, "sink", 2, 5, 0), 1, 1e-7, "alpha of the only key");
    near(value_of(&c, "distance", 2, 5, NO_INDEX), 0, 0, "distance");
    collected_free(&c);
    close_model(&o);
}

/* A sink that fails stops the run with its own code, and the runtime works afterwards. */
static void test_sink_failure_stops_the_run(void **state)
{
    (void)state;
    opened o = lantern(2);
    static const int stops[] = {1, 100, LAYERS * HEADS + 3};
    for (int i = 0; i < 3; i++) {
        collected c = {.stop_at = stops[i]};
        assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, i < 2 ? metric_defaults : "max,nll", NULL,
                                      NULL, 0, 0),
                         ERR_FAILED);
        assert_string_equal(c.e.msg, "refused");
        assert_int_equal(c.n_value, stops[i] - 1);
        collected_free(&c);
    }
    collected c = {0};
    assert_int_equal(run_analysis(&c, &o, short_ids, N_SHORT, "max", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, LAYERS * HEADS);
    collected_free(&c);
    close_model(&o);
}

/* Whichever allocation fails, the run ends with that error and the runtime works afterwards. */
static void test_no_memory(void **state)
{
    (void)state;
    const head_id maps[] = {{ATTN_SELF, 1, 3}, {ATTN_SELF, 3, 0}};
    opened o = lantern(1);
    collected c = {0};
    int failures = 0, r = ERR_RESOURCE;
    for (long nth = 1; r != 0 && nth < 500; nth++) {
        /* The collecting test code allocates by itself; parameters take the first few. */
        const metric *list[] = {metric_find("sink"), metric_find("induction"), metric_find("entropy"),
                                metric_find("nll")};
        params *p;
        err e = {0};
        assert_int_equal(params_new(&p, &e), 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(params_use(p, list[i]->params, &e), 0);
        analysis_request req = {.metrics = list, .n_metric = 4, .p = p, .maps = maps, .n_map = 2, .map_limit = 5};
        result_sink sink = {collect_value, collect_map, &c};
        collected_free(&c);
        mem_fail_at(nth);
        r = analyse(o.r, o.m, &(model_input){.ids = short_ids, .n = N_SHORT}, &req, &sink, NULL, &e);
        mem_fail_at(0);
        if (r != 0) {
            assert_int_equal(r, ERR_RESOURCE);
            failures++;
        }
        params_free(p);
    }
    assert_in_range(failures, 10, 498);
    assert_int_equal(c.n_value, LAYERS * HEADS * 2 + N_SHORT - 1);
    assert_int_equal(c.n_map, 2);
    collected_free(&c);
    close_model(&o);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_order_of_values),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_company_does_not_matter),
        cmocka_unit_test(test_full_map),
        cmocka_unit_test(test_pooled_map_is_the_mean_of_visible_cells),
        cmocka_unit_test(test_maps_without_metrics),
        cmocka_unit_test(test_heads_out_of_range),
        cmocka_unit_test(test_bad_prompts),
        cmocka_unit_test(test_single_token),
        cmocka_unit_test(test_sink_failure_stops_the_run),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("analyse", tests, NULL, NULL);
}
