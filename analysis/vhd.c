#include "analysis/vhd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/stats.h"

/* Outputs of heads at chosen positions: those of the run with the span, against which the other run is held. */
typedef struct keeper {
    vhd *v;
    const int64_t *at;
    bool second;
    float **kept;        /* [n_layer] rows [n_at][width] */
} keeper;

static double length(const float *a, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)a[i];
    return sqrt(sum);
}

static double distance(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sqrt(sum);
}

static int on_heads(void *ud, const head_outputs *h, err *e)
{
    keeper *k = ud;
    vhd *v = k->v;
    if (h->kind != v->kind || !h->plan)
        return 0;
    const int d = h->plan->d_v, heads = h->plan->n_head;
    const int64_t row_width = (int64_t)heads * d;
    size_t cells;
    if (!k->kept[h->layer]) {
        if (!size_mul(&cells, (size_t)v->n_at, (size_t)row_width))
            return err_nomem(e, "head outputs");
        k->kept[h->layer] = mem_array(cells, sizeof(float), e);
        if (!k->kept[h->layer])
            return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < v->n_at; i++) {
        int64_t row = k->at[i] - h->pos0;
        if (row < 0 || row >= h->n)
            continue;
        const float *now = h->heads + row * h->width;
        float *kept = k->kept[h->layer] + i * row_width;
        if (!k->second) {
            memcpy(kept, now, (size_t)row_width * sizeof *kept);
            continue;
        }
        for (int head = 0; head < heads; head++)
            v->heads[(i * v->n_layer + h->layer) * v->most_head + head] = (vhd_head){
                .divergence = distance(kept + head * d, now + head * d, d),
                .with = length(kept + head * d, d), .without = length(now + head * d, d),
            };
    }
    return 0;
}

static void mean_and_sd(double *mean, double *sd, const double *x, int n)
{
    double sum = 0, square = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / n;
    for (int i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *sd = sqrt(square / n);
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Outliers, median and sum of the largest of one layer.  x, y: room for the heads. */
static double judge(vhd_head *h, int n, int top_k, double *x, double *y)
{
    double mean, sd, mean_norm, sd_norm, sum = 0;
    for (int i = 0; i < n; i++) {
        x[i] = h[i].divergence;
        y[i] = h[i].without;
    }
    mean_and_sd(&mean, &sd, x, n);
    mean_and_sd(&mean_norm, &sd_norm, y, n);
    for (int i = 0; i < n; i++) {
        h[i].outlier = x[i] > mean + sd && y[i] > mean_norm + sd_norm;
        x[i] = y[i] = h[i].outlier ? 0 : x[i];
    }
    double median = median_of(y, n);
    for (int i = 0; i < n; i++)
        h[i].above_median = x[i] > median;
    qsort(x, (size_t)n, sizeof *x, falling);
    for (int i = 0; i < n && i < top_k; i++)
        sum += x[i];
    return sum;
}

static int allocate(vhd *v, const model *m, int64_t n_at, err *e)
{
    const stack *s = m->main;
    size_t cells;
    *v = (vhd){.kind = s->kind, .n_layer = s->n_run, .n_at = n_at};
    v->n_head = mem_array((size_t)s->n_run + 1, sizeof *v->n_head, e);
    if (!v->n_head)
        return ERR_RESOURCE;
    for (int l = 0; l < s->n_run; l++) {
        const attention_block *b = model_attention(m, s->kind, l);
        v->n_head[l] = b ? b->plan.n_head : 0;
        v->most_head = v->n_head[l] > v->most_head ? v->n_head[l] : v->most_head;
    }
    if (!size_mul(&cells, (size_t)v->n_layer, (size_t)v->most_head) || !size_mul(&cells, cells, (size_t)n_at))
        return err_nomem(e, "head outputs");
    v->heads = mem_array(cells, sizeof *v->heads, e);
    v->total = mem_array((size_t)n_at, sizeof *v->total, e);
    return v->heads && v->total ? 0 : ERR_RESOURCE;
}

int vhd_measure(vhd *out, runtime *r, const model *m, const model_input *with, const model_input *without,
                const int64_t *at_with, const int64_t *at_without, int64_t n_at, int top_k, const progress *p, err *e)
{
    keeper k = {.v = out, .at = at_with};
    const observer o = {.heads = on_heads, .ud = &k};
    int rc = allocate(out, m, n_at, e);
    double *room = NULL;
    if (!rc) {
        k.kept = mem_array((size_t)out->n_layer + 1, sizeof *k.kept, e);
        room = mem_array((size_t)out->most_head + 1, 2 * sizeof *room, e);
        rc = k.kept && room ? 0 : ERR_RESOURCE;
    }
    if (!rc)
        rc = forward(r, with, &o, p, e);
    k.second = true;
    k.at = at_without;
    if (!rc)
        rc = forward(r, without, &o, p, e);
    for (int64_t i = 0; i < n_at && !rc; i++)
        for (int l = 0; l < out->n_layer; l++)
            if (out->n_head[l] > 0)
                out->total[i] += judge(&out->heads[(i * out->n_layer + l) * out->most_head], out->n_head[l], top_k, room,
                                       room + out->most_head);
    for (int l = 0; k.kept && l < out->n_layer; l++)
        free(k.kept[l]);
    free(k.kept);
    free(room);
    return rc;
}

void vhd_free(vhd *v)
{
    free(v->n_head);
    free(v->heads);
    free(v->total);
    *v = (vhd){0};
}
