/* The parts of a tokenizer and how text goes through them.  Private to model/tokenizer/.
 *
 *   input -> added tokens (raw) -> normalisers -> added tokens (normalised) -> pre-tokenizers -> model
 *         -> special tokens of the post-processor          and, back:  ids -> pieces -> decoders -> text
 *
 * Each kind of part is one file: added.c, normalizer.c, pretokenizer.c, models/<name>.c, post.c, decoder.c.
 * A loader (load_json.c, load_gguf.c) fills a `struct tokenizer`, encode.c runs it.  Text is handed on depth
 * first, a stretch at a time, so that no list of pieces is ever built. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_PARTS_H
#define ATTNSCOPE_MODEL_TOKENIZER_PARTS_H

#include "base/json.h"
#include "base/mem.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/vocab.h"

enum {
    TOKENIZER_MAX_TEXT = INT32_MAX - 64, /* bytes of one input: positions are 32 bits */
    ADDED_MAX_LEN = 4096,                /* bytes of an added token: bounds the search for them */
    PRETOKENIZER_MAX = 32,               /* in a sequence: each is a level of recursion */
};

/* ---- text on its way (text.c) ---- */

typedef struct text_range { uint32_t begin, end; } text_range; /* bytes of the input */

/* A stretch of text.  from: the input range that each byte stands for; NULL while byte i is input byte
 * at + i.  Nothing here is owned: buffers lie in the input or in the arena of the call. */
typedef struct text {
    const char *s;         /* not NUL-terminated, any bytes */
    const char *view;      /* same length, for regular expressions (unicode_view) */
    size_t n;
    uint32_t at;
    const text_range *from;
} text;

/* State of one call of tokenizer_encode. */
typedef struct work {
    const tokenizer *t;
    arena mem;             /* text that stages made */
    token *out;
    size_t n_out, cap_out;
    regex_work *regex;
    void *model;           /* scratch of the model: its kind's work_free */
    unsigned words;        /* so far, for looking at Ctrl-C now and then */
} work;

text text_part(const text *x, size_t begin, size_t end);
/* Input range of bytes [begin, end) of x, widened to whole characters.  An empty range has no width. */
text_range text_where(const text *x, size_t begin, size_t end);
/* The token `id` for bytes [begin, end) of x. */
int work_emit(work *w, int32_t id, const text *x, size_t begin, size_t end, err *e);

/* A new text, written piece by piece.  `failed` is remembered like a strbuf's. */
typedef struct text_out {
    work *w;
    char *s;
    text_range *from;
    size_t n, cap;
    bool failed;
} text_out;

void text_add(text_out *o, const char *s, size_t n, text_range from);    /* all bytes stand for `from` */
void text_copy(text_out *o, const text *x, size_t begin, size_t end);    /* as they are in x */
int text_done(text_out *o, text *out, err *e);
/* x with each byte written as its character of the byte-level alphabet. */
int text_to_byte_level(text *out, const text *x, work *w, err *e);
/* The bytes that s spells in the byte-level alphabet, appended to out; false, and nothing appended, when one
 * of its characters is not of it. */
bool text_from_byte_level(strbuf *out, const char *s, size_t n);

/* ---- added tokens (added.c) ---- */

typedef struct added_token {
    int32_t id;
    const char *s; size_t n;                   /* as written in the file */
    const char *pattern; size_t n_pattern;     /* normalised, where that differs; NULL: as written */
    bool single_word, lstrip, rstrip, normalized, special;
} added_token;

typedef struct added_set added_set;            /* a matcher for some of them; in the tokenizer's arena */

/* t->added is complete and t's normalisers are in place: make t->added_raw and t->added_normalized (NULL when
 * no token is of that kind). */
int added_build(tokenizer *t, err *e);
/* Cut x at the tokens of set (NULL: none); stretches between them go to `rest`. */
typedef int (*text_sink)(work *w, const text *x, err *e);
int added_split(const added_set *set, work *w, const text *x, text_sink rest, err *e);

/* ---- normalisers (normalizer.c, normalizer_*.c) ---- */

typedef struct charsmap charsmap;              /* a precompiled table of replacements (charsmap.c) */
typedef struct normalizer normalizer;
struct normalizer {
    int (*run)(const normalizer *z, text *out, const text *x, work *w, err *e);
    regex *pattern;                            /* Replace */
    const char *s; size_t n;                   /* Replace: the new text; Prepend: what is prepended */
    bool left, right;                          /* Strip */
    bool compose, compat;                      /* NFC, NFKC, NFD, NFKD */
    bool clean, ideographs, strip, lower;      /* BertNormalizer */
    const charsmap *map;                       /* Precompiled, SentencePiece; may be NULL for the latter */
    bool dummy_prefix, remove_extra, as_suffix, no_escape; /* SentencePiece */
    const struct trie *keep;                   /* SentencePiece: what is not normalised; NULL: nothing */
};

/* Append the normaliser that v describes (NULL, null: none) to t->normalizers. */
int normalizer_from_json(tokenizer *t, const json *v, err *e);
/* For loaders without JSON. */
int normalizer_add(tokenizer *t, const normalizer *z, err *e);
int normalizer_add_nfc(tokenizer *t, err *e);
int normalizers_run(text *out, const text *x, work *w, err *e);

/* The run functions that are not in normalizer.c. */
int normalize_form(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_lowercase(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_bert(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_strip_accents(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_nmt(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_precompiled(const normalizer *z, text *out, const text *x, work *w, err *e);
int normalize_sentencepiece(const normalizer *z, text *out, const text *x, work *w, err *e);

bool base64_decode(unsigned char *out, size_t *n_out, const char *s, size_t n); /* out: n / 4 * 3 bytes */
/* n bytes of a charsmap as SentencePiece writes it: the size of a double array, the array, the replacements.
 * Copied into t.  Every step of a search is checked against the array. */
int charsmap_new(const charsmap **out, tokenizer *t, const void *bytes, size_t n, err *e);
/* The same in base64, as in tokenizer.json. */
int charsmap_from_base64(const charsmap **out, tokenizer *t, const char *s, size_t n, err *e);
/* The replacement of a start of s, whose length goes to *used: of the shortest start that has one, or of the
 * longest.  NULL: none has. */
const char *charsmap_find(const charsmap *m, const char *s, size_t n, bool shortest, size_t *used, size_t *len);

/* ---- pre-tokenizers (pretokenizer.c) ---- */

enum split_behavior { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_PREVIOUS, SPLIT_NEXT, SPLIT_CONTIGUOUS };

typedef struct pretokenizer {
    regex *pattern;                            /* cut by matches, */
    bool (*is)(uint32_t c);                    /* or by characters, */
    uint32_t delimiter;                        /* or by this character when both are NULL; 0: do not cut */
    int64_t length;                            /* or every so many characters; 0: not so */
    enum split_behavior behavior;
    bool invert;
    bool byte_level;                           /* afterwards write bytes in the byte-level alphabet */
    const char *space; size_t n_space;         /* Metaspace: what stands for a space; NULL: no change */
    const char *prefix; size_t n_prefix;       /* put before text that lacks it; NULL: nothing */
    bool prefix_first;                         /* ... only at the start of the input */
} pretokenizer;

int pretokenizer_from_json(tokenizer *t, const json *v, err *e);
/* For loaders without JSON.  The pattern is Oniguruma's syntax. */
int pretokenizer_add_split(tokenizer *t, const char *pattern, err *e);
int pretokenizer_add_digits(tokenizer *t, bool individual, err *e);
int pretokenizer_add_punctuation(tokenizer *t, enum split_behavior behavior, err *e);
int pretokenizer_add_bert(tokenizer *t, err *e);
int pretokenizer_add_byte_level(tokenizer *t, bool use_regex, err *e);
/* x through all pre-tokenizers into the model. */
int pretokenizers_run(work *w, const text *x, err *e);

/* ---- models (models/) ---- */

/* What SentencePiece and GGUF say of a piece. */
enum piece_type {
    PIECE_NORMAL = 1, PIECE_UNKNOWN = 2, PIECE_CONTROL = 3, PIECE_USER_DEFINED = 4, PIECE_UNUSED = 5,
    PIECE_BYTE = 6,
};

typedef struct token_model token_model;        /* a kind's own struct, in the tokenizer's arena */
/* A kind of model: one file in models/ with one `const tokenizer_model tokenizer_model_<file name>`, and one
 * line in sources.mk. */
typedef struct tokenizer_model {
    const char *type;                          /* model.type in tokenizer.json */
    /* Read the model and add its vocabulary to t.  NULL: not of tokenizer.json. */
    int (*from_json)(token_model **out, tokenizer *t, const json *v, err *e);
    /* All parts are read, the texts of the vocabulary are known.  NULL: nothing to do. */
    int (*finish)(token_model *m, tokenizer *t, err *e);
    /* Emit the tokens of one word.  bytes: x holds the bytes themselves that the vocabulary spells in the
     * byte-level alphabet. */
    int (*encode)(const token_model *m, work *w, const text *x, bool bytes, err *e);
    void (*work_free)(void *scratch);          /* of work.model; takes NULL.  NULL: it uses none */
} tokenizer_model;

extern const tokenizer_model *const tokenizer_models[]; /* NULL-terminated, sorted by file name */

/* The kind by its type; NULL: no such kind. */
const tokenizer_model *tokenizer_model_find(const char *type);

/* The model's vocabulary, {"piece": id}: v, or t->tables.  Refuses ids that are out of all proportion to
 * their number. */
int model_read_vocab(tokenizer *t, const json *v, err *e);

/* BPE (models/bpe.c, bpe_merge.c) for loaders without JSON: the vocabulary is in t. */
typedef struct bpe_merge { const char *left, *right; size_t n_left, n_right; } bpe_merge;
/* "a b": cut at its only space. */
bool bpe_split_merge(bpe_merge *out, const char *s, size_t n);
typedef struct bpe_options {
    const char *unk, *prefix, *suffix;         /* NULL: none */
    bool fuse_unk, byte_fallback, ignore_merges;
} bpe_options;
int bpe_new(token_model **out, tokenizer *t, const bpe_merge *merges, size_t n, const bpe_options *options,
    err *e);

/* Vocabulary and merges of a tokenizer.json that were read without a JSON value for each (json_tables.c). */
typedef struct vocab_item { const char *s; size_t n; int64_t id; } vocab_item;
typedef struct json_tables {
    bool present;
    vocab_item *vocab; size_t n_vocab;         /* strings lie in the file's bytes or in mem */
    bpe_merge *merges; size_t n_merges;
    arena mem;
} json_tables;
/* Read them and put the file without them into rest.  False: read the whole as JSON. */
bool json_tables_read(json_tables *out, strbuf *rest, const char *bytes, size_t n);
/* A vocabulary alone, {"piece": id}, as in vocab.json. */
bool json_vocab_read(json_tables *out, const char *bytes, size_t n);
void json_tables_free(json_tables *t);

/* ---- special tokens around the text (post.c) ---- */

int post_from_json(tokenizer *t, const json *v, err *e);
int post_add(tokenizer *t, int32_t id, bool after, err *e);
/* The texts of tokens.policy; where: what decided. */
int post_describe(tokenizer *t, const char *where, err *e);

/* ---- decoders (decoder.c, decoder_*.c) ---- */

enum decoder_kind {
    DECODER_BYTE_LEVEL, DECODER_REPLACE, DECODER_BYTE_FALLBACK, DECODER_FUSE, DECODER_STRIP,
    DECODER_METASPACE, DECODER_BPE, DECODER_WORDPIECE, DECODER_CTC,
};

typedef struct decoder {
    enum decoder_kind kind;
    regex *pattern;                            /* Replace */
    const char *s; size_t n;                   /* Replace: new text; else what to find */
    int64_t start, stop;                       /* Strip */
    bool drop_first;                           /* Metaspace */
    const char *delimiter; size_t n_delimiter; /* CTC: what stands for a space */
    bool cleanup;                              /* WordPiece, CTC */
} decoder;

int decoder_from_json(tokenizer *t, const json *v, err *e);
int decoder_add_byte_level(tokenizer *t, err *e);
int decoder_add_wordpiece(tokenizer *t, err *e);
/* U+2581 is a space, "<0xHH>" a byte; a space at the start is dropped when it was put there. */
int decoder_add_metaspace(tokenizer *t, bool prefix, err *e);
/* One string of a list (decoder_words.c). */
void decoder_wordpiece(strbuf *out, const decoder *d, const char *s, size_t n, bool first);
void decoder_ctc(strbuf *out, const decoder *d, const char *s, size_t n);
/* s with `to` for every `from`. */
void decoder_replace_all(strbuf *out, const char *s, size_t n, const char *from, size_t n_from, const char *to);
/* What one piece that is not byte-level stands for, appended to out. */
int decoder_text(strbuf *out, const tokenizer *t, const char *s, size_t n, regex_work *rw, err *e);
/* Set the texts (tokenizer_text) of all entries of the vocabulary. */
int decoder_texts(tokenizer *t, err *e);

/* ---- the whole ---- */

/* A string of the checkpoint's configuration by its name. */
typedef struct named_text { const char *name, *text; } named_text;

struct tokenizer {
    arena mem;                                 /* everything below that is not freed by name */
    vocab vocab;
    added_token *added; size_t n_added, cap_added;
    added_set *added_raw, *added_normalized;
    normalizer *normalizers; size_t n_normalizer;
    pretokenizer *pretokenizers; size_t n_pretokenizer;
    bool last_byte_level;                      /* the last pre-tokenizer is ByteLevel: the model gets bytes */
    json_tables tables;                        /* while loading */
    const uint8_t *gguf_types;                 /* [vocab.n] enum piece_type, while loading GGUF */
    const float *gguf_scores;                  /* [vocab.n], or NULL */
    const tokenizer_model *kind;
    token_model *model;
    int32_t *before, *after; size_t n_before, n_after;
    decoder *decoders; size_t n_decoder;       /* none: pieces joined by spaces */
    const struct spm_decoding *spm;            /* SentencePiece's own way of decoding; NULL: the decoders' */
    regex **regexes; size_t n_regex;           /* all of them, to be freed */
    int32_t bos, eos;                          /* -1: none */
    const char *suffix; size_t n_suffix;       /* end_of_word_suffix of the model; NULL: none */
    char *policy, *policy_plain;               /* with and without special tokens */
    char *description;                         /* tokenizer_kind */
    sha256_hex hash;
    named_text *templates; size_t n_template;  /* chat templates; the one without a name is "default" */
    named_text *roles; size_t n_role;          /* "bos_token": "<s>" */
};

/* A regular expression that t frees. */
int tokenizer_regex(regex **out, tokenizer *t, const char *pattern, size_t n, bool literal, err *e);
/* Room for one more element of an array in t's arena: copies it when it grows. */
void *tokenizer_push(tokenizer *t, void *array, size_t count, size_t size, err *e);

/* Put an added token into the vocabulary: under the id that the model's vocabulary has for it, else under
 * `id`; a->id is set. */
int tokenizer_place_added(tokenizer *t, added_token *a, int64_t id, err *e);
/* Loaders: fill a zeroed tokenizer whose bos and eos are -1.  On failure the caller frees it. */
int tokenizer_load_json(tokenizer *t, const char *bytes, size_t n, const char *what, err *e);
/* What the files beside a tokenizer.json say: BOS and EOS, special tokens, chat templates (load_config.c). */
int tokenizer_load_config(tokenizer *t, const char *directory, err *e);
/* Keep a chat template, a role; the first of a name counts.  The strings are copied. */
int tokenizer_add_template(tokenizer *t, const char *name, const char *s, size_t n, err *e);
int tokenizer_add_role(tokenizer *t, const char *role, const char *s, size_t n, err *e);
int tokenizer_load_gguf(tokenizer *t, const gguf_meta *m, err *e);
/* The tokens of a tokenizer.bin of llama2.c; 0: the bytes are no such file. */
size_t llama2c_count(const unsigned char *bytes, size_t n);
/* The tokenizer.bin, else the tok<n_token>.bin, else the only *.bin of a directory that is one of n_token
 * tokens.  *path: allocated, NULL when there is none.  ERR_INPUT when there are several. */
int llama2c_find(char **path, const char *directory, int64_t n_token, err *e);
int tokenizer_load_llama2c(tokenizer *t, const unsigned char *bytes, size_t n, err *e);
/* The added tokens of tokenizer_config.json: *named when it has any; add: put them into t. */
int tokenizer_config_specials(tokenizer *t, const char *directory, bool *named, bool add, err *e);
/* n bytes of a SentencePiece model, by SentencePiece's own rules. */
int tokenizer_load_spm(tokenizer *t, const void *bytes, size_t n, err *e);

/* "X is not supported" with the hint that raw ids work. */
int tokenizer_refuse(err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
