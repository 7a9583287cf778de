/* The vocabulary files of a checkpoint without a tokenizer.json. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_SLOW_VOCAB_H
#define ATTNSCOPE_MODEL_TOKENIZER_SLOW_VOCAB_H

#include "model/tokenizer/slow.h"

/* Where they are. */
typedef struct slow_place {
    enum slow_files files;
    char *vocab, *merges;          /* paths, owned; merges NULL but for SLOW_BPE */
} slow_place;

bool slow_exists(const char *path);
/* Look for the files in a directory; false with nothing owned where there are none (or no memory). */
bool slow_find(slow_place *out, const char *directory);
void slow_place_free(slow_place *p);

typedef struct slow_added { const char *s; size_t n; bool special; } slow_added; /* in the tokenizer's memory */

/* Vocabulary and model of t, and its hash.  unk: text of the unknown token, or NULL.  extra_ids: how many
 * sentinels a T5 has.  *list, n of them, to be freed: the control and user-defined pieces of a SentencePiece
 * model, which become added tokens. */
int slow_read_vocab(tokenizer *t, const slow_place *place, const slow_class *c, const char *unk, int extra_ids,
    slow_added **list, size_t *n, err *e);

int tokenizer_load_slow(tokenizer *t, const slow_place *place, const char *directory, err *e);
/* A SentencePiece model by its own rules. */
int tokenizer_load_spm_file(tokenizer *t, const char *path, err *e);

#endif
