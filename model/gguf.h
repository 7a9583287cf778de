/* GGUF metadata: typed key/value pairs (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 * Views into the mapped file. */
#ifndef ATTNSCOPE_MODEL_GGUF_H
#define ATTNSCOPE_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/checkpoint.h"

typedef enum gguf_type {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64, GGUF_TYPE_COUNT
} gguf_type;

typedef struct gguf_string { const char *s; size_t len; } gguf_string; /* not NUL-terminated */

typedef struct gguf_kv {
    gguf_string key;
    gguf_type type;         /* of the value, or GGUF_ARRAY */
    gguf_type element;      /* of the elements of an array; for a plain value the same as type */
    uint64_t count;         /* elements; 1 for a plain value */
    const unsigned char *data; /* encoded value(s), checked to lie in the file */
} gguf_kv;

size_t gguf_count(const gguf_meta *m);
const gguf_kv *gguf_at(const gguf_meta *m, size_t i);
const gguf_kv *gguf_find(const gguf_meta *m, const char *key); /* NULL when absent */

/* Readers of a plain value, or of element i of an array.  False when absent, of another kind or out of
 * range.  Any integer type reads as int; integers and floats read as real. */
bool gguf_int(int64_t *out, const gguf_kv *kv, uint64_t i);
bool gguf_real(double *out, const gguf_kv *kv, uint64_t i);
bool gguf_bool(bool *out, const gguf_kv *kv, uint64_t i);
bool gguf_text(gguf_string *out, const gguf_kv *kv);
/* All strings of an array in one pass (an array of strings has no index): out has room for count. */
bool gguf_texts(gguf_string *out, const gguf_kv *kv);

/* "u32", "string" */
const char *gguf_type_name(gguf_type t);

/* For model/readers/gguf.c: read and check header and metadata of a file of size bytes.  n_tensor: what the
 * header declares (bounded by the file's size); *end: where the tensor descriptions begin.  The metadata
 * refers to data, which must outlive it.  Free with gguf_meta_free. */
int gguf_meta_read(gguf_meta **out, size_t *n_tensor, size_t *end, const unsigned char *data, size_t size,
                   err *e);
/* Alignment of the tensor data: general.alignment or 32. */
size_t gguf_alignment(const gguf_meta *m);
/* Which part of how many this file is: split.no (from 0) and split.count; 0 and 1 for a whole model. */
void gguf_split(const gguf_meta *m, int *no, int *count);
void gguf_meta_free(gguf_meta *m); /* m may be NULL */

#endif
