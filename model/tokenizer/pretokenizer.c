/* Pre-tokenizers: cut the text into the words that the model works on.
 *
 * Every cut is one stage: it finds matches of a pattern (or characters of a class) and hands the pieces to
 * the next stage, depth first, the last one to the model.  A piece is a text of its own: a look-ahead never
 * sees beyond its end. */
#include <string.h>

#include "base/cancel.h"
#include "model/tokenizer/parts.h"

/* What ByteLevel cuts by, unless told not to. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/* What Whitespace keeps: words, joiners among them, and runs of neither words nor spaces. */
static const char whitespace_pattern[] = "[\\w\\x{200c}\\x{200d}]+|[^\\w\\x{200c}\\x{200d}\\s]+";

/* ---- running ---- */

static int run_stage(work *w, size_t stage, const text *x, err *e);

/* One stage at work on x.  [begin, end) is a piece that may still grow. */
typedef struct cutter {
    work *w;
    size_t stage;
    const pretokenizer *p;
    const text *x;
    bool open, was_match;
    size_t begin, end;
} cutter;

static int hand_on(cutter *c, size_t begin, size_t end, err *e)
{
    text part = text_part(c->x, begin, end);
    bool last = c->stage + 1 == c->w->t->n_pretokenizer;

    if (!part.n)
        return 0;
    if (c->p->byte_level && !last) { /* else the model takes the bytes */
        text mapped;
        int rc = text_to_byte_level(&mapped, &part, c->w, e);
        return rc ? rc : run_stage(c->w, c->stage + 1, &mapped, e);
    }
    return run_stage(c->w, c->stage + 1, &part, e);
}

static int flush(cutter *c, err *e)
{
    bool open = c->open;
    c->open = false;
    return open ? hand_on(c, c->begin, c->end, e) : 0;
}

/* The next piece from left to right: a match, or what lies between two. */
static int cut(cutter *c, size_t begin, size_t end, bool match, err *e)
{
    bool joins = false;
    int rc = 0;

    match ^= c->p->invert;
    switch (c->p->behavior) {
    case SPLIT_REMOVED:
        return match ? 0 : hand_on(c, begin, end, e);
    case SPLIT_ISOLATED:
        return hand_on(c, begin, end, e);
    case SPLIT_CONTIGUOUS: /* runs of matches, runs of others */
        joins = match == c->was_match;
        break;
    case SPLIT_PREVIOUS: /* a match closes the piece before it */
        joins = match && !c->was_match;
        break;
    case SPLIT_NEXT: /* a match opens the piece after it */
        joins = !match && c->was_match;
        break;
    }
    if (joins && c->open) {
        c->end = end;
    } else {
        rc = flush(c, e);
        c->open = true;
        c->begin = begin;
        c->end = end;
    }
    c->was_match = match;
    return rc;
}

static int cut_by_pattern(cutter *c, err *e)
{
    regex_iter it = { 0 };
    size_t done = 0;
    int rc = 0;

    while (!rc) {
        rc = regex_next(&it, c->p->pattern, c->w->regex, c->x->view, c->x->n, e);
        if (rc || it.done)
            break;
        size_t begin = it.begin, end = it.end;
        if (done != begin)
            rc = cut(c, done, begin, false, e);
        if (!rc)
            rc = cut(c, begin, end, true, e);
        done = end;
    }
    return rc || done == c->x->n ? rc : cut(c, done, c->x->n, false, e);
}

static int cut_by_character(cutter *c, err *e)
{
    const text *x = c->x;
    size_t done = 0, len;
    int rc = 0;

    for (size_t i = 0; !rc && i < x->n; i += len) {
        uint32_t ch;
        len = (size_t)unicode_next(&ch, x->s + i, x->n - i);
        if (c->p->is ? !c->p->is(ch) : ch != c->p->delimiter)
            continue;
        if (done != i)
            rc = cut(c, done, i, false, e);
        if (!rc)
            rc = cut(c, i, i + len, true, e);
        done = i + len;
    }
    return rc || done == x->n ? rc : cut(c, done, x->n, false, e);
}

/* Pieces of p->length characters, the last one shorter. */
static int cut_by_length(cutter *c, err *e)
{
    const text *x = c->x;
    int rc = 0;

    for (size_t begin = 0, end; !rc && begin < x->n; begin = end) {
        uint32_t ch;
        end = begin;
        for (int64_t k = 0; k < c->p->length && end < x->n; k++)
            end += (size_t)unicode_next(&ch, x->s + end, x->n - end);
        rc = cut(c, begin, end, true, e);
    }
    return rc;
}

/* Metaspace: every space becomes p->space. */
static int mark_spaces(const pretokenizer *p, text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t done = 0;
    const char *at;

    while ((at = memchr(x->s + done, ' ', x->n - done))) {
        size_t i = (size_t)(at - x->s);
        text_copy(&o, x, done, i);
        text_add(&o, p->space, p->n_space, text_where(x, i, i + 1));
        done = i + 1;
    }
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, x, e);
}

/* Text that does not start with p->prefix gets it; it stands for the first character. */
static int add_prefix(const pretokenizer *p, text *x, work *w, err *e)
{
    text_out o = { .w = w };
    uint32_t c;

    if (x->n >= p->n_prefix && !memcmp(x->s, p->prefix, p->n_prefix))
        return 0;
    if (p->prefix_first && text_where(x, 0, 0).begin != 0)
        return 0;
    text_add(&o, p->prefix, p->n_prefix, text_where(x, 0, (size_t)unicode_next(&c, x->s, x->n)));
    text_copy(&o, x, 0, x->n);
    return text_done(&o, x, e);
}

static int run_stage(work *w, size_t stage, const text *x, err *e)
{
    const tokenizer *t = w->t;

    if (!x->n)
        return 0;
    if (stage == t->n_pretokenizer) {
        int rc = (++w->words & 1023) == 0 ? cancel_check(e) : 0;
        return rc ? rc : t->kind->encode(t->model, w, x, t->last_byte_level, e);
    }
    const pretokenizer *p = &t->pretokenizers[stage];
    text now = *x;
    int rc = p->space ? mark_spaces(p, &now, w, e) : 0;
    if (!rc && p->prefix)
        rc = add_prefix(p, &now, w, e);
    if (rc)
        return rc;
    cutter c = { .w = w, .stage = stage, .p = p, .x = &now };
    if (p->pattern)
        rc = cut_by_pattern(&c, e);
    else if (p->is || p->delimiter)
        rc = cut_by_character(&c, e);
    else if (p->length)
        rc = cut_by_length(&c, e);
    else
        return hand_on(&c, 0, now.n, e);
    return rc ? rc : flush(&c, e);
}

int pretokenizers_run(work *w, const text *x, err *e)
{
    return run_stage(w, 0, x, e);
}

/* ---- reading ---- */

static int add(tokenizer *t, const pretokenizer *p, err *e)
{
    if (t->n_pretokenizer >= PRETOKENIZER_MAX)
        return err_set(e, ERR_INPUT, "more than %d pre-tokenizers", PRETOKENIZER_MAX);
    pretokenizer *all = tokenizer_push(t, t->pretokenizers, t->n_pretokenizer, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    t->pretokenizers = all;
    all[t->n_pretokenizer++] = *p;
    t->last_byte_level = p->byte_level;
    return 0;
}

static int add_pattern(tokenizer *t, const char *pattern, size_t n, bool literal, pretokenizer p, err *e)
{
    int rc = tokenizer_regex(&p.pattern, t, pattern, n, literal, e);
    return rc ? rc : add(t, &p, e);
}

int pretokenizer_add_split(tokenizer *t, const char *pattern, err *e)
{
    return add_pattern(t, pattern, strlen(pattern), false, (pretokenizer){ .behavior = SPLIT_ISOLATED }, e);
}

int pretokenizer_add_digits(tokenizer *t, bool individual, err *e)
{
    pretokenizer p = { .is = unicode_is_number, .behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS };
    return add(t, &p, e);
}

int pretokenizer_add_punctuation(tokenizer *t, enum split_behavior behavior, err *e)
{
    return add(t, &(pretokenizer){ .is = unicode_is_punctuation, .behavior = behavior }, e);
}

static int add_byte_level(tokenizer *t, bool use_regex, bool prefix_space, err *e)
{
    pretokenizer p = { .behavior = SPLIT_ISOLATED, .byte_level = true };

    if (prefix_space) {
        p.prefix = " ";
        p.n_prefix = 1;
    }
    return use_regex ? add_pattern(t, gpt2_pattern, sizeof gpt2_pattern - 1, false, p, e) : add(t, &p, e);
}

int pretokenizer_add_byte_level(tokenizer *t, bool use_regex, err *e)
{
    return add_byte_level(t, use_regex, false, e);
}

int pretokenizer_add_bert(tokenizer *t, err *e)
{
    int rc = add(t, &(pretokenizer){ .is = unicode_is_space, .behavior = SPLIT_REMOVED }, e);
    return rc ? rc : pretokenizer_add_punctuation(t, SPLIT_ISOLATED, e);
}

static int read_behavior(enum split_behavior *out, const json *v, err *e)
{
    static const char *const names[] = {
        "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous",
    };
    const char *name = json_str(v, NULL);

    for (int i = 0; name && i < 5; i++)
        if (!strcmp(name, names[i])) {
            *out = (enum split_behavior)i;
            return 0;
        }
    if (name)
        return tokenizer_refuse(e, "pre_tokenizer behavior %s", name);
    return err_set(e, ERR_INPUT, "pre_tokenizer has no behavior");
}

static int read_split(tokenizer *t, const json *v, err *e)
{
    const json *pattern = json_get(v, "pattern");
    pretokenizer p = { 0 };
    size_t n;
    const char *s = json_str(json_get(pattern, "String"), &n);
    bool literal = s != NULL;

    if (!s)
        s = json_str(json_get(pattern, "Regex"), &n);
    if (!s)
        return err_set(e, ERR_INPUT, "pre_tokenizer Split has no pattern");
    json_bool(&p.invert, json_get(v, "invert"));
    int rc = read_behavior(&p.behavior, json_get(v, "behavior"), e);
    return rc ? rc : add_pattern(t, s, n, literal, p, e);
}

/* add_prefix_space is the old form of prepend_scheme. */
static int read_metaspace(tokenizer *t, const json *v, err *e)
{
    pretokenizer p = { .behavior = SPLIT_NEXT };
    const char *mark = json_str(json_get(v, "replacement"), &p.n_space);
    const char *scheme = json_str(json_get(v, "prepend_scheme"), NULL);
    bool prefix = true, split = true;

    if (!mark || !p.n_space || utf8_next(&p.delimiter, mark, p.n_space) != (int)p.n_space)
        return err_set(e, ERR_INPUT, "pre_tokenizer Metaspace: replacement must be one character");
    json_bool(&prefix, json_get(v, "add_prefix_space"));
    json_bool(&split, json_get(v, "split"));
    if (!scheme)
        scheme = prefix ? "always" : "never";
    if (strcmp(scheme, "always") && strcmp(scheme, "first") && strcmp(scheme, "never"))
        return tokenizer_refuse(e, "pre_tokenizer prepend_scheme %s", scheme);
    p.space = arena_strndup(&t->mem, mark, p.n_space, e);
    if (!p.space)
        return ERR_RESOURCE;
    if (strcmp(scheme, "never")) {
        p.prefix = p.space;
        p.n_prefix = p.n_space;
        p.prefix_first = !strcmp(scheme, "first");
    }
    if (!split)
        p.delimiter = 0;
    return add(t, &p, e);
}

int pretokenizer_from_json(tokenizer *t, const json *v, err *e)
{
    const char *type = json_str(json_get(v, "type"), NULL);
    int rc = 0;

    if (json_kind_of(v) <= JSON_NULL_)
        return 0;
    if (!type)
        return err_set(e, ERR_INPUT, "pre_tokenizer has no type");
    if (!strcmp(type, "Sequence")) {
        const json *list = json_get(v, "pretokenizers");
        for (size_t i = 0; !rc && i < json_count(list); i++)
            rc = pretokenizer_from_json(t, json_at(list, i), e);
        return rc;
    }
    if (!strcmp(type, "ByteLevel")) {
        bool prefix = true, use_regex = true;
        json_bool(&prefix, json_get(v, "add_prefix_space"));
        json_bool(&use_regex, json_get(v, "use_regex"));
        return add_byte_level(t, use_regex, prefix, e);
    }
    if (!strcmp(type, "Split"))
        return read_split(t, v, e);
    if (!strcmp(type, "Digits")) {
        bool individual = false;
        json_bool(&individual, json_get(v, "individual_digits"));
        return pretokenizer_add_digits(t, individual, e);
    }
    if (!strcmp(type, "Punctuation")) {
        enum split_behavior behavior = SPLIT_ISOLATED;
        if (json_get(v, "behavior"))
            rc = read_behavior(&behavior, json_get(v, "behavior"), e);
        return rc ? rc : pretokenizer_add_punctuation(t, behavior, e);
    }
    if (!strcmp(type, "Whitespace"))
        return add_pattern(t, whitespace_pattern, sizeof whitespace_pattern - 1, false,
                           (pretokenizer){ .behavior = SPLIT_REMOVED, .invert = true }, e);
    if (!strcmp(type, "BertPreTokenizer"))
        return pretokenizer_add_bert(t, e);
    if (!strcmp(type, "CharDelimiterSplit")) {
        pretokenizer p = { .behavior = SPLIT_REMOVED };
        size_t n;
        const char *s = json_str(json_get(v, "delimiter"), &n);
        if (!s || !n || utf8_next(&p.delimiter, s, n) != (int)n || !p.delimiter)
            return err_set(e, ERR_INPUT, "pre_tokenizer CharDelimiterSplit: delimiter must be one character");
        return add(t, &p, e);
    }
    if (!strcmp(type, "FixedLength")) {
        pretokenizer p = { .behavior = SPLIT_ISOLATED, .length = 5 };
        if (json_get(v, "length") && (!json_int(&p.length, json_get(v, "length")) || p.length < 1))
            return err_set(e, ERR_INPUT, "pre_tokenizer FixedLength: length must be a positive number");
        return add(t, &p, e);
    }
    if (!strcmp(type, "WhitespaceSplit"))
        return add(t, &(pretokenizer){ .is = unicode_is_space, .behavior = SPLIT_REMOVED }, e);
    if (!strcmp(type, "Metaspace"))
        return read_metaspace(t, v, e);
    return tokenizer_refuse(e, "pre_tokenizer type %s", type);
}
