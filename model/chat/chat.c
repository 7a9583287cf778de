/* From messages to the rendered text. */
#include "model/chat/chat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "model/chat/jinja.h"

/* ---- what all parts of the interpreter use ---- */

value jinja_fail(jinja *j, int line, const char *fmt, ...)
{
    char msg[400];
    va_list ap;
    if (j->rc)
        return value_undefined(TEXT(""));
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (line > 0)
        j->rc = err_set(j->e, ERR_INPUT, "%s:%d: %s", j->name, line, msg);
    else
        j->rc = err_set(j->e, ERR_INPUT, "%s: %s", j->name, msg);
    return value_undefined(TEXT(""));
}

void *jinja_alloc(jinja *j, size_t count, size_t size)
{
    size_t bytes;
    if (j->rc)
        return NULL;
    if (!size_mul(&bytes, count, size) || j->mem.total > jinja_memory || bytes > jinja_memory - j->mem.total) {
        jinja_fail(j, 0, "takes more than %zu MiB of memory", jinja_memory >> 20);
        return NULL;
    }
    void *p = arena_alloc(&j->mem, count ? count : 1, size, j->e);
    if (!p)
        j->rc = ERR_RESOURCE;
    return p;
}

bool jinja_enter(jinja *j, int line)
{
    if (j->rc)
        return false;
    if (j->depth >= MAX_DEPTH) {
        jinja_fail(j, line, "nested deeper than %d levels", MAX_DEPTH);
        return false;
    }
    j->depth++;
    return true;
}

bool jinja_step(jinja *j, int line)
{
    if (j->rc)
        return false;
    if (++j->steps > MAX_STEPS) {
        jinja_fail(j, line, "takes more than %d steps", MAX_STEPS);
        return false;
    }
    if (j->steps % 65536 == 0)
        j->rc = cancel_check(j->e);
    return !j->rc;
}

/* ---- the template's variables ---- */

static value from_json(jinja *j, const json *v)
{
    value out;
    const char *s;
    size_t n;
    int64_t i;
    double d;
    bool b;
    if (!jinja_enter(j, 0))
        return value_none();
    switch (json_kind_of(v)) {
    case JSON_BOOL:
        out = value_bool(json_bool(&b, v) && b);
        break;
    case JSON_INT:
        out = value_int(json_int(&i, v) ? i : 0);
        break;
    case JSON_REAL:
        out = value_real(json_real(&d, v) ? d : 0);
        break;
    case JSON_STR:
        s = json_str(v, &n);
        out = value_text((text){s, n}); /* lives as long as the messages */
        break;
    case JSON_LIST:
        out = value_new_list(j, json_count(v), false);
        for (size_t k = 0; k < json_count(v) && !j->rc; k++)
            out.u.list->v[k] = from_json(j, json_at(v, k));
        break;
    case JSON_MAP: {
        void *it = NULL;
        const char *key;
        const json *member;
        out = value_new_dict(j);
        while (!j->rc && json_each(v, &it, &key, &member)) {
            value k = value_copy_text(j, key, strlen(key));
            value_dict_set(j, &out, k, from_json(j, member));
        }
        break;
    }
    default:
        out = value_none();
    }
    j->depth--;
    return out;
}

static value from_messages(jinja *j, const chat_input *in)
{
    value all = value_new_list(j, in->n_message, false);
    for (size_t i = 0; i < in->n_message && !j->rc; i++) {
        const chat_message *m = &in->messages[i];
        value one = value_new_dict(j);
        value_dict_set(j, &one, value_text(TEXT("role")), value_text((text){m->role, strlen(m->role)}));
        value_dict_set(j, &one, value_text(TEXT("content")), value_text((text){m->content, m->n_content}));
        if (!j->rc)
            all.u.list->v[i] = one;
    }
    return all;
}

static void define_all(jinja *j, const chat_input *in)
{
    for (size_t i = 0; i < in->n_variable && !j->rc; i++) {
        const chat_variable *v = &in->variables[i];
        jinja_define(j, (text){v->name, strlen(v->name)}, value_text((text){v->text, strlen(v->text)}));
    }
    jinja_define(j, TEXT("messages"), in->json_messages ? from_json(j, in->json_messages) : from_messages(j, in));
    jinja_define(j, TEXT("add_generation_prompt"), value_bool(in->add_generation_prompt));
    jinja_define(j, TEXT("tools"), value_none());
    jinja_define(j, TEXT("documents"), value_none());
}

/* Line ends as Jinja has them: \n, and none at the very end. */
static text normal_source(jinja *j, const char *s, size_t n)
{
    char *copy = jinja_alloc(j, n + 1, 1);
    size_t k = 0;
    for (size_t i = 0; copy && i < n; i++) {
        if (s[i] == '\r') {
            copy[k++] = '\n';
            i += i + 1 < n && s[i + 1] == '\n';
        } else {
            copy[k++] = s[i];
        }
    }
    if (k && copy[k - 1] == '\n')
        k--;
    return (text){copy, k};
}

int chat_render(strbuf *out, const char *template, size_t n, const char *name, const chat_input *in, err *e)
{
    scope top = {0};
    strbuf b = {0};
    jinja j = {.name = name, .e = e, .scope = &top, .out = &b};
    text source = normal_source(&j, template, n);
    const node *tree = jinja_parse(&j, source.s, source.n);
    j.depth = 0;
    define_all(&j, in);
    jinja_exec(&j, tree);
    if (!j.rc && b.failed)
        j.rc = err_nomem(e, name);
    if (!j.rc) {
        strbuf_add(out, b.s, b.len);
        j.rc = out->failed ? err_nomem(e, name) : 0;
    }
    strbuf_free(&b);
    arena_free(&j.mem);
    return j.rc;
}
