/* Names of files that are not there: what was probably meant. */
#ifndef ATTNSCOPE_BASE_NEAR_FILE_H
#define ATTNSCOPE_BASE_NEAR_FILE_H

#include "base/err.h"

/* A path like `path` (which does not exist) that does: one of its names, the first that is wrong, is written a little
 * differently (nearest_word), not in its numbers alone.  NULL: there is none, or no memory for it.  free() it. */
char *near_file(const char *path);

/* The hint of e: "did you mean ...?" where there is a near file, else `otherwise` (NULL: the one that it has).  Returns
 * e's code. */
int near_file_hint(err *e, const char *path, const char *otherwise);

#endif
