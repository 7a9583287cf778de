/* What an expression is made of, without its operators. */
#include <string.h>

#include "model/chat/parse.h"

void parse_next(parser *p)
{
    lexer_next(&p->l, &p->t);
}

bool parse_is_sign(const parser *p, const char *sign)
{
    return p->t.kind == T_SIGN && text_is(p->t.t, sign);
}

bool parse_is_name(const parser *p, const char *name)
{
    return p->t.kind == T_NAME && text_is(p->t.t, name);
}

bool parse_take_sign(parser *p, const char *sign)
{
    bool is = parse_is_sign(p, sign);
    if (is)
        parse_next(p);
    return is;
}

bool parse_take_name(parser *p, const char *name)
{
    bool is = parse_is_name(p, name);
    if (is)
        parse_next(p);
    return is;
}

void parse_unexpected(parser *p, const char *wanted)
{
    switch (p->t.kind) {
    case T_NAME:
    case T_SIGN:
        jinja_fail(p->j, p->t.line, "'%.*s' where %s is expected", p->t.t.n > 40 ? 40 : (int)p->t.t.n, p->t.t.s, wanted);
        break;
    case T_TEXT:
        jinja_fail(p->j, p->t.line, "a string where %s is expected", wanted);
        break;
    case T_INT:
    case T_REAL:
        jinja_fail(p->j, p->t.line, "a number where %s is expected", wanted);
        break;
    default:
        jinja_fail(p->j, p->t.line, "the tag ends where %s is expected", wanted);
    }
}

void parse_expect_sign(parser *p, const char *sign)
{
    char wanted[8] = "'";
    if (parse_take_sign(p, sign))
        return;
    strncat(wanted, sign, 3);
    parse_unexpected(p, strcat(wanted, "'"));
}

node *parse_node(parser *p, node_kind kind)
{
    node *n = jinja_alloc(p->j, 1, sizeof *n);
    if (n) {
        n->kind = kind;
        n->line = p->t.line;
    }
    return n;
}

void *parse_grow(parser *p, void *old, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return old;
    size_t more = *cap ? 2 * *cap : 4;
    void *new = jinja_alloc(p->j, more, size);
    if (!new)
        return NULL;
    if (n)
        memcpy(new, old, n * size);
    *cap = more;
    return new;
}

void parse_add(parser *p, node *n, const node *item, size_t *cap)
{
    if (p->j->rc || !item)
        return;
    const node **items = parse_grow(p, n->items, n->n_item, cap, sizeof *items);
    if (!items)
        return;
    n->items = items;
    n->items[n->n_item++] = item;
}

/* ---- primaries ---- */

static const node *constant(parser *p, value v)
{
    node *n = parse_node(p, N_CONST);
    if (n)
        n->constant = v;
    parse_next(p);
    return n;
}

static const node *parse_name(parser *p)
{
    static const struct { const char *name; value_kind kind; bool b; } words[] = {
        {"true", V_BOOL, true}, {"True", V_BOOL, true}, {"false", V_BOOL, false}, {"False", V_BOOL, false},
        {"none", V_NONE, false}, {"None", V_NONE, false},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_is(p->t.t, words[i].name))
            return constant(p, words[i].kind == V_BOOL ? value_bool(words[i].b) : value_none());
    node *n = parse_node(p, N_NAME);
    if (n)
        n->name = p->t.t;
    parse_next(p);
    return n;
}

/* Elements up to `end`; a dict has a ':' inside each. */
static const node *parse_elements(parser *p, node_kind kind, const char *end)
{
    node *n = parse_node(p, kind);
    size_t cap = 0;
    parse_next(p);
    while (n && !p->j->rc && !parse_is_sign(p, end)) {
        parse_add(p, n, parse_expression(p, true), &cap);
        if (kind == N_DICT) {
            parse_expect_sign(p, ":");
            parse_add(p, n, parse_expression(p, true), &cap);
        }
        if (!parse_take_sign(p, ","))
            break;
    }
    parse_expect_sign(p, end);
    return n;
}

static const node *parse_parentheses(parser *p)
{
    const node *n;
    parse_next(p);
    if (parse_is_sign(p, ")"))
        n = parse_node(p, N_TUPLE);
    else
        n = parse_tuple(p, true);
    parse_expect_sign(p, ")");
    return n;
}

const node *parse_primary(parser *p)
{
    switch (p->t.kind) {
    case T_NAME:
        return parse_name(p);
    case T_INT:
        return constant(p, value_int(p->t.i));
    case T_REAL:
        return constant(p, value_real(p->t.d));
    case T_TEXT: { /* strings side by side are one */
        value v = value_text(p->t.t);
        const node *n = constant(p, v);
        while (p->t.kind == T_TEXT && n && !p->j->rc) {
            strbuf b = {0};
            strbuf_add(&b, n->constant.u.t.s, n->constant.u.t.n);
            strbuf_add(&b, p->t.t.s, p->t.t.n);
            n = constant(p, value_take(p->j, &b));
        }
        return n;
    }
    case T_SIGN:
        if (parse_is_sign(p, "["))
            return parse_elements(p, N_LIST, "]");
        if (parse_is_sign(p, "{"))
            return parse_elements(p, N_DICT, "}");
        if (parse_is_sign(p, "("))
            return parse_parentheses(p);
        break;
    default:
        break;
    }
    parse_unexpected(p, "an expression");
    return NULL;
}

/* ---- behind primaries ---- */

void parse_arguments(parser *p, node *call)
{
    size_t cap = 0;
    bool named = false;
    while (!p->j->rc && !parse_is_sign(p, ")")) {
        argument a = {{NULL, 0}, NULL};
        if (parse_is_sign(p, "*") || parse_is_sign(p, "**")) {
            jinja_fail(p->j, p->t.line, "arguments unpacked with * are not supported");
            return;
        }
        a.v = parse_expression(p, true);
        if (a.v && a.v->kind == N_NAME && parse_is_sign(p, "=")) {
            a.name = a.v->name;
            parse_next(p);
            a.v = parse_expression(p, true);
            named = true;
        } else if (named) {
            jinja_fail(p->j, p->t.line, "a positional argument behind a named one");
        }
        argument *args = parse_grow(p, call->args, call->n_arg, &cap, sizeof *args);
        if (!args || p->j->rc)
            return;
        call->args = args;
        call->args[call->n_arg++] = a;
        if (!parse_take_sign(p, ","))
            break;
    }
    parse_expect_sign(p, ")");
}

static const node *parse_call(parser *p, const node *on)
{
    node *n = parse_node(p, N_CALL);
    parse_next(p);
    if (n) {
        n->a = on;
        parse_arguments(p, n);
    }
    return n;
}

/* [index] or [from:to:step], behind "[". */
static const node *parse_subscript(parser *p, const node *on)
{
    node *n = parse_node(p, N_ITEM);
    const node *part[3] = {NULL, NULL, NULL};
    int i = 0;
    if (!n)
        return NULL;
    parse_next(p);
    n->a = on;
    if (!parse_is_sign(p, ":"))
        part[0] = parse_expression(p, true);
    while (i < 2 && parse_take_sign(p, ":")) {
        i++;
        n->kind = N_SLICE;
        if (!parse_is_sign(p, ":") && !parse_is_sign(p, "]"))
            part[i] = parse_expression(p, true);
    }
    parse_expect_sign(p, "]");
    n->b = part[0];
    n->c = part[1];
    n->d = part[2];
    return n;
}

const node *parse_postfix(parser *p, const node *n)
{
    while (n && !p->j->rc) {
        if (parse_take_sign(p, ".")) {
            node *a = parse_node(p, N_ATTRIBUTE);
            if (!a || (p->t.kind != T_NAME && p->t.kind != T_INT)) {
                parse_unexpected(p, "the name of an attribute");
                return NULL;
            }
            a->a = n;
            a->name = p->t.t;
            if (p->t.kind == T_INT) { /* x.0 is x[0] */
                node *index = parse_node(p, N_CONST);
                if (!index)
                    return NULL;
                index->constant = value_int(p->t.i);
                a->kind = N_ITEM;
                a->b = index;
            }
            parse_next(p);
            n = a;
        } else if (parse_is_sign(p, "[")) {
            n = parse_subscript(p, n);
        } else if (parse_is_sign(p, "(")) {
            n = parse_call(p, n);
        } else {
            break;
        }
    }
    return n;
}

static const node *parse_filter(parser *p, const node *in)
{
    node *n = parse_node(p, N_FILTER);
    if (!n || p->t.kind != T_NAME) {
        parse_unexpected(p, "the name of a filter");
        return NULL;
    }
    n->a = in;
    n->name = p->t.t;
    parse_next(p);
    if (parse_take_sign(p, "("))
        parse_arguments(p, n);
    return n;
}

/* Does an argument of a test begin here?  ("x is divisibleby 3") */
static bool begins_argument(const parser *p)
{
    static const char *const words[] = {"else", "or", "and", "is", "if", "in", "not", NULL};
    if (p->t.kind == T_NAME) {
        for (int i = 0; words[i]; i++)
            if (text_is(p->t.t, words[i]))
                return false;
        return true;
    }
    return p->t.kind == T_TEXT || p->t.kind == T_INT || p->t.kind == T_REAL || parse_is_sign(p, "[") ||
           parse_is_sign(p, "{");
}

static const node *parse_test(parser *p, const node *in)
{
    node *n = parse_node(p, N_TEST);
    if (!n)
        return NULL;
    n->negated = parse_take_name(p, "not");
    if (p->t.kind != T_NAME) {
        parse_unexpected(p, "the name of a test");
        return NULL;
    }
    n->a = in;
    n->name = p->t.t;
    parse_next(p);
    if (parse_take_sign(p, "(")) {
        parse_arguments(p, n);
    } else if (begins_argument(p)) {
        const node *v = parse_postfix(p, parse_primary(p));
        argument *a = jinja_alloc(p->j, 1, sizeof *a);
        if (a) {
            a->v = v;
            n->args = a;
            n->n_arg = 1;
        }
    }
    return n;
}

const node *parse_filters(parser *p, const node *n)
{
    while (n && !p->j->rc) {
        if (parse_take_sign(p, "|"))
            n = parse_filter(p, n);
        else if (parse_take_name(p, "is"))
            n = parse_test(p, n);
        else if (parse_is_sign(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}
