/* The layers of a stack: attention, cross attention and MLP as sublayers of the residual stream.
 *
 * Weights are read once a layer; the activations of all tokens pass by in blocks of rows. */
#include <math.h>

#include "base/cancel.h"
#include "compute/kernels.h"
#include "model/runtime.h"

/* A part of a layer: what join needs to tell observers and edits. */
typedef struct place { int layer; model_part part; int64_t row; } place;

/* Edits and observers of rows x [rows, width] of a part: each prompt its own.  inner: what the down projection reads, which
 * is not edited. */
static int show_rows(pass *a, const place *at, float *x, int64_t rows, int64_t width, bool inner, err *e)
{
    const forward_edits *edits = a->r->edits;
    int rc = 0;
    for (int i = 0; i < pass_segments(a) && !rc; i++) {
        segment s = pass_segment(a, i);
        int64_t first = s.row > at->row ? s.row : at->row, end = s.row + s.n < at->row + rows ? s.row + s.n : at->row + rows;
        if (first >= end)
            continue;
        float *own = x + (first - at->row) * width;
        const part_rows part = {.stack = a->s->kind, .layer = at->layer, .part = at->part, .row = first - s.row,
                                .rows = end - first, .width = width, .x = own};
        if (inner) {
            rc = s.o && s.o->inner ? s.o->inner(s.o->ud, &part, e) : 0;
            continue;
        }
        if (edits && edits->added)
            rc = edits->added(edits->ud, &part, a->pos0, own, e);
        if (!rc && s.o && s.o->added)
            rc = s.o->added(s.o->ud, &part, e);
    }
    return rc;
}

/* x = after(x + scale * gain * out(added)) over a block of rows; only what the sublayer has. */
static int join(pass *a, const sublayer *at, place here, float *x, float *added, int64_t rows, err *e)
{
    int64_t width = a->s->width;
    if (at->out.kind != NORM_NONE)
        rows_norm(a->r, &at->out, added, width, added, width, rows, width);
    if (at->gain)
        rows_gain(a->r, added, width, at->gain, rows, width);
    rows_scale(a->r, added, width, at->scale, rows, width);
    int rc = show_rows(a, &here, added, rows, width, false, e);
    if (rc)
        return rc;
    rows_add(a->r, x, width, added, width, rows, width);
    if (at->after.kind != NORM_NONE)
        rows_norm(a->r, &at->after, x, width, x, width, rows, width);
    return 0;
}

static bool skipped(const pass *a, int layer, model_part part)
{
    const forward_edits *edits = a->r->edits;
    return edits && edits->skip && edits->skip(edits->ud, a->s->kind, layer, part);
}

static int feed_forward(pass *a, const model_layer *y, place here, const float *in, float *out, int64_t rows, err *e)
{
    if (y->moe) {
        moe_rows(a, y->moe, in, out, rows);
        return 0;
    }
    mlp_rows(a, &y->mlp, in, a->s->width, out, rows);
    return show_rows(a, &here, a->r->buf[BUF_INNER], rows, y->mlp.inner, true, e);
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

/* The heads of a layer before the output projection: edits, then who watches. */
static int show_heads(pass *a, int layer, const attn_plan *plan, attn_kind kind, bool gated, int64_t width, err *e)
{
    runtime *r = a->r;
    const forward_edits *edits = r->edits;
    int rc = 0;
    for (int i = 0; i < pass_segments(a) && !rc; i++) {
        segment s = pass_segment(a, i);
        float *heads = runtime_heads(r) + s.row * width;
        const head_outputs h = {.kind = kind, .layer = layer, .plan = plan, .n = s.n, .pos0 = a->pos0, .width = width,
                                .heads = heads, .ungated = gated ? r->buf[BUF_GATES] + s.row * width : NULL};
        rc = edits && edits->heads ? edits->heads(edits->ud, &h, heads, e) : 0;
        if (!rc && s.o && s.o->heads)
            rc = s.o->heads(s.o->ud, &h, e);
    }
    return rc;
}

/* The heads through the output projection into the stream; with a parallel MLP that too.  attend: false where the
 * attention itself is left out. */
static int leave_attention(pass *a, int l, model_part part, const sublayer *at, const weight *out, int64_t ldo, bool attend,
                           bool parallel, err *e)
{
    runtime *r = a->r;
    const model_layer *y = &a->s->layers[l];
    int64_t width = a->s->width;
    parallel = parallel && !skipped(a, l, PART_MLP);
    int rc = 0;
    for (int64_t row = 0; row < a->n && !rc && (attend || parallel); row += RUNTIME_ROWS) {
        int64_t rows = a->n - row < RUNTIME_ROWS ? a->n - row : RUNTIME_ROWS;
        float *x = r->buf[BUF_X] + row * width, *added = r->buf[BUF_ADDED];
        const place at_mlp = {l, PART_MLP, row};
        if (attend)
            rows_linear(r, added, width, runtime_heads(r) + row * ldo, ldo, rows, out, a->decoding);
        if (parallel)
            rc = feed_forward(a, y, at_mlp, mlp_input(a, y, x, rows), r->buf[BUF_ADDED_2], rows, e);
        if (!rc && attend)
            rc = join(a, at, (place){l, part, row}, x, added, rows, e);
        if (!rc && parallel)
            rc = join(a, &y->at_mlp, at_mlp, x, r->buf[BUF_ADDED_2], rows, e);
    }
    return rc;
}

static int mlp_sublayer(pass *a, int l, err *e)
{
    runtime *r = a->r;
    const model_layer *y = &a->s->layers[l];
    int64_t width = a->s->width;
    int rc = 0;
    for (int64_t row = 0; row < a->n && !rc; row += RUNTIME_ROWS) {
        int64_t rows = a->n - row < RUNTIME_ROWS ? a->n - row : RUNTIME_ROWS;
        float *x = r->buf[BUF_X] + row * width;
        const place here = {l, PART_MLP, row};
        rc = feed_forward(a, y, here, mlp_input(a, y, x, rows), r->buf[BUF_ADDED], rows, e);
        if (!rc)
            rc = join(a, &y->at_mlp, here, x, r->buf[BUF_ADDED], rows, e);
    }
    return rc;
}

/* Self attention, or the delta rule in its place; x -> stream. */
static int self_sublayer(pass *a, int l, err *e)
{
    const model_layer *y = &a->s->layers[l];
    const attn_plan *p = &y->self.plan;
    const weight *out = y->delta ? &y->delta->out : &y->self.out;
    int64_t ldo = y->delta ? (int64_t)y->delta->n_value_head * y->delta->d_value : (int64_t)p->n_head * p->d_v;
    bool attend = !skipped(a, l, PART_SELF);
    int rc = 0;
    if (attend)
        rc = y->delta ? delta_net_rows(a, l, e) : attend_self(a, l, e);
    if (!rc && attend)
        rc = show_heads(a, l, y->delta ? NULL : p, a->s->kind, !y->delta && y->self.gate.data, ldo, e);
    return rc ? rc : leave_attention(a, l, PART_SELF, &y->at_self, out, ldo, attend, y->parallel, e);
}

static int cross_sublayer(pass *a, int l, err *e)
{
    const model_layer *y = &a->s->layers[l];
    const attn_plan *p = &y->cross.plan;
    int64_t ldo = (int64_t)p->n_head * p->d_v;
    int rc = attend_cross(a, l, e);
    if (!rc)
        rc = show_heads(a, l, p, ATTN_CROSS, false, ldo, e);
    return rc ? rc : leave_attention(a, l, PART_CROSS, &y->at_cross, &y->cross.out, ldo, true, false, e);
}

static int layer(pass *a, int l, err *e)
{
    const model_layer *y = &a->s->layers[l];
    int rc = self_sublayer(a, l, e);
    if (!rc && y->has_cross && !skipped(a, l, PART_CROSS))
        rc = cross_sublayer(a, l, e);
    if (!rc && !y->parallel && !skipped(a, l, PART_MLP))
        rc = mlp_sublayer(a, l, e);
    return rc || a->r->ring ? rc : cancel_check(e); /* the ranks of a ring have agreed on that in the attention */
}

/* ALiBi: slope times key position, over all keys. */
static void fill_key_bias(pass *a, int64_t n_key)
{
    const stack *s = a->s;
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

static void fill_rel_bias(pass *a, int64_t n)
{
    const stack *s = a->s;
    int64_t n_key = a->pos0 + n, len = n + n_key - 1;
    int heads = s->layers[0].self.plan.n_head;
    for (int64_t i = 0; i < len; i++) {
        int b = bucket(s, i - (a->pos0 + n - 1));
        for (int h = 0; h < heads; h++)
            a->r->buf[BUF_REL_BIAS][h * len + i] = s->rel_table[(int64_t)b * heads + h];
    }
}

void fill_biases(pass *a, int64_t n, int64_t n_key)
{
    if (a->s->alibi_slopes)
        fill_key_bias(a, n_key);
    if (a->s->rel_table)
        fill_rel_bias(a, n);
}

/* The stream before block l: edits, then who watches. */
static int show_stream(pass *a, int l, err *e)
{
    const forward_edits *edits = a->r->edits;
    int64_t width = a->s->width;
    int rc = 0;
    for (int i = 0; i < pass_segments(a) && !rc; i++) {
        segment s = pass_segment(a, i);
        float *x = a->r->buf[BUF_X] + s.row * width;
        if (edits && edits->residual)
            rc = edits->residual(edits->ud, a->s->kind, l, a->pos0, x, s.n, width, e);
        if (!rc && s.o && s.o->hidden)
            rc = s.o->hidden(s.o->ud, a->s->kind, l, x, s.n, width, e);
    }
    return rc;
}

int stack_layers(pass *a, err *e)
{
    const stack *s = a->s;
    int n = s->n_run, rc = a->r->ring ? 0 : cancel_check(e);
    if (rc) /* the pool skips work once a cancel is asked for: what was embedded is not to be shown */
        return rc;
    if (pass_segments(a) == 1)
        fill_biases(a, a->n, pass_keys(a));
    for (int l = 0; l < n; l++) {
        progress_step(a->p, "layer", l, n);
        if ((rc = show_stream(a, l, e)) || (rc = layer(a, l, e)))
            return rc;
    }
    progress_step(a->p, "layer", n, n);
    return show_stream(a, n, e);
}
