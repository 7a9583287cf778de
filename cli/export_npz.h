/* The values and maps of one prompt of a run as a NPZ file:
 *
 *     ids [n] int64
 *     <metric> [L, H] float64, NaN where there is none (values over all queries)
 *     <metric> [L, H, P] with <metric>_positions [P] int64 (values that belong to positions)
 *     <metric> [P] with <metric>_positions [P] (values without a head)
 *     map_L1H3 [rows, cols] float32, NaN where no key is visible
 *
 * Names of attention other than "self" begin with "enc_", "cross_" or "vis_". */
#ifndef ATTNSCOPE_CLI_EXPORT_NPZ_H
#define ATTNSCOPE_CLI_EXPORT_NPZ_H

#include "base/progress.h"
#include "db/store.h"

int export_npz(store *st, int64_t run, int64_t prompt, const char *path, const progress *p, err *e);

#endif
