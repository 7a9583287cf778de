#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/head_rows.h"
#include "analysis/max_flow.h"
#include "analysis/rollout.h"
#include "base/cancel.h"
#include "base/mem.h"

enum { FLOW_MOST = 1024 };

static const param flow_params[] = {
    {.name = "flow-output", .kind = PARAM_LIST, .def = "auto", .value = "POSITIONS",
     .help = "output positions, negative ones from the end, or all; auto: the last, of encoders and images the first"},
    {.name = "flow-residual", .kind = PARAM_BOOL, .def = "true",
     .help = "half of every row stays where it is; without, the attention alone carries"},
    {.name = "flow-normalise", .kind = PARAM_BOOL, .def = "true",
     .help = "divide the flows to all inputs by their sum"},
    {.name = "flow-limit", .kind = PARAM_INT, .def = "256", .value = "N", .min = 1, .max = FLOW_MOST,
     .help = "longest prompt that is measured: it costs L n^2 memory and n flows through it"},
    {.name = NULL},
};

typedef struct state {
    int n_layer;
    float **b;            /* [n_layer] capacities [n, n]; NULL: the layer was left out */
    double *from;         /* [n] output positions, > 0 where asked */
    double *value;        /* [n] */
} state;

static void release(metric_ctx *c)
{
    state *s = c->shared;
    for (int l = 0; s && s->b && l < s->n_layer; l++)
        mem_free_large(s->b[l]);
    if (s) {
        free(s->b);
        free(s->from);
        free(s->value);
    }
    free(s);
    c->shared = NULL;
}

static int check_length(const metric_ctx *c, err *e)
{
    int64_t limit = params_int(c->p, "flow-limit");
    if (c->n <= limit)
        return 0;
    err_set(e, ERR_USAGE, "flow goes up to %lld tokens, the prompt has %lld", (long long)limit, (long long)c->n);
    if (c->n > FLOW_MOST)
        return err_hint(e, "leave flow out or take rollout: above %d tokens it takes too much memory and time",
                        FLOW_MOST);
    return err_hint(e, "leave flow out, take rollout, or allow it with --flow-limit %lld", (long long)c->n);
}

static int prepare(metric_ctx *c, err *e)
{
    int rc = check_length(c, e);
    if (rc)
        return rc;
    state *s = c->shared = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->n_layer = c->n_layer;
    s->b = mem_array((size_t)c->n_layer + 1, sizeof *s->b, e);
    s->from = mem_array((size_t)c->n, sizeof *s->from, e);
    s->value = mem_array((size_t)c->n, sizeof *s->value, e);
    rc = s->b && s->from && s->value ? rollout_outputs(s->from, c, "flow-output", e) : ERR_RESOURCE;
    if (rc)
        release(c);
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    state *s = c->shared;
    int unfit = attn_rows_unedited(a, "flow", e);
    if (unfit)
        return unfit;
    float *b = s->b[a->layer] = mem_large((size_t)(c->n * c->n) * sizeof(float), e);
    double sum = 0;
    int rc = b ? rollout_matrix(c->run, a, params_bool(c->p, "flow-residual"), b, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < c->n * c->n && !rc; i++)
        sum += (double)b[i];
    if (!rc && !isfinite(sum)) /* comparisons along a path would take NaN for a full edge */
        rc = metric_emit(c, out, a->layer, NO_INDEX, NO_INDEX, sum, e);
    return rc;
}

typedef struct flow_job {
    layered_graph g;
    const double *from;
    double *value;      /* [n] of one output position, then added up */
    double *one;
    int64_t source;
    err *why;           /* [n] */
} flow_job;

static void flow_to(void *ud, int64_t item, int thread)
{
    const flow_job *j = ud;
    (void)thread;
    j->why[item].code = max_flow(&j->one[item], &j->g, j->source, item, &j->why[item]);
}

static int one_source(flow_job *j, const metric_ctx *c, err *e)
{
    bool normalise = params_bool(c->p, "flow-normalise");
    double sum = 0;
    memset(j->one, 0, (size_t)c->n * sizeof *j->one);
    memset(j->why, 0, (size_t)c->n * sizeof *j->why);
    pool_run(runtime_pool(c->run), c->n, flow_to, j);
    for (int64_t i = 0; i < c->n; i++) {
        if (j->why[i].code) {
            if (e)
                *e = j->why[i];
            return j->why[i].code;
        }
        sum += j->one[i];
    }
    for (int64_t i = 0; i < c->n; i++)
        j->value[i] += j->from[j->source] * (normalise ? sum > 0 ? j->one[i] / sum : 0 : j->one[i]);
    return cancel_check(e);
}

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    state *s = c->shared;
    int n_layer = 0, rc = 0;
    const float **layers = mem_array((size_t)s->n_layer + 1, sizeof *layers, e);
    flow_job j = {.from = s->from, .value = s->value, .one = mem_array((size_t)c->n, sizeof(double), e),
                  .why = mem_array((size_t)c->n, sizeof(err), e)};
    for (int l = 0; layers && l < s->n_layer; l++)
        if (s->b[l])
            layers[n_layer++] = s->b[l];
    if (!layers || !j.one || !j.why)
        rc = ERR_RESOURCE;
    j.g = (layered_graph){n_layer, c->n, layers};
    for (j.source = 0; j.source < c->n && n_layer > 0 && !rc; j.source++)
        if (s->from[j.source] > 0)
            rc = one_source(&j, c, e);
    for (int64_t i = 0; i < c->n && n_layer > 0 && !rc; i++)
        rc = metric_emit(c, out, 0, NO_INDEX, i, s->value[i], e);
    free(layers);
    free(j.one);
    free(j.why);
    return rc;
}

const metric metric_flow = {
    .name = "flow",
    .summary =
        "how much can flow from an output position to each input position through the attention of all "
        "layers",
    .formula = "max flow from (L, i) to (0, j) with capacities B_l",
    .definition =
        "Maximum flow from the output position above the last layer to input position j, where the edge "
        "from (l + 1, i) to (l, j) has capacity B_l[i][j], B_l as for rollout. Flows of one output "
        "position are divided by their sum over j (--no-flow-normalise: not); several output positions are "
        "averaged. The value's layer is 0, the input. Not for models with layers that mix tokens without "
        "attention weights",
    .unit = "",
    .range = "0 .. 1",
    .source = "Abnar and Zuidema 2020 (arXiv 2005.00928), attention flow; Dinic's algorithm in double",
    .reading =
        "Which inputs can reach an output at all, as if weights were pipes: a bottleneck in one layer "
        "limits it, where rollout multiplies.",
    .traps =
        "An account of weights alone: values, MLPs and what the residual holds already are not in it. "
        "Under causal masks early positions collect flow by their place: compare with uniform attention.",
    .cite = "abnar2020",
    .missing_mass =
        "rows are divided by their sums: the share of a learned sink goes to keys and residual alike",
    .cost =
        "one maximum flow for each input position over L n^2 edges; L n^2 floats, and a double for each "
        "edge and thread; refused above flow-limit tokens, and no part of --metrics all",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .by_name = true,
    .unfit = kept_attention_unfit,
    .axis = AXIS_KEY,
    .validated = "graphs solved by hand, augmenting paths on random graphs",
    .params = flow_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
    .end = end,
};
