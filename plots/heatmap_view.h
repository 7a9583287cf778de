/* How a terminal shows the cells of a heat map: what a printed view and an interactive one have in common. */
#ifndef ATTNSCOPE_PLOTS_HEATMAP_VIEW_H
#define ATTNSCOPE_PLOTS_HEATMAP_VIEW_H

#include "plots/figure.h"
#include "plots/scale.h"

/* Colour of cells without a value. */
extern const rgb heatmap_view_missing;

/* Append the escape sequence that sets a colour; nothing for TERM_ASCII. */
void heatmap_view_colour(strbuf *b, term_colour mode, bool background, rgb c);

/* The character of a value where there is no colour, light for low ones to dark; a blank for NaN. */
char heatmap_view_char(const scale *s, double v);
/* That of a place between the limits, 0 .. 1. */
char heatmap_view_shade(double t);
enum { HEATMAP_VIEW_LEVELS = 9 };

#endif
