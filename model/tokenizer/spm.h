/* SentencePiece's rules in a tokenizer, for the loaders of its own files and of GGUF. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_SPM_H
#define ATTNSCOPE_MODEL_TOKENIZER_SPM_H

#include "model/tokenizer/parts.h"
#include "model/tokenizer/sentencepiece.h"

typedef struct spm_parts {
    bool unigram;                  /* else BPE */
    const float *scores;           /* [t->vocab.n] */
    const uint8_t *types;          /* [t->vocab.n] enum piece_type */
    int32_t unk;                   /* -1: none */
    bool byte_fallback;
} spm_parts;

/* Model, normaliser (how: its character map and what it does to spaces) and decoders of t, whose vocabulary is
 * there. */
int spm_build(tokenizer *t, const spm_parts *p, const normalizer *how, err *e);

/* How SentencePiece turns ids into text (decoder_spm.c). */
typedef struct spm_decoding {
    const uint8_t *types;          /* [t->vocab.n] */
    const charsmap *map;           /* applied to the text; NULL: none */
    bool drop_space, drop_spaces;  /* at the start: one, all of them */
    const char *unknown; size_t n_unknown; /* written for the unknown token */
} spm_decoding;
int decode_spm(strbuf *out, const tokenizer *t, const int32_t *ids, int64_t n, bool skip_special, err *e);

#endif
