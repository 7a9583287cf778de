/* The vocabulary of a GGUF as tokenizer.json writes it: inside model/convert/ only. */
#ifndef ATTNSCOPE_MODEL_CONVERT_HF_VOCAB_H
#define ATTNSCOPE_MODEL_CONVERT_HF_VOCAB_H

#include "model/convert/plan.h"

typedef struct hf_vocab {
    const gguf_meta *g;
    arena mem;
    size_t n;
    gguf_string *s;              /* [n] */
    const gguf_kv *types, *scores; /* NULL: none; else n elements */
    int64_t bos, eos, unk, pad, cls, sep, mask; /* -1: none */
} hf_vocab;

/* n is 0 when the file has no vocabulary. */
int hf_vocab_read(hf_vocab *v, const gguf_meta *g, err *e);
void hf_vocab_free(hf_vocab *v);
/* Ids from the keys, else the defaults of the kind. */
void hf_vocab_special_ids(hf_vocab *v, bool spm, bool bert);
bool hf_vocab_flag(const hf_vocab *v, const char *key, bool fallback);

/* WordPiece is stored with a mark at the beginning of words; tokenizer.json has one before what continues them. */
int hf_vocab_respell_wordpiece(hf_vocab *v, err *e);
bool hf_vocab_is_cased(const hf_vocab *v);

/* Pieces of JSON. */
void hf_vocab_text(strbuf *b, const hf_vocab *v, int64_t id);
void hf_vocab_special(strbuf *b, const hf_vocab *v, int64_t id, int type_id);
void hf_vocab_added(strbuf *b, const hf_vocab *v);
void hf_vocab_map(strbuf *b, const hf_vocab *v);             /* {"text": id, ...} */
void hf_vocab_scored_list(strbuf *b, const hf_vocab *v);     /* [["text", score], ...] */
int hf_vocab_merges(strbuf *b, const hf_vocab *v, err *e);   /* , "merges": those of the file */
/* The merges that a vocabulary with scores implies: every way to cut a token into two, best score first. */
int hf_vocab_scored_merges(strbuf *b, const hf_vocab *v, err *e);
bool hf_vocab_charsmap(strbuf *b, const hf_vocab *v);        /* a normaliser; false: nothing written */

#endif
