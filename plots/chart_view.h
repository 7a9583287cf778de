/* What the files behind chart_view share. */
#ifndef ATTNSCOPE_PLOTS_CHART_VIEW_H
#define ATTNSCOPE_PLOTS_CHART_VIEW_H

#include "plots/chart.h"

typedef struct canvas_cell {
    uint8_t dots;              /* of a braille character */
    int16_t owner;             /* series that drew last, n_series + i: rule i, -1: nobody */
} canvas_cell;

typedef struct chart_terminal {
    strbuf *out;
    bool ascii, exact;         /* exact: 24-bit colour */
    view_size size;
    const figure_data *d;
    chart_axis x, y;
    canvas_cell *cells;        /* [rows, columns] */
    int rows, columns, numbers; /* of the canvas; of the y axis's numbers */
    int used;
} chart_terminal;

/* Ink of a series (n_series + i: of rule i) from here on, and back to the terminal's own. */
void chart_view_begin(chart_terminal *v, rgb c);
void chart_view_end(chart_terminal *v);
rgb chart_view_colour(const chart_terminal *v, int owner);
/* What stands for it where there is no colour. */
char chart_view_letter(const chart_terminal *v, int owner);
/* Text that a terminal may get, cut to `most` columns and to the line; blanks; the end of a line. */
void chart_view_text(chart_terminal *v, const char *text, int most);
void chart_view_blanks(chart_terminal *v, int n);
void chart_view_end_line(chart_terminal *v);

/* Bars of all groups; lines above 0: at most about as many. */
void chart_view_bars(chart_terminal *v, int lines);

#endif
