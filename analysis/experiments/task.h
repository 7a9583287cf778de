/* Tasks of made-up tokens: sequences in which it is known where a head has to look and what the next token is.
 * Repeated random tokens (induction), multi-query associative recall, copying. */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_TASK_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_TASK_H

#include "base/rng.h"
#include "base/strbuf.h"
#include "model/forward.h"
#include "model/tokenizer/tokenizer.h"

enum { TASK_MAX_ROUTES = 3 };

/* A route: for each query the key that a head of this kind looks at. */
typedef struct task_route {
    const char *name;           /* "induction" */
    int64_t *key;               /* [n] NO_INDEX: the query does not count */
} task_route;

typedef struct task {
    int32_t *ids; int64_t n;
    int n_route;
    task_route route[TASK_MAX_ROUTES];
    int32_t *target;            /* [n] the token that should follow position i; -1: not scored */
    int64_t n_target;
} task;
void task_free(task *t);
/* {"ids": [...], "targets": [[position, token], ...], "routes": {"induction": [[query, key], ...]}} and a newline. */
void task_put_json(strbuf *b, const task *t);

/* Which tokens random ones are drawn from. */
typedef struct task_vocabulary {
    int32_t *id; int64_t n;     /* [n] owned: task_vocabulary_free */
} task_vocabulary;
/* Ids lo .. hi - 1 (hi 0: to the end) that have a text and are not special; tok NULL: all of them.  ERR_USAGE when there
 * are fewer than two. */
int task_vocabulary_new(task_vocabulary *out, const model *m, const tokenizer *tok, int64_t lo, int64_t hi, err *e);
void task_vocabulary_free(task_vocabulary *v);

/* All makers: bos >= 0 goes first, and no route leads from or to it; distinct: no token is drawn twice for a segment.
 * ERR_USAGE for lengths below 2 and for more distinct tokens than there are. */

/* length random tokens, repeats >= 2 times.  Routes of query i over the sequence without BOS, S = length (TransformerLens'
 * demos): previous i - 1, i >= 1; duplicate i - S, i >= S; induction i - (S - 1), i >= S - 1.  Targets: the tokens of all
 * repetitions but the first, each from the token before it but the first of the second copy, which nothing announces. */
int task_induction(task *out, const task_vocabulary *v, int64_t length, int64_t repeats, int32_t bos, bool distinct, rng *r,
                   err *e);
/* pairs of a key and a value, then each key again, in random order, with its value behind it (Arora et al., "Zoology",
 * arXiv 2312.04927).  Keys and values are disjoint, keys distinct.  Routes of the second keys: value, to the value in the
 * pairs; key, to the key there.  Targets: values behind second keys.  ask: how many keys come again, 1 .. pairs. */
int task_mqar(task *out, const task_vocabulary *v, int64_t pairs, int64_t ask, int32_t bos, rng *r, err *e);
/* A segment, a separator (sep [n_sep], may be none), the segment again.  Routes of the second copy: source, to the token
 * that comes next; duplicate, to the same token.  Targets: all of the second copy from its second token on, and its first
 * where there is a separator. */
int task_copy(task *out, const int32_t *segment, int64_t length, const int32_t *sep, int64_t n_sep, int32_t bos, err *e);
/* n tokens of v. */
int task_random_tokens(int32_t *out, const task_vocabulary *v, int64_t n, bool distinct, rng *r, err *e);

typedef struct task_result {
    int n_layer, n_head;        /* n_head: the most of a layer */
    const int *layer_heads;     /* [n_layer] */
    double *weight[TASK_MAX_ROUTES]; /* [n_layer, n_head] mean over counted queries of the weight on the route's key */
    double *top[TASK_MAX_ROUTES];    /* share of counted queries whose largest weight is on it */
    int64_t counted[TASK_MAX_ROUTES];
    double accuracy;            /* share of targets that have the largest logit */
    double nll;                 /* mean of -log p(target), nats */
    int *heads_;                /* private */
} task_result;

/* One forward pass.  ERR_USAGE for models that predict no next token. */
int task_run(task_result *out, runtime *r, const model *m, const task *t, const progress *p, err *e);
void task_result_free(task_result *s);

#endif
