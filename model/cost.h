/* What a pass through a model takes, counted from its shapes: products, attention, memory.  No time is in here. */
#ifndef ATTNSCOPE_MODEL_COST_H
#define ATTNSCOPE_MODEL_COST_H

#include "model/forward.h"

/* Products of activations with a weight of the model. */
typedef struct cost_product {
    const weight *w;
    double rows;               /* in all */
    double block;              /* rows of one product, but the last: batch_tokens(), or what a router sends of so many to an
                                * expert where it sends every expert as many, or the rows of logits at a time */
} cost_product;

/* The attention of a layer, all heads. */
typedef struct cost_attention {
    const attention_block *block;
    int layer;
    int64_t queries, keys;
    double pairs;              /* of a query with a key that it sees, in one head */
} cost_attention;

/* Called for everything that the forward pass of an input of these lengths does, in no particular order.  logits: those of
 * all positions are formed, too. */
typedef struct cost_visitor {
    void (*product)(void *ud, const cost_product *p);      /* may be NULL */
    void (*attention)(void *ud, const cost_attention *a);  /* likewise */
    void *ud;
} cost_visitor;
void forward_cost(const model *m, const input_lengths *n, bool logits, const cost_visitor *to);

/* Pairs of n queries over their own n keys in one head: query i sees key j where j <= i (causal) and |i - j| < window. */
double cost_visible_pairs(const attn_plan *p, double n);

/* Operations of each, a multiplication and an addition counted as two. */
double cost_product_flop(const cost_product *p);     /* 2 rows n_out n_in */
double cost_attention_flop(const cost_attention *a); /* 2 pairs n_head (d_qk + d_v): scores, and sums of values */

#endif
