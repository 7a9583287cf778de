#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

/* What err_hint and err_prefix answer when the caller did not ask for the text. */
static _Thread_local int last_code = ERR_FAILED;

/* Copy src into dst [size] with everything a terminal could obey written as \xHH, cut at a character
 * boundary.  The two ranges must not overlap. */
static void put_safe(char *dst, size_t size, const char *src)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(src), used = 0;

    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, src + i, n - i);
        bool plain = len > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0);
        size_t take = len > 0 ? (size_t)len : 1;
        size_t need = plain ? take : 4 * take;

        if (used + need >= size)
            break;
        if (plain) {
            memcpy(dst + used, src + i, take);
        } else {
            for (size_t k = 0; k < take; k++) {
                unsigned char b = (unsigned char)src[i + k];
                char esc[4] = {'\\', 'x', digits[b >> 4], digits[b & 15]};
                memcpy(dst + used + 4 * k, esc, 4);
            }
        }
        used += need;
        i += take;
    }
    dst[used] = '\0';
}

/* Format first, then clean: the arguments may point into the destination. */
PRINTF_LIKE(3, 0)
static void format_safe(char *dst, size_t size, const char *fmt, va_list ap)
{
    char text[1024]; /* cleaning only lengthens, so this covers any destination of 512 */
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
