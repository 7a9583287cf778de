/* What the kinds of tokenizers in GGUF files share while they are loaded. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_GGUF_LOAD_H
#define ATTNSCOPE_MODEL_TOKENIZER_GGUF_LOAD_H

#include "model/tokenizer/parts.h"

/* An array of strings; free(*out), also after a failure. */
int gguf_read_strings(gguf_string **out, size_t *n, const gguf_meta *m, const char *key, err *e);

/* How a token of the file is spelled in t; appends to out. */
typedef void (*gguf_spelling)(strbuf *out, gguf_string s);
/* tokenizer.ggml.tokens into the vocabulary, types and scores into t->gguf_*.  spelling NULL: as in the file. */
int gguf_read_vocab(tokenizer *t, const gguf_meta *m, gguf_spelling spelling, err *e);
/* Control, unknown and user-defined tokens become added tokens.  normalized: the last kind is looked for behind
 * the normaliser.  rstrip: they take the white space that follows. */
int gguf_add_specials(tokenizer *t, bool normalized, bool rstrip, err *e);

int gguf_read_id(int32_t *out, const tokenizer *t, const gguf_meta *m, const char *key, int32_t otherwise,
    err *e);

/* What is added to a text where the file does not say. */
typedef struct gguf_policy {
    bool bos, eos, sep;            /* sep: the file's [CLS] and [SEP] */
    int32_t bos_id, eos_id;        /* where the file names none; -1: none */
    const char *where;             /* whose default this is */
} gguf_policy;
int gguf_add_policy(tokenizer *t, const gguf_meta *m, const gguf_policy *p, err *e);

/* The kinds (gguf_kinds.c), by tokenizer.ggml.model. */
int gguf_load_bpe(tokenizer *t, const gguf_meta *m, err *e);
int gguf_load_llama(tokenizer *t, const gguf_meta *m, err *e);
int gguf_load_bert(tokenizer *t, const gguf_meta *m, err *e);
int gguf_load_t5(tokenizer *t, const gguf_meta *m, err *e);
int gguf_load_gemma4(tokenizer *t, const gguf_meta *m, err *e);

#endif
