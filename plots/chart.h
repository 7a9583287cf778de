/* Charts: series of numbers over a numeric axis or over named groups, on a page and in a terminal.  What the recipes
 * score_curve, layer_curve, position_curve, norm_profile, ablation_bars and sparsity_curve have in common. */
#ifndef ATTNSCOPE_PLOTS_CHART_H
#define ATTNSCOPE_PLOTS_CHART_H

#include "plots/chart_data.h"
#include "plots/figure.h"
#include "plots/scale.h"
#include "plots/scene.h"

enum { CHART_MAX_TICKS = 24, CHART_MAX_MINOR = 128, CHART_NAMED = 12 };

/* What a recipe chooses where the user does not. */
typedef struct chart_style {
    bool log_x, log_y;
    bool zero;                 /* the y axis begins at 0 unless it is logarithmic */
} chart_style;

/* Options of every chart: --log-x --log-y --x-limits --y-limits. */
#define CHART_PARAMS \
    {"log-x", PARAM_BOOL, NULL, NULL, "logarithmic x axis (charts)", 0, 0, NULL, NULL}, \
    {"log-y", PARAM_BOOL, NULL, NULL, "logarithmic y axis (charts)", 0, 0, NULL, NULL}, \
    {"x-limits", PARAM_STR, NULL, "LO,HI", "ends of the x axis (charts)", 0, 0, NULL, NULL}, \
    {"y-limits", PARAM_STR, NULL, "LO,HI", "ends of the y axis (charts)", 0, 0, NULL, NULL}
extern const param chart_params[];

int chart_build(scene **out, const figure_data *d, const params *p, chart_style style, err *e);
int chart_view(strbuf *out, const figure_data *d, const params *p, chart_style style, term_colour colour,
               view_size size, err *e);

/* The charts of a figure, one or several, and what is wrong with them: ERR_FAILED where there is nothing to draw. */
int chart_count(const figure_data *d);
const figure_chart *chart_at(const figure_data *d, int i);
int chart_check(const figure_data *d, err *e);
/* A figure with the i-th chart alone, its y axis named after its own quantity where it has one. */
figure_data chart_alone(const figure_data *d, int i);
/* "(a) L1H3" */
void chart_put_title(strbuf *b, const figure_charts *c, int i);

/* --- axes --- */

typedef struct chart_axis {
    bool log, whole, fixed;    /* fixed: the user gave the limits */
    double lo, hi;             /* lo < hi; both positive on a log axis */
    double shift;              /* added to every value: 1 where a log axis counts from 0 */
    double first;              /* of an axis of whole numbers: the first that there is */
    int64_t off;               /* values that a log axis cannot show */
    int64_t outside;           /* values beyond limits that the user gave (counted in the y axis) */
    bool cut;                  /* bands reach below a log axis */
    int n_named;               /* the ticks that a log axis of few places has */
    double named[CHART_NAMED];
    int n_tick, n_minor;
    scale_tick tick[CHART_MAX_TICKS]; /* at: 0 = lo, 1 = hi */
    double minor[CHART_MAX_MINOR];    /* positions of unnumbered ticks, on a log axis */
} chart_axis;

/* Limits of both axes, of all charts together, from data, rules and options.  ERR_USAGE for limits that are none, ERR_FAILED
 * where there is nothing to draw. */
int chart_axes(chart_axis *x, chart_axis *y, const figure_data *d, const params *p, chart_style style, err *e);
/* Limits of y of the i-th chart: those of all, unless it has a quantity of its own.  y: of all, as chart_axes sets it. */
int chart_own_axis(chart_axis *y, const figure_data *d, int i, const params *p, chart_style style, err *e);
/* Ticks at round values, at most `most` (2 .. CHART_MAX_TICKS). */
void chart_axis_ticks(chart_axis *a, int most, bool pretty);
/* Place of a value: 0 = lo, 1 = hi, beyond them outside; NaN for what the axis cannot show. */
double chart_axis_at(const chart_axis *a, double v);

/* "sink mass (nats)"; "key position + 1" where the log axis counts from 0.  Owned by b. */
void chart_put_x_name(strbuf *b, const figure_data *d, const chart_axis *x);
void chart_put_y_name(strbuf *b, const figure_data *d);
/* The note, and what the axes leave out. */
void chart_put_note(strbuf *b, const figure_data *d, const chart_axis *x, const chart_axis *y);

/* --- series --- */

/* Colours of Okabe and Ito (jfly.uni-koeln.de/color), those that stand out on white first. */
rgb chart_colour(int look);
marker chart_marker(int look);
/* Dashes of a line of this look in units; returns how many. */
int chart_dash(double out[SCENE_DASHES], int look, double unit);
/* Markers of looks after the first round are hollow. */
bool chart_hollow(int look);

/* Draw all series into the box, in three sweeps (see scene_kind): bars; then bands, lines, error bars and markers. */
void chart_put_bars(scene *s, const figure_chart *c, const chart_axis *x, const chart_axis *y, box plot);
void chart_put_series(scene *s, const figure_chart *c, const chart_axis *x, const chart_axis *y, box plot);
void chart_put_rules(scene *s, const figure_chart *c, const chart_axis *y, box plot);

#endif
