#include "analysis/sink_column.h"

#include <stdlib.h>
#include "base/mem.h"

int sink_column_prepare(metric_ctx *c, const char *option, err *e)
{
    sink_column made, *s;
    int rc = key_option(&made.key, &made.there, c, option, e);
    if (rc)
        return rc;
    if (!(s = mem_array(1, sizeof *s, e)))
        return ERR_RESOURCE;
    *s = made;
    c->shared = s;
    return 0;
}

void sink_column_release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

int sink_column_emit(metric_ctx *c, const attn_args *a, bool (*value)(double *out, const float *q, const float *k, int d),
                     const result_sink *out, err *e)
{
    const sink_column *s = c->shared;
    int group = a->n_head / a->n_kv_head, rc = 0;
    for (int h = 0; h < a->n_head && s->there && !rc; h++) {
        const float *k = a->k + s->key * a->ldk + (int64_t)(h / group) * a->d_qk;
        double sum = 0, v;
        int64_t n = 0;
        for (int64_t q = 0; q < a->n_query; q++) {
            int64_t lo, hi;
            attn_visible(a, q, &lo, &hi);
            if (s->key < lo || s->key >= hi || !value(&v, a->q + q * a->ldq + (int64_t)h * a->d_qk, k, a->d_qk))
                continue;
            sum += v;
            n++;
        }
        if (n > 0)
            rc = metric_emit(c, out, a->layer, h, s->key, sum / (double)n, e);
    }
    return rc;
}
