/* Expressions: operators, from the tightest. */
#include "model/chat/parse.h"

static node *binary(parser *p, node_kind kind, text op, const node *a, const node *b)
{
    node *n = parse_node(p, kind);
    if (n) {
        n->name = op;
        n->a = a;
        n->b = b;
    }
    return n;
}

static const node *parse_unary(parser *p, bool filters)
{
    const node *n;
    if (!jinja_enter(p->j, p->t.line))
        return NULL;
    if (parse_is_sign(p, "-") || parse_is_sign(p, "+")) {
        bool minus = parse_is_sign(p, "-");
        parse_next(p);
        n = parse_unary(p, false);
        n = minus ? binary(p, N_NEGATE, TEXT("-"), n, NULL) : n;
    } else {
        n = parse_primary(p);
    }
    n = parse_postfix(p, n);
    if (filters)
        n = parse_filters(p, n);
    p->j->depth--;
    return n;
}

static const node *parse_power(parser *p)
{
    const node *n = parse_unary(p, true);
    while (!p->j->rc && parse_is_sign(p, "**")) {
        text op = p->t.t;
        parse_next(p);
        n = binary(p, N_BINARY, op, n, parse_unary(p, true));
    }
    return n;
}

static const node *parse_level(parser *p, const char *const *signs, const node *(*tighter)(parser *))
{
    const node *n = tighter(p);
    for (bool more = true; more && !p->j->rc;) {
        more = false;
        for (int i = 0; signs[i] && !more; i++)
            if (parse_is_sign(p, signs[i])) {
                text op = p->t.t;
                parse_next(p);
                n = binary(p, N_BINARY, op, n, tighter(p));
                more = true;
            }
    }
    return n;
}

static const node *parse_product(parser *p)
{
    static const char *const signs[] = {"*", "/", "//", "%", NULL};
    return parse_level(p, signs, parse_power);
}

static const node *parse_join(parser *p)
{
    static const char *const signs[] = {"~", NULL};
    return parse_level(p, signs, parse_product);
}

static const node *parse_sum(parser *p)
{
    static const char *const signs[] = {"+", "-", NULL};
    return parse_level(p, signs, parse_join);
}

/* a < b <= c: every comparison is a node that knows its operator, on the right of the one before. */
static const node *parse_compare(parser *p)
{
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">=", NULL};
    const node *first = parse_sum(p);
    node *all = NULL;
    size_t cap = 0;
    while (!p->j->rc) {
        text op = p->t.t;
        bool found = false, negated = false;
        for (int i = 0; signs[i] && !found; i++)
            found = parse_take_sign(p, signs[i]);
        if (!found && parse_is_name(p, "not")) {
            parse_next(p);
            if (!parse_is_name(p, "in")) {
                parse_unexpected(p, "'in'");
                return NULL;
            }
            negated = true;
        }
        if (!found && parse_is_name(p, "in")) {
            op = TEXT("in");
            parse_next(p);
            found = true;
        }
        if (!found)
            break;
        if (!all && !(all = binary(p, N_COMPARE, op, first, NULL)))
            return NULL;
        node *step = binary(p, N_COMPARE, op, parse_sum(p), NULL);
        if (!step)
            return NULL;
        step->negated = negated;
        parse_add(p, all, step, &cap);
    }
    return all ? all : first;
}

static const node *parse_not(parser *p)
{
    if (!parse_is_name(p, "not"))
        return parse_compare(p);
    if (!jinja_enter(p->j, p->t.line))
        return NULL;
    parse_next(p);
    const node *n = binary(p, N_NOT, TEXT("not"), parse_not(p), NULL);
    p->j->depth--;
    return n;
}

static const node *parse_and(parser *p)
{
    const node *n = parse_not(p);
    while (!p->j->rc && parse_take_name(p, "and"))
        n = binary(p, N_AND, TEXT("and"), n, parse_not(p));
    return n;
}

static const node *parse_or(parser *p)
{
    const node *n = parse_and(p);
    while (!p->j->rc && parse_take_name(p, "or"))
        n = binary(p, N_OR, TEXT("or"), n, parse_and(p));
    return n;
}

const node *parse_expression(parser *p, bool choice)
{
    if (!jinja_enter(p->j, p->t.line))
        return NULL;
    const node *n = parse_or(p);
    while (choice && !p->j->rc && parse_take_name(p, "if")) {
        node *c = parse_node(p, N_CHOICE);
        if (!c)
            break;
        c->b = n;
        c->a = parse_or(p);
        c->c = parse_take_name(p, "else") ? parse_expression(p, true) : NULL;
        n = c;
    }
    p->j->depth--;
    return p->j->rc ? NULL : n;
}

const node *parse_tuple(parser *p, bool choice)
{
    const node *first = parse_expression(p, choice);
    size_t cap = 0;
    if (!first || !parse_is_sign(p, ","))
        return first;
    node *n = parse_node(p, N_TUPLE);
    if (!n)
        return NULL;
    parse_add(p, n, first, &cap);
    while (!p->j->rc && parse_take_sign(p, ",")) {
        if (parse_is_sign(p, ")") || parse_is_sign(p, "]") || p->t.kind == T_CLOSE_BLOCK || p->t.kind == T_CLOSE_OUTPUT)
            break;
        parse_add(p, n, parse_expression(p, choice), &cap);
    }
    return n;
}
