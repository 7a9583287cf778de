/* Everything that a run shows its observer, kept as arrays, and values that a metric should emit: for the tests of
 * metrics of queries, keys, values, head outputs, streams and MLP inners.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_ACTIVATION_CAPTURE_H
#define ATTNSCOPE_TESTS_ACTIVATION_CAPTURE_H

#include "tests/model_run.h"
#include "analysis/reference.h"
#include "compute/gemm.h"

enum { CAPTURE_KINDS = ATTN_VISION + 1, CAPTURE_LAYERS = 40, CAPTURE_PARTS = PART_MLP + 1 };

typedef struct capture {
    const model *m;
    attn_args in[CAPTURE_KINDS][CAPTURE_LAYERS];       /* n_head 0: none; pointers are copies */
    head_outputs heads[CAPTURE_KINDS][CAPTURE_LAYERS]; /* heads NULL: none */
    float *hidden[CAPTURE_KINDS][CAPTURE_LAYERS];      /* [n, width] */
    float *added[CAPTURE_KINDS][CAPTURE_LAYERS][CAPTURE_PARTS];
    float *inner[CAPTURE_KINDS][CAPTURE_LAYERS];       /* [n, inner_width] */
    int64_t n[CAPTURE_KINDS], width[CAPTURE_KINDS], inner_width[CAPTURE_KINDS];
} capture;

static inline float *capture_copy(const float *x, int64_t n)
{
    float *y = malloc((size_t)n * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

static inline int capture_inputs(void *ud, const model *m, const attn_args *a, err *e)
{
    capture *c = ud;
    attn_args *in = &c->in[a->kind][a->layer];
    (void)m;
    (void)e;
    *in = *a;
    in->q = capture_copy(a->q, a->n_query * a->ldq);
    in->k = capture_copy(a->k, a->n_key * a->ldk);
    in->v = capture_copy(a->v, a->n_key * a->ldv);
    in->key_bias = a->key_bias ? capture_copy(a->key_bias, a->n_head * a->n_key) : NULL;
    in->rel_bias = a->rel_bias ? capture_copy(a->rel_bias, a->n_head * (a->n_query + a->n_key - 1)) : NULL;
    in->out = NULL;
    return 0;
}

static inline int capture_heads(void *ud, const head_outputs *h, err *e)
{
    capture *c = ud;
    head_outputs *to = &c->heads[h->kind][h->layer];
    (void)e;
    *to = *h;
    to->heads = capture_copy(h->heads, h->n * h->width);
    to->ungated = h->ungated ? capture_copy(h->ungated, h->n * h->width) : NULL;
    return 0;
}

static inline void capture_rows(float **all, const part_rows *p, int64_t n)
{
    if (!*all)
        assert_non_null(*all = calloc((size_t)(n * p->width), sizeof **all));
    memcpy(*all + p->row * p->width, p->x, (size_t)(p->rows * p->width) * sizeof **all);
}

static inline int capture_added(void *ud, const part_rows *p, err *e)
{
    capture *c = ud;
    (void)e;
    capture_rows(&c->added[p->stack][p->layer][p->part], p, c->n[p->stack]);
    return 0;
}

static inline int capture_inner(void *ud, const part_rows *p, err *e)
{
    capture *c = ud;
    (void)e;
    c->inner_width[p->stack] = p->width;
    capture_rows(&c->inner[p->stack][p->layer], p, c->n[p->stack]);
    return 0;
}

static inline int capture_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    capture *c = ud;
    (void)e;
    assert_in_range(layer, 0, CAPTURE_LAYERS - 1);
    c->n[kind] = n;
    c->width[kind] = width;
    c->hidden[kind][layer] = capture_copy(x, n * width);
    return 0;
}

/* Run the input and keep all; capture_free() it. */
static inline capture *capture_run(const opened *o, const model_input *in)
{
    capture *c = calloc(1, sizeof *c);
    err e = {0};
    assert_non_null(c);
    c->m = o->m;
    const observer watch = {.inputs = capture_inputs, .heads = capture_heads, .added = capture_added,
                            .inner = capture_inner, .hidden = capture_hidden, .ud = c};
    if (forward(o->r, in, &watch, NULL, &e))
        fail_msg("%s", e.msg);
    return c;
}

static inline void capture_free(capture *c)
{
    for (int k = 0; k < CAPTURE_KINDS; k++)
        for (int l = 0; l < CAPTURE_LAYERS; l++) {
            const float *views[] = {c->in[k][l].q, c->in[k][l].k, c->in[k][l].v, c->in[k][l].key_bias,
                                    c->in[k][l].rel_bias, c->heads[k][l].heads, c->heads[k][l].ungated,
                                    c->hidden[k][l], c->inner[k][l], c->added[k][l][0], c->added[k][l][1],
                                    c->added[k][l][2]};
            for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
                free((void *)(uintptr_t)views[i]);
        }
    free(c);
}

static inline double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static inline void normalise(double *y, const norm *n, const double *x, int64_t width)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < width && n->kind == NORM_LAYER; i++)
        mean += x[i] / (double)width;
    for (int64_t i = 0; i < width; i++)
        square += (x[i] - mean) * (x[i] - mean) / (double)width;
    for (int64_t i = 0; i < width; i++) {
        y[i] = n->kind == NORM_NONE ? x[i] : (x[i] - mean) / sqrt(square + n->eps) * (n->w ? n->w[i] : 1);
        y[i] += n->kind == NORM_LAYER && n->b ? n->b[i] : 0;
    }
}

/* ---- values that should come ---- */

typedef struct wanted { int64_t n, cap; result_value *v; } wanted;

static inline void want(wanted *w, attn_kind kind, int layer, int head, int64_t position, double value)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 256;
        assert_non_null(w->v = realloc(w->v, (size_t)w->cap * sizeof *w->v));
    }
    w->v[w->n++] = (result_value){kind, NULL, layer, head, position, value};
}

/* A value for each token as an option of token_pick_choices shows it. */
static inline void want_tokens(wanted *w, const char *pick, attn_kind kind, int layer, int head, const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        sum += v[i];
    double rest = n > 1 ? sum / (double)(n - 1) : 0;
    if (!strcmp(pick, "mean"))
        want(w, kind, layer, head, NO_INDEX, (sum + v[0]) / (double)n);
    if (!strcmp(pick, "first"))
        want(w, kind, layer, head, 0, v[0]);
    if (!strcmp(pick, "rest") && n > 1)
        want(w, kind, layer, head, NO_INDEX, rest);
    if (!strcmp(pick, "ratio") && n > 1 && rest > 0)
        want(w, kind, layer, head, NO_INDEX, v[0] / rest);
    for (int64_t i = 0; i < n && !strcmp(pick, "each"); i++)
        want(w, kind, layer, head, i, v[i]);
}

/* Hold one metric against them, to tolerance * (1 + |value|); settings: up to two of "name=value" or NULL. */
static inline void expect(const opened *o, const model_input *in, const char *name, const char *set1, const char *set2,
                          wanted *w, double tolerance)
{
    const char *settings[] = {set1, set1 ? set2 : NULL, NULL};
    collected c = {0};
    if (run_analysis_of(&c, o, in, name, settings, NULL, 0, 0))
        fail_msg("%s: %s", name, c.e.msg);
    if (c.n_value != w->n)
        fail_msg("%s %s: %lld values, expected %lld", name, set1 ? set1 : "", (long long)c.n_value, (long long)w->n);
    for (int64_t i = 0, at = 0; i < c.n_value; i++) {
        const result_value *v = &c.value[i], *x = NULL;
        for (int64_t k = 0; k < w->n && !x; k++) { /* most come in the order in which they are wanted */
            const result_value *y = &w->v[(at + k) % w->n];
            if (y->kind == v->kind && y->layer == v->layer && y->head == v->head && y->position == v->position) {
                x = y;
                at = (at + k + 1) % w->n;
            }
        }
        if (!x)
            fail_msg("%s %s: unexpected value at %s layer %d head %d position %lld", name, set1 ? set1 : "",
                     attn_kind_name(v->kind), v->layer, v->head, (long long)v->position);
        if (!(fabs(v->value - x->value) <= tolerance * (1 + fabs(x->value))))
            fail_msg("%s %s: %s layer %d head %d position %lld: %.12g, expected %.12g", name, set1 ? set1 : "",
                     attn_kind_name(v->kind), v->layer, v->head, (long long)v->position, v->value, x->value);
    }
    collected_free(&c);
    free(w->v);
    *w = (wanted){0};
}

/* ---- cases ---- */

/* A model and prompt of the reference data; false: not there (said on stderr). */
typedef struct case_data {
    opened o;
    reference_input ref;
} case_data;

static inline bool case_open(case_data *d, const char *name, int64_t length)
{
    const char *dir = getenv("ATTNSCOPE_SHARED"), *src = getenv("srcdir");
    path_text folder, file;
    err e = {0};
    if (dir)
        snprintf(folder, sizeof folder, "%s/golden/%s", dir, name);
    else
        snprintf(folder, sizeof folder, "%s/../shared/golden/%s", src ? src : ".", name);
    if (snprintf(file, sizeof file, "%.900s/ref-%d.npz", folder, (int)length) < 0 || access(file, R_OK)) {
        fprintf(stderr, "# skipped: no %s\n", file);
        return false;
    }
    d->o = open_model(folder, 2);
    if (reference_input_open(&d->ref, d->o.m, file, &e))
        fail_msg("%s: %s", file, e.msg);
    return true;
}

static inline void case_close(case_data *d)
{
    reference_input_free(&d->ref);
    close_model(&d->o);
}

#endif
