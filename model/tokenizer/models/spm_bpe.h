/* Byte-pair encoding of SentencePiece, for loaders without JSON. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_MODELS_SPM_BPE_H
#define ATTNSCOPE_MODEL_TOKENIZER_MODELS_SPM_BPE_H

#include "model/tokenizer/parts.h"
#include "model/tokenizer/trie.h"

/* The vocabulary is in t; scores and types (enum piece_type) are copied. */
typedef struct spm_bpe_options {
    const float *scores;           /* [t->vocab.n], no NaN */
    const uint8_t *types;          /* [t->vocab.n] */
    const trie *whole;             /* user-defined pieces, which are never cut; NULL: none */
    int32_t unk;                   /* -1: none */
    bool byte_fallback;
} spm_bpe_options;
int spm_bpe_new(token_model **out, tokenizer *t, const spm_bpe_options *o, err *e);

#endif
