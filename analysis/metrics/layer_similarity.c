#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/layer_panels.h"
#include "analysis/panel_pairs.h"
#include "base/mem.h"

static const param layer_similarity_params[] = {
    {"layer-similarity-leave-out", PARAM_ENUM, "nothing", "WHAT",
     "query 0, key 0 or both, which all causal maps have in common", 0, 0, leave_out_names, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct similarity {
    leave_out without;
    int n_layer, n_head;     /* that have this kind of attention; of each */
    kept_attention *kept;
} similarity;

/* Do all layers of the kind that are run have as many heads?  *layers of them. */
static bool same_heads(int *layers, int *heads, const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    *layers = *heads = 0;
    for (int l = 0; s && l < s->n_run; l++) {
        const attention_block *b = model_attention(m, kind, l);
        if (b && *layers > 0 && b->plan.n_head != *heads)
            return false;
        *heads = b ? b->plan.n_head : *heads;
        *layers += b != NULL;
    }
    return true;
}

static const char *unfit(const model *m, attn_kind kind)
{
    int layers, heads;
    if (!same_heads(&layers, &heads, m, kind))
        return "its layers have different numbers of heads";
    return layers < 2 ? "it has one layer of attention" : NULL;
}

static void release(metric_ctx *c)
{
    similarity *s = c->shared;
    if (s)
        kept_attention_free(s->kept);
    free(s);
    c->shared = NULL;
}

static size_t state_bytes(const similarity *s)
{
    return (size_t)pair_count(s->n_layer) * sizeof(double);
}

static int prepare(metric_ctx *c, err *e)
{
    similarity *s = c->shared = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->without = leave_out_read(c->p, "layer-similarity-leave-out");
    same_heads(&s->n_layer, &s->n_head, c->model, c->kind);
    int rc = layer_panels_check(c, "layer_similarity", state_bytes(s), e);
    if (!rc)
        rc = kept_attention_new(&s->kept, model_stack(c->model, c->kind)->n_layer, e);
    if (rc)
        release(c);
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    similarity *s = c->shared;
    (void)out;
    return kept_attention_add(s->kept, a, "layer_similarity", e);
}

/* Products of the same head of all pairs of layers: heads that are n_head panels apart. */
static void block(void *state, const void *ud, const attn_panels *p)
{
    const similarity *s = ud;
    for (int h = 0; h < s->n_head; h++) {
        attn_panels layers = *p;
        layers.n_head = s->n_layer;
        layers.probs = p->probs + h * p->h_stride;
        layers.h_stride = s->n_head * p->h_stride;
        panel_pairs(state, NULL, NULL, &layers, kernels_get()->product_sums, leave_out_key(s->without),
                    leave_out_column(s->without, p));
    }
}

static void merge(void *into, const void *from, const void *ud)
{
    double *a = into;
    const double *b = from;
    for (int64_t i = 0; i < pair_count(((const similarity *)ud)->n_layer); i++)
        a[i] += b[i];
}

static double cosine(const double *dot, int n, int a, int b)
{
    double length = sqrt(dot[pair_index(n, a, a)] * dot[pair_index(n, b, b)]);
    return length == 0 ? 0 : dot[pair_index(n, a, b)] / length; /* keeps NaN */
}

static int emit(metric_ctx *c, const double *dot, const int *layer_of, const result_sink *out, err *e)
{
    const similarity *s = c->shared;
    int rc = 0;
    for (int a = 0; a < s->n_layer; a++) {
        double sum = 0;
        for (int b = 0; b < s->n_layer; b++)
            sum += a == b ? 0 : cosine(dot, s->n_layer, a, b);
        if (!rc)
            rc = metric_emit(c, out, layer_of[a], NO_INDEX, NO_INDEX, sum / (s->n_layer - 1), e);
        for (int b = 0; b < s->n_layer && !rc; b++)
            if (a != b)
                rc = metric_emit(c, out, layer_of[a], NO_INDEX, layer_of[b], cosine(dot, s->n_layer, a, b), e);
    }
    return rc;
}

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    const similarity *s = c->shared;
    const layer_panels l = {state_bytes(s), block, merge, s};
    void *state;
    int *layer_of = mem_array((size_t)s->n_layer, sizeof *layer_of, e), n = 0;
    if (!layer_of)
        return ERR_RESOURCE;
    for (int i = 0; i < s->kept->n_layer && n < s->n_layer; i++)
        if (s->kept->layer[i].q)
            layer_of[n++] = i;
    int rc = layer_panels_run(&state, &l, s->kept, c->run, e);
    if (!rc && state && n == s->n_layer)
        rc = emit(c, state, layer_of, out, e);
    mem_free_large(state);
    free(layer_of);
    return rc;
}

const metric metric_layer_similarity = {
    .name = "layer_similarity",
    .summary = "cosine between the attention of a layer and that of every other layer",
    .formula = "cos(vec A_l, vec A_m)",
    .definition =
        "the weights of all heads and positions of a layer as one vector, heads in order; S[l][m] = cosine "
        "of the vectors of layers l and m, the value of l at position m.  Without a position: the mean of "
        "S[l] over the other layers; low: a distinct layer.  Weights after the softmax, heads are not "
        "matched.  leave-out first-row: query 0 is left out of the vectors, first-key: key 0, which all "
        "causal maps have in common and which raise S",
    .unit = "",
    .range = "0 .. 1",
    .source = "EchoAtt, PMLR v262 (2024)",
    .reading =
        "Near 1: the layer repeats the attention of another and could share its weights. Blocks of alike "
        "layers show in plot divergence_matrix.",
    .traps =
        "Shared sinks and the first row raise it: leave them out. Heads are compared by index; alike heads "
        "at other indices look unlike.",
    .cite = "rajabzadeh2024echoatt",
    .missing_mass = "rows are taken as they are",
    .cost = "attention once more; keeps queries and keys of all layers, and [all heads, n] panels a thread",
    .scope = METRIC_LAYER,
    .kinds = KINDS_ALL,
    .unfit = unfit,
    .axis = AXIS_LAYER,
    .validated = "second implementation in double on maps of random models of every kind",
    .params = layer_similarity_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
    .end = end,
};
