/* Metrics of the residual stream, of sublayers, of MLP inners, of gates and of weights: held against a second
 * implementation, in double, on the arrays that a plain observer keeps of the same run, and against published vectors. */
#include "tests/activation_capture.h"
#include "analysis/abs_order.h"
#include "analysis/linalg.h"
#include "analysis/spectral.h"
#include "tests/tiny_model.h"

static const char *const picks[] = {"mean", "first", "rest", "ratio", "each"};
enum { N_PICK = sizeof picks / sizeof picks[0] };

static double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

#define EACH_HIDDEN(c, kind, l)                                                                                         \
    for (int kind = 0; kind < CAPTURE_KINDS; kind++)                                                                    \
        for (int l = 0; l < CAPTURE_LAYERS; l++)                                                                        \
            if ((c)->hidden[kind][l])

static void check_residual(const case_data *d, const capture *c)
{
    double v[512];
    wanted peaks[3] = {{0}, {0}, {0}};
    static const char *const against[] = {"residual-peak-against=mean", "residual-peak-against=max",
                                          "residual-peak-against=difference"};
    for (int p = 0; p < N_PICK; p++) {
        wanted w = {0};
        char set[64];
        snprintf(set, sizeof set, "residual-norm-tokens=%s", picks[p]);
        EACH_HIDDEN(c, kind, l) {
            int64_t n = c->n[kind], width = c->width[kind];
            double sum = 0, top = 0;
            for (int64_t i = 0; i < n; i++) {
                const float *x = c->hidden[kind][l] + i * width;
                v[i] = sqrt(product(x, x, width));
                sum += i ? v[i] : 0;
                top = i ? fmax(top, v[i]) : 0;
            }
            want_tokens(&w, picks[p], (attn_kind)kind, l, NO_INDEX, v, n);
            double mean = sum / (double)(n - 1), peak[] = {v[0] / mean, v[0] / top, v[0] - mean};
            for (int i = 0; i < 3 && p == 0 && n > 1; i++)
                want(&peaks[i], (attn_kind)kind, l, NO_INDEX, NO_INDEX, peak[i]);
        }
        expect(&d->o, &d->ref.in, "residual_norm", set, NULL, &w, 1e-12);
    }
    for (int i = 0; i < 3; i++)
        expect(&d->o, &d->ref.in, "residual_peak", against[i], NULL, &peaks[i], 1e-11);
}

/* Random models have no massive activations at the published thresholds, so lower ones are held too. */
static void check_massive(const case_data *d, const capture *c, double above, double ratio)
{
    wanted top = {0}, median = {0}, count = {0}, channel = {0};
    char set[4][64];
    EACH_HIDDEN(c, kind, l) {
        int64_t width = c->width[kind], cells = c->n[kind] * width, found = 0;
        const float *x = c->hidden[kind][l];
        double *v = malloc((size_t)cells * sizeof *v);
        assert_non_null(v);
        for (int64_t i = 0; i < cells; i++)
            v[i] = fabs((double)x[i]);
        qsort(v, (size_t)cells, sizeof *v, descending);
        double middle = v[cells - 1 - (cells - 1) / 2];
        for (int i = 0; i < 3; i++)
            want(&top, (attn_kind)kind, l, NO_INDEX, i, v[i]);
        want(&median, (attn_kind)kind, l, NO_INDEX, NO_INDEX, middle);
        while (found < cells && v[found] > above && v[found] >= ratio * middle)
            found++;
        want(&count, (attn_kind)kind, l, NO_INDEX, NO_INDEX, (double)found);
        for (int64_t k = 0; k < width; k++) {
            double most = 0;
            for (int64_t i = 0; i < c->n[kind]; i++)
                most = fmax(most, fabs((double)x[i * width + k]));
            if (most > above && most >= ratio * middle)
                want(&channel, (attn_kind)kind, l, NO_INDEX, k, most);
        }
        free(v);
    }
    static const char *const of[] = {"massive-count-above", "massive-count-ratio", "massive-channel-above",
                                     "massive-channel-ratio"};
    for (int i = 0; i < 4; i++)
        snprintf(set[i], sizeof set[i], "%s=%.17g", of[i], i % 2 ? ratio : above);
    expect(&d->o, &d->ref.in, "massive_top", NULL, NULL, &top, 0);
    expect(&d->o, &d->ref.in, "massive_median", NULL, NULL, &median, 0);
    expect(&d->o, &d->ref.in, "massive_count", set[0], set[1], &count, 0);
    expect(&d->o, &d->ref.in, "massive_channel", set[2], set[3], &channel, 0);
}

/* max / mean of each token of x [n, width] under the three forms. */
static void want_outliers(wanted *w, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, double threshold)
{
    double mean = 0, found = 0;
    for (int64_t i = 0; i < n * width; i++)
        mean += fabs((double)x[i]) / (double)(n * width);
    for (int64_t i = 0; i < n; i++) {
        double top = 0;
        for (int64_t k = 0; k < width; k++)
            top = fmax(top, fabs((double)x[i * width + k]));
        want(&w[2], kind, layer, NO_INDEX, i, top / mean);
        if (top > threshold * mean) {
            want(&w[1], kind, layer, NO_INDEX, i, top / mean);
            found++;
        }
    }
    want(&w[0], kind, layer, NO_INDEX, NO_INDEX, found);
}

static void check_outliers(const case_data *d, const capture *c, double threshold)
{
    static const char *const forms[] = {"count", "tokens", "each"};
    wanted stream[3] = {{0}, {0}, {0}}, inner[3] = {{0}, {0}, {0}};
    EACH_HIDDEN(c, kind, l) {
        want_outliers(stream, (attn_kind)kind, l, c->hidden[kind][l], c->n[kind], c->width[kind], threshold);
        if (c->inner[kind][l])
            want_outliers(inner, (attn_kind)kind, l, c->inner[kind][l], c->n[kind], c->inner_width[kind], threshold);
    }
    for (int i = 0; i < 3; i++) {
        char set[2][64];
        snprintf(set[0], sizeof set[0], "activation-outlier-form=%s", forms[i]);
        snprintf(set[1], sizeof set[1], "activation-outlier-threshold=%.17g", threshold);
        expect(&d->o, &d->ref.in, "activation_outlier", set[0], set[1], &stream[i], 1e-11);
        snprintf(set[0], sizeof set[0], "inner-outlier-form=%s", forms[i]);
        snprintf(set[1], sizeof set[1], "inner-outlier-threshold=%.17g", threshold);
        expect(&d->o, &d->ref.in, "inner_outlier", set[0], set[1], &inner[i], 1e-11);
    }
}

static void check_sink_channels(const case_data *d, const capture *c, double tau)
{
    wanted dims = {0}, marked = {0}, each = {0};
    char set[2][64];
    EACH_HIDDEN(c, kind, l) {
        int64_t width = c->width[kind];
        for (int64_t i = 0; i < c->n[kind]; i++) {
            const float *first = c->hidden[kind][l], *x = first + i * width;
            double at_first = sqrt(product(first, first, width) / (double)width + 1e-6), top = 0;
            double rms = sqrt(product(x, x, width) / (double)width + 1e-6);
            for (int64_t k = 0; k < width; k++) {
                bool sink = fabs((double)first[k]) / at_first > tau;
                if (i == 0 && sink)
                    want(&dims, (attn_kind)kind, l, NO_INDEX, k, fabs((double)first[k]) / at_first);
                top = sink ? fmax(top, fabs((double)x[k]) / rms) : top;
            }
            want(&each, (attn_kind)kind, l, NO_INDEX, i, top);
            if (top > tau)
                want(&marked, (attn_kind)kind, l, NO_INDEX, i, top);
        }
    }
    snprintf(set[0], sizeof set[0], "sink-dimension-tau=%.17g", tau);
    snprintf(set[1], sizeof set[1], "sink-token-tau=%.17g", tau);
    expect(&d->o, &d->ref.in, "sink_dimension", set[0], NULL, &dims, 1e-12);
    expect(&d->o, &d->ref.in, "sink_token", set[1], NULL, &marked, 1e-12);
    expect(&d->o, &d->ref.in, "sink_token", set[1], "sink-token-form=each", &each, 1e-12);
}

/* ---- sublayers ---- */

static void normalise(double *y, const norm *n, const double *x, int64_t width)
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

static double cosine(const double *a, const double *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* x through a sublayer: sums cos(x, out) and cos(norm(x), added), leaves out in x. */
static void pass(double *x, const sublayer *at, const norm *pre, const float *added, int64_t width, double sums[2])
{
    double in[256], normed[256], out[256] = {0}, f[256] = {0};
    memcpy(in, x, (size_t)width * sizeof *x);
    normalise(normed, pre, in, width);
    for (int64_t k = 0; k < width; k++) {
        f[k] = added[k];
        out[k] = (at->residual_normed ? normed[k] : in[k]) + f[k];
    }
    normalise(x, &at->after, out, width);
    sums[0] += cosine(in, x, width);
    sums[1] += cosine(normed, f, width);
}

static void check_similarity(const case_data *d, const capture *c)
{
    wanted block = {0}, attention[2] = {{0}, {0}}, feeding[2] = {{0}, {0}};
    EACH_HIDDEN(c, kind, l) {
        const stack *s = model_stack(c->m, (attn_kind)kind);
        int64_t width = c->width[kind], n = c->n[kind];
        if (!c->hidden[kind][l + 1])
            continue;
        const model_layer *y = &s->layers[l];
        double blocks = 0, self[2] = {0}, cross[2] = {0}, feed[2] = {0};
        assert_in_range(width, 1, 256);
        for (int64_t i = 0; i < n; i++) {
            double x[256], before[256], after[256], apart[256];
            for (int64_t k = 0; k < width; k++) {
                x[k] = apart[k] = before[k] = c->hidden[kind][l][i * width + k];
                after[k] = c->hidden[kind][l + 1][i * width + k];
            }
            blocks += cosine(before, after, width);
            const float *a = c->added[kind][l][PART_SELF] + i * width, *f = c->added[kind][l][PART_MLP] + i * width;
            pass(x, &y->at_self, &y->at_self.pre, a, width, self);
            if (c->added[kind][l][PART_CROSS])
                pass(x, &y->at_cross, &y->at_cross.pre, c->added[kind][l][PART_CROSS] + i * width, width, cross);
            if (y->parallel) {
                pass(apart, &y->at_mlp, y->shared_norm ? &y->at_self.pre : &y->at_mlp.pre, f, width, feed);
                for (int64_t k = 0; k < width; k++)
                    x[k] += f[k];
            } else {
                pass(x, &y->at_mlp, &y->at_mlp.pre, f, width, feed);
            }
            for (int64_t k = 0; k < width; k++) /* the sublayers together are the block */
                assert_true(fabs(x[k] - after[k]) <= 1e-4 * (1 + fabs(after[k])));
        }
        want(&block, (attn_kind)kind, l, NO_INDEX, NO_INDEX, blocks / (double)n);
        for (int form = 0; form < 2; form++) {
            want(&attention[form], (attn_kind)kind, l, NO_INDEX, NO_INDEX, self[form] / (double)n);
            want(&feeding[form], (attn_kind)kind, l, NO_INDEX, NO_INDEX, feed[form] / (double)n);
        }
    }
    expect(&d->o, &d->ref.in, "block_similarity", NULL, NULL, &block, 1e-11);
    expect(&d->o, &d->ref.in, "attention_similarity", NULL, NULL, &attention[0], 1e-6);
    expect(&d->o, &d->ref.in, "attention_similarity", "attention-similarity-form=added", NULL, &attention[1], 1e-6);
    expect(&d->o, &d->ref.in, "mlp_similarity", NULL, NULL, &feeding[0], 1e-6);
    expect(&d->o, &d->ref.in, "mlp_similarity", "mlp-similarity-form=added", NULL, &feeding[1], 1e-6);
}

/* ---- attention of all heads together ---- */

/* Rows of weights in double, from queries and keys. */
static void weights_of(const attn_args *a, int h, int64_t i, double *w)
{
    double top = a->sinks ? a->sinks[h] : -INFINITY, total;
    for (int64_t j = 0; j < a->n_key; j++) {
        int64_t back = a->pos0 + i - j;
        bool sees = !(a->causal && back < 0) && !(a->window > 0 && llabs(back) >= a->window);
        double z = a->scale * product(a->q + i * a->ldq + h * a->d_qk,
                                      a->k + j * a->ldk + h / (a->n_head / a->n_kv_head) * a->d_qk, a->d_qk);
        z = a->softcap > 0 ? a->softcap * tanh(z / a->softcap) : z;
        z += a->key_bias ? a->key_bias[h * a->n_key + j] : 0;
        z += a->rel_bias ? a->rel_bias[h * (a->n_query + a->n_key - 1) + j - i + a->n_query - 1] : 0;
        w[j] = sees ? z : -INFINITY;
        top = fmax(top, w[j]);
    }
    total = a->sinks ? exp(a->sinks[h] - top) : 0;
    for (int64_t j = 0; j < a->n_key; j++)
        total += w[j] = exp(w[j] - top);
    for (int64_t j = 0; j < a->n_key; j++)
        w[j] /= total;
}

static void check_attention_outliers(const case_data *d, const capture *c, double share)
{
    wanted w[3] = {{0}, {0}, {0}};
    static const char *const forms[] = {"attention-outlier-form=count", "attention-outlier-form=keys",
                                        "attention-outlier-form=each"};
    char set[64];
    snprintf(set, sizeof set, "attention-outlier-share=%.17g", share);
    for (int kind = 0; kind < CAPTURE_KINDS; kind++)
        for (int l = 0; l < CAPTURE_LAYERS; l++) {
            const attn_args *a = &c->in[kind][l];
            double sums[512] = {0}, row[512], found = 0;
            if (a->n_head == 0)
                continue;
            for (int h = 0; h < a->n_head; h++)
                for (int64_t i = 0; i < a->n_query; i++) {
                    weights_of(a, h, i, row);
                    for (int64_t j = 0; j < a->n_key; j++)
                        sums[j] += row[j] / a->n_head;
                }
            for (int64_t j = 0; j < a->n_key; j++) {
                want(&w[2], a->kind, l, NO_INDEX, j, sums[j]);
                if (sums[j] >= share * (double)a->n_query) {
                    want(&w[1], a->kind, l, NO_INDEX, j, sums[j]);
                    found++;
                }
            }
            want(&w[0], a->kind, l, NO_INDEX, NO_INDEX, found);
        }
    for (int i = 0; i < 3; i++)
        expect(&d->o, &d->ref.in, "attention_outlier", set, forms[i], &w[i], 2e-5);
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
        collected c;
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

static void check_all(const case_data *d)
{
    capture *c = capture_run(&d->o, &d->ref.in);
    check_residual(d, c);
    check_massive(d, c, 100, 1000);
    check_massive(d, c, 1, 2);
    check_outliers(d, c, 1000);
    check_outliers(d, c, 3);
    check_sink_channels(d, c, 2);
    check_similarity(d, c);
    check_attention_outliers(d, c, 0.1);
    check_logit_norms(&d->o);
    check_weight_outliers(&d->o);
    capture_free(c);
}

#define CASE(id, name, length)                                                                                          \
    static void test_##id(void **state)                                                                                 \
    {                                                                                                                   \
        case_data d;                                                                                                    \
        (void)state;                                                                                                    \
        if (!case_open(&d, name, length))                                                                               \
            skip();                                                                                                     \
        check_all(&d);                                                                                                  \
        case_close(&d);                                                                                                 \
    }
CASE(llama, "llama", 130)
CASE(gpt2, "gpt2", 9)
CASE(falcon_mqa, "falcon-mqa", 9)
CASE(bloom, "bloom", 9)
CASE(gemma2, "gemma2", 17)
CASE(gpt_oss, "gpt_oss", 100)
CASE(qwen3_next, "qwen3_next", 9)
CASE(deepseek_v3, "deepseek_v3", 9)
CASE(gpt_neox, "gpt_neox", 9)
CASE(olmo2, "olmo2", 9)
CASE(opt_post_norm, "opt-postnorm-proj", 9)
CASE(bert, "bert", 9)
CASE(t5, "t5", 25)
CASE(vit, "vit", 1)

static void test_tiny_models(void **state)
{
    (void)state;
    for (int k = TINY_DECODER; k <= TINY_LLAVA; k++) {
        tiny_model t;
        case_data d = {0};
        err e = {0};
        tiny_new(&t, (tiny_kind)k);
        if (k == TINY_DECODER) { /* a post-norm layer, and a parallel one */
            t.layers[0][0].at_self.pre.kind = t.layers[0][0].at_mlp.pre.kind = NORM_NONE;
            t.layers[0][0].at_self.after = t.layers[0][0].at_mlp.after = (norm){.kind = NORM_LAYER, .eps = 1e-5f};
            t.layers[0][1].parallel = t.layers[0][1].shared_norm = true;
        }
        d.o.m = &t.m;
        assert_int_equal(runtime_new(&d.o.r, &t.m, 2, PRECISION_F32, &e), 0);
        d.ref.in = tiny_input(&t, 11, 7);
        check_all(&d);
        runtime_free(d.o.r);
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

static void test_channels_of_the_option(void **state)
{
    (void)state;
    tiny_model t;
    opened o = {0};
    collected c = {0};
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    static const char *const two[] = {"sink-token-dims=0,7", "sink-token-tau=0", NULL};
    static const char *const bad[] = {"sink-token-dims=0,8", NULL};
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_token", two, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 3 * 5);
    collected_free(&c);
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_token", bad, NULL, 0, 0), ERR_USAGE);
    assert_non_null(strstr(c.e.msg, "'8' is not a channel"));
    assert_string_equal(c.e.hint, "channels go from 0 to 7");
    runtime_free(o.r);
    tiny_free(&t);
}

/* Every allocation that fails is reported, and leaves nothing behind. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"attention_outlier", "attention_similarity", "entropy_bound_weights", "head_norm",
                                        "inner_outlier", "massive_count", "residual_norm", "sink_cosine", "sink_logit_gap",
                                        "sink_token", "value_drain"};
    tiny_model t;
    opened o = {0};
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const metric *list[] = {metric_find(names[i])};
        int rc = ERR_RESOURCE, failures = -1;
        for (long nth = 1; rc && nth < 300; nth++, failures++) {
            params *p;
            collected c = {0};
            assert_int_equal(params_new(&p, &e), 0);
            if (list[0]->params)
                assert_int_equal(params_use(p, list[0]->params, &e), 0);
            if (!strcmp(names[i], "sink_token"))
                assert_int_equal(params_set(p, "sink-token-dims", "1,3", &e), 0);
            analysis_request req = {.metrics = list, .n_metric = 1, .p = p};
            result_sink sink = {collect_value, NULL, &c};
            mem_fail_at(nth);
            rc = analyse(o.r, o.m, &in, &req, &sink, NULL, &e);
            mem_fail_at(0);
            assert_true(rc == 0 || rc == ERR_RESOURCE);
            collected_free(&c);
            params_free(p);
        }
        assert_int_equal(rc, 0);
        assert_true(failures > 5);
    }
    runtime_free(o.r);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_falcon_mqa),
        cmocka_unit_test(test_bloom), cmocka_unit_test(test_gemma2), cmocka_unit_test(test_gpt_oss),
        cmocka_unit_test(test_qwen3_next), cmocka_unit_test(test_deepseek_v3), cmocka_unit_test(test_gpt_neox),
        cmocka_unit_test(test_olmo2), cmocka_unit_test(test_opt_post_norm), cmocka_unit_test(test_bert),
        cmocka_unit_test(test_t5), cmocka_unit_test(test_vit), cmocka_unit_test(test_tiny_models),
        cmocka_unit_test(test_gates), cmocka_unit_test(test_entropy_floor), cmocka_unit_test(test_spectral_top),
        cmocka_unit_test(test_median), cmocka_unit_test(test_channels_of_the_option),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
