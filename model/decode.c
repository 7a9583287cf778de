/* Decoding: a cache of keys, values and recurrent states, and one pass a call. */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "model/rope.h"
#include "model/runtime.h"

struct decoder {
    runtime *r;
    int64_t max, used;
    int32_t *ids;       /* [used] what was fed */
    bool recurrent;     /* some layer has a state */
    bool lost;          /* a failed call left the cache behind half changed */
    layer_cache *cache; /* [n_layer] */
    const observer *watch; /* NULL: nobody */
};

/* Floats that a layer keeps. */
typedef struct cache_need { int64_t k, v, cross_k, cross_v, state; } cache_need;

static cache_need layer_need(const runtime *r, const model_layer *y, int64_t max)
{
    const attn_plan *p = &y->self.plan, *c = &y->cross.plan;
    cache_need n = {0};
    if (y->delta) {
        n.state = delta_net_state(y->delta);
    } else {
        n.k = max * p->n_kv_head * p->d_qk;
        n.v = max * p->n_kv_head * p->d_v;
    }
    if (y->has_cross) {
        n.cross_k = r->n_source * c->n_kv_head * c->d_qk;
        n.cross_v = r->n_source * c->n_kv_head * c->d_v;
    }
    return n;
}

static int take(float **out, int64_t floats, err *e)
{
    size_t bytes;
    if (!floats)
        return 0;
    if (!size_mul(&bytes, (size_t)floats, sizeof(float)))
        return err_nomem(e, "the key/value cache");
    *out = mem_large(bytes, e);
    return *out ? 0 : ERR_RESOURCE;
}

static int check_cache(const runtime *r, int64_t max, err *e)
{
    double floats = 0;
    for (int l = 0; l < r->m->main->n_layer; l++) {
        cache_need n = layer_need(r, &r->m->main->layers[l], max);
        floats += (double)n.k + (double)n.v + (double)n.cross_k + (double)n.cross_v + (double)n.state;
    }
    input_lengths lengths = {.main = max};
    double need = 4 * floats + (double)forward_memory(r->m, &lengths, runtime_threads(r)), have = (double)memory_available();
    if (need <= have)
        return 0;
    err_set(e, ERR_RESOURCE, "%lld tokens need about %.1f GiB of memory, %.1f GiB are free", (long long)max,
            need / (1 << 30), have / (1 << 30));
    return err_hint(e, "give a shorter prompt, or run where there is more memory");
}

int decoder_new(decoder **out, runtime *r, const model_input *input, int64_t max_tokens, err *e)
{
    const model *m = r->m;
    static const model_input none;
    const model_layer *first = &m->main->layers[0];
    input_lengths n = {0};
    int rc;
    if (!m->head.unembedding.data || !(first->delta || first->self.plan.causal)) {
        err_set(e, ERR_USAGE, "%s is no causal language model: it cannot continue a text", m->name);
        return err_hint(e, "`run` measures its attention");
    }
    if (!input && m->encoder)
        return err_set(e, ERR_USAGE, "%s continues what its encoder reads, and nothing is given for it", m->name);
    if (input && (rc = input_measure(&n, m, input, e)))
        return rc;
    if ((rc = run_towers(r, input ? input : &none, &n, NULL, NULL, e)) || (rc = check_cache(r, max_tokens, e)))
        return rc;
    decoder *d = mem_array(1, sizeof *d, e);
    if (!d)
        return ERR_RESOURCE;
    d->r = r;
    d->max = max_tokens;
    rc = ERR_RESOURCE;
    if (!(d->cache = mem_array((size_t)m->main->n_layer, sizeof *d->cache, e)) ||
        !(d->ids = mem_array((size_t)max_tokens, sizeof *d->ids, e)))
        goto fail;
    for (int l = 0; l < m->main->n_layer; l++) {
        cache_need c = layer_need(r, &m->main->layers[l], max_tokens);
        layer_cache *y = &d->cache[l];
        if ((rc = take(&y->k, c.k, e)) || (rc = take(&y->v, c.v, e)) || (rc = take(&y->cross_k, c.cross_k, e)) ||
            (rc = take(&y->cross_v, c.cross_v, e)) || (rc = take(&y->state, c.state, e)))
            goto fail;
        d->recurrent |= y->state != NULL;
    }
    if ((rc = runtime_reserve_logits(r, e)))
        goto fail;
    *out = d;
    return 0;
fail:
    decoder_free(d);
    return rc;
}

/* Recurrent states as they are before the first token. */
static void clear_states(decoder *d)
{
    const stack *s = d->r->m->main;
    for (int l = 0; l < s->n_layer; l++)
        if (d->cache[l].state)
            memset(d->cache[l].state, 0, (size_t)delta_net_state(s->layers[l].delta) * sizeof(float));
}

/* Longrope has two sets of frequencies: once a text grows beyond the original context, the keys before are to be
 * rotated anew, as generation in the reference implementation does it too. */
static bool keys_outdated(const decoder *d, int64_t n)
{
    const model *m = d->r->m;
    bool same = true;
    for (int i = 0; i < m->n_rope && d->used > 0; i++)
        same &= !m->ropes[i].long_divisors || rope_same_frequencies(&m->ropes[i], d->used, d->used + n);
    return !same;
}

/* The pass over tokens from .. used + n - 1, and the logits of the last. */
static int step(decoder *d, int64_t from, int64_t n, const progress *p, err *e)
{
    runtime *r = d->r;
    const stack *s = r->m->main;
    int64_t end = d->used + n;
    model_input in = {.ids = d->ids + from, .n = end - from};
    int rc = runtime_reserve(r, s, in.n, end, d->max, e);
    if (rc || (rc = run_main(r, &in, in.n, from, d->cache, d->watch, p, e)))
        return rc;
    run_logits(r, r->buf[BUF_X] + (in.n - 1) * s->width, 1, r->buf[BUF_LOGITS], true);
    return cancel_check(e); /* the pool skips work once a cancel is asked for: these are no logits */
}

void decoder_free(decoder *d)
{
    if (!d)
        return;
    for (int l = 0; d->cache && l < d->r->m->main->n_layer; l++) {
        float *const parts[] = {d->cache[l].k, d->cache[l].v, d->cache[l].cross_k, d->cache[l].cross_v, d->cache[l].state};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            mem_free_large(parts[i]);
    }
    free(d->cache);
    free(d->ids);
    free(d);
}

void decoder_watch(decoder *d, const observer *o)
{
    d->watch = o;
}

int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e)
{
    runtime *r = d->r;
    int64_t placed = r->image_placed, from = d->used;
    int rc = check_main_ids(r->m, ids, n, d->used, e);
    if (rc)
        return rc;
    if (n > d->max - d->used)
        return err_set(e, ERR_FAILED, "the key/value cache holds %lld tokens", (long long)d->max);
    if (d->lost)
        return err_set(e, ERR_FAILED, "the key/value cache was lost when a step failed");
    memcpy(d->ids + d->used, ids, (size_t)n * sizeof *ids);
    if (keys_outdated(d, n))
        from = 0;
    if (from == 0)
        clear_states(d);
    if ((rc = step(d, from, n, p, e))) {
        r->image_placed = placed;
        d->lost = d->used > 0 && (d->recurrent || from == 0);
        return rc;
    }
    d->used += n;
    *logits = r->buf[BUF_LOGITS];
    return 0;
}
