/* Oniguruma (its own syntax, UTF-8) to PCRE2 (UTF, UCP, MULTILINE).
 *
 * Most of a pattern is copied.  `^` and `$` match at every line in Oniguruma, hence MULTILINE.  What has
 * no translation is refused: intersections, negated classes inside classes, Oniguruma's own groups. */
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "model/tokenizer/regex.h"

enum { MAX_DEPTH = 200 };

/* Oniguruma's \w: alphabetic characters, marks, digits, connectors. */
#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}" \
             "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* Outside of classes it takes some more for words. */
#define WORD_ALONE WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define IS_WORD "[" WORD_ALONE "]"

typedef struct translation {
    strbuf *out;
    const char *p, *end;
    err *e;
    size_t atom;             /* where in out the last atom begins: what a quantifier repeats */
    size_t groups[MAX_DEPTH];
    int depth;
} translation;

static int refuse(translation *t, const char *what)
{
    return err_set(t->e, ERR_INPUT, "regular expression with %s is not supported", what);
}

static int peek(const translation *t, size_t ahead)
{
    return ahead < (size_t)(t->end - t->p) ? (unsigned char)t->p[ahead] : -1;
}

static bool is_hex(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \p{Name}: t->p is at the brace.  Scripts need a prefix since PCRE2 10.40, where the bare name means
 * script extensions. */
static int property(translation *t, char letter)
{
    char name[40];
    size_t n = 0;
    bool negative = letter == 'P';
    static const char *const categories[][2] = {
        { "letter", "L" }, { "mark", "M" }, { "number", "N" }, { "punctuation", "P" }, { "symbol", "S" },
        { "separator", "Z" }, { "any", "Any" },
    };

    if (peek(t, 0) != '{')
        return refuse(t, "\\p that has no braces");
    t->p++;
    if (peek(t, 0) == '^') {
        negative = !negative;
        t->p++;
    }
    for (; t->p < t->end && *t->p != '}'; t->p++) {
        char c = *t->p;
        if (c == ' ' || c == '_' || c == '-')
            continue;
        if (n + 1 >= sizeof name || !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return refuse(t, "an unknown property");
        name[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    if (t->p == t->end || n == 0)
        return refuse(t, "an unclosed property");
    t->p++;
    name[n] = 0;
    strbuf_printf(t->out, "\\%c{", negative ? 'P' : 'p');
    if (n <= 2 && strchr("lmnpszc", name[0])) {
        strbuf_putc(t->out, (char)(name[0] - 32));
        strbuf_puts(t->out, name + 1);
    } else {
        const char *known = NULL;
        for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
            if (!strcmp(name, categories[i][0]))
                known = categories[i][1];
#if PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40
        strbuf_printf(t->out, "%s%s", known ? "" : "sc:", known ? known : name);
#else
        if (!known)
            name[0] = (char)(name[0] - 32);
        strbuf_puts(t->out, known ? known : name);
#endif
    }
    strbuf_putc(t->out, '}');
    return 0;
}

/* An escape that means the same inside and outside of a class; t->p is behind the letter. */
static int common_escape(translation *t, char c)
{
    switch (c) {
    case 'p':
    case 'P':
        return property(t, c);
    case 'v': /* the character, not a class */
        strbuf_puts(t->out, "\\x0b");
        return 0;
    case 'u':
        for (size_t i = 0; i < 4; i++)
            if (!is_hex(peek(t, i)))
                return refuse(t, "a bad \\u");
        strbuf_printf(t->out, "\\x{%.4s}", t->p);
        t->p += 4;
        return 0;
    case 'x':
        if (peek(t, 0) != '{' && is_hex(peek(t, 0)) && is_hex(peek(t, 1)) && peek(t, 0) >= '8')
            return refuse(t, "a byte above 7f");
        strbuf_puts(t->out, "\\x");
        return 0;
    case 'n': case 'r': case 't': case 'f': case 'e': case 'a': case 'd': case 'D': case 's': case 'S':
        strbuf_putc(t->out, '\\');
        strbuf_putc(t->out, c);
        return 0;
    case 'c': case 'C': case 'M': case 'G': case 'g': case 'y': case 'Y': case 'O':
        return refuse(t, (char[]){ '\\', c, 0 });
    default:
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) { /* no meaning: the letter itself */
            strbuf_putc(t->out, c);
            return 0;
        }
        if ((unsigned char)c < 0x80)
            strbuf_putc(t->out, '\\');
        strbuf_putc(t->out, c);
        return 0;
    }
}

static int posix_class(translation *t)
{
    static const char *const classes[][2] = {
        { "[:digit:]", "\\p{Nd}" }, { "[:space:]", "\\s" }, { "[:punct:]", "\\p{P}\\p{S}" },
        { "[:xdigit:]", "0-9A-Fa-f" }, { "[:cntrl:]", "\\p{Cc}" },
    };

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t n = strlen(classes[i][0]);
        if ((size_t)(t->end - t->p) >= n && !memcmp(t->p, classes[i][0], n)) {
            strbuf_puts(t->out, classes[i][1]);
            t->p += n;
            return 0;
        }
    }
    return refuse(t, "that POSIX bracket");
}

/* The inside of a class up to and with its bracket; t->p is behind the opening one. */
static int class_items(translation *t, int depth)
{
    int rc = 0;
    bool first = true;

    for (; t->p < t->end; first = false) {
        char c = *t->p;
        if (c == ']' && !first) {
            t->p++;
            return 0;
        }
        if (c == '[' && peek(t, 1) == ':') {
            rc = posix_class(t);
        } else if (c == '[') { /* a union: its members join ours */
            if (peek(t, 1) == '^')
                return refuse(t, "a negated class inside a class");
            if (depth >= MAX_DEPTH)
                return refuse(t, "deep nesting");
            t->p++;
            rc = class_items(t, depth + 1);
        } else if (c == '&' && peek(t, 1) == '&') {
            return refuse(t, "an intersection of classes");
        } else if (c == '\\' && t->p + 1 < t->end) {
            char letter = t->p[1];
            t->p += 2;
            if (letter == 'w')
                strbuf_puts(t->out, WORD);
            else if (letter == 'h')
                strbuf_puts(t->out, "0-9A-Fa-f");
            else if (letter == 'b')
                strbuf_puts(t->out, "\\x08");
            else if (strchr("WHRXKBAZzkN", letter) && letter)
                return refuse(t, "such an escape in a class");
            else
                rc = common_escape(t, letter);
        } else {
            if (c == ']' || (c == '-' && (first || peek(t, 1) == ']')))
                strbuf_putc(t->out, '\\');
            strbuf_putc(t->out, c);
            t->p++;
        }
        if (rc)
            return rc;
    }
    return refuse(t, "an unclosed class");
}

static int escape(translation *t)
{
    if (t->p + 1 >= t->end)
        return refuse(t, "a backslash at the end");
    char c = t->p[1];
    t->p += 2;
    t->atom = t->out->len;
    switch (c) {
    case 'w': strbuf_puts(t->out, IS_WORD); return 0;
    case 'W': strbuf_puts(t->out, "[^" WORD_ALONE "]"); return 0;
    case 'b':
        strbuf_puts(t->out, "(?:(?<=" IS_WORD ")(?!" IS_WORD ")|(?<!" IS_WORD ")(?=" IS_WORD "))");
        return 0;
    case 'B':
        strbuf_puts(t->out, "(?:(?<=" IS_WORD ")(?=" IS_WORD ")|(?<!" IS_WORD ")(?!" IS_WORD "))");
        return 0;
    case 'h': strbuf_puts(t->out, "[0-9A-Fa-f]"); return 0;
    case 'H': strbuf_puts(t->out, "[^0-9A-Fa-f]"); return 0;
    case 'R': case 'X': case 'K': case 'A': case 'Z': case 'z': case 'k': case 'N':
        strbuf_putc(t->out, '\\');
        strbuf_putc(t->out, c);
        return 0;
    default:
        return common_escape(t, c);
    }
}

static int open_group(translation *t)
{
    if (t->depth >= MAX_DEPTH)
        return refuse(t, "deep nesting");
    size_t start = t->out->len;
    bool at_start = start == 0 || t->out->s[start - 1] == '(' || t->out->s[start - 1] == ':';
    t->groups[t->depth++] = start;
    strbuf_putc(t->out, '(');
    t->p++;
    if (peek(t, 0) != '?')
        return 0;
    strbuf_putc(t->out, '?');
    t->p++;
    int c = peek(t, 0);
    if (c != 'i' && c != 'm' && c != '-') {
        if (c != ':' && c != '=' && c != '!' && c != '>' && c != '<' && c != '#')
            return refuse(t, "that kind of group");
        strbuf_putc(t->out, (char)c);
        t->p++;
        return 0;
    }
    for (; (c = peek(t, 0)) == 'i' || c == 'm' || c == '-'; t->p++)
        strbuf_putc(t->out, (char)(c == 'm' ? 's' : c)); /* its m lets the dot match a newline */
    if (c == ')' && !at_start)
        return refuse(t, "an option in the middle"); /* its reach differs */
    if (c != ')' && c != ':')
        return refuse(t, "that option");
    if (c == ':') {
        strbuf_putc(t->out, ':');
        t->p++;
    }
    return 0;
}

/* Put the last atom with its interval into a group of its own. */
static void wrap_atom(translation *t)
{
    strbuf_puts(t->out, "xxx"); /* makes room for the opening */
    if (t->out->failed)
        return;
    char *from = t->out->s + t->atom;
    memmove(from + 3, from, t->out->len - t->atom - 3);
    memcpy(from, "(?:", 3);
    strbuf_putc(t->out, ')');
}

/* {n}, {n,}, {,m}, {n,m}; anything else is a brace.  A quantifier behind an interval repeats it, where
 * PCRE2 would take + for possessive. */
static void interval(translation *t)
{
    size_t i = 1, low = 0, high = 0;
    bool comma = false;

    for (; peek(t, i) >= '0' && peek(t, i) <= '9'; i++)
        low++;
    if (peek(t, i) == ',') {
        comma = true;
        for (i++; peek(t, i) >= '0' && peek(t, i) <= '9'; i++)
            high++;
    }
    if (peek(t, i) != '}' || low + high == 0) {
        t->atom = t->out->len;
        strbuf_puts(t->out, "\\{");
        t->p++;
        return;
    }
    strbuf_putc(t->out, '{');
    if (!low)
        strbuf_putc(t->out, '0');
    strbuf_add(t->out, t->p + 1, i);
    t->p += i + 1;
    int next = peek(t, 0);
    if (next == '+' || next == '*' || (next == '?' && !comma))
        wrap_atom(t);
}

int regex_translate(strbuf *out, const char *pattern, size_t n, err *e)
{
    translation t = { .out = out, .p = pattern, .end = pattern + n, .e = e };
    int rc = 0;

    while (!rc && t.p < t.end) {
        char c = *t.p;
        switch (c) {
        case '\\':
            rc = escape(&t);
            break;
        case '[':
            t.atom = out->len;
            strbuf_putc(out, c);
            if (*++t.p == '^' && t.p < t.end) {
                strbuf_putc(out, '^');
                t.p++;
            }
            rc = class_items(&t, 0);
            strbuf_putc(out, ']');
            break;
        case '(':
            rc = open_group(&t);
            break;
        case ')':
            t.atom = t.depth ? t.groups[--t.depth] : out->len;
            strbuf_putc(out, c);
            t.p++;
            break;
        case '{':
            interval(&t);
            break;
        default:
            if (((unsigned char)c & 0xc0) != 0x80 && !strchr("*+?|", c)) /* the first byte of a character */
                t.atom = out->len;
            strbuf_putc(out, c);
            t.p++;
        }
    }
    if (!rc && out->failed)
        rc = err_nomem(e, "regular expression");
    return rc;
}
