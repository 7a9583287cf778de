/* Expressions. */
#include <math.h>
#include <string.h>

#include "model/chat/jinja.h"

/* ---- attributes and items ---- */

static value loop_attribute(const loop *l, text name)
{
    int64_t n = (int64_t)l->items->n, i = l->index;
    if (text_is(name, "index"))
        return value_int(i + 1);
    if (text_is(name, "index0"))
        return value_int(i);
    if (text_is(name, "revindex"))
        return value_int(n - i);
    if (text_is(name, "revindex0"))
        return value_int(n - i - 1);
    if (text_is(name, "first"))
        return value_bool(i == 0);
    if (text_is(name, "last"))
        return value_bool(i == n - 1);
    if (text_is(name, "length"))
        return value_int(n);
    if (text_is(name, "depth")) /* only recursive loops are deeper */
        return value_int(1);
    if (text_is(name, "depth0"))
        return value_int(0);
    if (text_is(name, "previtem") && i > 0)
        return l->items->v[i - 1];
    if (text_is(name, "nextitem") && i + 1 < n)
        return l->items->v[i + 1];
    return value_undefined(name);
}

static value fail_undefined(jinja *j, int line, const value *v)
{
    int n = v->u.t.n > 60 ? 60 : (int)v->u.t.n;
    return n ? jinja_fail(j, line, "'%.*s' is undefined", n, v->u.t.s) : jinja_fail(j, line, "a value is undefined");
}

/* object[key] */
static value get_item(jinja *j, int line, const value *on, const value *key)
{
    int64_t i, n;
    const value *found;
    switch (on->kind) {
    case V_DICT:
    case V_NAMESPACE:
        found = value_dict_get(on, key);
        return found ? *found : value_undefined(key->kind == V_TEXT ? key->u.t : TEXT(""));
    case V_LIST:
    case V_TEXT:
        if (!value_int_of(&i, key))
            break;
        n = value_length(j, line, on);
        i += i < 0 ? n : 0;
        if (i < 0 || i >= n)
            return value_undefined(TEXT(""));
        return on->kind == V_LIST ? on->u.list->v[i] : value_text(text_slice(on->u.t, (size_t)i, (size_t)i + 1));
    case V_UNDEFINED:
        return fail_undefined(j, line, on);
    default:
        break;
    }
    return value_undefined(key->kind == V_TEXT ? key->u.t : TEXT(""));
}

static value get_attribute(jinja *j, int line, const value *on, text name)
{
    value key = value_text(name);
    if (on->kind == V_UNDEFINED)
        return fail_undefined(j, line, on);
    if (on->kind == V_LOOP)
        return loop_attribute(on->u.loop, name);
    if (jinja_has_method(on, name)) {
        method *m = jinja_alloc(j, 1, sizeof *m);
        if (!m)
            return value_none();
        *m = (method){*on, name};
        return (value){V_METHOD, {.method = m}};
    }
    if (on->kind == V_DICT || on->kind == V_NAMESPACE)
        return get_item(j, line, on, &key);
    return value_undefined(name);
}

static bool slice_bound(jinja *j, const node *n, int64_t *out, bool *given)
{
    *given = false;
    if (!n)
        return true;
    value v = jinja_eval(j, n);
    if (v.kind == V_NONE || j->rc)
        return !j->rc;
    *given = true;
    if (value_int_of(out, &v))
        return true;
    jinja_fail(j, n->line, "a slice takes integers, not %s", value_kind_name(&v));
    return false;
}

/* Where a bound of a slice over len items lies: from the end when negative, within [lowest, highest]. */
static int64_t clip(int64_t at, int64_t len, int64_t lowest, int64_t highest)
{
    if (at < 0)
        return at < -len ? lowest : at + len;
    return at > highest ? highest : at;
}

static value get_slice(jinja *j, const node *n)
{
    value on = jinja_eval(j, n->a);
    int64_t from = 0, to = 0, step = 1, len;
    bool has_from, has_to, has_step;
    if (j->rc || !slice_bound(j, n->b, &from, &has_from) || !slice_bound(j, n->c, &to, &has_to) ||
        !slice_bound(j, n->d, &step, &has_step))
        return value_none();
    if (on.kind == V_UNDEFINED)
        return fail_undefined(j, n->line, &on);
    if (on.kind != V_LIST && on.kind != V_TEXT)
        return jinja_fail(j, n->line, "%s cannot be sliced", value_kind_name(&on));
    if (step == 0 || step > MAX_RANGE || step < -MAX_RANGE)
        return jinja_fail(j, n->line, "a slice with this step is not possible");
    const list *items = value_items(j, n->line, &on);
    if (!items)
        return value_none();
    len = (int64_t)items->n;
    int64_t lowest = step < 0 ? -1 : 0, highest = step < 0 ? len - 1 : len;
    from = has_from ? clip(from, len, lowest, highest) : step < 0 ? highest : lowest;
    to = has_to ? clip(to, len, lowest, highest) : step < 0 ? lowest : highest;
    int64_t count = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step;
    if (count < 0 || (step > 0 ? from >= to : from <= to))
        count = 0;
    if (on.kind == V_TEXT) {
        strbuf b = {0};
        for (int64_t i = 0; i < count; i++)
            strbuf_add(&b, items->v[from + i * step].u.t.s, items->v[from + i * step].u.t.n);
        return value_take(j, &b);
    }
    value out = value_new_list(j, (size_t)count, on.u.list->tuple);
    for (int64_t i = 0; i < count && !j->rc; i++)
        out.u.list->v[i] = items->v[from + i * step];
    return out;
}

/* ---- operators ---- */

static value cannot(jinja *j, const node *n, const value *a, const value *b)
{
    if (a->kind == V_UNDEFINED)
        return fail_undefined(j, n->line, a);
    if (b->kind == V_UNDEFINED)
        return fail_undefined(j, n->line, b);
    return jinja_fail(j, n->line, "'%.*s' does not go with %s and %s", (int)n->name.n, n->name.s, value_kind_name(a),
                      value_kind_name(b));
}

static value join_texts(jinja *j, text a, text b)
{
    strbuf s = {0};
    strbuf_add(&s, a.s, a.n);
    strbuf_add(&s, b.s, b.n);
    return value_take(j, &s);
}

static value join_lists(jinja *j, const list *a, const list *b)
{
    value out = value_new_list(j, a->n + b->n, a->tuple);
    if (j->rc)
        return out;
    for (size_t i = 0; i < a->n; i++)
        out.u.list->v[i] = a->v[i];
    for (size_t i = 0; i < b->n; i++)
        out.u.list->v[a->n + i] = b->v[i];
    return out;
}

static value repeat(jinja *j, const node *n, text t, int64_t times)
{
    strbuf s = {0};
    if (times > 0 && t.n > jinja_output / (size_t)times)
        return jinja_fail(j, n->line, "a text is longer than %zu MiB", jinja_output >> 20);
    for (int64_t i = 0; i < times; i++)
        strbuf_add(&s, t.s, t.n);
    return value_take(j, &s);
}

/* Integers stay integers, but for '/' and '**' below zero; the remainder has the sign of the divisor. */
static value integers(jinja *j, const node *n, int64_t a, int64_t b)
{
    int64_t r = 1;
    bool over = false;
    if ((text_is(n->name, "/") || text_is(n->name, "//") || text_is(n->name, "%")) && b == 0)
        return jinja_fail(j, n->line, "division by zero");
    if (b == -1 && a == INT64_MIN)
        over = true;
    else if (text_is(n->name, "+"))
        over = __builtin_add_overflow(a, b, &r);
    else if (text_is(n->name, "-"))
        over = __builtin_sub_overflow(a, b, &r);
    else if (text_is(n->name, "*"))
        over = __builtin_mul_overflow(a, b, &r);
    else if (text_is(n->name, "/"))
        return value_real((double)a / (double)b);
    else if (text_is(n->name, "//"))
        r = a / b - (a % b != 0 && (a < 0) != (b < 0));
    else if (text_is(n->name, "%"))
        r = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
    else if (b < 0)
        return value_real(pow((double)a, (double)b));
    else if (a >= -1 && a <= 1)
        r = b == 0 || a == 1 ? 1 : a == 0 ? 0 : b % 2 ? -1 : 1;
    else
        for (int64_t i = 0; i < b && !over; i++)
            over = __builtin_mul_overflow(r, a, &r);
    return over ? jinja_fail(j, n->line, "an integer is too large") : value_int(r);
}

static value reals(jinja *j, const node *n, double a, double b)
{
    if (text_is(n->name, "+"))
        return value_real(a + b);
    if (text_is(n->name, "-"))
        return value_real(a - b);
    if (text_is(n->name, "*"))
        return value_real(a * b);
    if (text_is(n->name, "**"))
        return value_real(pow(a, b));
    if (b == 0)
        return jinja_fail(j, n->line, "division by zero");
    if (text_is(n->name, "/"))
        return value_real(a / b);
    if (text_is(n->name, "//"))
        return value_real(floor(a / b));
    double r = fmod(a, b);
    return value_real(r != 0 && (r < 0) != (b < 0) ? r + b : r);
}

static value eval_binary(jinja *j, const node *n)
{
    value a = jinja_eval(j, n->a), b = j->rc ? a : jinja_eval(j, n->b);
    int64_t x, y;
    double u, v;
    if (j->rc)
        return value_none();
    if (text_is(n->name, "~"))
        return join_texts(j, value_string(j, &a), value_string(j, &b));
    if (text_is(n->name, "+") && a.kind == V_TEXT && b.kind == V_TEXT)
        return join_texts(j, a.u.t, b.u.t);
    if (text_is(n->name, "+") && a.kind == V_LIST && b.kind == V_LIST)
        return join_lists(j, a.u.list, b.u.list);
    if (text_is(n->name, "*") && a.kind == V_TEXT && value_int_of(&y, &b))
        return repeat(j, n, a.u.t, y);
    if (text_is(n->name, "%") && a.kind == V_TEXT)
        return jinja_fail(j, n->line, "formatting with %% is not supported");
    if (value_int_of(&x, &a) && value_int_of(&y, &b))
        return integers(j, n, x, y);
    if (value_number(&u, &a) && value_number(&v, &b))
        return reals(j, n, u, v);
    return cannot(j, n, &a, &b);
}

static bool compare(jinja *j, const node *n, const value *a, const value *b)
{
    if (text_is(n->name, "=="))
        return value_equal(a, b);
    if (text_is(n->name, "!="))
        return !value_equal(a, b);
    if (text_is(n->name, "in"))
        return value_contains(j, n->line, b, a) != n->negated;
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED) {
        cannot(j, n, a, b);
        return false;
    }
    int order = value_order(j, n->line, a, b);
    if (text_is(n->name, "<"))
        return order < 0;
    if (text_is(n->name, "<="))
        return order <= 0;
    return text_is(n->name, ">") ? order > 0 : order >= 0;
}

static value eval_compare(jinja *j, const node *n)
{
    value a = jinja_eval(j, n->a);
    for (size_t i = 0; i < n->n_item && !j->rc; i++) {
        value b = jinja_eval(j, n->items[i]->a);
        if (j->rc || !compare(j, n->items[i], &a, &b))
            return value_bool(false);
        a = b;
    }
    return value_bool(true);
}

static value eval_negate(jinja *j, const node *n)
{
    value v = jinja_eval(j, n->a);
    int64_t i;
    double d;
    if (j->rc)
        return v;
    if (value_int_of(&i, &v) && i != INT64_MIN)
        return value_int(-i);
    if (value_number(&d, &v))
        return value_real(-d);
    return v.kind == V_UNDEFINED ? fail_undefined(j, n->line, &v)
                                 : jinja_fail(j, n->line, "'-' does not go with %s", value_kind_name(&v));
}

/* ---- calls ---- */

bool jinja_arguments(jinja *j, const node *call, value *out, size_t n, const char *const *names, bool *given)
{
    for (size_t i = 0; i < n; i++)
        given[i] = false;
    for (size_t k = 0; k < call->n_arg && !j->rc; k++) {
        const argument *a = &call->args[k];
        size_t at;
        for (at = a->name.s ? 0 : k; a->name.s && at < n; at++)
            if (names[at] && text_is(a->name, names[at]))
                break;
        if (at >= n || given[at]) {
            if (a->name.s)
                jinja_fail(j, call->line, "the argument '%.*s' is not supported here", (int)a->name.n, a->name.s);
            else
                jinja_fail(j, call->line, "there are too many arguments (at most %zu)", n);
            return false;
        }
        out[at] = jinja_eval(j, a->v);
        given[at] = true;
    }
    return !j->rc;
}

static value eval_call(jinja *j, const node *n)
{
    value f;
    if (n->a && n->a->kind == N_ATTRIBUTE) { /* a method, without making a value of it */
        value self = jinja_eval(j, n->a->a);
        if (j->rc)
            return value_none();
        if (self.kind != V_UNDEFINED && jinja_has_method(&self, n->a->name))
            return jinja_call_method(j, n, &self, n->a->name);
        f = get_attribute(j, n->line, &self, n->a->name);
        if (f.kind == V_UNDEFINED && !j->rc)
            return jinja_fail(j, n->line, "%s has no method '%.*s' that is supported", value_kind_name(&self),
                              n->a->name.n > 40 ? 40 : (int)n->a->name.n, n->a->name.s);
    } else {
        f = jinja_eval(j, n->a);
    }
    if (j->rc)
        return value_none();
    switch (f.kind) {
    case V_MACRO:
        return jinja_call_macro(j, n, f.u.macro);
    case V_GLOBAL:
        return jinja_call_global(j, n, f.u.t);
    case V_METHOD:
        return jinja_call_method(j, n, &f.u.method->self, f.u.method->name);
    case V_UNDEFINED:
        return jinja_fail(j, n->line, "the function '%.*s' is not supported", f.u.t.n > 40 ? 40 : (int)f.u.t.n,
                          f.u.t.n ? f.u.t.s : "");
    default:
        return jinja_fail(j, n->line, "%s cannot be called", value_kind_name(&f));
    }
}

/* ---- all ---- */

static value eval_test(jinja *j, const node *n)
{
    value v = jinja_eval(j, n->a), arg[2];
    size_t n_arg = n->n_arg < 2 ? n->n_arg : 2;
    for (size_t i = 0; i < n_arg && !j->rc; i++)
        arg[i] = jinja_eval(j, n->args[i].v);
    return j->rc ? v : value_bool(jinja_test(j, n->line, n->name, &v, arg, n_arg) != n->negated);
}

static value eval_elements(jinja *j, const node *n)
{
    value out;
    if (n->kind == N_DICT) {
        out = value_new_dict(j);
        for (size_t i = 0; i + 1 < n->n_item && !j->rc; i += 2) {
            value key = jinja_eval(j, n->items[i]);
            value_dict_set(j, &out, key, jinja_eval(j, n->items[i + 1]));
        }
        return out;
    }
    out = value_new_list(j, n->n_item, n->kind == N_TUPLE);
    for (size_t i = 0; i < n->n_item && !j->rc; i++)
        out.u.list->v[i] = jinja_eval(j, n->items[i]);
    return out;
}

static value eval_name(const jinja *j, const node *n)
{
    value v;
    if (jinja_lookup(j, n->name, &v))
        return v;
    return jinja_is_global(n->name) ? (value){V_GLOBAL, {.t = n->name}} : value_undefined(n->name);
}

static value eval(jinja *j, const node *n)
{
    value v;
    switch (n->kind) {
    case N_CONST:
        return n->constant;
    case N_NAME:
        return eval_name(j, n);
    case N_LIST:
    case N_TUPLE:
    case N_DICT:
        return eval_elements(j, n);
    case N_ATTRIBUTE:
        v = jinja_eval(j, n->a);
        return j->rc ? v : get_attribute(j, n->line, &v, n->name);
    case N_ITEM: {
        v = jinja_eval(j, n->a);
        value key = j->rc ? v : jinja_eval(j, n->b);
        return j->rc ? v : get_item(j, n->line, &v, &key);
    }
    case N_SLICE:
        return get_slice(j, n);
    case N_CALL:
        return eval_call(j, n);
    case N_FILTER:
        v = jinja_eval(j, n->a);
        return j->rc ? v : jinja_filter(j, n, v);
    case N_TEST:
        return eval_test(j, n);
    case N_NOT:
        v = jinja_eval(j, n->a);
        return value_bool(!value_true(&v));
    case N_NEGATE:
        return eval_negate(j, n);
    case N_AND:
        v = jinja_eval(j, n->a);
        return j->rc || !value_true(&v) ? v : jinja_eval(j, n->b);
    case N_OR:
        v = jinja_eval(j, n->a);
        return j->rc || value_true(&v) ? v : jinja_eval(j, n->b);
    case N_COMPARE:
        return eval_compare(j, n);
    case N_CHOICE:
        v = jinja_eval(j, n->a);
        if (j->rc)
            return v;
        return value_true(&v) ? jinja_eval(j, n->b) : n->c ? jinja_eval(j, n->c) : value_undefined(TEXT(""));
    default:
        return eval_binary(j, n);
    }
}

value jinja_eval(jinja *j, const node *n)
{
    if (j->rc || !n || !jinja_step(j, n->line) || !jinja_enter(j, n->line))
        return value_none();
    value v = eval(j, n);
    j->depth--;
    return v;
}
