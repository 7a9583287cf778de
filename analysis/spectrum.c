#include "analysis/spectrum.h"

#include <math.h>
#include <stdlib.h>
#include "base/mem.h"

double effective_rank(const double *s, int64_t n)
{
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++)
        sum += s[i];
    if (sum <= 0)
        return 0;
    for (int64_t i = 0; i < n; i++)
        entropy -= s[i] > 0 ? s[i] / sum * log(s[i] / sum) : 0;
    return exp(entropy);
}

static int values_of_head(void *ud, const circuit_factors *f, int head, err *e)
{
    double *all = ud;
    return circuit_singular_values(all + (int64_t)head * f->d, f, head, e);
}

static int emit_head(const metric_ctx *c, const result_sink *out, spectrum_part part, int layer, int head, const double *s,
                     int64_t n, int64_t most, err *e)
{
    int rc = 0;
    if (part == SPECTRUM_LARGEST)
        return metric_emit(c, out, layer, head, NO_INDEX, s[0], e);
    if (part == SPECTRUM_RANK)
        return metric_emit(c, out, layer, head, NO_INDEX, effective_rank(s, n), e);
    for (int64_t i = 0; i < n && (most == 0 || i < most) && !rc; i++)
        rc = metric_emit(c, out, layer, head, i, s[i], e);
    return rc;
}

static int one_layer(const metric_ctx *c, circuit which, spectrum_part part, head_fold fold, int64_t most, int layer,
                     const result_sink *out, err *e)
{
    circuit_factors f;
    int rc = circuit_load(&f, c->model, c->kind, layer, which, fold, e);
    if (rc)
        return rc;
    double *s = mem_array((size_t)f.n_head * (size_t)f.d, sizeof *s, e);
    rc = s ? circuit_heads(&f, c->run ? runtime_pool(c->run) : NULL, values_of_head, s, e) : ERR_RESOURCE;
    for (int h = 0; h < f.n_head && !rc; h++)
        rc = emit_head(c, out, part, layer, h, s + (int64_t)h * f.d, f.d, most, e);
    free(s);
    circuit_free(&f);
    return rc;
}

int spectrum_weights(metric_ctx *c, circuit which, spectrum_part part, head_fold fold, int64_t most, const result_sink *out,
                     const progress *p, err *e)
{
    int rc = 0;
    for (int l = 0; l < c->n_layer && !rc; l++) {
        progress_step(p, "layer", l, c->n_layer);
        if (model_attention(c->model, c->kind, l))
            rc = one_layer(c, which, part, fold, most, l, out, e);
    }
    progress_step(p, "layer", c->n_layer, c->n_layer);
    return rc;
}
