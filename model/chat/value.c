/* Values of the template language: what they are equal to, how they order and how they print. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/chat/jinja.h"

bool text_equal(text a, text b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

value value_copy_text(jinja *j, const char *s, size_t n)
{
    char *copy = jinja_alloc(j, n + 1, 1);
    if (!copy)
        return value_none();
    if (n)
        memcpy(copy, s, n);
    return value_text((text){copy, n});
}

value value_take(jinja *j, strbuf *b)
{
    value v = b->failed ? jinja_fail(j, 0, "out of memory") : value_copy_text(j, strbuf_str(b), b->len);
    strbuf_free(b);
    return v;
}

value value_new_list(jinja *j, size_t n, bool tuple)
{
    list *l = jinja_alloc(j, 1, sizeof *l);
    if (!l)
        return value_none();
    l->v = jinja_alloc(j, n, sizeof *l->v);
    l->n = l->v ? n : 0;
    l->tuple = tuple;
    return (value){V_LIST, {.list = l}};
}

value value_new_dict(jinja *j)
{
    dict *d = jinja_alloc(j, 1, sizeof *d);
    return d ? (value){V_DICT, {.dict = d}} : value_none();
}

void value_dict_set(jinja *j, value *in, value key, value v)
{
    dict *d = in->u.dict;
    if (j->rc)
        return;
    for (size_t i = 0; i < d->n; i++)
        if (value_equal(&d->p[i].key, &key)) {
            d->p[i].v = v;
            return;
        }
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 8;
        pair *more = jinja_alloc(j, cap, sizeof *more);
        if (!more)
            return;
        if (d->n)
            memcpy(more, d->p, d->n * sizeof *more);
        d->p = more;
        d->cap = cap;
    }
    d->p[d->n++] = (pair){key, v};
}

const value *value_dict_get(const value *in, const value *key)
{
    const dict *d = in->u.dict;
    for (size_t i = 0; i < d->n; i++)
        if (value_equal(&d->p[i].key, key))
            return &d->p[i].v;
    return NULL;
}

const value *value_dict_name(const value *in, text key)
{
    value k = value_text(key);
    return value_dict_get(in, &k);
}

const char *value_kind_name(const value *v)
{
    static const char *const names[] = {"undefined", "none", "a boolean", "an integer", "a number", "a string",
                                        "a list", "a mapping", "a namespace", "a macro", "a function", "a method",
                                        "a loop"};
    return names[v->kind];
}

bool value_true(const value *v)
{
    switch (v->kind) {
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v->u.b;
    case V_INT:
        return v->u.i != 0;
    case V_REAL:
        return v->u.d != 0;
    case V_TEXT:
        return v->u.t.n > 0;
    case V_LIST:
        return v->u.list->n > 0;
    case V_DICT:
        return v->u.dict->n > 0;
    default:
        return true;
    }
}

bool value_number(double *out, const value *v)
{
    switch (v->kind) {
    case V_BOOL:
        *out = v->u.b;
        return true;
    case V_INT:
        *out = (double)v->u.i;
        return true;
    case V_REAL:
        *out = v->u.d;
        return true;
    default:
        return false;
    }
}

bool value_int_of(int64_t *out, const value *v)
{
    if (v->kind == V_BOOL)
        *out = v->u.b;
    else if (v->kind == V_INT)
        *out = v->u.i;
    else
        return false;
    return true;
}

/* Lists in lists are as deep as the source or the messages nest, both of which are limited. */
bool value_equal(const value *a, const value *b)
{
    double x, y;
    int64_t m, n;
    if (value_int_of(&m, a) && value_int_of(&n, b))
        return m == n;
    if (value_number(&x, a) && value_number(&y, b))
        return x == y;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case V_TEXT:
        return text_equal(a->u.t, b->u.t);
    case V_LIST:
        if (a->u.list == b->u.list)
            return true;
        if (a->u.list->n != b->u.list->n || a->u.list->tuple != b->u.list->tuple)
            return false;
        for (size_t i = 0; i < a->u.list->n; i++)
            if (!value_equal(&a->u.list->v[i], &b->u.list->v[i]))
                return false;
        return true;
    case V_DICT:
        if (a->u.dict == b->u.dict)
            return true;
        if (a->u.dict->n != b->u.dict->n)
            return false;
        for (size_t i = 0; i < a->u.dict->n; i++) {
            const value *other = value_dict_get(b, &a->u.dict->p[i].key);
            if (!other || !value_equal(&a->u.dict->p[i].v, other))
                return false;
        }
        return true;
    case V_UNDEFINED:
    case V_NONE:
        return true;
    case V_NAMESPACE:
        return a->u.dict == b->u.dict;
    case V_MACRO:
        return a->u.macro == b->u.macro;
    default:
        return false;
    }
}

int value_order(jinja *j, int line, const value *a, const value *b)
{
    double x, y;
    if (value_number(&x, a) && value_number(&y, b))
        return (x > y) - (x < y);
    if (a->kind == V_TEXT && b->kind == V_TEXT) {
        size_t n = a->u.t.n < b->u.t.n ? a->u.t.n : b->u.t.n;
        int order = n ? memcmp(a->u.t.s, b->u.t.s, n) : 0;
        return order ? order : (a->u.t.n > b->u.t.n) - (a->u.t.n < b->u.t.n);
    }
    if (a->kind == V_LIST && b->kind == V_LIST) {
        size_t n = a->u.list->n < b->u.list->n ? a->u.list->n : b->u.list->n;
        for (size_t i = 0; i < n; i++)
            if (!value_equal(&a->u.list->v[i], &b->u.list->v[i]))
                return value_order(j, line, &a->u.list->v[i], &b->u.list->v[i]);
        return (a->u.list->n > b->u.list->n) - (a->u.list->n < b->u.list->n);
    }
    jinja_fail(j, line, "%s cannot be compared with %s", value_kind_name(a), value_kind_name(b));
    return 0;
}

bool value_contains(jinja *j, int line, const value *in, const value *v)
{
    switch (in->kind) {
    case V_TEXT:
        if (v->kind != V_TEXT) {
            jinja_fail(j, line, "'in' looks for %s in a string", value_kind_name(v));
            return false;
        }
        return text_find(in->u.t, v->u.t) != NULL;
    case V_LIST:
        for (size_t i = 0; i < in->u.list->n; i++)
            if (value_equal(&in->u.list->v[i], v))
                return true;
        return false;
    case V_DICT:
        return value_dict_get(in, v) != NULL;
    case V_UNDEFINED:
        return false;
    default:
        jinja_fail(j, line, "'in' cannot look into %s", value_kind_name(in));
        return false;
    }
}

const list *value_items(jinja *j, int line, const value *v)
{
    value out;
    size_t n = 0;
    switch (v->kind) {
    case V_LIST:
        return v->u.list;
    case V_UNDEFINED:
        out = value_new_list(j, 0, false);
        return j->rc ? NULL : out.u.list;
    case V_DICT:
        out = value_new_list(j, v->u.dict->n, false);
        for (; !j->rc && n < v->u.dict->n; n++)
            out.u.list->v[n] = v->u.dict->p[n].key;
        return j->rc ? NULL : out.u.list;
    case V_TEXT: {
        text t = v->u.t;
        out = value_new_list(j, text_length(t), false);
        while (!j->rc && t.n) {
            text c = text_slice(t, 0, 1);
            out.u.list->v[n++] = value_text(c);
            t.s += c.n;
            t.n -= c.n;
        }
        return j->rc ? NULL : out.u.list;
    }
    default:
        jinja_fail(j, line, "%s cannot be iterated over", value_kind_name(v));
        return NULL;
    }
}

int64_t value_length(jinja *j, int line, const value *v)
{
    switch (v->kind) {
    case V_TEXT:
        return (int64_t)text_length(v->u.t);
    case V_LIST:
        return (int64_t)v->u.list->n;
    case V_DICT:
        return (int64_t)v->u.dict->n;
    case V_UNDEFINED:
        return 0;
    default:
        jinja_fail(j, line, "%s has no length", value_kind_name(v));
        return 0;
    }
}

/* ---- printing ---- */

static void put_real(strbuf *b, double d, bool json)
{
    size_t at = b->len;
    if (isnan(d) || isinf(d)) {
        static const char *const words[2][3] = {{"nan", "inf", "-inf"}, {"NaN", "Infinity", "-Infinity"}};
        strbuf_puts(b, words[json][isnan(d) ? 0 : d > 0 ? 1 : 2]);
        return;
    }
    strbuf_put_real(b, d);
    if (!b->failed && strspn(b->s + at, "-0123456789") == b->len - at)
        strbuf_puts(b, ".0");
}

static bool put_plain(strbuf *b, const value *v)
{
    switch (v->kind) {
    case V_NONE:
        strbuf_puts(b, "None");
        return true;
    case V_BOOL:
        strbuf_puts(b, v->u.b ? "True" : "False");
        return true;
    case V_INT:
        strbuf_printf(b, "%" PRId64, v->u.i);
        return true;
    case V_REAL:
        put_real(b, v->u.d, false);
        return true;
    default:
        return false;
    }
}

/* Python's quotes: single ones, unless the text has single and no double ones. */
static void repr_text(strbuf *b, text t)
{
    char quote = memchr(t.s ? t.s : "", '\'', t.n) && !memchr(t.s ? t.s : "", '"', t.n) ? '"' : '\'';
    strbuf_putc(b, quote);
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.s[i];
        if (c == '\n')
            strbuf_puts(b, "\\n");
        else if (c == '\r')
            strbuf_puts(b, "\\r");
        else if (c == '\t')
            strbuf_puts(b, "\\t");
        else if (c < 0x20 || c == 0x7f)
            strbuf_printf(b, "\\x%02x", c);
        else if (c == '\\' || c == (unsigned char)quote)
            strbuf_printf(b, "\\%c", c);
        else
            strbuf_putc(b, (char)c);
    }
    strbuf_putc(b, quote);
}

void value_repr(jinja *j, strbuf *b, const value *v)
{
    if (put_plain(b, v) || j->rc || !jinja_enter(j, 0))
        return;
    switch (v->kind) {
    case V_TEXT:
        repr_text(b, v->u.t);
        break;
    case V_LIST:
        strbuf_putc(b, v->u.list->tuple ? '(' : '[');
        for (size_t i = 0; i < v->u.list->n; i++) {
            strbuf_puts(b, i ? ", " : "");
            value_repr(j, b, &v->u.list->v[i]);
        }
        strbuf_puts(b, v->u.list->tuple ? v->u.list->n == 1 ? ",)" : ")" : "]");
        break;
    case V_DICT:
        strbuf_putc(b, '{');
        for (size_t i = 0; i < v->u.dict->n; i++) {
            strbuf_puts(b, i ? ", " : "");
            value_repr(j, b, &v->u.dict->p[i].key);
            strbuf_puts(b, ": ");
            value_repr(j, b, &v->u.dict->p[i].v);
        }
        strbuf_putc(b, '}');
        break;
    case V_UNDEFINED:
        strbuf_puts(b, "Undefined");
        break;
    default:
        jinja_fail(j, 0, "%s has no text", value_kind_name(v));
    }
    j->depth--;
    if (b->len > jinja_output)
        jinja_fail(j, 0, "a text is longer than %zu MiB", jinja_output >> 20);
}

void value_print(jinja *j, strbuf *b, const value *v)
{
    if (v->kind == V_TEXT)
        strbuf_add(b, v->u.t.s, v->u.t.n);
    else if (v->kind != V_UNDEFINED)
        value_repr(j, b, v);
}

text value_string(jinja *j, const value *v)
{
    strbuf b = {0};
    if (v->kind == V_TEXT)
        return v->u.t;
    value_print(j, &b, v);
    value t = value_take(j, &b);
    return t.kind == V_TEXT ? t.u.t : TEXT("");
}

static void json_text(strbuf *b, text t)
{
    strbuf_putc(b, '"');
    for (size_t i = 0; i < t.n; i++) {
        static const char plain[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
        unsigned char c = (unsigned char)t.s[i];
        const char *p = c ? strchr(plain, c) : NULL;
        if (p)
            strbuf_printf(b, "\\%c", letters[p - plain]);
        else if (c < 0x20)
            strbuf_printf(b, "\\u%04x", c);
        else
            strbuf_putc(b, (char)c);
    }
    strbuf_putc(b, '"');
}

static void json_break(strbuf *b, int indent, int depth)
{
    if (indent < 0)
        return;
    strbuf_putc(b, '\n');
    for (int i = 0; i < indent * depth; i++)
        strbuf_putc(b, ' ');
}

/* Index of the k-th pair in the order of the keys' texts. */
static size_t kth_key(const dict *d, size_t k)
{
    for (size_t i = 0; i < d->n; i++) {
        size_t before = 0;
        for (size_t m = 0; m < d->n; m++) {
            text a = d->p[m].key.u.t, b = d->p[i].key.u.t;
            size_t n = a.n < b.n ? a.n : b.n;
            int order = n ? memcmp(a.s, b.s, n) : 0;
            before += order ? order < 0 : a.n < b.n;
        }
        if (before == k)
            return i;
    }
    return k;
}

static void json_dict(jinja *j, strbuf *b, const dict *d, int indent, int depth, bool sort_keys)
{
    strbuf_putc(b, '{');
    for (size_t i = 0; i < d->n && !j->rc; i++) {
        const pair *p = &d->p[i];
        for (size_t m = 0; sort_keys && m < d->n; m++)
            sort_keys = d->p[m].key.kind == V_TEXT;
        if (sort_keys)
            p = &d->p[kth_key(d, i)];
        strbuf_puts(b, i ? indent < 0 ? ", " : "," : "");
        json_break(b, indent, depth + 1);
        if (p->key.kind == V_TEXT) {
            json_text(b, p->key.u.t);
        } else { /* numbers and constants become strings */
            strbuf_putc(b, '"');
            value_put_json(j, b, &p->key, -1, 0, false);
            strbuf_putc(b, '"');
        }
        strbuf_puts(b, ": ");
        value_put_json(j, b, &p->v, indent, depth + 1, sort_keys);
    }
    if (d->n)
        json_break(b, indent, depth);
    strbuf_putc(b, '}');
}

void value_put_json(jinja *j, strbuf *b, const value *v, int indent, int depth, bool sort_keys)
{
    if (j->rc || !jinja_enter(j, 0))
        return;
    switch (v->kind) {
    case V_NONE:
        strbuf_puts(b, "null");
        break;
    case V_BOOL:
        strbuf_puts(b, v->u.b ? "true" : "false");
        break;
    case V_REAL:
        put_real(b, v->u.d, true);
        break;
    case V_INT:
        put_plain(b, v);
        break;
    case V_TEXT:
        json_text(b, v->u.t);
        break;
    case V_LIST:
        strbuf_putc(b, '[');
        for (size_t i = 0; i < v->u.list->n && !j->rc; i++) {
            strbuf_puts(b, i ? indent < 0 ? ", " : "," : "");
            json_break(b, indent, depth + 1);
            value_put_json(j, b, &v->u.list->v[i], indent, depth + 1, sort_keys);
        }
        if (v->u.list->n)
            json_break(b, indent, depth);
        strbuf_putc(b, ']');
        break;
    case V_DICT:
        json_dict(j, b, v->u.dict, indent, depth, sort_keys);
        break;
    default:
        jinja_fail(j, 0, "%s cannot be written as JSON", value_kind_name(v));
    }
    j->depth--;
    if (b->len > jinja_output)
        jinja_fail(j, 0, "a text is longer than %zu MiB", jinja_output >> 20);
}
