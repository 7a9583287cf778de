/* Output files that are never half there: written beside the target under a temporary name, flushed to
 * disk, then renamed.  Anything that goes wrong removes the temporary file. */
#ifndef ATTNSCOPE_BASE_OUTFILE_H
#define ATTNSCOPE_BASE_OUTFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

typedef struct outfile outfile;

/* "-" is standard output (no temporary file). */
int outfile_open(outfile **out, const char *path, err *e);
FILE *outfile_stream(outfile *f);
int outfile_write(outfile *f, const void *bytes, size_t n, err *e);
/* Go on writing `at` bytes from the start; fails on standard output and on pipes. */
int outfile_seek(outfile *f, uint64_t at, err *e);
/* Flush, fsync, rename, free.  On failure nothing is left at a temporary name and the old target stays. */
int outfile_commit(outfile *f, err *e);
/* Remove the temporary file, free.  f may be NULL. */
void outfile_abandon(outfile *f);
/* Remove temporary files still open; for exit paths. */
void outfile_abandon_all(void);
/* mkdir -p. */
int make_directories(const char *path, err *e);

#endif
