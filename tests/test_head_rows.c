/* Some rows of one head: the same weights as in the whole attention; and what flexprefill makes of the last rows. */
#include "tests/dense_maps.h"
#include "analysis/head_rows.h"

/* flexprefill from whole queries and keys, which an observer keeps. */
typedef struct seen { double *q, *k; int64_t n; int d, heads, kv; double scale; } seen;

static int see(void *ud, const model *m, const attn_args *a, err *e)
{
    seen *s = (seen *)ud + a->layer;
    (void)m;
    (void)e;
    *s = (seen){.n = a->n_query, .d = a->d_qk, .heads = a->n_head, .kv = a->n_kv_head, .scale = (double)a->scale};
    s->q = malloc((size_t)(a->n_query * a->n_head * a->d_qk) * sizeof(double));
    s->k = malloc((size_t)(a->n_key * a->n_kv_head * a->d_qk) * sizeof(double));
    for (int64_t i = 0; i < a->n_query; i++) {
        for (int c = 0; c < a->n_head * a->d_qk; c++)
            s->q[i * a->n_head * a->d_qk + c] = (double)a->q[i * a->ldq + c];
        for (int c = 0; c < a->n_kv_head * a->d_qk; c++)
            s->k[i * a->n_kv_head * a->d_qk + c] = (double)a->k[i * a->ldk + c];
    }
    return 0;
}

static void check_flexprefill(const opened *o, const int32_t *ids, int64_t n, int block)
{
    seen all[8] = {0};
    const observer ob = {.inputs = see, .ud = all};
    collected c = {0};
    char text[64];
    err e = {0};
    head_id heads[MOST];
    int n_map = 0;
    for (int l = 0; l < o->m->main->n_layer; l++)
        for (int h = 0; h < o->m->main->layers[l].self.plan.n_head; h++)
            heads[n_map++] = (head_id){ATTN_SELF, l, h};
    snprintf(text, sizeof text, "flexprefill-block=%d", block);
    assert_int_equal(forward(o->r, &(model_input){.ids = ids, .n = n}, &ob, NULL, &e), 0);
    assert_int_equal(run_analysis(&c, o, ids, n, "flexprefill", (const char *[]){text, NULL}, heads, n_map, 0), 0);
    maps m = maps_of(&c, ATTN_SELF);
    for (int i = 0; i < m.n; i++) {
        const seen *s = &all[m.layer[i]];
        int64_t blocks = (n + block - 1) / block, first = n > block ? n - block : 0;
        double *p = calloc((size_t)blocks, sizeof *p), *t = calloc((size_t)blocks, sizeof *t), z = 0, jsd = 0;
        for (int64_t b = 0; b < blocks; b++) {
            int64_t end = (b + 1) * block < n ? (b + 1) * block : n;
            double mean = 0;
            for (int64_t k = b * block; k < end; k++) {
                for (int64_t q = first; q < n; q++) {
                    for (int d = 0; d < s->d; d++)
                        mean += s->q[q * s->heads * s->d + m.head[i] * s->d + d] *
                                s->k[k * s->kv * s->d + m.head[i] / (s->heads / s->kv) * s->d + d];
                    t[b] += m.p[i][q * n + k] / (double)(n - first);
                }
            }
            z += p[b] = exp(mean / (double)((end - b * block) * (n - first)) * s->scale);
        }
        for (int64_t b = 0; b < blocks; b++)
            jsd += term(p[b] / z, t[b]);
        close_to(value_of(&c, "flexprefill", m.layer[i], m.head[i], NO_INDEX), sqrt(jsd > 0 ? jsd : 0), 1e-5, "flexprefill");
        free(p);
        free(t);
    }
    maps_free(&m);
    for (int l = 0; l < 8; l++) {
        free(all[l].q);
        free(all[l].k);
    }
    collected_free(&c);
}

static void test_flexprefill(void **state)
{
    path_text path;
    int32_t ids[141];
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 2);
    for (int i = 0; i < 141; i++)
        ids[i] = i * 37 % 900 + 1;
    check_flexprefill(&o, ids, 141, 16);
    check_flexprefill(&o, ids, 141, 100);
    check_flexprefill(&o, ids, 21, 5);
    collected c = {0};
    assert_int_equal(run_analysis(&c, &o, ids, 21, "flexprefill", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 0);
    collected_free(&c);
    close_model(&o);
}

enum { N = 90, HEADS = 4, KV = 2, WIDTH = 8 };

typedef struct weights { float p[HEADS][N][N]; int64_t first; int head; } weights;

static void on_weights(void *ud, const attn_panels *p)
{
    weights *w = ud;
    for (int h = 0; h < p->n_head; h++)
        for (int i = 0; i < p->n_query; i++)
            for (int64_t k = 0; k < p->n_key; k++)
                w->p[w->head + h][w->first + p->q0 + i][k] = p->probs[h * p->h_stride + k * p->k_stride + i];
}

static float *random_floats(uint64_t *seed, int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(*seed >> 40) / (1 << 22) - 2;
    }
    return x;
}

static void test_rows(void **state)
{
    static weights whole, part;
    uint64_t seed = 3;
    pool *threads;
    attn_scratch *s;
    (void)state;
    assert_int_equal(pool_new(&threads, 2, NULL), 0);
    assert_int_equal(attn_scratch_new(&s, threads, NULL), 0);
    float *q = random_floats(&seed, N * HEADS * WIDTH), *k = random_floats(&seed, N * KV * WIDTH);
    float *key_bias = random_floats(&seed, HEADS * N), *rel_bias = random_floats(&seed, HEADS * (2 * N - 1));
    float *sinks = random_floats(&seed, HEADS);
    for (int set = 0; set < 8; set++) {
        const attn_args a = {
            .n_head = HEADS, .n_kv_head = KV, .d_qk = WIDTH, .d_v = WIDTH, .n_query = N, .n_key = N, .scale = .3f,
            .causal = set != 3, .window = set == 5 ? 7 : 0, .key_bias = set & 1 ? key_bias : NULL,
            .rel_bias = set & 2 ? rel_bias : NULL, .sinks = set & 4 ? sinks : NULL, .q = q, .k = k, .ldq = HEADS * WIDTH,
            .ldk = KV * WIDTH,
        };
        memset(&whole, 0, sizeof whole);
        memset(&part, 0, sizeof part);
        assert_int_equal(attention_panels(s, &a, 1, on_weights, &whole, NULL), 0);
        for (part.head = 0; part.head < HEADS; part.head++)
            for (part.first = 0; part.first < N; part.first += 37) {
                int64_t n = N - part.first < 37 ? N - part.first : 37;
                const attn_args rows = attn_rows_of_head(&a, part.head, part.first, n);
                assert_int_equal(attention_panels(s, &rows, 1, on_weights, &part, NULL), 0);
            }
        assert_memory_equal(part.p, whole.p, sizeof whole.p);
    }
    err e = {0};
    const attn_edit edit = {0};
    assert_int_equal(attn_rows_unedited(&(attn_args){.edit = &edit}, "x", &e), ERR_USAGE);
    assert_int_equal(attn_rows_unedited(&(attn_args){0}, "x", &e), 0);
    free(q);
    free(k);
    free(key_bias);
    free(rel_bias);
    free(sinks);
    attn_scratch_free(s);
    pool_free(threads);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_flexprefill),
    };
    return cmocka_run_group_tests_name("head rows", tests, NULL, NULL);
}
