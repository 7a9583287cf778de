/* Checkpoints behind one interface: named tensors plus the metadata that says what they mean.
 *
 * A reader (model/readers/) is one file with one `const checkpoint_reader`.  Files are mapped, tensors are
 * views into the maps, nothing is copied.  Every count, offset and length is checked against the file
 * before it is used. */
#ifndef ATTNSCOPE_MODEL_CHECKPOINT_H
#define ATTNSCOPE_MODEL_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/hash.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "base/progress.h"
#include "compute/tensor.h"

typedef struct checkpoint checkpoint;
typedef struct gguf_meta gguf_meta;

typedef struct checkpoint_tensor {
    const char *name;
    tensor t;
    int file;              /* index of the file that holds it */
} checkpoint_tensor;

typedef struct checkpoint_reader {
    const char *name;      /* "safetensors", "gguf" */
    const char *summary;
    /* Does the file look like this format?  head: its first n bytes (n may be below 16). */
    bool (*sniff)(const unsigned char *head, size_t n, size_t file_size);
    /* Add the tensors (and metadata) of one mapped file to c.  file: its index in c. */
    int (*read)(checkpoint *c, int file, err *e);
} checkpoint_reader;

struct checkpoint {
    char *path;                     /* as given by the user */
    char *directory;                /* where the Hugging Face side files are; NULL for a bare file */
    const checkpoint_reader *reader;
    int n_file;
    mapfile *files;                 /* [n_file] */
    char **file_paths;              /* [n_file] */
    int n_tensor;
    checkpoint_tensor *tensors;     /* [n_tensor] sorted by name */
    json *config;                   /* config.json; NULL for GGUF */
    gguf_meta *gguf;                /* NULL unless GGUF */
    void *arena_;                   /* names and the like */
};

/* Open a directory in the Hugging Face layout (config.json with model.safetensors or
 * model.safetensors.index.json; a directory that holds exactly one .gguf also opens), a .gguf, or a
 * .safetensors whose directory has a config.json.  Formats are told by content, not by name. */
int checkpoint_open(checkpoint **out, const char *path, err *e);
void checkpoint_close(checkpoint *c);

/* NULL when absent. */
const checkpoint_tensor *checkpoint_find(const checkpoint *c, const char *name);

/* SHA-256 over the weight files' contents (several files: over the list of their digests, in file order).
 * Cached under $XDG_CACHE_HOME/attnscope by device, inode, size and mtime. */
int checkpoint_hash(const checkpoint *c, sha256_hex out, const progress *p, err *e);

/* For readers: add a tensor (name is copied).  Refuses duplicates when all are in (checkpoint_open sorts
 * and checks). */
int checkpoint_add(checkpoint *c, const char *name, size_t name_len, const tensor *t, int file, err *e);

#endif
