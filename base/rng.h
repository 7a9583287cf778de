/* Random numbers that are the same on every machine: xoshiro256** seeded by splitmix64 (Blackman and Vigna,
 * "Scrambled linear pseudorandom number generators", 2018).  Whoever uses them records the seed. */
#ifndef ATTNSCOPE_BASE_RNG_H
#define ATTNSCOPE_BASE_RNG_H

#include <stdint.h>

typedef struct rng { uint64_t s[4]; } rng;

/* stream: independent sequences of one seed, say one for each unit of work, so that units can be done in any order. */
void rng_seed(rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(rng *r);
/* 0 <= result < n, every value equally likely; n > 0. */
int64_t rng_below(rng *r, int64_t n);
/* 0 <= result < 1, 53 bits. */
double rng_uniform(rng *r);
/* Standard normal (Box and Muller). */
double rng_normal(rng *r);
/* Put n indices 0 .. n - 1 into random order (Fisher and Yates). */
void rng_shuffle(rng *r, int64_t *index, int64_t n);

#endif
