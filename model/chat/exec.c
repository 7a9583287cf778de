/* Statements, scopes and macros. */
#include <string.h>

#include "model/chat/jinja.h"

static bool find(scope *s, text name, variable **out)
{
    for (size_t i = 0; i < s->n; i++)
        if (text_equal(s->v[i].name, name)) {
            *out = &s->v[i];
            return true;
        }
    return false;
}

void jinja_define(jinja *j, text name, value v)
{
    scope *s = j->scope;
    variable *at;
    if (find(s, name, &at)) {
        at->v = v;
        return;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 8;
        variable *more = jinja_alloc(j, cap, sizeof *more);
        if (!more)
            return;
        if (s->n)
            memcpy(more, s->v, s->n * sizeof *more);
        s->v = more;
        s->cap = cap;
    }
    s->v[s->n++] = (variable){name, v};
}

bool jinja_lookup(const jinja *j, text name, value *v)
{
    variable *at;
    for (scope *s = j->scope; s; s = s->up)
        if (find(s, name, &at)) {
            *v = at->v;
            return true;
        }
    return false;
}

/* Assign v to one name, or its elements to several. */
static void assign(jinja *j, const node *n, value v)
{
    if (n->n_item == 1) {
        jinja_define(j, n->items[0]->name, v);
        return;
    }
    const list *l = value_items(j, n->line, &v);
    if (!l)
        return;
    if (l->n != n->n_item) {
        jinja_fail(j, n->line, "%zu values for %zu names", l->n, n->n_item);
        return;
    }
    for (size_t i = 0; i < l->n && !j->rc; i++)
        jinja_define(j, n->items[i]->name, l->v[i]);
}

static void exec_set(jinja *j, const node *n, value v)
{
    value space;
    if (j->rc)
        return;
    if (!n->name.s) {
        assign(j, n, v);
        return;
    }
    if (!jinja_lookup(j, n->items[0]->name, &space) || space.kind != V_NAMESPACE)
        jinja_fail(j, n->line, "'%.*s' is no namespace, so its attributes cannot be set", (int)n->items[0]->name.n,
                   n->items[0]->name.s);
    else
        value_dict_set(j, &space, value_text(n->name), v);
}

/* What the body writes. */
static value capture(jinja *j, const node *body)
{
    strbuf b = {0}, *out = j->out;
    j->out = &b;
    jinja_exec(j, body);
    j->out = out;
    return value_take(j, &b);
}

/* The items of a loop that its condition lets through. */
static const list *loop_items(jinja *j, const node *n)
{
    value v = jinja_eval(j, n->a);
    const list *all = j->rc ? NULL : value_items(j, n->line, &v);
    if (!all || !n->b)
        return all;
    value kept = value_new_list(j, all->n, false);
    size_t count = 0;
    for (size_t i = 0; i < all->n && !j->rc; i++) {
        assign(j, n, all->v[i]);
        value yes = jinja_eval(j, n->b);
        if (!j->rc && value_true(&yes))
            kept.u.list->v[count++] = all->v[i];
    }
    if (j->rc)
        return NULL;
    kept.u.list->n = count;
    return kept.u.list;
}

static void exec_for(jinja *j, const node *n)
{
    scope *outer = j->scope, inner = {.up = outer};
    loop *l = jinja_alloc(j, 1, sizeof *l); /* a template may keep it */
    if (!l)
        return;
    j->scope = &inner;
    l->items = loop_items(j, n);
    for (size_t i = 0; l->items && i < l->items->n && !j->rc; i++) {
        inner.n = 0; /* what one turn sets is gone in the next */
        l->index = (int64_t)i;
        if (!jinja_step(j, n->line))
            break;
        assign(j, n, l->items->v[i]);
        jinja_define(j, TEXT("loop"), (value){V_LOOP, {.loop = l}});
        jinja_exec(j, n->c);
        if (j->flow == FLOW_BREAK)
            break;
        j->flow = FLOW_ON;
    }
    j->flow = FLOW_ON;
    j->scope = outer;
    if (!j->rc && l->items && l->items->n == 0 && n->d)
        jinja_exec(j, n->d);
}

value jinja_call_macro(jinja *j, const node *call, const node *macro)
{
    scope *caller = j->scope, inner = {0};
    bool given[32] = {false};
    if (macro->n_arg > sizeof given / sizeof *given)
        return jinja_fail(j, macro->line, "a macro has more than %zu parameters", sizeof given / sizeof *given);
    inner.up = caller;
    while (inner.up->up) /* a macro sees the template's own variables, not its caller's */
        inner.up = inner.up->up;
    for (size_t k = 0; k < call->n_arg && !j->rc; k++) {
        const argument *a = &call->args[k];
        size_t at;
        for (at = a->name.s ? 0 : k; a->name.s && at < macro->n_arg; at++)
            if (text_equal(a->name, macro->args[at].name))
                break;
        if (at >= macro->n_arg || given[at])
            return jinja_fail(j, call->line, "the macro '%.*s' takes no such argument", (int)macro->name.n,
                              macro->name.s);
        value v = jinja_eval(j, a->v);
        given[at] = true;
        j->scope = &inner;
        jinja_define(j, macro->args[at].name, v);
        j->scope = caller;
    }
    j->scope = &inner;
    for (size_t i = 0; i < macro->n_arg && !j->rc; i++)
        if (!given[i])
            jinja_define(j, macro->args[i].name,
                         macro->args[i].v ? jinja_eval(j, macro->args[i].v) : value_undefined(macro->args[i].name));
    value out = j->rc ? value_none() : capture(j, macro->b);
    j->scope = caller;
    return out;
}

static void exec_output(jinja *j, const node *n)
{
    value v = jinja_eval(j, n->a);
    if (j->rc)
        return;
    value_print(j, j->out, &v);
}

static void exec_filter_block(jinja *j, const node *n)
{
    value v = capture(j, n->b);
    if (j->rc)
        return;
    v = jinja_filter(j, n->a, v);
    if (!j->rc)
        value_print(j, j->out, &v);
}

static void exec(jinja *j, const node *n)
{
    value v;
    switch (n->kind) {
    case S_BODY:
        for (size_t i = 0; i < n->n_item && !j->rc && j->flow == FLOW_ON; i++)
            jinja_exec(j, n->items[i]);
        break;
    case S_TEXT:
        strbuf_add(j->out, n->constant.u.t.s, n->constant.u.t.n);
        break;
    case S_OUTPUT:
        exec_output(j, n);
        break;
    case S_IF:
        v = jinja_eval(j, n->a);
        if (!j->rc && (value_true(&v) || n->c))
            jinja_exec(j, value_true(&v) ? n->b : n->c);
        break;
    case S_FOR:
        exec_for(j, n);
        break;
    case S_SET:
        exec_set(j, n, jinja_eval(j, n->a));
        break;
    case S_SET_BLOCK:
        exec_set(j, n, capture(j, n->b));
        break;
    case S_FILTER_BLOCK:
        exec_filter_block(j, n);
        break;
    case S_MACRO:
        jinja_define(j, n->name, (value){V_MACRO, {.macro = n}});
        break;
    case S_BREAK:
        j->flow = FLOW_BREAK;
        break;
    case S_CONTINUE:
        j->flow = FLOW_CONTINUE;
        break;
    default:
        break;
    }
    if (j->out->len > jinja_output)
        jinja_fail(j, n->line, "the output is longer than %zu MiB", jinja_output >> 20);
    else if (j->out->failed)
        jinja_fail(j, n->line, "out of memory");
}

void jinja_exec(jinja *j, const node *n)
{
    if (j->rc || !n || !jinja_step(j, n->line) || !jinja_enter(j, n->line))
        return;
    exec(j, n);
    j->depth--;
}
