/* Tests ("x is defined") and global functions. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/chat/jinja.h"

static bool is_callable(const value *v)
{
    return v->kind == V_MACRO || v->kind == V_GLOBAL || v->kind == V_METHOD;
}

bool jinja_test(jinja *j, int line, text name, const value *v, const value *arg, size_t n_arg)
{
    static const struct { const char *name, *op; } orders[] = {
        {"lt", "<"}, {"lessthan", "<"}, {"le", "<="}, {"gt", ">"}, {"greaterthan", ">"}, {"ge", ">="},
    };
    int64_t i, d;
    double x;
#define IS(word) text_is(name, word)
    if (n_arg == 0) {
        if (IS("defined"))
            return v->kind != V_UNDEFINED;
        if (IS("undefined"))
            return v->kind == V_UNDEFINED;
        if (IS("none"))
            return v->kind == V_NONE;
        if (IS("string"))
            return v->kind == V_TEXT;
        if (IS("mapping"))
            return v->kind == V_DICT;
        if (IS("sequence"))
            return v->kind == V_LIST || v->kind == V_TEXT || v->kind == V_DICT || v->kind == V_UNDEFINED;
        if (IS("iterable"))
            return v->kind == V_LIST || v->kind == V_TEXT || v->kind == V_DICT || v->kind == V_UNDEFINED;
        if (IS("number"))
            return value_number(&x, v);
        if (IS("integer"))
            return v->kind == V_INT;
        if (IS("float"))
            return v->kind == V_REAL;
        if (IS("boolean"))
            return v->kind == V_BOOL;
        if (IS("true"))
            return v->kind == V_BOOL && v->u.b;
        if (IS("false"))
            return v->kind == V_BOOL && !v->u.b;
        if (IS("callable"))
            return is_callable(v);
        if ((IS("odd") || IS("even")) && value_int_of(&i, v))
            return (i % 2 != 0) == IS("odd");
        if (IS("lower") || IS("upper")) {
            text t = value_string(j, v);
            value same = text_case(j, t, IS("lower") ? CASE_LOWER : CASE_UPPER);
            return !j->rc && text_equal(t, same.u.t) && text_strip(t, NULL, STRIP_LEFT).n > 0;
        }
    } else if (n_arg == 1) {
        if (IS("divisibleby") && value_int_of(&i, v) && value_int_of(&d, arg) && d != 0 && d != -1)
            return i % d == 0;
        if (IS("sameas"))
            return v->kind == arg->kind && value_equal(v, arg);
        if (IS("eq") || IS("equalto") || IS("=="))
            return value_equal(v, arg);
        if (IS("ne") || IS("!="))
            return !value_equal(v, arg);
        if (IS("in"))
            return value_contains(j, line, arg, v);
        for (size_t k = 0; k < sizeof orders / sizeof *orders; k++)
            if (IS(orders[k].name) || IS(orders[k].op)) {
                const char *op = orders[k].op;
                int order = value_order(j, line, v, arg);
                return op[0] == '<' ? op[1] ? order <= 0 : order < 0 : op[1] ? order >= 0 : order > 0;
            }
    }
#undef IS
    jinja_fail(j, line, "the test 'is %.*s' is not supported", name.n > 40 ? 40 : (int)name.n, name.s);
    return false;
}

/* ---- globals ---- */

static value call_raise(jinja *j, const node *call)
{
    value v = value_none();
    bool given;
    static const char *const names[] = {"message"};
    if (!jinja_arguments(j, call, &v, 1, names, &given))
        return v;
    text t = value_string(j, &v);
    return jinja_fail(j, call->line, "the template refuses the messages: %.*s", t.n > 300 ? 300 : (int)t.n, t.s);
}

static value call_namespace(jinja *j, const node *call, value_kind kind)
{
    value out = value_new_dict(j);
    for (size_t i = 0; i < call->n_arg && !j->rc; i++) {
        value v = jinja_eval(j, call->args[i].v);
        if (call->args[i].name.s)
            value_dict_set(j, &out, value_text(call->args[i].name), v);
        else if (v.kind == V_DICT)
            for (size_t k = 0; k < v.u.dict->n && !j->rc; k++)
                value_dict_set(j, &out, v.u.dict->p[k].key, v.u.dict->p[k].v);
        else
            jinja_fail(j, call->line, "arguments should have names");
    }
    if (!j->rc)
        out.kind = kind;
    return out;
}

static value call_range(jinja *j, const node *call)
{
    static const char *const names[3] = {NULL, NULL, NULL};
    value arg[3];
    bool given[3];
    int64_t v[3] = {0, 0, 1};
    int n = 0;
    if (!jinja_arguments(j, call, arg, 3, names, given))
        return value_none();
    for (; n < 3 && given[n]; n++)
        if (!value_int_of(&v[n], &arg[n]))
            return jinja_fail(j, call->line, "range takes integers, not %s", value_kind_name(&arg[n]));
    if (n == 0 || v[2] == 0 || v[0] < -(INT64_MAX / 4) || v[0] > INT64_MAX / 4 || v[1] < -(INT64_MAX / 4) ||
        v[1] > INT64_MAX / 4 || v[2] > INT64_MAX / 4 || v[2] < -(INT64_MAX / 4))
        return jinja_fail(j, call->line, "this range is not possible");
    if (n == 1) {
        v[1] = v[0];
        v[0] = 0;
    }
    int64_t count = v[2] > 0 ? (v[1] - v[0] + v[2] - 1) / v[2] : (v[0] - v[1] - v[2] - 1) / -v[2];
    if (count < 0 || (v[2] > 0 ? v[0] >= v[1] : v[0] <= v[1]))
        count = 0;
    if (count > MAX_RANGE)
        return jinja_fail(j, call->line, "a range of more than %d numbers", MAX_RANGE);
    value out = value_new_list(j, (size_t)count, false);
    for (int64_t i = 0; i < count && !j->rc; i++)
        out.u.list->v[i] = value_int(v[0] + i * v[2]);
    return out;
}

static value call_strftime(jinja *j, const node *call)
{
    static const char *const names[1] = {"format"};
    value v = value_none();
    bool given;
    char format[128], out[512];
    struct tm now;
    time_t t = time(NULL);
    if (!jinja_arguments(j, call, &v, 1, names, &given))
        return v;
    if (v.kind != V_TEXT || v.u.t.n >= sizeof format || v.u.t.n == 0)
        return jinja_fail(j, call->line, "strftime_now takes a format");
    memcpy(format, v.u.t.s, v.u.t.n);
    format[v.u.t.n] = '\0';
    if (!localtime_r(&t, &now))
        return jinja_fail(j, call->line, "the date is not known");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(out, sizeof out, format, &now);
#pragma GCC diagnostic pop
    return value_copy_text(j, out, n);
}

bool jinja_is_global(text name)
{
    static const char *const names[] = {"raise_exception", "namespace", "dict", "range", "strftime_now", NULL};
    for (int i = 0; names[i]; i++)
        if (text_is(name, names[i]))
            return true;
    return false;
}

value jinja_call_global(jinja *j, const node *call, text name)
{
    if (text_is(name, "raise_exception"))
        return call_raise(j, call);
    if (text_is(name, "range"))
        return call_range(j, call);
    if (text_is(name, "strftime_now"))
        return call_strftime(j, call);
    return call_namespace(j, call, text_is(name, "dict") ? V_DICT : V_NAMESPACE);
}
