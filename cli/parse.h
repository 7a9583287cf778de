/* The command language: bare words, quotes, comments, files and here-documents.
 *
 *   run lantern-3m --prompt "two words\n" ; top   # a comment
 *   run lantern-3m --prompt @story.txt            # the word is the file's content
 *   run lantern-3m --prompt <<END --json
 *   any text, taken as it is
 *   END
 *   let dir = models ; load $dir/tiny ; run ${model} --prompt "${env:USER}, ${2:-hello}"
 *
 * A newline or `;` ends a command; `#` at the start of a word opens a comment.  'single quotes' take
 * everything as it is; "double quotes" know \n \t \r \" \\ \$ \xHH \u{HEX}; outside of quotes a backslash
 * makes the next character literal; a backslash before a newline continues the line.  `@@x` is the word
 * "@x".  The newline before the closing word of a here-document is not part of its text.  $NAME and ${NAME}
 * are noted but in single quotes and here-documents; whoever runs the command puts values in their places
 * (cli/variables.h), whoever reads a command that ran already leaves them as they stand. */
#ifndef ATTNSCOPE_CLI_PARSE_H
#define ATTNSCOPE_CLI_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/mem.h"

/* A place in a word that stands for a value: $NAME, ${NAME}, ${NAME:-OTHERWISE}. */
typedef struct word_ref {
    size_t at, len;        /* bytes of the word's text that the value replaces */
    const char *name;      /* "model", "1", "env:HOME" */
    const char *otherwise; /* the value where there is none; NULL: that is an error */
    bool braces;           /* $1 without them stays as it is where scripts have no arguments */
} word_ref;

typedef struct parsed_word {
    const char *text;  /* NUL-terminated, never NULL; views into the line's arena */
    bool file;         /* @NAME: text is the name of a file whose content is the word */
    bool quoted;       /* some of it stood in quotes or behind a backslash */
    int n_ref;
    const word_ref *ref; /* [n_ref] in the order of the text, which has them as they were written */
} parsed_word;

typedef struct parsed_command {
    int n;             /* at least 1 */
    parsed_word *word; /* [n] */
    int line;          /* of its first word, counted from 0 at the start of the text */
} parsed_command;

/* The commands of one logical line: up to a newline that ends a command, with the here-documents that
 * follow it. */
typedef struct parsed_line {
    int n;
    parsed_command *command; /* [n]; n may be 0: an empty line */
    size_t used;             /* bytes of the text that this line took, its newline included */
    int lines;               /* newlines among them */
    int error_line;          /* where parsing failed, counted from 0 */
    arena mem;
} parsed_line;

/* What an unfinished line waits for. */
typedef enum parse_missing {
    PARSE_COMPLETE,
    PARSE_QUOTE,     /* a closing quote */
    PARSE_CONTINUED, /* the line after a backslash */
    PARSE_HEREDOC,   /* the closing word of a here-document */
} parse_missing;

typedef struct parse_wait {
    parse_missing missing;
    char quote;        /* PARSE_QUOTE: which */
    char heredoc[64];  /* PARSE_HEREDOC: the closing word */
    int line;          /* where it was opened, counted from 0 */
} parse_wait;

/* Parse the first logical line of text.  Unfinished: returns 0 with wait->missing set and no commands; the
 * caller comes again with more text, or reports parse_unfinished.  On failure out->used covers the
 * physical line in error, so that a caller may go on behind it.  Free with parsed_free in every case. */
int parse_line(parsed_line *out, parse_wait *wait, const char *text, size_t n, err *e);
void parsed_free(parsed_line *p);

/* Could one more physical line (n bytes, without its newline) finish what wait tells?  Spares parsing a
 * long here-document again with each of its lines. */
bool parse_may_finish(const parse_wait *wait, const char *line, size_t n);
/* The error for text that ends too early; returns ERR_USAGE. */
int parse_unfinished(const parse_wait *wait, err *e);

#endif
