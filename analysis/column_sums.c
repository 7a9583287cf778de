#include "analysis/column_sums.h"

#include <math.h>
#include "analysis/tile_lanes.h"

/* Steps are whole numbers far below 2^53, so that doubles hold them exactly. */
size_t column_sums_size(const metric_ctx *c)
{
    return sizeof(column_sums) + (2 * (size_t)c->n_key + 1) * sizeof(double);
}

void column_sums_rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    column_sums *s = state;
    s->n = c->n_key;
    double *sum = s->cells + r->k0, *step = s->cells + s->n;
    for (int64_t i = 0; i < r->n_query; i++)
        if (r->visible_lo[i] < r->visible_hi[i]) {
            step[r->visible_lo[i]]++;
            step[r->visible_hi[i]]--;
            s->n_query++;
        }
    for (int64_t k = 0; k < r->n_column; k++)
        sum[k] += r->columns[k];
}

void column_sums_merge(void *into, const void *from, const metric_ctx *c)
{
    column_sums *a = into;
    const column_sums *b = from;
    if (b->n == 0)
        return;
    a->n = c->n_key;
    a->n_query += b->n_query;
    for (int64_t i = 0; i < 2 * a->n + 1; i++)
        a->cells[i] += b->cells[i];
}

bool column_next(column *at, const column_sums *s)
{
    if (at->key + 1 >= s->n)
        return false;
    at->key++;
    at->sum = s->cells[at->key];
    at->seen += (int64_t)s->cells[s->n + at->key];
    return true;
}

bool column_peak(int64_t *key, double *alpha, const column_sums *s)
{
    bool any = false;
    for (column at = column_first(); column_next(&at, s);) {
        double a = at.seen > 0 ? at.sum / (double)at.seen : -1;
        if (at.seen > 0 && (!any || a > *alpha)) {
            *key = at.key;
            *alpha = a;
            any = true;
        }
        if (isnan(a)) {
            *alpha = a;
            return true;
        }
    }
    return any;
}

/* Sum of p ln p of one key over all queries of a tile. */
static double tile_column_log_sum(const attn_tile *t, int64_t key)
{
    float buffer[LANES], term[LANES];
    double sum = 0;
    for (int64_t first = 0; first < t->n_query; first += LANES) {
        const float *p = tile_lanes(buffer, t, first, key);
        double a[4] = {0};
        for (int j = 0; j < LANES; j++)
            term[j] = weight_log_weight(p[j]);
        for (int j = 0; j < LANES; j += 4)
            for (int l = 0; l < 4; l++)
                a[l] += (double)term[j + l];
        sum += (a[0] + a[1]) + (a[2] + a[3]);
    }
    return sum;
}

static double *logs_of(const void *state, const metric_ctx *c)
{
    return (double *)((unsigned char *)(uintptr_t)state + column_sums_size(c));
}

size_t column_logs_size(const metric_ctx *c)
{
    return column_sums_size(c) + (size_t)c->n_key * sizeof(double);
}

void column_logs_tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    double *logs = logs_of(state, c);
    for (int64_t key = t->k0; key < t->k0 + t->n_key; key++)
        logs[key] += tile_column_log_sum(t, key);
}

void column_logs_merge(void *into, const void *from, const metric_ctx *c)
{
    double *a = logs_of(into, c);
    const double *b = logs_of(from, c);
    column_sums_merge(into, from, c);
    for (int64_t i = 0; i < c->n_key; i++)
        a[i] += b[i];
}

/* Of q = p / S: -sum q ln q = ln S - (sum p ln p) / S. */
double column_entropy(const void *state, const metric_ctx *c, const column *at)
{
    if (at->seen < 2 || at->sum == 0)
        return 0;
    double h = (log(at->sum) - logs_of(state, c)[at->key] / at->sum) / log((double)at->seen);
    return h < 0 ? 0 : h > 1 ? 1 : h;
}

bool column_entropy_most(double *most, const void *state, const metric_ctx *c)
{
    bool any = false;
    *most = 0;
    for (column at = column_first(); column_next(&at, state);) {
        double h = at.seen > 0 ? column_entropy(state, c, &at) : 0;
        any |= at.seen > 0;
        if (isnan(h)) {
            *most = h;
            return true;
        }
        *most = h > *most ? h : *most;
    }
    return any;
}
