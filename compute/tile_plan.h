/* When products go through tiles, and how their operands are cut. */
#ifndef ATTNSCOPE_COMPUTE_TILE_PLAN_H
#define ATTNSCOPE_COMPUTE_TILE_PLAN_H

#include "compute/gemm.h"
#include "compute/kernels.h"
#include "compute/tiles.h"

/* t NULL: the product is taken by float32 multiply-adds. */
typedef struct tile_plan {
    const tile_kernels *t;
    int left, right; /* terms */
} tile_plan;

/* right_terms: as many bfloat16 terms as what is to be the right operand has. */
tile_plan tile_plan_for(const kernels *k, precision prec, int right_terms);

#endif
