/* From template text to tokens: inside model/chat/ only. */
#ifndef ATTNSCOPE_MODEL_CHAT_LEXER_H
#define ATTNSCOPE_MODEL_CHAT_LEXER_H

#include "model/chat/jinja.h"

typedef enum token_kind {
    T_END, T_DATA,          /* text between tags, trimmed */
    T_OPEN_OUTPUT, T_CLOSE_OUTPUT, T_OPEN_BLOCK, T_CLOSE_BLOCK,
    T_NAME, T_TEXT, T_INT, T_REAL, T_SIGN,
} token_kind;

typedef struct template_token {
    token_kind kind;
    int line;
    text t;                 /* T_DATA, T_NAME, T_SIGN; T_TEXT with its escapes resolved */
    int64_t i;
    double d;
} template_token;

typedef struct lexer {
    jinja *j;
    const char *at, *end;
    int line;
    bool in_output, in_block;
    int brackets;           /* open ones inside a tag */
    bool line_start;        /* nothing but this text is on the line yet */
} lexer;

void lexer_init(lexer *l, jinja *j, const char *s, size_t n);
/* T_END at the end and on failure. */
void lexer_next(lexer *l, template_token *out);
/* Is the tag that comes next {% endraw %}?  Text up to it, for {% raw %}. */
bool lexer_raw(lexer *l, text *out);

#endif
