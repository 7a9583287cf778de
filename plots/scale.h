/* From a value to a colour: limits, linear or logarithmic norm, colour map; and what the colour bar says. */
#ifndef ATTNSCOPE_PLOTS_SCALE_H
#define ATTNSCOPE_PLOTS_SCALE_H

#include "base/strbuf.h"
#include "plots/colormap.h"
#include "plots/grid.h"

typedef enum scale_norm { NORM_LINEAR, NORM_LOG } scale_norm;

typedef struct scale {
    scale_norm norm;
    double lo, hi;              /* lo < hi; both positive for NORM_LOG */
    bool clips_low, clips_high; /* drawn values lie below lo / above hi */
    bool limits_given;          /* by the user, so that the bar states them */
    double p_lo, p_hi;          /* percentiles that the limits are, NaN when they are values */
    palette palette;
    double from, to;            /* the part of the palette between lo and hi; all of it: 0 and 1.  In a diverging map 0 keeps
                                 * the middle when the limits are not alike */
} scale;

/* The default map of signed values, drawn with 0 in its middle. */
#define SCALE_SIGNED "RdBu_r"
/* From the options --cmap --norm --limits --floor, the data's natural limits and the cells drawn. */
int scale_init(scale *out, const figure_data *d, const grid *g, const params *p, err *e);
/* Position of v between the limits, within [0, 1]; v must be finite. */
double scale_unit(const scale *s, double v);
/* Colour at a place between the limits: 0 = lo, 1 = hi. */
static inline rgb scale_shade(const scale *s, double t) { return palette_at(s->palette, s->from + t * (s->to - s->from)); }
static inline rgb scale_colour(const scale *s, double v) { return scale_shade(s, scale_unit(s, v)); }

/* A number on a colour bar: "0.25", "1e-4"; pretty: "10⁻⁴" and a true minus sign.  decimals -1: as many as
 * four digits need. */
typedef char number_text[48];
void number_format(number_text out, double v, int decimals, bool pretty);

enum { SCALE_MAX_TICKS = 16 };
typedef struct scale_tick {
    double at;                  /* 0 = low end, 1 = high end */
    number_text text;
} scale_tick;
/* At most `most` (2..SCALE_MAX_TICKS) ticks at round values, and at both ends where those are percentiles; ascending; returns how
 * many. */
int scale_ticks(scale_tick *out, const scale *s, int most, bool pretty);
/* Whether the bar has a mark at its low or high end: values lie outside, and not merely below the floor of a log scale. */
bool scale_marks(const scale *s, bool high);
/* "attention weight, log10, floor 1e-4, mean over 4 × 4 cells" */
void scale_put_label(strbuf *b, const scale *s, const figure_data *d, const grid *g);

/* The step from {1, 2, 5} x 10^k that is at least x (x > 0). */
double nice_step(double x);

#endif
