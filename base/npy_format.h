/* The NPY header, shared by npy.c, npz_read.c and npz_write.c; nobody else needs it. */
#ifndef ATTNSCOPE_BASE_NPY_FORMAT_H
#define ATTNSCOPE_BASE_NPY_FORMAT_H

#include <stddef.h>
#include "base/npz.h"

enum { NPY_HEADER_MAX = 512 };

/* Describe the array held by size bytes at bytes (a whole NPY file); out->data points into them.  The
 * data must fill the rest exactly.  An array in column-major order is copied into row-major order and owned by
 * out. */
int npy_parse(npy *out, const void *bytes, size_t size, err *e);

/* Check the shape and multiply it; data_bytes is count times the element size. */
int npy_check_shape(int64_t *count, size_t *data_bytes, npy_dtype d, int n_dim, const int64_t *shape, err *e);

/* Write the header (format 1.0) into out and its length, a multiple of 64, into *n. */
void npy_header(char out[NPY_HEADER_MAX], size_t *n, npy_dtype d, int n_dim, const int64_t *shape);
/* The same for a type of NumPy that npy_dtype has not: "<U8". */
void npy_header_as(char out[NPY_HEADER_MAX], size_t *n, const char *descr, int n_dim, const int64_t *shape);

#endif
