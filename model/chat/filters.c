/* Filters ("x | trim"), as Jinja and transformers have them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/chat/jinja.h"

typedef struct filter_in {
    jinja *j;
    const node *n;
    value v;
    const value *arg;
    const bool *given;
} filter_in;

static value no_argument(const filter_in *f, const char *what)
{
    return jinja_fail(f->j, f->n->line, "the filter '%.*s' needs %s", (int)f->n->name.n, f->n->name.s, what);
}

/* Argument i as text; out keeps its value when there is none. */
static bool text_of(const filter_in *f, size_t i, text *out)
{
    if (!f->given[i] || f->arg[i].kind == V_NONE)
        return false;
    *out = value_string(f->j, &f->arg[i]);
    return true;
}

static const list *items_of(const filter_in *f)
{
    return value_items(f->j, f->n->line, &f->v);
}

static text subject(const filter_in *f)
{
    return value_string(f->j, &f->v);
}

static value f_trim(const filter_in *f)
{
    text chars;
    bool given = text_of(f, 0, &chars);
    return value_text(text_strip(subject(f), given ? &chars : NULL, STRIP_LEFT | STRIP_RIGHT));
}

static value f_length(const filter_in *f)
{
    return value_int(value_length(f->j, f->n->line, &f->v));
}

static value f_upper(const filter_in *f)
{
    return text_case(f->j, subject(f), CASE_UPPER);
}
static value f_lower(const filter_in *f)
{
    return text_case(f->j, subject(f), CASE_LOWER);
}
static value f_title(const filter_in *f)
{
    return text_case(f->j, subject(f), CASE_TITLE);
}
static value f_capitalize(const filter_in *f)
{
    return text_case(f->j, subject(f), CASE_CAPITAL);
}

static value f_replace(const filter_in *f)
{
    text what, with;
    int64_t most = -1;
    if (!text_of(f, 0, &what) || !text_of(f, 1, &with))
        return no_argument(f, "two strings");
    if (f->given[2] && !value_int_of(&most, &f->arg[2]))
        return no_argument(f, "an integer as its count");
    return text_replace(f->j, subject(f), what, with, most);
}

static value f_default(const filter_in *f)
{
    bool falsy = f->given[1] && value_true(&f->arg[1]) && !value_true(&f->v);
    if (f->v.kind != V_UNDEFINED && !falsy)
        return f->v;
    return f->given[0] ? f->arg[0] : value_text(TEXT(""));
}

static value f_first(const filter_in *f)
{
    const list *l = items_of(f);
    return l && l->n ? l->v[0] : value_undefined(TEXT(""));
}
static value f_last(const filter_in *f)
{
    const list *l = items_of(f);
    return l && l->n ? l->v[l->n - 1] : value_undefined(TEXT(""));
}

static value f_list(const filter_in *f)
{
    const list *l = items_of(f);
    value out = l ? value_new_list(f->j, l->n, false) : value_none();
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++)
        out.u.list->v[i] = l->v[i];
    return out;
}

static value f_reverse(const filter_in *f)
{
    const list *l = items_of(f);
    value out = l ? value_new_list(f->j, l->n, false) : value_none();
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++)
        out.u.list->v[i] = l->v[l->n - 1 - i];
    if (f->v.kind == V_TEXT && !f->j->rc) {
        strbuf b = {0};
        for (size_t i = 0; i < out.u.list->n; i++)
            strbuf_add(&b, out.u.list->v[i].u.t.s, out.u.list->v[i].u.t.n);
        return value_take(f->j, &b);
    }
    return out;
}

static value f_items(const filter_in *f)
{
    if (f->v.kind == V_UNDEFINED)
        return value_new_list(f->j, 0, false);
    if (f->v.kind != V_DICT)
        return no_argument(f, "a mapping");
    node call = {.kind = N_CALL, .line = f->n->line};
    return jinja_call_method(f->j, &call, &f->v, TEXT("items"));
}

static value f_string(const filter_in *f)
{
    return value_text(subject(f));
}

static value f_same(const filter_in *f)
{
    return f->v;
}

static value f_int(const filter_in *f)
{
    double d;
    int64_t i = 0;
    char s[40], *end;
    if (value_int_of(&i, &f->v))
        return value_int(i);
    text t = f->v.kind == V_TEXT ? text_strip(f->v.u.t, NULL, STRIP_LEFT | STRIP_RIGHT) : (text){NULL, 0};
    if (f->v.kind == V_TEXT && t.n > 0 && t.n < sizeof s) {
        memcpy(s, t.s, t.n);
        s[t.n] = '\0';
        d = strtod(s, &end);
        if (*end == '\0' && fabs(d) < 9e15)
            return value_int((int64_t)d);
    } else if (value_number(&d, &f->v) && fabs(d) < 9e15) {
        return value_int((int64_t)d);
    }
    return f->given[0] ? f->arg[0] : value_int(0);
}

static value f_float(const filter_in *f)
{
    double d;
    char s[64], *end;
    if (value_number(&d, &f->v))
        return value_real(d);
    text t = f->v.kind == V_TEXT ? text_strip(f->v.u.t, NULL, STRIP_LEFT | STRIP_RIGHT) : (text){NULL, 0};
    if (t.n > 0 && t.n < sizeof s) {
        memcpy(s, t.s, t.n);
        s[t.n] = '\0';
        d = strtod(s, &end);
        if (*end == '\0')
            return value_real(d);
    }
    return f->given[0] ? f->arg[0] : value_real(0);
}

static value f_abs(const filter_in *f)
{
    double d;
    int64_t i;
    if (value_int_of(&i, &f->v) && i != INT64_MIN)
        return value_int(i < 0 ? -i : i);
    return value_number(&d, &f->v) ? value_real(fabs(d)) : no_argument(f, "a number");
}

static value f_tojson(const filter_in *f)
{
    int64_t indent = -1;
    strbuf b = {0};
    if ((f->given[0] && value_true(&f->arg[0])) || (f->given[2] && f->arg[2].kind != V_NONE))
        return jinja_fail(f->j, f->n->line, "tojson with ensure_ascii or separators is not supported");
    if (f->given[1] && f->arg[1].kind != V_NONE && (!value_int_of(&indent, &f->arg[1]) || indent < 0 || indent > 64))
        return no_argument(f, "a small integer as its indent");
    value_put_json(f->j, &b, &f->v, (int)indent, 0, f->given[3] && value_true(&f->arg[3]));
    return value_take(f->j, &b);
}

/* "a.b" or "0" of v. */
static value attribute(jinja *j, int line, value v, text path)
{
    while (path.n && !j->rc) {
        const char *dot = memchr(path.s, '.', path.n);
        text part = {path.s, dot ? (size_t)(dot - path.s) : path.n};
        const value *found = v.kind == V_DICT || v.kind == V_NAMESPACE ? value_dict_name(&v, part) : NULL;
        if (v.kind == V_UNDEFINED) {
            jinja_fail(j, line, "an attribute of an undefined value");
            return v;
        }
        v = found ? *found : value_undefined(part);
        path.s += part.n + (dot != NULL);
        path.n -= part.n + (dot != NULL);
    }
    return v;
}

static value f_join(const filter_in *f)
{
    text between = TEXT(""), path;
    const list *l = items_of(f);
    strbuf b = {0};
    bool part = text_of(f, 1, &path);
    text_of(f, 0, &between);
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++) {
        value v = part ? attribute(f->j, f->n->line, l->v[i], path) : l->v[i];
        if (i)
            strbuf_add(&b, between.s, between.n);
        value_print(f->j, &b, &v);
        if (b.len > jinja_output)
            jinja_fail(f->j, f->n->line, "a text is longer than %zu MiB", jinja_output >> 20);
    }
    return value_take(f->j, &b);
}

/* select, reject (by the item) and selectattr, rejectattr (by one of its attributes). */
static value choose(const filter_in *f, bool by_attribute, bool want)
{
    const list *l = items_of(f);
    value out = l ? value_new_list(f->j, l->n, false) : value_none();
    size_t at = by_attribute, n = 0;
    text path = TEXT(""), test;
    if (by_attribute && !text_of(f, 0, &path))
        return no_argument(f, "the name of an attribute");
    bool named = text_of(f, at, &test);
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++) {
        value v = by_attribute ? attribute(f->j, f->n->line, l->v[i], path) : l->v[i];
        bool yes = named ? jinja_test(f->j, f->n->line, test, &v, &f->arg[at + 1], f->given[at + 1]) : value_true(&v);
        if (yes == want && !f->j->rc)
            out.u.list->v[n++] = l->v[i];
    }
    if (!f->j->rc)
        out.u.list->n = n;
    return out;
}

static value f_select(const filter_in *f)
{
    return choose(f, false, true);
}
static value f_reject(const filter_in *f)
{
    return choose(f, false, false);
}
static value f_selectattr(const filter_in *f)
{
    return choose(f, true, true);
}
static value f_rejectattr(const filter_in *f)
{
    return choose(f, true, false);
}

static value jinja_filter_named(jinja *j, const node *n, text name, value v);

/* map("filter") or map(attribute="name", default=...). */
static value f_map(const filter_in *f)
{
    text name;
    const list *l = items_of(f);
    value out = l ? value_new_list(f->j, l->n, false) : value_none();
    bool path = text_of(f, 1, &name);
    if (!path && !text_of(f, 0, &name))
        return no_argument(f, "a filter or an attribute");
    node plain = {.kind = N_FILTER, .line = f->n->line, .name = name};
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++) {
        value v = path ? attribute(f->j, f->n->line, l->v[i], name) : jinja_filter_named(f->j, &plain, name, l->v[i]);
        out.u.list->v[i] = v.kind == V_UNDEFINED && f->given[2] ? f->arg[2] : v;
    }
    return out;
}

static value f_unique(const filter_in *f)
{
    const list *l = items_of(f);
    value out = l ? value_new_list(f->j, l->n, false) : value_none();
    size_t n = 0;
    for (size_t i = 0; l && i < l->n && jinja_step(f->j, f->n->line); i++) {
        bool seen = false;
        for (size_t k = 0; k < n && !seen && jinja_step(f->j, f->n->line); k++)
            seen = value_equal(&out.u.list->v[k], &l->v[i]);
        if (!seen)
            out.u.list->v[n++] = l->v[i];
    }
    if (!f->j->rc && l)
        out.u.list->n = n;
    return out;
}

/* sort(reverse=false, case_sensitive=false, attribute=none); by insertion, which is stable. */
static value f_sort(const filter_in *f)
{
    value out = f_list(f);
    text path;
    bool by = text_of(f, 2, &path), down = f->given[0] && value_true(&f->arg[0]);
    bool cased = f->given[1] && value_true(&f->arg[1]);
    for (size_t i = 1; !f->j->rc && i < out.u.list->n; i++) {
        value v = out.u.list->v[i];
        size_t at = i;
        for (; at > 0 && jinja_step(f->j, f->n->line); at--) {
            value a = by ? attribute(f->j, f->n->line, out.u.list->v[at - 1], path) : out.u.list->v[at - 1];
            value b = by ? attribute(f->j, f->n->line, v, path) : v;
            if (!cased && a.kind == V_TEXT && b.kind == V_TEXT) {
                a = text_case(f->j, a.u.t, CASE_LOWER);
                b = text_case(f->j, b.u.t, CASE_LOWER);
            }
            int order = f->j->rc ? 0 : value_order(f->j, f->n->line, &a, &b);
            if (down ? order >= 0 : order <= 0)
                break;
            out.u.list->v[at] = out.u.list->v[at - 1];
        }
        out.u.list->v[at] = v;
    }
    return out;
}

static value f_dictsort(const filter_in *f)
{
    if (f->v.kind != V_DICT)
        return no_argument(f, "a mapping");
    bool given[4] = {false};
    filter_in inner = *f;
    inner.v = f_items(f);
    inner.given = given; /* pairs order by their keys, which differ */
    return f->j->rc ? inner.v : f_sort(&inner);
}

static value f_sum(const filter_in *f)
{
    const list *l = items_of(f);
    double sum = 0;
    int64_t whole = 0, i;
    bool real = false;
    text path;
    bool by = text_of(f, 0, &path);
    for (size_t k = 0; l && k < l->n && !f->j->rc; k++) {
        value v = by ? attribute(f->j, f->n->line, l->v[k], path) : l->v[k];
        double d;
        if (!value_number(&d, &v))
            return no_argument(f, "numbers");
        real |= !value_int_of(&i, &v) || __builtin_add_overflow(whole, i, &whole);
        sum += d;
    }
    return real ? value_real(sum) : value_int(whole);
}

static value extreme(const filter_in *f, int sign)
{
    const list *l = items_of(f);
    value best = value_undefined(TEXT(""));
    for (size_t i = 0; l && i < l->n && !f->j->rc; i++)
        if (i == 0 || value_order(f->j, f->n->line, &l->v[i], &best) * sign > 0)
            best = l->v[i];
    return best;
}
static value f_min(const filter_in *f)
{
    return extreme(f, -1);
}
static value f_max(const filter_in *f)
{
    return extreme(f, 1);
}

static value f_round(const filter_in *f)
{
    double d, scale = 1;
    int64_t digits = 0;
    if (!value_number(&d, &f->v) || (f->given[0] && !value_int_of(&digits, &f->arg[0])) || digits < 0 || digits > 15)
        return no_argument(f, "a number");
    for (int64_t i = 0; i < digits; i++)
        scale *= 10;
    return value_real(nearbyint(d * scale) / scale);
}

/* indent(width=4, first=false, blank=false) */
static value f_indent(const filter_in *f)
{
    text t = subject(f);
    int64_t width = 4;
    strbuf b = {0};
    if (f->given[0] && (!value_int_of(&width, &f->arg[0]) || width < 0 || width > 256))
        return no_argument(f, "a small integer as its width");
    bool first = f->given[1] && value_true(&f->arg[1]), blank = f->given[2] && value_true(&f->arg[2]), start = true;
    for (size_t line = 0; t.n || start; line++) {
        const char *end = t.n ? memchr(t.s, '\n', t.n) : NULL;
        size_t n = end ? (size_t)(end - t.s) : t.n;
        for (int64_t i = 0; (line ? n || blank : first) && i < width; i++)
            strbuf_putc(&b, ' ');
        strbuf_add(&b, t.s, n + (end != NULL));
        t.s += n + (end != NULL);
        t.n -= n + (end != NULL);
        start = end != NULL && t.n == 0 && blank; /* an empty last line */
        if (b.len > jinja_output)
            jinja_fail(f->j, f->n->line, "a text is longer than %zu MiB", jinja_output >> 20);
        if (f->j->rc)
            break;
    }
    return value_take(f->j, &b);
}

/* ---- all ---- */

static const struct filter_row {
    const char *name;
    value (*apply)(const filter_in *);
    size_t most;
    const char *names[4];
} all[] = {
    {"abs", f_abs, 0, {NULL}},
    {"capitalize", f_capitalize, 0, {NULL}},
    {"count", f_length, 0, {NULL}},
    {"d", f_default, 2, {"default_value", "boolean"}},
    {"default", f_default, 2, {"default_value", "boolean"}},
    {"dictsort", f_dictsort, 0, {NULL}},
    {"first", f_first, 0, {NULL}},
    {"float", f_float, 1, {"default"}},
    {"indent", f_indent, 3, {"width", "first", "blank"}},
    {"int", f_int, 1, {"default"}},
    {"items", f_items, 0, {NULL}},
    {"join", f_join, 2, {"d", "attribute"}},
    {"last", f_last, 0, {NULL}},
    {"length", f_length, 0, {NULL}},
    {"list", f_list, 0, {NULL}},
    {"lower", f_lower, 0, {NULL}},
    {"map", f_map, 3, {NULL, "attribute", "default"}},
    {"max", f_max, 0, {NULL}},
    {"min", f_min, 0, {NULL}},
    {"reject", f_reject, 2, {NULL}},
    {"rejectattr", f_rejectattr, 3, {NULL}},
    {"replace", f_replace, 3, {"old", "new", "count"}},
    {"reverse", f_reverse, 0, {NULL}},
    {"round", f_round, 1, {"precision"}},
    {"safe", f_same, 0, {NULL}},
    {"select", f_select, 2, {NULL}},
    {"selectattr", f_selectattr, 3, {NULL}},
    {"sort", f_sort, 3, {"reverse", "case_sensitive", "attribute"}},
    {"string", f_string, 0, {NULL}},
    {"sum", f_sum, 1, {"attribute"}},
    {"title", f_title, 0, {NULL}},
    {"tojson", f_tojson, 4, {"ensure_ascii", "indent", "separators", "sort_keys"}},
    {"trim", f_trim, 1, {"chars"}},
    {"unique", f_unique, 0, {NULL}},
    {"upper", f_upper, 0, {NULL}},
};

static value jinja_filter_named(jinja *j, const node *n, text name, value v)
{
    value arg[4];
    bool given[4] = {false};
    filter_in f = {.j = j, .n = n, .v = v, .arg = arg, .given = given};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!text_is(name, all[i].name))
            continue;
        if (!jinja_arguments(j, n, arg, all[i].most, all[i].names, given))
            return value_none();
        return all[i].apply(&f);
    }
    return jinja_fail(j, n->line, "the filter '%.*s' is not supported", name.n > 40 ? 40 : (int)name.n, name.s);
}

value jinja_filter(jinja *j, const node *n, value in)
{
    return jinja_filter_named(j, n, n->name, in);
}
