/* Rates of this machine with the kernels in use, for cli/estimate.c: each measured once, with operands of the model's own
 * shapes. */
#ifndef ATTNSCOPE_CLI_ESTIMATE_RATES_H
#define ATTNSCOPE_CLI_ESTIMATE_RATES_H

#include "analysis/analyse.h"
#include "cli/bench.h"
#include "model/cost.h"

/* Seconds of a product for each of its outputs: fixed + rows * row. */
typedef struct product_rate {
    weight like;              /* the kind: type, inputs, how it lies */
    double fixed, row;
} product_rate;

/* Seconds of an attention for each head: queries * query + pairs * pair; the same beside it for what metrics add. */
typedef struct attention_rate {
    attn_plan like;
    bool cross;
    double query, pair;
    double metric_query, metric_pair; /* NAN: not known */
    double values, values_query;      /* rows that it emits for a head: values + queries * values_query */
} attention_rate;

/* Seconds of writing a prompt's rows. */
typedef struct row_rate {
    double prompt, token, value;
} row_rate;

enum { MOST_RATES = 64 };
typedef struct rate_book {
    session *s;
    loaded_model *lm;
    int64_t longest;          /* tokens of the longest prompt */
    const analysis_request *request; /* NULL: nothing is measured */
    product_rate product[MOST_RATES];
    int n_product;
    attention_rate attention[MOST_RATES];
    int n_attention;
    double other;             /* seconds of a row in a layer, beside products and attention */
    double logits;            /* seconds that metrics take for a row of logits; NAN: not known */
    double logit_values;      /* rows that they emit for one */
    row_rate rows;
} rate_book;

/* The rate for such products, measured where it is not known yet.  NULL and *e: ERR_CANCELLED, ERR_RESOURCE. */
const product_rate *rate_of_product(rate_book *b, const weight *w, err *e);
double product_seconds(const product_rate *r, const cost_product *p);
const attention_rate *rate_of_attention(rate_book *b, const cost_attention *a, err *e);
/* After those: what a layer of the model takes beside products and attention.  Stays 0 for models that read more than
 * text, and where a layer takes too long to try. */
int rate_of_rest(rate_book *b, err *e);
int rate_of_logits(rate_book *b, err *e);
int rate_of_rows(row_rate *out, err *e);

#endif
