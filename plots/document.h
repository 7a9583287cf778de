/* Pages of text, tables and figures as one PDF: text stays text, figures stay vectors.  What is added flows from the top of
 * the page to its end and goes on behind it; tables repeat their header there. */
#ifndef ATTNSCOPE_PLOTS_DOCUMENT_H
#define ATTNSCOPE_PLOTS_DOCUMENT_H

#include "base/strbuf.h"
#include "plots/scene.h"

typedef enum document_paper { PAPER_A4, PAPER_LETTER } document_paper;
typedef struct document document;

/* about: key, value, ..., NULL: Title, Author and others for the file's own description; valid UTF-8.  font: a family, taken
 * where it is installed.  The same additions give the same bytes: no date is written. */
int document_new(document **out, document_paper paper, const char *font, const char *const *about, err *e);
void document_free(document *d); /* d may be NULL */

/* All texts: valid UTF-8 without control characters; line feeds begin new lines in code. */
void document_title(document *d, const char *title, const char *subtitle); /* subtitle may be NULL */
/* level 1 .. 3: entries of the outline, each below the one before it of a smaller level. */
void document_heading(document *d, int level, const char *text);
void document_text(document *d, const char *text);
void document_quiet(document *d, const char *text);  /* captions and notes: smaller, grey */
void document_code(document *d, const char *text);   /* monospaced, on a tinted ground */
/* A name in the left column and its value, in as many lines as it takes, in the right; code: monospaced. */
void document_fact(document *d, const char *name, const char *value, bool code);

typedef struct document_table {
    const char *caption;            /* above it, or NULL */
    int n_col;
    int64_t n_row;
    const char *const *head;        /* [n_col] */
    const bool *number;             /* [n_col] columns of numbers, set to the right */
    const char *const *cells;       /* [n_row, n_col] */
} document_table;
/* A table that is too wide for the page comes in parts, each with the first column.  ERR_RESOURCE, ERR_CANCELLED. */
int document_table_add(document *d, const document_table *t, err *e);

/* A finished scene, made smaller where it is wider or higher than the page; number and caption below it. */
int document_figure(document *d, const scene *s, const char *caption, err *e);

/* End the last page and append the file to out. */
int document_finish(document *d, strbuf *out, err *e);

#endif
