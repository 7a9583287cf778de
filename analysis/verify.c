#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
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
    int64_t n;
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
    double reached = row->max_abs;
    if (!strcmp(array, "logits")) {
        row->gate = VERIFY_GATE_LOGITS;
        reached = isinf(row->max_abs) ? INFINITY : row->nmse;
    } else {
        row->gate = !strcmp(array, "attn") ? VERIFY_GATE_ATTN : VERIFY_GATE_HIDDEN * row->rms;
    }
    row->pass = isfinite(reached) && reached <= row->gate;
}

/* "[8, 11, 11]" */
static void shape_text(char *out, size_t size, int n_dim, const int64_t *shape)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < n_dim && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%" PRId64, i ? ", " : "[", shape[i]);
    if (len < size)
        snprintf(out + len, size - len, n_dim ? "]" : "[]");
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
        shape_text(theirs, sizeof(theirs), out->n_dim, out->shape);
        shape_text(ours, sizeof(ours), n_dim, shape);
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

static int get_layer(npy *out, const verification *v, const char *array, int layer, err *e)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_%d", array, layer);
    if (!npz_has(v->ref, name))
        return 0;
    if (!strcmp(array, "hidden"))
        return get_array(out, v->ref, name, 2, (int64_t[]){v->n, v->m->width}, e);
    return get_array(out, v->ref, name, 3, (int64_t[]){v->m->layers[layer].attn.n_head, v->n, v->n}, e);
}

static void done_with(npy *a)
{
    npy_free(a);
    *a = (npy){0};
}

static int on_hidden(void *ud, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    verification *v = ud;
    npy ref = {0};
    int r = get_layer(&ref, v, "hidden", layer, e);
    if (r != 0 || !ref.data)
        return r;
    difference d = {0};
    for (int64_t i = 0; i < n * width; i++)
        difference_add(&d, (double)x[i], ref_at(&ref, i));
    add_row(v, "hidden", layer, &d);
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
        int64_t row = ((int64_t)r->head * v->n + r->q0 + i) * v->n;
        double score = fabs((double)r->lse[i] + log((double)r->maximum[i]));
        if (isfinite(score) && score > d->score)
            d->score = score;
        for (int64_t k = 0; k < r->visible_lo[i]; k++)
            difference_add(d, 0, ref_at(&v->attn, row + k));
        for (int64_t k = r->visible_hi[i]; k < v->n; k++)
            difference_add(d, 0, ref_at(&v->attn, row + k));
    }
}

static void on_tile(void *ud, const attn_tile *t)
{
    verification *v = ud;
    difference *d = cell_of(v, t->head, t->chunk);
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t row = ((int64_t)t->head * v->n + q) * v->n, from, to;
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
    if (head1 == v->m->layers[layer].attn.n_head) {
        add_row(v, "attn", layer, &v->layer_sum);
        v->layer_sum = (difference){0};
        done_with(&v->attn);
    }
    return 0;
}

static int on_attention(void *ud, const model *m, int layer, int64_t n, const attn_tap **tap, err *e)
{
    verification *v = ud;
    (void)m;
    (void)n;
    *tap = NULL;
    int r = get_layer(&v->attn, v, "attn", layer, e);
    if (r == 0 && v->attn.data) {
        v->tap = (attn_tap){ATTN_NEED_PROBS | ATTN_NEED_LSE | ATTN_NEED_MAX, on_rows, on_tile, on_heads_done,
                            v};
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
    if (pos0 + n == v->n)
        add_row(v, "logits", NO_INDEX, &v->logits_sum);
    return 0;
}

/* Inputs and layers that this model does not have; the first array of each sort, so that a reference of
 * another model is refused before the run rather than after it. */
static int check_reference(verification *v, err *e)
{
    static const char *const foreign[] = {"enc_ids", "pixel_values", "input_features", NULL};
    for (int i = 0; foreign[i]; i++)
        if (npz_has(v->ref, foreign[i])) {
            err_set(e, ERR_INPUT, "the reference has the input %s, which this model does not take",
                    foreign[i]);
            return err_hint(e, "the model reads token ids only");
        }
    bool any = false;
    for (int i = 0; i < npz_count(v->ref); i++) {
        const char *name = npz_name(v->ref, i);
        int layer = -1, end = 0;
        char exact[48] = "";
        if (sscanf(name, "hidden_%5d%n", &layer, &end) == 1 && name[end] == '\0' && layer >= 0) {
            snprintf(exact, sizeof(exact), "hidden_%d", layer);
            if (layer > v->m->n_layer)
                return err_set(e, ERR_INPUT, "the reference has %s, the model %d layers", name,
                               v->m->n_layer);
            any = true;
        } else if (sscanf(name, "attn_%5d%n", &layer, &end) == 1 && name[end] == '\0' && layer >= 0) {
            snprintf(exact, sizeof(exact), "attn_%d", layer);
            if (layer >= v->m->n_layer)
                return err_set(e, ERR_INPUT, "the reference has %s, the model %d layers", name,
                               v->m->n_layer);
            any = true;
        } else if (!strcmp(name, "logits")) {
            any = true;
        }
        if (exact[0] && strcmp(exact, name))
            return err_set(e, ERR_INPUT, "the reference has %s; arrays are named like %s", name, exact);
    }
    if (!any) {
        err_set(e, ERR_INPUT, "the reference has none of hidden_*, attn_* and logits: nothing to compare");
        return err_hint(e, "`dump` and examples/reference/make_reference.py write them");
    }
    npy a = {0};
    int r = get_layer(&a, v, "hidden", 0, e);
    done_with(&a);
    if (r == 0)
        r = get_layer(&a, v, "attn", 0, e);
    done_with(&a);
    if (r == 0 && npz_has(v->ref, "logits"))
        r = get_array(&v->logits, v->ref, "logits", 2, (int64_t[]){v->n, v->m->vocab}, e);
    return r;
}

static int read_ids(int32_t **ids, int64_t *n, const npz *ref, err *e)
{
    *ids = NULL;
    if (!npz_has(ref, "ids")) {
        err_set(e, ERR_INPUT, "the reference has no array ids");
        return err_hint(e, "it must hold the token ids of the run as an integer array [n]");
    }
    npy a;
    int r = npz_get(&a, ref, "ids", e);
    if (r != 0)
        return r;
    if (a.n_dim != 1 || a.count < 1) {
        char shape[128];
        shape_text(shape, sizeof(shape), a.n_dim, a.shape);
        r = err_set(e, ERR_INPUT, "ids has shape %s, expected [n]", shape);
    } else if (!(*ids = mem_array((size_t)a.count, sizeof(**ids), e))) {
        r = ERR_RESOURCE;
    }
    for (int64_t i = 0; r == 0 && i < a.count; i++) {
        int64_t id;
        if (!npy_int(&id, &a, i) || id < 0 || id > INT32_MAX)
            r = err_set(e, ERR_INPUT, "ids[%" PRId64 "] is not a token id", i);
        else
            (*ids)[i] = (int32_t)id;
    }
    *n = a.count;
    npy_free(&a);
    if (r != 0) {
        free(*ids);
        *ids = NULL;
    }
    return r;
}

int reference_ids(int32_t **ids, int64_t *n, const char *reference, err *e)
{
    npz *ref;
    *ids = NULL;
    int r = npz_open(&ref, reference, e);
    if (r != 0)
        return r;
    r = read_ids(ids, n, ref, e);
    if (r != 0)
        err_prefix(e, "%s", reference);
    npz_close(ref);
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
    if (!strcmp(worst->array, "attn") && worst->max_abs <= worst->resolution)
        err_hint(e, "scores so large resolve to about %.1e in float32: a reference made on another kind of processor "
                    "can differ by that", worst->resolution);
    return ERR_DIFFERS;
}

int verify_run(runtime *r, const model *m, const char *reference, verify_row **rows, int *n_row,
               const progress *p, err *e)
{
    *rows = NULL;
    *n_row = 0;
    verification v = {.m = m, .n_chunk = 1, .in_flight = 1};
    int32_t *ids = NULL;
    int rc = npz_open(&v.ref, reference, e);
    if (rc != 0)
        return rc;
    if ((rc = read_ids(&ids, &v.n, v.ref, e)) || (rc = check_reference(&v, e))) {
        err_prefix(e, "%s", reference);
        goto out;
    }
    v.n_chunk = attn_chunks(v.n);
    for (int l = 0; l < m->n_layer; l++) {
        int heads = attn_heads_in_flight(runtime_threads(r), m->layers[l].attn.n_head, v.n);
        v.in_flight = heads > v.in_flight ? heads : v.in_flight;
    }
    v.rows = mem_array((size_t)m->n_layer * 2 + 2, sizeof(*v.rows), e);
    v.cells = mem_large((size_t)v.in_flight * (size_t)v.n_chunk * sizeof(*v.cells), e);
    if (!v.rows || !v.cells) {
        rc = ERR_RESOURCE;
        goto out;
    }
    memset(v.cells, 0, (size_t)v.in_flight * (size_t)v.n_chunk * sizeof(*v.cells));
    observer o = {
        .attention = on_attention,
        .hidden = on_hidden,
        .logits = v.logits.data ? on_logits : NULL,
        .ud = &v,
    };
    rc = forward(r, ids, v.n, &o, p, e);
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
    free(ids);
    return rc;
}
