/* When products go through tiles. */
#include "compute/tile_plan.h"

tile_plan tile_plan_for(const kernels *k, precision prec, int right_terms)
{
    if (prec == PRECISION_BF16 && k->tiles->bf16)
        return (tile_plan){k->tiles, 1, 1};
    if (prec == PRECISION_F32 && k->tiles->split)
        return (tile_plan){k->tiles, TILE_TERMS, right_terms};
    return (tile_plan){NULL, 1, 1};
}
