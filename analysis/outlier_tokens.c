#include "analysis/outlier_tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

const char *const outlier_token_forms[] = {"count", "tokens", "each", NULL};

int outlier_tokens_prepare(metric_ctx *c, const char *form, const char *threshold, err *e)
{
    outlier_tokens *s;
    size_t bytes;
    if (!size_mul(&bytes, (size_t)c->n, sizeof s->largest[0]) || !size_add(&bytes, bytes, sizeof *s))
        return err_nomem(e, "activations of tokens");
    if (!(s = mem_array(1, bytes, e)))
        return ERR_RESOURCE;
    s->form = params_str(c->p, form);
    s->threshold = params_real(c->p, threshold);
    s->n = c->n;
    c->shared = s;
    return 0;
}

void outlier_tokens_release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

void outlier_tokens_add(metric_ctx *c, const float *x, int64_t row, int64_t rows, int64_t width)
{
    outlier_tokens *s = c->shared;
    for (int64_t i = 0; i < rows && row + i < s->n; i++) {
        double sum = 0, largest = 0;
        for (int64_t d = 0; d < width; d++) {
            double v = fabs((double)x[i * width + d]);
            sum += v;
            largest = v <= largest ? largest : v;
        }
        s->sum += sum;
        s->cells += (double)width;
        s->largest[row + i] = largest;
    }
}

int outlier_tokens_emit(metric_ctx *c, int layer, const result_sink *out, err *e)
{
    outlier_tokens *s = c->shared;
    double mean = s->sum / s->cells;
    bool count = !strcmp(s->form, "count"), each = !strcmp(s->form, "each");
    int64_t found = 0;
    int rc = 0;
    s->sum = s->cells = 0;
    if (!isfinite(mean)) /* an error */
        return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, mean, e);
    for (int64_t i = 0; i < s->n && mean > 0 && !rc; i++) {
        bool outlier = s->largest[i] > s->threshold * mean;
        found += outlier;
        if (each || (outlier && !count))
            rc = metric_emit(c, out, layer, NO_INDEX, i, s->largest[i] / mean, e);
    }
    if (count && !rc)
        rc = metric_emit(c, out, layer, NO_INDEX, NO_INDEX, (double)found, e);
    return rc;
}
