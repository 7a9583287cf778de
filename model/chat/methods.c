/* Methods of strings and mappings, as Python has them. */
#include <string.h>

#include "model/chat/jinja.h"

typedef struct call_in {
    jinja *j;
    const node *call;
    text t;              /* of a string */
    const dict *d;       /* of a mapping */
    const value *arg;
    size_t n;            /* arguments given */
} call_in;

/* Argument i as a string; false when it is absent or (with an error) something else. */
static bool text_argument(const call_in *c, size_t i, text *out)
{
    if (i >= c->n || c->arg[i].kind == V_NONE)
        return false;
    if (c->arg[i].kind != V_TEXT) {
        jinja_fail(c->j, c->call->line, "argument %zu is %s, not a string", i + 1, value_kind_name(&c->arg[i]));
        return false;
    }
    *out = c->arg[i].u.t;
    return true;
}

static int64_t int_argument(const call_in *c, size_t i, int64_t fallback)
{
    int64_t v = fallback;
    if (i < c->n && c->arg[i].kind != V_NONE && !value_int_of(&v, &c->arg[i]))
        jinja_fail(c->j, c->call->line, "argument %zu is %s, not an integer", i + 1, value_kind_name(&c->arg[i]));
    return v;
}

static value needs_text(const call_in *c)
{
    return jinja_fail(c->j, c->call->line, "the method needs a string");
}

static value strip(const call_in *c, int sides)
{
    text chars;
    bool given = text_argument(c, 0, &chars);
    return value_text(text_strip(c->t, given ? &chars : NULL, sides));
}

static value m_strip(const call_in *c)
{
    return strip(c, STRIP_LEFT | STRIP_RIGHT);
}
static value m_lstrip(const call_in *c)
{
    return strip(c, STRIP_LEFT);
}
static value m_rstrip(const call_in *c)
{
    return strip(c, STRIP_RIGHT);
}

static bool at_end(text t, text what, bool end)
{
    return what.n <= t.n && (what.n == 0 || memcmp(end ? t.s + t.n - what.n : t.s, what.s, what.n) == 0);
}

/* One string or a tuple of them. */
static value touches(const call_in *c, bool end)
{
    text what;
    if (c->n && c->arg[0].kind == V_LIST) {
        const list *l = c->arg[0].u.list;
        for (size_t i = 0; i < l->n; i++)
            if (l->v[i].kind == V_TEXT && at_end(c->t, l->v[i].u.t, end))
                return value_bool(true);
        return value_bool(false);
    }
    return text_argument(c, 0, &what) ? value_bool(at_end(c->t, what, end)) : needs_text(c);
}

static value m_startswith(const call_in *c)
{
    return touches(c, false);
}
static value m_endswith(const call_in *c)
{
    return touches(c, true);
}

static value m_removeprefix(const call_in *c)
{
    text what;
    if (!text_argument(c, 0, &what))
        return needs_text(c);
    return value_text(at_end(c->t, what, false) ? (text){c->t.s + what.n, c->t.n - what.n} : c->t);
}
static value m_removesuffix(const call_in *c)
{
    text what;
    if (!text_argument(c, 0, &what))
        return needs_text(c);
    return value_text(at_end(c->t, what, true) ? (text){c->t.s, c->t.n - what.n} : c->t);
}

static value split(const call_in *c, bool from_right)
{
    text at;
    bool given = text_argument(c, 0, &at);
    if (given && at.n == 0)
        return jinja_fail(c->j, c->call->line, "the separator is empty");
    int64_t most = int_argument(c, 1, -1);
    return c->j->rc ? value_none() : text_split(c->j, c->t, given ? &at : NULL, most, from_right);
}

static value m_split(const call_in *c)
{
    return split(c, false);
}
static value m_rsplit(const call_in *c)
{
    return split(c, true);
}

static value m_splitlines(const call_in *c)
{
    static const char end[] = "\n";
    text t = c->t, at = {end, 1};
    if (t.n && t.s[t.n - 1] == '\n')
        t.n--;
    else if (t.n == 0)
        return value_new_list(c->j, 0, false);
    return text_split(c->j, t, &at, -1, false);
}

static value m_lower(const call_in *c)
{
    return text_case(c->j, c->t, CASE_LOWER);
}
static value m_upper(const call_in *c)
{
    return text_case(c->j, c->t, CASE_UPPER);
}
static value m_title(const call_in *c)
{
    return text_case(c->j, c->t, CASE_TITLE);
}
static value m_capitalize(const call_in *c)
{
    return text_case(c->j, c->t, CASE_CAPITAL);
}

static value m_replace(const call_in *c)
{
    text what, with;
    if (!text_argument(c, 0, &what) || !text_argument(c, 1, &with))
        return needs_text(c);
    int64_t most = int_argument(c, 2, -1);
    return c->j->rc ? value_none() : text_replace(c->j, c->t, what, with, most);
}

/* Position of the first (last) occurrence in characters, -1 when there is none. */
static value find(const call_in *c, bool last)
{
    text what, rest = c->t;
    const char *found = NULL;
    if (!text_argument(c, 0, &what))
        return needs_text(c);
    for (const char *at = text_find(rest, what); at; at = what.n && last ? text_find(rest, what) : NULL) {
        found = at;
        rest.n = (size_t)(c->t.s + c->t.n - at - 1);
        rest.s = at + 1;
    }
    return value_int(found && c->t.n ? (int64_t)text_length((text){c->t.s, (size_t)(found - c->t.s)}) : found ? 0 : -1);
}

static value m_find(const call_in *c)
{
    return find(c, false);
}
static value m_rfind(const call_in *c)
{
    return find(c, true);
}

static value m_count(const call_in *c)
{
    text what, rest = c->t;
    int64_t n = 0;
    if (!text_argument(c, 0, &what))
        return needs_text(c);
    if (!what.n)
        return value_int((int64_t)text_length(c->t) + 1);
    for (const char *at; (at = text_find(rest, what)); n++) {
        rest.n -= (size_t)(at - rest.s) + what.n;
        rest.s = at + what.n;
    }
    return value_int(n);
}

static value m_join(const call_in *c)
{
    strbuf b = {0};
    const list *l = c->n ? value_items(c->j, c->call->line, &c->arg[0]) : NULL;
    if (!l)
        return jinja_fail(c->j, c->call->line, "join needs a list");
    for (size_t i = 0; i < l->n && !c->j->rc; i++) {
        if (i)
            strbuf_add(&b, c->t.s, c->t.n);
        if (l->v[i].kind == V_TEXT)
            strbuf_add(&b, l->v[i].u.t.s, l->v[i].u.t.n);
        else
            jinja_fail(c->j, c->call->line, "join over %s", value_kind_name(&l->v[i]));
        if (b.len > jinja_output)
            jinja_fail(c->j, c->call->line, "a text is longer than %zu MiB", jinja_output >> 20);
    }
    return value_take(c->j, &b);
}

static value each_byte(const call_in *c, const char *ranges)
{
    for (size_t i = 0; i < c->t.n; i++) {
        bool in = false;
        for (const char *r = ranges; *r && !in; r += 2)
            in = c->t.s[i] >= r[0] && c->t.s[i] <= r[1];
        if (!in)
            return value_bool(false);
    }
    return value_bool(c->t.n > 0);
}

static value m_isdigit(const call_in *c)
{
    return each_byte(c, "09");
}
static value m_isspace(const call_in *c)
{
    return value_bool(c->t.n > 0 && text_strip(c->t, NULL, STRIP_LEFT).n == 0);
}

/* ---- mappings ---- */

static value pairs(const call_in *c, bool keys, bool values)
{
    value out = value_new_list(c->j, c->d->n, false);
    for (size_t i = 0; i < c->d->n && !c->j->rc; i++) {
        const pair *p = &c->d->p[i];
        if (keys && values) {
            value two = value_new_list(c->j, 2, true);
            if (c->j->rc)
                break;
            two.u.list->v[0] = p->key;
            two.u.list->v[1] = p->v;
            out.u.list->v[i] = two;
        } else {
            out.u.list->v[i] = keys ? p->key : p->v;
        }
    }
    return out;
}

static value m_items(const call_in *c)
{
    return pairs(c, true, true);
}
static value m_keys(const call_in *c)
{
    return pairs(c, true, false);
}
static value m_values(const call_in *c)
{
    return pairs(c, false, true);
}

static value m_get(const call_in *c)
{
    for (size_t i = 0; i < c->d->n && c->n; i++)
        if (value_equal(&c->d->p[i].key, &c->arg[0]))
            return c->d->p[i].v;
    return c->n > 1 ? c->arg[1] : value_none();
}

/* ---- all ---- */

static const struct method_row {
    const char *name;
    value (*call)(const call_in *);
    int most;
    const char *names[3];
} of_text[] = {
    {"strip", m_strip, 1, {NULL}}, {"lstrip", m_lstrip, 1, {NULL}}, {"rstrip", m_rstrip, 1, {NULL}},
    {"startswith", m_startswith, 1, {NULL}}, {"endswith", m_endswith, 1, {NULL}},
    {"removeprefix", m_removeprefix, 1, {NULL}}, {"removesuffix", m_removesuffix, 1, {NULL}},
    {"split", m_split, 2, {"sep", "maxsplit", NULL}}, {"rsplit", m_rsplit, 2, {"sep", "maxsplit", NULL}},
    {"splitlines", m_splitlines, 0, {NULL}}, {"lower", m_lower, 0, {NULL}}, {"upper", m_upper, 0, {NULL}},
    {"title", m_title, 0, {NULL}}, {"capitalize", m_capitalize, 0, {NULL}},
    {"replace", m_replace, 3, {NULL, NULL, "count"}}, {"find", m_find, 1, {NULL}}, {"rfind", m_rfind, 1, {NULL}},
    {"count", m_count, 1, {NULL}}, {"join", m_join, 1, {NULL}}, {"isdigit", m_isdigit, 0, {NULL}},
    {"isspace", m_isspace, 0, {NULL}},
    {NULL, NULL, 0, {NULL}},
}, of_dict[] = {
    {"items", m_items, 0, {NULL}}, {"keys", m_keys, 0, {NULL}}, {"values", m_values, 0, {NULL}},
    {"get", m_get, 2, {NULL, NULL, NULL}},
    {NULL, NULL, 0, {NULL}},
};

static const struct method_row *find_method(const value *self, text name)
{
    const struct method_row *m = self->kind == V_TEXT ? of_text : self->kind == V_DICT ? of_dict : NULL;
    for (; m && m->name; m++)
        if (text_is(name, m->name))
            return m;
    return NULL;
}

bool jinja_has_method(const value *self, text name)
{
    return find_method(self, name) != NULL;
}

value jinja_call_method(jinja *j, const node *call, const value *self, text name)
{
    const struct method_row *m = find_method(self, name);
    value arg[3];
    bool given[3];
    call_in c = {.j = j, .call = call, .arg = arg};
    if (!m)
        return jinja_fail(j, call->line, "no method '%.*s'", (int)name.n, name.s);
    if (!jinja_arguments(j, call, arg, (size_t)m->most, m->names, given))
        return value_none();
    for (int i = 0; i < m->most; i++) {
        if (given[i])
            c.n = (size_t)i + 1;
        else
            arg[i] = value_none();
    }
    if (self->kind == V_TEXT)
        c.t = self->u.t;
    else
        c.d = self->u.dict;
    return m->call(&c);
}
