/* WordPiece for loaders without JSON. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_MODELS_WORDPIECE_H
#define ATTNSCOPE_MODEL_TOKENIZER_MODELS_WORDPIECE_H

#include "model/tokenizer/parts.h"

/* The vocabulary is in t.  prefix: what pieces inside a word begin with ("##"). */
int wordpiece_new(token_model **out, tokenizer *t, const char *unk, const char *prefix, int64_t max_chars,
    err *e);

#endif
