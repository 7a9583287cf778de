/* Result tables as text: aligned for people, CSV, TSV and JSON Lines for programs. */
#ifndef ATTNSCOPE_CLI_OUTPUT_H
#define ATTNSCOPE_CLI_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>
#include "base/strbuf.h"
#include "base/table.h"
#include "cli/command_util.h"

typedef struct output_style {
    int width;      /* columns of the terminal; 0: no limit */
    bool colour;    /* header in bold, underlined */
    bool terminal;  /* control characters are made visible in CSV and TSV, too */
    bool plain;     /* the aligned table as lines of "name: value" for a screen reader */
    bool utf8;      /* elided text ends in one character, else in two dots */
} output_style;

/* Write t to f.  schema: the first member of every JSON object.
 *
 * JSON, CSV and TSV carry full precision: the shortest decimal text that reads back as the same number.
 * CSV is RFC 4180 with a header and LF line ends; NULL is an empty field, empty text is "".  TSV writes
 * tab, newline, carriage return and backslash in text as \t \n \r \\.  See output_aligned for the rest. */
int output_table(FILE *f, const table *t, output_format format, const char *schema, const output_style *style,
                 err *e);

/* Numbers to the right with their points in line and four significant digits, units in the header.  Where the
 * terminal is narrow: units below the names, then three digits, then text elided (and two digits); a block of lines a
 * row, with all digits again, where even that does not fit. */
int output_aligned(FILE *f, const table *t, const output_style *style, err *e);

/* The error of output that could not be written, for errno why: ERR_RESOURCE. */
int output_error(int why, err *e);

/* Write what b holds to f and empty it: ERR_RESOURCE when that fails. */
int output_flush(FILE *f, strbuf *b, err *e);
/* The same for lines of words among the results: in a terminal those that are too long go on at a word (help_fit). */
int output_prose(const session *s, strbuf *b, err *e);

#endif
