/* The keys and values of one key/value head after the other on every rank: whole rows of weights, as taps want them. */
#include <string.h>

#include "base/cancel.h"
#include "compute/attention_parts.h"
#include "compute/attention_ring_parts.h"

/* The tap of one piece: heads, queries and chunks as the whole sequence counts them. */
typedef struct piece_tap {
    attn_ring *r;
    const attn_tap *tap;
    int head0, chunk0;
    int64_t pos0;
} piece_tap;

static void on_rows(void *ud, const attn_rows *r)
{
    const piece_tap *p = ud;
    attn_rows whole = *r;
    whole.head += p->head0;
    whole.chunk += p->chunk0;
    whole.q0 += p->pos0;
    whole.pos0 = 0;
    p->tap->rows(p->tap->ud, &whole);
}

static attn_tile of_whole(const piece_tap *p, const attn_tile *t)
{
    attn_tile whole = *t;
    whole.head += p->head0;
    whole.chunk += p->chunk0;
    whole.q0 += p->pos0;
    whole.pos0 = 0;
    return whole;
}

static void on_tile(void *ud, const attn_tile *t)
{
    const piece_tap *p = ud;
    const attn_tile whole = of_whole(p, t);
    p->tap->tile(p->tap->ud, &whole);
}

static bool reads(void *ud, const attn_tile *part)
{
    const piece_tap *p = ud;
    const attn_tile whole = of_whole(p, part);
    return p->tap->reads(p->tap->ud, &whole);
}

static int help_along(void *ud, int layer, int head0, int head1, err *e)
{
    const piece_tap *p = ud;
    (void)layer, (void)head0, (void)head1, (void)e;
    ranks_poll(p->r->transfer);
    return 0;
}

/* This rank's keys and values of a head side by side, and on their way into `next`. */
static void bring(attn_ring *r, const attn_args *a, int head)
{
    int64_t rows = sequence_rows(&r->split, r->split.rank), width = a->d_qk + a->d_v;
    float *own = r->own[head % 2];
    for (int64_t i = 0; i < rows; i++) {
        memcpy(own + i * width, a->k + i * a->ldk + (int64_t)head * a->d_qk, (size_t)a->d_qk * sizeof(float));
        memcpy(own + i * width + a->d_qk, a->v + i * a->ldv + (int64_t)head * a->d_v, (size_t)a->d_v * sizeof(float));
    }
    for (int p = 0, index; p < r->split.pieces; p++) {
        sequence_span span = sequence_piece(&r->split, r->split.rank, p, &index);
        ranks_gather_rows(r->transfer, own + span.row * width, r->next, width, r->count[p], r->at[p]);
    }
    r->bytes += (uint64_t)rows * (uint64_t)width * sizeof(float) * (uint64_t)(r->split.ranks - 1);
}

static int attend_head(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, int kv, err *e)
{
    int group = a->n_head / a->n_kv_head, head0 = kv * group, rc = 0;
    int64_t width = a->d_qk + a->d_v;
    for (int piece = 0, index; piece < r->split.pieces && !rc; piece++) {
        sequence_span span = sequence_piece(&r->split, r->split.rank, piece, &index);
        piece_tap here = {r, tap, head0, piece * ATTN_MAX_CHUNK, span.pos0};
        const attn_tap t = {
            .need = tap->need, .rows = tap->rows ? on_rows : NULL, .tile = tap->tile ? on_tile : NULL, .heads_done = help_along,
            .ud = &here, .reads = tap->reads ? reads : NULL,
        };
        attn_args b = *a;
        b.n_query = span.n;
        b.stretch = true;
        b.pos0 = span.pos0;
        b.n_head = group;
        b.n_kv_head = 1;
        b.q = a->q + span.row * a->ldq + (int64_t)head0 * a->d_qk;
        b.out = a->out + span.row * a->ldo + (int64_t)head0 * a->d_v;
        b.k = r->here;
        b.v = r->here + a->d_qk;
        b.ldk = b.ldv = width;
        b.key_bias = a->key_bias ? a->key_bias + head0 * a->n_key : NULL;
        b.sinks = a->sinks ? a->sinks + head0 : NULL;
        rc = attention(s, &b, &t, e);
    }
    return rc;
}

static int reserve(attn_ring *r, const attn_args *a, err *e)
{
    int64_t rows = sequence_rows(&r->split, r->split.rank), width = a->d_qk + a->d_v;
    int rc = attn_grow(&r->here, &r->here_room, r->split.n, width, 1, e);
    if (!rc)
        rc = attn_grow(&r->next, &r->next_room, r->split.n, width, 1, e);
    for (int i = 0; i < 2 && !rc; i++)
        rc = attn_grow(&r->own[i], &r->own_room[i], rows + 1, width, 1, e);
    return rc;
}

int attention_gathered(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e)
{
    int group = a->n_head / a->n_kv_head, rc = ring_agree(r, reserve(r, a, e), e);
    if (rc)
        return rc;
    bring(r, a, 0);
    for (int kv = 0; kv < a->n_kv_head; kv++) {
        ring_turn(r);
        if (kv + 1 < a->n_kv_head)
            bring(r, a, kv + 1);
        rc = rc ? rc : attend_head(r, s, a, tap, kv, e);
        int done = tap->heads_done ? tap->heads_done(tap->ud, a->layer, kv * group, (kv + 1) * group, rc ? NULL : e) : 0;
        rc = rc ? rc : done;
    }
    rc = cancel_requested() ? cancel_check(e) : rc; /* what the pool left out may look like any failure */
    return ring_agree(r, rc, e);
}
