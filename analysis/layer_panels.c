#include "analysis/layer_panels.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* Panels keep this many bytes apart from a power of two; see attention_panels. */
enum { SPREAD = 65536, ALIGN = 64 };

int layer_panels_heads(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    int n = 0;
    for (int l = 0; s && l < s->n_run; l++) {
        const attention_block *b = model_attention(m, kind, l);
        n += b ? b->plan.n_head : 0;
    }
    return n;
}

int layer_panels_check(const metric_ctx *c, const char *who, size_t state, err *e)
{
    const stack *s = model_stack(c->model, c->kind);
    const int heads = layer_panels_heads(c->model, c->kind);
    /* Doubles cannot overflow, and an estimate need not be exact. */
    double n = (double)c->n, n_key = (double)c->n_key, need = (double)state * attn_chunks(c->n);
    for (int l = 0; l < s->n_run; l++) {
        const attention_block *b = model_attention(c->model, c->kind, l);
        if (b)
            need += 4 * (n * b->plan.n_head + 2 * n_key * b->plan.n_kv_head) * b->plan.d_qk;
    }
    int threads = c->run ? runtime_threads(c->run) : 1;
    need += (double)threads * heads * (n_key * ATTN_PANEL_COLUMNS * 4 + SPREAD);
    double have = (double)memory_available();
    if (need < have * 0.9)
        return 0;
    err_set(e, ERR_RESOURCE, "%s needs about %.1f GB for %d heads at %lld tokens, and %.1f GB are free", who, need * 1e-9,
            heads, (long long)c->n, have * 1e-9);
    return err_hint(e, "give a shorter prompt or fewer --threads, or leave it out");
}

typedef struct layer_run {
    const layer_panels *l;
    unsigned char *states;
    size_t stride;
} layer_run;

static void on_block(void *ud, const attn_panels *p)
{
    const layer_run *r = ud;
    r->l->block(r->states + (size_t)p->chunk * r->stride, r->l->ud, p);
}

int layer_panels_run(void **state, const layer_panels *l, const kept_attention *k, runtime *r, err *e)
{
    attn_args *of = mem_array((size_t)k->n_layer + 1, sizeof *of, e);
    int n = 0, rc = 0;
    *state = NULL;
    if (!of)
        return ERR_RESOURCE;
    for (int i = 0; i < k->n_layer; i++)
        if (k->layer[i].q)
            of[n++] = k->layer[i];
    if (n == 0) {
        free(of);
        return 0;
    }
    int chunks = attn_chunks(of[0].n_query);
    layer_run run = {.l = l, .stride = (l->bytes + ALIGN - 1) / ALIGN * ALIGN};
    size_t bytes;
    if (!size_mul(&bytes, run.stride, (size_t)chunks))
        rc = err_nomem(e, "metric states");
    else if (!(run.states = mem_large(bytes, e)))
        rc = ERR_RESOURCE;
    if (!rc) {
        memset(run.states, 0, bytes);
        rc = runtime_attention_panels(r, of, n, on_block, &run, e);
    }
    for (int chunk = 1; chunk < chunks && !rc; chunk++)
        l->merge(run.states, run.states + (size_t)chunk * run.stride, l->ud);
    free(of);
    if (rc) {
        mem_free_large(run.states);
        return rc;
    }
    *state = run.states;
    return 0;
}
