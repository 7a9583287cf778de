#include <stdlib.h>
#include "analysis/activation.h"
#include "analysis/weight_gram.h"
#include "base/mem.h"

static const param head_norm_params[] = {
    {"head-norm-positions", PARAM_ENUM, "mean", "WHICH", token_pick_help, 0, 0, token_pick_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return token_values_prepare(c, "head-norm-positions", 0, e);
}

static int heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e)
{
    const attention_block *b = h->plan ? model_attention(c->model, h->kind, h->layer) : NULL;
    double *gram = NULL, *norms = NULL;
    size_t cells;
    int rc;
    if (!b)
        return 0;
    int n_head = h->plan->n_head, d = h->plan->d_v;
    if (!size_mul(&cells, (size_t)n_head, (size_t)h->n))
        return err_nomem(e, "norms of heads");
    if (!(norms = mem_array(cells, sizeof *norms, e)))
        return ERR_RESOURCE;
    if (!(rc = gram_of_inputs(&gram, c->run, &b->out, n_head, d, e)))
        rc = projected_norms(norms, c->run, gram, h->heads, h->width, h->n, n_head, n_head, d, e);
    for (int i = 0; i < n_head && !rc; i++)
        rc = token_values_emit(c, h->layer, i, norms + i * h->n, h->n, out, e);
    free(gram);
    free(norms);
    return rc;
}

const metric metric_head_norm = {
    .name = "head_norm",
    .summary = "length of what a head adds to the residual stream",
    .formula = "mean_i |a_i W_O^h|",
    .definition =
        "||a_i W_O^h||, a_i the output of head h for query i after its gate, W_O^h its slice of the output "
        "projection; without the bias of that projection, and before a norm, gain or scale behind it.  "
        "mean: over all queries.  first: of query 0, at its position.  rest: mean of all others.  ratio: "
        "first / rest.  each: at its position",
    .unit = "",
    .range = "0 ..",
    .source = "Kobayashi et al. 2020 (arXiv 2004.10102), the norm of the summed vectors; in double through "
              "the Gram matrix of W_O^h",
    .reading =
        "How loud a head is, rather than where it looks: a head that gives all weight to a sink with a "
        "small value adds almost nothing. Compare with residual_norm of the same layer.",
    .traps =
        "Loud is not the same as important: parts may cancel or be ignored above. Norms behind the "
        "sublayer (Gemma 2) rescale it.",
    .cite = "kobayashi2020",
    .missing_mass = "does not apply: a learned sink makes the output smaller, as it does in the model",
    .cost = "heads x width x (head width)^2 / 2 for each layer, and (head width)^2 / 2 for each head output",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_QUERY,
    .params = head_norm_params,
    .prepare = prepare,
    .release = token_values_release,
    .heads = heads,
};
