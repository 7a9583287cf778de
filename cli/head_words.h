/* The words of a selection of heads, for its parser (cli/head_grammar.c). */
#ifndef ATTNSCOPE_CLI_HEAD_WORDS_H
#define ATTNSCOPE_CLI_HEAD_WORDS_H

#include "cli/head_grammar.h"

enum { MOST_WORD = 128 };
typedef char shown_word[MOST_WORD];

typedef struct parser {
    const char *s;          /* what is left */
    arena *mem;
    const char *prefixes;
    const char *after;      /* the keyword that was just read, for errors; NULL: none */
    int depth;
    err *e;
} parser;

void words_skip(parser *p); /* blanks */
/* Bytes of the word at p->s: up to a blank, a comma, a parenthesis or a comparison. */
size_t words_length(const parser *p);
/* Is the next word this keyword, in capitals or not?  take: and then it is passed. */
bool words_next_is(parser *p, const char *keyword);
bool words_take(parser *p, const char *keyword);
/* The next word, cut to what an error shows of it; "" at the end or before a sign.  Returns out. */
const char *words_peek(parser *p, shown_word out);
const char *words_lower(shown_word word);
/* A new part of the selection, NULL with p->e set; its text, from `begin` to where the parser is now. */
head_expr *words_expr(parser *p, head_op op);
int words_note(head_expr *x, parser *p, const char *begin);
/* The error "top 3: by which metric?" of what began at `begin` and ends where the parser is. */
int words_unfinished(parser *p, const char *begin, const char *question, const char *hint);

#endif
