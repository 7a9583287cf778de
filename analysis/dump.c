#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/dump_parts.h"
#include "base/mem.h"

static size_t head_cells(const dump *d)
{
    return (size_t)d->site.n_query * (size_t)d->site.n_key;
}

static float *head_probs(const dump *d, int head)
{
    return d->probs + (size_t)(head % d->in_flight[d->site.kind]) * head_cells(d);
}

/* Is the map of a head written? */
static bool chosen(const dump *d, int head)
{
    const dump_choice *c = d->choice;
    for (int i = 0; i < c->n_head; i++)
        if (c->heads[i].kind == d->site.kind && c->heads[i].layer == d->site.layer && c->heads[i].head == head)
            return true;
    return c->heads == NULL;
}

static void on_tile(void *ud, const attn_tile *t)
{
    const dump *d = ud;
    if (!chosen(d, t->head))
        return;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        float *row = head_probs(d, t->head) + q * d->site.n_key;
        int64_t from, to;
        attn_tile_visible(t, q, &from, &to);
        for (int64_t k = from; k < to; k++)
            row[k] = attn_tile_at(t, q, k);
    }
}

static int on_heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    dump *d = ud;
    (void)layer;
    size_t bytes = head_cells(d) * sizeof(float);
    for (int head = head0; head < head1; head++) {
        if (!chosen(d, head))
            continue;
        int r = npz_add(d->w, head_probs(d, head), bytes, e);
        if (r != 0)
            return r;
        memset(head_probs(d, head), 0, bytes);
    }
    return head1 == d->site.plan->n_head ? npz_end(d->w, e) : 0;
}

/* What comes before "hidden" and "attn" in the names of a stack's arrays. */
static const char *prefix_of(const model *m, attn_kind kind)
{
    return kind == ATTN_CROSS ? "cross_" : kind == m->main->kind ? "" : "enc_";
}

/* Which heads of a layer the array has, where not all. */
static int put_head_numbers(dump *d, const char *name, int *n, err *e)
{
    const int heads = d->site.plan->n_head;
    char numbers[64];
    int64_t *list = mem_array((size_t)heads + 1, sizeof *list, e);
    if (!list)
        return ERR_RESOURCE;
    *n = 0;
    for (int h = 0; h < heads; h++)
        if (chosen(d, h))
            list[(*n)++] = h;
    int64_t count = *n;
    snprintf(numbers, sizeof numbers, "%.48s_heads", name);
    int r = d->choice->heads && *n ? npz_put(d->w, numbers, NPY_I64, 1, &count, list, e) : 0;
    free(list);
    return r;
}

static int on_attention(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    dump *d = ud;
    char name[64];
    int heads = 0, r = 0;
    *tap = NULL;
    if (d->choice->transformerlens)
        dump_hook_name(name, site->layer, "attn.hook_pattern");
    else
        snprintf(name, sizeof(name), "%sattn_%d", prefix_of(m, site->kind), site->layer);
    if (!d->choice->attention || (d->choice->transformerlens && !dump_wants(d, name)))
        return 0;
    d->site = *site;
    if ((r = put_head_numbers(d, name, &heads, e)) || heads == 0)
        return r;
    const int64_t shape[] = {1, heads, site->n_query, site->n_key};
    r = d->choice->transformerlens ? npz_begin(d->w, name, NPY_F32, 4, shape, e)
                                   : npz_begin(d->w, name, NPY_F32, 3, shape + 1, e);
    if (r != 0)
        return r;
    d->tap = (attn_tap){.need = ATTN_NEED_PROBS, .tile = on_tile, .heads_done = on_heads_done, .ud = d};
    *tap = &d->tap;
    return 0;
}

static int on_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    dump *d = ud;
    char name[48];
    snprintf(name, sizeof(name), "%shidden_%d", prefix_of(d->m, kind), layer);
    return npz_put(d->w, name, NPY_F32, 2, (int64_t[]){n, width}, x, e);
}

static int on_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    dump *d = ud;
    int r = 0;
    if (pos0 == 0)
        r = npz_begin(d->w, "logits", NPY_F32, 2, (int64_t[]){d->n.main, vocab}, e);
    if (r == 0)
        r = npz_add(d->w, logits, (size_t)n * (size_t)vocab * sizeof(float), e);
    if (r == 0 && pos0 + n == d->n.main)
        r = npz_end(d->w, e);
    return r;
}

/* Room for the largest of the attentions: heads that are worked on together, of each kind. */
static int reserve_probs(dump *d, const runtime *r, err *e)
{
    size_t most = 0;
    for (int kind = 0; kind <= ATTN_VISION; kind++) {
        int64_t n_query = input_queries(&d->n, d->m, (attn_kind)kind), n_key = input_keys(&d->n, d->m, (attn_kind)kind);
        const stack *s = n_query ? model_stack(d->m, (attn_kind)kind) : NULL;
        int heads = 0;
        for (int l = 0; s && l < s->n_layer; l++) {
            const attention_block *b = model_attention(d->m, (attn_kind)kind, l);
            int n = b ? attn_heads_in_flight(runtime_threads(r), b->plan.n_head, n_query) : 0;
            heads = n > heads ? n : heads;
        }
        d->in_flight[kind] = heads;
        size_t bytes;
        if (!size_mul(&bytes, (size_t)n_query, (size_t)n_key) || !size_mul(&bytes, bytes, (size_t)heads) ||
            !size_mul(&bytes, bytes, sizeof(float)) || bytes > memory_available()) {
            double gib = (double)heads * (double)n_query * (double)n_key * sizeof(float) / (1 << 30);
            err_set(e, ERR_RESOURCE, "attention of %lld tokens, %d heads at a time, takes %.1f GiB of memory",
                    (long long)n_query, heads, gib);
            return err_hint(e, "leave it out with --no-attention, or give a shorter prompt");
        }
        most = bytes > most ? bytes : most;
    }
    if (most == 0)
        return 0;
    d->probs = mem_large(most, e);
    if (!d->probs)
        return ERR_RESOURCE;
    memset(d->probs, 0, most);
    return 0;
}

static int put_ids(npz_writer *w, const char *name, const int32_t *ids, int64_t n, bool batch, err *e)
{
    if (!ids)
        return 0;
    int64_t *wide = mem_array((size_t)n, sizeof(*wide), e);
    if (!wide)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++)
        wide[i] = ids[i];
    const int64_t shape[] = {1, n};
    int r = npz_put(w, name, NPY_I64, batch ? 2 : 1, batch ? shape : shape + 1, wide, e);
    free(wide);
    return r;
}

static int put_inputs(const dump *d, err *e)
{
    const model_input *in = d->in;
    int r = put_ids(d->w, "ids", in->ids, in->n, d->choice->transformerlens, e);
    if (r == 0)
        r = put_ids(d->w, "enc_ids", in->source, in->n_source, false, e);
    if (r == 0 && in->pixels)
        r = npz_put(d->w, "pixel_values", NPY_F32, 3, (int64_t[]){in->channels, in->height, in->width}, in->pixels, e);
    if (r == 0 && in->features)
        r = npz_put(d->w, "input_features", NPY_F32, 2, (int64_t[]){in->n_mel, in->n_frame}, in->features, e);
    return r;
}

int dump_run_chosen(runtime *r, const model *m, const model_input *in, const dump_choice *choice, const char *path,
                    const progress *p, err *e)
{
    dump d = {.m = m, .in = in, .choice = choice};
    const bool hooks = choice->transformerlens;
    int rc = input_measure(&d.n, m, in, e);
    if (rc == 0 && choice->attention)
        rc = reserve_probs(&d, r, e);
    if (rc == 0 && hooks)
        rc = dump_hooks_begin(&d, e);
    if (rc == 0)
        rc = npz_create(&d.w, path, false, e);
    if (rc == 0)
        rc = put_inputs(&d, e);
    if (rc == 0) {
        observer o = {.attention = on_attention, .hidden = hooks ? dump_hooks_hidden : on_hidden,
                      .inputs = hooks ? dump_hooks_inputs : NULL, .heads = hooks ? dump_hooks_heads : NULL,
                      .added = hooks ? dump_hooks_added : NULL, .inner = hooks ? dump_hooks_inner : NULL,
                      .logits = hooks ? NULL : on_logits, .ud = &d};
        rc = forward(r, in, &o, p, e);
    }
    if (rc == 0 && hooks)
        rc = dump_hooks_end(&d, e);
    if (rc == 0) {
        rc = npz_commit(d.w, e);
        d.w = NULL;
    }
    npz_abandon(d.w);
    dump_hooks_free(&d);
    mem_free_large(d.probs);
    return rc;
}

int dump_run(runtime *r, const model *m, const model_input *in, bool attention, const char *path, const progress *p,
             err *e)
{
    const dump_choice choice = {.attention = attention};
    return dump_run_chosen(r, m, in, &choice, path, p, e);
}
