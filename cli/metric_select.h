/* Choosing what is measured: --metrics, and the parameters of metrics. */
#ifndef ATTNSCOPE_CLI_METRIC_SELECT_H
#define ATTNSCOPE_CLI_METRIC_SELECT_H

#include "analysis/metric.h"
#include "base/strbuf.h"
#include "model/model.h"

enum { METRIC_CHOICE_MAX = 256, METRIC_PARAMS_MAX = 512 };
typedef struct metric_choice {
    const metric *list[METRIC_CHOICE_MAX];
    int n;
    bool named;    /* the user named them one by one */
    strbuf left;   /* names of those that metric_fit left out; strbuf_free() it */
} metric_choice;

/* All options of all metrics that a prompt is measured with as one table, made once; of all metrics of weights. */
const param *metric_choice_params(void);
const param *metric_weights_params(void);
/* list: names separated by commas, or "all"; NULL: the defaults.  Metrics of weights are refused with a hint; they
 * and those that must be named (metric.by_name) are no part of "all". */
int metric_choose(metric_choice *c, const char *list, err *e);
/* The same for `weights`: metrics of weights alone; NULL: all. */
int metric_choose_weights(metric_choice *c, const char *list, err *e);
/* The parameter of a metric that is not measured would silently do nothing: ERR_USAGE. */
int metric_check_params(const metric_choice *c, const params *given, err *e);
/* Metrics that say nothing about this model: refused when named, else left out. */
int metric_fit(metric_choice *c, const model *m, err *e);
/* Metrics that lack what they need, a span that nobody named or the texts of tokens: refused when named, else left out.
 * tok may be NULL.  After metric_fit. */
int metric_need(metric_choice *c, const params *given, const tokenizer *tok, err *e);
/* The chosen metrics and their parameters, each once, as members of a JSON object: "metrics":[...],"sink-keys":... */
void metric_put_settings(strbuf *b, const metric_choice *c, const params *p);
/* A parameter with its value, as a member of a JSON object. */
void metric_put_param(strbuf *b, const params *p, const param *row);

#endif
