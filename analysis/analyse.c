#include "analysis/analyse.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/map.h"
#include "analysis/ring.h"
#include "base/mem.h"

/* States of different (head, chunk) are written by different threads: no shared cache lines. */
enum { STATE_ALIGN = 64, N_KIND = ATTN_VISION + 1 };

/* The metrics as one kind of attention sees them. */
typedef struct kind_plan {
    metric_ctx *ctx;        /* [n_metric] */
    bool *measured;         /* [n_metric] a head metric that makes sense here */
    size_t *offset;         /* [n_metric] of the metric's state within the states of a (head, chunk) */
    size_t stride;          /* bytes of all states of a (head, chunk) */
    int in_flight, n_chunk;
    unsigned need;          /* of all that are measured */
} kind_plan;

struct analysis {
    const model *m;
    runtime *run;           /* NULL while a request is only checked */
    const analysis_request *req;
    const result_sink *out;
    kind_plan kinds[N_KIND]; /* ctx NULL: the model, or this input, has no such attention */
    metric_ctx *logits;     /* [n_metric] contexts of the metrics of logits */
    unsigned char *states;  /* [in_flight, n_chunk] blocks of stride bytes, zero when a head begins */
    bool want_logits;
    map_set *maps;          /* NULL when none is asked for */
    const kind_plan *now;   /* of the attention that runs */
    attn_tap tap;
    unsigned char *panel_states; /* [chunks] blocks of panel_stride bytes: of the layer that runs */
    size_t panel_stride, panel_room;
    size_t state_bytes;     /* of states */
    bool inputs, heads, hidden, added, inner, panels; /* what any metric asks to see */
    ring_gather *ring;      /* the sequence is split over ranks; NULL: it is not */
    observer watch;
    input_lengths lengths;
};

bool metric_applies(const metric *measure, const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    if (measure->scope == METRIC_LOGITS && (kind != m->main->kind || m->vocab <= 0))
        return false;
    if (measure->scope == METRIC_WEIGHTS || !s || !(measure->kinds & 1u << kind))
        return false;
    bool readable = measure->scope == METRIC_LOGITS || !measure->by_token || s->embed.kind == EMBED_TOKENS;
    return readable && (!measure->unfit || !measure->unfit(m, kind));
}

bool metric_applies_somewhere(const metric *measure, const model *m)
{
    for (int kind = 0; kind < N_KIND; kind++)
        if (metric_applies(measure, m, (attn_kind)kind))
            return true;
    return false;
}

bool metric_weighs(const metric *measure, const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    if (measure->scope != METRIC_WEIGHTS || !s || !(measure->kinds & 1u << kind))
        return false;
    for (int l = 0; l < s->n_layer; l++)
        if (model_attention(m, kind, l))
            return !measure->unfit || !measure->unfit(m, kind);
    return false;
}

static size_t round_state(size_t bytes)
{
    return (bytes + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
}

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
    a->tap = (attn_tap){a->now->need, on_rows, on_tile, on_heads_done, a};
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

/* The tokens that a stack reads; NULL for patches and frames. */
static const int32_t *stack_ids(const model *m, const stack *s, const model_input *in)
{
    if (s->embed.kind != EMBED_TOKENS)
        return NULL;
    return s == m->main ? in->ids : in->source;
}

static metric_ctx context_of(const analysis *a, const metric *measure, attn_kind kind, const model_input *in,
                             const input_lengths *n)
{
    const stack *s = model_stack(a->m, kind), *keys = kind == ATTN_CROSS ? a->m->encoder : s;
    int64_t longest = n->main > n->encoder ? n->main : n->encoder;
    longest = n->vision > longest ? n->vision : longest;
    return (metric_ctx){
        .m = measure, .p = a->req->p, .ids = stack_ids(a->m, s, in), .n = input_queries(n, a->m, kind),
        .key_ids = stack_ids(a->m, keys, in), .n_key = input_keys(n, a->m, kind), .most_key = longest, .n_layer = s->n_layer,
        .kind = kind, .image_height = in->height, .image_width = in->width,
        .model = a->m, .tok = a->req->tok, .placeholder = a->m->vision && s == a->m->main ? a->m->image_token : -1,
    };
}

static void note_wishes(analysis *a, const metric *m)
{
    a->inputs |= m->inputs || m->panels;
    a->panels |= m->panels != NULL;
    a->heads |= m->heads != NULL;
    a->hidden |= m->hidden || m->end;
    a->added |= m->added != NULL;
    a->inner |= m->inner != NULL;
}

/* Lay out the states of one kind: its metrics prepared, the most heads that are worked on together. */
static int plan_kind(analysis *a, attn_kind kind, const runtime *r, const model_input *in, const input_lengths *n,
                     err *e)
{
    const analysis_request *req = a->req;
    kind_plan *k = &a->kinds[kind];
    const stack *s = model_stack(a->m, kind);
    int64_t queries = s ? input_queries(n, a->m, kind) : 0;
    if (queries == 0)
        return 0;
    k->ctx = mem_array((size_t)req->n_metric + 1, sizeof(*k->ctx), e);
    k->measured = mem_array((size_t)req->n_metric + 1, sizeof(*k->measured), e);
    k->offset = mem_array((size_t)req->n_metric + 1, sizeof(*k->offset), e);
    if (!k->ctx || !k->measured || !k->offset)
        return ERR_RESOURCE;
    k->n_chunk = a->ring ? SPLIT_MAX_PIECES * ATTN_MAX_CHUNK : attn_chunks(queries);
    k->in_flight = 1;
    for (int l = 0; l < s->n_layer; l++) {
        const attention_block *b = model_attention(a->m, kind, l);
        int heads = b ? attn_heads_in_flight(runtime_threads(r), b->plan.n_head, queries) : 0;
        if (b && a->ring)
            heads = b->plan.n_head / b->plan.n_kv_head; /* see attention_ring */
        k->in_flight = heads > k->in_flight ? heads : k->in_flight;
    }
    for (int i = 0; i < req->n_metric; i++) {
        const metric *m = req->metrics[i];
        k->ctx[i].run = a->run;
        if (m->scope == METRIC_LOGITS || !metric_applies(m, a->m, kind))
            continue;
        k->ctx[i] = context_of(a, m, kind, in, n);
        k->ctx[i].run = a->run;
        int rc = m->prepare ? m->prepare(&k->ctx[i], e) : 0;
        if (rc != 0)
            return rc;
        k->measured[i] = true;
        k->need |= m->need;
        k->offset[i] = k->stride;
        if (m->state_size && (!size_add(&k->stride, k->stride, m->state_size(&k->ctx[i])) ||
                              !size_add(&k->stride, k->stride, STATE_ALIGN - 1)))
            return err_nomem(e, "metric states");
        k->stride = k->stride / STATE_ALIGN * STATE_ALIGN;
        note_wishes(a, m);
    }
    return 0;
}

static int plan_logits(analysis *a, const model_input *in, const input_lengths *n, err *e)
{
    a->logits = mem_array((size_t)a->req->n_metric + 1, sizeof(*a->logits), e);
    if (!a->logits)
        return ERR_RESOURCE;
    attn_kind kind = a->m->main->kind;
    for (int i = 0; i < a->req->n_metric; i++) {
        const metric *m = a->req->metrics[i];
        if (m->scope != METRIC_LOGITS || !metric_applies(m, a->m, kind))
            continue;
        a->logits[i] = context_of(a, m, kind, in, n);
        int rc = m->prepare ? m->prepare(&a->logits[i], e) : 0;
        if (rc != 0)
            return rc;
        a->want_logits = true;
    }
    return 0;
}

/* Prepare the metrics for each kind of attention, lay out and reserve their states. */
static int set_up(analysis *a, const runtime *r, const model_input *in, const input_lengths *n, err *e)
{
    const analysis_request *req = a->req;
    size_t most = 0;
    int rc = plan_logits(a, in, n, e);
    for (int kind = 0; kind < N_KIND && rc == 0; kind++) {
        const kind_plan *k = &a->kinds[kind];
        size_t bytes;
        rc = plan_kind(a, (attn_kind)kind, r, in, n, e);
        if (rc == 0 && (!size_mul(&bytes, (size_t)k->in_flight * (size_t)k->n_chunk, k->stride) ||
                        !size_add(&bytes, bytes, STATE_ALIGN)))
            rc = err_nomem(e, "metric states");
        most = rc == 0 && bytes > most ? bytes : most;
        if (rc == 0 && a->ring)
            rc = ring_gather_reserve(a->ring, k->stride, e);
    }
    if (rc != 0)
        return rc;
    a->states = mem_large(most, e);
    if (!a->states)
        return ERR_RESOURCE;
    memset(a->states, 0, most);
    a->state_bytes = most;
    int in_flight[N_KIND];
    for (int kind = 0; kind < N_KIND; kind++)
        in_flight[kind] = a->kinds[kind].in_flight;
    return req->n_map ? map_set_new(&a->maps, a->m, n, req->maps, req->n_map, req->map_limit, in_flight, e) : 0;
}

static void release(metric_ctx *ctx, int n)
{
    for (int i = 0; ctx && i < n; i++)
        if (ctx[i].shared && ctx[i].m->release)
            ctx[i].m->release(&ctx[i]);
    free(ctx);
}

static void tear_down(analysis *a)
{
    for (int kind = 0; kind < N_KIND; kind++) {
        kind_plan *k = &a->kinds[kind];
        release(k->ctx, a->req->n_metric);
        free(k->measured);
        free(k->offset);
    }
    release(a->logits, a->req->n_metric);
    map_set_free(a->maps);
    ring_gather_free(a->ring);
    mem_free_large(a->states);
    mem_free_large(a->panel_states);
}

int analyse_check(const runtime *r, const model *m, const model_input *in, const analysis_request *req, err *e)
{
    analysis a = {.m = m, .req = req};
    input_lengths n;
    int rc = input_measure(&n, m, in, e);
    if (rc == 0)
        rc = set_up(&a, r, in, &n, e);
    tear_down(&a);
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
        rc = set_up(a, r, in, &a->lengths, e);
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
        tear_down(a);
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
