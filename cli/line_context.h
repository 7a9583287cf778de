/* Where the cursor stands in a line of the command language, for completion.  Knows nothing of Readline. */
#ifndef ATTNSCOPE_CLI_LINE_CONTEXT_H
#define ATTNSCOPE_CLI_LINE_CONTEXT_H

#include "cli/command.h"

typedef enum line_want {
    LINE_NOTHING,   /* a comment, or a place where nothing fits */
    LINE_VERB,
    LINE_OPTION,    /* a word that begins with a dash */
    LINE_VALUE,     /* of option `row` */
    LINE_ARGUMENT,  /* positional argument number `argument` */
    LINE_FILE,      /* the name after an @ */
    LINE_VARIABLE,  /* the name after a $, or after ${ */
} line_want;

typedef struct line_context {
    line_want want;
    const command *c;     /* NULL while the verb is typed or unknown */
    const param *row;
    int argument;
    size_t command;       /* where the command begins */
    char verb[64];        /* its first word, once it is finished; maybe an alias */
    char word[64];        /* what is typed of the word at the cursor, without quotes */
    bool quoted;          /* it stands in an open quote */
    char first[64];       /* the first positional argument, when it is behind the cursor's word */
    char store[256];      /* the value of --store, likewise */
    size_t begin;         /* where the piece to be completed begins: behind a quote, '=', ',' or '@' */
    bool list;            /* the value may go on with a comma */
} line_context;

/* The first `point` bytes of line count.  prefix: verbs may be shortened. */
void line_context_get(line_context *out, const char *line, size_t point, bool prefix);

#endif
