#include "cli/head_words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char delimiters[] = " \t\r\n,()<>=!";

void words_skip(parser *p)
{
    p->s += strspn(p->s, " \t\r\n");
}

size_t words_length(const parser *p)
{
    return strcspn(p->s, delimiters);
}

bool words_next_is(parser *p, const char *keyword)
{
    words_skip(p);
    size_t n = strlen(keyword);
    return words_length(p) == n && strncasecmp(p->s, keyword, n) == 0;
}

bool words_take(parser *p, const char *keyword)
{
    if (!words_next_is(p, keyword))
        return false;
    p->s += strlen(keyword);
    p->after = keyword;
    return true;
}

const char *words_peek(parser *p, shown_word out)
{
    words_skip(p);
    snprintf(out, MOST_WORD, "%.*s", (int)(words_length(p) < MOST_WORD ? words_length(p) : MOST_WORD - 1), p->s);
    return out;
}

const char *words_lower(shown_word word)
{
    for (char *c = word; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return word;
}

head_expr *words_expr(parser *p, head_op op)
{
    head_expr *x = arena_alloc(p->mem, 1, sizeof *x, p->e);
    if (x)
        *x = (head_expr){.op = op, .position = NO_INDEX, .text = ""};
    return x;
}

int words_note(head_expr *x, parser *p, const char *begin)
{
    size_t n = (size_t)(p->s - begin);
    while (n && isspace((unsigned char)begin[n - 1]))
        n--;
    x->text = arena_strndup(p->mem, begin, n, p->e);
    return x->text ? 0 : ERR_RESOURCE;
}

int words_unfinished(parser *p, const char *begin, const char *question, const char *hint)
{
    int n = (int)(p->s - begin);
    while (n && isspace((unsigned char)begin[n - 1]))
        n--;
    err_set(p->e, ERR_USAGE, "%.*s: %s", n, begin, question);
    return err_hint(p->e, "%s", hint);
}
