/* NPZ: a zip archive of NumPy arrays, each a tensor of the member's name.  Stored members are used where they
 * lie in the file; deflated ones, and those in column-major order, are copied when the file is opened. */
#include <stdlib.h>
#include <string.h>

#include "base/npz.h"
#include "base/zip.h"
#include "model/checkpoint.h"
#include "model/readers/reader.h"

/* Unpacked arrays may take so many times the file's size together, and a little more: real weights hardly
 * shrink, but deflate can make a thousand times as much of nothing. */
enum { MOST_GROWTH = 32, ALWAYS_ALLOWED = 16 << 20 };

static const dtype types[] = {
    [NPY_F32] = DT_F32, [NPY_F64] = DT_F64, [NPY_F16] = DT_F16, [NPY_I64] = DT_I64, [NPY_I32] = DT_I32,
    [NPY_I16] = DT_I16, [NPY_I8] = DT_I8,   [NPY_U64] = DT_U64, [NPY_U32] = DT_U32, [NPY_U16] = DT_U16,
    [NPY_U8] = DT_U8,   [NPY_BOOL] = DT_BOOL,
};

static bool ends_npy(const char *s, size_t n)
{
    return n > 4 && memcmp(s + n - 4, ".npy", 4) == 0;
}

static bool npz_sniff(const unsigned char *head, size_t n, size_t file_size)
{
    (void)file_size;
    const char *name;
    size_t len;
    return zip_first_name(&name, &len, head, n) && ends_npy(name, len);
}

static int add_array(checkpoint *c, int file, const char *name, const npy *a, err *e)
{
    tensor t = {.type = types[a->dtype], .n_dim = a->n_dim, .data = a->data};
    if (a->n_dim > TENSOR_MAX_DIM) {
        shown_name text;
        return err_set(e, ERR_INPUT, "array '%s' has %d dimensions (at most %d)",
                       show_name(text, name, strlen(name)), a->n_dim, TENSOR_MAX_DIM);
    }
    memcpy(t.shape, a->shape, (size_t)a->n_dim * sizeof *t.shape);
    t.bytes = (size_t)a->count * npy_dtype_size(a->dtype);
    return checkpoint_add(c, name, strlen(name), &t, file, e);
}

/* What unpacking all members would take is bounded before any is unpacked. */
static int check_growth(const npz *z, size_t file_size, err *e)
{
    uint64_t total = npz_unpacked_size(z), most = (uint64_t)file_size * MOST_GROWTH + ALWAYS_ALLOWED;
    if (total <= most)
        return 0;
    err_set(e, ERR_INPUT, "its compressed arrays would unpack to %llu bytes, more than %d times the file",
            (unsigned long long)total, MOST_GROWTH);
    return err_hint(e, "write the file again with numpy.savez, without compression");
}

static int npz_read(checkpoint *c, int file, err *e)
{
    const mapfile *f = &c->files[file];
    npz *z = NULL;
    int rc = npz_open_memory(&z, f->data, f->size, NULL, e);
    if (!rc)
        rc = check_growth(z, f->size, e);
    for (int i = 0; !rc && i < npz_count(z); i++) {
        npy a = {0};
        const char *name = npz_name(z, i);
        if ((rc = npz_get(&a, z, name, e)))
            break;
        if (a.owned && (rc = checkpoint_own(c, a.owned, e)))
            break;
        rc = add_array(c, file, name, &a, e);
    }
    npz_close(z);
    return rc;
}

const checkpoint_reader reader_npz = {
    .name = "npz",
    .summary = "NumPy arrays in a zip archive (numpy.savez), beside a config.json",
    .suffix = ".npz",
    .sniff = npz_sniff,
    .read = npz_read,
};
