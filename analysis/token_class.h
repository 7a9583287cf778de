/* What kind of token a key is, by its text: the metrics mass_*. */
#ifndef ATTNSCOPE_ANALYSIS_TOKEN_CLASS_H
#define ATTNSCOPE_ANALYSIS_TOKEN_CLASS_H

#include "analysis/key_set.h"

/* Classes of one token; several may hold.  All but the first two go by the text with its white space put aside
 * (a token that is white space alone keeps it). */
enum token_class {
    TOKEN_BOS = 1,          /* the tokenizer's beginning-of-text token */
    TOKEN_SPECIAL = 2,      /* a special token, BOS among them: none of the classes below */
    TOKEN_DELIMITER = 4,    /* . , ; : ! ? and the like, or white space with a line break */
    TOKEN_PUNCTUATION = 8,  /* ASCII punctuation and Unicode category P only */
    TOKEN_SPACE = 16,       /* white space only */
    TOKEN_DIGIT = 32,       /* Unicode category N only */
    TOKEN_OTHER = 64,       /* none of the above: words, pieces of words, pieces of characters */
};
unsigned token_class(const tokenizer *t, int32_t id);

/* Members of struct metric; c->shared holds the keys that carry all the classes asked for, the state is a
 * query_mean.  Without a tokenizer there is no key and no value. */
extern const param token_class_params[];  /* mass-queries */
int token_class_prepare(metric_ctx *c, unsigned classes, err *e);
/* The same for a rule of the metric's own: does the token's text belong? */
int token_text_prepare(metric_ctx *c, bool (*belongs)(const void *ud, const tokenizer *t, int32_t id),
                       const void *ud, err *e);
void token_class_release(metric_ctx *c);
void token_class_tile(void *state, const metric_ctx *c, const attn_tile *t);
bool token_class_reads(const metric_ctx *c, const attn_tile *part);

#define TOKEN_CLASS_MEAN \
    "mean over queries of the sum of their weights on such keys; over the queries that see at least one " \
    "(seeing), or over all (all).  No value when the keys hold no such token"
#define TOKEN_CLASS_MEMBERS \
    .unit = "", .range = "0 .. 1", \
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included", \
    .cost = "tiles, chosen columns only", \
    .validated = "second implementation on dense attention and on the maps of the bundled model", \
    .scope = METRIC_HEAD, .need = ATTN_NEED_PROBS, .kinds = KINDS_ALL, .by_token = true, .by_text = true, \
    .release = token_class_release, .state_size = query_mean_size, .tile = token_class_tile, .reads = token_class_reads, \
    .merge = query_mean_merge, .finish = query_mean_finish

#endif
