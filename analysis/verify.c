#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "analysis/reference.h"
#include "base/mem.h"
#include "base/npz.h"

/* Differences of one array, or of one piece of it. */
typedef struct difference {
    double max_abs;
    double sum_sq_diff, sum_sq_ref;
    double score;             /* attention: largest score, as a magnitude */
    int64_t n;
} difference;

/* Pieces of attention of one head, and of another, are compared on different threads. */
typedef struct difference_cell {
    _Alignas(64) difference d;
} difference_cell;

typedef struct verification {
    const model *m;
    npz *ref;
    input_lengths len;
    attn_site site;           /* of the attention at hand */
    npy attn, logits;         /* in use while .data is set */
    difference_cell *cells;   /* [in_flight, n_chunk] */
    int in_flight, n_chunk;
    difference layer_sum;     /* of the attention of the layer at hand */
    difference logits_sum;
    attn_tap tap;
    verify_row *rows;         /* [n_row], room for all arrays of the model */
    int n_row;
} verification;

static inline double ref_at(const npy *a, int64_t i)
{
    if (a->dtype == NPY_F32) {
        float x;
        memcpy(&x, (const char *)a->data + (size_t)i * sizeof(x), sizeof(x));
        return (double)x;
    }
    return npy_real(a, i);
}

static inline void difference_add(difference *d, double ours, double ref)
{
    double diff = ours - ref, abs = fabs(diff);
    if (!(abs <= d->max_abs))
        d->max_abs = isnan(abs) ? INFINITY : abs;
    d->sum_sq_diff += diff * diff;
    d->sum_sq_ref += ref * ref;
    d->n++;
}

static void difference_merge(difference *into, const difference *from)
{
    if (from->max_abs > into->max_abs)
        into->max_abs = from->max_abs;
    if (from->score > into->score)
        into->score = from->score;
    into->sum_sq_diff += from->sum_sq_diff;
    into->sum_sq_ref += from->sum_sq_ref;
    into->n += from->n;
}

/* A score s is rounded by up to |s| 2^-24 each time a float32 implementation touches it, and a probability
 * moves by as much as its scores.  The reference implementation itself, run on two kinds of processor, was seen
 * to differ by twice |s| 2^-23 on sharp heads (scores of 170). */
static double score_resolution(const difference *d)
{
    return 4 * d->score * 0x1p-23;
}

static void add_row(verification *v, const char *array, int layer, const difference *d)
{
    verify_row *row = &v->rows[v->n_row++];
    snprintf(row->array, sizeof(row->array), "%s", array);
    row->layer = layer;
    row->max_abs = d->max_abs;
    row->rms = d->n > 0 ? sqrt(d->sum_sq_ref / (double)d->n) : 0;
    row->nmse = d->sum_sq_diff == 0 ? 0 : d->sum_sq_diff / d->sum_sq_ref;
    if (isnan(row->nmse) || isnan(row->rms)) {
        row->nmse = INFINITY;
        row->rms = isnan(row->rms) ? INFINITY : row->rms;
    }
    row->resolution = score_resolution(d);
    size_t tail = strlen(array);
    double reached = row->max_abs;
    if (!strcmp(array, "logits")) {
        row->gate = VERIFY_GATE_LOGITS;
        reached = isinf(row->max_abs) ? INFINITY : row->nmse;
    } else {
        bool attn = tail >= 4 && !strcmp(array + tail - 4, "attn");
        row->gate = attn ? VERIFY_GATE_ATTN : VERIFY_GATE_HIDDEN * row->rms;
    }
    row->pass = isfinite(reached) && reached <= row->gate;
}

/* One array of the reference, checked against the shape that the model gives it. */
static int get_array(npy *out, const npz *ref, const char *name, int n_dim, const int64_t *shape, err *e)
{
    int r = npz_get(out, ref, name, e);
    if (r != 0)
        return r;
    bool same = out->n_dim == n_dim;
    for (int i = 0; i < n_dim && same; i++)
        same = out->shape[i] == shape[i];
    if (!same) {
        char theirs[128], ours[128];
        reference_shape_text(theirs, sizeof(theirs), out->n_dim, out->shape);
        reference_shape_text(ours, sizeof(ours), n_dim, shape);
        err_set(e, ERR_INPUT, "%s has shape %s, the model gives %s", name, theirs, ours);
        r = err_hint(e, "it must come from the same checkpoint and hold one prompt, without a batch axis");
    } else if (out->dtype != NPY_F32 && out->dtype != NPY_F64 && out->dtype != NPY_F16) {
        err_set(e, ERR_INPUT, "%s holds %s, not floating-point numbers", name, npy_dtype_name(out->dtype));
        r = err_hint(e, "store it as float32 or float64");
    }
    if (r != 0)
        npy_free(out);
    return r;
}

/* What arrays of this kind of attention are called: those of the stack that gives the logits have no prefix. */
static const char *prefix_of(const model *m, attn_kind kind)
{
    return kind == ATTN_CROSS ? "cross_" : kind == m->main->kind ? "" : "enc_";
}

static int get_attn(npy *out, const verification *v, const attn_site *s, err *e)
{
    char name[48];
    snprintf(name, sizeof(name), "%sattn_%d", prefix_of(v->m, s->kind), s->layer);
    if (!npz_has(v->ref, name))
        return 0;
    return get_array(out, v->ref, name, 3, (int64_t[]){s->plan->n_head, s->n_query, s->n_key}, e);
}

static int get_hidden(npy *out, const verification *v, attn_kind stack_kind, int layer, err *e)
{
    char name[48];
    snprintf(name, sizeof(name), "%shidden_%d", prefix_of(v->m, stack_kind), layer);
    if (!npz_has(v->ref, name))
        return 0;
    int64_t n = input_queries(&v->len, v->m, stack_kind);
    return get_array(out, v->ref, name, 2, (int64_t[]){n, model_stack(v->m, stack_kind)->width}, e);
}

static void done_with(npy *a)
{
    npy_free(a);
    *a = (npy){0};
}

static int on_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    verification *v = ud;
    npy ref = {0};
    int r = get_hidden(&ref, v, kind, layer, e);
    if (r != 0 || !ref.data)
        return r;
    difference d = {0};
    char array[32];
    for (int64_t i = 0; i < n * width; i++)
        difference_add(&d, (double)x[i], ref_at(&ref, i));
    snprintf(array, sizeof(array), "%shidden", prefix_of(v->m, kind));
    add_row(v, array, layer, &d);
    done_with(&ref);
    return 0;
}

static difference *cell_of(const verification *v, int head, int chunk)
{
    return &v->cells[(head % v->in_flight) * v->n_chunk + chunk].d;
}

/* What the reference holds outside the visible keys must be 0. */
static void on_rows(void *ud, const attn_rows *r)
{
    verification *v = ud;
    difference *d = cell_of(v, r->head, r->chunk);
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t n = v->site.n_key, row = ((int64_t)r->head * v->site.n_query + r->q0 + i) * n;
        double score = fabs((double)r->lse[i] + log((double)r->maximum[i]));
        if (isfinite(score) && score > d->score)
            d->score = score;
        for (int64_t k = 0; k < r->visible_lo[i]; k++)
            difference_add(d, 0, ref_at(&v->attn, row + k));
        for (int64_t k = r->visible_hi[i]; k < n; k++)
            difference_add(d, 0, ref_at(&v->attn, row + k));
    }
}

static void on_tile(void *ud, const attn_tile *t)
{
    verification *v = ud;
    difference *d = cell_of(v, t->head, t->chunk);
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t row = ((int64_t)t->head * v->site.n_query + q) * v->site.n_key, from, to;
        attn_tile_visible(t, q, &from, &to);
        for (int64_t k = from; k < to; k++)
            difference_add(d, (double)attn_tile_at(t, q, k), ref_at(&v->attn, row + k));
    }
}

static int on_heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    verification *v = ud;
    (void)e;
    for (int head = head0; head < head1; head++)
        for (int chunk = 0; chunk < v->n_chunk; chunk++) {
            difference *d = cell_of(v, head, chunk);
            difference_merge(&v->layer_sum, d);
            *d = (difference){0};
        }
    if (head1 == v->site.plan->n_head) {
        char array[32];
        snprintf(array, sizeof(array), "%sattn", prefix_of(v->m, v->site.kind));
        add_row(v, array, layer, &v->layer_sum);
        v->layer_sum = (difference){0};
        done_with(&v->attn);
    }
    return 0;
}

static int on_attention(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    verification *v = ud;
    (void)m;
    v->site = *site;
    int r = get_attn(&v->attn, v, site, e);
    if (r == 0 && v->attn.data) {
        v->tap = (attn_tap){
            .need = ATTN_NEED_PROBS | ATTN_NEED_LSE | ATTN_NEED_MAX, .rows = on_rows, .tile = on_tile,
            .heads_done = on_heads_done, .ud = v,
        };
        *tap = &v->tap;
    }
    return r;
}

static int on_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    verification *v = ud;
    (void)e;
    for (int64_t i = 0; i < n * vocab; i++)
        difference_add(&v->logits_sum, (double)logits[i], ref_at(&v->logits, pos0 * vocab + i));
    if (pos0 + n == v->len.main)
        add_row(v, "logits", NO_INDEX, &v->logits_sum);
    return 0;
}

/* One array name of a reference: "enc_hidden_3" and the like.  false: some other name. */
typedef struct array_name { bool hidden; char prefix[8]; int layer; } array_name;

static bool parse_name(array_name *out, const char *name)
{
    static const char *const prefixes[] = {"", "enc_", "cross_"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(prefixes[i]);
        int end = 0;
        if (strncmp(name, prefixes[i], n) != 0)
            continue;
        snprintf(out->prefix, sizeof(out->prefix), "%s", prefixes[i]);
        if (sscanf(name + n, "hidden_%5d%n", &out->layer, &end) == 1 && name[n + (size_t)end] == '\0' && out->layer >= 0) {
            out->hidden = true;
            return true;
        }
        end = 0;
        if (sscanf(name + n, "attn_%5d%n", &out->layer, &end) == 1 && name[n + (size_t)end] == '\0' && out->layer >= 0) {
            out->hidden = false;
            return true;
        }
    }
    return false;
}

/* The stack that a prefix means in this model; NULL: it has none. */
static const stack *named_stack(const model *m, const char *prefix)
{
    if (!prefix[0])
        return m->main;
    if (!strcmp(prefix, "cross_"))
        return m->encoder ? m->main : NULL;
    return m->encoder ? m->encoder : m->vision;
}

/* Layers that this model does not have, so that a reference of another model is refused before the run rather
 * than after it. */
static int check_reference(verification *v, err *e)
{
    bool any = false;
    for (int i = 0; i < npz_count(v->ref); i++) {
        const char *name = npz_name(v->ref, i);
        array_name a;
        any |= !strcmp(name, "logits");
        if (!parse_name(&a, name))
            continue;
        char exact[48];
        snprintf(exact, sizeof(exact), "%s%s_%d", a.prefix, a.hidden ? "hidden" : "attn", a.layer);
        if (strcmp(exact, name) != 0)
            return err_set(e, ERR_INPUT, "the reference has %s; arrays are named like %s", name, exact);
        const stack *s = named_stack(v->m, a.prefix);
        if (!s)
            return err_set(e, ERR_INPUT, "the reference has %s, the model has no such stack", name);
        if (a.layer > s->n_layer - (a.hidden ? 0 : 1))
            return err_set(e, ERR_INPUT, "the reference has %s, the model %d layers", name, s->n_layer);
        any = true;
    }
    if (!any) {
        err_set(e, ERR_INPUT, "the reference has none of hidden_*, attn_* and logits: nothing to compare");
        return err_hint(e, "`dump` and examples/reference/make_reference.py write them");
    }
    npy a = {0};
    int r = get_hidden(&a, v, v->m->main->kind, 0, e);
    done_with(&a);
    if (r == 0 && npz_has(v->ref, "logits") && v->m->head.unembedding.data)
        r = get_array(&v->logits, v->ref, "logits", 2, (int64_t[]){v->len.main, v->m->vocab}, e);
    return r;
}

/* How far beyond its gate a row is; 1 is at the gate. */
static double excess(const verify_row *row)
{
    double reached = strcmp(row->array, "logits") ? row->max_abs : row->nmse;
    if (row->pass)
        return 0;
    return row->gate > 0 ? reached / row->gate : INFINITY;
}

static int verdict(const verification *v, err *e)
{
    const verify_row *worst = NULL;
    int failed = 0;
    for (int i = 0; i < v->n_row; i++) {
        const verify_row *row = &v->rows[i];
        if (row->pass)
            continue;
        failed++;
        if (!worst || excess(row) > excess(worst))
            worst = row;
    }
    if (!worst)
        return 0;
    char name[48];
    if (worst->layer == NO_INDEX)
        snprintf(name, sizeof(name), "%s", worst->array);
    else
        snprintf(name, sizeof(name), "%s_%d", worst->array, worst->layer);
    bool logits = !strcmp(worst->array, "logits");
    err_set(e, ERR_DIFFERS, "%d of %d arrays differ, %s most: %s %.3g, gate %.3g", failed, v->n_row,
                   name, logits ? "nmse" : "max abs", logits ? worst->nmse : worst->max_abs, worst->gate);
    if (strstr(worst->array, "attn") && worst->max_abs <= worst->resolution)
        err_hint(e, "scores so large resolve to about %.1e in float32: a reference made on another kind of processor "
                    "can differ by that", worst->resolution);
    return ERR_DIFFERS;
}

static int reserve(verification *v, const runtime *r, err *e)
{
    static const attn_kind kinds[] = {ATTN_SELF, ATTN_ENCODER, ATTN_CROSS, ATTN_VISION};
    size_t rows = 4;
    v->n_chunk = v->in_flight = 1;
    for (int i = 0; i < 4; i++) {
        const stack *s = model_stack(v->m, kinds[i]);
        int64_t n = input_queries(&v->len, v->m, kinds[i]);
        for (int l = 0; s && l < s->n_layer; l++) {
            const attention_block *b = model_attention(v->m, kinds[i], l);
            int heads = b ? attn_heads_in_flight(runtime_threads(r), b->plan.n_head, n) : 1;
            v->in_flight = heads > v->in_flight ? heads : v->in_flight;
            rows += 2;
        }
        rows++;
        v->n_chunk = s && attn_chunks(n) > v->n_chunk ? attn_chunks(n) : v->n_chunk;
    }
    v->rows = mem_array(rows, sizeof(*v->rows), e);
    v->cells = mem_large((size_t)v->in_flight * (size_t)v->n_chunk * sizeof(*v->cells), e);
    if (!v->rows || !v->cells)
        return ERR_RESOURCE;
    memset(v->cells, 0, (size_t)v->in_flight * (size_t)v->n_chunk * sizeof(*v->cells));
    return 0;
}

int verify_run(runtime *r, const model *m, const char *reference, verify_row **rows, int *n_row,
               const progress *p, err *e)
{
    *rows = NULL;
    *n_row = 0;
    verification v = {.m = m};
    reference_input in = {0};
    int rc = npz_open(&v.ref, reference, e);
    if (rc != 0)
        return rc;
    if ((rc = reference_input_take(&in, m, v.ref, e)) || (rc = input_measure(&v.len, m, &in.in, e)) ||
        (rc = check_reference(&v, e))) {
        err_prefix(e, "%s", reference);
        goto out;
    }
    if ((rc = reserve(&v, r, e)))
        goto out;
    observer o = {
        .attention = on_attention,
        .hidden = on_hidden,
        .logits = v.logits.data ? on_logits : NULL,
        .ud = &v,
    };
    rc = forward(r, &in.in, &o, p, e);
    if (rc == 0)
        rc = verdict(&v, e);
    if (rc == 0 || rc == ERR_DIFFERS) {
        *rows = v.rows;
        *n_row = v.n_row;
        v.rows = NULL;
    }
out:
    free(v.rows);
    mem_free_large(v.cells);
    npy_free(&v.attn);
    npy_free(&v.logits);
    npz_close(v.ref);
    reference_input_free(&in);
    return rc;
}
