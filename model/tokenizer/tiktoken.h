/* tiktoken's vocabulary files. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_TIKTOKEN_H
#define ATTNSCOPE_MODEL_TOKENIZER_TIKTOKEN_H

#include "model/tokenizer/parts.h"

bool tiktoken_sniff(const char *bytes, size_t n);
/* pattern: the family ("cl100k"), or NULL: found out.  own_specials: with the family's special tokens. */
int tokenizer_load_tiktoken(tokenizer *t, const char *bytes, size_t n, const char *path, const char *pattern,
    bool own_specials, err *e);

#endif
