/* NumPy files: NPY (format 1.0 - 3.0) and NPZ (zip of NPY, members stored or deflated, zip64 accepted).
 *
 * Arrays in column-major order (fortran_order) are put in row-major order as they are read.  Lengths are
 * checked against the file before use; an inflated member can be at most the size its zip entry declares. */
#ifndef ATTNSCOPE_BASE_NPZ_H
#define ATTNSCOPE_BASE_NPZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define NPY_MAX_DIM 8

typedef enum npy_dtype {
    NPY_F32, NPY_F64, NPY_F16, NPY_I64, NPY_I32, NPY_I16, NPY_I8, NPY_U64, NPY_U32, NPY_U16, NPY_U8, NPY_BOOL
} npy_dtype;

typedef struct npy {
    npy_dtype dtype;
    int n_dim;
    int64_t shape[NPY_MAX_DIM];
    int64_t count;          /* product of shape */
    const void *data;       /* C order, little-endian; may be unaligned */
    void *owned;            /* non-NULL when data was inflated, copied or reordered: npy_free releases it */
} npy;

size_t npy_dtype_size(npy_dtype d);
const char *npy_dtype_name(npy_dtype d); /* "f32", ... */
/* Element i as a double / as an integer (false when not integral, or beyond int64). */
double npy_real(const npy *a, int64_t i);
bool npy_int(int64_t *out, const npy *a, int64_t i);
void npy_free(npy *a);

/* A single .npy file, copied into memory. */
int npy_load(npy *out, const char *path, err *e);
int npy_save(const char *path, npy_dtype d, int n_dim, const int64_t *shape, const void *data, err *e);

typedef struct npz npz;
int npz_open(npz **out, const char *path, err *e);
/* The same for size bytes in memory, which stay the caller's and must outlive z and the views it gives.  name
 * stands for the path in messages; NULL: they name no file. */
int npz_open_memory(npz **out, const void *bytes, size_t size, const char *name, err *e);
void npz_close(npz *z);
int npz_count(const npz *z);
const char *npz_name(const npz *z, int i); /* without ".npy" */
bool npz_has(const npz *z, const char *name);
/* Bytes that unpacking every deflated array would take; SIZE_MAX when they cannot be counted. */
size_t npz_unpacked_size(const npz *z);
/* One array; ERR_INPUT when absent.  Stored members are views into the mapped file (valid until
 * npz_close); deflated ones, and those in column-major order, are owned by out. */
int npz_get(npy *out, const npz *z, const char *name, err *e);

/* Writing: members one after another, each in one call or in pieces (so that an array larger than memory
 * can be streamed).  Members are stored, or deflated when the writer was opened so.  The file appears
 * under its name only when npz_commit succeeds. */
typedef struct npz_writer npz_writer;
int npz_create(npz_writer **out, const char *path, bool deflate, err *e);
int npz_put(npz_writer *w, const char *name, npy_dtype d, int n_dim, const int64_t *shape, const void *data,
            err *e);
/* Texts [n] (UTF-8) as an array of NumPy's type U, which npz_get does not read; bytes that are no UTF-8 become U+FFFD. */
int npz_put_texts(npz_writer *w, const char *name, int64_t n, const char *const *texts, err *e);
int npz_begin(npz_writer *w, const char *name, npy_dtype d, int n_dim, const int64_t *shape, err *e);
int npz_add(npz_writer *w, const void *bytes, size_t n, err *e);
int npz_end(npz_writer *w, err *e); /* fails when fewer or more bytes were added than the shape says */
/* Finish the file and free w, on failure too (then the target is as it was before). */
int npz_commit(npz_writer *w, err *e);
/* Drop everything, free.  w may be NULL. */
void npz_abandon(npz_writer *w);

#endif
