#include "base/strbuf.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text_width.h"

static const char hex_digits[] = "0123456789ABCDEF";

/* Room for n more bytes and a NUL. */
static bool reserve(strbuf *b, size_t n)
{
    size_t need;

    if (b->failed)
        return false;
    if (!size_add(&need, b->len, n) || !size_add(&need, need, 1)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;

    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) {
        if (!size_mul(&cap, cap, 2)) {
            cap = need;
            break;
        }
    }
    char *s = mem_grow(b->s, cap, 1, NULL);
    if (!s) {
        b->failed = true;
        return false;
    }
    b->s = s;
    b->cap = cap;
    return true;
}

void strbuf_add(strbuf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->s + b->len, bytes, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void strbuf_puts(strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_putc(strbuf *b, char c)
{
    if (!reserve(b, 1))
        return;
    b->s[b->len++] = c;
    b->s[b->len] = '\0';
}

void strbuf_printf(strbuf *b, const char *fmt, ...)
{
    va_list ap, again;

    if (!reserve(b, 0))
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(b->s + b->len, b->cap - b->len, fmt, ap);
    if (n < 0) {
        b->s[b->len] = '\0';
        b->failed = true;
    } else if ((size_t)n >= b->cap - b->len) {
        b->s[b->len] = '\0';
        if (reserve(b, (size_t)n)) {
            vsnprintf(b->s + b->len, b->cap - b->len, fmt, again);
            b->len += (size_t)n;
        }
    } else {
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

/* One that must not reach a terminal, as its code: \u202E.  JSON knows four digits, and pairs of them beyond. */
static void put_code(strbuf *b, uint32_t c)
{
    if (c < 0x10000)
        strbuf_printf(b, "\\u%04x", (unsigned)c);
    else
        strbuf_printf(b, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)), (unsigned)(0xdc00 + (c & 0x3ff)));
}

void strbuf_put_json(strbuf *b, const char *s, size_t n)
{
    strbuf_putc(b, '"');
    for (size_t i = 0, run; i < n; i += run) {
        /* most text needs no escape: find the longest stretch that can be copied */
        for (run = 0; i + run < n; run++) {
            unsigned char c = (unsigned char)s[i + run];
            if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
                break;
        }
        if (run) {
            strbuf_add(b, s + i, run);
            continue;
        }

        uint32_t c = 0xfffd;
        int len = utf8_next(&c, s + i, n - i);
        run = len > 0 ? (size_t)len : 1;
        switch (c) {
        case '"': strbuf_puts(b, "\\\""); break;
        case '\\': strbuf_puts(b, "\\\\"); break;
        case '\b': strbuf_puts(b, "\\b"); break;
        case '\f': strbuf_puts(b, "\\f"); break;
        case '\n': strbuf_puts(b, "\\n"); break;
        case '\r': strbuf_puts(b, "\\r"); break;
        case '\t': strbuf_puts(b, "\\t"); break;
        default:
            if (codepoint_hidden(c)) /* the text may meet a terminal */
                put_code(b, c);
            else
                strbuf_put_utf8(b, c);
        }
    }
    strbuf_putc(b, '"');
}

static void put_hex(strbuf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char u = (unsigned char)s[i];
        char esc[4] = {'\\', 'x', hex_digits[u >> 4], hex_digits[u & 15]};
        strbuf_add(b, esc, 4);
    }
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

void strbuf_put_visible(strbuf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        size_t take = len > 0 ? (size_t)len : 1;

        if (len == 0)
            put_hex(b, s + i, 1);
        else if (c == '\n')
            strbuf_puts(b, "\\n");
        else if (c == '\t')
            strbuf_puts(b, "\\t");
        else if (is_control(c))
            put_hex(b, s + i, take);
        else if (codepoint_hidden(c))
            strbuf_printf(b, c > 0xffff ? "\\U%05X" : "\\u%04X", (unsigned)c);
        else
            strbuf_add(b, s + i, take);
        i += take;
    }
}

/* Plain when made only of letters, digits, non-ASCII characters and harmless punctuation; in '...' (which
 * holds anything but an apostrophe) when the text is printable; else in "..." with backslash escapes. */
void strbuf_put_quoted(strbuf *b, const char *s)
{
    bool plain = s[0] != '\0' && s[0] != '@';
    bool escapes = false;
    size_t n = strlen(s);

    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        step = len > 0 ? (size_t)len : 1;
        if (len == 0 || is_control(c) || c == '\'')
            escapes = true;
        else if (c < 0x80 && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                 !strchr("_-./,:+=@%^", (int)c))
            plain = false;
    }
    if (!escapes) {
        if (!plain)
            strbuf_putc(b, '\'');
        strbuf_add(b, s, n);
        if (!plain)
            strbuf_putc(b, '\'');
        return;
    }

    strbuf_putc(b, '"');
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        step = len > 0 ? (size_t)len : 1;
        if (c == '"' || c == '\\' || c == '$') {
            strbuf_putc(b, '\\');
            strbuf_putc(b, (char)c);
        } else if (c == '\n') {
            strbuf_puts(b, "\\n");
        } else if (c == '\t') {
            strbuf_puts(b, "\\t");
        } else if (len == 0 || is_control(c)) {
            put_hex(b, s + i, step);
        } else {
            strbuf_add(b, s + i, step);
        }
    }
    strbuf_putc(b, '"');
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

void strbuf_put_base64(strbuf *out, const void *bytes, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *s = bytes;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v =
            (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) | (i + 2 < n ? s[i + 2] : 0);
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '='};
        strbuf_add(out, four, 4);
    }
}

/* 15 significant digits are enough whenever a shorter text exists at all (%g drops trailing zeros),
 * except among subnormal numbers, whose precision is smaller. */
void strbuf_put_real(strbuf *b, double v)
{
    char text[40];

    if (!isfinite(v)) {
        strbuf_puts(b, "null");
        return;
    }
    if (fabs(v) < 1e15 && v == trunc(v) && !(v == 0 && signbit(v))) {
        strbuf_printf(b, "%lld", (long long)v);
        return;
    }

    pthread_once(&c_locale_once, make_c_locale); /* a decimal comma would not be JSON */
    locale_t old = c_locale ? uselocale(c_locale) : (locale_t)0;
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    if (old)
        uselocale(old);
    strbuf_puts(b, text);
}

void strbuf_clear(strbuf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->s)
        b->s[0] = '\0';
}

void strbuf_free(strbuf *b)
{
    free(b->s);
    *b = (strbuf){0};
}

const char *strbuf_str(const strbuf *b)
{
    return b->s ? b->s : "";
}

char *strbuf_take(strbuf *b, err *e)
{
    if (b->failed) {
        strbuf_free(b);
        err_nomem(e, "text");
        return NULL;
    }
    char *s = b->s ? b->s : mem_strdup("", e);
    *b = (strbuf){0};
    return s;
}

char *text_trim(char *s)
{
    static const char blanks[] = " \t\r\n";
    s += strspn(s, blanks);
    for (size_t n = strlen(s); n > 0 && strchr(blanks, s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}
