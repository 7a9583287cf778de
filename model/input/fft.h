/* The discrete Fourier transform of any length, in double. */
#ifndef ATTNSCOPE_MODEL_INPUT_FFT_H
#define ATTNSCOPE_MODEL_INPUT_FFT_H

#include "base/err.h"

typedef struct fft_value { double re, im; } fft_value;

typedef struct fft {
    int n;
    int factor[17];     /* primes whose product is n */
    fft_value *root;    /* [n]: exp(-2 pi i k / n) */
    fft_value *scratch; /* [n] */
} fft;

/* n from 1 to 65536.  Work is n times the sum of n's prime factors. */
int fft_open(fft *f, int n, err *e);
void fft_close(fft *f);

/* out[k] = sum over j of in[j] exp(-2 pi i j k / n) for k < n; out [n], in [n].  Uses f's scratch. */
void fft_real(fft_value *out, const double *in, const fft *f);

#endif
