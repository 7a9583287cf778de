/* Scratch memory of matrix products, for the files that make them. */
#ifndef ATTNSCOPE_COMPUTE_GEMM_SCRATCH_H
#define ATTNSCOPE_COMPUTE_GEMM_SCRATCH_H

#include "compute/gemm.h"
#include "compute/tile_plan.h"

/* Rows worked on together: their packed activations stay in the outer cache while the weights stream by. */
enum { GEMM_ROW_BLOCK = 512 };

struct gemm_scratch {
    pool *pool;
    float *packed;       /* activations of one block of rows: [rows / mr, k, mr]; or left operands (tiles.h) */
    size_t packed_len;
    float *panels;       /* a thread: one panel of weights [k, nr] and nr rows of [k] behind it; or floats and right operands */
    size_t panel_len;    /* floats a thread */
};

/* gemm_maps by plans [n] that have tiles, and as many terms of x. */
void gemm_by_tiles(gemm_scratch *s, const gemm_map *maps, const tile_plan *plans, int n, const float *x, int64_t ldx,
                   int64_t rows);

#endif
