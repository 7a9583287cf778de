#include "analysis/metric.h"

#include <math.h>
#include <string.h>

#define METRIC(name) extern const metric metric_##name;
#include "registry/metrics.inc"
#undef METRIC

#define METRIC(name) &metric_##name,
const metric *const metrics[] = {
#include "registry/metrics.inc"
    NULL,
};
#undef METRIC

const char *const metric_defaults = "sink,entropy,prev_token,self,max,distance,induction,duplicate_token,nll";

const char *const metric_axis_names[] = {
    "none", "query token", "key token", "distance in tokens", "head, counted over all layers", "layer", "channel", "rank",
};

const metric *metric_find(const char *name)
{
    for (const metric *const *m = metrics; *m; m++)
        if (!strcmp((*m)->name, name))
            return *m;
    return NULL;
}

static int heads_of(const model *m, attn_kind kind, int layer)
{
    const attention_block *b = model_attention(m, kind, layer);
    return b ? b->plan.n_head : 0;
}

int64_t head_index(const model *m, attn_kind kind, int layer, int head)
{
    int64_t before = head;
    for (int l = 0; l < layer; l++)
        before += heads_of(m, kind, l);
    return before;
}

head_id head_of_index(const model *m, attn_kind kind, int64_t index)
{
    int layer = 0;
    while (layer + 1 < model_stack(m, kind)->n_layer && index >= heads_of(m, kind, layer))
        index -= heads_of(m, kind, layer++);
    return (head_id){kind, layer, (int)index};
}

int metric_emit(const metric_ctx *c, const result_sink *out, int layer, int head, int64_t position,
                double value, err *e)
{
    if (!isfinite(value)) {
        if (layer == NO_INDEX) {
            err_set(e, ERR_FAILED, "%s is not finite at position %lld", c->m->name, (long long)position);
        } else if (head == NO_INDEX) {
            const char *where = c->kind == ATTN_ENCODER ? " of the encoder" : c->kind == ATTN_VISION ? " of the image tower" : "";
            err_set(e, ERR_FAILED, "%s of layer %d%s is not finite", c->m->name, layer, where);
        } else {
            head_text text;
            head_format(text, (head_id){c->kind, layer, head});
            err_set(e, ERR_FAILED, "%s of %s is not finite", c->m->name, text);
        }
        err_hint(e, "the weights hold NaN or infinity, or activations overflow; see `tensors` and `verify`");
        return ERR_FAILED;
    }
    return out->value(out->ud, &(result_value){c->kind, c->m->name, layer, head, position, value}, e);
}
