/* Attention followed through the layers: rollout and flow against dense matrices, graphs solved by hand, another
 * algorithm. */
#include "tests/model_run.h"

#include "analysis/max_flow.h"
#include "analysis/rollout.h"
#include "base/rng.h"
#include "tests/tiny_model.h"

/* cmocka's own compares as float. */
#define assert_near(a, b, room) \
    do { \
        double a_ = (double)(a), b_ = (double)(b); \
        if (!(fabs(a_ - b_) <= (room))) \
            fail_msg("%.17g is not %.17g", a_, b_); \
    } while (0)

/* ---- maximum flow ---- */

static double flow_of(int n_layer, int64_t n, const float *const *layers, int64_t source, int64_t sink)
{
    const layered_graph g = {n_layer, n, layers};
    double out;
    err e = {0};
    assert_int_equal(max_flow(&out, &g, source, sink, &e), 0);
    return out;
}

static void test_flow_by_hand(void **state)
{
    (void)state;
    /* One layer: the edge itself.  Two: the sum over the middle of the smaller of both. */
    const float a[] = {0.5f, 0.25f, 0.5f, 0.75f}, b[] = {0.25f, 0.75f, 0.125f, 1};
    const float *const one[] = {a}, *const two[] = {a, b};
    assert_near(flow_of(1, 2, one, 1, 0), 0.5, 1e-12);
    assert_near(flow_of(2, 2, two, 0, 0), 0.25 + 0.5, 1e-12);
    assert_near(flow_of(2, 2, two, 1, 1), 0.125 + 0.75, 1e-12);
    /* The first path found must give way: all flow of the top can only pass if node 0 does not take node 1's way. */
    const float down[] = {1, 0, 0, 1, 0, 0, 0, 0, 0};   /* 0 -> 0, 1 -> 0 at the bottom: the sink 0 */
    const float cross[] = {1, 1, 0, 1, 0, 0, 0, 0, 0};  /* middle 0 -> 0 or 1, middle 1 -> 0 */
    const float top[] = {1, 1, 0, 0, 0, 0, 0, 0, 0};    /* source 0 -> both */
    const float *const three[] = {down, cross, top};
    assert_near(flow_of(3, 3, three, 0, 0), 2, 1e-12);
    const float nothing[4] = {0};
    const float *const cut[] = {a, nothing};
    assert_near(flow_of(2, 2, cut, 0, 0), 0, 0);
}

/* Shortest augmenting paths on an adjacency matrix (Edmonds and Karp). */
static double edmonds_karp(int n_layer, int n, const float *const *layers, int source, int sink)
{
    int nodes = (n_layer + 1) * n, from[64], queue[64];
    double room[64][64] = {{0}}, sum = 0;
    assert_in_range(nodes, 1, 64);
    for (int l = 0; l < n_layer; l++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                room[(l + 1) * n + i][l * n + j] = (double)layers[l][i * n + j];
    for (source += n_layer * n;;) {
        int head = 0, tail = 1;
        for (int i = 0; i < nodes; i++)
            from[i] = -1;
        from[source] = source;
        queue[0] = source;
        while (head < tail && from[sink] < 0) {
            int at = queue[head++];
            for (int i = 0; i < nodes; i++)
                if (from[i] < 0 && room[at][i] > 1e-12) {
                    from[i] = at;
                    queue[tail++] = i;
                }
        }
        if (from[sink] < 0)
            return sum;
        double least = 1e9;
        for (int i = sink; i != source; i = from[i])
            least = room[from[i]][i] < least ? room[from[i]][i] : least;
        for (int i = sink; i != source; i = from[i]) {
            room[from[i]][i] -= least;
            room[i][from[i]] += least;
        }
        sum += least;
    }
}

static void test_flow_on_random_graphs(void **state)
{
    (void)state;
    rng r;
    rng_seed(&r, 5, 0);
    for (int round = 0; round < 60; round++) {
        int n_layer = 1 + (int)rng_below(&r, 5), n = 2 + (int)rng_below(&r, 7);
        float cells[5][64];
        const float *layers[5];
        for (int l = 0; l < n_layer; l++) {
            for (int i = 0; i < n * n; i++)
                cells[l][i] = rng_uniform(&r) < 0.4 ? 0 : (float)rng_uniform(&r);
            layers[l] = cells[l];
        }
        for (int sink = 0; sink < n; sink++)
            assert_near(flow_of(n_layer, n, layers, round % n, sink), edmonds_karp(n_layer, n, layers, round % n, sink),
                        1e-9);
    }
}

/* ---- models ---- */

enum { MOST = 8, LAYERS = 4 };

/* B_l of a stack from the maps of all its heads. */
typedef struct dense_layers {
    int n_layer;
    int64_t n;
    double b[LAYERS][MOST * MOST], uniform[LAYERS][MOST * MOST];
} dense_layers;

static void dense_of(dense_layers *d, const collected *c, attn_kind kind, bool residual)
{
    *d = (dense_layers){0};
    for (int i = 0; i < c->n_map; i++) {
        const result_map *m = &c->map[i];
        if (m->kind != kind)
            continue;
        d->n = m->n_query;
        assert_in_range(d->n, 1, MOST);
        d->n_layer = m->layer + 1 > d->n_layer ? m->layer + 1 : d->n_layer;
        for (int64_t k = 0; k < d->n * d->n; k++) {
            bool seen = !isnan(m->cells[k]);
            d->b[m->layer][k] += seen ? (double)m->cells[k] / TINY_HEADS : 0;
            d->uniform[m->layer][k] = seen;
        }
    }
    for (int l = 0; l < d->n_layer; l++)
        for (int64_t i = 0; i < d->n; i++)
            for (int side = 0; side < 2; side++) {
                double *row = (side ? d->uniform[l] : d->b[l]) + i * d->n, sum = 0;
                for (int64_t k = 0; k < d->n; k++)
                    sum += row[k];
                for (int64_t k = 0; k < d->n; k++)
                    row[k] = residual ? (row[k] / sum + (k == i)) / 2 : row[k] / sum;
            }
}

static void roll_down(double *r, const double *b, int64_t n)
{
    double y[MOST] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            y[k] += r[i] * b[i * n + k];
    memcpy(r, y, (size_t)n * sizeof *r);
}

/* Every head of all stacks as a map. */
static int all_heads(head_id *out, const model *m)
{
    const stack *stacks[MODEL_MAX_STACKS];
    int n = 0, n_stack = model_stacks(m, stacks);
    for (int s = 0; s < n_stack; s++)
        for (int l = 0; l < stacks[s]->n_run; l++)
            for (int h = 0; h < TINY_HEADS; h++)
                out[n++] = (head_id){stacks[s]->kind, l, h};
    return n;
}

static double rolled(const collected *c, const char *name, attn_kind kind, int layer, int64_t position, bool *there)
{
    *there = false;
    for (int64_t i = 0; i < c->n_value; i++) {
        const result_value *v = &c->value[i];
        if (v->kind == kind && v->layer == layer && v->position == position && strcmp(v->metric, name) == 0) {
            *there = true;
            return v->value;
        }
    }
    return 0;
}

/* Rollout of one kind against products of dense matrices; positions[] are those averaged over, -1 ends. */
static void check_rollout(const collected *c, attn_kind kind, const int *positions, bool residual, bool all, bool relative)
{
    dense_layers d;
    double r[MOST] = {0}, u[MOST] = {0};
    int n = 0;
    bool there;
    dense_of(&d, c, kind, residual);
    while (positions[n] >= 0)
        n++;
    for (int i = 0; i < n; i++)
        r[positions[i]] = u[positions[i]] = 1.0 / n;
    for (int l = d.n_layer - 1; l >= 0; l--) {
        roll_down(r, d.b[l], d.n);
        roll_down(u, d.uniform[l], d.n);
        for (int64_t k = 0; k < d.n; k++) {
            double x = rolled(c, "rollout", kind, l, k, &there);
            assert_int_equal(there, (all || l == 0) && u[k] > 0);
            if (there)
                assert_near(x, relative ? r[k] / u[k] : r[k], 1e-5);
        }
    }
}

static void test_rollout_is_the_dense_product(void **state)
{
    (void)state;
    static const struct { tiny_kind kind; attn_kind stack; int at; } models[] = {
        {TINY_DECODER, ATTN_SELF, 6}, {TINY_ENCODER, ATTN_ENCODER, 0}, {TINY_TOWER, ATTN_VISION, 0},
        {TINY_TRANSLATOR, ATTN_SELF, 6}, {TINY_TRANSLATOR, ATTN_ENCODER, 0},
    };
    static const char *const plain[] = {"rollout-layers=true", NULL}, *const raw[] = {"rollout-residual=false", NULL};
    static const char *const ratio[] = {"rollout-relative=true", "rollout-output=2,-3", NULL};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int window = 0; window < 2; window++) {
            tiny_model t;
            head_id heads[32];
            collected c = {0};
            err e = {0};
            opened o = {0};
            tiny_new(&t, models[i].kind);
            for (int l = 0; l < 2 && window; l++)
                t.layers[0][l].self.plan.window = 3;
            o.m = &t.m;
            assert_int_equal(runtime_new(&o.r, &t.m, 2, PRECISION_F32, &e), 0);
            model_input in = tiny_input(&t, 7, 5);
            int n = all_heads(heads, &t.m);
            const int at[] = {models[i].stack == ATTN_ENCODER && models[i].kind == TINY_TRANSLATOR ? 0 : models[i].at, -1};
            assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", plain, heads, n, 0), 0);
            check_rollout(&c, models[i].stack, at, true, true, false);
            collected_free(&c);
            assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", raw, heads, n, 0), 0);
            check_rollout(&c, models[i].stack, at, false, false, false);
            collected_free(&c);
            if (models[i].kind != TINY_TRANSLATOR) {
                const int both[] = {2, 4, -1};
                assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", ratio, heads, n, 0), 0);
                check_rollout(&c, models[i].stack, both, true, false, true);
                collected_free(&c);
            }
            runtime_free(o.r);
            tiny_free(&t);
        }
}

/* A learned sink takes a part of every row: rows are divided by what is left. */
static void test_rollout_with_a_learned_sink(void **state)
{
    (void)state;
    static const float sinks[TINY_HEADS] = {0.5f, -1};
    static const char *const all[] = {"rollout-output=all", NULL};
    tiny_model t;
    head_id heads[32];
    collected c = {0};
    err e = {0};
    opened o = {0};
    double b[2][MOST * MOST] = {{0}}, r[MOST], least = 2;
    bool there;
    enum { N = 6 };
    tiny_new(&t, TINY_DECODER);
    for (int l = 0; l < 2; l++)
        t.layers[0][l].self.sinks = sinks;
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 2, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, N, 0);
    assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", all, heads, all_heads(heads, &t.m), 0), 0);
    for (int i = 0; i < c.n_map; i++)
        for (int k = 0; k < N * N; k++)
            b[c.map[i].layer][k] += isnan(c.map[i].cells[k]) ? 0 : (double)c.map[i].cells[k] / TINY_HEADS;
    for (int i = 0; i < N; i++)
        r[i] = 1.0 / N;
    for (int l = 1; l >= 0; l--) {
        for (int i = 0; i < N; i++) {
            double sum = 1;
            b[l][i * N + i] += 1;
            for (int k = 0; k < N; k++)
                sum += b[l][i * N + k] - (k == i);
            for (int k = 0; k < N; k++)
                b[l][i * N + k] /= sum;
            least = sum < least ? sum : least;
        }
        roll_down(r, b[l], N);
    }
    assert_true(least < 1.9); /* it does take something */
    for (int k = 0; k < N; k++)
        assert_near(rolled(&c, "rollout", ATTN_SELF, 0, k, &there), r[k], 1e-5);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_flow_is_that_of_the_dense_graph(void **state)
{
    (void)state;
    static const tiny_kind kinds[] = {TINY_DECODER, TINY_ENCODER, TINY_TOWER};
    static const char *const settings[] = {"flow-output=3", "flow-normalise=false", NULL};
    static const char *const shares[] = {"flow-output=3", NULL};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_model t;
        head_id heads[32];
        collected c = {0}, share = {0};
        dense_layers d;
        err e = {0};
        opened o = {0};
        float cells[LAYERS][MOST * MOST];
        const float *layers[LAYERS];
        double flows[MOST], sum = 0;
        bool there;
        tiny_new(&t, kinds[i]);
        o.m = &t.m;
        assert_int_equal(runtime_new(&o.r, &t.m, 3, PRECISION_F32, &e), 0);
        model_input in = tiny_input(&t, 7, 0);
        assert_int_equal(run_analysis_of(&c, &o, &in, "flow", settings, heads, all_heads(heads, &t.m), 0), 0);
        assert_int_equal(run_analysis_of(&share, &o, &in, "flow", shares, NULL, 0, 0), 0);
        dense_of(&d, &c, t.m.main->kind, true);
        for (int l = 0; l < d.n_layer; l++) {
            for (int64_t k = 0; k < d.n * d.n; k++)
                cells[l][k] = (float)d.b[l][k];
            layers[l] = cells[l];
        }
        for (int k = 0; k < (int)d.n; k++)
            sum += flows[k] = edmonds_karp(d.n_layer, (int)d.n, layers, 3, k);
        for (int k = 0; k < (int)d.n; k++) {
            assert_near(rolled(&c, "flow", t.m.main->kind, 0, k, &there), flows[k], 1e-5);
            assert_true(there);
            assert_near(rolled(&share, "flow", t.m.main->kind, 0, k, &there), flows[k] / sum, 1e-5);
        }
        collected_free(&c);
        collected_free(&share);
        runtime_free(o.r);
        tiny_free(&t);
    }
}

/* Uniform causal attention over two layers without residual, by hand: to position 0 from 2: (1 + 1/2 + 1/3) / 3. */
static void test_uniform_heads_by_hand(void **state)
{
    (void)state;
    static const char *const raw[] = {"rollout-residual=false", NULL}, *const ratio[] = {"rollout-relative=true", NULL};
    tiny_model t;
    collected c = {0};
    err e = {0};
    opened o = {0};
    tiny_new(&t, TINY_DECODER);
    for (int l = 0; l < 2; l++)
        memset((void *)(uintptr_t)t.layers[0][l].self.q.data, 0, sizeof(float) * TINY_WIDTH * TINY_WIDTH);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 3, 0);
    assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", raw, NULL, 0, 0), 0);
    assert_near(value_of(&c, "rollout", 0, NO_INDEX, 0), (1 + 1.0 / 2 + 1.0 / 3) / 3, 1e-6);
    assert_near(value_of(&c, "rollout", 0, NO_INDEX, 1), (1.0 / 2 + 1.0 / 3) / 3, 1e-6);
    assert_near(value_of(&c, "rollout", 0, NO_INDEX, 2), 1.0 / 9, 1e-6);
    collected_free(&c);
    assert_int_equal(run_analysis_of(&c, &o, &in, "rollout", ratio, NULL, 0, 0), 0);
    for (int k = 0; k < 3; k++)
        assert_near(value_of(&c, "rollout", 0, NO_INDEX, k), 1, 1e-6);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    path_text path;
    int32_t ids[150];
    collected c[2] = {0};
    source_path(path, "examples/models/lantern-3m");
    for (int i = 0; i < 150; i++)
        ids[i] = 2 + i * 37 % 2000;
    for (int k = 0; k < 2; k++) {
        opened o = open_model(path, k ? 3 : 1);
        assert_int_equal(run_analysis(&c[k], &o, ids, 150, "flow,rollout", NULL, NULL, 0, 0), 0);
        close_model(&o);
    }
    double sum[2] = {0};
    assert_int_equal(c[0].n_value, 300);
    for (int64_t i = 0; i < c[0].n_value; i++) {
        assert_true(c[0].value[i].value == c[1].value[i].value);
        sum[strcmp(c[0].value[i].metric, "flow") == 0] += c[0].value[i].value;
    }
    assert_near(sum[0], 1, 1e-5);
    assert_near(sum[1], 1, 1e-9);
    collected_free(&c[0]);
    collected_free(&c[1]);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *name, *setting, *message; } bad[] = {
        {"flow", "flow-limit=5", "flow goes up to 5 tokens, the prompt has 7"},
        {"flow", "flow-output=7", "flow-output: position 7 is outside the prompt (7 tokens)"},
        {"rollout", "rollout-output=-8", "rollout-output: position -8 is outside the prompt (7 tokens)"},
        {"rollout", "rollout-output=last", "rollout-output: 'last' is not a position"},
    };
    tiny_model t;
    err e = {0};
    opened o = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 7, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const settings[] = {bad[i].setting, NULL};
        collected c = {0};
        assert_int_equal(run_analysis_of(&c, &o, &in, bad[i].name, settings, NULL, 0, 0), ERR_USAGE);
        assert_string_equal(c.e.msg, bad[i].message);
        assert_true(c.e.hint[0]);
        collected_free(&c);
    }
    t.layers[0][0].delta = (delta_net *)(uintptr_t)&t; /* a layer that mixes by other means */
    assert_false(metric_applies(metric_find("rollout"), &t.m, ATTN_SELF));
    assert_false(metric_applies(metric_find("flow"), &t.m, ATTN_SELF));
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_no_memory_leaves_nothing(void **state)
{
    (void)state;
    tiny_model t;
    err e = {0};
    opened o = {0};
    int failures = 0, rc = ERR_RESOURCE;
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    const metric *list[] = {metric_find("flow"), metric_find("rollout")};
    enum { N = sizeof list / sizeof *list };
    params *p;
    assert_int_equal(params_new(&p, &e), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(params_use(p, list[i]->params, &e), 0);
    const analysis_request req = {.metrics = list, .n_metric = N, .p = p};
    for (long nth = 1; rc != 0 && nth < 2000; nth++) {
        collected c = {0};
        const result_sink sink = {collect_value, collect_map, &c};
        mem_fail_at(nth);
        rc = analyse(o.r, o.m, &in, &req, &sink, NULL, &e);
        mem_fail_at(0);
        collected_free(&c);
        failures += rc != 0;
        assert_true(rc == 0 || rc == ERR_RESOURCE);
    }
    assert_int_equal(rc, 0);
    assert_in_range(failures, 10, 1998);
    params_free(p);
    runtime_free(o.r);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow_by_hand),
        cmocka_unit_test(test_flow_on_random_graphs),
        cmocka_unit_test(test_rollout_is_the_dense_product),
        cmocka_unit_test(test_rollout_with_a_learned_sink),
        cmocka_unit_test(test_flow_is_that_of_the_dense_graph),
        cmocka_unit_test(test_uniform_heads_by_hand),
        cmocka_unit_test(test_bits_do_not_depend_on_threads),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
