/* What the files behind chart_build share: one chart of a page, and the legend of all. */
#ifndef ATTNSCOPE_PLOTS_CHART_PAGE_H
#define ATTNSCOPE_PLOTS_CHART_PAGE_H

#include "plots/chart.h"

typedef struct chart_panel {
    const figure_chart *f;
    const chart_axis *x, *y;   /* of all charts of the page */
    box plot;
    bool y_numbers, x_numbers; /* they stand here; else the neighbour's serve */
    bool turned;               /* names of groups run upwards */
    double below;              /* height of the x axis's numbers or names */
} chart_panel;

/* --- chart_draw.c --- */

/* The most ticks whose labels stand apart along `length`. */
void chart_choose_ticks(scene *s, chart_axis *a, double length, bool vertical);
/* Chooses turned and below for the names of groups.  False: not all can be read. */
bool chart_plan_names(scene *s, chart_panel *c);
/* Grid, bars, axes, series and numbers. */
void chart_put_panel(scene *s, const chart_panel *c);
/* From the axes to their numbers. */
double chart_number_gap(const scene *s);

/* --- chart_series.c --- */

/* Ink of a look: of the theme, else chart_colour(). */
rgb chart_ink(const scene *s, int look);
/* How the i-th rule and a series are stroked; marks that stay legible whatever lies below them. */
line_style chart_rule_style(const scene *s, int i);
line_style chart_line_style(const scene *s, const figure_series *f);
double chart_marker_size(const scene *s, const figure_series *f);
/* A line that needs no markers to be told apart. */
bool chart_bare(const figure_chart *c, const figure_series *f);

/* --- chart_legend.c --- */

/* Entries of all charts in columns, centred on `centre`.  Returns the height, 0 without any. */
double chart_put_legend(scene *s, const figure_data *d, double centre, double y);

#endif
