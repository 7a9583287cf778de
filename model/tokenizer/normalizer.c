/* Normalisers: each turns one stretch of text into another and says which input every byte stands for.
 * Text that does not change is handed on as it is, without a copy. */
#include <string.h>

#include "model/tokenizer/parts.h"

static int run_replace(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    regex_iter it = { 0 };
    size_t done = 0;

    *out = *x;
    for (;;) {
        int rc = regex_next(&it, z->pattern, w->regex, x->view, x->n, e);
        if (rc)
            return rc;
        if (it.done)
            break;
        text_copy(&o, x, done, it.begin);
        text_add(&o, z->s, z->n, text_where(x, it.begin, it.end));
        done = it.end;
    }
    if (!it.matched)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}

static int run_prepend(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    uint32_t c;

    *out = *x;
    if (!x->n)
        return 0;
    text_add(&o, z->s, z->n, text_where(x, 0, (size_t)unicode_next(&c, x->s, x->n)));
    text_copy(&o, x, 0, x->n);
    return text_done(&o, out, e);
}

static int run_strip(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    size_t begin = 0, end = x->n;
    uint32_t c;

    (void)w;
    (void)e;
    while (z->left && begin < end) {
        size_t n = (size_t)unicode_next(&c, x->s + begin, end - begin);
        if (!unicode_is_space(c))
            break;
        begin += n;
    }
    while (z->right && begin < end) {
        size_t at = unicode_start(x->s, end, end - 1);
        unicode_next(&c, x->s + at, end - at);
        if (!unicode_is_space(c))
            break;
        end = at;
    }
    *out = text_part(x, begin, end);
    return 0;
}

int normalize_lowercase(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t done = 0, len;

    (void)z;
    for (size_t i = 0; i < x->n; i += len) {
        uint32_t c, low[2];
        char s[8];
        len = (size_t)unicode_next(&c, x->s + i, x->n - i);
        if (c == UNICODE_BAD)
            continue;
        int n = unicode_lower(low, c);
        if (n == 1 && low[0] == c)
            continue;
        int size = unicode_put(s, low[0]);
        if (n == 2)
            size += unicode_put(s + size, low[1]);
        text_copy(&o, x, done, i);
        text_add(&o, s, (size_t)size, text_where(x, i, i + len));
        done = i + len;
    }
    *out = *x;
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}

static int run_byte_level(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    (void)z;
    return text_to_byte_level(out, x, w, e);
}

int normalizer_add(tokenizer *t, const normalizer *z, err *e)
{
    normalizer *all = tokenizer_push(t, t->normalizers, t->n_normalizer, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    t->normalizers = all;
    all[t->n_normalizer++] = *z;
    return 0;
}

int normalizer_add_nfc(tokenizer *t, err *e)
{
    return normalizer_add(t, &(normalizer){ .run = normalize_form, .compose = true }, e);
}

static int read_string(const char **s, size_t *n, tokenizer *t, const json *v, const char *what, err *e)
{
    const char *found = json_str(v, n);
    if (!found)
        return err_set(e, ERR_INPUT, "normalizer %s is missing or no string", what);
    *s = arena_strndup(&t->mem, found, *n, e);
    return *s ? 0 : ERR_RESOURCE;
}

/* {"String": s} or {"Regex": s} */
static int read_replace(tokenizer *t, normalizer *z, const json *v, err *e)
{
    const json *pattern = json_get(v, "pattern");
    size_t n;
    const char *s = json_str(json_get(pattern, "String"), &n);
    bool literal = s != NULL;

    if (!s)
        s = json_str(json_get(pattern, "Regex"), &n);
    if (!s)
        return err_set(e, ERR_INPUT, "normalizer Replace has no pattern");
    int rc = tokenizer_regex(&z->pattern, t, s, n, literal, e);
    return rc ? rc : read_string(&z->s, &z->n, t, json_get(v, "content"), "Replace: content", e);
}

int normalizer_from_json(tokenizer *t, const json *v, err *e)
{
    const char *type = json_str(json_get(v, "type"), NULL);
    int rc = 0;

    if (json_kind_of(v) <= JSON_NULL_)
        return 0;
    if (!type)
        return err_set(e, ERR_INPUT, "normalizer has no type");
    if (!strcmp(type, "Sequence")) {
        const json *list = json_get(v, "normalizers");
        for (size_t i = 0; !rc && i < json_count(list); i++)
            rc = normalizer_from_json(t, json_at(list, i), e);
        return rc;
    }

    normalizer z = { 0 };
    if (!strcmp(type, "NFC") || !strcmp(type, "NFD") || !strcmp(type, "NFKC") || !strcmp(type, "NFKD")) {
        z.run = normalize_form;
        z.compat = type[2] == 'K';
        z.compose = type[strlen(type) - 1] == 'C';
    } else if (!strcmp(type, "Lowercase")) {
        z.run = normalize_lowercase;
    } else if (!strcmp(type, "BertNormalizer")) {
        z.run = normalize_bert;
        z.clean = z.ideographs = z.lower = true;
        json_bool(&z.clean, json_get(v, "clean_text"));
        json_bool(&z.ideographs, json_get(v, "handle_chinese_chars"));
        json_bool(&z.lower, json_get(v, "lowercase"));
        z.strip = z.lower; /* null follows it */
        json_bool(&z.strip, json_get(v, "strip_accents"));
    } else if (!strcmp(type, "StripAccents")) {
        z.run = normalize_strip_accents;
    } else if (!strcmp(type, "Nmt")) {
        z.run = normalize_nmt;
    } else if (!strcmp(type, "Precompiled")) {
        size_t n;
        const char *s = json_str(json_get(v, "precompiled_charsmap"), &n);
        z.run = normalize_precompiled;
        rc = s ? charsmap_from_base64(&z.map, t, s, n, e)
               : err_set(e, ERR_INPUT, "normalizer Precompiled: precompiled_charsmap is missing or no string");
    } else if (!strcmp(type, "ByteLevel")) {
        z.run = run_byte_level;
    } else if (!strcmp(type, "Strip")) {
        z.run = run_strip;
        z.left = z.right = true;
        json_bool(&z.left, json_get(v, "strip_left"));
        json_bool(&z.right, json_get(v, "strip_right"));
    } else if (!strcmp(type, "Prepend")) {
        z.run = run_prepend;
        rc = read_string(&z.s, &z.n, t, json_get(v, "prepend"), "Prepend: prepend", e);
    } else if (!strcmp(type, "Replace")) {
        z.run = run_replace;
        rc = read_replace(t, &z, v, e);
    } else {
        return tokenizer_refuse(e, "normalizer type %s", type);
    }
    return rc ? rc : normalizer_add(t, &z, e);
}

int normalizers_run(text *out, const text *x, work *w, err *e)
{
    const tokenizer *t = w->t;
    int rc = 0;

    *out = *x;
    for (size_t i = 0; !rc && i < t->n_normalizer; i++) {
        text now = *out;
        rc = t->normalizers[i].run(&t->normalizers[i], out, &now, w, e);
    }
    return rc;
}
