/* Metrics that compare heads and layers: against straightforward forms in double of the maps of the same run, against
 * identities, and against reference files. */
#include "tests/model_run.h"
#include <glob.h>
#include "analysis/linalg.h"
#include "analysis/reference.h"
#include "base/json.h"
#include "tests/dense_maps.h"
#include "tests/tiny_model.h"

typedef struct form { bool bits, first_row, first_key; int root; double smoothing; } form;

/* Clark's smoothing is over the keys that a query sees: all whose map is a number, here those up to `seen`. */
static double dense_jsd(const maps *m, int a, int b, const form *f, const int64_t *lo, const int64_t *hi)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t q = f->first_row; q < m->rows; q++, n++) {
        double row = 0, left_p = 1, left_q = 1;
        for (int64_t k = lo[q]; k < hi[q]; k++) {
            double p = m->p[a][q * m->cols + k], r = m->p[b][q * m->cols + k], w = f->smoothing;
            p = (1 - w) * p + w / (double)(hi[q] - lo[q]);
            r = (1 - w) * r + w / (double)(hi[q] - lo[q]);
            left_p -= p;
            left_q -= r;
            if (k > 0 || !f->first_key)
                row += term(p, r);
        }
        row += term(left_p > 1e-6 ? left_p : 0, left_q > 1e-6 ? left_q : 0);
        row = (row > 0 ? row : 0) / (f->bits ? M_LN2 : 1);
        sum += f->root == 2 ? sqrt(row) : row;
    }
    sum /= (double)n;
    return f->root == 1 ? sqrt(sum) : sum;
}

static double dense_cosine(const maps *m, int a, int b, bool first_row, bool first_key)
{
    double sum = 0;
    for (int64_t q = first_row; q < m->rows; q++) {
        double aa = 0, bb = 0, ab = 0;
        for (int64_t k = first_key; k < m->cols; k++) {
            double x = m->p[a][q * m->cols + k], y = m->p[b][q * m->cols + k];
            aa += x * x;
            bb += y * y;
            ab += x * y;
        }
        sum += aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
    }
    return sum / (double)(m->rows - first_row);
}

static double dense_adl(const maps *m, int layer, double factor)
{
    double *mean = calloc((size_t)(m->rows * m->cols), sizeof *mean), *all = calloc((size_t)m->cols, sizeof *all);
    double least = factor / (double)m->cols, sum = 0, length = 0;
    int heads = 0;
    for (int h = 0; h < m->n; h++)
        heads += m->layer[h] == layer;
    for (int h = 0; h < m->n; h++)
        for (int64_t i = 0; i < m->rows * m->cols && m->layer[h] == layer; i++)
            mean[i] += m->p[h][i] / heads;
    for (int64_t k = 0; k < m->cols; k++) {
        for (int64_t q = 0; q < m->rows; q++)
            all[k] += mean[q * m->cols + k] / (double)m->rows;
        all[k] = all[k] > least ? all[k] : 0;
        length += all[k] * all[k];
    }
    for (int64_t q = 0; q < m->rows; q++) {
        double dot = 0, own = 0;
        for (int64_t k = 0; k < m->cols; k++) {
            double w = mean[q * m->cols + k];
            w = w > least ? w : 0;
            dot += w * all[k];
            own += w * w;
        }
        sum += own > 0 && length > 0 ? dot / sqrt(own * length) : 0;
    }
    free(mean);
    free(all);
    return sum / (double)m->rows;
}

static double dense_layers(const maps *m, int a, int b, bool first_row, bool first_key)
{
    double aa = 0, bb = 0, ab = 0;
    for (int h = 0; h < m->n; h++)
        for (int o = 0; o < m->n && m->layer[h] == a; o++)
            for (int64_t q = first_row; q < m->rows && m->layer[o] == b && m->head[o] == m->head[h]; q++)
                for (int64_t k = first_key; k < m->cols; k++) {
                    double x = m->p[h][q * m->cols + k], y = m->p[o][q * m->cols + k];
                    aa += x * x;
                    bb += y * y;
                    ab += x * y;
                }
    return ab / sqrt(aa * bb);
}

static double value_at(const collected *c, attn_kind kind, const char *name, int layer, int head, int64_t position)
{
    double found = NAN;
    for (int64_t i = 0; i < c->n_value; i++) {
        const result_value *v = &c->value[i];
        if (v->kind == kind && v->layer == layer && v->head == head && v->position == position && !strcmp(v->metric, name)) {
            assert_true(isnan(found));
            found = v->value;
        }
    }
    if (isnan(found))
        fail_msg("no %s of layer %d, head %d at %d", name, layer, head, (int)position);
    return found;
}

/* What the queries of an attention see. */
static void visible(const attn_plan *p, const maps *m, int64_t *lo, int64_t *hi)
{
    for (int64_t q = 0; q < m->rows; q++) {
        hi[q] = p->causal ? q + 1 : m->cols;
        lo[q] = p->window > 0 && q + 1 > p->window ? q + 1 - p->window : 0;
        if (p->window > 0 && !p->causal && q + p->window < hi[q])
            hi[q] = q + p->window;
    }
}

static void check_pairs(const collected *c, const model *mod, const maps *m, attn_kind kind, const form *f)
{
    int64_t lo[256], hi[256];
    for (int a = 0; a < m->n; a++)
        for (int b = 0; b < m->n; b++) {
            if (a == b)
                continue;
            bool layer = m->layer[a] == m->layer[b];
            visible(&model_attention(mod, kind, m->layer[a])->plan, m, lo, hi);
            double tolerance = f->root ? 3e-4 : 1e-5;
            if (layer) {
                close_to(value_at(c, kind, "jsd", m->layer[a], m->head[a], b), dense_jsd(m, a, b, f, lo, hi), tolerance, "jsd");
                close_to(value_at(c, kind, "row_cosine", m->layer[a], m->head[a], b),
                         dense_cosine(m, a, b, f->first_row, f->first_key), 1e-5, "row_cosine");
            }
            form plain = *f;
            plain.root = f->root == 2 ? 0 : f->root;
            plain.smoothing = 0;
            for (int64_t q = 0; q < m->rows; q++) {
                lo[q] = 0;
                hi[q] = m->cols;
            }
            close_to(value_at(c, kind, "jsd_layers", m->layer[a], m->head[a], b), dense_jsd(m, a, b, &plain, lo, hi),
                     tolerance, "jsd_layers");
        }
}

static void check_layers(const collected *c, const maps *m, attn_kind kind, const form *f)
{
    int layers = m->layer[m->n - 1] + 1;
    for (int a = 0; a < layers; a++) {
        double mean = 0;
        close_to(value_at(c, kind, "adl", a, NO_INDEX, NO_INDEX), dense_adl(m, a, 1.5), 1e-5, "adl");
        for (int b = 0; b < layers && layers > 1; b++) {
            double want = a == b ? 0 : dense_layers(m, a, b, f->first_row, f->first_key);
            mean += want / (layers - 1);
            if (a != b)
                close_to(value_at(c, kind, "layer_similarity", a, NO_INDEX, b), want, 1e-5, "layer_similarity");
        }
        if (layers > 1)
            close_to(value_at(c, kind, "layer_similarity", a, NO_INDEX, NO_INDEX), mean, 1e-5, "distinctness");
    }
}

static void check_ranks(const collected *c, const maps *m, attn_kind kind)
{
    int64_t small = m->rows < m->cols ? m->rows : m->cols;
    double *copy = malloc((size_t)(m->rows * m->cols) * sizeof *copy), *s = malloc((size_t)small * sizeof *s);
    for (int h = 0; h < m->n; h++) {
        err e = {0};
        double two = 0, four = 0;
        memcpy(copy, m->p[h], (size_t)(m->rows * m->cols) * sizeof *copy);
        assert_int_equal(linalg_singular_values(s, copy, m->rows, m->cols, &e), 0);
        for (int64_t i = 0; i < small; i++) {
            two += s[i] * s[i];
            four += s[i] * s[i] * s[i] * s[i];
        }
        double rank = two / (s[0] * s[0]), ratio = two * two / four;
        close_to(value_at(c, kind, "stable_rank", m->layer[h], m->head[h], NO_INDEX), rank, 1e-6 * rank, "stable_rank");
        close_to(value_at(c, kind, "participation", m->layer[h], m->head[h], NO_INDEX), ratio, 1e-5 * ratio, "participation");
    }
    free(copy);
    free(s);
}

static const form forms[] = {
    {0}, {.bits = true, .root = 1}, {.root = 2, .first_row = true}, {.first_key = true}, {.smoothing = .25, .bits = true},
    {.smoothing = .001, .first_key = true, .first_row = true},
};

/* One run of all with the options of a form, held against its own maps. */
static void check_run(opened *o, const model_input *in, const form *f)
{
    static const char *const without[] = {"nothing", "first-row", "first-key", "both"};
    static const char *const roots[] = {"none", "of-mean", "of-rows"};
    const char *out = without[f->first_row + 2 * f->first_key];
    char text[9][64];
    const char *settings[10] = {0};
    head_id heads[MOST];
    int n = 0;
    for (int kind = 0; kind <= ATTN_VISION; kind++)
        for (int l = 0; model_stack(o->m, (attn_kind)kind) && l < model_stack(o->m, (attn_kind)kind)->n_run; l++)
            for (int h = 0; model_attention(o->m, (attn_kind)kind, l) &&
                            h < model_attention(o->m, (attn_kind)kind, l)->plan.n_head; h++)
                heads[n++] = (head_id){(attn_kind)kind, l, h};
    snprintf(text[0], 64, "jsd-unit=%s", f->bits ? "bits" : "nats");
    snprintf(text[1], 64, "jsd-root=%s", roots[f->root]);
    snprintf(text[2], 64, "jsd-leave-out=%s", out);
    snprintf(text[3], 64, "jsd-smoothing=%g", f->smoothing);
    snprintf(text[4], 64, "row-cosine-leave-out=%s", out);
    snprintf(text[5], 64, "layer-similarity-leave-out=%s", out);
    snprintf(text[6], 64, "jsd-layers-leave-out=%s", out);
    snprintf(text[7], 64, "jsd-layers-unit=%s", f->bits ? "bits" : "nats");
    snprintf(text[8], 64, "jsd-layers-root=%s", roots[f->root == 1]);
    for (int i = 0; i < 9; i++)
        settings[i] = text[i];
    collected c = {0}, again = {0};
    static const char names[] = "jsd,jsd_layers,row_cosine,layer_similarity";
    if (run_analysis_of(&c, o, in, names, settings, heads, n, 0))
        fail_msg("%s", c.e.msg);
    collected layers = {0};
    if (run_analysis_of(&layers, o, in, "adl,layer_similarity,stable_rank,participation",
                        (const char *[]){"adl-threshold=1.5", text[5], NULL}, NULL, 0, 0))
        fail_msg("%s", layers.e.msg);
    for (int kind = 0; kind <= ATTN_VISION; kind++) {
        maps m = maps_of(&c, (attn_kind)kind);
        if (m.n > 0) {
            check_pairs(&c, o->m, &m, (attn_kind)kind, f);
            check_layers(&layers, &m, (attn_kind)kind, f);
            check_ranks(&layers, &m, (attn_kind)kind);
        }
        maps_free(&m);
    }
    /* The same bits on any number of threads. */
    for (int threads = 1; threads <= 4; threads += 2) {
        opened other = {.m = o->m};
        assert_int_equal(runtime_new(&other.r, o->m, threads, PRECISION_F32, NULL), 0);
        assert_int_equal(run_analysis_of(&again, &other, in, names, settings, NULL, 0, 0), 0);
        assert_int_equal(again.n_value, c.n_value);
        for (int64_t i = 0; i < c.n_value; i++)
            assert_true(again.value[i].value == c.value[i].value && again.value[i].position == c.value[i].position);
        collected_free(&again);
        runtime_free(other.r);
    }
    collected_free(&c);
    collected_free(&layers);
}

static void test_tiny(void **state)
{
    static float sinks[TINY_HEADS] = {.7f, -.2f};
    (void)state;
    for (int kind = TINY_DECODER; kind <= TINY_LLAVA; kind++)
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            tiny_model t;
            opened o = {.m = &t.m};
            tiny_new(&t, (tiny_kind)kind);
            if (kind == TINY_DECODER && f % 2) { /* rows that do not sum to 1, layers that see other keys */
                t.layers[0][0].self.sinks = sinks;
                t.layers[0][0].self.plan.sinks = true;
                t.layers[0][1].self.plan.window = 7;
            }
            assert_int_equal(runtime_new(&o.r, o.m, 2, PRECISION_F32, NULL), 0);
            model_input in = tiny_input(&t, 23, 17);
            check_run(&o, &in, &forms[f]);
            runtime_free(o.r);
            tiny_free(&t);
        }
}

/* Several blocks, tiles and chunks. */
static void test_lantern(void **state)
{
    path_text path;
    int32_t ids[141];
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 2);
    for (int i = 0; i < 141; i++)
        ids[i] = i * 37 % 900 + 1;
    for (size_t f = 0; f < 3; f++)
        check_run(&o, &(model_input){.ids = ids, .n = 141}, &forms[f]);
    close_model(&o);
}

/* Maps close to uniform, whose singular values lie close together. */
static void test_ranks_of_a_reference_model(void **state)
{
    path_text folder, file;
    reference_input ref = {0};
    collected c = {0};
    head_id heads[MOST];
    err e = {0};
    int n = 0;
    (void)state;
    shared_path(folder, "golden/gpt_oss");
    shared_path(file, "golden/gpt_oss/ref-100.npz");
    opened o = open_model(folder, 2);
    assert_int_equal(reference_input_open(&ref, o.m, file, &e), 0);
    for (int l = 0; l < o.m->main->n_layer; l++)
        for (int h = 0; h < o.m->main->layers[l].self.plan.n_head; h++)
            heads[n++] = (head_id){ATTN_SELF, l, h};
    if (run_analysis_of(&c, &o, &ref.in, "stable_rank,participation", NULL, heads, n, 0))
        fail_msg("%s", c.e.msg);
    maps m = maps_of(&c, ATTN_SELF);
    assert_true(m.n > 0);
    check_ranks(&c, &m, ATTN_SELF);
    maps_free(&m);
    collected_free(&c);
    reference_input_free(&ref);
    close_model(&o);
}

/* Two heads of one layer, fed by hand. */
static double feed_two(const float a[4][4], const float b[4][4], const char *name)
{
    enum { COLUMNS = ATTN_PANEL_COLUMNS };
    static float probs[2][4][COLUMNS];
    static const int of[2] = {0, 0};
    int64_t lo[4] = {0}, hi[4] = {1, 2, 3, 4};
    const int64_t *const low = lo, *const high = hi;
    tiny_model t;
    params *p;
    err e = {0};
    collected c = {0};
    const metric *m = metric_find(name);
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(params_new(&p, &e), 0);
    assert_int_equal(params_use(p, m->params, &e), 0);
    metric_ctx ctx = {.m = m, .p = p, .n = 4, .n_key = 4, .model = &t.m, .kind = ATTN_SELF};
    memset(probs, 0, sizeof probs);
    for (int q = 0; q < 4; q++)
        for (int k = 0; k <= q; k++) {
            probs[0][k][q] = a[q][k];
            probs[1][k][q] = b[q][k];
        }
    if (m->prepare)
        assert_int_equal(m->prepare(&ctx, &e), 0);
    double *own = aligned_alloc(64, (m->panel_size(&ctx, 2) + 63) / 64 * 64);
    memset(own, 0, m->panel_size(&ctx, 2));
    const attn_panels panels = {
        .n_query = 4, .n_key = 4, .n_head = 2, .probs = &probs[0][0][0], .h_stride = 4 * COLUMNS, .k_stride = COLUMNS,
        .visible_lo = &low, .visible_hi = &high, .attention_of = of,
    };
    const result_sink sink = {collect_value, NULL, &c};
    m->panels(own, &ctx, &panels);
    assert_int_equal(m->panel_finish(own, &ctx, 0, 2, &sink, &e), 0);
    if (m->release)
        m->release(&ctx);
    double v = c.value[0].value;
    for (int64_t i = 0; i < c.n_value; i++)
        assert_true(c.value[i].value == v);
    free(own);
    collected_free(&c);
    params_free(p);
    tiny_free(&t);
    return v;
}

static void test_identities(void **state)
{
    static const float uniform[4][4] = {{1}, {.5f, .5f}, {1 / 3.0f, 1 / 3.0f, 1 / 3.0f}, {.25f, .25f, .25f, .25f}};
    static const float self[4][4] = {{1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}};
    static const float sink[4][4] = {{1}, {1}, {1}, {1}}, none[4][4];
    (void)state;
    assert_true(feed_two(uniform, uniform, "jsd") == 0);
    close_to(feed_two(uniform, uniform, "row_cosine"), 1, 1e-6, "row_cosine");
    close_to(feed_two(self, sink, "jsd"), M_LN2 * 3 / 4, 5e-6, "disjoint but for row 0");
    close_to(feed_two(self, sink, "row_cosine"), .25, 1e-6, "row_cosine");
    close_to(feed_two(self, none, "jsd"), M_LN2, 5e-6, "weight against a learned sink");
    assert_true(feed_two(none, none, "jsd") == 0);
    double want = 0;
    for (int i = 0; i < 4; i++)
        want += term(1, 1.0 / (i + 1)) + i * term(0, 1.0 / (i + 1));
    close_to(feed_two(uniform, sink, "jsd"), want / 4, 5e-6, "uniform against a sink");
    close_to(feed_two(sink, sink, "adl"), 1, 1e-6, "adl of one key");
}

static double number_at(const json *list, size_t a, size_t b, size_t c)
{
    double v = NAN;
    assert_true(json_real(&v, json_at(json_at(json_at(list, a), b), c)));
    return v;
}

/* jsd_nats of the reference files. */
static void compare_file(const opened *o, const char *path)
{
    json *file;
    err e = {0};
    collected c = {0};
    int32_t ids[512];
    if (json_load(&file, path, 16 << 20, &e))
        fail_msg("%s", e.msg);
    const json *list = json_get(file, "ids"), *jsd = json_get(file, "jsd_nats");
    int64_t n = (int64_t)json_count(list), id;
    assert_in_range(n, 2, 512);
    for (int64_t i = 0; i < n; i++) {
        assert_true(json_int(&id, json_at(list, (size_t)i)));
        ids[i] = (int32_t)id;
    }
    if (run_analysis(&c, o, ids, n, "jsd", NULL, NULL, 0, 0))
        fail_msg("%s: %s", path, c.e.msg);
    assert_int_equal(json_count(jsd), o->m->main->n_layer);
    double worst = 0;
    for (int64_t i = 0; i < c.n_value; i++) {
        const result_value *v = &c.value[i];
        head_id other = head_of_index(o->m, ATTN_SELF, v->position);
        assert_int_equal(other.layer, v->layer);
        double diff = fabs(v->value - number_at(jsd, (size_t)v->layer, (size_t)v->head, (size_t)other.head));
        worst = diff > worst ? diff : worst;
    }
    fprintf(stderr, "# %s: %lld values, largest difference %.2e\n", path, (long long)c.n_value, worst);
    assert_true(c.n_value > 0 && worst <= 1e-5);
    collected_free(&c);
    json_free(file);
}

static void compare_all(const char *model_path, const char *folder)
{
    path_text pattern;
    glob_t found;
    shared_path(pattern, folder);
    strncat(pattern, "/metrics-*.json", sizeof pattern - strlen(pattern) - 1);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    opened o = open_model(model_path, 2);
    for (size_t i = 0; i < found.gl_pathc; i++)
        compare_file(&o, found.gl_pathv[i]);
    close_model(&o);
    globfree(&found);
}

static void test_golden_lantern(void **state)
{
    path_text path;
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    compare_all(path, "models/lantern-3m-reference");
}

static void test_golden_smollm2(void **state)
{
    path_text path;
    (void)state;
    smollm2_path(path);
    compare_all(path, "golden/smollm2-135m-q4_1");
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_lantern),
        cmocka_unit_test(test_ranks_of_a_reference_model),
        cmocka_unit_test(test_golden_lantern),
        cmocka_unit_test(test_golden_smollm2),
    };
    return cmocka_run_group_tests_name("divergence", tests, NULL, NULL);
}
