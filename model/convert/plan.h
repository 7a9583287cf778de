/* What will be written, before anything is: inside model/convert/ only. */
#ifndef ATTNSCOPE_MODEL_CONVERT_PLAN_H
#define ATTNSCOPE_MODEL_CONVERT_PLAN_H

#include "base/outdir.h"
#include "base/strbuf.h"
#include "model/convert/convert.h"
#include "model/gguf.h"

/* How rows of an output tensor are made from those of its sources. */
typedef enum row_kind {
    ROWS_AS_THEY_ARE,   /* rows first, first + 1, ... of the source */
    ROWS_UNPAIRED,      /* halves of each head of `head` rows were interleaved (RoPE of llama) */
    ROWS_GROUPED_QKV,   /* source is [q; k; v]; output has, for each key/value head, its q heads, k, v */
    ROWS_ALTERNATE,     /* source 0 and source 1 in turn (gate and up of gpt-oss) */
    ROWS_MLA_KV,        /* head by head: source 0 transposed [head][rank, nope], source 1 [head][v, rank] */
} row_kind;

typedef struct plan_tensor {
    const char *name;
    dtype type;                      /* of the output */
    int n_dim;
    int64_t shape[TENSOR_MAX_DIM];
    size_t bytes;
    const checkpoint_tensor *src[2]; /* src[1] NULL when there is one source */
    row_kind kind;
    int64_t n_row, n_col;            /* of the output before it is transposed */
    int64_t first;
    int64_t head, q_per_kv;          /* ROWS_UNPAIRED, _GROUPED_QKV, _MLA_KV (head: nope rows) */
    int64_t v_head;                  /* ROWS_MLA_KV */
    int64_t slab;                    /* > 0: each slab of this many rows is stored transposed, [n_col, slab] */
    bool minus_one;
    int shard;
} plan_tensor;

typedef struct plan {
    arena mem;                       /* names */
    int n;
    plan_tensor *t;                  /* [n], in the order of writing */
    const char *model_type;          /* NULL: config.json is that of the source */
    strbuf config;                   /* config.json as it will be written */
    char note[256];
} plan;

/* Fill p from a checkpoint; free with plan_free, on failure too. */
int plan_make(plan *p, const checkpoint *c, const convert_options *o, err *e);
void plan_free(plan *p);
/* Add a tensor: zeroed but for its name (copied), shape and first source. */
plan_tensor *plan_add(plan *p, const char *name, const checkpoint_tensor *src, int n_dim, const int64_t *shape,
                      err *e);

/* hf_names.c: the tensors of a GGUF under their Hugging Face names; hf_config.c: its config.json. */
int plan_from_gguf(plan *p, const checkpoint *c, err *e);
typedef struct hf_arch hf_arch;
int hf_config(plan *p, const checkpoint *c, const hf_arch *a, err *e);

/* rows.c: the data of one tensor into f. */
int rows_write(outfile *f, const plan_tensor *t, const progress *p, double *done, double total, err *e);

/* shards.c: all tensors as safetensors, with an index when there are several files. */
int shards_write(plan *p, outdir *d, uint64_t shard_bytes, int *n_shard, const progress *prog, err *e);

/* side_files.c */
int side_files_copy(outdir *d, const checkpoint *c, char summary[128], err *e);
/* config.json of the source with the element type of the output. */
int side_config(strbuf *out, const checkpoint *c, const convert_options *o, err *e);
/* hf_tokenizer.c: tokenizer.json and tokenizer_config.json from GGUF metadata. */
int hf_tokenizer(outdir *d, const gguf_meta *g, char summary[128], err *e);

/* A small text file of the directory. */
int plan_put_file(outdir *d, const char *name, const strbuf *text, err *e);
const char *plan_type_name(dtype type); /* "float32" as config.json says it; NULL for others */

#endif
