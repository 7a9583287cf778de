/* Results kept in memory, to be handed on later in the same order. */
#ifndef ATTNSCOPE_BASE_RESULT_LIST_H
#define ATTNSCOPE_BASE_RESULT_LIST_H

#include "base/mem.h"
#include "base/result.h"

typedef struct result_entry { bool is_map; union { result_value value; result_map map; } u; } result_entry;

typedef struct result_list {
    result_entry *entry; /* [n] */
    int64_t n, cap;
    const char *name;    /* of the value before: most share one */
    arena texts;
} result_list;

/* A sink that copies what comes into list (zero to begin with). */
result_sink result_list_sink(result_list *list);
/* All of it to another sink; its error ends that. */
int result_list_replay(const result_list *list, const result_sink *to, err *e);
void result_list_free(result_list *list);

#endif
