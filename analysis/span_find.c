/* From the options that name a span to a set of keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/span_parts.h"
#include "base/mem.h"

static int read_names(span_names *s, const params *p, const char *prefix, err *e)
{
    static const char *const endings[] = {"text", "regex", "tokens"};
    const char **values[] = {&s->text, &s->pattern, &s->ranges};
    char option[32], before[32] = "";
    *s = (span_names){0};
    for (int i = 0; i < 3; i++) {
        snprintf(option, sizeof option, "%.20s-%s", prefix, endings[i]);
        *values[i] = params_str(p, option);
        if (*values[i] && *before) {
            err_set(e, ERR_USAGE, "both --%s and --%s are given", before, option);
            return err_hint(e, "a span has one of --%s-text, --%s-regex and --%s-tokens", prefix, prefix,
                            prefix);
        }
        if (*values[i] && !**values[i]) {
            err_set(e, ERR_USAGE, "--%s is empty", option);
            return err_hint(e, "give the text, pattern or positions of the span");
        }
        if (*values[i])
            memcpy(before, option, sizeof before);
    }
    memcpy(s->option, before, sizeof s->option);
    snprintf(option, sizeof option, "%.20s-nth", prefix);
    s->nth = params_int(p, option);
    return 0;
}

static bool reads_tokens(const stack *s)
{
    return s && s->embed.kind == EMBED_TOKENS;
}

/* Does the prompt have a further sequence in which the span may be, of which this context knows nothing? */
static bool elsewhere(const metric_ctx *c, const span_names *s)
{
    const model *m = c->model;
    if (!m || c->kind == ATTN_CROSS)
        return false;
    if (s->ranges)
        return false;
    const stack *mine = model_stack(m, c->kind);
    return (mine != m->main && reads_tokens(m->main)) || (mine != m->encoder && reads_tokens(m->encoder));
}

static int not_found(const metric_ctx *c, const span_names *s, const int32_t *ids, int64_t n, int64_t found,
                     err *e)
{
    const char *what = s->text ? s->text : s->pattern ? s->pattern : s->ranges;
    int len = (int)strnlen(what, 80);
    if (found > 0) {
        err_set(e, ERR_USAGE, "%s: '%.*s' occurs %lld time%s in the prompt, not %lld", s->option, len, what,
                (long long)found, found == 1 ? "" : "s", (long long)llabs(s->nth));
        return err_hint(e, "leave the number of the occurrence out to take all of them");
    }
    if (!ids || !c->tok) {
        err_set(e, ERR_USAGE, !ids ? "%s: this attention reads no text" : "%s: the model has no tokenizer",
                s->option);
        return err_hint(e, "name the span by position: %.*s-tokens 3-7", (int)strcspn(s->option, "-"),
                        s->option);
    }
    sequence_text x;
    strbuf seen = {0};
    int rc = sequence_text_new(&x, c, ids, n, e);
    if (rc)
        return rc;
    strbuf_put_visible(&seen, x.s, x.len < 120 ? x.len : 120);
    err_set(e, ERR_USAGE, "%s: '%.*s' is not in the prompt", s->option, len, what);
    rc = err_hint(e, "the prompt reads: %s%s", strbuf_str(&seen), x.len > 120 ? " ..." : "");
    strbuf_free(&seen);
    sequence_text_free(&x);
    return rc ? rc : ERR_USAGE;
}

/* Keep the nth occurrence of those found; none of that number: an empty list. */
static void keep_nth(range_list *l, int64_t nth)
{
    int64_t at = nth > 0 ? nth - 1 : l->n + nth;
    if (nth == 0)
        return;
    if (at < 0 || at >= l->n) {
        l->n = 0;
        return;
    }
    l->r[0] = l->r[at];
    l->n = 1;
}

int span_find(key_set *out, int64_t *first_end, const metric_ctx *c, const char *prefix, bool queries, err *e)
{
    const int32_t *ids = queries ? c->ids : c->key_ids, *other = queries ? c->key_ids : c->ids;
    int64_t n = queries ? c->n : c->n_key, n_other = queries ? c->n_key : c->n, found = 0;
    span_names s;
    range_list l = {0};
    bool *member = NULL;
    int rc = read_names(&s, c->p, prefix, e);
    bool named = !rc && *s.option;
    if (named) {
        rc = span_ranges(&l, c, &s, ids, n, e);
        found = l.n;
        keep_nth(&l, s.nth);
    }
    if (named && !rc && l.n == 0 &&
        c->kind == ATTN_CROSS) { /* perhaps it is in the other text, and not meant here */
        range_list there = {0};
        rc = span_ranges(&there, c, &s, other, n_other, e);
        keep_nth(&there, s.nth);
        if (!rc && there.n == 0)
            rc = not_found(c, &s, ids ? ids : other, ids ? n : n_other, found, e);
        range_list_free(&there);
    } else if (named && !rc && l.n == 0 && !elsewhere(c, &s) && (!s.ranges || found > 0)) {
        rc = not_found(c, &s, ids, n, found, e);
    }
    if (!rc) {
        member = mem_array((size_t)n, sizeof *member, e);
        rc = member ? 0 : ERR_RESOURCE;
    }
    int64_t first = n;
    *first_end = n;
    for (int64_t i = 0; !rc && i < l.n; i++) {
        for (int64_t k = l.r[i].begin; k < l.r[i].end; k++)
            member[k] = true;
        if (l.r[i].begin < first) {
            first = l.r[i].begin;
            *first_end = l.r[i].end;
        }
    }
    if (!rc)
        rc = key_set_new(out, member, n, e);
    free(member);
    range_list_free(&l);
    return rc;
}

int span_prepare(metric_ctx *c, err *e)
{
    int64_t behind;
    span *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->counts = mem_array((size_t)c->n, sizeof *s->counts, e);
    int rc = s->counts ? span_find(&s->keys, &behind, c, "span", false, e) : ERR_RESOURCE;
    if (rc) {
        free(s->counts);
        free(s);
        return rc;
    }
    bool causal = c->kind == ATTN_SELF;
    for (int64_t q = 0; q < c->n; q++) {
        bool within = c->kind != ATTN_CROSS && key_set_within(&s->keys, q, q + 1) > 0;
        s->counts[q] = !within && (!causal || q >= behind);
    }
    s->each = params_row(c->p, "span-rows") && !strcmp(params_str(c->p, "span-rows"), "each");
    c->shared = s;
    return 0;
}

bool span_reads(const metric_ctx *c, const attn_tile *part)
{
    const span *s = c->shared;
    return key_set_in_tile(&s->keys, part);
}

void span_release(metric_ctx *c)
{
    span *s = c->shared;
    key_set_free(&s->keys);
    free(s->counts);
    free(s);
    c->shared = NULL;
}
