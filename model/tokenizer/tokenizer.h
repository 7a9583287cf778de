/* Tokenizers behind one interface.  Exactness is the point: ids equal those of the checkpoint's own
 * tokenizer for every text.
 *
 * Pipeline, as in Hugging Face's tokenizers: added tokens (raw) -> normaliser -> added tokens (normalised)
 * -> pre-tokenizer sequence -> model -> post-processor.  Every component that a file names is either
 * implemented or refused by name.  "truncation" and "padding" are not applied.
 *
 * Bytes that are not UTF-8 are accepted.  Each is a character of its own that is no letter, number, mark,
 * punctuation or space; no normaliser changes it.  A byte-level vocabulary spells it like any byte, so the
 * texts of the tokens still join to the input. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_TOKENIZER_H
#define ATTNSCOPE_MODEL_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "model/gguf.h"

typedef struct tokenizer tokenizer;

typedef struct token {
    int32_t id;
    bool special;         /* an added special token, written in the text or by the post-processor */
    int64_t begin, end;   /* byte range of the input text, widened to whole characters: tokens for parts of
                           * one character share its range.  The space that a token starts with belongs to
                           * it.  Where a normaliser changed the text, the range that it was made from.
                           * begin == end for tokens that were added to the text. */
} token;

typedef struct tokens {
    int64_t n;
    token *t;             /* [n], owned: tokens_free */
    const char *policy;   /* what was added and why, for the user: "bos <|bos|> from the post-processor" or
                           * "nothing added"; owned by the tokenizer */
} tokens;

typedef struct token_text {
    const char *s; size_t len;  /* raw bytes the id stands for (byte-level marks decoded); may not be UTF-8 */
} token_text;

/* From a Hugging Face directory (tokenizer.json; BOS and EOS from tokenizer_config.json,
 * special_tokens_map.json or config.json when present), a file of such a directory, a tokenizer.json of any
 * name, or a GGUF file. */
int tokenizer_open(tokenizer **out, const char *path, err *e);
/* From the bytes of a tokenizer.json.  what stands for the path, in messages. */
int tokenizer_from_json(tokenizer **out, const char *bytes, size_t n, const char *what, err *e);
/* From metadata that is already open.  The tokenizer copies what it needs. */
int tokenizer_from_gguf(tokenizer **out, const gguf_meta *m, err *e);
void tokenizer_free(tokenizer *t);

int64_t tokenizer_vocab(const tokenizer *t);       /* largest id + 1 */
int32_t tokenizer_bos(const tokenizer *t);         /* -1: none */
int32_t tokenizer_eos(const tokenizer *t);         /* -1: none */
const char *tokenizer_kind(const tokenizer *t);    /* "byte-level BPE (smollm)" */
/* SHA-256 of the tokenizer.json; from GGUF of every tokenizer.* key in file order: name, NUL, type and
 * element type (a byte each), count (8 bytes, little-endian), value as encoded. */
int tokenizer_hash(const tokenizer *t, sha256_hex out, err *e);

/* special: apply the tokenizer's own policy of adding tokens (BOS and the like): what the post-processor
 * says, for GGUF add_bos_token and add_eos_token.  Special tokens spelled in the text are recognised either
 * way.  n < 2 GiB.  Thread-safe on a const tokenizer.  ERR_INPUT also when a pattern of the file takes too
 * long on the text, ERR_CANCELLED on Ctrl-C. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t n, bool special, tokens *out, err *e);
void tokens_free(tokens *t);

/* The bytes of one token (for an added token its own spelling); empty for an id that has none. */
token_text tokenizer_text(const tokenizer *t, int32_t id);
/* The vocabulary's own spelling ("Ġthe"), for display; NULL for an unknown id. */
const char *tokenizer_piece(const tokenizer *t, int32_t id);
bool tokenizer_is_special(const tokenizer *t, int32_t id);
/* Text of a sequence as Hugging Face decodes it (invalid UTF-8 becomes U+FFFD).  skip_special leaves
 * special tokens out. */
int tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t n, bool skip_special, strbuf *out,
    err *e);

#endif
