/* Thread pool: persistent workers that share the items of one job at a time.
 *
 * Which thread does which item is not determined; therefore an item must write only what belongs to it,
 * and no result may depend on the thread.  All reductions are done by the caller, in item order. */
#ifndef ATTNSCOPE_BASE_POOL_H
#define ATTNSCOPE_BASE_POOL_H

#include <stdint.h>
#include "base/err.h"

typedef struct pool pool;

/* item in [0, n_item), thread in [0, pool_threads): index of a private scratch area. */
typedef void (*pool_fn)(void *ud, int64_t item, int thread);

/* threads <= 0: as many as the machine has for this process (affinity respected), shared with the ranks beside it. */
int pool_new(pool **out, int threads, err *e);
void pool_free(pool *p);
int pool_threads(const pool *p);
/* Run all items and return when the last has finished.  The caller works too.  Items not yet started
 * are skipped once cancel_requested() is true; the caller checks that afterwards. */
void pool_run(pool *p, int64_t n_item, pool_fn fn, void *ud);
/* Processors available to this process. */
int machine_threads(void);

#endif
