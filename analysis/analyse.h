/* One prompt through one model with a set of metrics and maps: the middle of the one path from words to
 * figures. */
#ifndef ATTNSCOPE_ANALYSIS_ANALYSE_H
#define ATTNSCOPE_ANALYSIS_ANALYSE_H

#include "analysis/metric.h"
#include "model/forward.h"

typedef struct analysis_request {
    const metric *const *metrics;     /* [n_metric] */
    int n_metric;
    const params *p;                  /* values of the metrics' parameters (their tables are in use) */
    const head_id *maps;              /* [n_map] heads whose attention map is kept */
    int n_map;
    int64_t map_limit;                /* cells a side above which a map is pooled (mean); 0: never */
} analysis_request;

/* Values go to out in a fixed order: layer, head, metric in request order, position; then the metrics of
 * logits.  Nothing is emitted for a head before the head is complete. */
int analyse(runtime *r, const model *m, const int32_t *ids, int64_t n, const analysis_request *req,
            const result_sink *out, const progress *p, err *e);

/* dump and verify: the arrays of a reference file. */
typedef struct verify_row {
    char array[32];      /* "hidden", "attn", "logits" */
    int layer;           /* NO_INDEX for logits */
    double max_abs;      /* largest absolute difference */
    double nmse;         /* mean squared difference / mean square of the reference */
    double rms;          /* of the reference */
    double gate;         /* what max_abs (attn, hidden) or nmse (logits) may reach */
    bool pass;
} verify_row;

struct npz;
/* Hold a run of ids (taken from the reference) against the arrays of ref.  rows: allocated, free(). */
int verify_run(runtime *r, const model *m, const char *reference, verify_row **rows, int *n_row,
               const progress *p, err *e);
/* Write ids, logits, hidden_l and attn_l of a run. */
int dump_run(runtime *r, const model *m, const int32_t *ids, int64_t n, bool attention, const char *path,
             const progress *p, err *e);

#endif
