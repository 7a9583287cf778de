#include <stdlib.h>
#include <string.h>
#include "analysis/activation.h"
#include "analysis/weight_gram.h"
#include "base/mem.h"

static const char *const form_choices[] = {"ratio", "sink", "others", "each", NULL};

static const param value_drain_params[] = {
    {"value-drain-key", PARAM_INT, "0", "POSITION", "key of the sink column; negative counts from the end", 0, 0, NULL, NULL},
    {"value-drain-form", PARAM_ENUM, "ratio", "FORM",
     "sink / mean of the others, the one, the other, or each key at its position", 0, 0, form_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct drain {
    int64_t key;
    bool there;
    char form;          /* 'r', 's', 'o', 'e' */
} drain;

static int prepare(metric_ctx *c, err *e)
{
    drain made = {0}, *s;
    int rc = key_option(&made.key, &made.there, c, "value-drain-key", e);
    if (rc)
        return rc;
    made.form = params_str(c->p, "value-drain-form")[0];
    if (!(s = mem_array(1, sizeof *s, e)))
        return ERR_RESOURCE;
    *s = made;
    c->shared = s;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int emit_head(const metric_ctx *c, int layer, int head, const double *norms, int64_t n, const result_sink *out, err *e)
{
    const drain *s = c->shared;
    double rest = 0;
    int rc = 0;
    for (int64_t i = 0; i < n && s->form == 'e' && !rc; i++)
        rc = metric_emit(c, out, layer, head, i, norms[i], e);
    if (s->form == 'e' || !s->there)
        return rc;
    if (s->form == 's')
        return metric_emit(c, out, layer, head, s->key, norms[s->key], e);
    for (int64_t i = 0; i < n; i++)
        rest += i == s->key ? 0 : norms[i];
    if (n < 2)
        return 0;
    rest /= (double)(n - 1);
    if (s->form == 'o')
        return metric_emit(c, out, layer, head, NO_INDEX, rest, e);
    return rest == 0 ? 0 : metric_emit(c, out, layer, head, s->key, norms[s->key] / rest, e);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    const attention_block *b = model_attention(c->model, a->kind, a->layer);
    double *gram = NULL, *norms;
    size_t cells;
    int rc;
    if (!size_mul(&cells, (size_t)a->n_head, (size_t)a->n_key))
        return err_nomem(e, "norms of values");
    if (!(norms = mem_array(cells, sizeof *norms, e)))
        return ERR_RESOURCE;
    if (!(rc = gram_of_inputs(&gram, c->run, &b->out, a->n_head, a->d_v, e)))
        rc = projected_norms(norms, c->run, gram, a->v, a->ldv, a->n_key, a->n_head, a->n_kv_head, a->d_v, e);
    for (int h = 0; h < a->n_head && !rc; h++)
        rc = emit_head(c, a->layer, h, norms + h * a->n_key, a->n_key, out, e);
    free(gram);
    free(norms);
    return rc;
}

const metric metric_value_drain = {
    .name = "value_drain",
    .summary = "how little the value of the sink adds, against those of the other keys",
    .formula = "|v_s W_O| / mean_{j != s} |v_j W_O|",
    .definition =
        "r_j = ||v_j W_O^h||, v_j the value that head h reads (of its key/value head), W_O^h its slice of "
        "the output projection, without bias, gate, and what is behind the projection.  ratio: r_s / mean "
        "of r_j over j != s, at position s.  sink: r_s.  others: that mean.  each: r_j at position j.  "
        "value-drain-key says which s.",
    .unit = "",
    .range = "0 ..",
    .source = "Guo et al. 2024 (arXiv 2410.13835), value-state drain, with the layer's own W_O",
    .reading =
        "Far below 1 at a sink: the head parks its weight where the value adds almost nothing. That is how "
        "a head rests.",
    .traps =
        "Not every sink drains its value: without it the head adds a constant. Norms and gates behind the "
        "projection are not in it.",
    .cite = "guo2024dormant,kobayashi2020",
    .missing_mass = "does not apply",
    .cost = "heads x width x (head width)^2 / 2 for each layer, and (head width)^2 / 2 for each value",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = value_drain_params,
    .prepare = prepare,
    .release = release,
    .inputs = inputs,
};
