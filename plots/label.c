#include "plots/label.h"

#include <stddef.h>
#include <string.h>

typedef struct range { uint32_t first, last; } range;

/* East Asian Wide and Fullwidth (UAX #11) and emoji shown wide, in whole blocks. */
static const range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x23f0, 0x23f0},
    {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x267f, 0x267f},
    {0x2693, 0x2693},   {0x26a1, 0x26a1},   {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},
    {0x26ce, 0x26ce},   {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},   {0x2728, 0x2728},
    {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},   {0x2757, 0x2757},   {0x2795, 0x2797},
    {0x27b0, 0x27b0},   {0x27bf, 0x27bf},   {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},
    {0x2e80, 0x303e},   {0x3041, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x16fe0, 0x18cff}, {0x1aff0, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
    {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7f0},
    {0x1f900, 0x1faff}, {0x20000, 0x3fffd},
};

/* Combining marks and selectors of the scripts that tokens are likely to cut apart. */
static const range zero_width[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x05bf, 0x05bf}, {0x05c1, 0x05c2},
    {0x05c4, 0x05c5}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670}, {0x06d6, 0x06dc},
    {0x06df, 0x06e4}, {0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d}, {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff},
    {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff},
    {0xe0100, 0xe01ef},
};

/* Characters that show nothing or turn the text around them: never passed on. */
static const range hidden[] = {
    {0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff},
};

static bool within(const range *r, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > r[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= r[lo].first;
}

#define WITHIN(table, c) within(table, sizeof(table) / sizeof(table)[0], c)

int label_char_columns(uint32_t c)
{
    if (c < 0x300)
        return 1;
    /* skin tones stand inside the wide block: look at the narrower list first */
    return WITHIN(zero_width, c) ? 0 : WITHIN(wide, c) ? 2 : 1;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool blank_only(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        if (len == 0 || !is_blank(c))
            return false;
        i += (size_t)len;
    }
    return n > 0;
}

static void put_codepoint(strbuf *b, uint32_t c)
{
    strbuf_printf(b, c > 0xffff ? "\\U%05X" : "\\u%04X", (unsigned)c);
}

/* ASCII relatives of punctuation that titles and tokens use. */
static const char *ascii_relative(uint32_t c)
{
    switch (c) {
    case 0x00a0: case 0x202f: case 0x2009: return " ";
    case 0x00b7: case 0x2010: case 0x2011: case 0x2012: case 0x2013: case 0x2014: case 0x2212: return "-";
    case 0x00d7: return "x";
    case 0x2018: case 0x2019: return "'";
    case 0x201c: case 0x201d: return "\"";
    case 0x2022: return "*";
    case 0x2026: return "...";
    case 0x2190: return "<-";
    case 0x2192: return "->";
    case 0x2264: return "<=";
    case 0x2265: return ">=";
    case 0x2423: return "_";
    default: return NULL;
    }
}

static void put_safe(strbuf *b, const char *s, bool ascii)
{
    size_t n = strlen(s);
    bool blank = blank_only(s, n);

    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        size_t take = len > 0 ? (size_t)len : 1;

        if (len == 0 || is_control(c))
            strbuf_put_visible(b, s + i, take);
        else if (blank && is_blank(c))
            strbuf_puts(b, ascii ? "_" : "\u2423");
        else if (WITHIN(hidden, c))
            put_codepoint(b, c);
        else if (ascii && c >= 0x80 && ascii_relative(c))
            strbuf_puts(b, ascii_relative(c));
        else if (ascii && c >= 0x80)
            put_codepoint(b, c);
        else
            strbuf_add(b, s + i, take);
        i += take;
    }
}

void label_put_visible(strbuf *b, const char *s)
{
    put_safe(b, s, false);
}

void label_put_ascii(strbuf *b, const char *s)
{
    put_safe(b, s, true);
}

int label_columns(const char *s)
{
    size_t n = strlen(s);
    int columns = 0;

    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        columns += len > 0 ? label_char_columns(c) : 1;
        i += len > 0 ? (size_t)len : 1;
    }
    return columns;
}

void label_put_cut(strbuf *b, const char *s, int columns, bool ascii)
{
    size_t n = strlen(s), end = 0;
    int used = 0;

    if (label_columns(s) <= columns) {
        strbuf_puts(b, s);
        return;
    }
    if (columns < 1)
        return;
    while (end < n) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + end, n - end);
        int w = len > 0 ? label_char_columns(c) : 1;
        if (used + w > columns - 1)
            break;
        used += w;
        end += len > 0 ? (size_t)len : 1;
    }
    strbuf_add(b, s, end);
    strbuf_puts(b, ascii ? "~" : "\u2026");
}
