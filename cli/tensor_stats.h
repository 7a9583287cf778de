/* Statistics of a stored tensor, over the float32 values of its elements. */
#ifndef ATTNSCOPE_CLI_TENSOR_STATS_H
#define ATTNSCOPE_CLI_TENSOR_STATS_H

#include <stdbool.h>
#include "base/pool.h"
#include "base/progress.h"
#include "compute/tensor.h"

typedef struct tensor_stats {
    bool known;              /* false: values of this type cannot be computed with */
    int64_t n, nan, inf, zero;
    double min, max, mean, std, rms; /* of the finite values; NaN when there are none.  std divides by their number. */
} tensor_stats;

/* The same bits for any number of threads.  *done, of total, counts bytes over several calls. */
int tensor_measure(tensor_stats *out, const tensor *t, pool *p, const progress *prog, double *done, double total,
                   err *e);

int64_t tensor_elements(const tensor *t);

#endif
