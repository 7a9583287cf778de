/* What a path given by the user means: which file holds the weights, and which directory the
 * configuration.  And, for files of formats that are not read, which format it is and what to do. */
#ifndef ATTNSCOPE_MODEL_LOCATE_H
#define ATTNSCOPE_MODEL_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

typedef struct location {
    char *weights;    /* a weight file, or an index of shards */
    char *directory;  /* the directory given, or that of the file given */
    bool given_directory; /* the path was a directory */
    bool index;       /* weights is a *.safetensors.index.json */
} location;

/* Free with location_free, which may be called on a zeroed location. */
int locate(location *out, const char *path, err *e);
void location_free(location *l);

/* "directory/name", allocated. */
char *path_join(const char *directory, const char *name, err *e);
bool has_suffix(const char *s, const char *suffix);

/* Fill e and return true when the file (its first n bytes are head, n > 0) is of a known format that
 * cannot be opened. */
bool refuse_foreign(const unsigned char *head, size_t n, err *e);

#endif
