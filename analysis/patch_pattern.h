/* Attention weights of another run imposed on heads (PATCH_PATTERN). */
#ifndef ATTNSCOPE_ANALYSIS_PATCH_PATTERN_H
#define ATTNSCOPE_ANALYSIS_PATCH_PATTERN_H

#include "analysis/patch.h"

typedef struct pattern_edit pattern_edit;

/* Form the rows of the replacement's heads from the other run's q and k, under the mask, biases and sinks of args, and
 * add them; *edit NULL: a new one, pattern_edit_free() it.  The bits are those of the other run. */
int pattern_edit_add(pattern_edit **edit, runtime *r, const attn_args *args, const replacement *put, err *e);
const attn_edit *pattern_edit_use(const pattern_edit *edit);
void pattern_edit_free(pattern_edit *edit);

#endif
