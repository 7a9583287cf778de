/* Choosing the next token from logits.
 *
 * Random numbers: xoshiro256** (Blackman and Vigna 2018), its state filled by splitmix64 from the seed, so a
 * seed gives the same text on every machine.  A draw takes the top 53 bits of one output as a number in
 * [0, 1).  Softmax and the running sum are in double, over the candidates sorted by logit, larger first and
 * the smaller id first among equals. */
#ifndef ATTNSCOPE_CLI_SAMPLER_H
#define ATTNSCOPE_CLI_SAMPLER_H

#include <stdint.h>
#include "base/err.h"

typedef struct sampler {
    double temperature;   /* 0: the largest logit */
    int64_t top_k;        /* 0: all */
    double top_p;         /* 1: all; else the fewest candidates whose sum reaches it */
    uint64_t state[4];
    struct candidate *work; /* [vocab], owned */
    int64_t vocab;
} sampler;

int sampler_init(sampler *s, double temperature, int64_t top_k, double top_p, uint64_t seed, int64_t vocab,
                 err *e);
void sampler_free(sampler *s);
/* logits [vocab].  Logits that are not numbers are an error. */
int sampler_next(sampler *s, int32_t *id, const float *logits, err *e);
/* The generator itself: uniform in [0, 1). */
double sampler_uniform(sampler *s);

#endif
