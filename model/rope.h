/* Rotary frequencies of a plan. */
#ifndef ATTNSCOPE_MODEL_ROPE_H
#define ATTNSCOPE_MODEL_ROPE_H

#include "model/model.h"

/* frequency [plan.dim/2]: radians a position, for sequences of `length` tokens. */
void rope_frequencies(float *frequency, const rope_plan *plan, int64_t length);
/* Do sequences of these two lengths have the same frequencies?  (Not always with dynamic and longrope.) */
bool rope_same_frequencies(const rope_plan *plan, int64_t a, int64_t b);

#endif
