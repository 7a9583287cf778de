/* How the aligned table lays out its columns: the text of each cell, and the widths that fit the terminal. */
#ifndef ATTNSCOPE_CLI_OUTPUT_LAYOUT_H
#define ATTNSCOPE_CLI_OUTPUT_LAYOUT_H

#include "base/strbuf.h"
#include "base/table.h"

enum { COLUMN_GAP = 2 };     /* blanks between columns */
enum { LAYOUT_SAMPLE = 128 }; /* texts of a column that are looked at for how narrow it should be */

typedef struct layout {
    bool number;        /* nothing but numbers and NULL */
    bool wraps;         /* text with blanks: goes on in further lines; other text is cut in its middle */
    int digits;         /* significant ones of its reals */
    int decimals;       /* of its reals; -1: chosen for each number apart */
    int left, right;    /* columns before the point, and from the point on (numbers) */
    int width;          /* columns of the cells and the header */
    int least;          /* what text may shrink to */
    int page;           /* columns of the page, 0: no limit; of a text much longer the middle is not looked at */
    int n_sample;
    int sample[LAYOUT_SAMPLE]; /* [n_sample] columns of some of its texts */
    strbuf header;      /* the name, with the unit */
    strbuf below;       /* the unit, where it has a line of its own */
} layout;

/* The layout l [n_col] of a table on a page of so many columns (0: no limit), the first that fits of: as it is; units
 * below the names; three digits; text shortened, with four, three and two digits.  False: none does, and l is as without
 * a limit.  Free header and below of each in any case; a failure to grow is in header.failed. */
bool layout_arrange(layout *l, const table *t, int width);
/* The text of a cell in place of what b holds, safe for a terminal. */
void layout_cell(strbuf *b, const cell *c, const layout *l);

#endif
