#include "analysis/ring.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/strbuf.h"

/* A value on its way to rank 0. */
typedef struct sent_value {
    int32_t metric;          /* of the request */
    int32_t kind, layer, head;
    int64_t position;
    double value;
} sent_value;

/* The values of one piece of this rank. */
typedef struct value_list {
    const ring_gather *g;
    sent_value *v;
    size_t n, room;
    result_sink sink;
} value_list;

struct ring_gather {
    const sequence_split *split;
    const analysis_request *req;
    unsigned char *coming;   /* [room] states of one head of another rank */
    size_t room;
    value_list values[SPLIT_MAX_PIECES];
};

/* ---- what fits ---- */

static bool rows_and_logits_only(const metric *m)
{
    return !m->inputs && !m->heads && !m->hidden && !m->added && !m->inner && !m->end && !m->panels;
}

int analyse_split_check(const model *m, const model_input *in, const analysis_request *req, err *e)
{
    strbuf names = {0};
    int n = 0, rc = split_fits(m, in->ids, in->n, e);
    for (int i = 0; i < req->n_metric && !rc; i++)
        if (!rows_and_logits_only(req->metrics[i]))
            strbuf_printf(&names, "%s%s", n++ ? ", " : "", req->metrics[i]->name);
    if (n) {
        err_set(e, ERR_USAGE, "%s cannot be measured while the sequence is split over ranks: %s more than rows of weights and"
                " logits", strbuf_str(&names), n == 1 ? "it reads" : "they read");
        rc = err_hint(e, "leave %s out, or run without mpirun", n == 1 ? "it" : "them");
    } else if (!rc && req->n_map) {
        err_set(e, ERR_USAGE, "attention maps cannot be kept while the sequence is split over ranks");
        rc = err_hint(e, "leave --maps out, or run without mpirun");
    }
    strbuf_free(&names);
    return rc;
}

sequence_split analyse_split_of(const model *m, int64_t n)
{
    bool causal = true;
    for (int l = 0; l < m->main->n_layer; l++)
        causal = causal && m->main->layers[l].self.plan.causal;
    return (sequence_split){.n = n, .ranks = ranks_size(), .rank = ranks_rank(), .pieces = causal ? 2 : 1};
}

int analyse_split(runtime *r, const model *m, const model_input *in, const analysis_request *req, const result_sink *out,
                  const progress *p, uint64_t *bytes, err *e)
{
    if (bytes)
        *bytes = 0;
    if (ranks_size() == 1)
        return analyse(r, m, in, req, out, p, e);
    const sequence_split split = analyse_split_of(m, in->n);
    attn_ring *ring = NULL;
    int rc = analyse_split_check(m, in, req, e);
    if (!rc)
        rc = attn_ring_new(&ring, &split, e);
    if ((rc = ranks_agree(rc, e))) {
        attn_ring_free(ring);
        return rc;
    }
    runtime_set_ring(r, ring);
    rc = analyse(r, m, in, req, out, p, e);
    runtime_set_ring(r, NULL);
    if (bytes)
        *bytes = attn_ring_bytes(ring);
    attn_ring_free(ring);
    return rc;
}

/* ---- states ---- */

static int take_value(void *ud, const result_value *v, err *e)
{
    value_list *l = ud;
    const analysis_request *req = l->g->req;
    int32_t which = 0;
    while (which + 1 < req->n_metric && strcmp(req->metrics[which]->name, v->metric) != 0)
        which++;
    if (l->n == l->room) {
        sent_value *more = mem_grow(l->v, l->room ? 2 * l->room : 1024, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        l->v = more;
        l->room = l->room ? 2 * l->room : 1024;
    }
    l->v[l->n++] = (sent_value){which, (int32_t)v->kind, v->layer, v->head, v->position, v->value};
    return 0;
}

int ring_gather_new(ring_gather **out, const runtime *r, const analysis_request *req, err *e)
{
    if (!runtime_split(r))
        return 0;
    ring_gather *g = mem_array(1, sizeof *g, e);
    if (!g)
        return ERR_RESOURCE;
    g->split = runtime_split(r);
    g->req = req;
    for (int i = 0; i < SPLIT_MAX_PIECES; i++) {
        g->values[i].g = g;
        g->values[i].sink = (result_sink){take_value, NULL, &g->values[i]};
    }
    *out = g;
    return 0;
}

void ring_gather_free(ring_gather *g)
{
    if (!g)
        return;
    for (int i = 0; i < SPLIT_MAX_PIECES; i++)
        free(g->values[i].v);
    mem_free_large(g->coming);
    free(g);
}

int ring_gather_reserve(ring_gather *g, size_t stride, err *e)
{
    if (stride <= g->room && g->coming)
        return 0;
    mem_free_large(g->coming);
    g->coming = mem_large(stride ? stride : 64, e);
    g->room = g->coming ? stride : 0;
    return g->coming ? 0 : ERR_RESOURCE;
}

static void merge_block(const ring_states *s, unsigned char *into, const unsigned char *from)
{
    for (int i = 0; i < s->n_metric; i++)
        if (s->measured[i] && s->metrics[i]->merge)
            s->metrics[i]->merge(into + s->offset[i], from + s->offset[i], &s->ctx[i]);
}

static bool any_in(const sequence_split *split, int index)
{
    return sequence_span_at(split, index).n > 0;
}

/* A tree over the ranks: a rank takes what the ranks behind it have merged, first its neighbour, then two further on, then
 * four.  First pieces lie in the order of ranks, second ones in the opposite order; stretches without positions come last
 * of all and are left out, for a state that has seen nothing is no part of the sequence. */
unsigned char *ring_gather_head(ring_gather *g, const ring_states *s, unsigned char *chunks)
{
    const sequence_split *split = g->split;
    const int ranks = split->ranks, me = split->rank;
    unsigned char *first = chunks, *second = chunks + (size_t)ATTN_MAX_CHUNK * s->stride;
    if (s->stride == 0)
        return me == 0 ? chunks : NULL;
    for (int piece = 0, index; piece < split->pieces; piece++) {
        const sequence_span span = sequence_piece(split, me, piece, &index);
        unsigned char *block = piece ? second : first;
        for (int chunk = 1; chunk < attn_chunks(span.n); chunk++)
            merge_block(s, block, block + (size_t)chunk * s->stride);
    }
    for (int step = 1; step < ranks; step *= 2) {
        if (me % (2 * step)) {
            ranks_send(first, s->stride, me - step);
            if (split->pieces > 1)
                ranks_send(second, s->stride, me - step);
            return NULL;
        }
        if (me + step >= ranks)
            continue;
        ranks_receive(g->coming, s->stride, me + step);
        if (any_in(split, me + step))
            merge_block(s, first, g->coming);
        if (split->pieces == 1)
            continue;
        /* The second piece of the last of those ranks is the first of all that they bring. */
        int last = me + 2 * step - 1 < ranks ? me + 2 * step - 1 : ranks - 1;
        ranks_receive(g->coming, s->stride, me + step);
        if (any_in(split, 2 * ranks - 1 - (me + step - 1)) && any_in(split, 2 * ranks - 1 - last))
            merge_block(s, g->coming, second);
        if (any_in(split, 2 * ranks - 1 - last))
            memcpy(second, g->coming, s->stride);
    }
    if (me == 0 && split->pieces > 1 && any_in(split, ranks))
        merge_block(s, first, second);
    return me == 0 ? first : NULL;
}

/* ---- logits ---- */

const result_sink *ring_logits_sink(ring_gather *g, int64_t pos0)
{
    int index;
    const sequence_span first = sequence_piece(g->split, g->split->rank, 0, &index);
    return &g->values[pos0 < first.pos0 + first.n ? 0 : 1].sink;
}

static int emit(const ring_gather *g, const sent_value *v, size_t n, const result_sink *out, err *e)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const result_value value = {(attn_kind)v[i].kind, g->req->metrics[v[i].metric]->name, v[i].layer, v[i].head,
                                    v[i].position, v[i].value};
        rc = out->value(out->ud, &value, e);
    }
    return rc;
}

int ring_gather_logits(ring_gather *g, const result_sink *out, err *e)
{
    const sequence_split *split = g->split;
    int rc = 0;
    for (int index = 0; index < sequence_spans(split); index++) {
        const sequence_span span = sequence_span_at(split, index);
        const value_list *own = &g->values[index >= split->ranks];
        if (split->rank != 0) {
            if (span.rank == split->rank)
                ranks_send_sized(own->v, own->n * sizeof *own->v, 0);
        } else if (span.rank == 0) {
            rc = rc ? rc : emit(g, own->v, own->n, out, e);
        } else {
            void *bytes = NULL;
            size_t n;
            int got = ranks_receive_sized(&bytes, &n, span.rank, NULL, rc ? NULL : e);
            rc = rc ? rc : got;
            rc = rc ? rc : emit(g, bytes, n / sizeof(sent_value), out, e);
            free(bytes);
        }
    }
    return ranks_agree(rc, e);
}
