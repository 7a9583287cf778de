/* What figures share around their data: title, colour bar, the key for missing values. */
#ifndef ATTNSCOPE_PLOTS_FRAME_H
#define ATTNSCOPE_PLOTS_FRAME_H

#include "plots/scale.h"
#include "plots/scene.h"

text_style frame_style(double size, rgb colour);
/* Thickness of frames and ticks: about 0.4 points, a whole number of device pixels. */
double frame_hairline(const scene *s);
/* How far a small number must go down to look centred: digits do not reach below the base line. */
double frame_digit_drop(const scene *s);

/* True when the numbers of ticks stand apart along `length`; the width of the widest. */
bool frame_ticks_apart(scene *s, const scale_tick *ticks, int n, double length, bool vertical);
double frame_ticks_width(scene *s, const scale_tick *ticks, int n);

/* text made visible, elided to width; owned by the scene. */
const char *frame_text(scene *s, const char *text, text_style style, double width);

/* Title of the i-th of n panels of a page: "(a) L1H3"; the letter alone without title, the title alone of the only one. */
void frame_put_panel(strbuf *b, const char *title, int i, int n);

/* Title and subtitle, wrapped within the margins and centred on `centre` where there is room.  Returns
 * where the space below begins; the page's top margin when there is neither. */
double frame_head(scene *s, const figure_data *d, double centre);

/* A horizontal colour bar, its ticks below it, its label below those.  Returns the lower end. */
double frame_bar_below(scene *s, const scale *sc, const char *label, double x, double y, double w);
/* A vertical colour bar with ticks and label to its right. */
void frame_bar_beside(scene *s, const scale *sc, const char *label, double x, double y, double h);
/* Width that the vertical bar takes; false when its label is longer than h. */
bool frame_bar_width(double *w, scene *s, const scale *sc, const char *label, double h);
/* Upper bound of that width before the scale is known. */
double frame_bar_reserve(scene *s);

/* What a caption says, with --caption: below y; returns the lower end.  colours: label of the colour bar. */
double frame_foot(scene *s, const figure_data *d, const char *colours, double y);

/* Several keys: the first beside a name that ends at name_end (the margin: there is none) where there is room, each other
 * on a line of its own; they end at `right`.  y: top of a line of height `line`; returns the top of the last. */
typedef enum frame_swatch { SWATCH_MISSING, SWATCH_EMPTY, SWATCH_LINE } frame_swatch;
typedef struct frame_meaning { frame_swatch look; const char *text; } frame_meaning;
double frame_keys(scene *s, const frame_meaning *keys, int n, double name_end, double right, double y, double line);

#endif
