/* What tokenizer.ggml.pre of a GGUF file stands for: how text is cut before byte-level BPE. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_GGUF_PRE_H
#define ATTNSCOPE_MODEL_TOKENIZER_GGUF_PRE_H

#include "model/gguf.h"

/* One step: a pattern whose matches and the text between them are cut apart, or one of these. */
#define GGUF_PRE_DIGITS "digits"           /* each digit alone */
#define GGUF_PRE_NUMBERS "numbers"         /* runs of digits */
#define GGUF_PRE_PUNCTUATION "punctuation" /* runs of punctuation */
#define GGUF_PRE_GPT2 "gpt2"               /* ByteLevel with its own pattern */

typedef struct gguf_pre {
    const char *names;      /* between spaces */
    const char *steps[6];   /* in order; bytes are mapped behind GPT2, or behind the last */
    bool nfc, ignore_merges, add_bos;
} gguf_pre;

/* NULL: not known.  ("default" is the name for files that name none.) */
const gguf_pre *gguf_pre_find(gguf_string name);

#endif
