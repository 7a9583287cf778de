/* When products go through tiles. */
#include "compute/tile_plan.h"

tile_plan tile_plan_for(const kernels *k, precision prec, bool right_exact)
{
    tile_plan p = {.left = 1, .right = 1};
    if (prec == PRECISION_BF16 && k->tiles->bf16) {
        p.t = k->tiles;
    } else if (prec == PRECISION_F32 && k->tiles->split) {
        p.t = k->tiles;
        p.left = right_exact ? 3 : 2;
        p.right = right_exact ? 1 : 2;
    }
    return p;
}
