/* Stored rows of one or several runs as the series of a chart: what cli/figure_series*.c share. */
#ifndef ATTNSCOPE_CLI_FIGURE_SERIES_H
#define ATTNSCOPE_CLI_FIGURE_SERIES_H

#include "analysis/metric.h"
#include "cli/figure_parts.h"
#include "plots/chart_data.h"

enum { SERIES_RUNS = 12 };

/* Which units of a run count for a metric, as a condition: found once. */
typedef struct series_units {
    struct series_units *next;
    int run;
    const char *name, *condition;
} series_units;

typedef struct series_source {
    figure_source *src;        /* its arena holds everything below */
    const command_args *a;
    store *st;
    int n_run;
    int64_t run[SERIES_RUNS];
    figure_facts facts[SERIES_RUNS];
    const char *label[SERIES_RUNS];  /* of the run in the legend */
    int64_t n_prompt[SERIES_RUNS];   /* prompts that are drawn: all, or the one of --prompt */
    bool one_prompt;                 /* --prompt was given */
    facet_kind facet;                /* what panels beside this one differ in */
    figure_chart chart;
    figure_series series[CHART_MAX_SERIES];
    figure_rule rules[4];
    strbuf note;
    strbuf units;                    /* which units were drawn, where not all; said behind the note */
    series_units *known;
} series_source;

/* A chart of the runs of --run into src->d, without provenance: *out lives in the arena of src. */
int figure_load_chart(series_source **out, figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                      facet_kind facet, err *e);

/* ---- what to read ---- */

/* --metric, else the only metric of the first run with values of heads (layers: or of layers).  *name lives in the
 * registry of metrics. */
int series_metric(const metric **m, series_source *ss, bool layers, err *e);
/* --kind, else that of the stack that gives the logits. */
const char *series_kind_name(const series_source *ss, int run);
/* --position, else "over all queries" (NO_INDEX), else the first that is stored. */
int series_position(int64_t *position, series_source *ss, int run, const char *name, err *e);
/* Rows of a query over the values of run `run` and a metric: sql is put between SELECT and "FROM value_list WHERE
 * (run, metric, kind, prompt)", tail behind it.  tail may use ?5 and ?6, more [2].  No rows: ERR_FAILED that says which
 * command makes them. */
int series_query(table **out, series_source *ss, int run, const char *name, const char *select, const char *tail,
                 const cell more[2], err *e);

/* ---- what to draw ---- */

/* A new series with room for n points; y, low and high are NaN; low and high are NULL unless band.  NULL: e is set. */
typedef struct series_room { figure_series *f; double *x, *y, *low, *high; } series_room;
int series_add(series_room *out, series_source *ss, series_kind kind, const char *label, int look, int64_t n,
               bool band, err *e);
/* Rows of (x, value), x ascending: a line through the means of the values at each x, with a band or none. */
typedef enum series_band { BAND_NONE, BAND_QUARTILES, BAND_BOOTSTRAP } series_band;
int series_means(series_source *ss, int run, const char *label, const table *t, series_band band, err *e);
/* Title "WHAT · MODEL" and a subtitle with prompts, operator and runs. */
int series_titles(series_source *ss, const char *what, err *e);

/* ---- recipes ---- */
int figure_load_ranking(series_source *ss, err *e);   /* figure_series_heads.c */
int figure_load_layers(series_source *ss, err *e);
int figure_load_positions(series_source *ss, err *e); /* figure_series_keys.c */
int figure_load_top(series_source *ss, err *e);
int figure_load_norms(series_source *ss, err *e);     /* figure_series_norms.c */
int figure_load_ablation(series_source *ss, err *e);  /* figure_series_ablation.c */

#endif
