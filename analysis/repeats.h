/* Which tokens of a prompt came before: what induction and duplicate-token scores look at. */
#ifndef ATTNSCOPE_ANALYSIS_REPEATS_H
#define ATTNSCOPE_ANALYSIS_REPEATS_H

#include "analysis/query_mean.h"

/* Which of the earlier occurrences of a query's token are meant. */
typedef enum repeat_match {
    REPEAT_ANY,     /* all of them */
    REPEAT_LAST,    /* the nearest one */
    REPEAT_PERIOD,  /* the position one period back, whatever stands there */
} repeat_match;

typedef struct repeats {
    repeat_match match;
    int64_t shift;         /* key looked at = earlier occurrence + shift; 0 or 1 */
    int64_t n;
    int64_t period;        /* smallest P >= 2 with ids[i] = ids[i - P] from the second pass on, when the
                            * prompt holds two passes or more, one leading token (BOS) put aside; else 0 */
    int64_t *seen;         /* [n] positions grouped by token, increasing within a group */
    int64_t *begin, *end;  /* [n] earlier occurrences of the token at i: seen[begin[i]] .. seen[end[i] - 1] */
} repeats;

/* In one block of memory: free().  ids [n].  placeholder: an id that stands for different things each time, pieces
 * of an image, and so never repeats; -1: none. */
int repeats_new(repeats **out, const int32_t *ids, int64_t n, int32_t placeholder, err *e);

/* Members of struct metric for a metric whose shared data is a repeats and whose state is a query_mean.
 * A query counts when it sees at least one of its keys; it adds the sum of its weights on them. */
void repeats_tile(void *state, const metric_ctx *c, const attn_tile *t);
void repeats_release(metric_ctx *c);

#endif
