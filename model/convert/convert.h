/* Writing a checkpoint as a Hugging Face directory: config.json, tokenizer files, safetensors.
 *
 * From GGUF, tensors get the names and the layout that transformers expects, config.json is made from the
 * metadata and tokenizer.json from the vocabulary.  From any other format, tensors keep their names and the side
 * files are copied.  Tensors pass by one after another; memory is bounded by the largest matrix that has to be
 * transposed. */
#ifndef ATTNSCOPE_MODEL_CONVERT_CONVERT_H
#define ATTNSCOPE_MODEL_CONVERT_CONVERT_H

#include "base/progress.h"
#include "model/checkpoint.h"

typedef struct convert_options {
    bool keep;             /* as stored; quantised blocks, and what is computed from several types, as float32 */
    dtype type;            /* else DT_F32, DT_F16 or DT_BF16: for all floating-point tensors */
    uint64_t shard_bytes;  /* a file of tensors holds at most this much, or one tensor */
    bool replace;          /* an existing directory */
} convert_options;

typedef struct convert_report {
    const char *model_type; /* static; NULL when config.json was copied */
    int n_tensor, n_shard;
    uint64_t bytes;         /* of tensor data */
    char tokenizer[128];    /* what was written for the tokenizer, or why nothing */
    char note[256];         /* what the source does not say and the reader should know; may be empty */
} convert_report;

/* Values are rounded to nearest even.  A finite value that float16 cannot hold is refused with the tensor's name.
 * Nothing is left behind on failure.  report may be NULL. */
int convert_checkpoint(const checkpoint *c, const char *out, const convert_options *o, const progress *p,
                       convert_report *report, err *e);

#endif
