#include <stdlib.h>
#include <string.h>
#include "analysis/rollout.h"
#include "base/mem.h"

static const param rollout_params[] = {
    {.name = "rollout-output", .kind = PARAM_LIST, .def = "auto", .value = "POSITIONS",
     .help = "output positions, negative ones from the end, or all; auto: the last, of encoders and images the first"},
    {.name = "rollout-residual", .kind = PARAM_BOOL, .def = "true",
     .help = "half of every row stays where it is; without, the attention alone is multiplied"},
    {.name = "rollout-layers", .kind = PARAM_BOOL, .def = "false",
     .help = "a row for the stream before every layer, not for the input alone"},
    {.name = "rollout-relative", .kind = PARAM_BOOL, .def = "false",
     .help = "divided by what uniform attention would give"},
    {.name = NULL},
};

typedef struct state {
    kept_attention *kept;
    double *r;            /* [n] the row, then what it was multiplied to */
    double *uniform;      /* [n] */
} state;

static void release(metric_ctx *c)
{
    state *s = c->shared;
    if (s) {
        kept_attention_free(s->kept);
        free(s->r);
        free(s->uniform);
    }
    free(s);
    c->shared = NULL;
}

static int prepare(metric_ctx *c, err *e)
{
    state *s = c->shared = mem_array(1, sizeof *s, e);
    int rc = s ? kept_attention_new(&s->kept, c->n_layer, e) : ERR_RESOURCE;
    if (!rc) {
        s->r = mem_array((size_t)c->n, sizeof *s->r, e);
        s->uniform = mem_array((size_t)c->n, sizeof *s->uniform, e);
        rc = s->r && s->uniform ? rollout_outputs(s->r, c, "rollout-output", e) : ERR_RESOURCE;
    }
    if (rc)
        release(c);
    else
        memcpy(s->uniform, s->r, (size_t)c->n * sizeof *s->uniform);
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    state *s = c->shared;
    (void)out;
    return kept_attention_add(s->kept, a, "rollout", e);
}

/* Where uniform attention brings nothing, no attention can. */
static int emit(const metric_ctx *c, const state *s, int layer, const result_sink *out, err *e)
{
    bool relative = params_bool(c->p, "rollout-relative");
    int rc = 0;
    for (int64_t k = 0; k < c->n && !rc; k++)
        if (s->uniform[k] > 0)
            rc = metric_emit(c, out, layer, NO_INDEX, k, relative ? s->r[k] / s->uniform[k] : s->r[k], e);
    return rc;
}

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    state *s = c->shared;
    bool residual = params_bool(c->p, "rollout-residual"), all = params_bool(c->p, "rollout-layers");
    int rc = 0;
    for (int l = c->n_layer - 1; l >= 0 && !rc; l--) {
        const attn_args *a = &s->kept->layer[l];
        if (a->q) /* a layer that was left out changes nothing */
            rc = rollout_step(c->run, a, residual, s->r, e);
        if (a->q && !rc)
            rc = rollout_uniform_step(a, residual, s->uniform, e);
        if (!rc && (all || l == 0))
            rc = emit(c, s, l, out, e);
    }
    return rc;
}

const metric metric_rollout = {
    .name = "rollout",
    .summary = "what an output position reads of each input position, through all layers",
    .formula = "row of B_top ... B_0, B_l = rows of (mean_h A_l + I) divided by their sums",
    .definition =
        "The row of the output position of B_top ... B_1 B_0, where B_l = M_l + I with rows divided by "
        "their sums and M_l is the mean of the attention of layer l over its heads; with "
        "--no-rollout-residual B_l = M_l, rows divided likewise. Several output positions are averaged. "
        "The value's layer is the one down to which it was multiplied: 0 is the input. Causal rows gather "
        "at the first positions with depth even under uniform attention: --rollout-relative divides by the "
        "same product of uniform rows over the visible keys. Not for models with layers that mix tokens "
        "without attention weights",
    .unit = "",
    .range = "0 .. 1; relative: 0 ..",
    .source = "Abnar and Zuidema 2020 (arXiv 2005.00928), attention rollout; their code renormalises as here",
    .reading =
        "A first guess which inputs reach an output. rollout-relative above 1: more than uniform attention "
        "would give.",
    .traps =
        "Under a causal mask the first positions win even with uniform attention. Averages heads, ignores "
        "values and MLPs.",
    .cite = "abnar2020",
    .missing_mass =
        "rows are divided by their sums: the share of a learned sink goes to keys and residual alike",
    .cost = "the attention of every layer once more; queries and keys of all layers are kept, O(L n H d)",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .unfit = kept_attention_unfit,
    .axis = AXIS_KEY,
    .validated = "products of dense matrices, uniform and identity attention",
    .params = rollout_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
    .end = end,
};
