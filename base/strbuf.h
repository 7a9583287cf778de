/* A growing string.  Failure to grow is remembered in `failed`, so a chain of appends is checked once. */
#ifndef ATTNSCOPE_BASE_STRBUF_H
#define ATTNSCOPE_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct strbuf {
    char *s;      /* NUL-terminated when len > 0; NULL when nothing was ever added */
    size_t len, cap;
    bool failed;
} strbuf;

void strbuf_add(strbuf *b, const void *bytes, size_t n);
void strbuf_puts(strbuf *b, const char *s);
void strbuf_putc(strbuf *b, char c);
void strbuf_printf(strbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* One Unicode scalar value as UTF-8. */
void strbuf_put_utf8(strbuf *b, uint32_t codepoint);
/* s as a JSON string with its quotes, hidden characters as \u202e.  Bytes that are not UTF-8 become U+FFFD. */
void strbuf_put_json(strbuf *b, const char *s, size_t n);
/* n bytes as base64 with its padding (RFC 4648). */
void strbuf_put_base64(strbuf *b, const void *bytes, size_t n);
/* The shortest decimal text that reads back as v ("null" for NaN and infinities). */
void strbuf_put_real(strbuf *b, double v);
/* s for a terminal or a label: control characters as \n, \t, \xHH, invalid UTF-8 bytes as \xHH, what shows
 * nothing or turns the text around (codepoint_hidden) as \u202E. */
void strbuf_put_visible(strbuf *b, const char *s, size_t n);
/* s (a file name, a prompt) as one word of the command language: plain when it needs no quotes. */
void strbuf_put_quoted(strbuf *b, const char *s);
void strbuf_clear(strbuf *b);            /* length 0, memory kept */
void strbuf_free(strbuf *b);
const char *strbuf_str(const strbuf *b); /* never NULL */
char *strbuf_take(strbuf *b, err *e);    /* ownership to the caller (free()); NULL with e when failed */

/* s without the blanks, tabs and line ends before and behind it; in place. */
char *text_trim(char *s);

/* Bytes of the UTF-8 sequence at s (1..4), 0 when s is not a valid sequence within n bytes.
 * codepoint may be NULL. */
int utf8_next(uint32_t *codepoint, const char *s, size_t n);

#endif
