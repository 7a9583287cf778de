/* Attention of blocks of queries through the products of tiles.h; its statistics and weights are those of
 * attention_parts.h, formed with exponentials of their own (tile_exponentials). */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_TILES_H
#define ATTNSCOPE_COMPUTE_ATTENTION_TILES_H

#include "compute/attention_parts.h"

/* Floats of the packed keys and values of p, and of the room that a block needs. */
int64_t attn_tiles_keys(const attn_parts *p);
int64_t attn_tiles_values(const attn_parts *p);
int64_t attn_tiles_room(const attn_parts *p);
/* Fill p->keys and, where it is set, p->values. */
void attn_tiles_pack(const attn_parts *p, pool *threads);

/* All of a block: every statistic of b, and out [d_v rounded up to TILE_BLOCK, TILE_BLOCK], turned, unless NULL.  query:
 * [attn_query_floats(d_qk)].  scores [n_key, TILE_BLOCK] holds the weights afterwards, edited: all of a head that is edited,
 * else of stretches of keys that the tap reads, or that hold a query's own position or the one before where those are
 * needed.  tap NULL: all. */
void attn_tiles_block(attn_block *b, const attn_parts *p, int head, int chunk, const attn_tap *tap, float *scores, float *query,
                      float *room, float *out);

#endif
