/* What the tests of metrics about tokens share: attention of any shape, a straightforward second
 * implementation of each metric in double, and feeding under several cuts. */
#ifndef ATTNSCOPE_TESTS_PATTERN_REFERENCE_H
#define ATTNSCOPE_TESTS_PATTERN_REFERENCE_H

#include "tests/metric_feed.h"
#include "tests/model_run.h"

static tokenizer *lantern; /* of the bundled model, once use_lantern() was called */

static inline void use_lantern(void)
{
    path_text path;
    err e = {0};
    if (lantern)
        return;
    source_path(path, "examples/models/lantern-3m");
    if (tokenizer_open(&lantern, path, &e))
        fail_msg("%s", e.msg);
}

/* ---- attention of any shape in double, and what a metric is asked ---- */

typedef struct wide {
    int64_t n, m;                     /* queries, keys */
    const float *a;                   /* [n, m] */
    const int64_t *lo, *hi;           /* [n] */
    const int32_t *ids, *key_ids;
    attn_kind kind;
} wide;

typedef struct ask {
    const char *name;
    const char *set[6];               /* "option=value", NULL-terminated */
    const bool *keys, *from;          /* the key set; queries of span-from */
    int64_t behind;                   /* first query that is behind the span */
    bool all, each, by_key, exclude, no_first, no_self;
    int length;                       /* prefix-length */
    const char *pattern, *measure;
    const float *file;                /* [n, m] */
} ask;

typedef struct answers { int64_t n, position[512]; double value[512]; } answers;

static inline void answer(answers *x, int64_t position, double v)
{
    assert_true(x->n < 512);
    x->position[x->n] = position;
    x->value[x->n++] = v;
}

static inline bool seen_key(const wide *d, int64_t i, int64_t k)
{
    return k >= d->lo[i] && k < d->hi[i];
}

static inline double at(const wide *d, int64_t i, int64_t k)
{
    return seen_key(d, i, k) ? (double)d->a[i * d->m + k] : 0;
}

static inline bool counts(const wide *d, const ask *q, int64_t i)
{
    if (d->kind == ATTN_CROSS)
        return true;
    return !q->keys[i] && (d->kind != ATTN_SELF || i >= q->behind);
}

static inline bool on_set(const wide *d, const ask *q, int64_t i, double *w)
{
    bool any = false;
    *w = 0;
    for (int64_t k = 0; k < d->m; k++)
        if (q->keys[k] && seen_key(d, i, k)) {
            any = true;
            *w += at(d, i, k);
        }
    return any;
}

static inline bool is_repeat(const wide *d, int64_t i, int64_t j, int length)
{
    for (int s = 0; s < length; s++)
        if (j - s < 0 || i - s < 0 || d->ids[j - s] != d->ids[i - s])
            return false;
    return true;
}

static inline double pattern_at(const wide *d, const ask *q, int64_t i, int64_t j)
{
    if (q->file)
        return (double)q->file[i * d->m + j];
    if (j > i)
        return 0;
    if (!strcmp(q->pattern, "previous_token_head"))
        return j == i - 1;
    if (!strcmp(q->pattern, "duplicate_token_head"))
        return j < i && d->ids[j] == d->ids[i];
    return j >= 1 && d->ids[j - 1] == d->ids[i];
}

static inline void second_detect(answers *x, const wide *d, const ask *q)
{
    double whole = 0, product = 0, apart = 0;
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t j = 0; j < d->m; j++) {
            if ((q->no_first && j == 0) || (q->no_self && i == j))
                continue;
            whole += at(d, i, j);
            product += at(d, i, j) * pattern_at(d, q, i, j);
            apart += fabs(at(d, i, j) - pattern_at(d, q, i, j));
        }
    apart /= (double)d->n;
    if (d->n < 2 || (!strcmp(q->measure, "mul") && whole == 0))
        return;
    answer(x, NO_INDEX, !strcmp(q->measure, "mul") ? product / whole
                        : !strcmp(q->measure, "abs") ? 1 - rint(1000 * apart) / 1000 : 1 - apart);
}

static inline void second(answers *x, const wide *d, const ask *q)
{
    double sum = 0, w, before;
    int64_t n = 0;
    *x = (answers){0};
    if (!strcmp(q->name, "detect")) {
        second_detect(x, d, q);
        return;
    }
    for (int64_t i = 0; i < d->n; i++) {
        bool yes = false;
        w = 0;
        if (!strncmp(q->name, "mass_", 5)) {
            bool some = false;
            for (int64_t k = 0; k < d->m; k++)
                some |= q->keys[k];
            yes = on_set(d, q, i, &w);
            yes = q->all ? some && d->hi[i] > d->lo[i] : yes;
        } else if (!strcmp(q->name, "span_mass")) {
            yes = on_set(d, q, i, &w) && counts(d, q, i);
        } else if (!strcmp(q->name, "span_to_span")) {
            yes = on_set(d, q, i, &w) && q->from[i];
        } else if (!strcmp(q->name, "span_shift")) {
            bool some = false;
            for (int64_t k = 0; k < d->m; k++)
                some |= q->keys[k];
            yes = some && i > 0 && counts(d, q, i) && counts(d, q, i - 1);
            for (int64_t k = 0; yes && q->by_key && k < d->m; k++)
                w += q->keys[k] ? fmax(0, at(d, i, k) - at(d, i - 1, k)) : 0;
            if (yes && !q->by_key) {
                on_set(d, q, i, &w);
                on_set(d, q, i - 1, &before);
                w = fmax(0, w - before);
            }
        } else if (!strcmp(q->name, "prefix_matching")) {
            for (int64_t j = 0; j < i; j++)
                if (is_repeat(d, i, j, q->length) && seen_key(d, i, j + 1)) {
                    yes = true;
                    w += at(d, i, j + 1);
                }
        } else if (!strcmp(q->name, "same_token")) {
            for (int64_t k = 0; k < d->m; k++)
                if (d->key_ids[k] == d->ids[i] && seen_key(d, i, k) &&
                    !(q->exclude && k == i && d->kind != ATTN_CROSS)) {
                    yes = true;
                    w += at(d, i, k);
                }
        } else {
            fail_msg("no second implementation of %s", q->name);
        }
        if (yes && q->each)
            answer(x, i, w);
        sum += yes ? w : 0;
        n += yes;
    }
    if (n > 0 && !q->each)
        answer(x, NO_INDEX, sum / (double)n);
}

/* ---- feeding ---- */

static inline params *params_of(const metric *m, const char *const *set)
{
    params *p = feed_params(m, NULL);
    err e = {0};
    for (; set && *set; set++) {
        char name[64];
        const char *eq = strchr(*set, '=');
        snprintf(name, sizeof name, "%.*s", (int)(eq - *set), *set);
        if (params_set(p, name, eq + 1, &e))
            fail_msg("%s: %s", *set, e.msg);
    }
    return p;
}

static inline metric_ctx context(const metric *m, const params *p, const wide *d, const tokenizer *tok)
{
    return (metric_ctx){.m = m,
                        .p = p,
                        .ids = d->ids,
                        .n = d->n,
                        .key_ids = d->key_ids,
                        .n_key = d->m,
                        .placeholder = -1,
                        .n_layer = 1,
                        .kind = d->kind,
                        .tok = tok};
}

static inline wide wide_of(const dense *d, const int32_t *ids, attn_kind kind)
{
    return (wide){d->n, d->n, d->a, d->lo, d->hi, ids, ids, kind};
}

static inline void feed(emitted *out, const ask *q, const dense *d, const wide *w, const cut *how)
{
    const metric *m = metric_find(q->name);
    err e = {0};
    assert_non_null(m);
    params *p = params_of(m, q->set);
    metric_ctx c = context(m, p, w, lantern);
    if (m->prepare(&c, &e))
        fail_msg("%s: %s", q->name, e.msg);
    feed_attention(&c, d, how, out);
    m->release(&c);
    params_free(p);
}

static const cut pattern_cuts[] = {
    {"whole panel", 1, 1 << 20, 1 << 20, false, 0},
    {"panels of 4 queries, queries innermost", 3, 4, 1 << 20, true, 3},
    {"single cells", 2, 1, 1, false, 0},
    {"odd tiles", 5, 7, 3, true, 1},
    {"16 chunks", 16, 3, 5, false, 2},
};

static inline void conform(const ask *q, const dense *d, const int32_t *ids, const int32_t *key_ids,
                           attn_kind kind)
{
    wide w = wide_of(d, ids, kind);
    answers x;
    w.key_ids = key_ids;
    second(&x, &w, q);
    for (size_t c = 0; c < sizeof pattern_cuts / sizeof *pattern_cuts; c++) {
        emitted out = {0};
        feed(&out, q, d, &w, &pattern_cuts[c]);
        if (out.n != x.n)
            fail_msg("%s %s (%s): %d values, expected %d", q->name, q->set[0] ? q->set[0] : "",
                     pattern_cuts[c].name, (int)out.n, (int)x.n);
        for (int64_t i = 0; i < out.n; i++) {
            double tolerance =
                q->measure && !strcmp(q->measure, "abs") ? 1.001e-3 : 1e-12 * (1 + fabs(x.value[i]));
            assert_int_equal(out.v[i].position, x.position[i]);
            if (!(fabs(out.v[i].value - x.value[i]) <= tolerance))
                fail_msg("%s %s (%s): %.17g, expected %.17g", q->name, q->set[0] ? q->set[0] : "",
                         pattern_cuts[c].name, out.v[i].value, x.value[i]);
        }
        emitted_free(&out);
    }
}

/* The classes of a token of the bundled model, whose texts are ASCII but for halves of characters, as
 * letters. */
static const char *letters_of(int32_t id)
{
    static char out[8];
    token_text t = tokenizer_text(lantern, id);
    char text[64];
    size_t n = 0;
    bool line = false, punct = true, delim = true, digit = true;
    if (id == tokenizer_bos(lantern))
        return "bs";
    if (tokenizer_is_special(lantern, id))
        return "s";
    for (size_t i = 0; i < t.len && i < 63; i++) {
        line |= t.s[i] == '\n';
        if (!strchr(" \n\t\r\v\f", t.s[i]) || !t.s[i])
            text[n++] = t.s[i];
    }
    text[n] = '\0';
    if (n == 0)
        return line ? "dw" : "w";
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)text[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
        punct = punct && ch > 32 && ch < 127 && !letter;
        delim = delim && strchr(".,;:!?", ch);
        digit = digit && ch >= '0' && ch <= '9';
    }
    snprintf(out, sizeof out, "%s%s%s%s", punct ? "p" : "", delim ? "d" : "", digit ? "n" : "",
             !punct && !digit ? "o" : "");
    return out;
}

#endif
