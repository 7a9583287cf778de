/* What a chart is drawn from: series of numbers over a numeric axis or over named groups. */
#ifndef ATTNSCOPE_PLOTS_CHART_DATA_H
#define ATTNSCOPE_PLOTS_CHART_DATA_H

#include <stdbool.h>
#include <stdint.h>

typedef enum series_kind {
    SERIES_LINE,    /* a line with markers; low and high are a band */
    SERIES_POINTS,  /* markers alone; low and high are error bars */
    SERIES_BAR      /* bars from 0, in named groups, beside those of other series; low and high are error bars */
} series_kind;

typedef struct figure_series {
    series_kind kind;
    const char *label;         /* in the legend; NULL: not there */
    int64_t n;
    const double *x;           /* [n] ascending; in named groups the group's number from 0 */
    const double *y;           /* [n] NaN: no value; a line has a gap there */
    const double *low, *high;  /* [n] or both NULL; NaN: none at this place */
    bool plain;                /* a line to compare with: grey, dashed, no markers */
    int look;                  /* which colour, marker and dash, from 0; series of one look differ in kind */
} figure_series;

/* A level line across the chart at a value of y: a threshold. */
typedef struct figure_rule {
    double at;
    const char *label;         /* in the legend */
} figure_rule;

/* figure_data.chart.  The other members that count: title, subtitle, col_axis (name of the x axis with its unit),
 * quantity and unit (of the y axis), lo and hi (natural limits of y, NaN: none), provenance. */
typedef struct figure_chart {
    const figure_series *series; /* [n_series] 1 .. CHART_MAX_SERIES */
    int n_series;
    const figure_rule *rules;    /* [n_rules] */
    int n_rules;
    const char *const *groups;   /* [n_groups] names below the x axis, NULL: x is a number */
    int64_t n_groups;
    bool whole;                  /* x counts things: ticks at whole numbers alone */
    const char *note;            /* what bands and bars are, counts: below the legend; NULL: none */
    const double *mark;          /* in a terminal: an upright line at this x, the cursor; NULL: none */
} figure_chart;

enum { CHART_MAX_SERIES = 14 };

/* figure_data.charts: several charts on one page with the same limits on both axes (see quantities) and one legend.  Series
 * of one label are in the legend once: they must have the same look and kind in all charts, as rules of one label stand for
 * one thing.  All have named groups or none has; `whole` is the same in all. */
typedef struct figure_charts {
    const figure_chart *chart;   /* [n] */
    const char *const *titles;   /* [n] above each chart behind its letter: "(a) L1H3"; NULL: letters alone */
    const char *const *quantities; /* [n] what y is in each chart, unit included: each has limits of y of its own, and its own
                                  * name of the axis; NULL: figure_data.quantity and unit, and the same limits of y in all */
    int n;                       /* 1 .. PANELS_MOST (plots/figure.h) */
} figure_charts;

/* Bar series of a chart, and where the bars of the i-th of n stand: their width and centre relative to the group. */
int chart_bars(const figure_chart *c);
double chart_bar_width(int n);
double chart_bar_offset(int i, int n);

#endif
