#include "analysis/lens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/attribution.h"
#include "analysis/rollout.h"
#include "base/mem.h"

enum { BLOCK_VALUES = 1 << 22 };

const param lens_params[] = {
    {.name = "logit-lens-positions", .kind = PARAM_LIST, .def = "all", .value = "POSITIONS",
     .help = "positions whose predictions are read, negative ones from the end, or all; auto: the last"},
    {.name = "logit-lens-token", .kind = PARAM_STR, .value = "TOKEN",
     .help = "whose probability and rank: an id, or a text of one token; by default the token that follows"},
    {.name = NULL},
};

int lens_new(lens **out, int n_layer, const double *chosen, int64_t n_token, err *e)
{
    lens *l = mem_array(1, sizeof *l, e);
    *out = NULL;
    if (!l)
        return ERR_RESOURCE;
    l->n_layer = n_layer;
    l->x = mem_array((size_t)n_layer + 1, sizeof *l->x, e);
    l->position = mem_array((size_t)n_token, sizeof *l->position, e);
    if (!l->x || !l->position) {
        lens_free(l);
        return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < n_token; i++)
        if (chosen[i] > 0)
            l->position[l->n++] = i;
    *out = l;
    return 0;
}

void lens_free(lens *l)
{
    for (int i = 0; l && l->x && i <= l->n_layer; i++)
        free(l->x[i]);
    if (l) {
        free(l->x);
        free(l->position);
    }
    free(l);
}

int lens_keep(lens *l, int layer, const float *x, int64_t width, err *e)
{
    size_t cells;
    if (layer > l->n_layer)
        return 0;
    free(l->x[layer]);
    l->x[layer] = NULL;
    if (!size_mul(&cells, (size_t)l->n, (size_t)width))
        return err_nomem(e, "streams");
    l->x[layer] = mem_array(cells, sizeof(float), e);
    if (!l->x[layer])
        return ERR_RESOURCE;
    l->width = width;
    for (int64_t i = 0; i < l->n; i++)
        memcpy(l->x[layer] + i * width, x + l->position[i] * width, (size_t)width * sizeof(float));
    return 0;
}

int lens_each(const lens *l, runtime *r, const model *m,
              int (*row)(void *ud, int layer, int64_t position, const float *logits, const float *final, err *e), void *ud,
              const progress *p, err *e)
{
    int64_t block = BLOCK_VALUES / m->vocab < 1 ? 1 : BLOCK_VALUES / m->vocab, done = 0;
    block = block < l->n ? block : l->n;
    float *final = mem_array((size_t)block * (size_t)m->vocab, sizeof *final, e);
    float *logits = mem_array((size_t)block * (size_t)m->vocab, sizeof *logits, e);
    int rc = final && logits ? 0 : ERR_RESOURCE;
    for (int64_t first = 0; first < l->n && !rc && l->x[l->n_layer]; first += block) {
        int64_t rows = l->n - first < block ? l->n - first : block;
        rc = runtime_unembed(r, l->x[l->n_layer] + first * l->width, rows, final, e);
        for (int layer = 0; layer <= l->n_layer && !rc; layer++) {
            progress_step(p, "lens", (double)done++, (double)(l->n_layer + 1) * (double)((l->n + block - 1) / block));
            if (!l->x[layer])
                continue;
            const float *z = layer == l->n_layer ? final : logits;
            if (z == logits)
                rc = runtime_unembed(r, l->x[layer] + first * l->width, rows, logits, e);
            for (int64_t i = 0; i < rows && !rc; i++)
                rc = row(ud, layer, l->position[first + i], z + i * m->vocab, final + i * m->vocab, e);
        }
    }
    free(final);
    free(logits);
    return rc;
}

double log_sum_exp(const float *z, int64_t n)
{
    double largest = (double)z[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        largest = (double)z[i] > largest ? (double)z[i] : largest;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)z[i] - largest);
    return largest + log(sum);
}

/* ---- metrics ---- */

typedef struct state { lens *l; int32_t token; } state;

typedef struct emitter { const metric_ctx *c; const state *s; lens_value what; const result_sink *out; } emitter;

int lens_prepare(metric_ctx *c, err *e)
{
    state *s = c->shared = mem_array(1, sizeof *s, e);
    double *chosen = mem_array((size_t)c->n, sizeof *chosen, e);
    int rc = s && chosen ? rollout_outputs(chosen, c, "logit-lens-positions", e) : ERR_RESOURCE;
    if (!rc)
        rc = lens_new(&s->l, c->n_layer, chosen, c->n, e);
    if (!rc)
        rc = read_token_option(&s->token, c, "logit-lens-token", e);
    free(chosen);
    if (rc)
        lens_release(c);
    return rc;
}

void lens_release(metric_ctx *c)
{
    state *s = c->shared;
    if (s)
        lens_free(s->l);
    free(s);
    c->shared = NULL;
}

int lens_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    const state *s = c->shared;
    (void)n;
    (void)out;
    return lens_keep(s->l, layer, x, width, e);
}

static double entropy_of(const float *z, int64_t n)
{
    double all = log_sum_exp(z, n), sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)z[i] - all) * (all - (double)z[i]);
    return sum;
}

/* KL divergence of q from p, both logits. */
static double divergence(const float *p, const float *q, int64_t n)
{
    double all_p = log_sum_exp(p, n), all_q = log_sum_exp(q, n), sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double lp = (double)p[i] - all_p;
        sum += exp(lp) * (lp - ((double)q[i] - all_q));
    }
    return sum < 0 ? 0 : sum; /* keeps NaN */
}

static int emit_row(void *ud, int layer, int64_t position, const float *z, const float *final, err *e)
{
    const emitter *m = ud;
    const metric_ctx *c = m->c;
    int64_t vocab = c->model->vocab, above = 0;
    int32_t target = m->s->token >= 0 ? m->s->token : c->ids && position + 1 < c->n ? c->ids[position + 1] : -1;
    double value = 0;
    if (m->what <= LENS_RANK && (target < 0 || target >= vocab || target == c->placeholder))
        return 0;
    switch (m->what) {
    case LENS_PROBABILITY:
        value = exp((double)z[target] - log_sum_exp(z, vocab));
        break;
    case LENS_LOGIT:
        value = (double)z[target];
        break;
    case LENS_RANK:
        for (int64_t i = 0; i < vocab; i++)
            above += z[i] > z[target];
        value = (double)above;
        for (int64_t i = 0; i < vocab; i++)
            value = z[i] < INFINITY ? value : NAN; /* NaN has no rank, and nothing has one beside it */
        break;
    case LENS_ENTROPY:
        value = entropy_of(z, vocab);
        break;
    case LENS_KL:
        value = divergence(final, z, vocab);
        break;
    }
    return metric_emit(c, m->out, layer, NO_INDEX, position, value, e);
}

int lens_end(metric_ctx *c, lens_value what, const result_sink *out, err *e)
{
    const state *s = c->shared;
    emitter m = {c, s, what, out};
    return lens_each(s->l, c->run, c->model, emit_row, &m, NULL, e);
}

const char *lens_unfit(const model *m, attn_kind kind)
{
    return kind != m->main->kind || !m->head.unembedding.data ? "it gives no logits" : NULL;
}
