#include "plots/label.h"

#include <string.h>
#include "base/text_width.h"

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

/* Where the pictographs lie that Unicode's sequences of emoji join. */
static bool is_pictograph(uint32_t c)
{
    return (c >= 0x1f000 && c <= 0x1faff) || (c >= 0x2600 && c <= 0x27bf) || (c >= 0x2190 && c <= 0x21ff) ||
           (c >= 0x2b00 && c <= 0x2bff);
}

/* A variation selector for emoji or a tone of skin: it belongs to the pictograph before it. */
static bool is_modifier(uint32_t c)
{
    return c == 0xfe0f || (c >= 0x1f3fb && c <= 0x1f3ff);
}

/* Which characters a text is drawn with. */
typedef enum label_use { LABEL_TERMINAL, LABEL_ASCII, LABEL_PAGE } label_use;

static void put_safe(strbuf *b, const char *s, label_use use)
{
    enum { JOINER = 0x200d };
    size_t n = strlen(s);
    bool blank = blank_only(s, n), ascii = use == LABEL_ASCII, pictograph = false;

    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_next(&c, s + i, n - i);
        size_t take = len > 0 ? (size_t)len : 1;
        uint32_t next = 0;

        if (use == LABEL_PAGE && c == JOINER && pictograph && utf8_next(&next, s + i + take, n - i - take) > 0 &&
            is_pictograph(next) && !is_modifier(next))
            strbuf_add(b, s + i, take);
        else if (blank && len > 0 && is_blank(c))
            strbuf_puts(b, ascii ? "_" : "\u2423");
        else if (len == 0 || codepoint_hidden(c))
            strbuf_put_visible(b, s + i, take);
        else if (ascii && c >= 0x80 && ascii_relative(c))
            strbuf_puts(b, ascii_relative(c));
        else if (ascii && c >= 0x80)
            put_codepoint(b, c);
        else
            strbuf_add(b, s + i, take);
        pictograph = is_pictograph(c) || (pictograph && is_modifier(c));
        i += take;
    }
}

void label_put_visible(strbuf *b, const char *s)
{
    put_safe(b, s, LABEL_TERMINAL);
}

void label_put_drawn(strbuf *b, const char *s)
{
    put_safe(b, s, LABEL_PAGE);
}

void label_put_ascii(strbuf *b, const char *s)
{
    put_safe(b, s, LABEL_ASCII);
}

int label_columns(const char *s)
{
    return text_columns(s, strlen(s));
}

void label_put_cut(strbuf *b, const char *s, int columns, bool ascii)
{
    if (label_columns(s) <= columns) {
        strbuf_puts(b, s);
        return;
    }
    if (columns < 1)
        return;
    strbuf_add(b, s, text_fit(s, strlen(s), columns - 1));
    strbuf_puts(b, ascii ? "~" : "\u2026");
}
