/* Names of the heads that positions of AXIS_HEAD count, from what the store knows of a run's model. */
#ifndef ATTNSCOPE_CLI_COUNTED_HEADS_H
#define ATTNSCOPE_CLI_COUNTED_HEADS_H

#include "base/result.h"
#include "db/store.h"

typedef struct counted_heads {
    int64_t n;
    head_id *head;   /* [n] of all layers in order, those without values in the run among them; free() */
} counted_heads;

/* Of one kind of attention ("self", "enc").  Errors of the store and ERR_RESOURCE only: a model without a plan has none. */
int counted_heads_load(counted_heads *out, store *st, int64_t run, const char *kind, err *e);

#endif
