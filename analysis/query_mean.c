#include "analysis/query_mean.h"

#include <math.h>

size_t query_mean_size(const metric_ctx *c)
{
    (void)c;
    return sizeof(query_mean);
}

void query_mean_merge(void *into, const void *from, const metric_ctx *c)
{
    (void)c;
    query_mean *a = into;
    const query_mean *b = from;
    a->sum += b->sum;
    a->n += b->n;
}

int query_mean_finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out,
                      err *e)
{
    const query_mean *s = state;
    if (s->n == 0)
        return 0;
    return metric_emit(c, out, layer, head, NO_INDEX, s->sum / (double)s->n, e);
}

static bool rounds_to(double value, double bound)
{
    return fabs(value - bound) <= 1e-6 * fmax(1, fabs(bound));
}

int query_mean_finish_within(const void *state, const metric_ctx *c, int layer, int head, double low,
                             double high, const result_sink *out, err *e)
{
    const query_mean *s = state;
    if (s->n == 0)
        return 0;
    double mean = s->sum / (double)s->n;
    if ((mean < low && rounds_to(mean, low)) || (mean > high && rounds_to(mean, high)))
        mean = mean < low ? low : high;
    return metric_emit(c, out, layer, head, NO_INDEX, mean, e);
}

void query_mean_add(query_mean *s, const attn_rows *r, const float *values)
{
    for (int64_t i = 0; i < r->n_query; i++) {
        if (r->visible_lo[i] >= r->visible_hi[i])
            continue;
        s->sum += (double)values[i];
        s->n++;
    }
}

void query_mean_add_seeing(query_mean *s, const attn_rows *r, const float *values, int64_t back)
{
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t key = r->pos0 + r->q0 + i - back;
        if (key < r->visible_lo[i] || key >= r->visible_hi[i])
            continue;
        s->sum += (double)values[i];
        s->n++;
    }
}
