/* Fuzz target for NPZ and NPY: whatever the bytes, reading ends in arrays that can be read throughout, or in
 * one message with a hint; and the same as a checkpoint.  Arrays are also read past their checksum, which would stop
 * most changes.  How to build and run it: tests/fuzz_checkpoint.c. */
#include "base/npy_format.h"
#include "base/npz.h"
#include "base/zip.h"
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void check_refusal(const err *e)
{
    if (!e->msg[0] || !e->hint[0] || (e->code != ERR_INPUT && e->code != ERR_RESOURCE))
        abort();
}

static void touch(npy *a)
{
    int64_t count = 1, v;
    for (int i = 0; i < a->n_dim; i++)
        count *= a->shape[i];
    if (count != a->count)
        abort();
    for (int64_t i = 0; i < a->count; i++) {
        sink = npy_real(a, i);
        (void)npy_int(&v, a, i);
    }
    npy_free(a);
}

/* Every NPY header in the bytes, with all that follows it, and with as much as its shape asks for. */
static void parse_arrays(const uint8_t *data, size_t size)
{
    static const char magic[] = "\x93NUMPY";
    const uint8_t *at = data;
    for (int i = 0; i < 4 && size - (size_t)(at - data) >= 6; i++, at++) {
        at = memmem(at, size - (size_t)(at - data), magic, 6);
        if (!at)
            return;
        size_t left = size - (size_t)(at - data);
        npy a;
        err e = {0};
        if (npy_parse(&a, at, left, &e) == 0) {
            touch(&a);
            continue;
        }
        check_refusal(&e);
        size_t needs, has;
        if (sscanf(e.msg, "the shape needs %zu bytes of data, but there are %zu", &needs, &has) == 2 && needs < has) {
            e = (err){0};
            if (npy_parse(&a, at, left - (has - needs), &e))
                abort();
            touch(&a);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    npz *z;
    npy a;
    err e = {0};
    uint8_t *copy = malloc(size ? size : 1); /* of exactly its size, for sanitizers */
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (npz_open_memory(&z, copy, size, "x.npz", &e)) {
        check_refusal(&e);
    } else {
        for (int i = 0; i < npz_count(z); i++) {
            e = (err){0};
            if (npz_get(&a, z, npz_name(z, i), &e))
                check_refusal(&e);
            else
                touch(&a);
        }
        npz_close(z);
    }
    parse_arrays(copy, size);
    free(copy);
    const char *name;
    size_t len;
    if (zip_first_name(&name, &len, data, size) && len > 4 && memcmp(name + len - 4, ".npy", 4) == 0)
        open_or_explain(data, size, "x.npz"); /* other readers have their own targets */
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/test_base_npz_samples.h"

static void own_seeds(void)
{
    static const char *const words[] = {
        "'descr': '<f4'", "'|b1'", "'<i8'", "'fortran_order': True", "'shape': (", "(3,)", "()", "99999999999999999999",
        "9223372036854775807", "\x93NUMPY\1", "PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", ".npy", NULL,
    };
    fuzz_words = words;
    fuzz_seed_bytes(numpy_stored, sizeof numpy_stored);
    fuzz_seed_bytes(numpy_deflated, sizeof numpy_deflated);
    fuzz_seed_bytes(numpy_version_2, sizeof numpy_version_2);
    fuzz_seed_bytes(numpy_version_3, sizeof numpy_version_3);
    fuzz_seed_bytes(numpy_fortran, sizeof numpy_fortran);
    fuzz_seed_bytes(numpy_big_endian, sizeof numpy_big_endian);
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged NumPy files");
}

#endif
