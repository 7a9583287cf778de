/* The parts of a logit, once a run has passed by. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/attribution_parts.h"
#include "base/mem.h"
#include "compute/gemm.h"

double dot_rows(const double *u, const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += u[i] * (double)x[i];
    return sum;
}

/* The token of the highest logit, by the model's own unembedding; one whose logit is NaN where one is. */
static int choose_token(const metric_ctx *c, attribution_state *s, err *e)
{
    float *logits = mem_array((size_t)c->model->vocab, sizeof *logits, e);
    int rc = logits ? runtime_unembed(c->run, s->last, 1, logits, e) : ERR_RESOURCE;
    s->token = 0;
    for (int64_t v = 1; v < c->model->vocab && !rc; v++)
        if (logits[v] > logits[s->token] || isnan(logits[v]))
            s->token = (int32_t)v;
    free(logits);
    return rc;
}

/* u [C] += by * W_U[:, id] through the projection of the head; *constant likewise its biases. */
static int add_token(double *u, double *constant, const model *m, int32_t id, double by, err *e)
{
    const logits_head *h = &m->head;
    const weight *w = &h->unembedding, *p = &h->project;
    float *row = mem_array((size_t)(w->n_in > m->main->width ? w->n_in : m->main->width), sizeof *row, e);
    double *inner = mem_array((size_t)w->n_in, sizeof *inner, e);
    int rc = row && inner ? 0 : ERR_RESOURCE;
    if (!rc) {
        weight_load(row, w, id, 0, w->n_in);
        for (int64_t i = 0; i < w->n_in; i++)
            inner[i] = by * (double)row[i];
        *constant += w->bias ? by * (double)w->bias[id] : 0;
    }
    for (int64_t i = 0; i < w->n_in && !rc; i++) {
        if (!p->data) {
            u[i] += inner[i];
            continue;
        }
        weight_load(row, p, i, 0, p->n_in);
        for (int64_t c = 0; c < p->n_in; c++)
            u[c] += inner[i] * (double)row[c];
        *constant += p->bias ? inner[i] * (double)p->bias[i] : 0;
    }
    free(row);
    free(inner);
    return rc;
}

/* u through a norm whose scale is that of x: r . u' is what part r of x gives; *constant: its bias. */
static void through_norm(double *u, double *constant, const norm *n, const double *x, int64_t width)
{
    double mean = 0, square = 0, mean_u = 0;
    if (n->kind == NORM_NONE)
        return;
    for (int64_t c = 0; c < width && n->kind == NORM_LAYER; c++)
        mean += x[c] / (double)width;
    for (int64_t c = 0; c < width; c++)
        square += (x[c] - mean) * (x[c] - mean) / (double)width;
    double scale = 1 / sqrt(square + (double)n->eps);
    for (int64_t c = 0; c < width; c++) {
        if (n->kind == NORM_LAYER && n->b)
            *constant += u[c] * (double)n->b[c];
        u[c] *= (n->w ? (double)n->w[c] : 1) * scale;
        mean_u += u[c] / (double)width;
    }
    for (int64_t c = 0; c < width && n->kind == NORM_LAYER; c++)
        u[c] -= mean_u; /* (r - mean r) . u = r . (u - mean u) */
}

int attribution_direction(double *u, double *constant, const metric_ctx *c, attribution_state *s, err *e)
{
    const model *m = c->model;
    int64_t width = s->width;
    double bias = 0, scale = (double)m->head.scale * (m->main->final_norm.kind == NORM_NONE ? 1 : (double)m->head.in_scale);
    double *x = mem_array((size_t)width, sizeof *x, e), outer = 0;
    int rc = x ? 0 : ERR_RESOURCE;
    memset(u, 0, (size_t)width * sizeof *u);
    if (!rc && s->token < 0)
        rc = choose_token(c, s, e);
    if (!rc)
        rc = add_token(u, &outer, m, s->token, 1, e);
    if (!rc && s->against >= 0)
        rc = add_token(u, &outer, m, s->against, -1, e);
    for (int64_t i = 0; i < width && !rc; i++) {
        u[i] *= scale;
        x[i] = (double)s->last[i];
    }
    if (!rc)
        through_norm(u, &bias, &m->main->final_norm, x, width);
    *constant = bias + outer * (double)m->head.scale;
    free(x);
    return rc;
}

/* ---- attention of a layer ---- */

typedef struct sublayer_sum {
    const weight *out;
    int n_head;
    int64_t d;
    double *u;          /* [C] direction through what lies behind the projection */
    double bias;        /* of the projection and of the norm behind it */
    double *head;       /* [n_head] */
} sublayer_sum;

/* f = W_O heads + b, in double. */
static int project(double *f, const weight *w, const float *heads, err *e)
{
    float *row = mem_array((size_t)w->n_in, sizeof *row, e);
    for (int64_t c = 0; row && c < w->n_out; c++) {
        double sum = w->bias ? (double)w->bias[c] : 0;
        weight_load(row, w, c, 0, w->n_in);
        for (int64_t j = 0; j < w->n_in; j++)
            sum += (double)row[j] * (double)heads[j];
        f[c] = sum;
    }
    free(row);
    return row ? 0 : ERR_RESOURCE;
}

static void through_sublayer(double *u, const sublayer *at, int64_t width)
{
    for (int64_t c = 0; c < width; c++)
        u[c] *= (double)at->scale * (at->gain ? (double)at->gain[c] : 1);
}

/* What each head gives: heads[h] . (W_O^T u) over its own columns. */
static int sum_heads(sublayer_sum *y, const sublayer *at, const float *heads, int64_t width, err *e)
{
    float *row = mem_array((size_t)y->out->n_in, sizeof *row, e);
    double *f = mem_array((size_t)width, sizeof *f, e);
    int rc = row && f ? 0 : ERR_RESOURCE;
    if (!rc && at->out.kind != NORM_NONE)
        rc = project(f, y->out, heads, e);
    if (!rc) {
        through_sublayer(y->u, at, width);
        through_norm(y->u, &y->bias, &at->out, f, width);
    }
    for (int64_t c = 0; c < width && !rc; c++) {
        weight_load(row, y->out, c, 0, y->out->n_in);
        y->bias += y->out->bias ? y->u[c] * (double)y->out->bias[c] : 0;
        for (int h = 0; h < y->n_head; h++) {
            double sum = 0;
            for (int64_t j = h * y->d; j < (h + 1) * y->d; j++)
                sum += (double)row[j] * (double)heads[j];
            y->head[h] += y->u[c] * sum;
        }
    }
    free(row);
    free(f);
    return rc;
}

/* The bias of a sublayer whose output is kept as a whole: exact where no norm stands behind it, else 0 (it is then part
 * of the output). */
static double plain_bias(const double *u, const sublayer *at, const float *bias, int64_t width)
{
    double sum = 0;
    for (int64_t c = 0; c < width && bias && at->out.kind == NORM_NONE; c++)
        sum += u[c] * (double)at->scale * (at->gain ? (double)at->gain[c] : 1) * (double)bias[c];
    return sum;
}

static int layer_heads(sublayer_sum *y, const double *u, const metric_ctx *c, const attribution_state *s, int layer, err *e)
{
    const model_layer *l = &c->model->main->layers[layer];
    *y = (sublayer_sum){.out = l->delta ? &l->delta->out : &l->self.out,
                        .n_head = l->delta ? l->delta->n_value_head : l->self.plan.n_head,
                        .d = l->delta ? l->delta->d_value : l->self.plan.d_v};
    y->u = mem_array((size_t)s->width, sizeof *y->u, e);
    y->head = mem_array((size_t)y->n_head, sizeof *y->head, e);
    if (!y->u || !y->head)
        return ERR_RESOURCE;
    memcpy(y->u, u, (size_t)s->width * sizeof *u);
    return sum_heads(y, &l->at_self, s->heads[layer], s->width, e);
}

/* ---- emitting ---- */

static int emit_layer(const metric_ctx *c, attribution_state *s, attribution_part part, int layer, const double *u,
                      const result_sink *out, err *e)
{
    const model_layer *l = &c->model->main->layers[layer];
    const float *mlp_bias = l->moe ? NULL : l->mlp.down.bias, *cross_bias = l->has_cross ? l->cross.out.bias : NULL;
    float *const *added = s->added + 3 * layer;
    sublayer_sum y = {0};
    double bias = 0, of_mlp = 0, of_cross = 0;
    int rc = 0;
    if ((part == ATTRIBUTION_HEADS || part == ATTRIBUTION_BIAS) && s->heads[layer] && added[PART_SELF])
        rc = layer_heads(&y, u, c, s, layer, e);
    if (added[PART_MLP]) {
        of_mlp = plain_bias(u, &l->at_mlp, mlp_bias, s->width);
        bias += of_mlp;
    }
    if (added[PART_CROSS]) {
        of_cross = plain_bias(u, &l->at_cross, cross_bias, s->width);
        bias += of_cross;
    }
    for (int h = 0; h < y.n_head && part == ATTRIBUTION_HEADS && !rc; h++)
        rc = metric_emit(c, out, layer, h, NO_INDEX, y.head[h], e);
    if (part == ATTRIBUTION_BIAS && !rc)
        rc = metric_emit(c, out, layer, NO_INDEX, NO_INDEX, bias + y.bias, e);
    if (part == ATTRIBUTION_MLP && added[PART_MLP])
        rc = metric_emit(c, out, layer, NO_INDEX, NO_INDEX, dot_rows(u, added[PART_MLP], s->width) - of_mlp, e);
    if (part == ATTRIBUTION_CROSS && added[PART_CROSS])
        rc = metric_emit(c, out, layer, NO_INDEX, NO_INDEX, dot_rows(u, added[PART_CROSS], s->width) - of_cross, e);
    free(y.u);
    free(y.head);
    return rc;
}

/* What the embedding of the position gives; *there false: it cannot be told from the token. */
static int position_part(double *value, bool *there, const metric_ctx *c, const attribution_state *s, const double *u,
                         err *e)
{
    const embedding *b = &c->model->main->embed;
    *value = 0;
    *there = attribution_has_positions(b, s->width) && !(c->ids && c->placeholder >= 0);
    if (!*there)
        return 0;
    float *row = mem_array((size_t)s->width, sizeof *row, e);
    if (!row)
        return ERR_RESOURCE;
    weight_load(row, &b->positions, b->position_offset + s->position, 0, s->width);
    *value = dot_rows(u, row, s->width);
    free(row);
    return 0;
}

static int emit_ends(const metric_ctx *c, const attribution_state *s, attribution_part part, const double *u,
                     double constant, const result_sink *out, err *e)
{
    double position, value = 0;
    bool there;
    int rc = position_part(&position, &there, c, s, u, e);
    bool wanted = part == ATTRIBUTION_EMBEDDING || part == ATTRIBUTION_BIAS || part == ATTRIBUTION_LOGIT ||
                  (part == ATTRIBUTION_POSITION && there);
    if (rc || !wanted)
        return rc;
    if (part == ATTRIBUTION_EMBEDDING)
        value = dot_rows(u, s->first, s->width) - position;
    else if (part == ATTRIBUTION_POSITION)
        value = position;
    else
        value = constant + (part == ATTRIBUTION_LOGIT ? dot_rows(u, s->last, s->width) : 0);
    return metric_emit(c, out, NO_INDEX, NO_INDEX, s->position, value, e);
}

int attribution_end(metric_ctx *c, attribution_part part, const result_sink *out, err *e)
{
    attribution_state *s = c->shared;
    double *u = mem_array((size_t)s->width + 1, sizeof *u, e), constant;
    bool layers = part != ATTRIBUTION_EMBEDDING && part != ATTRIBUTION_POSITION && part != ATTRIBUTION_LOGIT;
    int rc = u && s->first && s->last ? attribution_direction(u, &constant, c, s, e) : ERR_RESOURCE;
    /* A part may be finite though the logit is not: biases that are not there. */
    double logit = rc ? 0 : constant + dot_rows(u, s->last, s->width);
    if (!rc && !isfinite(logit))
        rc = metric_emit(c, out, NO_INDEX, NO_INDEX, s->position, logit, e);
    for (int l = 0; l < s->n_layer && layers && !rc; l++)
        rc = emit_layer(c, s, part, l, u, out, e);
    if (!rc)
        rc = emit_ends(c, s, part, u, constant, out, e);
    free(u);
    return rc;
}
