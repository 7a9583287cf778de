/* The window of an interactive view: where it looks, and the lines that it puts on the terminal. */
#ifndef ATTNSCOPE_CLI_VIEW_WINDOW_H
#define ATTNSCOPE_CLI_VIEW_WINDOW_H

#include "cli/terminal.h"
#include "cli/view_page.h"
#include "plots/scale.h"

enum { VIEW_MIN_COLUMNS = 24, VIEW_MIN_LINES = 8, VIEW_TEXT = 640 };

typedef struct view_window {
    view_book book;
    term_colour colour;
    bool ascii;               /* of text; without colour or UTF-8 */
    view_size size;
    /* of a map: counted in its cells */
    int64_t row, col;         /* the cursor: first cell of a block */
    int64_t top, left;        /* at the window's corner; multiples of pool */
    int64_t pool;             /* a block of pool x pool cells is one place of the window; a power of two */
    pooling how;
    scale sc;
    /* of a chart */
    double *x;                /* [n_x] ascending: where some series has a point */
    int64_t n_x, at_x;
    int first;                /* series that the status begins with */
    /* words */
    char message[VIEW_TEXT];  /* instead of the last line, until the next key */
    const char *asking;       /* an answer is typed: the question, NULL otherwise */
    char answer[VIEW_TEXT];
    bool help;
    /* what the terminal shows */
    strbuf *shown;            /* [n_shown] lines */
    int n_shown;
} view_window;

/* Places for blocks. */
typedef struct view_layout {
    int rows, columns;        /* of blocks */
    int numbers, labels;      /* columns of positions and of words before each row, no blanks counted */
    int names;                /* lines for the status */
    bool title, legend;
} view_layout;
view_layout view_plan(const view_window *w);

/* After another page, norm, colour map or pooling: colours; for a chart the places of x.  The norm becomes linear, and a
 * message says so, where no value lies above the floor of a logarithmic one. */
int view_colours(view_window *w, err *e);
/* Blocks as large as needed to see the whole map. */
int64_t view_fit_pool(const view_window *w);
/* Keep cursor and corner within the map, and the cursor within the window. */
void view_settle(view_window *w);

/* Put the window on the terminal: only lines that changed; all after view_forget.  False when the terminal has gone. */
bool view_draw(view_window *w);
void view_forget(view_window *w);

/* --- words (cli/view_status.c): each appends one line's text --- */

typedef struct view_line {
    strbuf b;
    int used, most;           /* columns */
    bool ascii;
} view_line;
/* Visible text, cut to `most` columns and to the line. */
void view_text(view_line *l, const char *text, int most);
void view_blanks(view_line *l, int n);

/* Where the cursor is: positions and tokens, or layer and head; the value there; what is shown and how. */
void view_put_place(view_line *l, const view_window *w);
void view_put_value(view_line *l, const view_window *w);
void view_put_state(view_line *l, const view_window *w);
/* Line i of the series at the cursor's x. */
void view_put_series(view_line *l, const view_window *w, int i);
/* What keys do, NULL-terminated: keys, meaning, keys, ... */
extern const char *const view_keys[];
/* The shortest decimal text that reads back as the same float. */
void view_put_float(strbuf *b, float v);

#endif
