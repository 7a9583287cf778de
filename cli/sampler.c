#include "cli/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct candidate {
    uint32_t order; /* the smaller, the larger the logit */
    int32_t id;
};

int sampler_init(sampler *s, double temperature, int64_t top_k, double top_p, uint64_t seed, int64_t vocab,
                 err *e)
{
    *s = (sampler){.temperature = temperature, .top_k = top_k, .top_p = top_p, .vocab = vocab};
    rng_seed(&s->random, seed, 0);
    if (temperature > 0 && (!(s->work = mem_array(2 * (size_t)vocab, sizeof *s->work, e)) ||
                            !(s->weights = mem_array((size_t)vocab, sizeof *s->weights, e)))) {
        sampler_free(s);
        return ERR_RESOURCE;
    }
    return 0;
}

void sampler_free(sampler *s)
{
    free(s->work);
    free(s->weights);
    s->work = NULL;
    s->weights = NULL;
}

/* Bits that count up as x falls; zeros of both signs are one. */
static uint32_t falling(float x)
{
    uint32_t u;
    x += 0.0f;
    memcpy(&u, &x, sizeof u);
    return u >> 31 ? u : ~(u | 0x80000000u);
}

/* All tokens into s->work, the likeliest first, those of one logit by id: three rounds of counting by eleven bits. */
static void sort_tokens(sampler *s, const float *logits)
{
    enum { BITS = 11, PLACES = 1 << BITS };
    struct candidate *from = s->work + s->vocab, *to = s->work;
    for (int64_t i = 0; i < s->vocab; i++)
        from[i] = (struct candidate){falling(logits[i]), (int32_t)i};
    for (int shift = 0; shift < 32; shift += BITS) {
        int64_t at[PLACES] = {0}, sum = 0;
        for (int64_t i = 0; i < s->vocab; i++)
            at[from[i].order >> shift & (PLACES - 1)]++;
        for (int p = 0; p < PLACES; p++) {
            const int64_t n = at[p];
            at[p] = sum;
            sum += n;
        }
        for (int64_t i = 0; i < s->vocab; i++)
            to[at[from[i].order >> shift & (PLACES - 1)]++] = from[i];
        struct candidate *was = from;
        from = to;
        to = was;
    }
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
    sort_tokens(s, logits);
    const int64_t n = s->top_k > 0 && s->top_k < s->vocab ? s->top_k : s->vocab;
    const double top = (double)logits[s->work[0].id];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        s->weights[i] = exp(((double)logits[s->work[i].id] - top) / s->temperature);
        sum += s->weights[i];
    }
    double want = s->top_p < 1 ? s->top_p * sum : sum, kept = 0;
    int64_t m = 0;
    while (m < n && kept < want)
        kept += s->weights[m++];
    double draw = rng_uniform(&s->random) * kept;
    int64_t i = 0;
    for (double run = s->weights[0]; run <= draw && i + 1 < m; i++)
        run += s->weights[i + 1];
    *id = s->work[i].id;
    return 0;
}
