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

/* From a Hugging Face directory (tokenizer.json; BOS, EOS and templates from the files beside it), a file of
 * such a directory, a tokenizer.json of any name, a SentencePiece model, a tiktoken file, a tokenizer.bin of
 * llama2.c, a model file of llama2.c with one beside it, or a GGUF file; files are told by their content.
 *
 * A directory without a tokenizer.json is opened as Hugging Face's transformers would convert it: vocab.json
 * with merges.txt, vocab.txt, or a SentencePiece model, by the tokenizer_class of tokenizer_config.json (else
 * by model_type, else by the files).  A SentencePiece model alone follows SentencePiece's own rules: no special
 * token is recognised in a text, and BOS comes before it where the model has one. */
int tokenizer_open(tokenizer **out, const char *path, err *e);
typedef struct tokenizer_options {
    /* How a tiktoken file cuts text, which it does not say: "gpt2", "r50k", "p50k", "multilingual", "cl100k",
     * "o200k", "llama3" or "qwen".  NULL: by the number of its tokens or by its name, else as "llama3";
     * tokenizer_kind says what was assumed.  Special tokens are those of the family when the file has as many
     * tokens as the family's, and those that tokenizer_config.json names. */
    const char *pattern;
} tokenizer_options;
int tokenizer_open_with(tokenizer **out, const char *path, const tokenizer_options *o, err *e);
/* The tokenizer of an open checkpoint: GGUF's own, llama2.c's tokenizer.bin (or tok512.bin, by the size of the
 * vocabulary) beside it, else that of its directory. */
int tokenizer_of_checkpoint(tokenizer **out, const checkpoint *c, err *e);
/* From the bytes of such a file, but for GGUF. */
int tokenizer_from_bytes(tokenizer **out, const void *bytes, size_t n, const char *what,
    const tokenizer_options *o, err *e);
/* From the bytes of a tokenizer.json.  what stands for the path, in messages. */
int tokenizer_from_json(tokenizer **out, const char *bytes, size_t n, const char *what, err *e);
/* From metadata that is already open.  The tokenizer copies what it needs. */
int tokenizer_from_gguf(tokenizer **out, const gguf_meta *m, err *e);
void tokenizer_free(tokenizer *t);

int64_t tokenizer_vocab(const tokenizer *t);       /* largest id + 1 */
int32_t tokenizer_bos(const tokenizer *t);         /* -1: none */
int32_t tokenizer_eos(const tokenizer *t);         /* -1: none */
const char *tokenizer_kind(const tokenizer *t);    /* "byte-level BPE (smollm)" */
/* The checkpoint's own chat template (Jinja), NUL-terminated: chat_template.jinja, "chat_template" of
 * tokenizer_config.json or chat_template.json (of a list the one named "default", else the first), GGUF's
 * tokenizer.chat_template.  NULL: none. */
const char *tokenizer_chat_template(const tokenizer *t);
/* A template by name ("tool_use", "rag", "default"); NULL: none of that name. */
const char *tokenizer_chat_template_named(const tokenizer *t, const char *name);
/* The text of a special token by the role that tokenizer_config.json, special_tokens_map.json or GGUF give
 * it: "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token" or any other
 * key that ends in "_token".  NULL: the checkpoint does not name one. */
const char *tokenizer_special(const tokenizer *t, const char *role);

/* SHA-256 of the tokenizer.json or of the other vocabulary file (vocab.json and merges.txt: of both, one after
 * the other); from GGUF of every tokenizer.* key in file order: name, NUL, type and
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
