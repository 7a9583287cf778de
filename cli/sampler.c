#include "cli/sampler.h"

#include <math.h>
#include <stdlib.h>
#include "base/mem.h"

struct candidate {
    double logit;
    int32_t id;
};

int sampler_init(sampler *s, double temperature, int64_t top_k, double top_p, uint64_t seed, int64_t vocab,
                 err *e)
{
    *s = (sampler){.temperature = temperature, .top_k = top_k, .top_p = top_p, .vocab = vocab};
    rng_seed(&s->random, seed, 0);
    if (temperature > 0 && !(s->work = mem_array((size_t)vocab, sizeof *s->work, e)))
        return ERR_RESOURCE;
    return 0;
}

void sampler_free(sampler *s)
{
    free(s->work);
    s->work = NULL;
}

static int by_logit(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;
    if (a->logit != b->logit)
        return a->logit < b->logit ? 1 : -1;
    return a->id < b->id ? -1 : 1;
}

int sampler_next(sampler *s, int32_t *id, const float *logits, err *e)
{
    int32_t best = 0;
    for (int64_t i = 0; i < s->vocab; i++) {
        if (isnan(logits[i]))
            return err_set(e, ERR_FAILED, "the model gives logits that are not numbers");
        if (logits[i] > logits[best])
            best = (int32_t)i;
    }
    *id = best;
    if (s->temperature <= 0)
        return 0;
    for (int64_t i = 0; i < s->vocab; i++)
        s->work[i] = (struct candidate){(double)logits[i], (int32_t)i};
    qsort(s->work, (size_t)s->vocab, sizeof *s->work, by_logit);
    int64_t n = s->top_k > 0 && s->top_k < s->vocab ? s->top_k : s->vocab;
    double top = s->work[0].logit, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        s->work[i].logit = exp((s->work[i].logit - top) / s->temperature);
        sum += s->work[i].logit;
    }
    double want = s->top_p < 1 ? s->top_p * sum : sum, kept = 0;
    int64_t m = 0;
    while (m < n && kept < want)
        kept += s->work[m++].logit;
    double draw = rng_uniform(&s->random) * kept;
    int64_t i = 0;
    for (double run = s->work[0].logit; run <= draw && i + 1 < m; i++)
        run += s->work[i + 1].logit;
    *id = s->work[i].id;
    return 0;
}
