#include <math.h>
#include <stdlib.h>
#include "analysis/activation.h"
#include "analysis/logit_weights.h"
#include "analysis/spectral.h"
#include "base/mem.h"

enum { SHARES = 16, MAX_STEPS = 300 };   /* rows are cut into this many sums, whatever the threads */

/* X^T X of what the attention reads, with a column of ones where there are biases. */
typedef struct stream_square {
    runtime *run;
    const float *x;        /* [n, width] */
    int64_t n, width;
    bool ones;
    double *sums;          /* [SHARES, width + 1] */
    const double *v;
    err *e;
} stream_square;

static bool covered(const model *m, attn_kind kind, int layer)
{
    const attention_block *b = model_attention(m, kind, layer);
    const stack *s = model_stack(m, kind);
    return b && logits_bilinear(b) && !b->sinks && !s->rel_table && !s->alibi_slopes;
}

static const char *unfit(const model *m, attn_kind kind)
{
    for (int l = 0; l < model_stack(m, kind)->n_layer; l++)
        if (covered(m, kind, l))
            return NULL;
    return "the theorem covers no logits with position biases, learned sinks, normed or clipped queries or keys, nor "
           "latent attention";
}

static void square_share(void *ud, int64_t share, int thread)
{
    const stream_square *s = ud;
    double *sum = s->sums + share * (s->width + 1);
    int64_t end = s->n * (share + 1) / SHARES;
    (void)thread;
    for (int64_t d = 0; d <= s->width; d++)
        sum[d] = 0;
    for (int64_t i = s->n * share / SHARES; i < end; i++) {
        const float *x = s->x + i * s->width;
        double y = s->ones ? s->v[s->width] : 0;
        for (int64_t d = 0; d < s->width; d++)
            y += (double)x[d] * s->v[d];
        for (int64_t d = 0; d < s->width; d++)
            sum[d] += y * (double)x[d];
        sum[s->width] += y;
    }
}

static void square_apply(void *ud, double *y, const double *v)
{
    stream_square *s = ud;
    s->v = v;
    if (share_out(s->run, SHARES, square_share, s, s->e))
        return; /* a cancelled run: the caller asks again */
    for (int64_t d = 0; d < s->width + s->ones; d++) {
        y[d] = 0;
        for (int share = 0; share < SHARES; share++)
            y[d] += s->sums[share * (s->width + 1) + d];
    }
}

/* ||X X^T||_2 of the stream behind the norm of layer l; ones: with a column of ones. */
static int stream_norm(double *out, const metric_ctx *c, int l, const float *x, int64_t n, int64_t width, bool ones, err *e)
{
    const norm *pre = &model_stack(c->model, c->kind)->layers[l].at_self.pre;
    err inside = {0};
    stream_square s = {.run = c->run, .n = n, .width = width, .ones = ones, .e = &inside};
    float *normed = NULL;
    size_t cells;
    int rc = ERR_RESOURCE;
    if (!size_mul(&cells, (size_t)n, (size_t)width))
        return err_nomem(e, "a copy of the residual stream");
    normed = mem_array(cells, sizeof *normed, e);
    s.sums = mem_array(SHARES * (size_t)(width + 1), sizeof *s.sums, e);
    if (!normed || !s.sums)
        goto out;
    for (int64_t i = 0; i < n; i++)
        row_normalise(normed + i * width, pre, x + i * width, width);
    s.x = normed;
    rc = spectral_top(out, square_apply, NULL, &s, width + ones, MAX_STEPS, e);
    if (!rc && inside.code) {
        if (e)
            *e = inside;
        rc = inside.code;
    }
out:
    free(normed);
    free(s.sums);
    return rc;
}

/* RoPE keeps lengths but for a factor on cosines and sines. */
static double rope_stretch(const model *m, const attn_plan *p)
{
    double f = p->rope >= 0 ? m->ropes[p->rope].magnitude : 1;
    return f > 1 ? f * f : 1;
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    const stack *s = model_stack(c->model, c->kind);
    double stream, *norms;
    int rc;
    if (layer >= s->n_run || !covered(c->model, c->kind, layer))
        return 0;
    const attention_block *b = model_attention(c->model, c->kind, layer);
    const attn_args span = {.n_query = n, .n_key = n, .causal = b->plan.causal, .window = b->plan.window};
    if (!(norms = mem_array((size_t)b->plan.n_head, sizeof *norms, e)))
        return ERR_RESOURCE;
    if (!(rc = logit_norms(norms, c->run, b, (logit_norm_options){true, b->plan.rope >= 0}, e)))
        rc = stream_norm(&stream, c, layer, x, n, width, b->q.bias || b->k.bias, e);
    for (int h = 0; h < b->plan.n_head && !rc; h++) {
        double sigma = norms[h] * stream * rope_stretch(c->model, &b->plan), sum = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t lo, hi;
            attn_visible(&span, i, &lo, &hi);
            sum += entropy_floor(sigma, (double)(hi - lo));
        }
        rc = metric_emit(c, out, layer, h, NO_INDEX, sum / (double)n, e);
    }
    free(norms);
    return rc;
}

const metric metric_entropy_bound_weights = {
    .name = "entropy_bound_weights",
    .summary = "the entropy that the weights' spectral norm guarantees",
    .formula = "mean_i F(sigma, T_i), sigma = scale |W_Q^T W_K|_2 |X X^T|_2",
    .definition =
        "mean over queries i of F(sigma, T_i), F as in entropy_bound, T_i the visible keys, sigma = scale "
        "||W_Q^T W_K||_2 ||X X^T||_2, X [n, width] what the attention reads, behind its norm.  Biases count "
        "as the weight of an input that is always 1; with RoPE ||W_Q||_2 ||W_K||_2 takes the place of the "
        "product, so that the bound holds at every distance.  Never above entropy_bound, and far below it: "
        "e^-sigma is 0 for most trained heads.  No value with position biases, learned sinks, latent "
        "attention, and normed or clipped queries or keys",
    .unit = "nats",
    .range = "0 .. ln n",
    .source = "Zhai et al. 2023 (arXiv 2303.06296), theorem 3.1, with the scale of the logits and each "
              "row's own T",
    .reading =
        "Above 0 only for small spectral norms: then attention of this layer cannot collapse on one key. A "
        "fall towards 0 in training is what sigmaReparam was made against.",
    .traps =
        "Practically 0 for trained models; that it is 0 says nothing. No value for many architectures, see "
        "the definition.",
    .cite = "zhai2023",
    .missing_mass = "does not apply: rows sum to 1 where it has a value",
    .cost = "spectral norms of the stream and of each head's weights, for each layer",
    .validated = "dense singular values on a small model; "
                 "three values of the theorem (sigma 2, T 16: 2.41871)",
    .scope = METRIC_HEAD,
    .kinds = KINDS_OWN,
    .unfit = unfit,
    .hidden = hidden,
};
