/* The page: its width in print, resolution and type sizes, from the options of every figure. */
#ifndef ATTNSCOPE_PLOTS_PAGE_H
#define ATTNSCOPE_PLOTS_PAGE_H

#include <stdbool.h>
#include "base/param.h"
#include "plots/colormap.h"

#define POINTS_PER_MM (72 / 25.4)

#define PAGE_SINGLE_MM 84.0  /* one column of a two-column journal */
#define PAGE_DOUBLE_MM 174.0 /* both columns */
#define PAGE_SLIDE_MM 254.0  /* 10 inches */
#define PAGE_MIN_FONT 7.0    /* points; nothing smaller is legible in print */
#define PAGE_CONTRAST 4.5    /* of text with what is behind it, at least, where the user chose no ink */

enum { PAGE_SERIES = 14 };

/* Lengths are points (1/72 inch). */
typedef struct page {
    double width;        /* a whole number of device pixels */
    double margin;
    double dpi, px;      /* px: one device pixel in points */
    const char *family;  /* as asked for; borrowed from the options */
    bool family_given;
    double small, body, large; /* type sizes: tick labels; axis labels; title */
    double unit;         /* gaps and ticks are multiples of this: 1 point beside text of 8 points */
    bool show_title, show_caption;
    rgb paper, text, quiet, line, missing, grid; /* inks */
    rgb series[PAGE_SERIES];   /* [n_series] of lines and bars, 0: those of the charts */
    int n_series;
} page;

/* Does the option called name ("paper", "ink-series") take this value?  0 for options that are no colours, ERR_USAGE with a
 * hint for a value that is none. */
int page_check_ink(const char *name, const char *value, err *e);
/* width_mm: the width to use when --width was not given.  ERR_USAGE for a width that is no width. */
int page_init(page *out, const params *p, double width_mm, err *e);
/* The nearest device pixel edge. */
double page_snap(const page *pg, double x);

#endif
