/* Words of the field that are no metric, edit or figure: what `explain` says of them. */
#ifndef ATTNSCOPE_CLI_EXPLAIN_TERMS_H
#define ATTNSCOPE_CLI_EXPLAIN_TERMS_H

typedef struct term {
    const char *name;     /* lower case, words joined by "-"; NULL ends the list */
    const char *also;     /* other spellings, comma-separated, or NULL */
    const char *summary;  /* one line */
    const char *formula;  /* plain text, or NULL */
    const char *text;
    const char *measure;  /* what of the program looks at it: "sink, value_drain; `census`", or NULL */
    const char *traps;    /* or NULL */
    const char *cite;     /* keys of analysis/bibliography.h, comma-separated, or NULL */
} term;

extern const term terms[]; /* sorted by name */

#endif
