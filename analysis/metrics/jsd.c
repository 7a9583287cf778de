#include <stdlib.h>
#include <string.h>
#include "analysis/head_jsd.h"
#include "base/mem.h"

static const param jsd_params[] = {
    {"jsd-unit", PARAM_ENUM, "nats", "UNIT", "unit of the divergence, before any root", 0, 0, jsd_units, NULL},
    {"jsd-root", PARAM_ENUM, "none", "WHICH",
     "square root, the Jensen-Shannon distance: of the mean over queries, or of each row before the mean", 0, 0, jsd_roots,
     NULL},
    {"jsd-leave-out", PARAM_ENUM, "nothing", "WHAT", "query 0, key 0 or both, which all causal maps have in common", 0, 0,
     leave_out_names, NULL},
    {"jsd-smoothing", PARAM_REAL, "0", "W", "mix each row with W of a uniform one over the keys that it sees (Clark: 0.001)",
     0, 1, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    jsd_options *o = mem_array(1, sizeof *o, e);
    if (!o)
        return ERR_RESOURCE;
    const char *root = params_str(c->p, "jsd-root");
    o->bits = strcmp(params_str(c->p, "jsd-unit"), "bits") == 0;
    o->root = strcmp(root, "of-mean") == 0 ? JSD_ROOT_OF_MEAN : strcmp(root, "of-rows") == 0 ? JSD_MEAN_OF_ROOTS : JSD_PLAIN;
    o->without = leave_out_read(c->p, "jsd-leave-out");
    o->smoothing = params_real(c->p, "jsd-smoothing");
    c->shared = o;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static size_t size(const metric_ctx *c, int n_head)
{
    return jsd_state_size(c->shared, n_head);
}

static void panels(void *state, const metric_ctx *c, const attn_panels *p)
{
    jsd_block(state, c->shared, p);
}

static void merge(void *into, const void *from, const metric_ctx *c, int n_head)
{
    (void)c;
    jsd_merge(into, from, n_head);
}

static int finish(const void *state, const metric_ctx *c, int layer, int n_head, const result_sink *out, err *e)
{
    int rc = 0;
    for (int a = 0; a < n_head; a++)
        for (int b = 0; b < n_head && !rc; b++) {
            double v;
            if (a != b && jsd_between(&v, state, c->shared, n_head, a, b))
                rc = metric_emit(c, out, layer, a, head_index(c->model, c->kind, layer, b), v, e);
        }
    return rc;
}

const metric metric_jsd = {
    .name = "jsd",
    .summary = "Jensen-Shannon divergence from every other head of the layer",
    .formula = "mean_i [H((P + Q) / 2) - (H(P) + H(Q)) / 2]",
    .definition =
        "mean over queries of H((P + Q) / 2) - (H(P) + H(Q)) / 2 for the rows P and Q of two heads, "
        "formed from sums of u log u with u = p + q.  root of-mean: the square root of that mean; of-rows: the mean of "
        "the square roots, row by row; roots are of the chosen unit.  Smoothing w (0 unless given; 0.001 in "
        "Clark et al.): rows become (1 - w) P + w / keys "
        "that the query sees, so that none leaks into the future; Clark et al. sum over rows and documents where "
        "this is the mean.  leave-out first-row: query 0 does not count; first-key: the term of key 0 is left "
        "out of every sum, nothing is renormalised",
    .unit = "",
    .range = "0 .. ln 2 (nats), 0 .. 1 (bits); with a root 0 .. 0.8326, 0 .. 1",
    .source = "Lin 1991; between heads: Clark et al. 2019 (arXiv 1906.04341), attention-analysis",
    .reading =
        "0: two heads attend alike; ln 2: on different keys. Small values within a layer mark redundant "
        "heads, candidates to share or prune.",
    .traps =
        "Two heads on one sink are alike whatever else they do: leave out the first key to see the rest. "
        "Alike attention is not alike output: values differ.",
    .cite = "lin1991,clark2019",
    .missing_mass = "what a row lacks to 1 (a learned sink) is one more key that all heads share",
    .cost = "all heads at a time and once more: H (H - 1) / 2 logarithms a cell; memory [H, n] panels a thread",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_HEAD,
    .validated = "jsd_nats of the reference files: 1e-5",
    .params = jsd_params,
    .prepare = prepare,
    .release = release,
    .panel_size = size,
    .panels = panels,
    .panel_merge = merge,
    .panel_finish = finish,
};
