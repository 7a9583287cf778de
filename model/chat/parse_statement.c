/* Templates: text, outputs and statements. */
#include <string.h>

#include "model/chat/parse.h"

static const node *parse_body(parser *p, const char *const *ends, text *end);

static void expect_close(parser *p)
{
    if (p->j->rc)
        return;
    if (p->t.kind != T_CLOSE_BLOCK)
        jinja_fail(p->j, p->t.line, "the tag should end here");
    else
        parse_next(p);
}

static const node *parse_if(parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    node *n = parse_node(p, S_IF);
    text end = {NULL, 0};
    if (!n || !jinja_enter(p->j, p->t.line))
        return NULL;
    n->a = parse_tuple(p, false);
    expect_close(p);
    n->b = parse_body(p, ends, &end);
    if (text_is(end, "elif")) {
        n->c = parse_if(p); /* takes the endif */
    } else {
        if (text_is(end, "else")) {
            expect_close(p);
            n->c = parse_body(p, last, &end);
        }
        expect_close(p);
    }
    p->j->depth--;
    return n;
}

/* "a" or "a, b", plain names. */
static void parse_targets(parser *p, node *n)
{
    size_t cap = 0;
    bool brackets = parse_take_sign(p, "(");
    do {
        if (p->t.kind != T_NAME) {
            jinja_fail(p->j, p->t.line, "a name is expected as the target");
            return;
        }
        node *name = parse_node(p, N_NAME);
        if (!name)
            return;
        name->name = p->t.t;
        parse_next(p);
        parse_add(p, n, name, &cap);
    } while (!p->j->rc && parse_take_sign(p, ",") && !parse_is_name(p, "in"));
    if (brackets)
        parse_expect_sign(p, ")");
}

static const node *parse_for(parser *p)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    node *n = parse_node(p, S_FOR);
    text end = {NULL, 0};
    if (!n)
        return NULL;
    parse_targets(p, n);
    if (!p->j->rc && !parse_take_name(p, "in"))
        jinja_fail(p->j, p->t.line, "'in' is expected in a for");
    n->a = parse_tuple(p, false);
    if (parse_take_name(p, "if"))
        n->b = parse_expression(p, true);
    if (parse_is_name(p, "recursive"))
        jinja_fail(p->j, p->t.line, "{%% for ... recursive %%} is not supported");
    expect_close(p);
    p->loops++;
    n->c = parse_body(p, ends, &end);
    p->loops--;
    if (text_is(end, "else")) {
        expect_close(p);
        n->d = parse_body(p, last, &end);
    }
    expect_close(p);
    return n;
}

static const node *parse_set(parser *p)
{
    static const char *const ends[] = {"endset", NULL};
    node *n = parse_node(p, S_SET);
    text end = {NULL, 0};
    if (!n)
        return NULL;
    parse_targets(p, n);
    if (n->n_item == 1 && parse_take_sign(p, ".")) { /* of a namespace */
        n->name = p->t.t;
        if (p->t.kind != T_NAME)
            jinja_fail(p->j, p->t.line, "a name is expected behind '.'");
        parse_next(p);
    }
    if (parse_take_sign(p, "=")) {
        n->a = parse_tuple(p, true);
        expect_close(p);
        return n;
    }
    n->kind = S_SET_BLOCK;
    if (parse_take_sign(p, "|"))
        jinja_fail(p->j, p->t.line, "a filter on a {%% set %%} block is not supported");
    expect_close(p);
    n->b = parse_body(p, ends, &end);
    expect_close(p);
    return n;
}

static const node *parse_macro(parser *p)
{
    static const char *const ends[] = {"endmacro", NULL};
    node *n = parse_node(p, S_MACRO);
    text end = {NULL, 0};
    size_t cap = 0;
    int loops = p->loops;
    if (!n)
        return NULL;
    if (p->t.kind != T_NAME)
        jinja_fail(p->j, p->t.line, "the name of a macro is expected");
    n->name = p->t.t;
    parse_next(p);
    parse_expect_sign(p, "(");
    while (!p->j->rc && !parse_is_sign(p, ")")) {
        argument a = {p->t.t, NULL};
        if (p->t.kind != T_NAME)
            jinja_fail(p->j, p->t.line, "the name of a parameter is expected");
        parse_next(p);
        if (parse_take_sign(p, "="))
            a.v = parse_expression(p, true);
        argument *args = parse_grow(p, n->args, n->n_arg, &cap, sizeof *args);
        if (!args)
            return NULL;
        n->args = args;
        n->args[n->n_arg++] = a;
        if (!parse_take_sign(p, ","))
            break;
    }
    parse_expect_sign(p, ")");
    expect_close(p);
    p->loops = 0;
    n->b = parse_body(p, ends, &end);
    p->loops = loops;
    expect_close(p);
    return n;
}

static const node *parse_filter_block(parser *p)
{
    static const char *const ends[] = {"endfilter", NULL};
    node *n = parse_node(p, S_FILTER_BLOCK), *f = parse_node(p, N_FILTER);
    text end = {NULL, 0};
    if (!n || !f || p->t.kind != T_NAME) {
        jinja_fail(p->j, p->t.line, "the name of a filter is expected");
        return NULL;
    }
    f->name = p->t.t;
    parse_next(p);
    if (parse_take_sign(p, "("))
        parse_arguments(p, f);
    n->a = f;
    expect_close(p);
    n->b = parse_body(p, ends, &end);
    expect_close(p);
    return n;
}

/* transformers marks what the assistant said; the text is the same. */
static const node *parse_generation(parser *p)
{
    static const char *const ends[] = {"endgeneration", NULL};
    text end = {NULL, 0};
    expect_close(p);
    const node *n = parse_body(p, ends, &end);
    expect_close(p);
    return n;
}

static const node *parse_raw(parser *p)
{
    node *n = parse_node(p, S_TEXT);
    text t = {NULL, 0};
    if (p->t.kind != T_CLOSE_BLOCK)
        jinja_fail(p->j, p->t.line, "the tag should end here");
    if (p->j->rc || !n || !lexer_raw(&p->l, &t))
        return NULL;
    n->constant = value_text(t);
    parse_next(p);
    expect_close(p);
    return n;
}

static const node *parse_flow(parser *p, node_kind kind)
{
    const node *n = parse_node(p, kind);
    if (!p->loops)
        jinja_fail(p->j, p->t.line, "%s outside of a loop", kind == S_BREAK ? "break" : "continue");
    expect_close(p);
    return n;
}

/* Behind "{%" and the name of the statement. */
static const node *parse_statement(parser *p, text name, int line)
{
    static const struct { const char *name; const node *(*parse)(parser *); } all[] = {
        {"if", parse_if}, {"for", parse_for}, {"set", parse_set}, {"macro", parse_macro},
        {"filter", parse_filter_block}, {"generation", parse_generation}, {"raw", parse_raw},
    };
    static const char *const lone[] = {"elif", "else", "endif", "endfor", "endset", "endmacro", "endfilter",
                                       "endgeneration", "endraw", NULL};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (text_is(name, all[i].name))
            return all[i].parse(p);
    if (text_is(name, "break") || text_is(name, "continue"))
        return parse_flow(p, text_is(name, "break") ? S_BREAK : S_CONTINUE);
    for (int i = 0; lone[i]; i++)
        if (text_is(name, lone[i])) {
            jinja_fail(p->j, line, "{%% %s %%} without its beginning", lone[i]);
            return NULL;
        }
    jinja_fail(p->j, line, "the statement {%% %.*s %%} is not supported", name.n > 40 ? 40 : (int)name.n, name.s);
    return NULL;
}

/* Up to the end of the template (ends NULL), or to a tag of one of the names: that is taken, and told in *end. */
static const node *parse_body(parser *p, const char *const *ends, text *end)
{
    node *body = parse_node(p, S_BODY);
    size_t cap = 0;
    int first = p->line;
    if (!body || !jinja_enter(p->j, p->t.line))
        return NULL;
    while (!p->j->rc && p->t.kind != T_END) {
        node *n = NULL;
        if (p->t.kind == T_DATA) {
            n = parse_node(p, S_TEXT);
            if (n)
                n->constant = value_text(p->t.t);
            parse_next(p);
        } else if (p->t.kind == T_OPEN_OUTPUT) {
            parse_next(p);
            n = parse_node(p, S_OUTPUT);
            if (n)
                n->a = parse_tuple(p, true);
            if (!p->j->rc && p->t.kind != T_CLOSE_OUTPUT)
                jinja_fail(p->j, p->t.line, "}} is expected");
            parse_next(p);
        } else {
            int line = p->line = p->t.line;
            parse_next(p);
            text name = p->t.t;
            if (p->t.kind != T_NAME) {
                jinja_fail(p->j, line, "a statement is expected behind {%%");
                break;
            }
            for (int i = 0; ends && ends[i]; i++)
                if (text_is(name, ends[i])) {
                    *end = name;
                    parse_next(p);
                    p->j->depth--;
                    return body;
                }
            parse_next(p);
            parse_add(p, body, parse_statement(p, name, line), &cap);
            continue;
        }
        parse_add(p, body, n, &cap);
    }
    p->j->depth--;
    for (int i = 0; ends && ends[i]; i++)
        if (!ends[i + 1] && !p->j->rc)
            jinja_fail(p->j, first, "the block that begins here has no {%% %s %%}", ends[i]);
    return body;
}

const node *jinja_parse(jinja *j, const char *source, size_t n)
{
    parser p = {.j = j};
    lexer_init(&p.l, j, source, n);
    parse_next(&p);
    const node *body = parse_body(&p, NULL, NULL);
    return j->rc ? NULL : body;
}
