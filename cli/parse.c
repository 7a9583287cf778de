#include "cli/parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/strbuf.h"
#include "cli/word_ref.h"

typedef struct heredoc {
    int command, word;     /* which word its text becomes */
    char end[sizeof ((parse_wait *)0)->heredoc];
    int line;
} heredoc;

typedef struct scanner {
    const char *text;
    size_t n, at;
    int line;
    size_t continued;      /* position behind the last backslash and newline */
    strbuf word;           /* the word being put together */
    bool quoted;           /* as in parsed_word */
    word_ref *refs;        /* of the word */
    int n_ref;
    heredoc *docs;
    int n_doc;
    parsed_line *out;
    parse_wait *wait;
} scanner;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_word(char c)
{
    return is_blank(c) || c == '\n' || c == ';';
}

static void want(scanner *s, parse_missing missing, int line)
{
    s->wait->missing = missing;
    s->wait->line = line;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* \xHH: s->at is behind the x. */
static int escape_byte(scanner *s, err *e)
{
    int hi = s->at < s->n ? hex_digit(s->text[s->at]) : -1;
    int lo = s->at + 1 < s->n ? hex_digit(s->text[s->at + 1]) : -1;
    if (hi < 0 || lo < 0)
        return err_set(e, ERR_USAGE, "\\x needs two hexadecimal digits");
    if (hi == 0 && lo == 0)
        return err_set(e, ERR_USAGE, "\\x00 cannot be part of a word");
    strbuf_putc(&s->word, (char)(unsigned char)(hi * 16 + lo));
    s->at += 2;
    return 0;
}

/* \u{HEX}: s->at is behind the u. */
static int escape_codepoint(scanner *s, err *e)
{
    uint32_t c = 0;
    int digits = 0;
    if (s->at < s->n && s->text[s->at] == '{') {
        s->at++;
        for (int d; s->at < s->n && (d = hex_digit(s->text[s->at])) >= 0 && digits < 7; digits++, s->at++)
            c = c * 16 + (uint32_t)d;
    }
    if (!digits || s->at >= s->n || s->text[s->at] != '}')
        return err_set(e, ERR_USAGE, "\\u needs a code point in braces, as in \\u{e9}");
    s->at++;
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return err_set(e, ERR_USAGE, "\\u{%x} is no character", (unsigned)c);
    strbuf_put_utf8(&s->word, c);
    return 0;
}

/* Behind a backslash in double quotes. */
static int escape(scanner *s, err *e)
{
    char c = s->text[s->at++];
    switch (c) {
    case 'n': strbuf_putc(&s->word, '\n'); return 0;
    case 't': strbuf_putc(&s->word, '\t'); return 0;
    case 'r': strbuf_putc(&s->word, '\r'); return 0;
    case '"':
    case '$':
    case '\\': strbuf_putc(&s->word, c); return 0;
    case '\n': s->line++; return 0;
    case 'x': return escape_byte(s, e);
    case 'u': return escape_codepoint(s, e);
    default:
        err_set(e, ERR_USAGE, "unknown escape \\%c in double quotes", c);
        return err_hint(e, "write \\\\ for a backslash; single quotes take everything as it is");
    }
}

/* At a dollar sign: note what it names, or take it as it is. */
static int scan_dollar(scanner *s, err *e)
{
    word_ref ref;
    int rc = word_ref_read(&ref, s->text + s->at, s->n - s->at, &s->out->mem, e);
    if (rc)
        return rc;
    size_t len = ref.len ? ref.len : 1;
    if (ref.len) {
        word_ref *grown = mem_grow(s->refs, (size_t)s->n_ref + 1, sizeof *grown, e);
        if (!grown)
            return ERR_RESOURCE;
        s->refs = grown;
        ref.at = s->word.len;
        s->refs[s->n_ref++] = ref;
    }
    strbuf_add(&s->word, s->text + s->at, len);
    s->at += len;
    return 0;
}

/* Behind an opening quote; stops behind the closing one. */
static int scan_quoted(scanner *s, char quote, err *e)
{
    int opened = s->line, rc;
    s->quoted = true;
    while (s->at < s->n) {
        if (s->text[s->at] == '$' && quote == '"') {
            if ((rc = scan_dollar(s, e)))
                return rc;
            continue;
        }
        char c = s->text[s->at++];
        if (c == quote)
            return 0;
        if (c == '\\' && quote == '"') {
            if (s->at == s->n)
                break;
            if ((rc = escape(s, e)))
                return rc;
            continue;
        }
        s->line += c == '\n';
        strbuf_putc(&s->word, c);
    }
    s->wait->quote = quote;
    want(s, PARSE_QUOTE, opened);
    return 0;
}

/* Behind a backslash: skip the newline that makes the line go on (CRLF, too).  False: there is none. */
static bool continued(scanner *s)
{
    size_t at = s->at;
    at += at < s->n && s->text[at] == '\r';
    if (at >= s->n || s->text[at] != '\n')
        return false;
    s->at = s->continued = at + 1;
    s->line++;
    return true;
}

/* One word from s->at on into s->word. */
static int scan_word(scanner *s, err *e)
{
    int rc;
    strbuf_clear(&s->word);
    s->quoted = false;
    s->n_ref = 0;
    while (s->at < s->n && !ends_word(s->text[s->at])) {
        if (s->text[s->at] == '$') {
            if ((rc = scan_dollar(s, e)))
                return rc;
            continue;
        }
        char c = s->text[s->at++];
        if (c == '\'' || c == '"') {
            if ((rc = scan_quoted(s, c, e)) || s->wait->missing)
                return rc;
        } else if (c == '\\') {
            if (continued(s))
                continue;
            if (s->at == s->n) {
                want(s, PARSE_CONTINUED, s->line);
                return 0;
            }
            s->quoted = true;
            strbuf_putc(&s->word, s->text[s->at++]);
        } else {
            strbuf_putc(&s->word, c);
        }
    }
    return 0;
}

static parsed_command *add_command(parsed_line *out, int line, err *e)
{
    parsed_command *grown = mem_grow(out->command, (size_t)out->n + 1, sizeof *grown, e);
    if (!grown)
        return NULL;
    out->command = grown;
    out->command[out->n] = (parsed_command){.line = line};
    return &out->command[out->n++];
}

static int add_word(scanner *s, parsed_command *c, bool file, size_t skip, err *e)
{
    if (s->word.failed)
        return err_nomem(e, "a word");
    parsed_word *grown = mem_grow(c->word, (size_t)c->n + 1, sizeof *grown, e);
    if (!grown)
        return ERR_RESOURCE;
    c->word = grown;
    size_t len = s->word.len - skip;
    char *text = arena_strndup(&s->out->mem, strbuf_str(&s->word) + skip, len, e);
    word_ref *refs = s->n_ref ? arena_alloc(&s->out->mem, (size_t)s->n_ref, sizeof *refs, e) : NULL;
    if (!text || (s->n_ref && !refs))
        return ERR_RESOURCE;
    for (int i = 0; i < s->n_ref; i++) {
        refs[i] = s->refs[i];
        refs[i].at -= skip;
    }
    c->word[c->n++] = (parsed_word){.text = text, .file = file, .quoted = s->quoted, .n_ref = s->n_ref, .ref = refs};
    return 0;
}

static int add_heredoc(scanner *s, parsed_command *c, err *e)
{
    size_t len = s->word.len;
    if (len == 0 || len >= sizeof s->docs->end)
        return err_set(e, ERR_USAGE, "<< needs a closing word of 1 to %zu bytes, as in <<END",
                       sizeof s->docs->end - 1);
    heredoc *grown = mem_grow(s->docs, (size_t)s->n_doc + 1, sizeof *grown, e);
    if (!grown)
        return ERR_RESOURCE;
    s->docs = grown;
    heredoc *d = &s->docs[s->n_doc++];
    *d = (heredoc){.command = (int)(c - s->out->command), .word = c->n, .line = s->line};
    memcpy(d->end, strbuf_str(&s->word), len + 1);
    strbuf_clear(&s->word);
    s->n_ref = 0;
    return add_word(s, c, false, 0, e); /* filled when the text has been read */
}

/* One word of the current command. */
static int take_word(scanner *s, parsed_command *c, err *e)
{
    char first = s->text[s->at], second = s->at + 1 < s->n ? s->text[s->at + 1] : '\0';
    bool doc = first == '<' && second == '<';
    bool at_sign = first == '@' && second != '\0' && !ends_word(second);
    if (doc)
        s->at += 2;
    int rc = scan_word(s, e);
    if (rc || s->wait->missing)
        return rc;
    if (doc)
        return add_heredoc(s, c, e);
    return add_word(s, c, at_sign && second != '@', at_sign, e);
}

/* The text of one here-document: whole lines up to its closing word. */
static int take_heredoc(scanner *s, const heredoc *d, err *e)
{
    size_t begin = s->at, end_len = strlen(d->end);
    while (s->at < s->n) {
        const char *line = s->text + s->at;
        const char *newline = memchr(line, '\n', s->n - s->at);
        size_t len = newline ? (size_t)(newline - line) : s->n - s->at;
        size_t bare = len && line[len - 1] == '\r' ? len - 1 : len;
        size_t line_at = s->at;
        s->at += newline ? len + 1 : len;
        s->line += newline != NULL;
        if (bare == end_len && !memcmp(line, d->end, end_len)) {
            size_t text_len = line_at > begin ? line_at - 1 - begin : 0;
            char *text = arena_strndup(&s->out->mem, s->text + begin, text_len, e);
            if (!text)
                return ERR_RESOURCE;
            s->out->command[d->command].word[d->word].text = text;
            return 0;
        }
    }
    memcpy(s->wait->heredoc, d->end, sizeof d->end);
    want(s, PARSE_HEREDOC, d->line);
    return 0;
}

/* Commands up to the newline that ends the logical line. */
static int take_commands(scanner *s, err *e)
{
    parsed_command *c = NULL;
    while (s->at < s->n) {
        char ch = s->text[s->at];
        if (is_blank(ch)) {
            s->at++;
        } else if (ch == '\n') {
            s->at++;
            s->line++;
            return 0;
        } else if (ch == ';') {
            s->at++;
            c = NULL;
        } else if (ch == '#') {
            while (s->at < s->n && s->text[s->at] != '\n')
                s->at++;
        } else if (ch == '\\' && s->at + 1 < s->n && strchr("\r\n", s->text[s->at + 1])) {
            s->at++; /* a continued line between words */
            if (!continued(s))
                s->at++;
        } else {
            if (!c && !(c = add_command(s->out, s->line, e)))
                return ERR_RESOURCE;
            int rc = take_word(s, c, e);
            if (rc || s->wait->missing)
                return rc;
        }
    }
    return 0;
}

/* Where to go on behind a line that could not be read. */
static void skip_physical_line(scanner *s)
{
    const char *newline = s->at < s->n ? memchr(s->text + s->at, '\n', s->n - s->at) : NULL;
    s->out->error_line = s->line;
    s->line += newline != NULL;
    s->at = newline ? (size_t)(newline - s->text) + 1 : s->n;
}

static void drop_commands(parsed_line *out)
{
    for (int i = 0; i < out->n; i++)
        free(out->command[i].word);
    free(out->command);
    arena_free(&out->mem);
    out->command = NULL;
    out->n = 0;
}

int parse_line(parsed_line *out, parse_wait *wait, const char *text, size_t n, err *e)
{
    *out = (parsed_line){0};
    *wait = (parse_wait){0};
    scanner s = {.text = text, .n = n, .out = out, .wait = wait};
    int rc = 0;

    const char *newline = memchr(text, '\n', n);
    if (memchr(text, '\0', newline ? (size_t)(newline - text) : n)) {
        rc = err_set(e, ERR_USAGE, "a NUL byte: this is not a text of commands");
        goto out;
    }
    rc = take_commands(&s, e);
    if (!rc && !wait->missing && s.continued && s.continued == n)
        want(&s, PARSE_CONTINUED, s.line - 1);
    for (int i = 0; !rc && !wait->missing && i < s.n_doc; i++)
        rc = take_heredoc(&s, &s.docs[i], e);
    if (!rc && !wait->missing && memchr(text, '\0', s.at))
        rc = err_set(e, ERR_USAGE, "a NUL byte: this is not a text of commands");
out:
    if (rc)
        skip_physical_line(&s);
    if (rc || wait->missing)
        drop_commands(out);
    out->used = wait->missing ? 0 : s.at;
    out->lines = s.line;
    strbuf_free(&s.word);
    free(s.refs);
    free(s.docs);
    return rc;
}

void parsed_free(parsed_line *p)
{
    drop_commands(p);
}

bool parse_may_finish(const parse_wait *wait, const char *line, size_t n)
{
    if (wait->missing == PARSE_QUOTE)
        return memchr(line, wait->quote, n) != NULL;
    if (wait->missing == PARSE_HEREDOC) {
        size_t len = strlen(wait->heredoc);
        return n >= len && n <= len + 1 && !memcmp(line, wait->heredoc, len);
    }
    return true;
}

int parse_unfinished(const parse_wait *wait, err *e)
{
    switch (wait->missing) {
    case PARSE_QUOTE:
        err_set(e, ERR_USAGE, "no closing %c", wait->quote);
        return err_hint(e, "close the quote; \\%c is the character itself", wait->quote);
    case PARSE_HEREDOC:
        err_set(e, ERR_USAGE, "no closing line \"%s\" for <<%s", wait->heredoc, wait->heredoc);
        return err_hint(e, "end the text with a line that holds %s alone", wait->heredoc);
    default:
        err_set(e, ERR_USAGE, "nothing follows the backslash at the end of the line");
        return err_hint(e, "leave the backslash out, or write the line that it continues on");
    }
}
