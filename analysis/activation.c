#include "analysis/activation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "compute/kernels.h"

double row_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double row_norm(const float *x, int64_t n)
{
    return sqrt(row_dot(x, x, n));
}

bool row_cosine(double *out, const float *a, const float *b, int64_t n)
{
    double lengths = row_norm(a, n) * row_norm(b, n);
    if (lengths == 0)
        return false;
    *out = row_dot(a, b, n) / lengths;
    return true;
}

void attn_visible(const attn_args *a, int64_t q, int64_t *lo, int64_t *hi)
{
    int64_t pos = a->pos0 + q, from = 0, to = a->n_key;
    if (a->causal)
        to = pos + 1;
    else if (a->window > 0)
        to = pos + a->window;
    if (a->window > 0)
        from = pos - a->window + 1;
    *lo = from > 0 ? from : 0;
    *hi = to < a->n_key ? to : a->n_key;
}

void row_normalise(float *y, const norm *n, const float *x, int64_t width)
{
    if (n->kind == NORM_RMS)
        kernels_get()->rms_norm(y, x, n->w, width, n->eps);
    else if (n->kind == NORM_LAYER)
        kernels_get()->layer_norm(y, x, n->w, n->b, width, n->eps);
    else if (y != x)
        memcpy(y, x, (size_t)width * sizeof *y);
}

int share_out(runtime *r, int64_t n_item, pool_fn fn, void *ud, err *e)
{
    if (r)
        pool_run(runtime_pool(r), n_item, fn, ud);
    for (int64_t i = 0; i < n_item && !r; i++)
        fn(ud, i, 0);
    return cancel_check(e);
}

int share_threads(const runtime *r)
{
    return r ? runtime_threads(r) : 1;
}

int key_option(int64_t *key, bool *there, const metric_ctx *c, const char *option, err *e)
{
    int64_t n = c->most_key > c->n_key ? c->most_key : c->n_key, k = params_int(c->p, option);
    if (k < -n || k >= n) {
        err_set(e, ERR_USAGE, "%s: key %lld is outside the prompt (%lld token%s)", option, (long long)k, (long long)n,
                n == 1 ? "" : "s");
        return err_hint(e, "keys go from 0 to %lld, or from -1 (the last) to -%lld", (long long)(n - 1), (long long)n);
    }
    *key = k < 0 ? k + c->n_key : k;
    *there = *key >= 0 && *key < c->n_key;
    return 0;
}

/* ---- values of tokens ---- */

const char *const token_pick_choices[] = {"mean", "first", "rest", "ratio", "each", NULL};
const char token_pick_help[] = "mean over all tokens, the first one, mean of the rest, first / rest, or each";

int token_values_prepare(metric_ctx *c, const char *option, int64_t n, err *e)
{
    const char *word = params_str(c->p, option);
    token_values *t;
    size_t bytes;
    if (!size_mul(&bytes, (size_t)n, sizeof t->v[0]) || !size_add(&bytes, bytes, sizeof *t))
        return err_nomem(e, "values of tokens");
    if (!(t = mem_array(1, bytes, e)))
        return ERR_RESOURCE;
    t->n = n;
    t->pick = PICK_MEAN;
    for (int i = 0; token_pick_choices[i]; i++)
        if (!strcmp(word, token_pick_choices[i]))
            t->pick = (token_pick)i;
    c->shared = t;
    return 0;
}

void token_values_release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static double mean_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

int token_values_emit(const metric_ctx *c, int layer, int head, const double *v, int64_t n, const result_sink *out,
                      err *e)
{
    const token_values *t = c->shared;
    int rc = 0;
    if (n < 1 || (n < 2 && (t->pick == PICK_REST || t->pick == PICK_RATIO)))
        return 0;
    switch (t->pick) {
    case PICK_MEAN:
        return metric_emit(c, out, layer, head, NO_INDEX, mean_of(v, n), e);
    case PICK_FIRST:
        return metric_emit(c, out, layer, head, 0, v[0], e);
    case PICK_REST:
        return metric_emit(c, out, layer, head, NO_INDEX, mean_of(v + 1, n - 1), e);
    case PICK_RATIO: {
        double rest = mean_of(v + 1, n - 1);
        return rest == 0 ? 0 : metric_emit(c, out, layer, head, NO_INDEX, v[0] / rest, e);
    }
    case PICK_EACH:
        for (int64_t i = 0; i < n && !rc; i++)
            rc = metric_emit(c, out, layer, head, i, v[i], e);
        return rc;
    }
    return rc;
}

int head_norms_emit(metric_ctx *c, int layer, const float *x, int64_t ld, int64_t n, int n_head, int n_part, int d,
                    const result_sink *out, err *e)
{
    token_values *t = c->shared;
    int made = -1, rc = 0;
    for (int h = 0; h < n_head && !rc; h++) {
        int part = h / (n_head / n_part);
        for (int64_t i = 0; i < n && part != made; i++)
            t->v[i] = row_norm(x + i * ld + (int64_t)part * d, d);
        made = part;
        rc = token_values_emit(c, layer, h, t->v, n, out, e);
    }
    return rc;
}
