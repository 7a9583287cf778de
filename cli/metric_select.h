/* Choosing what is measured: --metrics, and the parameters of metrics. */
#ifndef ATTNSCOPE_CLI_METRIC_SELECT_H
#define ATTNSCOPE_CLI_METRIC_SELECT_H

#include "analysis/metric.h"
#include "base/strbuf.h"
#include "model/model.h"

enum { METRIC_CHOICE_MAX = 64 };
typedef struct metric_choice {
    const metric *list[METRIC_CHOICE_MAX];
    int n;
    bool named;    /* the user named them one by one */
    strbuf left;   /* names of those that metric_fit left out; strbuf_free() it */
} metric_choice;

/* All options of all metrics as one table, made once. */
const param *metric_choice_params(void);
/* list: names separated by commas, or "all"; NULL: the defaults. */
int metric_choose(metric_choice *c, const char *list, err *e);
/* The parameter of a metric that is not measured would silently do nothing: ERR_USAGE. */
int metric_check_params(const metric_choice *c, const params *given, err *e);
/* Metrics that say nothing about this model: refused when named, else left out. */
int metric_fit(metric_choice *c, const model *m, err *e);
/* A parameter with its value, as a member of a JSON object. */
void metric_put_param(strbuf *b, const params *p, const param *row);

#endif
