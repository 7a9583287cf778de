/* What `run` says when it is done: a line a metric, made from the stored rows. */
#ifndef ATTNSCOPE_CLI_RUN_SUMMARY_H
#define ATTNSCOPE_CLI_RUN_SUMMARY_H

#include "analysis/metric.h"
#include "cli/command.h"

/* metrics [n] in the order asked for. */
int run_summary(session *s, const command_args *a, store *st, int64_t run, const metric *const *list, int n,
                err *e);

/* "sink rate: 6 of 32 heads above 0.3 at key 0 (<|bos|>), 18.8 %, T = 74", a line a key (four at most):
 * the share of heads whose alpha is above the threshold (strictly).  Nothing without values of sink. */
int sink_rate(session *s, store *st, int64_t run, double threshold, err *e);

#endif
