/* What checkpoint readers share: bounded reading of little-endian fields, and names in messages. */
#ifndef ATTNSCOPE_MODEL_READERS_READER_H
#define ATTNSCOPE_MODEL_READERS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The rest of a file.  Every take_* is false, and takes nothing, when fewer bytes are left. */
typedef struct cursor {
    const unsigned char *at;
    size_t left;
} cursor;

static inline bool take_bytes(const unsigned char **out, cursor *c, uint64_t n)
{
    if (n > c->left)
        return false;
    *out = c->at;
    c->at += n;
    c->left -= (size_t)n;
    return true;
}

static inline bool take_u32(uint32_t *out, cursor *c)
{
    const unsigned char *p;
    if (!take_bytes(&p, c, sizeof *out))
        return false;
    memcpy(out, p, sizeof *out);
    return true;
}

static inline bool take_u64(uint64_t *out, cursor *c)
{
    const unsigned char *p;
    if (!take_bytes(&p, c, sizeof *out))
        return false;
    memcpy(out, p, sizeof *out);
    return true;
}

/* A name out of a file as a message shows it: shortened when very long, NUL written out.  Other control
 * characters are escaped by err_set. */
typedef char shown_name[96];
const char *show_name(shown_name out, const char *s, size_t n);

#endif
