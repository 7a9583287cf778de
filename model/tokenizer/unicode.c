#include "model/tokenizer/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "model/tokenizer/unicode_tables.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The row that holds c, or NULL. */
static const struct unicode_row *find_row(const struct unicode_row *rows, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c > rows[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= rows[lo].first ? &rows[lo] : NULL;
}

/* An older character of the same category. */
static uint32_t known(uint32_t c)
{
    if (c < unicode_newer[0].first)
        return c;
    const struct unicode_row *row = find_row(unicode_newer, COUNT(unicode_newer), c);
    return row ? row->value : c;
}

static utf8proc_category_t category(uint32_t c)
{
    return c > 0x10ffff ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)known(c));
}

size_t unicode_start(const char *s, size_t n, size_t i)
{
    for (size_t back = 1; back <= 3 && back <= i && ((unsigned char)s[i - back + 1] & 0xc0) == 0x80; back++) {
        size_t len = (size_t)utf8_next(NULL, s + i - back, n - (i - back));
        if (len > back)
            return i - back;
    }
    return i;
}

int unicode_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

bool unicode_is_word(uint32_t c)
{
    switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* letters in circles and squares are alphabetic symbols; joiners hold words together */
        return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
               (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189) || c == 0x200c || c == 0x200d;
    }
}

bool unicode_is_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO ||
           find_row(unicode_more_digits, COUNT(unicode_more_digits), c);
}

static bool is_ascii_punctuation(uint32_t c)
{
    return (c >= 0x21 && c <= 0x2f) || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x60) ||
           (c >= 0x7b && c <= 0x7e);
}

bool unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return is_ascii_punctuation(c);
    utf8proc_category_t k = category(c);
    bool p = k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
    return p != !!find_row(unicode_punct_differs, COUNT(unicode_punct_differs), c);
}

bool unicode_is_mark(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

bool unicode_is_control(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return (k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO) &&
           !find_row(unicode_kept, COUNT(unicode_kept), c);
}

bool unicode_is_nonspacing(uint32_t c)
{
    bool mark = category(c) == UTF8PROC_CATEGORY_MN;
    return mark != !!find_row(unicode_nonspacing_differs, COUNT(unicode_nonspacing_differs), c);
}

bool unicode_is_combining(uint32_t c)
{
    return unicode_is_mark(c) != !!find_row(unicode_combining_differs, COUNT(unicode_combining_differs), c);
}

/* One block begins too late, as in the original. */
bool unicode_is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

bool unicode_is_inert(uint32_t c)
{
    if (c < unicode_inert[0].first)
        return false;
    return c == UNICODE_BAD || find_row(unicode_newer, COUNT(unicode_newer), c) ||
           find_row(unicode_inert, COUNT(unicode_inert), c);
}

int unicode_lower(uint32_t out[2], uint32_t c)
{
    out[0] = c;
    if (c > 0x10ffff)
        return 1;
    if (c == 0x130) { /* capital i with dot above: the dot stays, as a mark */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    const struct unicode_row *row = find_row(unicode_lower_newer, COUNT(unicode_lower_newer), c);
    out[0] = row ? c + row->value : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

uint32_t unicode_upper(uint32_t c)
{
    return c > 0x10ffff ? c : (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
}

bool unicode_is_letter(uint32_t c)
{
    utf8proc_category_t k = c > 0x10ffff ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

/* Bytes below 0x80 at the start of s. */
static size_t ascii_run(const char *s, size_t n)
{
    size_t i = 0;

    for (uint64_t w; n - i >= 8; i += 8) {
        memcpy(&w, s + i, 8);
        if (w & 0x8080808080808080u)
            break;
    }
    while (i < n && (unsigned char)s[i] < 0x80)
        i++;
    return i;
}

const char *unicode_view(const char *s, size_t n, arena *a, err *e)
{
    char *view = NULL;

    for (size_t i = ascii_run(s, n); i < n;) {
        uint32_t c;
        int len = unicode_next(&c, s + i, n - i);
        /* nothing of two bytes is new */
        if (c == UNICODE_BAD || (len > 2 && known(c) != c)) {
            if (!view) {
                view = arena_alloc(a, n, 1, e);
                if (!view)
                    return NULL;
                memcpy(view, s, n);
            }
            if (c == UNICODE_BAD)
                view[i] = 1;
            else
                unicode_put(view + i, known(c));
        }
        i += (size_t)len;
        i += ascii_run(s + i, n - i);
    }
    return view ? view : s;
}

/* Bytes that are printable in Latin-1 stand for themselves, the other 68 are U+0100 and up, in order. */
static bool own_character(unsigned b)
{
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

/* How many bytes below b do not stand for themselves. */
static unsigned displaced_below(unsigned b)
{
    return b <= 0x21 ? b : b <= 0x7f ? 0x21 : b <= 0xa1 ? b - 0x7f + 0x21 : b <= 0xad ? 0x43 : 0x44;
}

uint32_t unicode_of_byte(unsigned char byte)
{
    return own_character(byte) ? byte : 0x100 + displaced_below(byte);
}

int unicode_to_byte(uint32_t c)
{
    if (c < 0x100)
        return own_character(c) ? (int)c : -1;
    if (c < 0x100 + 0x21)
        return (int)(c - 0x100);
    if (c < 0x100 + 0x43)
        return (int)(c - 0x100 - 0x21 + 0x7f);
    return c == 0x143 ? 0xad : -1;
}
