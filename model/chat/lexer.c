/* Tags, comments and the white space around them.
 *
 * As transformers sets Jinja: a line end behind a block or comment is dropped (trim_blocks), and so is white space
 * from the start of the line to a block or comment (lstrip_blocks); {%- and -%} take all white space, {%+ and +%}
 * none. */
#include "model/chat/lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void count_lines(lexer *l, const char *from, const char *to)
{
    for (; from < to; from++)
        l->line += *from == '\n';
}

void lexer_init(lexer *l, jinja *j, const char *s, size_t n)
{
    *l = (lexer){.j = j, .at = s, .end = s + n, .line = 1, .line_start = true};
}

/* The next "{{", "{%" or "{#", or the end. */
static const char *find_open(const lexer *l)
{
    for (const char *p = l->at; p + 1 < l->end; p++)
        if (*p == '{' && (p[1] == '{' || p[1] == '%' || p[1] == '#'))
            return p;
    return l->end;
}

/* What is left of text before an opening tag. */
static text trim_before(const lexer *l, const char *open)
{
    text t = {l->at, (size_t)(open - l->at)};
    char sign = open + 2 < l->end ? open[2] : '\0';
    if (open == l->end)
        return t;
    if (sign == '-') {
        while (t.n && is_space(t.s[t.n - 1]))
            t.n--;
    } else if (sign != '+' && open[1] != '{') {
        size_t n = t.n;
        while (n && t.s[n - 1] != '\n' && is_space(t.s[n - 1]))
            n--;
        if (n ? t.s[n - 1] == '\n' : l->line_start)
            t.n = n;
    }
    return t;
}

/* Behind a closing tag whose sign is '-', '+' or none. */
static void trim_after(lexer *l, char sign, bool block)
{
    const char *from = l->at;
    if (sign == '-') {
        while (l->at < l->end && is_space(*l->at))
            l->at++;
    } else if (block && sign != '+' && l->at < l->end && *l->at == '\n') {
        l->at++;
    }
    l->line_start = l->at > from && l->at[-1] == '\n';
    count_lines(l, from, l->at);
}

/* A comment, from its "{#".  False when it does not end. */
static bool skip_comment(lexer *l)
{
    for (const char *p = l->at + 2; p + 1 < l->end; p++) {
        if (p[0] != '#' || p[1] != '}')
            continue;
        char sign = p > l->at + 2 ? p[-1] : '\0';
        count_lines(l, l->at, p);
        l->at = p + 2;
        trim_after(l, sign == '-' || sign == '+' ? sign : '\0', true);
        return true;
    }
    jinja_fail(l->j, l->line, "a comment {# has no end");
    return false;
}

static void open_tag(lexer *l, template_token *out)
{
    bool output = l->at[1] == '{';
    out->kind = output ? T_OPEN_OUTPUT : T_OPEN_BLOCK;
    l->in_output = output;
    l->in_block = !output;
    l->brackets = 0;
    l->at += 2;
    if (l->at < l->end && (*l->at == '-' || (*l->at == '+' && !output)))
        l->at++;
}

/* Text, or the tag that comes next. */
static void next_outside(lexer *l, template_token *out)
{
    for (;;) {
        const char *open = find_open(l);
        text t = trim_before(l, open);
        out->line = l->line;
        count_lines(l, l->at, open);
        if (open > l->at)
            l->line_start = open[-1] == '\n';
        l->at = open;
        if (t.n) {
            out->kind = T_DATA;
            out->t = t;
            return;
        }
        if (open == l->end) {
            out->kind = T_END;
            return;
        }
        out->line = l->line;
        if (open[1] != '#') {
            open_tag(l, out);
            return;
        }
        if (!skip_comment(l)) {
            out->kind = T_END;
            return;
        }
    }
}

/* ---- inside tags ---- */

static bool close_tag(lexer *l, template_token *out)
{
    char sign = *l->at == '-' || *l->at == '+' ? *l->at : '\0';
    const char *p = l->at + (sign != 0);
    char first = l->in_output ? '}' : '%';
    if (l->brackets || l->end - p < 2 || p[0] != first || p[1] != '}' || (l->in_output && sign == '+'))
        return false;
    out->kind = l->in_output ? T_CLOSE_OUTPUT : T_CLOSE_BLOCK;
    l->at = p + 2;
    trim_after(l, sign, l->in_block);
    l->in_output = l->in_block = false;
    return true;
}

static int hex_digits(uint32_t *out, const char *s, const char *end, int n)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (s + i >= end || !isxdigit((unsigned char)s[i]))
            return 0;
        *out = *out * 16 + (uint32_t)(isdigit((unsigned char)s[i]) ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
    }
    return n;
}

/* One escape behind a backslash; s is moved past it. */
static void put_escape(strbuf *b, const char **s, const char *end)
{
    static const char letters[] = "nrtbfva0", means[] = "\n\r\t\b\f\v\a";
    char c = *(*s)++;
    const char *p = c ? strchr(letters, c) : NULL;
    uint32_t code;
    int n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (p)
        strbuf_putc(b, means[p - letters]);
    else if (c == '\\' || c == '\'' || c == '"')
        strbuf_putc(b, c);
    else if (n && hex_digits(&code, *s, end, n) && code < 0x110000) {
        strbuf_put_utf8(b, code);
        *s += n;
    } else if (c != '\n') { /* unknown ones stay as they are; a line end is joined */
        strbuf_putc(b, '\\');
        strbuf_putc(b, c);
    }
}

static void read_text(lexer *l, template_token *out)
{
    char quote = *l->at;
    const char *p = l->at + 1;
    strbuf b = {0};
    while (p < l->end && *p != quote) {
        if (*p != '\\' || p + 1 >= l->end) {
            strbuf_putc(&b, *p++);
            continue;
        }
        p++;
        put_escape(&b, &p, l->end);
    }
    if (p >= l->end) {
        strbuf_free(&b);
        jinja_fail(l->j, l->line, "a string has no end");
        return;
    }
    count_lines(l, l->at, p);
    l->at = p + 1;
    out->kind = T_TEXT;
    out->t = value_take(l->j, &b).u.t;
}

static void read_number(lexer *l, template_token *out)
{
    char digits[64];
    size_t n = 0;
    bool real = false;
    const char *p = l->at;
    for (; p < l->end && n < sizeof digits - 1; p++) {
        bool exponent = (*p == 'e' || *p == 'E') && p + 1 < l->end &&
                        (isdigit((unsigned char)p[1]) || p[1] == '-' || p[1] == '+');
        bool point = *p == '.' && p + 1 < l->end && isdigit((unsigned char)p[1]);
        bool sign = (*p == '-' || *p == '+') && p > l->at && (p[-1] | 32) == 'e';
        if (!isdigit((unsigned char)*p) && !exponent && !(point && !real) && !sign && *p != '_')
            break;
        real |= exponent || point;
        if (*p != '_')
            digits[n++] = *p;
    }
    digits[n] = '\0';
    l->at = p;
    out->kind = real ? T_REAL : T_INT;
    out->d = strtod(digits, NULL);
    if (!real && (n > 18 || (p < l->end && isdigit((unsigned char)*p))))
        jinja_fail(l->j, l->line, "an integer is too large");
    else
        out->i = real ? 0 : strtoll(digits, NULL, 10);
}

static void next_inside(lexer *l, template_token *out)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "//", "**", NULL};
    const char *from = l->at;
    while (l->at < l->end && is_space(*l->at))
        l->at++;
    count_lines(l, from, l->at);
    out->line = l->line;
    if (l->at >= l->end) {
        jinja_fail(l->j, l->line, "a tag has no end");
        return;
    }
    if (close_tag(l, out))
        return;
    char c = *l->at;
    if (c == '\'' || c == '"') {
        read_text(l, out);
    } else if (isdigit((unsigned char)c)) {
        read_number(l, out);
    } else if (isalpha((unsigned char)c) || c == '_') {
        const char *p = l->at;
        while (p < l->end && (isalnum((unsigned char)*p) || *p == '_'))
            p++;
        out->kind = T_NAME;
        out->t = (text){l->at, (size_t)(p - l->at)};
        l->at = p;
    } else {
        size_t n = 1;
        for (int i = 0; signs[i]; i++)
            if (l->end - l->at >= 2 && memcmp(l->at, signs[i], 2) == 0)
                n = 2;
        if (n == 1 && !strchr("+-*/%~<>=()[]{}.,:|", c)) {
            jinja_fail(l->j, l->line, "unexpected character '%c' in a tag", c);
            return;
        }
        l->brackets += c == '(' || c == '[' || c == '{';
        l->brackets -= (c == ')' || c == ']' || c == '}') && l->brackets > 0;
        out->kind = T_SIGN;
        out->t = (text){l->at, n};
        l->at += n;
    }
}

void lexer_next(lexer *l, template_token *out)
{
    *out = (template_token){.kind = T_END, .line = l->line};
    if (l->j->rc)
        return;
    if (l->in_output || l->in_block)
        next_inside(l, out);
    else
        next_outside(l, out);
    if (l->j->rc)
        out->kind = T_END;
}

bool lexer_raw(lexer *l, text *out)
{
    static const char word[] = "endraw";
    for (const char *p = l->at; p + 1 < l->end; p++) {
        if (p[0] != '{' || p[1] != '%')
            continue;
        const char *q = p + 2;
        while (q < l->end && (is_space(*q) || *q == '-' || *q == '+'))
            q++;
        if ((size_t)(l->end - q) < sizeof word - 1 || memcmp(q, word, sizeof word - 1) != 0)
            continue;
        *out = trim_before(l, p);
        count_lines(l, l->at, q);
        l->at = q + sizeof word - 1;
        l->in_block = true;
        l->brackets = 0;
        return true;
    }
    jinja_fail(l->j, l->line, "{%% raw %%} has no end");
    return false;
}
