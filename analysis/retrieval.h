/* Retrieval heads (Wu et al., arXiv 2404.15574): which heads look at the copy of the token that the model is about to
 * write.  A trial (analysis/trials.h) is decoded greedily; at every step, for every head,
 *     j = the key of the largest weight of the last query (the first of equal ones)
 *     w = the token that the model emits in this step
 *     hit: needle_begin <= j < needle_end and ids[j] == w
 * Two scores come of the hits:
 *     coded   hits / tokens of the needle; the authors' code: a token that is repeated counts again, so it may pass 1
 *     set     |g and k| / |k|, g the distinct tokens hit, k those of the needle; the paper's formula
 * An encoder-decoder reads the prompt through its encoder, and its cross-attention heads are scored. */
#ifndef ATTNSCOPE_ANALYSIS_RETRIEVAL_H
#define ATTNSCOPE_ANALYSIS_RETRIEVAL_H

#include "analysis/trials.h"
#include "model/forward.h"

/* Which recall a trial must exceed to count. */
typedef enum success_rule {
    SUCCESS_TOKENS,  /* share of the distinct tokens of the answer that were generated */
    SUCCESS_ROUGE1,  /* ROUGE-1 recall of the answer's words */
} success_rule;
extern const char *const success_rule_names[]; /* "tokens", "rouge1", NULL */

typedef struct retrieval_rules {
    int64_t steps;              /* tokens that are generated at most, >= 1 */
    bool stop_at_newline;       /* after a token whose text holds a newline (still scored) */
    const int32_t *end_ids;     /* [n_end] after one of them (still scored); NULL: none */
    int64_t n_end;
    const tokenizer *tok;       /* texts of tokens; NULL: no newline, no ROUGE */
    bool stem;                  /* ROUGE of stemmed words */
    success_rule success;
    double recall;              /* a trial counts when its recall is above this, strictly */
    int32_t start;              /* encoder-decoders: token that decoding starts from */
} retrieval_rules;

/* Of one head; all zero where n_hit is. */
typedef struct head_retrieval {
    double coded, set;
    int64_t n_hit;
    double copy_offset;         /* mean over hits of j - needle_begin; tokens */
} head_retrieval;

typedef struct retrieval_hit {
    int layer, head;
    int64_t step, key;          /* step 0: the query is the last token of the prompt */
} retrieval_hit;

typedef struct retrieval {
    attn_kind kind;             /* ATTN_SELF, or ATTN_CROSS for encoder-decoders */
    int n_layer, n_head;        /* n_head: the most that a layer has */
    head_retrieval *heads;      /* [n_layer, n_head] */
    int *layer_heads;           /* [n_layer] heads of the layer; 0 where it has no such attention */
    int32_t *generated; int64_t n_generated;
    char *text; size_t text_len; /* of generated without special tokens; NULL without a tokenizer */
    const char *stopped;        /* "newline", "end", "steps" or "context" */
    retrieval_hit *hits; int64_t n_hits, hits_cap; /* in the order of steps, layers, heads */
    bool exact;                 /* generated begins with the answer's tokens */
    double token_recall;
    bool has_rouge;             /* the answer has words, and there is a tokenizer */
    double rouge1;
    bool success;
} retrieval;

/* Decode one trial.  ERR_USAGE: a model that cannot continue a text, or a prompt that leaves no room in the context;
 * ERR_INPUT: the success rule is ROUGE and the answer has no words of letters and digits. */
int retrieval_run(retrieval *out, runtime *r, const model *m, const trial *t, const retrieval_rules *rules,
                  const progress *p, err *e);
void retrieval_free(retrieval *s);
/* What retrieval_run would refuse about the model. */
int retrieval_check_model(const model *m, err *e);

#endif
