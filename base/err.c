#include "base/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/text_width.h"

/* What err_hint and err_prefix answer when the caller did not ask for the text. */
static _Thread_local int last_code = ERR_FAILED;

/* How one character (or one byte that is none) is shown. */
typedef struct piece {
    size_t take, need; /* bytes of the text, bytes of its safe form */
    bool plain;        /* shown as it is; otherwise each byte as \xHH */
} piece;

static piece look(const char *s, size_t n)
{
    uint32_t c = 0;
    int len = utf8_next(&c, s, n);
    size_t take = len > 0 ? (size_t)len : 1;
    bool plain = len > 0 && !codepoint_hidden(c);

    return (piece){take, plain ? take : 4 * take, plain};
}

static char *put(char *dst, const char *s, piece p)
{
    static const char digits[] = "0123456789ABCDEF";

    if (p.plain) {
        memcpy(dst, s, p.take);
        return dst + p.take;
    }
    for (size_t i = 0; i < p.take; i++) {
        unsigned char b = (unsigned char)s[i];
        *dst++ = '\\';
        *dst++ = 'x';
        *dst++ = digits[b >> 4];
        *dst++ = digits[b & 15];
    }
    return dst;
}

/* Copy src into dst [size] with everything a terminal could obey written as \xHH.  What is too long loses
 * its middle: a path stands at the beginning, the reason at the end.  The two must not overlap. */
static void put_safe(char *dst, size_t size, const char *src)
{
    size_t n = strlen(src), left = 0, half = (size - 4) / 2, used = 0, at = 0;
    piece p;

    for (size_t i = 0; i < n; i += p.take) {
        p = look(src + i, n - i);
        left += p.need;
    }
    if (left >= size) {
        for (; p = look(src + at, n - at), used + p.need <= half; at += p.take) {
            dst = put(dst, src + at, p);
            used += p.need;
            left -= p.need;
        }
        memcpy(dst, "...", 3);
        dst += 3;
        for (; left > half; at += p.take) {
            p = look(src + at, n - at);
            left -= p.need;
        }
    }
    for (; at < n; at += p.take) {
        p = look(src + at, n - at);
        dst = put(dst, src + at, p);
    }
    *dst = '\0';
}

/* Format first, then clean: the arguments may point into the destination. */
PRINTF_LIKE(3, 0)
static void format_safe(char *dst, size_t size, const char *fmt, va_list ap)
{
    char text[8192]; /* the longest path there is, and a message */
    int n = vsnprintf(text, sizeof text, fmt, ap);

    if (n < 0)
        snprintf(text, sizeof text, "(message could not be formatted)");
    put_safe(dst, size, text);
}

int err_set(err *e, int code, const char *fmt, ...)
{
    last_code = code;
    if (!e)
        return code;

    va_list ap;
    va_start(ap, fmt);
    format_safe(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    e->code = code;
    e->hint[0] = '\0';
    return code;
}

int err_errno(err *e, int code, int why, const char *fmt, ...)
{
    char text[sizeof e->msg], buffer[128];
    const char *reason = strerror_r(why, buffer, sizeof buffer);
    va_list ap;

    va_start(ap, fmt);
    format_safe(text, sizeof text, fmt, ap);
    va_end(ap);
    bool word = reason[0] && islower((unsigned char)reason[1]); /* not RPC or .lib */
    return err_set(e, code, "%s: %c%s", text, word ? tolower((unsigned char)reason[0]) : reason[0],
                   reason[0] ? reason + 1 : "");
}

int err_hint(err *e, const char *fmt, ...)
{
    if (!e)
        return last_code;

    va_list ap;
    va_start(ap, fmt);
    format_safe(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
    return e->code;
}

int err_prefix(err *e, const char *fmt, ...)
{
    if (!e)
        return last_code;

    char where[sizeof e->msg], whole[2 * sizeof e->msg + 2];
    va_list ap;
    va_start(ap, fmt);
    format_safe(where, sizeof where, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s: %s", where, e->msg);
    put_safe(e->msg, sizeof e->msg, whole);
    return e->code;
}

int err_nomem(err *e, const char *what)
{
    if (what && what[0])
        err_set(e, ERR_RESOURCE, "out of memory (%s)", what);
    else
        err_set(e, ERR_RESOURCE, "out of memory");
    return err_hint(e, "close other programs, or use a smaller model or a shorter input");
}
