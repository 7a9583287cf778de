#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/mem.h"
#include "base/npy_format.h"
#include "base/npz.h"
#include "base/outfile.h"
#include "base/strbuf.h"

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    WIDE_LOCAL = 20,       /* zip64 extra field with both sizes */
    ALIGN = 64,            /* of a stored member's data in the file, so that a map of it is aligned too */
    PADDING_ID = 0xd935,   /* extra field that only fills (known from Android packages) */
    DATE_1980 = 1 << 5 | 1, /* 1980-01-01: the same input gives the same bytes */
    FLAG_DESCRIPTOR = 8,
    FLAG_UTF8 = 1 << 11,
    MADE_BY_UNIX = 3 << 8,
    CHUNK = 64 << 10,
    NAME_MAX_BYTES = 4096,
};

#define LIMIT32 0xfffffffeu /* the largest value that a 32-bit field holds as itself */

typedef struct member {
    char *name; /* with ".npy" */
    uint64_t local, packed, size;
    uint32_t crc;
    unsigned method, flags;
    bool wide; /* the local header has a zip64 extra field */
} member;

struct npz_writer {
    outfile *file;
    char *path;
    arena names;
    member *list;
    size_t n, cap;
    bool deflate, seekable;
    bool broken;          /* something failed: nothing but npz_abandon makes sense any more */
    uint64_t at;          /* bytes written so far */

    bool open;            /* between npz_begin and npz_end */
    bool sealed;          /* the local header already holds the final sizes and CRC */
    uint64_t left;        /* bytes of data that the open member still needs */
    uint64_t data_at;     /* where its (packed) bytes begin */
    z_stream z;
    unsigned char *chunk; /* [CHUNK] what deflate gives */
};

static unsigned char *put16(unsigned char *p, unsigned v)
{
    p[0] = (unsigned char)(v & 255);
    p[1] = (unsigned char)(v >> 8 & 255);
    return p + 2;
}

static unsigned char *put32(unsigned char *p, uint32_t v)
{
    return put16(put16(p, v & 0xffff), v >> 16);
}

static unsigned char *put64(unsigned char *p, uint64_t v)
{
    return put32(put32(p, (uint32_t)v), (uint32_t)(v >> 32));
}

static uint32_t narrow(uint64_t v)
{
    return v > LIMIT32 ? 0xffffffff : (uint32_t)v;
}

static int broken(npz_writer *w, int rc)
{
    w->broken = w->broken || rc != 0;
    return rc;
}

static int emit(npz_writer *w, const void *bytes, size_t n, err *e)
{
    int rc = outfile_write(w->file, bytes, n, e);
    w->at += n;
    return rc;
}

int npz_create(npz_writer **out, const char *path, bool deflate_members, err *e)
{
    npz_writer *w = mem_array(1, sizeof *w, e);
    if (!w)
        return ERR_RESOURCE;

    int rc = ERR_RESOURCE;
    w->deflate = deflate_members;
    w->path = mem_strdup(path, e);
    w->chunk = w->path ? mem_array(CHUNK, 1, e) : NULL;
    if (!w->chunk)
        goto fail;
    if (deflate_members && deflateInit2(&w->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                                        Z_DEFAULT_STRATEGY) != Z_OK) {
        rc = err_nomem(e, "zlib");
        goto fail;
    }
    rc = outfile_open(&w->file, path, e);
    if (rc)
        goto fail;
    w->seekable = outfile_seek(w->file, 0, NULL) == 0; /* if not, sizes follow the data */
    *out = w;
    return 0;

fail:
    npz_abandon(w);
    return rc;
}

/* Both headers share these 22 bytes: flags to sizes, then the length of the name. */
static unsigned char *put_common(unsigned char *p, const member *m, bool known, bool wide)
{
    p = put16(p, m->flags);
    p = put16(p, m->method);
    p = put16(p, 0); /* midnight */
    p = put16(p, DATE_1980);
    p = put32(p, known ? m->crc : 0);
    p = put32(p, wide ? 0xffffffff : known ? (uint32_t)m->packed : 0);
    p = put32(p, wide ? 0xffffffff : known ? (uint32_t)m->size : 0);
    return put16(p, (unsigned)strlen(m->name));
}

static unsigned version_needed(const member *m, bool wide)
{
    return wide ? 45 : m->method ? 20 : 10;
}

/* known: sizes and CRC in m are final. */
static int write_local(npz_writer *w, const member *m, bool known, err *e)
{
    unsigned char head[LOCAL_SIZE + NAME_MAX_BYTES + WIDE_LOCAL + 2 * ALIGN] = {0}, *p = head;
    size_t n_name = strlen(m->name), n_wide = m->wide ? WIDE_LOCAL : 0, n_pad = 0;

    if (!w->deflate) {
        size_t end = (size_t)((w->at + LOCAL_SIZE + n_name + n_wide) % ALIGN);
        n_pad = end == 0 ? 0 : ALIGN - end;
        if (n_pad > 0 && n_pad < 4)
            n_pad += ALIGN;
    }
    p = put32(p, 0x04034b50);
    p = put16(p, version_needed(m, m->wide));
    p = put_common(p, m, known, m->wide);
    p = put16(p, (unsigned)(n_wide + n_pad));
    memcpy(p, m->name, n_name);
    p += n_name;
    if (m->wide) {
        p = put16(p, 1);
        p = put16(p, WIDE_LOCAL - 4);
        p = put64(p, known ? m->size : 0);
        p = put64(p, known ? m->packed : 0);
    }
    if (n_pad) {
        put16(p, PADDING_ID);
        put16(p + 2, (unsigned)n_pad - 4);
        p += n_pad;
    }
    return emit(w, head, (size_t)(p - head), e);
}

/* Packed bytes of the open member. */
static int emit_member(npz_writer *w, const void *bytes, size_t n, int flush, err *e)
{
    member *m = &w->list[w->n - 1];
    const unsigned char *p = bytes;

    if (!w->sealed)
        m->crc = (uint32_t)crc32_z(m->crc, p, n);
    if (!w->deflate)
        return emit(w, bytes, n, e);

    do {
        uInt take = n > (1u << 30) ? 1u << 30 : (uInt)n;
        int mode = take == n ? flush : Z_NO_FLUSH;
        w->z.next_in = (Bytef *)p;
        w->z.avail_in = take;
        p += take;
        n -= take;
        do {
            w->z.next_out = w->chunk;
            w->z.avail_out = CHUNK;
            (void)deflate(&w->z, mode); /* cannot fail with room to write to */
            int rc = emit(w, w->chunk, CHUNK - w->z.avail_out, e);
            if (rc)
                return rc;
        } while (w->z.avail_out == 0);
    } while (n > 0);
    return 0;
}

static int check_name(const npz_writer *w, const char *name, size_t length, err *e)
{
    if (length == 0 || length + 4 > NAME_MAX_BYTES)
        return err_set(e, ERR_FAILED, "%s: an array needs a name of 1 to %d bytes", w->path,
                       NAME_MAX_BYTES - 4);
    for (size_t i = 0; i < w->n; i++) {
        const char *other = w->list[i].name;
        if (strncmp(other, name, length) == 0 && strcmp(other + length, ".npy") == 0)
            return err_set(e, ERR_FAILED, "%s: two arrays named '%s'", w->path, name);
    }
    return 0;
}

/* A new member at the end of the list, its name set. */
static int add_member(npz_writer *w, const char *name, err *e)
{
    size_t length = strlen(name);
    int rc = check_name(w, name, length, e);
    if (rc)
        return rc;

    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        member *list = mem_grow(w->list, cap, sizeof *list, e);
        if (!list)
            return ERR_RESOURCE;
        w->list = list;
        w->cap = cap;
    }
    member m = {.name = arena_alloc(&w->names, length + 5, 1, e)};
    if (!m.name)
        return ERR_RESOURCE;
    memcpy(m.name, name, length);
    memcpy(m.name + length, ".npy", 5);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] >= 0x80)
            m.flags |= FLAG_UTF8;
    }
    w->list[w->n++] = m;
    return 0;
}

/* The member of n_data bytes behind header.  data: all of them when they are at hand (their CRC can then go into the local
 * header), or NULL. */
static int begin_member(npz_writer *w, const char *name, const char *header, size_t n_header, const void *data, size_t n_data,
                        err *e)
{
    assert(!w->open);
    if (w->broken)
        return err_set(e, ERR_FAILED, "%s: writing has failed before", w->path);
    int rc = add_member(w, name, e);
    if (rc)
        return broken(w, rc);

    member *m = &w->list[w->n - 1];
    m->local = w->at;
    m->size = n_header + n_data;
    m->method = w->deflate ? Z_DEFLATED : 0;
    /* deflate may lengthen a little what it cannot pack */
    m->wide = m->size + m->size / 1000 + 1024 > LIMIT32;
    w->sealed = !w->deflate && data;
    if (w->sealed) {
        m->packed = m->size;
        m->crc = (uint32_t)crc32_z(crc32_z(0, (const Bytef *)header, n_header), data, n_data);
    } else if (!w->seekable) {
        m->flags |= FLAG_DESCRIPTOR;
    }
    rc = write_local(w, m, w->sealed, e);
    w->data_at = w->at;
    w->left = n_data;
    w->open = true;
    if (rc == 0)
        rc = emit_member(w, header, n_header, Z_NO_FLUSH, e);
    return broken(w, rc);
}

static int begin(npz_writer *w, const char *name, npy_dtype d, int n_dim, const int64_t *shape,
                 const void *data, err *e)
{
    char header[NPY_HEADER_MAX];
    size_t n_header, n_data;
    int64_t count;
    if (npy_check_shape(&count, &n_data, d, n_dim, shape, e))
        return err_prefix(e, "%s: array '%s'", w->path, name);
    npy_header(header, &n_header, d, n_dim, shape);
    return begin_member(w, name, header, n_header, data, n_data, e);
}

int npz_begin(npz_writer *w, const char *name, npy_dtype d, int n_dim, const int64_t *shape, err *e)
{
    return begin(w, name, d, n_dim, shape, NULL, e);
}

int npz_add(npz_writer *w, const void *bytes, size_t n, err *e)
{
    assert(w->open);
    if (w->broken)
        return err_set(e, ERR_FAILED, "%s: writing has failed before", w->path);
    if (n > w->left)
        return broken(w, err_set(e, ERR_FAILED, "%s: more data than the shape of '%s' says", w->path,
                                 w->list[w->n - 1].name));
    if (n == 0)
        return 0;
    w->left -= n;
    return broken(w, emit_member(w, bytes, n, Z_NO_FLUSH, e));
}

/* Sizes and CRC, known only now: into the local header, or behind the data when there is no going back. */
static int seal(npz_writer *w, const member *m, err *e)
{
    if (m->flags & FLAG_DESCRIPTOR) {
        unsigned char text[24], *p = put32(put32(text, 0x08074b50), m->crc);
        p = m->wide ? put64(put64(p, m->packed), m->size)
                    : put32(put32(p, (uint32_t)m->packed), (uint32_t)m->size);
        return emit(w, text, (size_t)(p - text), e);
    }
    uint64_t end = w->at;
    int rc = outfile_seek(w->file, m->local, e);
    if (rc)
        return rc;
    w->at = m->local;
    rc = write_local(w, m, true, e);
    if (rc)
        return rc;
    w->at = end;
    return outfile_seek(w->file, end, e);
}

int npz_end(npz_writer *w, err *e)
{
    assert(w->open);
    member *m = &w->list[w->n - 1];
    int rc = 0;

    w->open = false;
    if (w->broken)
        return err_set(e, ERR_FAILED, "%s: writing has failed before", w->path);
    if (w->left)
        return broken(w, err_set(e, ERR_FAILED, "%s: less data than the shape of '%s' says", w->path,
                                 m->name));
    if (w->deflate) {
        rc = emit_member(w, "", 0, Z_FINISH, e);
        deflateReset(&w->z);
    }
    m->packed = w->at - w->data_at;
    if (rc == 0 && !w->sealed)
        rc = seal(w, m, e);
    return broken(w, rc);
}

int npz_put(npz_writer *w, const char *name, npy_dtype d, int n_dim, const int64_t *shape, const void *data,
            err *e)
{
    int rc = begin(w, name, d, n_dim, shape, data, e);
    if (rc)
        return rc;
    rc = npz_add(w, data, (size_t)w->left, e);
    return rc ? rc : npz_end(w, e);
}

/* Code points of s into out (NULL: only counted). */
static size_t spell(uint32_t *out, const char *s)
{
    size_t n = strlen(s), count = 0;
    for (size_t i = 0; i < n; count++) {
        uint32_t c = 0xfffd;
        int len = utf8_next(&c, s + i, n - i);
        if (out)
            out[count] = len > 0 ? c : 0xfffd;
        i += len > 0 ? (size_t)len : 1;
    }
    return count;
}

int npz_put_texts(npz_writer *w, const char *name, int64_t n, const char *const *texts, err *e)
{
    char header[NPY_HEADER_MAX], descr[24];
    size_t width = 1, n_header, n_data;
    int64_t count;
    for (int64_t i = 0; i < n; i++) {
        size_t length = spell(NULL, texts[i]);
        width = length > width ? length : width;
    }
    if (npy_check_shape(&count, &n_data, NPY_U32, 2, (int64_t[]){n, (int64_t)width}, e))
        return err_prefix(e, "%s: array '%s'", w->path, name);
    uint32_t *codes = mem_array((size_t)count + 1, sizeof *codes, e);
    if (!codes)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++)
        spell(codes + (size_t)i * width, texts[i]);
    snprintf(descr, sizeof descr, "<U%zu", width);
    npy_header_as(header, &n_header, descr, 1, &n);
    int rc = begin_member(w, name, header, n_header, codes, n_data, e);
    if (!rc)
        rc = npz_add(w, codes, n_data, e);
    free(codes);
    return rc ? rc : npz_end(w, e);
}

static int write_entry(npz_writer *w, const member *m, err *e)
{
    unsigned char head[CENTRAL_SIZE + 28] = {0}, *p = head;
    bool wide = m->size > LIMIT32 || m->packed > LIMIT32, far = m->local > LIMIT32;
    size_t n_extra = (wide || far ? 4u : 0u) + (wide ? 16u : 0u) + (far ? 8u : 0u);

    p = put32(p, 0x02014b50);
    p = put16(p, MADE_BY_UNIX | 45);
    p = put16(p, version_needed(m, wide || far || m->wide));
    p = put_common(p, m, true, wide);
    p = put16(p, (unsigned)n_extra);
    p += 6; /* no comment, first disk, no internal attributes */
    p = put32(p, 0100644u << 16);
    put32(p, narrow(m->local));

    int rc = emit(w, head, CENTRAL_SIZE, e);
    if (rc == 0)
        rc = emit(w, m->name, strlen(m->name), e);
    if (rc || n_extra == 0)
        return rc;
    p = put16(put16(head, 1), (unsigned)n_extra - 4);
    if (wide)
        p = put64(put64(p, m->size), m->packed);
    if (far)
        put64(p, m->local);
    return emit(w, head, n_extra, e);
}

static int write_directory(npz_writer *w, err *e)
{
    unsigned char end[END64_SIZE + LOCATOR_SIZE + END_SIZE] = {0}, *p = end;
    uint64_t start = w->at;
    int rc = 0;

    for (size_t i = 0; i < w->n && rc == 0; i++)
        rc = write_entry(w, &w->list[i], e);
    if (rc)
        return rc;

    uint64_t size = w->at - start, at64 = w->at;
    if (w->n > 0xfffe || start > LIMIT32 || size > LIMIT32) {
        p = put32(p, 0x06064b50);
        p = put64(p, END64_SIZE - 12);
        p = put16(put16(p, MADE_BY_UNIX | 45), 45);
        p = put64(p, 0); /* this disk, and the one where the directory starts */
        p = put64(put64(p, w->n), w->n);
        p = put64(put64(p, size), start);
        p = put32(put32(p, 0x07064b50), 0);
        p = put32(put64(p, at64), 1);
    }
    unsigned n16 = w->n > 0xfffe ? 0xffff : (unsigned)w->n;
    p = put64(put32(p, 0x06054b50), 0) - 4; /* two disk numbers of 16 bits */
    p = put16(put16(p, n16), n16);
    p = put32(put32(p, narrow(size)), narrow(start));
    p = put16(p, 0);
    return emit(w, end, (size_t)(p - end), e);
}

int npz_commit(npz_writer *w, err *e)
{
    int rc = 0;

    if (w->broken)
        rc = err_set(e, ERR_FAILED, "%s: writing has failed before", w->path);
    else if (w->open)
        rc = err_set(e, ERR_FAILED, "%s: array '%s' is not finished", w->path, w->list[w->n - 1].name);
    else
        rc = write_directory(w, e);
    if (rc == 0) {
        rc = outfile_commit(w->file, e);
        w->file = NULL;
    }
    npz_abandon(w);
    return rc;
}

void npz_abandon(npz_writer *w)
{
    if (!w)
        return;
    outfile_abandon(w->file);
    if (w->deflate)
        deflateEnd(&w->z);
    arena_free(&w->names);
    free(w->list);
    free(w->chunk);
    free(w->path);
    free(w);
}
