#include "analysis/gate.h"

const char *gate_unfit(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    for (int l = 0; l < s->n_layer; l++) {
        const attention_block *b = model_attention(m, kind, l);
        if (b && b->gate.data)
            return NULL;
    }
    return "its heads have no gates";
}

int gate_emit(metric_ctx *c, const head_outputs *h, double (*of)(double gate), const result_sink *out, err *e)
{
    int rc = 0;
    for (int head = 0; h->plan && h->ungated && head < h->plan->n_head && !rc; head++) {
        double sum = 0;
        int64_t n = 0, d = h->plan->d_v;
        for (int64_t i = 0; i < h->n; i++) {
            const float *after = h->heads + i * h->width + head * d, *before = h->ungated + i * h->width + head * d;
            for (int64_t k = 0; k < d; k++) {
                if (before[k] == 0)
                    continue;
                sum += of((double)after[k] / (double)before[k]);
                n++;
            }
        }
        if (n > 0)
            rc = metric_emit(c, out, h->layer, head, NO_INDEX, sum / (double)n, e);
    }
    return rc;
}
