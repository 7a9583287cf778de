/* One sequence over several ranks (base/ranks.h): forward() of all of them together. */
#ifndef ATTNSCOPE_MODEL_FORWARD_SPLIT_H
#define ATTNSCOPE_MODEL_FORWARD_SPLIT_H

#include "compute/attention_ring.h"
#include "model/forward.h"

/* From now on forward() takes prompts of split.n tokens, and all ranks call it with the same; NULL: alone again.  The
 * caller keeps the ring.  The observer's taps see what attention_ring() says, logits the positions of this rank. */
void runtime_set_ring(runtime *r, attn_ring *ring);
/* NULL: the runtime works alone. */
const sequence_split *runtime_split(const runtime *r);
/* ERR_USAGE with the reason where a model, or a prompt, cannot be split. */
int split_fits(const model *m, const int32_t *ids, int64_t n, err *e);

#endif
