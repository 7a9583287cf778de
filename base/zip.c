/* Reading zip archives.  The checks leave a hostile archive no way to show two faces: what one reader sees
 * in the directory, another sees in the local headers, and no byte belongs to two members. */
#include "base/zip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

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
    return err_hint(e, "write one file");
}

/* --- the directory --- */

typedef struct directory {
    uint64_t n, start, size;
} directory;

/* The end record: the last place where its signature stands and its comment reaches exactly to the end. */
static const unsigned char *find_end(const zip_archive *z)
{
    if (z->size_ < END_SIZE)
        return NULL;
    size_t last = z->size_ - END_SIZE, first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;

    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *p = z->data_ + at;
        if (u32(p) == SIG_END && u16(p + 20) == z->size_ - at - END_SIZE)
            return p;
    }
    return NULL;
}

static int find_directory(directory *out, const zip_archive *z, err *e)
{
    const unsigned char *end = find_end(z);
    if (!end) {
        if (z->size_ >= 4 && u32(z->data_) == SIG_LOCAL)
            return damaged(e, "its end is missing");
        err_set(e, ERR_INPUT, "not a zip archive");
        return err_hint(e, "the file is damaged or of another kind: write or fetch it again");
    }

    uint64_t at = (uint64_t)(end - z->data_);
    unsigned disk = u16(end + 4), directory_disk = u16(end + 6), n_here = u16(end + 8);
    directory d = {.n = u16(end + 10), .size = u32(end + 12), .start = u32(end + 16)};

    if (at >= LOCATOR_SIZE + END64_SIZE && u32(end - LOCATOR_SIZE) == SIG_LOCATOR) {
        const unsigned char *locator = end - LOCATOR_SIZE;
        uint64_t at64 = u64(locator + 8), limit = at - LOCATOR_SIZE;
        if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
            return several_parts(e);
        if (at64 > limit - END64_SIZE || u32(z->data_ + at64) != SIG_END64)
            return damaged(e, "its zip64 end record is not where it should be");
        const unsigned char *end64 = z->data_ + at64;
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
static int read_wide(zip_member *m, const unsigned char *extra, size_t n, err *e)
{
    bool wide_size = m->size == 0xffffffff, wide_packed = m->packed == 0xffffffff;
    bool wide_local = m->local_ == 0xffffffff;

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
            m->local_ = u64(p);
        return 0;
    }
    return 0; /* the saturated values are then meant; the range checks judge them */
}

/* The local header must say the same as the directory; a file that shows two faces to two readers is not
 * to be trusted. */
static int check_local(zip_member *m, const unsigned char *name, size_t n_name, const unsigned char *data,
                       uint64_t limit, err *e)
{
    if (m->local_ > limit || limit - m->local_ < LOCAL_SIZE || u32(data + m->local_) != SIG_LOCAL)
        return damaged(e, "a member does not start where its directory says");

    const unsigned char *p = data + m->local_;
    size_t n_local = u16(p + 26), n_extra = u16(p + 28);
    if (limit - m->local_ - LOCAL_SIZE < n_local + n_extra)
        return damaged(e, "a member's header is cut short");
    m->start_ = m->local_ + LOCAL_SIZE + n_local + n_extra;
    if (m->packed > limit - m->start_)
        return damaged(e, "a member reaches beyond the file");

    if (n_local != n_name || memcmp(p + LOCAL_SIZE, name, n_name) != 0 || u16(p + 8) != m->method_ ||
        (u16(p + 6) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)) != (m->flags_ & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)))
        return damaged(e, "a member's header contradicts the directory");
    if (m->flags_ & FLAG_DESCRIPTOR)
        return 0;
    uint32_t packed = u32(p + 18), size = u32(p + 22);
    if (u32(p + 14) != m->crc || (packed != 0xffffffff && packed != m->packed) ||
        (size != 0xffffffff && size != m->size))
        return damaged(e, "a member's header contradicts the directory");
    return 0;
}

/* One entry of the central directory at *at; advances *at. */
static int read_entry(zip_archive *z, zip_member *m, const unsigned char **at, const unsigned char *end,
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
    *m = (zip_member){
        .flags_ = u16(p + 8),
        .method_ = u16(p + 10),
        .crc = u32(p + 16),
        .packed = u32(p + 20),
        .size = u32(p + 24),
        .local_ = u32(p + 42),
    };
    if (n_name == 0 || memchr(name, '\0', n_name))
        return damaged(e, "a member has no proper name");
    if (u16(p + 34) != 0)
        return several_parts(e);
    int rc = read_wide(m, name + n_name, n_extra, e);
    if (rc == 0)
        rc = check_local(m, name, n_name, z->data_, limit, e);
    if (rc)
        return rc;

    m->deflated = m->method_ == METHOD_DEFLATED;
    m->bytes = z->data_ + m->start_;
    m->name = arena_strndup(&z->names_, (const char *)name, n_name, e);
    if (!m->name)
        return ERR_RESOURCE;
    if (m->flags_ & FLAG_ENCRYPTED) {
        err_set(e, ERR_INPUT, "member '%s' is encrypted", m->name);
        return err_hint(e, "write the file without a password");
    }
    if (m->method_ != METHOD_STORED && m->method_ != METHOD_DEFLATED) {
        err_set(e, ERR_INPUT, "member '%s': compression method %u is not supported", m->name, m->method_);
        return err_hint(e, "write the archive again with its members stored or deflated");
    }
    if (m->method_ == METHOD_STORED && m->packed != m->size)
        return damaged(e, "a stored member has two sizes");
    if (m->size / DEFLATE_RATIO > m->packed)
        return damaged(e, "a member claims to grow more than deflate can");
    return 0;
}

static int compare_names(const void *a, const void *b, void *ud)
{
    const zip_member *list = ud;
    return strcmp(list[*(const int *)a].name, list[*(const int *)b].name);
}

static int compare_starts(const void *a, const void *b)
{
    const zip_member *x = a, *y = b;
    return x->local_ < y->local_ ? -1 : x->local_ > y->local_;
}

/* Members that share bytes are how a small file claims to hold a huge one. */
static int check_overlaps(const zip_member *all, size_t n, err *e)
{
    zip_member *sorted = mem_array(n, sizeof *sorted, e);
    int rc = 0;
    if (!sorted)
        return ERR_RESOURCE;

    if (n)
        memcpy(sorted, all, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_starts);
    for (size_t i = 1; i < n && rc == 0; i++) {
        if (sorted[i].local_ < sorted[i - 1].start_ + sorted[i - 1].packed)
            rc = damaged(e, "two members overlap");
    }
    free(sorted);
    return rc;
}

static int sort_names(zip_archive *z, err *e)
{
    z->by_name_ = mem_array((size_t)z->n, sizeof *z->by_name_, e);
    if (!z->by_name_)
        return ERR_RESOURCE;
    for (int i = 0; i < z->n; i++)
        z->by_name_[i] = i;
    qsort_r(z->by_name_, (size_t)z->n, sizeof *z->by_name_, compare_names, z->members);
    for (int i = 1; i < z->n; i++) {
        if (compare_names(&z->by_name_[i - 1], &z->by_name_[i], z->members) == 0) {
            err_set(e, ERR_INPUT, "two members are named '%s'", z->members[z->by_name_[i]].name);
            return err_hint(e, "write the file again with each name once");
        }
    }
    return 0;
}

static int read_directory(zip_archive *z, err *e)
{
    directory d = {0};
    int rc = find_directory(&d, z, e);
    if (rc)
        return rc;

    z->members = mem_array((size_t)d.n, sizeof *z->members, e);
    if (!z->members)
        return ERR_RESOURCE;
    const unsigned char *at = z->data_ + d.start, *end = at + d.size;
    for (; (uint64_t)z->n < d.n && rc == 0; z->n++)
        rc = read_entry(z, &z->members[z->n], &at, end, d.start, e);
    if (rc == 0 && at != end)
        rc = damaged(e, "its directory has bytes that belong to no member");
    if (rc == 0)
        rc = check_overlaps(z->members, (size_t)z->n, e);
    return rc ? rc : sort_names(z, e);
}

/* --- the interface --- */

int zip_open(zip_archive *out, const void *data, size_t size, err *e)
{
    zip_archive z = {.data_ = data, .size_ = size};
    int rc = read_directory(&z, e);
    if (rc)
        zip_close(&z);
    else
        *out = z;
    return rc;
}

void zip_close(zip_archive *z)
{
    arena_free(&z->names_);
    free(z->by_name_);
    free(z->members);
    *z = (zip_archive){0};
}

const zip_member *zip_find(const zip_archive *z, const char *name)
{
    int low = 0, high = z->n;

    while (low < high) {
        int middle = low + (high - low) / 2;
        const zip_member *m = &z->members[z->by_name_[middle]];
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

static uInt piece(uint64_t n)
{
    return n > (1u << 30) ? 1u << 30 : (uInt)n;
}

static int inflate_member(unsigned char *out, const zip_member *m, err *e)
{
    z_stream s = {0};
    uint64_t in_left = m->packed, out_left = m->size;
    unsigned char spare; /* a member of 0 bytes still needs somewhere to end */
    int status = Z_OK;

    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return err_nomem(e, "zlib");
    s.next_in = (Bytef *)m->bytes;
    s.next_out = m->size ? out : &spare;
    while (status == Z_OK) {
        uInt in = piece(in_left), room = piece(out_left);
        s.avail_in = in;
        s.avail_out = room;
        status = inflate(&s, Z_NO_FLUSH);
        in_left -= in - s.avail_in;
        out_left -= room - s.avail_out;
    }
    inflateEnd(&s);
    if (status == Z_MEM_ERROR)
        return err_nomem(e, "zlib");
    if (status != Z_STREAM_END || in_left != 0 || out_left != 0)
        return damaged(e, "compressed data do not give what was promised");
    return 0;
}

int zip_unpack(void *out, const zip_member *m, err *e)
{
    if (m->deflated)
        return inflate_member(out, m, e);
    if (m->size)
        memcpy(out, m->bytes, (size_t)m->size);
    return 0;
}

bool zip_crc_matches(const zip_member *m, const void *bytes)
{
    return crc32_z(crc32_z(0, NULL, 0), bytes, (size_t)m->size) == m->crc;
}

bool zip_first_name(const char **name, size_t *name_len, const unsigned char *head, size_t n)
{
    if (n < LOCAL_SIZE || u32(head) != SIG_LOCAL)
        return false;
    size_t len = u16(head + 26);
    *name = (const char *)head + LOCAL_SIZE;
    *name_len = len < n - LOCAL_SIZE ? len : n - LOCAL_SIZE;
    return true;
}
