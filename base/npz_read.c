/* Reading zip archives of NPY files.  base/zip.h checks the archive when it is opened; npz_get then checks
 * the content (CRC-32, inflated size, NPY header). */
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npy_format.h"
#include "base/npz.h"
#include "base/zip.h"

typedef struct array {
    const char *name;      /* without ".npy" */
    const zip_member *member;
} array;

struct npz {
    mapfile file;
    bool borrowed;        /* the bytes of file are the caller's */
    char *path;           /* NULL: not named in messages */
    zip_archive zip;
    arena names;
    array *list;    /* in the order of the archive's directory */
    int *by_name;   /* indices, sorted */
    int n;
};

static int compare_names(const void *a, const void *b, void *ud)
{
    const array *list = ud;
    return strcmp(list[*(const int *)a].name, list[*(const int *)b].name);
}

/* The arrays among the archive's members. */
static int list_arrays(npz *z, err *e)
{
    z->list = mem_array((size_t)z->zip.n, sizeof *z->list, e);
    z->by_name = mem_array((size_t)z->zip.n, sizeof *z->by_name, e);
    if (!z->list || !z->by_name)
        return ERR_RESOURCE;
    for (int i = 0; i < z->zip.n; i++) {
        const zip_member *m = &z->zip.members[i];
        size_t n = strlen(m->name);
        if (n < 4 || memcmp(m->name + n - 4, ".npy", 4) != 0)
            continue;
        const char *name = arena_strndup(&z->names, m->name, n - 4, e);
        if (!name)
            return ERR_RESOURCE;
        z->by_name[z->n] = z->n;
        z->list[z->n++] = (array){name, m};
    }
    qsort_r(z->by_name, (size_t)z->n, sizeof *z->by_name, compare_names, z->list);
    return 0;
}

static int read_archive(npz *z, err *e)
{
    const mapfile *f = &z->file;
    if (f->size >= 6 && memcmp(f->data, "\x93NUMPY", 6) == 0) {
        err_set(e, ERR_INPUT, "a single array (NPY), not an archive of arrays (NPZ)");
        return err_hint(e, "write it with numpy.savez");
    }
    int rc = zip_open(&z->zip, f->data, f->size, e);
    return rc ? rc : list_arrays(z, e);
}

/* --- the interface --- */

/* Check z->file and fill in the rest of z; z is closed when that fails. */
static int open_bytes(npz **out, npz *z, const char *name, err *e)
{
    int rc = 0;
    if (name && !(z->path = mem_strdup(name, e)))
        rc = ERR_RESOURCE;
    if (!rc && (rc = read_archive(z, e)) == ERR_INPUT && name)
        err_prefix(e, "%s", name);
    if (rc)
        npz_close(z);
    else
        *out = z;
    return rc;
}

int npz_open(npz **out, const char *path, err *e)
{
    npz *z = mem_array(1, sizeof *z, e);
    if (!z)
        return ERR_RESOURCE;
    int rc = mapfile_open(&z->file, path, e);
    if (rc) {
        npz_close(z);
        return rc;
    }
    return open_bytes(out, z, path, e);
}

int npz_open_memory(npz **out, const void *bytes, size_t size, const char *name, err *e)
{
    npz *z = mem_array(1, sizeof *z, e);
    if (!z)
        return ERR_RESOURCE;
    z->borrowed = true;
    z->file = (mapfile){.data = bytes, .size = size};
    return open_bytes(out, z, name, e);
}

void npz_close(npz *z)
{
    if (!z)
        return;
    if (!z->borrowed)
        mapfile_close(&z->file);
    zip_close(&z->zip);
    arena_free(&z->names);
    free(z->by_name);
    free(z->list);
    free(z->path);
    free(z);
}

int npz_count(const npz *z)
{
    return z->n;
}

const char *npz_name(const npz *z, int i)
{
    return i >= 0 && i < z->n ? z->list[i].name : NULL;
}

size_t npz_unpacked_size(const npz *z)
{
    size_t total = 0;
    for (int i = 0; i < z->n; i++)
        if (z->list[i].member->deflated && !size_add(&total, total, (size_t)z->list[i].member->size))
            return SIZE_MAX;
    return total;
}

static const array *find(const npz *z, const char *name)
{
    int low = 0, high = z->n;

    while (low < high) {
        int middle = low + (high - low) / 2;
        const array *m = &z->list[z->by_name[middle]];
        int order = strcmp(name, m->name);
        if (order == 0)
            return m;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool npz_has(const npz *z, const char *name)
{
    return find(z, name) != NULL;
}

static int get(npy *out, const zip_member *m, err *e)
{
    const unsigned char *bytes = m->bytes;
    unsigned char *inflated = NULL;
    npy a;
    int rc = 0;

    if (m->deflated) {
        inflated = mem_array((size_t)m->size, 1, e);
        if (!inflated)
            return ERR_RESOURCE;
        rc = zip_unpack(inflated, m, e);
        bytes = inflated;
    }
    if (rc == 0 && !zip_crc_matches(m, bytes)) {
        err_set(e, ERR_INPUT, "damaged zip archive: the checksum is wrong");
        rc = err_hint(e, "the file is incomplete or was changed: write or fetch it again");
    }
    if (rc == 0)
        rc = npy_parse(&a, bytes, (size_t)m->size, e);
    if (rc) {
        free(inflated);
        return rc;
    }
    if (a.owned)
        free(inflated); /* the array was reordered into a block of its own */
    else
        a.owned = inflated;
    *out = a;
    return 0;
}

int npz_get(npy *out, const npz *z, const char *name, err *e)
{
    const array *m = find(z, name);
    if (!m) {
        err_set(e, ERR_INPUT, "no array named '%s'", name);
        if (z->path)
            err_prefix(e, "%s", z->path);
        if (z->n == 0)
            return err_hint(e, "the file is empty");
        return err_hint(e, "it has %d array%s, '%s' first", z->n, z->n == 1 ? "" : "s", z->list[0].name);
    }
    int rc = get(out, m->member, e);
    if (rc == ERR_INPUT) {
        err_prefix(e, "array '%s'", name);
        if (z->path)
            err_prefix(e, "%s", z->path);
    }
    return rc;
}
