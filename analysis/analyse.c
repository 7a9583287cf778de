#include "analysis/analyse.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/map.h"
#include "base/mem.h"

/* States of different (head, chunk) are written by different threads: no shared cache lines. */
enum { STATE_ALIGN = 64 };

typedef struct analysis {
    const model *m;
    const analysis_request *req;
    const result_sink *out;
    metric_ctx *ctx;        /* [n_metric] */
    size_t *offset;         /* [n_metric] of the metric's state within the states of a (head, chunk) */
    size_t stride;          /* bytes of all states of a (head, chunk) */
    unsigned char *states;  /* [in_flight, n_chunk] blocks of stride bytes, zero when a head begins */
    int in_flight, n_chunk;
    unsigned need;          /* of all head metrics */
    bool want_logits;
    map_set *maps;          /* NULL when none is asked for */
    attn_tap tap;           /* of the current layer */
} analysis;

static void *state_of(const analysis *a, int metric_index, int head, int chunk)
{
    size_t cell = (size_t)(head % a->in_flight) * (size_t)a->n_chunk + (size_t)chunk;
    return a->states + cell * a->stride + a->offset[metric_index];
}

static void on_rows(void *ud, const attn_rows *r)
{
    analysis *a = ud;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (m->scope == METRIC_HEAD && m->rows)
            m->rows(state_of(a, i, r->head, r->chunk), &a->ctx[i], r);
    }
}

static void on_tile(void *ud, const attn_tile *t)
{
    analysis *a = ud;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (m->scope == METRIC_HEAD && m->tile)
            m->tile(state_of(a, i, t->head, t->chunk), &a->ctx[i], t);
    }
    if (a->maps)
        map_set_tile(a->maps, t);
}

static int on_heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    analysis *a = ud;
    for (int head = head0; head < head1; head++) {
        for (int i = 0; i < a->req->n_metric; i++) {
            const metric *m = a->req->metrics[i];
            if (m->scope != METRIC_HEAD)
                continue;
            for (int chunk = 1; chunk < a->n_chunk; chunk++)
                m->merge(state_of(a, i, head, 0), state_of(a, i, head, chunk), &a->ctx[i]);
            int r = m->finish(state_of(a, i, head, 0), &a->ctx[i], layer, head, a->out, e);
            if (r != 0)
                return r;
        }
        if (a->maps && map_set_wants(a->maps, head)) {
            int r = map_set_emit(a->maps, head, a->out, e);
            if (r != 0)
                return r;
        }
        size_t slot = (size_t)(head % a->in_flight) * (size_t)a->n_chunk;
        memset(a->states + slot * a->stride, 0, (size_t)a->n_chunk * a->stride);
    }
    return 0;
}

/* The number of heads in flight is the attention's own choice for the layer's head count. */
static int on_attention(void *ud, const model *m, int layer, int64_t n, const attn_tap **tap, err *e)
{
    analysis *a = ud;
    (void)n;
    for (int i = 0; i < a->req->n_metric; i++)
        a->ctx[i].kind = m->layers[layer].attn.kind;
    a->tap = (attn_tap){a->need, on_rows, on_tile, on_heads_done, a};
    if (a->maps) {
        int r = map_set_layer(a->maps, layer, e);
        if (r != 0)
            return r;
        if (map_set_any(a->maps))
            a->tap.need |= ATTN_NEED_PROBS;
    }
    *tap = a->tap.need ? &a->tap : NULL;
    return 0;
}

static int on_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    analysis *a = ud;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (m->scope != METRIC_LOGITS)
            continue;
        int r = m->logits(&a->ctx[i], pos0, logits, n, vocab, a->out, e);
        if (r != 0)
            return r;
    }
    return 0;
}

/* Prepare the metrics, lay out and reserve their states. */
static int set_up(analysis *a, const runtime *r, const int32_t *ids, int64_t n, err *e)
{
    const analysis_request *req = a->req;
    a->ctx = mem_array((size_t)req->n_metric, sizeof(*a->ctx), e);
    a->offset = mem_array((size_t)req->n_metric, sizeof(*a->offset), e);
    if (!a->ctx || !a->offset)
        return ERR_RESOURCE;
    a->n_chunk = attn_chunks(n);
    a->in_flight = 1;
    for (int l = 0; l < a->m->n_layer; l++) {
        int heads = attn_heads_in_flight(runtime_threads(r), a->m->layers[l].attn.n_head, n);
        if (heads > a->in_flight)
            a->in_flight = heads;
    }
    for (int i = 0; i < req->n_metric; i++) {
        const metric *m = req->metrics[i];
        a->ctx[i] = (metric_ctx){m, req->p, ids, n, a->m->n_layer, ATTN_SELF, NULL};
        if (m->prepare) {
            int rc = m->prepare(&a->ctx[i], e);
            if (rc != 0)
                return rc;
        }
        if (m->scope == METRIC_LOGITS) {
            a->want_logits = true;
            continue;
        }
        a->need |= m->need;
        a->offset[i] = a->stride;
        size_t size = m->state_size(&a->ctx[i]);
        if (!size_add(&a->stride, a->stride, size) || !size_add(&a->stride, a->stride, STATE_ALIGN - 1))
            return err_nomem(e, "metric states");
        a->stride = a->stride / STATE_ALIGN * STATE_ALIGN;
    }
    size_t count, bytes;
    if (!size_mul(&count, (size_t)a->in_flight, (size_t)a->n_chunk) || !size_mul(&bytes, count, a->stride) ||
        !size_add(&bytes, bytes, STATE_ALIGN))
        return err_nomem(e, "metric states");
    a->states = mem_large(bytes, e);
    if (!a->states)
        return ERR_RESOURCE;
    memset(a->states, 0, bytes);
    if (req->n_map == 0)
        return 0;
    return map_set_new(&a->maps, a->m, req->maps, req->n_map, n, req->map_limit, a->n_chunk, a->in_flight, e);
}

int analyse(runtime *r, const model *m, const int32_t *ids, int64_t n, const analysis_request *req,
            const result_sink *out, const progress *p, err *e)
{
    if (n < 1)
        return err_set(e, ERR_USAGE, "the prompt has no tokens");
    analysis a = {.m = m, .req = req, .out = out};
    int rc = set_up(&a, r, ids, n, e);
    if (rc == 0) {
        observer o = {.attention = on_attention, .logits = a.want_logits ? on_logits : NULL, .ud = &a};
        rc = forward(r, ids, n, &o, p, e);
    }
    for (int i = 0; a.ctx && i < req->n_metric; i++)
        if (a.ctx[i].shared && req->metrics[i]->release)
            req->metrics[i]->release(&a.ctx[i]);
    map_set_free(a.maps);
    mem_free_large(a.states);
    free(a.offset);
    free(a.ctx);
    return rc;
}
