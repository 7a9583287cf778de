#include "base/result.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [ATTN_SELF] = "self",
    [ATTN_ENCODER] = "enc",
    [ATTN_CROSS] = "cross",
    [ATTN_VISION] = "vis",
};
enum { N_KIND = sizeof kind_names / sizeof *kind_names };

const char *attn_kind_name(attn_kind k)
{
    assert((unsigned)k < N_KIND);
    return kind_names[k];
}

attn_kind attn_kind_named(const char *name, attn_kind otherwise)
{
    for (int k = 0; k < N_KIND; k++)
        if (strcmp(name, kind_names[k]) == 0)
            return (attn_kind)k;
    return otherwise;
}

void head_format(head_text out, head_id h)
{
    bool self = h.kind == ATTN_SELF;
    snprintf(out, sizeof(head_text), "%s%sL%dH%d", self ? "" : attn_kind_name(h.kind), self ? "" : ".",
             h.layer, h.head);
}

/* An index of up to six digits; NULL when there is none. */
static const char *read_index(int *out, const char *s)
{
    int v = 0, n = 0;
    for (; s[n] >= '0' && s[n] <= '9'; n++) {
        if (n == 6)
            return NULL;
        v = 10 * v + (s[n] - '0');
    }
    *out = v;
    return n > 0 ? s + n : NULL;
}

_Bool head_parse(head_id *out, const char *text)
{
    head_id h = {.kind = ATTN_SELF};
    const char *s = text;

    for (int k = 0; k < N_KIND; k++) {
        size_t n = strlen(kind_names[k]);
        if (strncmp(s, kind_names[k], n) == 0 && s[n] == '.') {
            h.kind = (attn_kind)k;
            s += n + 1;
            break;
        }
    }

    bool letters = *s == 'L' || *s == 'l';
    s = read_index(&h.layer, letters ? s + 1 : s);
    if (!s || !(letters ? *s == 'H' || *s == 'h' : *s == '.'))
        return false;
    s = read_index(&h.head, s + 1);
    if (!s || *s)
        return false;
    *out = h;
    return true;
}
