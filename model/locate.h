/* What a path given by the user means: which file holds the weights, and which directory the
 * configuration.  And, for files of formats that are not read, which format it is and what to do. */
#ifndef ATTNSCOPE_MODEL_LOCATE_H
#define ATTNSCOPE_MODEL_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* What can be opened, for hints. */
#define MODEL_HINT "give a directory with config.json and weights (safetensors, PyTorch or .npz), one of those " \
                   "files, a .gguf, or a model file of llama2.c"

typedef struct location {
    char *weights;    /* a weight file, or an index of shards */
    char *directory;  /* the directory given, or that of the file given */
    bool given_directory; /* the path was a directory */
    bool index;       /* weights is a *.safetensors.index.json or *.bin.index.json */
} location;

/* no_config: config.json need not be in a directory.  Free with location_free, which may be called on a zeroed
 * location. */
int locate(location *out, const char *path, bool no_config, err *e);
void location_free(location *l);

/* "directory/name", allocated. */
char *path_join(const char *directory, const char *name, err *e);
bool has_suffix(const char *s, const char *suffix);

/* "PREFIX-00002-of-00003.gguf", as the parts of a split GGUF model are called. */
typedef struct part_name {
    size_t prefix;    /* bytes before "-00002-of-" */
    int no, count;    /* 2 and 3 */
} part_name;
bool parse_part_name(part_name *out, const char *path);
/* The path of part no, beside the one that p was parsed from; allocated. */
char *name_part(const part_name *p, const char *path, int no, err *e);

/* Fill e and return true when the file (its first n bytes are head, n > 0) is of a known format that
 * cannot be opened. */
bool refuse_foreign(const unsigned char *head, size_t n, err *e);
/* The error for bytes that say nothing (n > 0). */
int refuse_unknown(const unsigned char *head, size_t n, err *e);

#endif
