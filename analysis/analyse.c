#include "analysis/analyse_parts.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void *state_of(const analysis *a, int metric_index, int head, int chunk)
{
    const kind_plan *k = a->now;
    size_t cell = (size_t)(head % k->in_flight) * (size_t)k->n_chunk + (size_t)chunk;
    return a->states + cell * k->stride + k->offset[metric_index];
}

static void on_rows(void *ud, const attn_rows *r)
{
    analysis *a = ud;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (a->now->measured[i] && m->rows)
            m->rows(state_of(a, i, r->head, r->chunk), &a->now->ctx[i], r);
    }
}

static void on_tile(void *ud, const attn_tile *t)
{
    analysis *a = ud;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (a->now->measured[i] && m->tile)
            m->tile(state_of(a, i, t->head, t->chunk), &a->now->ctx[i], t);
    }
    if (a->maps)
        map_set_tile(a->maps, t);
}

/* Is any cell of part read: by a map, or by a metric? */
static bool on_reads(void *ud, const attn_tile *part)
{
    const analysis *a = ud;
    bool any = a->maps && map_set_wants(a->maps, part->head);
    for (int i = 0; i < a->req->n_metric && !any; i++) {
        const metric *m = a->req->metrics[i];
        any = a->now->measured[i] && m->tile && (!m->reads || m->reads(&a->now->ctx[i], part));
    }
    return any;
}

/* ---- metrics that see queries, keys, values, outputs and streams ---- */

static void on_panels(void *ud, const attn_panels *p)
{
    analysis *a = ud;
    unsigned char *state = a->panel_states + (size_t)p->chunk * a->panel_stride;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (!a->now->measured[i] || !m->panels)
            continue;
        m->panels(state, &a->now->ctx[i], p);
        state += round_state(m->panel_size(&a->now->ctx[i], p->n_head));
    }
}

/* All heads of a layer side by side, for the metrics that compare them. */
static int measure_panels(analysis *a, const attn_args *args, const kind_plan *k, err *e)
{
    size_t stride = 0, at = 0, bytes;
    for (int i = 0; i < a->req->n_metric; i++)
        if (k->measured[i] && a->req->metrics[i]->panels)
            stride += round_state(a->req->metrics[i]->panel_size(&k->ctx[i], args->n_head));
    if (!stride)
        return 0;
    if (!size_mul(&bytes, stride, (size_t)k->n_chunk))
        return err_nomem(e, "metric states");
    if (bytes > a->panel_room) {
        mem_free_large(a->panel_states);
        a->panel_room = 0;
        a->panel_states = mem_large(bytes, e);
        if (!a->panel_states)
            return ERR_RESOURCE;
        a->panel_room = bytes;
    }
    memset(a->panel_states, 0, bytes);
    a->panel_stride = stride;
    a->now = k;
    int rc = runtime_attention_panels(k->ctx[0].run, args, 1, on_panels, a, e);
    for (int i = 0; i < a->req->n_metric && !rc; i++) {
        const metric *m = a->req->metrics[i];
        if (!k->measured[i] || !m->panels)
            continue;
        for (int chunk = 1; chunk < k->n_chunk; chunk++)
            m->panel_merge(a->panel_states + at, a->panel_states + (size_t)chunk * stride + at, &k->ctx[i], args->n_head);
        rc = m->panel_finish(a->panel_states + at, &k->ctx[i], args->layer, args->n_head, a->out, e);
        at += round_state(m->panel_size(&k->ctx[i], args->n_head));
    }
    return rc;
}

static int on_inputs(void *ud, const model *m, const attn_args *args, err *e)
{
    analysis *a = ud;
    kind_plan *k = &a->kinds[args->kind];
    int rc = 0;
    (void)m;
    for (int i = 0; i < a->req->n_metric && !rc; i++)
        if (k->measured[i] && a->req->metrics[i]->inputs)
            rc = a->req->metrics[i]->inputs(&k->ctx[i], args, a->out, e);
    return rc || !a->panels ? rc : measure_panels(a, args, k, e);
}

static int on_heads(void *ud, const head_outputs *h, err *e)
{
    analysis *a = ud;
    kind_plan *k = &a->kinds[h->kind];
    int rc = 0;
    for (int i = 0; i < a->req->n_metric && !rc; i++)
        if (k->measured[i] && a->req->metrics[i]->heads)
            rc = a->req->metrics[i]->heads(&k->ctx[i], h, a->out, e);
    return rc;
}

static int on_added(void *ud, const part_rows *p, err *e)
{
    analysis *a = ud;
    kind_plan *k = &a->kinds[p->stack];
    int rc = 0;
    for (int i = 0; i < a->req->n_metric && !rc; i++)
        if (k->measured[i] && a->req->metrics[i]->added)
            rc = a->req->metrics[i]->added(&k->ctx[i], p, a->out, e);
    return rc;
}

static int on_inner(void *ud, const part_rows *p, err *e)
{
    analysis *a = ud;
    kind_plan *k = &a->kinds[p->stack];
    int rc = 0;
    for (int i = 0; i < a->req->n_metric && !rc; i++)
        if (k->measured[i] && a->req->metrics[i]->inner)
            rc = a->req->metrics[i]->inner(&k->ctx[i], p, a->out, e);
    return rc;
}

/* The stream; behind the last layer the stack is done, and with it its attention and that across from it. */
static int on_hidden(void *ud, attn_kind stack_kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    analysis *a = ud;
    kind_plan *k = &a->kinds[stack_kind];
    const stack *s = model_stack(a->m, stack_kind);
    int rc = 0;
    for (int i = 0; i < a->req->n_metric && !rc; i++)
        if (k->measured[i] && a->req->metrics[i]->hidden)
            rc = a->req->metrics[i]->hidden(&k->ctx[i], layer, x, n, width, a->out, e);
    for (int kind = 0; kind < N_KIND && !rc && layer == s->n_run; kind++)
        for (int i = 0; i < a->req->n_metric && !rc && a->kinds[kind].ctx; i++)
            if (a->kinds[kind].measured[i] && a->req->metrics[i]->end && model_stack(a->m, (attn_kind)kind) == s)
                rc = a->req->metrics[i]->end(&a->kinds[kind].ctx[i], a->out, e);
    return rc;
}

/* The same where the states of a head lie on several ranks: the first of them emits. */
static int finish_split_head(analysis *a, int layer, int head, err *e)
{
    const kind_plan *k = a->now;
    unsigned char *chunks = a->states + (size_t)(head % k->in_flight) * (size_t)k->n_chunk * k->stride;
    const ring_states s = {.metrics = a->req->metrics, .n_metric = a->req->n_metric, .measured = k->measured, .ctx = k->ctx,
                           .offset = k->offset, .stride = k->stride};
    unsigned char *whole = ring_gather_head(a->ring, &s, chunks);
    int rc = 0;
    for (int i = 0; i < a->req->n_metric && whole && rc == 0; i++)
        if (k->measured[i] && a->req->metrics[i]->finish)
            rc = a->req->metrics[i]->finish(whole + k->offset[i], &k->ctx[i], layer, head, a->out, e);
    memset(chunks, 0, (size_t)k->n_chunk * k->stride);
    return rc;
}

static int finish_head(analysis *a, int layer, int head, err *e)
{
    const kind_plan *k = a->now;
    int r = 0;
    if (a->ring)
        return finish_split_head(a, layer, head, e);
    for (int i = 0; i < a->req->n_metric && r == 0; i++) {
        const metric *m = a->req->metrics[i];
        if (!k->measured[i] || !m->finish)
            continue;
        for (int chunk = 1; chunk < k->n_chunk && m->merge; chunk++)
            m->merge(state_of(a, i, head, 0), state_of(a, i, head, chunk), &k->ctx[i]);
        r = m->finish(state_of(a, i, head, 0), &k->ctx[i], layer, head, a->out, e);
    }
    if (r == 0 && a->maps && map_set_wants(a->maps, head))
        r = map_set_emit(a->maps, head, a->out, e);
    size_t slot = (size_t)(head % k->in_flight) * (size_t)k->n_chunk;
    memset(a->states + slot * k->stride, 0, (size_t)k->n_chunk * k->stride);
    return r;
}

static int on_heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    int r = 0;
    const analysis *a = ud;
    for (int head = head0; head < head1 && (r == 0 || a->ring); head++) { /* all ranks go on to the end together */
        int rc = finish_head(ud, layer, head, r ? NULL : e);
        r = r ? r : rc;
    }
    return r;
}

static int on_attention(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    analysis *a = ud;
    (void)m;
    a->now = &a->kinds[site->kind];
    a->tap = (attn_tap){
        .need = a->now->need, .rows = on_rows, .tile = on_tile, .heads_done = on_heads_done, .ud = a, .reads = on_reads,
    };
    if (a->maps) {
        int r = map_set_site(a->maps, site, a->now->n_chunk, a->now->in_flight, e);
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
        if (!a->logits[i].m)
            continue;
        const result_sink *out = a->ring ? ring_logits_sink(a->ring, pos0) : a->out;
        int r = a->logits[i].m->logits(&a->logits[i], pos0, logits, n, vocab, out, e);
        if (r != 0)
            return r;
    }
    return 0;
}

int analyse_check(const runtime *r, const model *m, const model_input *in, const analysis_request *req, err *e)
{
    analysis a = {.m = m, .req = req};
    input_lengths n;
    int rc = input_measure(&n, m, in, e);
    if (rc == 0)
        rc = analysis_set_up(&a, r, in, &n, e);
    analysis_tear_down(&a);
    return rc;
}

int analysis_begin(analysis **out, runtime *r, const model *m, const model_input *in, const analysis_request *req,
                   const result_sink *sink, err *e)
{
    analysis *a = mem_array(1, sizeof *a, e);
    *out = a;
    if (!a)
        return ERR_RESOURCE;
    *a = (analysis){.m = m, .run = r, .req = req, .out = sink};
    int rc = input_measure(&a->lengths, m, in, e);
    if (rc == 0)
        rc = ring_gather_new(&a->ring, r, req, e);
    if (rc == 0)
        rc = analysis_set_up(a, r, in, &a->lengths, e);
    if (runtime_split(r))
        rc = ranks_agree(rc, e);
    a->watch = (observer){
        .attention = on_attention, .inputs = a->inputs ? on_inputs : NULL, .heads = a->heads ? on_heads : NULL,
        .hidden = a->hidden ? on_hidden : NULL, .added = a->added ? on_added : NULL, .inner = a->inner ? on_inner : NULL,
        .logits = a->want_logits ? on_logits : NULL, .ud = a,
    };
    if (rc) {
        analysis_end(a);
        *out = NULL;
    }
    return rc;
}

const observer *analysis_observer(const analysis *a)
{
    return &a->watch;
}

size_t analysis_memory(const analysis *a)
{
    return a->state_bytes;
}

void analysis_end(analysis *a)
{
    if (a)
        analysis_tear_down(a);
    free(a);
}

int analyse(runtime *r, const model *m, const model_input *in, const analysis_request *req, const result_sink *out,
            const progress *p, err *e)
{
    analysis *a;
    int rc = analysis_begin(&a, r, m, in, req, out, e);
    if (rc == 0)
        rc = forward(r, in, analysis_observer(a), p, e);
    if (rc == 0 && a->ring)
        rc = ring_gather_logits(a->ring, out, e);
    analysis_end(a);
    return rc;
}
