#include "model/quantize.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "base/pool.h"
#include "compute/gemm.h"
#include "compute/quantize.h"

const char *const quantize_names[] = {"none", "q8_0", "q4_0", "q4_1", "q5_0",
                                      "q5_1", "bf16", "f16",  "fp8",  NULL};
static const dtype types[] = {DT_COUNT, DT_Q8_0, DT_Q4_0, DT_Q4_1,   DT_Q5_0,
                              DT_Q5_1,  DT_BF16, DT_F16,  DT_F8_E4M3};

/* A map, in words for errors. */
typedef struct place { weight *w; const char *what; const stack *s; int layer; } place;
typedef struct places { place *p; size_t n, cap; } places;

typedef struct job {
    const weight *from;
    unsigned char *data;
    float *scale;         /* [n_out] or NULL */
    float *rows;          /* [threads, n_in] */
    dtype type;
    size_t row_bytes;
    _Atomic bool bad;
} job;

static int add(places *l, weight *w, const char *what, const stack *s, int layer, err *e)
{
    if (!w->data)
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        place *more = mem_grow(l->p, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        l->p = more;
        l->cap = cap;
    }
    l->p[l->n++] = (place){w, what, s, layer};
    return 0;
}

static int add_all(places *l, weight *const *w, const char *const *what, int n, const stack *s, int layer,
                   err *e)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++)
        rc = add(l, w[i], what[i], s, layer, e);
    return rc;
}

static int add_attention(places *l, attention_block *b, const stack *s, int layer, err *e)
{
    weight *const own[] = {&b->q, &b->k, &b->v, &b->out, &b->gate};
    static const char *const names[] = {"queries", "keys", "values", "attention output", "attention gate"};
    int rc = add_all(l, own, names, 5, s, layer, e);
    if (rc || !b->mla)
        return rc;
    weight *const down_up[] = {&b->mla->q_down, &b->mla->kv_down, &b->mla->k_up, &b->mla->v_up};
    static const char *const latent_names[] = {"latent queries", "latent keys and values", "keys", "values"};
    return add_all(l, down_up, latent_names, 4, s, layer, e);
}

static int add_mlp(places *l, mlp *x, const stack *s, int layer, err *e)
{
    weight *const w[] = {&x->gate, &x->up, &x->down};
    static const char *const names[] = {"MLP gate", "MLP up", "MLP down"};
    return add_all(l, w, names, 3, s, layer, e);
}

static int add_layer(places *l, model_layer *y, const stack *s, int layer, err *e)
{
    int rc = 0;
    if (y->delta) {
        delta_net *d = y->delta;
        weight *const w[] = {&d->q, &d->k, &d->v, &d->z, &d->rates, &d->out};
        static const char *const names[] = {"queries", "keys", "values", "gate", "rates", "attention output"};
        rc = add_all(l, w, names, 6, s, layer, e);
    } else {
        rc = add_attention(l, &y->self, s, layer, e);
    }
    if (!rc && y->has_cross)
        rc = add_attention(l, &y->cross, s, layer, e);
    if (rc || !y->moe)
        return rc ? rc : add_mlp(l, &y->mlp, s, layer, e);
    for (int i = 0; i < y->moe->n_expert && !rc; i++)
        rc = add_mlp(l, &y->moe->experts[i], s, layer, e);
    return rc || !y->moe->has_shared ? rc : add_mlp(l, &y->moe->shared, s, layer, e);
}

/* Every map that is rounded, in the order of a run. */
static int find_maps(places *l, model *m, bool embeddings, err *e)
{
    stack *stacks[] = {m->vision, m->encoder, m->main};
    int rc = 0;
    for (int i = 0; i < 3 && !rc; i++) {
        stack *s = stacks[i];
        if (!s)
            continue;
        if (embeddings)
            rc = add(l, &s->embed.tokens, "token embeddings", s, NO_INDEX, e);
        if (!rc)
            rc = add(l, &s->embed.project, "projection of the embeddings", s, NO_INDEX, e);
        for (int y = 0; y < s->n_layer && !rc; y++)
            rc = add_layer(l, &s->layers[y], s, y, e);
    }
    weight *const last[] = {&m->projector[0], &m->projector[1], &m->head.transform, &m->head.project};
    static const char *const names[] = {"projector", "projector", "transform of the logits",
                                        "projection of the logits"};
    if (!rc)
        rc = add_all(l, last, names, 4, NULL, NO_INDEX, e);
    return rc || !embeddings ? rc : add(l, &m->head.unembedding, "unembedding", NULL, NO_INDEX, e);
}

static void round_row(void *ud, int64_t row, int thread)
{
    job *j = ud;
    float scale, *x = j->rows + (int64_t)thread * j->from->n_in;
    weight_load(x, j->from, row, 0, j->from->n_in);
    if (!quantize_row(j->data + (size_t)row * j->row_bytes, &scale, j->type, x, j->from->n_in))
        atomic_store(&j->bad, true);
    if (j->scale)
        j->scale[row] = scale;
}

static int out_of_range(const place *at, const model *m, dtype type, err *e)
{
    const char *stack_name = !at->s || at->s == m->main ? ""
                             : at->s == m->vision       ? " of the image tower"
                                                        : " of the encoder";
    char layer[32] = "";
    if (at->layer != NO_INDEX)
        snprintf(layer, sizeof layer, " of layer %d", at->layer);
    err_set(e, ERR_FAILED, "%s%s%s: a weight is not finite or beyond the range of %s", at->what, layer,
            stack_name, dtypes[type].name);
    return err_hint(e, type == DT_BF16 || type == DT_F8_E4M3
                           ? "see `tensors` for weights that are NaN or infinite"
                           : "bf16 and fp8 hold any finite weight");
}

static int round_map(const place *at, model *m, dtype type, pool *p, err *e)
{
    weight *w = at->w;
    const dtype_info *t = &dtypes[type];
    size_t bytes, row_floats;
    job j = {.from = w, .type = type, .row_bytes = (size_t)(w->n_in / t->block) * (size_t)t->block_bytes};
    if (!size_mul(&bytes, (size_t)w->n_out, j.row_bytes) ||
        !size_mul(&row_floats, (size_t)pool_threads(p), (size_t)w->n_in))
        return err_nomem(e, "the quantised weights");
    j.data = arena_alloc(m->arena_, bytes, 1, e);
    j.rows = mem_array(row_floats, sizeof *j.rows, e);
    if (type == DT_F8_E4M3)
        j.scale = arena_alloc(m->arena_, (size_t)w->n_out, sizeof *j.scale, e);
    int rc = j.data && j.rows && (j.scale || type != DT_F8_E4M3) ? 0 : ERR_RESOURCE;
    if (!rc) {
        pool_run(p, w->n_out, round_row, &j);
        rc = cancel_check(e);
    }
    if (!rc && atomic_load(&j.bad))
        rc = out_of_range(at, m, type, e);
    free(j.rows);
    if (rc)
        return rc;
    weight made = {
        .type = type, .data = j.data, .n_out = w->n_out, .n_in = w->n_in, .ld = w->n_in, .bias = w->bias};
    if (j.scale) {
        made.scale_kind = SCALE_F32_TILE;
        made.scale = j.scale;
        made.scale_ld = made.scale_rows = 1;
        made.scale_cols = (int)w->n_in;
    }
    *w = made;
    return 0;
}

static bool same_map(const weight *a, const weight *b)
{
    return a->data == b->data && a->type == b->type && a->n_out == b->n_out && a->n_in == b->n_in &&
           a->ld == b->ld && a->transposed == b->transposed && a->row_block == b->row_block &&
           a->paired == b->paired;
}

static int name_result(model *m, const char *name, bool embeddings, size_t kept, size_t n, err *e)
{
    char text[96], rest[48] = "";
    if (kept)
        snprintf(rest, sizeof rest, ", %zu of %zu maps as stored", kept, n);
    snprintf(text, sizeof text, "%s%s%s", name, embeddings ? " with embeddings" : "", rest);
    m->quantized = arena_strdup(m->arena_, text, e);
    return m->quantized ? 0 : ERR_RESOURCE;
}

int model_quantize(model *m, const char *name, bool embeddings, int threads, const progress *p, err *e)
{
    places l = {0};
    pool *workers = NULL;
    weight *before = NULL;
    size_t kept = 0;
    int which = 0;
    while (quantize_names[which] && strcmp(quantize_names[which], name))
        which++;
    if (!quantize_names[which] || which == 0)
        return err_set(e, ERR_USAGE, "'%s' is no form that weights can be rounded to", name);
    dtype type = types[which];
    int rc = find_maps(&l, m, embeddings, e);
    if (!rc)
        rc = pool_new(&workers, threads, e);
    if (!rc) {
        before = mem_array(l.n, sizeof *before, e);
        rc = before ? 0 : ERR_RESOURCE;
    }
    for (size_t i = 0; i < l.n && !rc; i++) {
        weight *w = l.p[i].w;
        size_t same = i;
        before[i] = *w;
        for (size_t k = 0; k < i && same == i; k++) /* tied weights stay one */
            same = same_map(&before[k], w) ? k : i;
        if (w->n_in % dtypes[type].block || w->n_in > INT32_MAX) {
            kept++;
        } else if (same < i) {
            const float *bias = w->bias;
            *w = *l.p[same].w;
            w->bias = bias;
        } else {
            rc = round_map(&l.p[i], m, type, workers, e);
        }
        progress_step(p, "quantising", (double)(i + 1), (double)l.n);
    }
    if (!rc)
        rc = name_result(m, name, embeddings, kept, l.n, e);
    free(before);
    free(l.p);
    pool_free(workers);
    return rc;
}
