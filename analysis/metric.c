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

const metric *metric_find(const char *name)
{
    for (const metric *const *m = metrics; *m; m++)
        if (!strcmp((*m)->name, name))
            return *m;
    return NULL;
}

int metric_emit(const metric_ctx *c, const result_sink *out, int layer, int head, int64_t position,
                double value, err *e)
{
    if (!isfinite(value)) {
        if (layer == NO_INDEX) {
            err_set(e, ERR_FAILED, "%s is not finite at position %lld", c->m->name, (long long)position);
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
