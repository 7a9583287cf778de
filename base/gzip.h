/* gzip files (RFC 1952) as a whole, read as if every byte were hostile. */
#ifndef ATTNSCOPE_BASE_GZIP_H
#define ATTNSCOPE_BASE_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* Do the bytes begin as a gzip file does? */
bool gzip_begins(const void *bytes, size_t n);
/* All members of it, NUL-terminated; free() *out.  ERR_INPUT, not naming the file: damaged, cut off, more than max bytes
 * unpacked; ERR_RESOURCE. */
int gzip_unpack(char **out, size_t *size, const void *bytes, size_t n, size_t max, err *e);

#endif
