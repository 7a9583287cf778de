/* SentencePiece's model file: a protocol-buffer message, read without a library.
 * https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_SENTENCEPIECE_H
#define ATTNSCOPE_MODEL_TOKENIZER_SENTENCEPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct spm_bytes { const char *s; size_t n; } spm_bytes; /* view into the file; s NULL: not given */

typedef struct spm_piece { spm_bytes text; float score; uint8_t type; } spm_piece; /* enum piece_type */

enum { SPM_UNIGRAM = 1, SPM_BPE = 2, SPM_WORD = 3, SPM_CHAR = 4 };

typedef struct spm_model {
    spm_piece *piece; size_t n;        /* [n], at least one */
    int64_t type;                      /* SPM_* */
    int64_t unk_id;                    /* as the trainer was told; the piece's type decides */
    bool byte_fallback, as_suffix;
    spm_bytes unk_surface, unk, bos, eos, pad; /* texts of special pieces; defaults filled in */
    spm_bytes charsmap, denormalizer;  /* precompiled; empty: none */
    bool dummy_prefix, remove_extra, escape;
} spm_model;

/* Does it look like one?  Its first field is a piece. */
bool spm_sniff(const unsigned char *bytes, size_t n);
/* Read n bytes.  Every length is held against what encloses it; unknown fields are skipped, wrong wire types
 * of known ones refused.  Scores are finite. */
int spm_read(spm_model *out, const void *bytes, size_t n, err *e);
void spm_free(spm_model *m);

#endif
