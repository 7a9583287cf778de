/* Code books of the IQ block types: one group of elements a number.  iq2 and iq1: eight fields of two bits
 * (indices of the values 8, 25, 43; or -1, 0, 1), iq3: four fields of four bits (indices of eight values).
 * The first element has the lowest bits.  Constants of the file format. */
#ifndef ATTNSCOPE_COMPUTE_DTYPE_GRIDS_H
#define ATTNSCOPE_COMPUTE_DTYPE_GRIDS_H

#include <stdint.h>

extern const uint16_t dtype_grid_iq2_xxs[256];
extern const uint16_t dtype_grid_iq2_xs[512];
extern const uint16_t dtype_grid_iq2_s[1024];
extern const uint16_t dtype_grid_iq3_xxs[256];
extern const uint16_t dtype_grid_iq3_s[512];
extern const uint16_t dtype_grid_iq1[2048];

#endif
