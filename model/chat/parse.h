/* The parser: inside model/chat/ only. */
#ifndef ATTNSCOPE_MODEL_CHAT_PARSE_H
#define ATTNSCOPE_MODEL_CHAT_PARSE_H

#include "model/chat/lexer.h"

typedef struct parser {
    jinja *j;
    lexer l;
    template_token t;      /* the one ahead */
    int loops;             /* for loops around */
    int line;              /* of the statement that begins here */
} parser;

void parse_next(parser *p);
bool parse_is_sign(const parser *p, const char *sign);
bool parse_is_name(const parser *p, const char *name);
bool parse_take_sign(parser *p, const char *sign);
bool parse_take_name(parser *p, const char *name);
void parse_expect_sign(parser *p, const char *sign);
void parse_unexpected(parser *p, const char *wanted); /* the error: what stands here in place of what is wanted */
node *parse_node(parser *p, node_kind kind);
/* Add to the items of n; *cap is kept by the caller. */
void parse_add(parser *p, node *n, const node *item, size_t *cap);
void *parse_grow(parser *p, void *old, size_t n, size_t *cap, size_t size);

/* parse.c: a name, a constant or what is in brackets; subscripts and calls behind n. */
const node *parse_primary(parser *p);
const node *parse_postfix(parser *p, const node *n);
/* "| filter", "is test", calls and subscripts behind n. */
const node *parse_filters(parser *p, const node *n);
void parse_arguments(parser *p, node *call); /* behind "(" , up to ")" */

/* parse_operators.c.  choice: "a if b else c" is allowed. */
const node *parse_expression(parser *p, bool choice);
/* "a, b": a tuple when there is a comma. */
const node *parse_tuple(parser *p, bool choice);

#endif
