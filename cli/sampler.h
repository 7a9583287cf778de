/* Choosing the next token from logits.
 *
 * Random numbers are those of base/rng.h, stream 0, so a seed gives the same text on every machine.  Softmax and the running
 * sum are in double, over the candidates sorted by logit, larger first and the smaller id first among equals. */
#ifndef ATTNSCOPE_CLI_SAMPLER_H
#define ATTNSCOPE_CLI_SAMPLER_H

#include <stdint.h>
#include "base/err.h"
#include "base/rng.h"

typedef struct sampler {
    double temperature;   /* 0: the largest logit */
    int64_t top_k;        /* 0: all */
    double top_p;         /* 1: all; else the fewest candidates whose sum reaches it */
    rng random;
    struct candidate *work; /* [2, vocab], owned */
    double *weights;        /* [vocab], owned: of candidates, before their sum divides them */
    int64_t vocab;
} sampler;

int sampler_init(sampler *s, double temperature, int64_t top_k, double top_p, uint64_t seed, int64_t vocab,
                 err *e);
void sampler_free(sampler *s);
/* logits [vocab].  Logits that are not numbers are an error. */
int sampler_next(sampler *s, int32_t *id, const float *logits, err *e);

#endif
