#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "base/npz.h"

typedef struct dump {
    const model *m;
    npz_writer *w;
    int64_t n;
    bool attention;
    float *probs;      /* [in_flight, n, n]: heads that are worked on; zero outside the visible keys */
    int in_flight;
    attn_tap tap;
} dump;

static float *head_probs(const dump *d, int head)
{
    return d->probs + (size_t)(head % d->in_flight) * (size_t)d->n * (size_t)d->n;
}

static void on_tile(void *ud, const attn_tile *t)
{
    const dump *d = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        float *row = head_probs(d, t->head) + q * d->n;
        int64_t from, to;
        attn_tile_visible(t, q, &from, &to);
        for (int64_t k = from; k < to; k++)
            row[k] = attn_tile_at(t, q, k);
    }
}

static int on_heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    dump *d = ud;
    size_t bytes = (size_t)d->n * (size_t)d->n * sizeof(float);
    for (int head = head0; head < head1; head++) {
        int r = npz_add(d->w, head_probs(d, head), bytes, e);
        if (r != 0)
            return r;
        memset(head_probs(d, head), 0, bytes);
    }
    return head1 == d->m->layers[layer].attn.n_head ? npz_end(d->w, e) : 0;
}

static int on_attention(void *ud, const model *m, int layer, int64_t n, const attn_tap **tap, err *e)
{
    dump *d = ud;
    *tap = NULL;
    if (!d->attention)
        return 0;
    char name[32];
    snprintf(name, sizeof(name), "attn_%d", layer);
    int r = npz_begin(d->w, name, NPY_F32, 3, (int64_t[]){m->layers[layer].attn.n_head, n, n}, e);
    if (r != 0)
        return r;
    d->tap = (attn_tap){ATTN_NEED_PROBS, NULL, on_tile, on_heads_done, d};
    *tap = &d->tap;
    return 0;
}

static int on_hidden(void *ud, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    dump *d = ud;
    char name[32];
    snprintf(name, sizeof(name), "hidden_%d", layer);
    return npz_put(d->w, name, NPY_F32, 2, (int64_t[]){n, width}, x, e);
}

static int on_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    dump *d = ud;
    int r = 0;
    if (pos0 == 0)
        r = npz_begin(d->w, "logits", NPY_F32, 2, (int64_t[]){d->n, vocab}, e);
    if (r == 0)
        r = npz_add(d->w, logits, (size_t)n * (size_t)vocab * sizeof(float), e);
    if (r == 0 && pos0 + n == d->n)
        r = npz_end(d->w, e);
    return r;
}

static int reserve_probs(dump *d, const runtime *r, err *e)
{
    d->in_flight = 1;
    for (int l = 0; l < d->m->n_layer; l++) {
        int heads = attn_heads_in_flight(runtime_threads(r), d->m->layers[l].attn.n_head, d->n);
        d->in_flight = heads > d->in_flight ? heads : d->in_flight;
    }
    size_t bytes;
    if (!size_mul(&bytes, (size_t)d->n, (size_t)d->n) || !size_mul(&bytes, bytes, (size_t)d->in_flight) ||
        !size_mul(&bytes, bytes, sizeof(float)) || bytes > memory_available()) {
        double gib = (double)d->in_flight * (double)d->n * (double)d->n * sizeof(float) / (1 << 30);
        err_set(e, ERR_RESOURCE, "attention of %lld tokens, %d heads at a time, takes %.1f GiB of memory",
                (long long)d->n, d->in_flight, gib);
        return err_hint(e, "leave it out with --no-attention, or give a shorter prompt");
    }
    d->probs = mem_large(bytes, e);
    if (!d->probs)
        return ERR_RESOURCE;
    memset(d->probs, 0, bytes);
    return 0;
}

static int put_ids(npz_writer *w, const int32_t *ids, int64_t n, err *e)
{
    int64_t *wide = mem_array((size_t)n, sizeof(*wide), e);
    if (!wide)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++)
        wide[i] = ids[i];
    int r = npz_put(w, "ids", NPY_I64, 1, &n, wide, e);
    free(wide);
    return r;
}

int dump_run(runtime *r, const model *m, const int32_t *ids, int64_t n, bool attention, const char *path,
             const progress *p, err *e)
{
    if (n < 1)
        return err_set(e, ERR_USAGE, "the prompt has no tokens");
    dump d = {.m = m, .n = n, .attention = attention};
    int rc = 0;
    if (attention && (rc = reserve_probs(&d, r, e)))
        return rc;
    rc = npz_create(&d.w, path, false, e);
    if (rc == 0)
        rc = put_ids(d.w, ids, n, e);
    if (rc == 0) {
        observer o = {.attention = on_attention, .hidden = on_hidden, .logits = on_logits, .ud = &d};
        rc = forward(r, ids, n, &o, p, e);
    }
    if (rc == 0) {
        rc = npz_commit(d.w, e);
        d.w = NULL;
    }
    npz_abandon(d.w);
    mem_free_large(d.probs);
    return rc;
}
