#include <stdlib.h>
#include <string.h>
#include "analysis/head_jsd.h"
#include "analysis/layer_panels.h"
#include "base/mem.h"

static const char *const plain_roots[] = {"none", "of-mean", NULL};

static const param jsd_layers_params[] = {
    {"jsd-layers-unit", PARAM_ENUM, "nats", "UNIT", "unit of the divergence, before any root", 0, 0, jsd_units, NULL},
    {"jsd-layers-root", PARAM_ENUM, "none", "WHICH", "square root of the mean over queries", 0, 0, plain_roots, NULL},
    {"jsd-layers-leave-out", PARAM_ENUM, "nothing", "WHAT",
     "query 0, key 0 or both, which all causal maps have in common", 0, 0, leave_out_names, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct jsd_layers {
    jsd_options o;
    int n_head;              /* of all layers */
    kept_attention *kept;
} jsd_layers;

static void release(metric_ctx *c)
{
    jsd_layers *j = c->shared;
    if (j)
        kept_attention_free(j->kept);
    free(j);
    c->shared = NULL;
}

static int prepare(metric_ctx *c, err *e)
{
    jsd_layers *j = c->shared = mem_array(1, sizeof *j, e);
    if (!j)
        return ERR_RESOURCE;
    j->o.bits = strcmp(params_str(c->p, "jsd-layers-unit"), "bits") == 0;
    j->o.root = strcmp(params_str(c->p, "jsd-layers-root"), "of-mean") == 0 ? JSD_ROOT_OF_MEAN : JSD_PLAIN;
    j->o.without = leave_out_read(c->p, "jsd-layers-leave-out");
    j->n_head = layer_panels_heads(c->model, c->kind);
    int rc = layer_panels_check(c, "jsd_layers", jsd_state_size(&j->o, j->n_head), e);
    if (!rc)
        rc = kept_attention_new(&j->kept, model_stack(c->model, c->kind)->n_layer, e);
    if (rc)
        release(c);
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    jsd_layers *j = c->shared;
    (void)out;
    return kept_attention_add(j->kept, a, "jsd_layers", e);
}

static void block(void *state, const void *ud, const attn_panels *p)
{
    const jsd_layers *j = ud;
    jsd_block(state, &j->o, p);
}

static void merge(void *into, const void *from, const void *ud)
{
    const jsd_layers *j = ud;
    jsd_merge(into, from, j->n_head);
}

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    const jsd_layers *j = c->shared;
    const layer_panels l = {jsd_state_size(&j->o, j->n_head), block, merge, j};
    void *state;
    int rc = layer_panels_run(&state, &l, j->kept, c->run, e);
    for (int a = 0; a < j->n_head && state && !rc; a++) {
        head_id from = head_of_index(c->model, c->kind, a);
        for (int b = 0; b < j->n_head && !rc; b++) {
            double v;
            if (a != b && jsd_between(&v, state, &j->o, j->n_head, a, b))
                rc = metric_emit(c, out, from.layer, from.head, b, v, e);
        }
    }
    mem_free_large(state);
    return rc;
}

const metric metric_jsd_layers = {
    .name = "jsd_layers",
    .summary = "Jensen-Shannon divergence from every other head of the model",
    .formula = "mean_i [H((P + Q) / 2) - (H(P) + H(Q)) / 2] for heads of all layers",
    .definition =
        "jsd between the heads of all layers of a stack: mean over queries of H((P + Q) / 2) - (H(P) + "
        "H(Q)) / 2 for the rows P and Q of two heads.  root of-mean: the square root of that mean.  "
        "leave-out as for jsd; neither the smoothing (0.001) of Clark et al. nor their sum over rows and documents",
    .unit = "",
    .range = "0 .. ln 2 (nats), 0 .. 1 (bits); with a root 0 .. 0.8326, 0 .. 1",
    .source = "Lin 1991; between all heads of a model: Clark et al. 2019 (arXiv 1906.04341)",
    .reading =
        "The full matrix behind plot divergence_matrix: blocks along the diagonal are layers whose heads "
        "attend alike.",
    .traps = "The cost grows with the square of the number of heads. Sinks make heads alike as in jsd.",
    .cite = "lin1991,clark2019",
    .missing_mass = "what a row lacks to 1 (a learned sink) is one more key that all heads share",
    .cost = "attention once more and a logarithm a cell for each pair of heads; keeps queries and keys of all layers, "
            "and [all heads, n] panels a thread",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_HEAD,
    .validated = "second implementation in double on maps of random models of every kind",
    .params = jsd_layers_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
    .end = end,
};
