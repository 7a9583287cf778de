/* A model in words: what `info` and `load` print and what the store records with a run. */
#ifndef ATTNSCOPE_CLI_MODEL_CARD_H
#define ATTNSCOPE_CLI_MODEL_CARD_H

#include "cli/session.h"
#include "db/store.h"

typedef struct model_card {
    store_model m;             /* views into the members below and into the loaded model */
    sha256_hex weights, tokenizer;
    char *plan;                /* a line for each group of equal layers, "0-29: ..." */
    char *dtype;               /* "bf16" or "q4_1 94 %, f32 6 %": share of the elements stored, largest first; "q4_0
                                * (quantised from bf16)" with --quantize */
    uint64_t file_bytes;       /* of all weight files */
} model_card;

/* hash: also the SHA-256 of weights and tokenizer (the first time this reads the whole file). */
int model_card_make(model_card *out, const loaded_model *lm, bool hash, const progress *p, err *e);
void model_card_free(model_card *c);

/* "2.90 M", "134.5 M", "6.74 B". */
void format_count(char out[16], double n);
/* "5.5 MiB" */
void format_bytes(char out[16], double n);

#endif
