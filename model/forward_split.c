/* A run whose positions are shared out over ranks: each has its rows of the residual stream; what is done row by row is
 * done as ever, attention goes through the ring (compute/attention_ring.h). */
#include "model/forward_split.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "base/ranks.h"
#include "model/runtime.h"

void runtime_set_ring(runtime *r, attn_ring *ring)
{
    r->ring = ring;
    r->rope_rows = 0; /* the tables are those of other rows */
}

const sequence_split *runtime_split(const runtime *r)
{
    return r->ring ? attn_ring_split(r->ring) : NULL;
}

static const char *why_not(const model *m)
{
    const stack *s = m->main;
    if (m->encoder)
        return "it reads a second sequence";
    if (m->vision || s->embed.kind != EMBED_TOKENS)
        return "it reads images or sound";
    if (s->rel_table)
        return "its position biases are those of T5";
    for (int l = 0; l < s->n_layer; l++)
        if (s->layers[l].delta)
            return "it has recurrent layers, which go through the positions one by one";
    return NULL;
}

int split_fits(const model *m, const int32_t *ids, int64_t n, err *e)
{
    const char *why = why_not(m);
    if (why) {
        err_set(e, ERR_USAGE, "the sequence of %s cannot be split over ranks: %s", m->name, why);
        return err_hint(e, "run it in one process");
    }
    for (int64_t i = 0; i < n && m->main->embed.pad_id >= 0; i++)
        if (ids[i] == m->main->embed.pad_id)
            return err_set(e, ERR_USAGE, "a prompt with padding (token %d at position %lld) cannot be split over ranks", ids[i],
                           (long long)i);
    return 0;
}

static int check(const runtime *r, const model_input *in, const observer *o, input_lengths *n, err *e)
{
    int rc = input_measure(n, r->m, in, e);
    if (!rc)
        rc = split_fits(r->m, in->ids, in->n, e);
    if (!rc && r->edits)
        rc = err_set(e, ERR_USAGE, "edits cannot be made while the sequence is split over ranks");
    if (!rc && o && (o->inputs || o->heads || o->added || o->inner || o->hidden))
        rc = err_set(e, ERR_USAGE, "what reads the residual stream or all heads cannot be measured while the sequence is split");
    if (!rc && n->main != attn_ring_split(r->ring)->n)
        rc = err_set(e, ERR_FAILED, "the prompt has %lld tokens, the split %lld", (long long)n->main,
                     (long long)attn_ring_split(r->ring)->n);
    return rc;
}

/* As the check of a whole run. */
static int split_memory(const runtime *r, int64_t rows, err *e)
{
    const sequence_split *split = attn_ring_split(r->ring);
    const input_lengths part = {.main = rows};
    size_t have = memory_available();
    double need = (double)forward_memory(r->m, &part, runtime_threads(r)), most = 0;
    for (int l = 0; l < r->m->main->n_layer; l++) {
        const attn_plan *p = &r->m->main->layers[l].self.plan;
        const attn_args a = {.n_head = p->n_head, .n_kv_head = p->n_kv_head, .d_qk = p->d_qk, .d_v = p->d_v};
        double outputs = sizeof(float) * (double)rows * p->n_head * p->d_v; /* not in place of the queries */
        double ring = attn_ring_memory(split, &a, runtime_threads(r)) + outputs;
        most = ring > most ? ring : most;
    }
    for (int b = 0; b < BUF_COUNT; b++)
        have += r->room[b] * sizeof(float);
    if (need + most <= (double)have)
        return 0;
    err_set(e, ERR_RESOURCE, "%lld of %lld tokens need about %.1f GiB of memory, %.1f GiB are free", (long long)rows,
            (long long)split->n, (need + most) / (1 << 30), (double)have / (1 << 30));
    return err_hint(e, "give a shorter prompt, or more machines");
}

static int split_logits(runtime *r, const sequence_span *span, const observer *o, err *e)
{
    const model *m = r->m;
    int64_t step = runtime_logit_rows(m), whole = attn_ring_split(r->ring)->n, first = 0;
    if (o->last_logits)
        first = span->pos0 + span->n == whole && span->n > 0 ? span->n - 1 : span->n;
    for (int64_t row = first; row < span->n; row += step) {
        int64_t rows = span->n - row < step ? span->n - row : step;
        run_logits(r, r->buf[BUF_X] + (span->row + row) * m->main->width, rows, r->buf[BUF_LOGITS], false);
        int rc = cancel_check(e);
        if (rc || (rc = o->logits(o->ud, span->pos0 + row, r->buf[BUF_LOGITS], rows, m->vocab, e)))
            return rc;
    }
    return 0;
}

int forward_split(runtime *r, const model_input *in, const observer *o, const progress *p, err *e)
{
    const model *m = r->m;
    const sequence_split *split = attn_ring_split(r->ring);
    int64_t rows = sequence_rows(split, split->rank);
    bool logits = o && o->logits && m->head.unembedding.data;
    input_lengths n;
    int index, rc = check(r, in, o, &n, e);
    r->n_source = r->n_image = 0;
    r->rope_rows = 0;
    if (!rc && !(rc = split_memory(r, rows, e)) && !(rc = runtime_reserve(r, m->main, rows, split->n, rows, e)) && logits)
        rc = runtime_reserve_logits(r, e);
    if ((rc = ranks_agree(rc, e)))
        return rc;
    for (int i = 0; i < split->pieces; i++) {
        sequence_span span = sequence_piece(split, split->rank, i, &index);
        embed_tokens_at(r, m->main, r->buf[BUF_X] + span.row * m->main->width, in->ids + span.pos0, span.n, span.pos0);
    }
    pass a = {.r = r, .s = m->main, .n = rows, .o = o, .p = p};
    rc = stack_layers(&a, e); /* the same on all ranks, for they agree in every layer */
    for (int i = 0; i < split->pieces && !rc && logits; i++) {
        sequence_span span = sequence_piece(split, split->rank, i, &index);
        progress_step(p, "logits", i, split->pieces);
        rc = split_logits(r, &span, o, e);
    }
    progress_step(p, "logits", 1, 1);
    return ranks_agree(rc, e);
}
