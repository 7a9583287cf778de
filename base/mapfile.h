/* Read-only mapped files. */
#ifndef ATTNSCOPE_BASE_MAPFILE_H
#define ATTNSCOPE_BASE_MAPFILE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct mapfile {
    const unsigned char *data; /* NULL when the file is empty */
    size_t size;
    uint64_t device, inode;    /* identity, with the times: what a cached hash is keyed by */
    int64_t mtime_ns, ctime_ns;
} mapfile;

/* Map a regular file.  A missing file, directory, FIFO or device is refused with a message that names
 * the path.  A file that is truncated while mapped leads to one error message and exit status 3, not to
 * a crash report (a SIGBUS handler covers live maps). */
int mapfile_open(mapfile *out, const char *path, err *e);
void mapfile_close(mapfile *m);

/* A whole small file in memory, NUL-terminated, at most max bytes; free() the result. */
int read_file(char **out, size_t *size, const char *path, size_t max, err *e);

#endif
