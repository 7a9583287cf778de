/* A directory of output files that appears at once: written under a temporary name beside the target, renamed
 * when all files are there.  Anything that goes wrong removes the temporary directory. */
#ifndef ATTNSCOPE_BASE_OUTDIR_H
#define ATTNSCOPE_BASE_OUTDIR_H

#include <stdbool.h>
#include "base/outfile.h"

typedef struct outdir outdir;

/* The parent of path must exist.  A target that exists is refused, unless replace is set and it is a directory
 * without directories inside. */
int outdir_open(outdir **out, const char *path, bool replace, err *e);
/* The same for a directory with one directory inside, called inner (which lives as long as out) and made here; one that is
 * replaced may have it.  outdir_create then takes names in it, too: "figures/1.svg". */
int outdir_open_with(outdir **out, const char *path, bool replace, const char *inner, err *e);
/* A file in it; close it with outfile_commit or outfile_abandon before the directory. */
int outdir_create(outfile **out, outdir *d, const char *name, err *e);
/* After an error of a file in it: the message names the directory as the user did, not its temporary name.  The code. */
int outdir_explain(const outdir *d, err *e);
/* Rename into place (a directory that is replaced is removed afterwards); free, also on failure. */
int outdir_commit(outdir *d, err *e);
/* Remove what was written, free.  d may be NULL. */
void outdir_abandon(outdir *d);
/* Remove temporary directories still open; for exit paths, after outfile_abandon_all. */
void outdir_abandon_all(void);

#endif
