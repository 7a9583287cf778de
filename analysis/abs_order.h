/* Order statistics of absolute values, exact and in constant memory: the bits of non-negative floats are
 * in order. */
#ifndef ATTNSCOPE_ANALYSIS_ABS_ORDER_H
#define ATTNSCOPE_ANALYSIS_ABS_ORDER_H

#include <stdint.h>

enum { ABS_ORDER_CELLS = 1 << 16 };
/* The value of rank `rank` (0: the smallest) among |x_0| .. |x_n-1|, n > rank >= 0; counts
 * [ABS_ORDER_CELLS] is scratch. */
float abs_order(const float *x, int64_t n, int64_t rank, int64_t *counts);
/* The lower of the two middle ones (as torch.median takes it), n > 0. */
float abs_median(const float *x, int64_t n, int64_t *counts);

#endif
