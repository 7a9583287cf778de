/* Reading zip archives of NPY files.  Everything about the archive is checked when it is opened: the
 * central directory, each member's local header, names, ranges and overlaps; npz_get then checks the
 * content (CRC-32, inflated size, NPY header). */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npy_format.h"
#include "base/npz.h"

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    COMMENT_MAX = 65535,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8, /* sizes and CRC follow the data; the local header may hold zeros */
    DEFLATE_RATIO = 1032, /* the most that deflate can expand: 258 bytes from 2 bits */
};

#define SIG_LOCAL 0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END 0x06054b50u
#define SIG_LOCATOR 0x07064b50u
#define SIG_END64 0x06064b50u

typedef struct member {
    char *name;           /* without ".npy" */
    unsigned method, flags;
    uint32_t crc;
    uint64_t packed, size; /* bytes in the file, bytes of the NPY file */
    uint64_t local, start; /* where the local header and the data begin */
} member;

struct npz {
    mapfile file;
    char *path;
    arena names;
    member *list;   /* in the order of the central directory */
    int *by_name;   /* indices, sorted */
    int n;
};

static unsigned u16(const unsigned char *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int damaged(err *e, const char *what)
{
    err_set(e, ERR_INPUT, "damaged zip archive: %s", what);
    return err_hint(e, "the file is incomplete or was changed: write or fetch it again");
}

static int several_parts(err *e)
{
    err_set(e, ERR_INPUT, "zip archives in several parts are not supported");
    return err_hint(e, "write one file with numpy.savez");
}

/* --- the directory --- */

typedef struct directory {
    uint64_t n, start, size;
} directory;

/* The end record: the last place where its signature stands and its comment reaches exactly to the end. */
static const unsigned char *find_end(const mapfile *m)
{
    if (m->size < END_SIZE)
        return NULL;
    size_t last = m->size - END_SIZE, first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;

    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *p = m->data + at;
        if (u32(p) == SIG_END && u16(p + 20) == m->size - at - END_SIZE)
            return p;
    }
    return NULL;
}

static int find_directory(directory *out, const mapfile *m, err *e)
{
    const unsigned char *end = find_end(m);
    if (!end) {
        if (m->size >= 6 && memcmp(m->data, "\x93NUMPY", 6) == 0) {
            err_set(e, ERR_INPUT, "a single array (NPY), not an archive of arrays (NPZ)");
            return err_hint(e, "write it with numpy.savez");
        }
        if (m->size >= 4 && u32(m->data) == SIG_LOCAL)
            return damaged(e, "its end is missing");
        err_set(e, ERR_INPUT, "not an NPZ file (no zip archive)");
        return err_hint(e, "write it with numpy.savez or with the dump command");
    }

    uint64_t at = (uint64_t)(end - m->data);
    unsigned disk = u16(end + 4), directory_disk = u16(end + 6), n_here = u16(end + 8);
    directory d = {.n = u16(end + 10), .size = u32(end + 12), .start = u32(end + 16)};

    if (at >= LOCATOR_SIZE + END64_SIZE && u32(end - LOCATOR_SIZE) == SIG_LOCATOR) {
        const unsigned char *locator = end - LOCATOR_SIZE;
        uint64_t at64 = u64(locator + 8), limit = at - LOCATOR_SIZE;
        if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
            return several_parts(e);
        if (at64 > limit - END64_SIZE || u32(m->data + at64) != SIG_END64)
            return damaged(e, "its zip64 end record is not where it should be");
        const unsigned char *end64 = m->data + at64;
        if (u64(end64 + 4) < END64_SIZE - 12 || u64(end64 + 4) != limit - at64 - 12)
            return damaged(e, "its zip64 end record has a wrong size");
        if (u32(end64 + 16) != 0 || u32(end64 + 20) != 0 || u64(end64 + 24) != u64(end64 + 32))
            return several_parts(e);

        directory wide = {.n = u64(end64 + 32), .size = u64(end64 + 40), .start = u64(end64 + 48)};
        if ((d.n != 0xffff && d.n != wide.n) || (d.size != 0xffffffff && d.size != wide.size) ||
            (d.start != 0xffffffff && d.start != wide.start))
            return damaged(e, "its two end records contradict each other");
        d = wide;
        at = at64;
    } else if (disk != 0 || directory_disk != 0 || n_here != d.n) {
        return several_parts(e);
    }
    if (d.start > at || d.size != at - d.start)
        return damaged(e, "its directory is not where it should be");
    if (d.n > d.size / CENTRAL_SIZE || d.n > INT32_MAX)
        return damaged(e, "its directory is too small for its members");
    *out = d;
    return 0;
}

/* Fill the fields of a central entry that are kept in its zip64 extra field. */
static int read_wide(member *m, const unsigned char *extra, size_t n, err *e)
{
    bool wide_size = m->size == 0xffffffff, wide_packed = m->packed == 0xffffffff;
    bool wide_local = m->local == 0xffffffff;

    while (n >= 4) {
        unsigned id = u16(extra);
        size_t length = u16(extra + 2);
        if (length > n - 4)
            return damaged(e, "an extra field is cut short");
        const unsigned char *p = extra + 4;
        extra += 4 + length;
        n -= 4 + length;
        if (id != 1)
            continue;
        if (length < 8 * ((size_t)wide_size + wide_packed + wide_local))
            return damaged(e, "a zip64 field is cut short");
        if (wide_size) {
            m->size = u64(p);
            p += 8;
        }
        if (wide_packed) {
            m->packed = u64(p);
            p += 8;
        }
        if (wide_local)
            m->local = u64(p);
        return 0;
    }
    return 0; /* the saturated values are then meant; the range checks judge them */
}

/* The local header must say the same as the directory; a file that shows two faces to two readers is not
 * to be trusted. */
static int check_local(member *m, const unsigned char *name, size_t n_name, const unsigned char *data,
                       uint64_t limit, err *e)
{
    if (m->local > limit || limit - m->local < LOCAL_SIZE || u32(data + m->local) != SIG_LOCAL)
        return damaged(e, "a member does not start where its directory says");

    const unsigned char *p = data + m->local;
    size_t n_local = u16(p + 26), n_extra = u16(p + 28);
    if (limit - m->local - LOCAL_SIZE < n_local + n_extra)
        return damaged(e, "a member's header is cut short");
    m->start = m->local + LOCAL_SIZE + n_local + n_extra;
    if (m->packed > limit - m->start)
        return damaged(e, "a member reaches beyond the file");

    if (n_local != n_name || memcmp(p + LOCAL_SIZE, name, n_name) != 0 || u16(p + 8) != m->method ||
        (u16(p + 6) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)) != (m->flags & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)))
        return damaged(e, "a member's header contradicts the directory");
    if (m->flags & FLAG_DESCRIPTOR)
        return 0;
    uint32_t packed = u32(p + 18), size = u32(p + 22);
    if (u32(p + 14) != m->crc || (packed != 0xffffffff && packed != m->packed) ||
        (size != 0xffffffff && size != m->size))
        return damaged(e, "a member's header contradicts the directory");
    return 0;
}

/* One entry of the central directory at *p; advances *p.  *skip: it is no array. */
static int read_entry(npz *z, member *m, bool *skip, const unsigned char **at, const unsigned char *end,
                      uint64_t limit, err *e)
{
    const unsigned char *p = *at;

    if ((size_t)(end - p) < CENTRAL_SIZE || u32(p) != SIG_CENTRAL)
        return damaged(e, "its directory is cut short");
    size_t n_name = u16(p + 28), n_extra = u16(p + 30), n_comment = u16(p + 32);
    if ((size_t)(end - p) - CENTRAL_SIZE < n_name + n_extra + n_comment)
        return damaged(e, "its directory is cut short");
    *at = p + CENTRAL_SIZE + n_name + n_extra + n_comment;

    const unsigned char *name = p + CENTRAL_SIZE;
    *m = (member){
        .flags = u16(p + 8),
        .method = u16(p + 10),
        .crc = u32(p + 16),
        .packed = u32(p + 20),
        .size = u32(p + 24),
        .local = u32(p + 42),
    };
    if (n_name == 0 || memchr(name, '\0', n_name))
        return damaged(e, "a member has no proper name");
    if (u16(p + 34) != 0)
        return several_parts(e);
    int rc = read_wide(m, name + n_name, n_extra, e);
    if (rc == 0)
        rc = check_local(m, name, n_name, z->file.data, limit, e);
    if (rc)
        return rc;

    *skip = n_name < 4 || memcmp(name + n_name - 4, ".npy", 4) != 0;
    size_t shown = *skip ? n_name : n_name - 4;
    m->name = arena_strndup(&z->names, (const char *)name, shown, e);
    if (!m->name)
        return ERR_RESOURCE;
    if (m->flags & FLAG_ENCRYPTED) {
        err_set(e, ERR_INPUT, "member '%s' is encrypted", m->name);
        return err_hint(e, "write the file without a password");
    }
    if (m->method != METHOD_STORED && m->method != METHOD_DEFLATED) {
        err_set(e, ERR_INPUT, "member '%s': compression method %u is not supported", m->name, m->method);
        return err_hint(e, "write it with numpy.savez or numpy.savez_compressed");
    }
    if (m->method == METHOD_STORED && m->packed != m->size)
        return damaged(e, "a stored member has two sizes");
    if (m->size / DEFLATE_RATIO > m->packed)
        return damaged(e, "a member claims to grow more than deflate can");
    return 0;
}

static int compare_names(const void *a, const void *b, void *ud)
{
    const member *list = ud;
    return strcmp(list[*(const int *)a].name, list[*(const int *)b].name);
}

static int compare_starts(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->local < y->local ? -1 : x->local > y->local;
}

/* Members that share bytes are how a small file claims to hold a huge one. */
static int check_overlaps(const member *all, size_t n, err *e)
{
    member *sorted = mem_array(n, sizeof *sorted, e);
    int rc = 0;
    if (!sorted)
        return ERR_RESOURCE;

    if (n)
        memcpy(sorted, all, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_starts);
    for (size_t i = 1; i < n && rc == 0; i++) {
        if (sorted[i].local < sorted[i - 1].start + sorted[i - 1].packed)
            rc = damaged(e, "two members overlap");
    }
    free(sorted);
    return rc;
}

static int sort_names(npz *z, err *e)
{
    z->by_name = mem_array((size_t)z->n, sizeof *z->by_name, e);
    if (!z->by_name)
        return ERR_RESOURCE;
    for (int i = 0; i < z->n; i++)
        z->by_name[i] = i;
    qsort_r(z->by_name, (size_t)z->n, sizeof *z->by_name, compare_names, z->list);
    for (int i = 1; i < z->n; i++) {
        if (compare_names(&z->by_name[i - 1], &z->by_name[i], z->list) == 0) {
            err_set(e, ERR_INPUT, "two members are named '%s'", z->list[z->by_name[i]].name);
            return err_hint(e, "write the file again with one array under each name");
        }
    }
    return 0;
}

static int read_directory(npz *z, err *e)
{
    directory d = {0};
    int rc = find_directory(&d, &z->file, e);
    if (rc)
        return rc;

    member *all = mem_array((size_t)d.n, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    z->list = all;
    const unsigned char *at = z->file.data + d.start, *end = at + d.size;
    size_t n_other = 0;
    for (uint64_t i = 0; i < d.n && rc == 0; i++) {
        bool skip = false;
        member m;
        rc = read_entry(z, &m, &skip, &at, end, d.start, e);
        if (rc)
            break;
        if (skip) /* kept behind the arrays until the overlaps were checked */
            all[d.n - ++n_other] = m;
        else
            all[z->n++] = m;
    }
    if (rc == 0 && at != end)
        rc = damaged(e, "its directory has bytes that belong to no member");
    if (rc == 0)
        rc = check_overlaps(all, (size_t)d.n, e);
    return rc ? rc : sort_names(z, e);
}

/* --- the interface --- */

int npz_open(npz **out, const char *path, err *e)
{
    npz *z = mem_array(1, sizeof *z, e);
    if (!z)
        return ERR_RESOURCE;

    int rc = mapfile_open(&z->file, path, e);
    if (rc)
        goto fail;
    rc = ERR_RESOURCE;
    z->path = mem_strdup(path, e);
    if (!z->path)
        goto fail;
    rc = read_directory(z, e);
    if (rc) {
        if (rc == ERR_INPUT)
            err_prefix(e, "%s", path);
        goto fail;
    }
    *out = z;
    return 0;

fail:
    npz_close(z);
    return rc;
}

void npz_close(npz *z)
{
    if (!z)
        return;
    mapfile_close(&z->file);
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

static const member *find(const npz *z, const char *name)
{
    int low = 0, high = z->n;

    while (low < high) {
        int middle = low + (high - low) / 2;
        const member *m = &z->list[z->by_name[middle]];
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

static uInt piece(uint64_t n)
{
    return n > (1u << 30) ? 1u << 30 : (uInt)n;
}

/* Inflate into exactly m->size bytes. */
static int inflate_member(unsigned char **out, const member *m, const unsigned char *packed, err *e)
{
    z_stream s = {0};
    uint64_t in_left = m->packed, out_left = m->size;
    unsigned char spare; /* a member of 0 bytes still needs somewhere to end */
    int status = Z_OK;

    unsigned char *bytes = mem_array((size_t)m->size, 1, e);
    if (!bytes)
        return ERR_RESOURCE;
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) {
        free(bytes);
        return err_nomem(e, "zlib");
    }
    s.next_in = (Bytef *)packed;
    s.next_out = m->size ? bytes : &spare;
    while (status == Z_OK) {
        uInt in = piece(in_left), room = piece(out_left);
        s.avail_in = in;
        s.avail_out = room;
        status = inflate(&s, Z_NO_FLUSH);
        in_left -= in - s.avail_in;
        out_left -= room - s.avail_out;
    }
    inflateEnd(&s);
    if (status != Z_STREAM_END || in_left != 0 || out_left != 0) {
        free(bytes);
        if (status == Z_MEM_ERROR)
            return err_nomem(e, "zlib");
        return damaged(e, "compressed data do not give what was promised");
    }
    *out = bytes;
    return 0;
}

static int get(npy *out, const npz *z, const member *m, err *e)
{
    const unsigned char *bytes = z->file.data + m->start;
    unsigned char *inflated = NULL;
    npy a;
    int rc = 0;

    if (m->method == METHOD_DEFLATED) {
        rc = inflate_member(&inflated, m, bytes, e);
        if (rc)
            return rc;
        bytes = inflated;
    }
    if (crc32_z(crc32_z(0, NULL, 0), bytes, (size_t)m->size) != m->crc)
        rc = damaged(e, "the checksum is wrong");
    if (rc == 0)
        rc = npy_parse(&a, bytes, (size_t)m->size, e);
    if (rc) {
        free(inflated);
        return rc;
    }
    a.owned = inflated;
    *out = a;
    return 0;
}

int npz_get(npy *out, const npz *z, const char *name, err *e)
{
    const member *m = find(z, name);
    if (!m) {
        err_set(e, ERR_INPUT, "%s: no array named '%s'", z->path, name);
        if (z->n == 0)
            return err_hint(e, "the file is empty");
        return err_hint(e, "it has %d array%s, '%s' first", z->n, z->n == 1 ? "" : "s", z->list[0].name);
    }
    int rc = get(out, z, m, e);
    if (rc == ERR_INPUT)
        err_prefix(e, "%s: array '%s'", z->path, name);
    return rc;
}
