/* Unigram for loaders without JSON. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_MODELS_UNIGRAM_H
#define ATTNSCOPE_MODEL_TOKENIZER_MODELS_UNIGRAM_H

#include "model/tokenizer/parts.h"

/* The vocabulary is in t.  scores: [t->vocab.n], copied; unk: -1 for none. */
typedef struct unigram_options {
    int32_t unk;
    bool byte_fallback;
    bool sentencepiece;            /* its own rules: sums in single precision, types of pieces */
    const uint8_t *types;          /* [t->vocab.n] enum piece_type, copied; with sentencepiece only */
} unigram_options;
int unigram_new(token_model **out, tokenizer *t, const double *scores, const unigram_options *o, err *e);

#endif
