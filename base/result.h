/* What an analysis produces, and where it goes.  analysis/ calls a result_sink; cli/ implements it on
 * top of the store. */
#ifndef ATTNSCOPE_BASE_RESULT_H
#define ATTNSCOPE_BASE_RESULT_H

#include <stdint.h>
#include "base/err.h"

#define NO_INDEX (-1) /* layer, head or position that does not apply: NULL in the store, null in JSON */

/* Which attention a head belongs to. */
typedef enum attn_kind { ATTN_SELF, ATTN_ENCODER, ATTN_CROSS, ATTN_VISION } attn_kind;
const char *attn_kind_name(attn_kind k); /* "self", "enc", "cross", "vis" */
/* The kind of that name; `otherwise` where there is none. */
attn_kind attn_kind_named(const char *name, attn_kind otherwise);

typedef struct result_value {
    attn_kind kind;
    const char *metric;   /* registry name; a sink that keeps it copies it */
    int layer, head;      /* 0-based, or NO_INDEX */
    int64_t position;     /* token position the value belongs to, or NO_INDEX for "over all queries" */
    double value;         /* finite: a value that does not exist is not emitted */
} result_value;

/* A stored attention map of one head: full, or pooled over blocks of `pool` x `pool` cells. */
typedef struct result_map {
    attn_kind kind;
    int layer, head;
    int64_t n_query, n_key;  /* tokens, before pooling */
    int64_t pool;            /* 1 = full */
    const char *pooling;     /* "none", "mean" or "max" */
    const float *cells;      /* [ceil(n_query/pool), ceil(n_key/pool)]; NaN where no key is visible */
} result_map;

typedef struct result_sink {
    int (*value)(void *ud, const result_value *v, err *e);
    int (*map)(void *ud, const result_map *m, err *e);   /* may be NULL when no map is asked for */
    void *ud;
} result_sink;

/* A head as users write it: "L3H7", "3.7", with "enc.", "cross." or "vis." before it.  parse: false when
 * the text is no head. */
typedef struct head_id { attn_kind kind; int layer, head; } head_id;
typedef char head_text[32];
void head_format(head_text out, head_id h);
_Bool head_parse(head_id *out, const char *text);

#endif
