/* Before and after a measurement: which metrics apply, their contexts, where their states lie. */
#include "analysis/analyse_parts.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

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

int analysis_set_up(analysis *a, const runtime *r, const model_input *in, const input_lengths *n, err *e)
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

void analysis_tear_down(analysis *a)
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
