/* Attention maps of chosen heads: full, or pooled by the mean over blocks of cells. */
#ifndef ATTNSCOPE_ANALYSIS_MAP_H
#define ATTNSCOPE_ANALYSIS_MAP_H

#include <stdbool.h>
#include "analysis/metric.h"
#include "model/forward.h"

typedef struct map_set map_set;

/* heads [n_head] are checked against m and the input (ERR_USAGE) and belong to the caller, who keeps them; one
 * asked for twice is kept once.  limit: cells a side above which maps are pooled (0: never), both sides by the
 * same blocks of ceil(longer side / limit); masked cells are left out of a block's mean.
 * in_flight: heads worked on together, of each attn_kind. */
int map_set_new(map_set **out, const model *m, const input_lengths *n, const head_id *heads, int n_head, int64_t limit,
                const int *in_flight, err *e);
void map_set_free(map_set *s);

/* Turn to an attention and reserve memory for its heads.  n_chunk: chunks of its queries.  in_flight: heads
 * worked on together. */
int map_set_site(map_set *s, const attn_site *site, int n_chunk, int in_flight, err *e);
/* Is any head of this attention asked for?  This one? */
bool map_set_any(const map_set *s);
bool map_set_wants(const map_set *s, int head);
/* Take in a tile; does nothing for heads that nobody asked for.  Worker threads, one per (head, chunk). */
void map_set_tile(map_set *s, const attn_tile *t);
/* Hand a finished head to the sink and make its memory ready for the next head. */
int map_set_emit(map_set *s, int head, const result_sink *out, err *e);

#endif
