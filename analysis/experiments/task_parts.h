/* What the makers of tasks share. */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_TASK_PARTS_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_TASK_PARTS_H

#include "analysis/experiments/task.h"

/* n tokens (the first is bos where bos >= 0), no targets, and routes that count nothing yet.  On failure out is empty. */
int task_new(task *out, int64_t n, int32_t bos, const char *const *routes, err *e);
/* The token behind position i is to be predicted. */
static inline void task_target(task *t, int64_t i)
{
    t->target[i] = t->ids[i + 1];
    t->n_target++;
}

#endif
