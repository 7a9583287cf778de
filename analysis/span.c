#include "analysis/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/span_parts.h"
#include "base/mem.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/unicode.h"

const char *const span_row_choices[] = {"mean", "each", NULL};
const char *const span_asks[] = {"span-text", "span-regex", "span-tokens", NULL};

enum { LIST_MAX = 1 << 16 }; /* occurrences */

void range_list_free(range_list *l)
{
    free(l->r);
    *l = (range_list){0};
}

int range_list_add(range_list *l, int64_t begin, int64_t end, err *e)
{
    if (l->n == LIST_MAX)
        return err_set(e, ERR_USAGE, "the span occurs more than %d times", LIST_MAX);
    if (l->n == l->cap) {
        int64_t cap = l->cap ? 2 * l->cap : 16;
        token_range *more = mem_grow(l->r, (size_t)cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        l->r = more;
        l->cap = cap;
    }
    l->r[l->n++] = (token_range){begin, end};
    return 0;
}

/* The tokens that hold bytes begin .. end - 1 of the text; an empty match has none. */
static int add_bytes(range_list *l, const sequence_text *x, size_t begin, size_t end, err *e)
{
    int64_t lo = 0, hi = x->n;
    if (begin == end)
        return 0;
    while (lo < hi) { /* first token that ends behind begin */
        int64_t mid = lo + (hi - lo) / 2;
        if (x->at[mid + 1] <= begin)
            lo = mid + 1;
        else
            hi = mid;
    }
    hi = lo;
    while (hi < x->n && x->at[hi] < end)
        hi++;
    return hi > lo ? range_list_add(l, lo, hi, e) : 0;
}

int sequence_text_new(sequence_text *x, const metric_ctx *c, const int32_t *ids, int64_t n, err *e)
{
    strbuf b = {0};
    *x = (sequence_text){.n = n};
    x->at = mem_array((size_t)n + 1, sizeof *x->at, e);
    if (!x->at)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++) {
        token_text t = tokenizer_text(c->tok, ids[i]);
        x->at[i] = b.len;
        strbuf_add(&b, t.s, t.len);
    }
    x->at[n] = x->len = b.len;
    x->s = strbuf_take(&b, e);
    if (!x->s)
        sequence_text_free(x);
    return x->at ? 0 : ERR_RESOURCE;
}

void sequence_text_free(sequence_text *x)
{
    free(x->s);
    free(x->at);
    *x = (sequence_text){0};
}

static int find_text(range_list *l, const sequence_text *x, const char *text, size_t n, err *e)
{
    int rc = 0;
    for (const char *s = x->s, *end = x->s + x->len; n && !rc && (s = memmem(s, (size_t)(end - s), text, n));
         s += n)
        rc = add_bytes(l, x, (size_t)(s - x->s), (size_t)(s - x->s) + n, e);
    return rc;
}

/* The text as the tokenizer normalises it (lower case, other forms of characters): by way of its tokens. */
static int find_normalised(range_list *l, const metric_ctx *c, const sequence_text *x, const char *text,
                           err *e)
{
    tokens t;
    strbuf b = {0};
    int rc = tokenizer_encode(c->tok, text, strlen(text), false, &t, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t.n; i++) {
        token_text piece = tokenizer_text(c->tok, t.t[i].id);
        strbuf_add(&b, piece.s, piece.len);
    }
    size_t skip = b.len && b.s[0] == ' ' && *text != ' ';
    rc = b.failed ? err_nomem(e, "the span") : find_text(l, x, strbuf_str(&b) + skip, b.len - skip, e);
    strbuf_free(&b);
    tokens_free(&t);
    return rc;
}

static int find_regex(range_list *l, const sequence_text *x, const char *pattern, const char *option, err *e)
{
    regex *r = NULL;
    regex_work *w = NULL;
    arena mem = {0};
    regex_iter it = {0};
    int rc = regex_new(&r, pattern, strlen(pattern), false, e);
    if (rc && rc != ERR_RESOURCE) {
        err_prefix(e, "%s", option);
        err_hint(e, "a sign that is meant as itself takes a backslash: \\( \\[ \\. \\* \\+ \\?");
        if (e)
            e->code = ERR_USAGE;
        return ERR_USAGE;
    }
    const char *view = rc ? NULL : unicode_view(x->s, x->len, &mem, e);
    if (!rc)
        rc = view ? regex_work_new(&w, e) : ERR_RESOURCE;
    while (!rc && !(rc = regex_next(&it, r, w, view, x->len, e)) && !it.done)
        rc = add_bytes(l, x, it.begin, it.end, e);
    regex_work_free(w);
    regex_free(r);
    arena_free(&mem);
    return rc;
}

/* One position; negative ones count from the end.  The sequence at hand has n tokens, the longest of the
 * prompt most. */
static bool read_position(int64_t *at, const char *text, size_t len, int64_t n, int64_t most)
{
    char word[24];
    if (len == 0 || len >= sizeof word)
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    if (!parse_int(at, word) || *at < -most || *at >= most)
        return false;
    *at += *at < 0 ? n : 0;
    return true;
}

/* "3-7,12": positions that only longer sequences of the prompt have are left out. */
static int find_ranges(range_list *l, const char *text, int64_t n, int64_t most, const char *option, err *e)
{
    int rc = 0;
    most = most > n ? most : n;
    for (const char *word = text; !rc; ) {
        word += strspn(word, " ");
        size_t len = strcspn(word, ","), first = len;
        const char *dash = len > 1 ? memchr(word + 1, '-', len - 1) : NULL;
        int64_t from, to;
        if (dash)
            first = (size_t)(dash - word);
        bool good = read_position(&from, word, first, n, most);
        to = from;
        if (good && dash)
            good = read_position(&to, dash + 1, len - first - 1, n, most);
        if (!good || to < from) {
            err_set(e, ERR_USAGE, "%s: '%.*s' is no range of tokens of the prompt", option,
                    (int)(len < 40 ? len : 40), word);
            return err_hint(e, "positions go from 0 to %lld, a range from its first to its last token: 3-7",
                            (long long)(most - 1));
        }
        from = from < 0 ? 0 : from;
        to = to < n ? to : n - 1;
        if (from <= to)
            rc = range_list_add(l, from, to + 1, e);
        if (word[len] == '\0')
            break;
        word += len + 1;
    }
    return rc;
}

int span_ranges(range_list *l, const metric_ctx *c, const span_names *s, const int32_t *ids, int64_t n,
                err *e)
{
    sequence_text x;
    if (s->ranges)
        return find_ranges(l, s->ranges, n, c->most_key, s->option, e);
    if (!ids || !c->tok)
        return 0;
    int rc = sequence_text_new(&x, c, ids, n, e);
    if (rc)
        return rc;
    if (s->pattern)
        rc = find_regex(l, &x, s->pattern, s->option, e);
    else
        rc = find_text(l, &x, s->text, strlen(s->text), e);
    if (!rc && l->n == 0 && s->text && *s->text)
        rc = find_normalised(l, c, &x, s->text, e);
    sequence_text_free(&x);
    return rc;
}
