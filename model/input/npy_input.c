/* Inputs that were prepared elsewhere. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/npz.h"
#include "model/input/audio.h"
#include "model/input/image.h"

/* The n_dim numbers of shape after an optional leading 1, and the values as finite float32. */
static int load(float **out, int64_t *shape, int n_dim, const char *path, const char *wanted, err *e)
{
    npy a;
    float *values = NULL;
    int rc = npy_load(&a, path, e);

    if (rc)
        return rc;
    int lead = a.n_dim == n_dim + 1 && a.shape[0] == 1 ? 1 : 0;
    if (a.n_dim - lead != n_dim || a.count == 0) {
        err_set(e, ERR_INPUT, "%s: an array of %d dimensions and %lld numbers; wanted is %s", path, a.n_dim,
                (long long)a.count, wanted);
        rc = err_hint(e, "save one picture or sound a file, with numpy.save");
    } else if (a.dtype != NPY_F32 && a.dtype != NPY_F64 && a.dtype != NPY_F16) {
        err_set(e, ERR_INPUT, "%s: its numbers are %s; wanted are f16, f32 or f64", path,
                npy_dtype_name(a.dtype));
        rc = err_hint(e, "these are values after preprocessing: save them as float32");
    } else if (!(values = mem_array((size_t)a.count, sizeof *values, e))) {
        rc = ERR_RESOURCE;
    }
    for (int64_t i = 0; rc == 0 && i < a.count; i++) {
        values[i] = (float)npy_real(&a, i);
        if (!isfinite(values[i])) {
            err_set(e, ERR_INPUT, "%s: number %lld is not finite", path, (long long)i);
            rc = err_hint(e, "look for NaN or infinity where the file was made");
        }
    }
    for (int i = 0; i < n_dim; i++)
        shape[i] = a.shape[i + lead];
    npy_free(&a);
    if (rc)
        free(values);
    else
        *out = values;
    return rc;
}

int pixels_from_npy(float **pixels, int64_t shape[3], const char *path, err *e)
{
    int rc = load(pixels, shape, 3, path, "[3, height, width]", e);

    if (rc || shape[0] == 3)
        return rc;
    free(*pixels);
    *pixels = NULL; /* the caller's clean-up must find nothing */
    err_set(e, ERR_INPUT, "%s: %lld channels; wanted is [3, height, width]", path, (long long)shape[0]);
    return err_hint(e, "channels come first: try numpy.moveaxis(a, -1, 0)");
}

int features_from_npy(float **features, int64_t shape[2], const char *path, err *e)
{
    return load(features, shape, 2, path, "[mel, frames]", e);
}
