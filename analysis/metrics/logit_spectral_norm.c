#include <stdlib.h>
#include "analysis/logit_weights.h"
#include "base/mem.h"

static const char *unfit(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    for (int l = 0; l < s->n_layer; l++) {
        const attention_block *b = model_attention(m, kind, l);
        if (b && logits_bilinear(b))
            return NULL;
    }
    return "its logits are no bilinear form of the stream (latent attention, or normed or clipped queries and keys)";
}

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const stack *s = model_stack(c->model, c->kind);
    int rc = 0;
    for (int l = 0; l < s->n_layer && !rc; l++) {
        const attention_block *b = model_attention(c->model, c->kind, l);
        double *norms;
        progress_step(p, "layer", l, s->n_layer);
        if (!b || !logits_bilinear(b))
            continue;
        if (!(norms = mem_array((size_t)b->plan.n_head, sizeof *norms, e)))
            return ERR_RESOURCE;
        rc = logit_norms(norms, c->run, b, (logit_norm_options){0}, e);
        for (int h = 0; h < b->plan.n_head && !rc; h++)
            rc = metric_emit(c, out, l, h, NO_INDEX, norms[h], e);
        free(norms);
    }
    progress_step(p, "layer", s->n_layer, s->n_layer);
    return rc;
}

const metric metric_logit_spectral_norm = {
    .name = "logit_spectral_norm",
    .summary = "spectral norm of the product of a head's query and key weights",
    .formula = "scale |W_Q^T W_K|_2",
    .definition =
        "scale * ||W_Q^T W_K||_2, W_Q and W_K [head width, width] of the head, with grouped queries the "
        "keys of its key/value head; the largest singular value, to 1e-13.  Scale as the head's logits have "
        "it, usually 1/sqrt(head width); without biases, gains of the norm before, and RoPE (at distance "
        "0).  No value where the logits are no bilinear form: latent attention, norms of queries or keys, "
        "clipping",
    .unit = "",
    .range = "0 ..",
    .source = "Zhai et al. 2023 (arXiv 2303.06296), theorem 3.1, which has no scale; sigmaReparam holds the "
              "factors' norms",
    .reading =
        "The largest that a logit can get for streams of length 1. Growth in training goes before entropy "
        "collapse.",
    .traps = "An upper bound over directions that may never occur. Gains of the norm before are not in it.",
    .cite = "zhai2023",
    .missing_mass = "does not apply",
    .cost = "width x (head width)^2 for each head",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_ALL,
    .unfit = unfit,
    .weights = weights,
};
