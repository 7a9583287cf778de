/* The layers of a stack: attention, cross attention and MLP as sublayers of the residual stream.
 *
 * Weights are read once a layer; the activations of all tokens pass by in blocks of rows. */
#include <math.h>

#include "base/cancel.h"
#include "compute/kernels.h"
#include "model/runtime.h"

/* x = after(x + scale * gain * out(added)) over a block of rows; only what the sublayer has. */
static void join(pass *a, const sublayer *at, float *x, float *added, int64_t rows)
{
    int64_t width = a->s->width;
    if (at->out.kind != NORM_NONE)
        rows_norm(a->r, &at->out, added, width, added, width, rows, width);
    if (at->gain)
        rows_gain(a->r, added, width, at->gain, rows, width);
    rows_scale(a->r, added, width, at->scale, rows, width);
    rows_add(a->r, x, width, added, width, rows, width);
    if (at->after.kind != NORM_NONE)
        rows_norm(a->r, &at->after, x, width, x, width, rows, width);
}

static void feed_forward(pass *a, const model_layer *y, const float *in, float *out, int64_t rows)
{
    if (y->moe)
        moe_rows(a, y->moe, in, out, rows);
    else
        mlp_rows(a, &y->mlp, in, a->s->width, out, rows);
}

/* What the MLP reads of a block of rows of x. */
static const float *mlp_input(pass *a, const model_layer *y, float *x, int64_t rows)
{
    int64_t width = a->s->width;
    const norm *n = y->parallel && y->shared_norm ? &y->at_self.pre : &y->at_mlp.pre;
    if (n->kind == NORM_NONE)
        return x;
    float *normed = y->at_mlp.residual_normed ? x : a->r->buf[BUF_NORMED];
    rows_norm(a->r, n, normed, width, x, width, rows, width);
    return normed;
}

/* BUF_HEADS through the output projection into the stream; with a parallel MLP that too. */
static void leave_attention(pass *a, const model_layer *y, const sublayer *at, const weight *out, int64_t ldo, bool parallel)
{
    runtime *r = a->r;
    int64_t width = a->s->width;
    for (int64_t row = 0; row < a->n; row += RUNTIME_ROWS) {
        int64_t rows = a->n - row < RUNTIME_ROWS ? a->n - row : RUNTIME_ROWS;
        float *x = r->buf[BUF_X] + row * width, *added = r->buf[BUF_ADDED];
        rows_linear(r, added, width, r->buf[BUF_HEADS] + row * ldo, ldo, rows, out, a->decoding);
        if (parallel)
            feed_forward(a, y, mlp_input(a, y, x, rows), r->buf[BUF_ADDED_2], rows);
        join(a, at, x, added, rows);
        if (parallel)
            join(a, &y->at_mlp, x, r->buf[BUF_ADDED_2], rows);
    }
}

static void mlp_sublayer(pass *a, const model_layer *y)
{
    runtime *r = a->r;
    int64_t width = a->s->width;
    for (int64_t row = 0; row < a->n; row += RUNTIME_ROWS) {
        int64_t rows = a->n - row < RUNTIME_ROWS ? a->n - row : RUNTIME_ROWS;
        float *x = r->buf[BUF_X] + row * width;
        feed_forward(a, y, mlp_input(a, y, x, rows), r->buf[BUF_ADDED], rows);
        join(a, &y->at_mlp, x, r->buf[BUF_ADDED], rows);
    }
}

static int layer(pass *a, int l, err *e)
{
    const model_layer *y = &a->s->layers[l];
    const attn_plan *p = &y->self.plan;
    int rc;
    if (y->delta) {
        if ((rc = delta_net_rows(a, l, e)))
            return rc;
        leave_attention(a, y, &y->at_self, &y->delta->out, (int64_t)y->delta->n_value_head * y->delta->d_value, y->parallel);
    } else {
        if ((rc = attend_self(a, l, e)))
            return rc;
        leave_attention(a, y, &y->at_self, &y->self.out, (int64_t)p->n_head * p->d_v, y->parallel);
    }
    if (y->has_cross) {
        p = &y->cross.plan;
        if ((rc = attend_cross(a, l, e)))
            return rc;
        leave_attention(a, y, &y->at_cross, &y->cross.out, (int64_t)p->n_head * p->d_v, false);
    }
    if (!y->parallel)
        mlp_sublayer(a, y);
    return cancel_check(e);
}

/* ALiBi: slope times key position, over all keys. */
static void fill_key_bias(pass *a)
{
    const stack *s = a->s;
    int64_t n_key = a->pos0 + a->n;
    int heads = s->layers[0].self.plan.n_head;
    for (int h = 0; h < heads; h++)
        for (int64_t k = 0; k < n_key; k++) {
            float b = s->alibi_slopes[h] * (float)k;
            if (s->alibi_bf16)
                b = bf16_to_f32(f32_to_bf16(bf16_to_f32(f32_to_bf16(s->alibi_slopes[h])) * (float)k));
            a->r->buf[BUF_KEY_BIAS][h * n_key + k] = b * s->alibi_scale;
        }
}

/* T5's bucket of a relative position (key - query): Raffel et al., arXiv 1910.10683, section 2.1, and the
 * rounding of the reference code. */
static int bucket(const stack *s, int64_t relative)
{
    int n = s->rel_buckets, base = 0;
    int64_t distance;
    if (s->rel_bidirectional) {
        n /= 2;
        base = relative > 0 ? n : 0;
        distance = relative < 0 ? -relative : relative;
    } else {
        distance = relative < 0 ? -relative : 0;
    }
    int exact = n / 2;
    if (distance < exact)
        return base + (int)distance;
    float ratio = logf((float)distance / (float)exact) / (float)log((double)s->rel_max_distance / exact);
    int64_t far = exact + (int64_t)(ratio * (float)(n - exact));
    return base + (int)(far < n - 1 ? far : n - 1);
}

static void fill_rel_bias(pass *a)
{
    const stack *s = a->s;
    int64_t n_key = a->pos0 + a->n, len = a->n + n_key - 1;
    int heads = s->layers[0].self.plan.n_head;
    for (int64_t i = 0; i < len; i++) {
        int b = bucket(s, i - (a->pos0 + a->n - 1));
        for (int h = 0; h < heads; h++)
            a->r->buf[BUF_REL_BIAS][h * len + i] = s->rel_table[(int64_t)b * heads + h];
    }
}

int stack_layers(pass *a, err *e)
{
    const stack *s = a->s;
    const observer *o = a->o;
    int n = s->n_run, rc = cancel_check(e);
    if (rc) /* the pool skips work once a cancel is asked for: what was embedded is not to be shown */
        return rc;
    if (s->alibi_slopes)
        fill_key_bias(a);
    if (s->rel_table)
        fill_rel_bias(a);
    for (int l = 0; l < n; l++) {
        progress_step(a->p, "layer", l, n);
        if (o && o->hidden && (rc = o->hidden(o->ud, s->kind, l, a->r->buf[BUF_X], a->n, s->width, e)))
            return rc;
        if ((rc = layer(a, l, e)))
            return rc;
    }
    progress_step(a->p, "layer", n, n);
    return o && o->hidden ? o->hidden(o->ud, s->kind, n, a->r->buf[BUF_X], a->n, s->width, e) : 0;
}
