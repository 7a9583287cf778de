/* Metrics that are fed by rows and tiles on whole models: equal to second implementations on the attention maps of the same
 * run, for causal, windowed, two-sided, cross and image attention and with learned sinks. */
#include "tests/model_run.h"
#include "tests/tile_expect.h"
#include <glob.h>
#include "analysis/reference.h"

/* A map as a dense matrix: cells that no query sees are NaN there. */
static dense dense_of_map(const result_map *map, bool sinks)
{
    dense d = dense_new_rectangle(map->n_query, map->n_key);
    if (sinks)
        assert_non_null(d.sink = calloc((size_t)d.n, sizeof(float)));
    for (int64_t i = 0; i < d.n; i++) {
        const float *row = map->cells + i * d.n_key;
        int64_t lo = 0, hi = d.n_key;
        double sum = 0;
        while (lo < hi && isnan(row[lo]))
            lo++;
        while (hi > lo && isnan(row[hi - 1]))
            hi--;
        for (int64_t k = lo; k < hi; k++) {
            d.a[i * d.n_key + k] = row[k];
            sum += (double)row[k];
        }
        d.lo[i] = lo;
        d.hi[i] = hi;
        if (sinks)
            d.sink[i] = (float)(1 - sum);
    }
    return d;
}

static double expected_pixels(const dense *d, const stack *s, const model_input *in)
{
    int64_t columns = in->width / s->embed.patch, front = s->embed.n_prefix + s->embed.n_register;
    double sum = 0;
    for (int64_t i = front; i < d->n; i++)
        for (int64_t k = front; k < d->n; k++) {
            double dx = (double)((i - front) % columns - (k - front) % columns);
            double dy = (double)((i - front) / columns - (k - front) / columns);
            sum += weight_of(d, i, k) * s->embed.patch * sqrt(dx * dx + dy * dy);
        }
    return sum / (double)(d->n - front);
}

/* The values of one head, in order. */
static int64_t values_of(result_value *out, const collected *c, const result_map *head)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n_value; i++) {
        const result_value *v = &c->value[i];
        if (v->kind != head->kind || v->layer != head->layer || v->head != head->head)
            continue;
        assert_true(n < 512);
        out[n++] = *v;
    }
    return n;
}

static int all_heads(head_id *heads, const model *m, const model_input *in)
{
    input_lengths len;
    err e = {0};
    int n = 0;
    assert_int_equal(input_measure(&len, m, in, &e), 0);
    for (int kind = 0; kind <= ATTN_VISION; kind++) {
        const stack *s = model_stack(m, (attn_kind)kind);
        for (int l = 0; s && input_queries(&len, m, (attn_kind)kind) > 0 && l < s->n_run; l++) {
            const attention_block *b = model_attention(m, (attn_kind)kind, l);
            for (int h = 0; b && h < b->plan.n_head && n < 64; h++)
                heads[n++] = (head_id){(attn_kind)kind, l, h};
        }
    }
    return n;
}

static int compare_case(const opened *o, const model_input *in, const collected *maps, const tile_case *t, const char *file)
{
    static expected x;
    result_value values[512];
    const metric *m = metric_find(t->metric);
    collected c = {0};
    char first[64], second[64] = "";
    const char *cut_at = t->set ? strchr(t->set, '\n') : NULL;
    snprintf(first, sizeof(first), "%.*s", t->set ? (int)strcspn(t->set, "\n") : 0, t->set ? t->set : "");
    snprintf(second, sizeof(second), "%s", cut_at ? cut_at + 1 : "");
    const char *const settings[] = {first, cut_at ? second : NULL, NULL};
    int n = 0;
    if (run_analysis_of(&c, o, in, t->metric, t->set ? settings : NULL, NULL, 0, 0))
        fail_msg("%s, %s: %s", file, t->metric, c.e.msg);
    for (int i = 0; i < maps->n_map; i++) {
        const result_map *map = &maps->map[i];
        if (!(m->kinds & 1u << map->kind) || map->n_key > 500)
            continue;
        char where[300];
        dense d = dense_of_map(map, model_attention(o->m, map->kind, map->layer)->sinks != NULL);
        snprintf(where, sizeof(where), "%.200s, %s, kind %d, L%dH%d", file, t->set ? t->set : "", (int)map->kind, map->layer,
                 map->head);
        expect_case(&x, t->what, &d);
        n += (int)x.n;
        assert_expected(t->metric, where, values, values_of(values, &c, map), &x, t->near_only ? 1e-5 : 1e-6);
        dense_free(&d);
    }
    collected_free(&c);
    return n;
}

static int compare_pixels(const opened *o, const model_input *in, const collected *maps, const char *file)
{
    const stack *s = model_stack(o->m, ATTN_VISION);
    collected c = {0};
    int n = 0;
    if (!s || !in->pixels)
        return 0;
    if (run_analysis_of(&c, o, in, "patch_distance", NULL, NULL, 0, 0))
        fail_msg("%s: %s", file, c.e.msg);
    for (int i = 0; i < maps->n_map; i++) {
        const result_map *map = &maps->map[i];
        if (map->kind != ATTN_VISION)
            continue;
        dense d = dense_of_map(map, false);
        double ours = NAN, theirs = expected_pixels(&d, s, in);
        for (int64_t v = 0; v < c.n_value; v++)
            if (c.value[v].layer == map->layer && c.value[v].head == map->head)
                ours = c.value[v].value;
        if (!(fabs(ours - theirs) <= 1e-6 * (1 + theirs)))
            fail_msg("%s: patch_distance of L%dH%d %g, expected %g", file, map->layer, map->head, ours, theirs);
        dense_free(&d);
        n++;
    }
    collected_free(&c);
    return n;
}

static int compare_input(const opened *o, const model_input *in, const char *file)
{
    head_id heads[64];
    collected maps = {0};
    int n_head = all_heads(heads, o->m, in), n = 0;
    if (run_analysis_of(&maps, o, in, "max", NULL, heads, n_head, 0))
        fail_msg("%s: %s", file, maps.e.msg);
    assert_int_equal(maps.n_map, n_head);
    for (int i = 0; i < N_TILE_CASE; i++)
        n += compare_case(o, in, &maps, &tile_cases[i], file);
    n += compare_pixels(o, in, &maps, file);
    collected_free(&maps);
    return n;
}

static void test_bundled_model(void **state)
{
    (void)state;
    path_text path;
    enum { N = 45 };
    int32_t ids[N];
    uint32_t x = 7;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 2);
    for (int i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = i ? (int32_t)(2 + (x >> 8) % 2046) : 0;
    }
    fprintf(stderr, "# lantern-3m: %d values\n", compare_input(&o, &(model_input){.ids = ids, .n = N}, "lantern-3m"));
    assert_true(compare_input(&o, &(model_input){.ids = ids, .n = 1}, "one token") > 0);
    close_model(&o);
}

/* Every reference of a family, lone tokens included. */
static void compare_family(const char *name)
{
    char folder[64], pattern[1100];
    path_text path;
    glob_t found;
    int n = 0;
    snprintf(folder, sizeof(folder), "golden/%s", name);
    shared_path(path, folder);
    snprintf(pattern, sizeof(pattern), "%s/ref-*.npz", path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    opened o = open_model(path, 2);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        reference_input in;
        err e = {0};
        if (reference_input_open(&in, o.m, found.gl_pathv[i], &e))
            fail_msg("%s", e.msg);
        if (in.in.n <= 130)
            n += compare_input(&o, &in.in, found.gl_pathv[i]);
        reference_input_free(&in);
    }
    fprintf(stderr, "# %s: %zu files, %d values\n", name, found.gl_pathc, n);
    assert_true(n > 500);
    globfree(&found);
    close_model(&o);
}

static void test_learned_sinks_and_windows(void **state)
{
    (void)state;
    compare_family("gpt_oss");
    compare_family("mistral");
}

static void test_two_sided(void **state)
{
    (void)state;
    compare_family("bert");
    compare_family("modernbert");
}

static void test_cross(void **state)
{
    (void)state;
    compare_family("t5");
    compare_family("bart");
}

static void test_images(void **state)
{
    (void)state;
    compare_family("vit");
    compare_family("deit");
    compare_family("dinov2-registers");
    compare_family("llava");
}

/* learned_sink and row_mass of a model with learned sinks, and nothing of one without. */
static void test_learned_sink_and_row_mass_add_up(void **state)
{
    (void)state;
    path_text path, file;
    reference_input in;
    collected c = {0};
    err e = {0};
    shared_path(path, "golden/gpt_oss");
    shared_path(file, "golden/gpt_oss/ref-17.npz");
    opened o = open_model(path, 2);
    assert_int_equal(reference_input_open(&in, o.m, file, &e), 0);
    assert_int_equal(run_analysis_of(&c, &o, &in.in, "learned_sink,row_mass", NULL, NULL, 0, 0), 0);
    assert_true(c.n_value > 0 && c.n_value % 2 == 0);
    for (int64_t i = 0; i < c.n_value; i += 2)
        assert_true(fabs(c.value[i].value + c.value[i + 1].value - 1) < 1e-6 && c.value[i].value > 0);
    collected_free(&c);
    reference_input_free(&in);
    close_model(&o);
    source_path(path, "examples/models/lantern-3m");
    o = open_model(path, 1);
    assert_false(metric_applies(metric_find("learned_sink"), o.m, ATTN_SELF));
    assert_false(metric_applies(metric_find("next_token"), o.m, ATTN_SELF));
    assert_true(metric_applies(metric_find("received"), o.m, ATTN_SELF));
    close_model(&o);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundled_model),
        cmocka_unit_test(test_learned_sinks_and_windows),
        cmocka_unit_test(test_two_sided),
        cmocka_unit_test(test_cross),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_learned_sink_and_row_mass_add_up),
    };
    return cmocka_run_group_tests_name("tile metrics of models", tests, NULL, NULL);
}
