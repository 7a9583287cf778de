/* Choosing heads by words: "L1H3", "1.3", "L1H*", "L*H0", "L0-3H2", "L2" (all heads of layer 2), "all",
 * separated by commas, with "enc.", "cross." or "vis." before a word.  Without such a prefix the heads are those of
 * the stack that gives the logits, and `all` means all kinds. */
#ifndef ATTNSCOPE_CLI_HEAD_SELECT_H
#define ATTNSCOPE_CLI_HEAD_SELECT_H

#include "base/result.h"
#include "model/model.h"

/* Heads in the order asked for, each once; free() the result.  A layer or head that the model lacks is
 * ERR_USAGE naming the range. */
int head_select(head_id **out, int *n, const model *m, const char *text, err *e);

/* Does one of the words name this head?  `main`: the kind meant without a prefix.  Nothing is known of the model: a layer
 * that it lacks names no head. */
int head_matches(bool *yes, head_id h, attn_kind main, const char *text, err *e);

/* One head; without a prefix its kind is ATTN_SELF. */
int head_read(head_id *out, const char *text, err *e);
/* Against n_layer and n_head when they are > 0. */
int head_check(head_id h, int64_t n_layer, int64_t n_head, err *e);

#endif
