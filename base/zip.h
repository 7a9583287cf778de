/* Zip archives in memory, read as if every byte were hostile.
 *
 * zip_open checks everything about the archive at once: the end records (zip64 included, and consistent),
 * the central directory, every member's local header against it, names (no duplicates), methods (stored and
 * deflated), sizes, ranges and overlaps.  What remains for later is the content of a member: zip_unpack and
 * zip_crc_matches. */
#ifndef ATTNSCOPE_BASE_ZIP_H
#define ATTNSCOPE_BASE_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

typedef struct zip_member {
    const char *name;      /* not empty, no NUL inside; owned by the archive */
    bool deflated;
    uint32_t crc;          /* CRC-32 of the unpacked bytes, as the directory says */
    uint64_t packed, size; /* bytes in the archive, bytes unpacked; size fits in size_t */
    const unsigned char *bytes; /* [packed] in the archive */
    /* private */
    unsigned method_, flags_;
    uint64_t local_, start_;
} zip_member;

typedef struct zip_archive {
    int n;
    zip_member *members;   /* [n] in the order of the directory */
    /* private */
    const unsigned char *data_;
    size_t size_;
    int *by_name_;
    arena names_;
} zip_archive;

/* data [size] must outlive the archive.  Messages do not name the file.  Free with zip_close, which may be
 * called on a zeroed archive; on failure there is nothing to free. */
int zip_open(zip_archive *out, const void *data, size_t size, err *e);
void zip_close(zip_archive *z);

/* NULL when absent. */
const zip_member *zip_find(const zip_archive *z, const char *name);

/* Write the m->size unpacked bytes to out; fails when the packed bytes give more or fewer. */
int zip_unpack(void *out, const zip_member *m, err *e);

/* bytes [m->size]: unpacked. */
bool zip_crc_matches(const zip_member *m, const void *bytes);

/* Does the file begin like a zip archive?  head: its first n bytes.  *name, not NUL-terminated: what of the
 * first member's name lies in them. */
bool zip_first_name(const char **name, size_t *name_len, const unsigned char *head, size_t n);

#endif
