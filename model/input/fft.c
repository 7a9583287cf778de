/* Decimation in time over the prime factors (Cooley and Tukey, 1965), roots from a table. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/input/fft.h"

int fft_open(fft *f, int n, err *e)
{
    int n_factor = 0;

    *f = (fft){.n = n};
    f->root = mem_array((size_t)n, sizeof *f->root, e);
    f->scratch = mem_array((size_t)n, sizeof *f->scratch, e);
    if (!f->root || !f->scratch) {
        fft_close(f);
        return ERR_RESOURCE;
    }
    for (int k = 0; k < n; k++) {
        double angle = -2 * M_PI * k / n;
        f->root[k] = (fft_value){cos(angle), sin(angle)};
    }
    for (int p = 2, left = n; left > 1; p++)
        for (; left % p == 0; left /= p)
            f->factor[n_factor++] = p;
    return 0;
}

void fft_close(fft *f)
{
    free(f->root);
    free(f->scratch);
    *f = (fft){0};
}

static inline fft_value times(fft_value a, fft_value b)
{
    return (fft_value){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* The transform of n samples that lie stride apart, by factors[0] transforms of n / factors[0]. */
static void transform(fft_value *out, const double *in, int n, int stride, const int *factors, const fft *f)
{
    if (n == 1) {
        *out = (fft_value){in[0], 0};
        return;
    }
    int p = factors[0], m = n / p;

    for (int r = 0; r < p; r++)
        transform(out + r * m, in + r * stride, m, stride * p, factors + 1, f);
    for (int k = 0; k < m; k++) {
        for (int r = 0; r < p; r++)
            f->scratch[r] = times(out[r * m + k], f->root[r * k * stride]);
        for (int q = 0; q < p; q++) {
            fft_value sum = f->scratch[0];
            for (int r = 1; r < p; r++) {
                fft_value v = times(f->scratch[r], f->root[(int64_t)r * q % p * (f->n / p)]);
                sum.re += v.re;
                sum.im += v.im;
            }
            out[q * m + k] = sum;
        }
    }
}

void fft_real(fft_value *out, const double *in, const fft *f)
{
    transform(out, in, f->n, 1, f->factor, f);
}
