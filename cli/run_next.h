/* What a user may want to do with a run that has just ended. */
#ifndef ATTNSCOPE_CLI_RUN_NEXT_H
#define ATTNSCOPE_CLI_RUN_NEXT_H

#include "cli/session.h"

typedef struct run_kept {
    attn_kind kind;           /* of the stack that gives the logits */
    const char *metric;       /* the first that was measured; NULL: none */
    const head_id *maps;      /* [n_map] heads whose maps are stored */
    int n_map;
} run_kept;

/* One line that helps to go on: how to see a head, with the store named where a new program needs it. */
void run_next(session *s, store *st, int64_t run, const run_kept *kept);

#endif
