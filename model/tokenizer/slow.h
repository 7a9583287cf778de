/* Checkpoints without a tokenizer.json: the classes of Hugging Face's transformers that read vocabulary files,
 * and what tokenizer each makes of them (slow_classes.c), for load_slow.c. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_SLOW_H
#define ATTNSCOPE_MODEL_TOKENIZER_SLOW_H

#include "model/tokenizer/parts.h"

enum slow_files { SLOW_BPE, SLOW_WORDPIECE, SLOW_SPM }; /* vocab.json and merges.txt; vocab.txt; *.model */

/* What is put around a text. */
enum slow_post {
    SLOW_AS_ASKED,  /* BOS and EOS, where add_bos_token and add_eos_token of tokenizer_config.json say so */
    SLOW_CLS_SEP,
    SLOW_BOS_EOS,
    SLOW_EOS,
};

/* How the pieces of a SentencePiece model are arranged. */
enum slow_pieces { SLOW_PIECES_AS_THEY_ARE, SLOW_PIECES_T5, SLOW_PIECES_XLMR };

enum { SLOW_ROLES = 7 };
extern const char *const slow_roles[SLOW_ROLES]; /* "bos_token" and so on, in the order in which they are added */

typedef struct slow_class {
    const char *names;             /* of the class, between spaces, without "Fast" */
    const char *models;            /* model_type, where no class is named; may be NULL */
    enum slow_files files;
    const char *role[SLOW_ROLES];  /* default texts of slow_roles; NULL: none */
    const char *normalizer, *pre_tokenizer, *decoder; /* JSON; NULL: none */
    enum slow_post post;
    enum slow_pieces pieces;
    bool charsmap;                 /* the model's character map comes before the normaliser */
    bool unk;                      /* BPE: the unknown token is the model's too */
    bool byte_fallback;            /* as the model file says; else always off */
    bool prefix_option;            /* add_prefix_space is looked at */
    const char *suffix;            /* BPE: end_of_word_suffix */
} slow_class;

/* NULL: not known. */
const slow_class *slow_class_find(const char *name, size_t n);
const slow_class *slow_class_of_model(const char *model_type);
const slow_class *slow_class_of_files(enum slow_files files); /* when nothing else is known */

#endif
