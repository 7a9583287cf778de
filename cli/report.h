/* A report: stored rows of one or several runs as one document, built once and then written as a page of HTML, as Markdown
 * with files, or as PDF.
 *
 * Sections (cli/report_*.c, one struct each in report_sections) append blocks to the document; writers only read it.  Figures
 * are not drawn before they are written, one after the other, so that memory does not grow with their number. */
#ifndef ATTNSCOPE_CLI_REPORT_H
#define ATTNSCOPE_CLI_REPORT_H

#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_data.h"

/* ---- the document ---- */

typedef enum report_kind { REPORT_HEADING, REPORT_TEXT, REPORT_FACTS, REPORT_TABLE, REPORT_FIGURE, REPORT_CODE } report_kind;

typedef struct report_fact {
    const char *name, *value;
    bool code;                   /* monospaced: hashes, commands */
} report_fact;

/* A figure as the options of `plot`, or the means of a column of a table of heads, layer by head. */
typedef struct report_grid report_grid;
typedef struct report_figure {
    const figure *recipe;
    params *p;
    const char *command;         /* draws it again */
    report_grid *grid;    /* NULL: loaded by figure_source_load */
} report_figure;

/* Texts are valid UTF-8 without control characters (line feeds in CODE alone) and live in the document. */
typedef struct report_block {
    report_kind kind;
    int level;                   /* HEADING: 2 .. 4 */
    const char *id;              /* HEADING: unique, [a-z0-9-] */
    const char *text;            /* HEADING, TEXT, CODE; caption of TABLE and FIGURE; title of FACTS, or NULL */
    bool prose;                  /* TEXT: as a text of help, see report_piece */
    bool folded;                 /* CODE, TABLE: closed until a reader opens it, where that can be */
    const char *fold;            /* CODE: what stands on the fold; a table has its caption */
    report_fact *fact;           /* FACTS [n] */
    int n;
    table *t;                    /* TABLE, owned; first column names the row */
    const int *digits;           /* [t->n_col] behind the point; below 0: powers of ten */
    bool by_row;                 /* TABLE: a row is of one quantity, not a column */
    report_figure *figure;       /* FIGURE, owned */
} report_block;

typedef struct report_doc {
    arena mem;
    const char *title, *subtitle, *author;
    const char *const *about;    /* key, value, ..., NULL: of the file */
    report_block *block;         /* [n] in the order of the page */
    int n, room;
    bool failed;                 /* out of memory: found by report_make */
} report_doc;

void report_doc_free(report_doc *d);
/* Add at the end.  Texts are copied and made visible. */
void report_heading(report_doc *d, int level, const char *fmt, ...) PRINTF_LIKE(3, 4);
void report_text(report_doc *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A text of help: a paragraph for each of its lines that is not empty, "LEAD: " before the first (NULL: nothing). */
void report_prose(report_doc *d, const char *lead, const char *text);
/* Pieces of such a text one after the other, of values of facts too: plain, or code: what is between backticks, without them,
 * and --options.  *at moves on; false at the end. */
bool report_piece(const char **at, const char **piece, size_t *n, bool *code);
void report_code(report_doc *d, const char *text);
/* Like report_code, behind a summary that opens it. */
void report_folded(report_doc *d, const char *fold, const char *text);
/* The table becomes the document's; no rows: it is freed and nothing added.  One of many rows that few will read may be folded
 * afterwards (report_fold): writers that cannot fold show its beginning. */
void report_table(report_doc *d, table *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The figure becomes the document's unless this is false (no memory). */
bool report_add_figure(report_doc *d, report_figure *f);
enum { REPORT_FOLD_ROWS = 12 };
void report_fold(report_doc *d);
/* The table added last has rows of one quantity, not columns. */
void report_by_row(report_doc *d);
/* Facts with an optional title, to be filled before the next block; NULL or "" values are left out. */
report_block *report_facts(report_doc *d, const char *title);
void report_fact_add(report_doc *d, report_block *facts, const char *name, const char *value, bool code);
void report_fact_int(report_doc *d, report_block *facts, const char *name, int64_t value);
/* A copy made visible, in the document; NULL (and d->failed) without memory. */
const char *report_visible(report_doc *d, const char *s, bool lines);
const char *report_print(report_doc *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text of a cell of a table for people: numbers with as many digits as the largest of their column (or row) needs. */
void report_cell(strbuf *b, const report_block *k, int64_t row, int col);
bool report_numeric(const table *t, int col);

/* ---- what it is made of ---- */

typedef struct report_run {
    int64_t id, model, n_unit, n_token_low, n_token_high;
    const char *verb, *command, *settings, *status, *message, *operator_name, *edits, *precision, *isa, *version, *started,
        *finished, *model_name;
    int64_t threads, seed;       /* seed NO_INDEX: none */
    const char **metric;         /* [n_metric] names of all stored values, sorted */
    int n_metric;
    table *heads;                /* report_heads: head, labels, scores; NULL before it is made */
    int64_t n_map;
} report_run;

typedef struct report_options {
    const char *title, *subtitle, *author, *page; /* page: the HTML skeleton, a text; NULL: the program's own */
    const char *sections, *recipes, *metrics;     /* comma-separated; NULL: all that fit */
    int64_t maps, grids, rows;                    /* at most so many figures of their kind in a run; rows shown of a table */
    bool letter, png;
    const char *command;                          /* this report, to be repeated */
    const params *figure;                         /* options of figures, given ones alone count */
} report_options;

typedef struct report_build {
    session *s;
    store *st;
    const report_options *opt;
    report_doc *doc;
    report_run *run;             /* [n_run] */
    int n_run;
    int level;                   /* of headings of a section of one run: 2, or 3 below the run's own */
    report_run *one;             /* the run of such a section */
} report_build;

typedef struct report_section {
    const char *name, *title, *summary;
    bool per_run;                /* called for each run */
    int (*build)(report_build *b, err *e);
} report_section;
extern const report_section *const report_sections[]; /* NULL-terminated, in the order of a report */
extern const report_section report_overview, report_compare, report_model, report_prompts, report_census, report_results,
    report_figures, report_methods, report_repeat;

/* The whole document of runs [n]: s, st, opt and doc are set in b, everything else is 0.  report_free(b) also after an error;
 * the writers below need b as it is after this. */
int report_make(report_build *b, const int64_t *runs, int n, err *e);
void report_free(report_build *b);

bool report_has(const report_run *r, const char *metric);
/* A number of its settings, or `other`. */
double report_setting(const report_run *r, const char *name, double other);
static inline double report_sink_threshold(const report_run *r)
{
    return report_setting(r, "sink-threshold", .3);
}
static inline uint64_t report_seed(const report_run *r)
{
    return r->seed == NO_INDEX ? 0 : (uint64_t)r->seed;
}
/* A row a head with the means of the run's scores, kept in r->heads; no rows: the run has no values of heads. */
int report_heads(report_build *b, report_run *r, err *e);
/* What a head score of a census or metric means: the registry's metric of a column, or NULL. */
const struct metric *report_column_metric(const char *column);
/* "induction of 61 texts": units that a metric is averaged over; a condition for experiment_means (free()) and words. */
int report_units(char **condition, const char **words, report_build *b, const report_run *r, const char *metric, err *e);

/* A table of the values that two runs, or both halves of one, have of the same prompts (cli/compare_table.h). */
int report_paired(report_build *b, int64_t first, int64_t second, const char *suffix, const char *caption, err *e);

/* What edits changed: a table, sentences for the overview, figures; nothing where the run has none. */
int report_effects(report_build *b, const report_run *r, err *e);
int report_effects_found(report_build *b, const report_run *r, err *e);
int report_plot_effects(report_build *b, const report_run *r, err *e);
/* The same of a run of `patch`. */
int report_patch(report_build *b, const report_run *r, err *e);
int report_patch_found(report_build *b, const report_run *r, err *e);
int report_plot_patch(report_build *b, const report_run *r, err *e);

/* What the values of experiments are (report_terms.c); NULL: not known. */
typedef struct report_term { const char *name, *unit, *range, *definition; } report_term;
const report_term *report_term_find(const char *name);

/* ---- figures ---- */

/* Add `plot RECIPE name value ...` (NULL-terminated pairs) where the template lets it. */
int report_plot(report_build *b, const char *recipe, const char *const *options, err *e);
/* Add the means of a column of r->heads as a score_grid. */
int report_plot_means(report_build *b, report_run *r, int column, err *e);
void report_figure_free(report_figure *f);
/* *out NULL: the column has no heads. */
int report_grid_make(report_grid **out, report_build *b, const report_run *r, int column, err *e);
/* Values of a metric, layer by head or else by position; summary NULL: the metric's own.  *out NULL: it has no such values. */
int report_grid_places(report_grid **out, report_build *b, const report_run *r, const char *metric, const char *summary, err *e);
/* Columns 1 .. of a table, a row a row named by its column 0.  Texts but the table's live as long as the document. */
int report_grid_table(report_grid **out, report_build *b, const report_run *r, const table *t, const char *name, const char *unit,
                      const char *summary, const char *row_axis, const char *col_axis, err *e);
int report_grid_load(figure_source *src, report_build *b, const report_grid *g, err *e);
/* Add such a grid as a score_grid; NULL: nothing. */
int report_plot_grid(report_build *b, report_grid *g, err *e);
/* Different prompts of a run that is not of weights alone. */
int64_t report_prompts_read(report_build *b, int64_t run);
/* Load its rows; alt: what it shows and its main numbers.  ERR_FAILED, ERR_USAGE: rows do not suffice. */
int report_figure_load(figure_source *src, strbuf *alt, report_build *b, const report_figure *f, err *e);

/* ---- writers ---- */

/* Each appends to out or writes into a directory that appears at once. */
int report_write_html(strbuf *out, report_build *b, err *e);
int report_write_pdf(strbuf *out, report_build *b, err *e);
int report_write_markdown(const char *path, report_build *b, bool replace, err *e);

/* The page around the text (report_page.c). */
extern const char report_page_default[], report_style[], report_script[];

/* ---- templates ---- */

extern const param report_template_params[];
/* Lines `option = value` for report_template_params and figure_params into p, where it was not given already.  Errors name
 * file and line. */
int report_template_read(params *p, const char *path, err *e);

#endif
