/* Two checkpoints of one shape on the same input: how far their attention and their predictions are apart. */
#ifndef ATTNSCOPE_ANALYSIS_DRIFT_H
#define ATTNSCOPE_ANALYSIS_DRIFT_H

#include "base/progress.h"
#include "base/result.h"
#include "model/forward.h"

/* Same stacks, layers, heads and vocabulary; widths may differ.  ERR_USAGE with the first thing that differs. */
int drift_check(const model *a, const model *b, err *e);

/* Values, in this order for each stack as it runs, layer by layer:
 *   map_jsd    of a head: mean over queries of the Jensen-Shannon divergence of its rows in the two models, nats.  What a
 *              row lacks to 1 (a learned sink) is one more key.  Queries that see no key do not count.
 *   logit_kl   at each position: KL(first || second) of the next-token distributions, nats
 *   top1_agree at each position: 1 where both have the same most likely token, else 0
 * the last two with layer and head NO_INDEX, of models that give logits.
 *
 * The first model runs and its queries and keys are kept, of as many layers as `room` bytes hold, at least one (0: a quarter
 * of the free memory; it runs again for the rest); then the second, in whose layers both maps are formed side by side. */
int drift_run(runtime *a, const model *ma, runtime *b, const model *mb, const model_input *in, size_t room,
              const result_sink *out, const progress *p, err *e);

/* Of two rows with p and q in one cell: that cell's part of the divergence, 0 where p = q. */
double jsd_cell(double p, double q);

#endif
