/* Decoding: a cache of keys, values and recurrent states, and one pass a call. */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "model/runtime.h"

struct decoder {
    runtime *r;
    int64_t max, used;
    layer_cache *cache; /* [n_layer] */
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
    input_lengths n = {0};
    int rc;
    if (!m->head.unembedding.data || !m->main->layers[0].self.plan.causal) {
        if (!m->main->layers[0].delta) {
            err_set(e, ERR_USAGE, "%s is no causal language model: it cannot continue a text", m->name);
            return err_hint(e, "`run` measures its attention");
        }
    }
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
    if (!(d->cache = mem_array((size_t)m->main->n_layer, sizeof *d->cache, e)))
        goto fail;
    for (int l = 0; l < m->main->n_layer; l++) {
        cache_need c = layer_need(r, &m->main->layers[l], max_tokens);
        layer_cache *y = &d->cache[l];
        if ((rc = take(&y->k, c.k, e)) || (rc = take(&y->v, c.v, e)) || (rc = take(&y->cross_k, c.cross_k, e)) ||
            (rc = take(&y->cross_v, c.cross_v, e)) || (rc = take(&y->state, c.state, e)))
            goto fail;
        if (y->state)
            memset(y->state, 0, (size_t)c.state * sizeof *y->state);
    }
    if ((rc = runtime_reserve_logits(r, e)))
        goto fail;
    *out = d;
    return 0;
fail:
    decoder_free(d);
    return rc;
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
    free(d);
}

int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e)
{
    runtime *r = d->r;
    const stack *s = r->m->main;
    model_input in = {.ids = ids, .n = n};
    int rc = check_main_ids(r->m, ids, n, d->used, e);
    if (rc)
        return rc;
    if (n > d->max - d->used)
        return err_set(e, ERR_FAILED, "the key/value cache holds %lld tokens", (long long)d->max);
    if ((rc = runtime_reserve(r, s, n, d->used + n, d->max, e)) ||
        (rc = run_main(r, &in, n, d->used, d->cache, NULL, p, e)))
        return rc;
    run_logits(r, r->buf[BUF_X] + (n - 1) * s->width, 1, r->buf[BUF_LOGITS], true);
    if ((rc = cancel_check(e))) /* the pool skips work once a cancel is asked for: these are no logits */
        return rc;
    d->used += n;
    *logits = r->buf[BUF_LOGITS];
    return 0;
}
