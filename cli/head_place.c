/* One name of heads: "L3H7", "enc.L0-3", "H*", "1.3". */
#include "cli/head_grammar.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MOST_INDEX = 1000000 };

static bool read_bound(int64_t *out, const char **s)
{
    const char *c = *s + (**s == '-');
    if (!isdigit((unsigned char)*c))
        return false;
    int64_t v = 0;
    for (; isdigit((unsigned char)*c); c++)
        if ((v = v * 10 + (*c - '0')) > MOST_INDEX)
            return false;
    *out = **s == '-' ? -v : v;
    bool good = **s != '-' || v > 0;
    *s = c;
    return good;
}

/* letter: 'l' or 'h', which the upper bound may have before it as well ("L3-L7"); '\0': none. */
static bool read_span(head_span *out, const char **s, char letter)
{
    *out = (head_span){0, 0, true};
    if (**s == '*') {
        ++*s;
        return true;
    }
    if (!read_bound(&out->lo, s))
        return false;
    out->hi = out->lo;
    out->to_end = false;
    if (**s != '-')
        return true;
    ++*s;
    if (letter && tolower((unsigned char)**s) == letter && (isdigit((unsigned char)(*s)[1]) || (*s)[1] == '-'))
        ++*s;
    if (**s == '-' || isdigit((unsigned char)**s))
        return read_bound(&out->hi, s);
    out->to_end = true;
    return true;
}

static const char *read_prefix(head_expr *x, const char *word)
{
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        const char *name = attn_kind_name((attn_kind)k);
        size_t n = strlen(name);
        if (strncasecmp(word, name, n) == 0 && word[n] == '.') {
            x->kind = (attn_kind)k;
            x->prefixed = true;
            return word + n + 1;
        }
    }
    return word;
}

bool head_place_read(head_expr *x, const char *word)
{
    const char *s = read_prefix(x, word);
    x->layers = x->heads = (head_span){0, 0, true};
    if (strcasecmp(s, "all") == 0 || strcmp(s, "*") == 0) {
        x->every = true;
        return true;
    }
    bool layer = tolower((unsigned char)*s) == 'l', head = tolower((unsigned char)*s) == 'h';
    if (layer || !head) {
        s += layer;
        if (!read_span(&x->layers, &s, layer ? 'l' : '\0'))
            return false;
        if (!*s) {
            x->bare = !layer;
            return true;
        }
        if (layer ? tolower((unsigned char)*s) != 'h' : *s != '.')
            return false;
    }
    s++;
    x->of_heads = true;
    return read_span(&x->heads, &s, layer || head ? 'h' : '\0') && !*s;
}
