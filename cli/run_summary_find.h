/* The lines of the table that `run` ends with, read from the stored rows once; cli/run_summary.c lays them out. */
#ifndef ATTNSCOPE_CLI_RUN_SUMMARY_FIND_H
#define ATTNSCOPE_CLI_RUN_SUMMARY_FIND_H

#include "analysis/metric.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/experiment.h"

/* A head, a place or a token that stands out: `L1H3 0.932`, `8:"an" 11.520`. */
typedef struct found_entry {
    const char *name;
    const char *token;   /* its text; NULL: none */
    double value;
} found_entry;

enum { FOUND_HIGH = 3, FOUND_LOW = 1 };
typedef struct found_list {
    found_entry entry[FOUND_HIGH];
    int n;
} found_list;

/* A metric of one kind of attention at one position. */
typedef struct found_line {
    const metric *m;
    const char *kind;    /* "self" */
    int64_t position;    /* NO_INDEX: the value over all queries */
    bool heads;          /* values of heads, not of positions alone */
    bool places;         /* values of layers, or of pairs of heads: all positions in one line */
    double mean;
    stats over;          /* of the means of several prompts */
    found_list high, low;
} found_line;

typedef struct found_lines {
    found_line *line;    /* [n] */
    size_t n, cap;
    bool several;        /* prompts */
    bool kinds;          /* heads of more than one kind of attention have values */
    strbuf more;         /* lines: metrics with more positions than are shown */
    strbuf none;         /* names of metrics without values */
    arena mem;           /* texts of the lines */
} found_lines;

/* metrics [n] in the order asked for: a line for each position of head values (the first few), one for the mean of values
 * that belong to positions alone. */
int found_read(found_lines *out, store *st, int64_t run, const metric *const *list, int n, err *e);
void found_free(found_lines *f);

#endif
