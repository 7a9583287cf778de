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
#include "base/mem.h"
#include "base/progress.h"
#include "compute/tensor.h"

typedef struct checkpoint checkpoint;
typedef struct gguf_meta gguf_meta;

typedef struct checkpoint_tensor {
    const char *name;      /* not empty; may hold control characters, so escape it for display */
    tensor t;
    int file;              /* index of the file that holds it */
} checkpoint_tensor;

/* A file format: one file in model/readers/ with one `const checkpoint_reader reader_<file name>`, and one
 * line in model/sources.mk. */
typedef struct checkpoint_reader {
    const char *name;      /* "safetensors", "gguf" */
    const char *summary;
    const char *suffix;    /* ".gguf": how such files are usually called; content decides */
    bool own_config;       /* such a file says all about its model: no config.json is needed */
    /* Does the file look like this format?  head: its first n bytes (n may be below 16). */
    bool (*sniff)(const unsigned char *head, size_t n, size_t file_size);
    /* Add the tensors (and metadata) of one mapped file to c.  file: its index in c. */
    int (*read)(checkpoint *c, int file, err *e);
} checkpoint_reader;

extern const checkpoint_reader *const checkpoint_readers[]; /* NULL-terminated, sorted by name */

struct checkpoint {
    char *path;                     /* as given by the user */
    char *directory;                /* where the Hugging Face side files are; NULL for a bare file */
    const checkpoint_reader *reader;
    int n_file;
    mapfile *files;                 /* [n_file] */
    char **file_paths;              /* [n_file] */
    int n_tensor;
    checkpoint_tensor *tensors;     /* [n_tensor] sorted by name */
    json *config;                   /* config.json, the file named instead of it, or what the reader knows
                                     * in its terms; NULL for GGUF, and where none was asked for */
    char *config_path;              /* where config was read from; NULL when from no file */
    gguf_meta *gguf;                /* NULL unless GGUF; of a split model, that of the first part */
    bool interleaved_rope;          /* q and k rows of a `llama` are in the order of interleaved RoPE, as they are
                                     * in GGUF files (set by llama2c) */
    /* private */
    arena arena_;                   /* tensor names */
    struct owned_data *owned_;      /* tensor data that is not in a map */
    int split_count_;               /* GGUF: parts of the model, when this is one of several that were not opened */
    bool borrowed_;                 /* the bytes of files[0] belong to the caller */
};

/* Open a directory in the Hugging Face layout (config.json with model.safetensors, its index, pytorch_model.bin,
 * or its index, in this order; or with exactly one .gguf, .safetensors, .npz or PyTorch file; a directory without
 * config.json that holds exactly one .gguf, or else one llama2.c model, also opens), a .gguf, any other weight file whose
 * directory has a config.json, or an index.  A GGUF in several parts (NAME-00001-of-00003.gguf) opens whole, whichever part is
 * named.  Formats are told by content, not by name.  A file without tensors opens.  A weight file or a shard may be
 * a symbolic link to anywhere, as it is in the Hugging Face cache; only its name must be a plain one. */
int checkpoint_open(checkpoint **out, const char *path, err *e);

typedef struct checkpoint_options {
    const char *config;    /* a configuration to take instead of config.json beside the weights; NULL: none.
                            * Refused (ERR_USAGE) for formats that carry their own. */
    bool weights_only;     /* a configuration need not be there (listing tensors or metadata) */
} checkpoint_options;
/* o may be NULL. */
int checkpoint_open_with(checkpoint **out, const char *path, const checkpoint_options *o, err *e);

/* One file that is already in memory: no configuration, no other files.  The bytes must outlive the
 * checkpoint.  name stands for the path, in messages. */
int checkpoint_open_memory(checkpoint **out, const void *bytes, size_t n, const char *name, err *e);
void checkpoint_close(checkpoint *c); /* c may be NULL */

/* NULL when absent. */
const checkpoint_tensor *checkpoint_find(const checkpoint *c, const char *name);

/* SHA-256 of the weight file.  Several files: of their digests in hexadecimal, a line each, in file order.
 * Digests of files are remembered (base/hash_cache.h). */
int checkpoint_hash(const checkpoint *c, sha256_hex out, const progress *p, err *e);

/* For readers: add a tensor (name is copied).  Refuses empty and very long names and names with a NUL;
 * duplicates are refused when all are in (checkpoint_open sorts and checks). */
int checkpoint_add(checkpoint *c, const char *name, size_t name_len, const tensor *t, int file, err *e);
/* For readers: hand over a block from malloc that tensors point into; freed at once when that fails. */
int checkpoint_own(checkpoint *c, void *block, err *e);

#endif
