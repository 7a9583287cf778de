/* Sums over keys for pairs of heads in plain C: the definition that isa/pair_body.h follows step by step. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "compute/kernels_c.h"

/* log2 u but for the term INVERSE / m, with u = m *power.  That term costs one addition: u INVERSE / m is
 * INVERSE *power.  FLT_MIN, which the caller added, keeps u from 0. */
static float mixture_step(float u, float *power)
{
    float m;
    uint32_t bits, one;
    memcpy(&bits, &u, sizeof bits);
    one = (bits & 0x007fffffu) | 0x3f800000u;
    memcpy(&m, &one, sizeof m);
    float q = fmaf(MIXTURE_C4, m, MIXTURE_C3);
    q = fmaf(q, m, MIXTURE_C2);
    q = fmaf(q, m, MIXTURE_C1);
    bits &= 0x7f800000u;
    memcpy(power, &bits, sizeof *power);
    return fmaf(q, m, (float)((int)(bits >> 23) - 127));
}

void kernel_c_mixture_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                           int64_t stride, int columns)
{
    for (int j = 0; j < n_y; j++)
        for (int c = 0; c < columns; c++) {
            float s = 0, powers = 0;
            for (int64_t k = 0; k < n_key; k++) {
                float u = (x[k * stride + c] + FLT_MIN) + y[j * y_stride + k * stride + c], power;
                float log2_u = mixture_step(u, &power);
                powers += power;
                s = fmaf(u, log2_u, s);
            }
            out[j * columns + c] = fmaf(MIXTURE_INVERSE, powers, s);
        }
}

void kernel_c_product_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                           int64_t stride, int columns)
{
    for (int j = 0; j < n_y; j++)
        for (int c = 0; c < columns; c++) {
            float s = 0;
            for (int64_t k = 0; k < n_key; k++)
                s = fmaf(x[k * stride + c], y[j * y_stride + k * stride + c], s);
            out[j * columns + c] = s;
        }
}
