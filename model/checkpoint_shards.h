/* Which files an index names: for model/checkpoint.c. */
#ifndef ATTNSCOPE_MODEL_CHECKPOINT_SHARDS_H
#define ATTNSCOPE_MODEL_CHECKPOINT_SHARDS_H

#include "base/json.h"
#include "model/checkpoint.h"

enum { MOST_SHARDS = 4096 };

/* Distinct file names of an index, sorted: the order of shards must not depend on how the index was written. */
typedef struct shards {
    int n;
    const char *name[MOST_SHARDS]; /* owned by the index */
} shards;

/* From the index's weight_map.  s begins as zeros.  ERR_INPUT: no map, an empty one, names that lead out of the folder. */
int shards_list(shards *s, const json *weight_map, err *e);
/* Every tensor of the map is in the very file that the map names (files of c in the order of s); else ERR_INPUT. */
int shards_check(const checkpoint *c, const shards *s, const json *weight_map, err *e);

#endif
