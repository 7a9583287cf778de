#include "analysis/abs_order.h"

#include <string.h>

static uint32_t abs_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffu;
}

/* The cell that holds rank; *rank becomes the rank within it. */
static uint32_t find_cell(const int64_t *counts, int64_t *rank)
{
    uint32_t cell = 0;
    while (*rank >= counts[cell])
        *rank -= counts[cell++];
    return cell;
}

float abs_order(const float *x, int64_t n, int64_t rank, int64_t *counts)
{
    memset(counts, 0, ABS_ORDER_CELLS * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        counts[abs_bits(x[i]) >> 16]++;
    uint32_t high = find_cell(counts, &rank), bits;
    memset(counts, 0, ABS_ORDER_CELLS * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        if ((bits = abs_bits(x[i])) >> 16 == high)
            counts[bits & 0xffffu]++;
    bits = high << 16 | find_cell(counts, &rank);
    float found;
    memcpy(&found, &bits, sizeof found);
    return found;
}

float abs_median(const float *x, int64_t n, int64_t *counts)
{
    return abs_order(x, n, (n - 1) / 2, counts);
}
