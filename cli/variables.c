#include "cli/variables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/word_ref.h"

/* --- predefined --- */

static int last_run(strbuf *b, session *s, err *e)
{
    store *st;
    int64_t run = 0;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = session_latest_run(s, st, &run, e);
    if (!rc)
        strbuf_printf(b, "%" PRId64, run);
    return rc;
}

static int loaded_path(strbuf *b, session *s, err *e)
{
    if (!s->current) {
        err_set(e, ERR_USAGE, "no model is loaded");
        return err_hint(e, "`load` one first");
    }
    strbuf_puts(b, s->current->path);
    return 0;
}

static int used_store(strbuf *b, session *s, err *e)
{
    (void)e;
    strbuf_puts(b, s->store_path);
    return 0;
}

static const struct predefined {
    const char *name;
    int (*value)(strbuf *b, session *s, err *e); /* an error says why there is none now */
} predefined[] = {
    {"last", last_run},
    {"model", loaded_path},
    {"store", used_store},
};
enum { N_PREDEFINED = sizeof predefined / sizeof *predefined };

static const struct predefined *find_predefined(const char *name)
{
    for (int i = 0; i < N_PREDEFINED; i++)
        if (!strcmp(predefined[i].name, name))
            return &predefined[i];
    return NULL;
}

/* --- values --- */

static bool is_number(const char *name)
{
    return name[0] >= '1' && name[0] <= '9';
}

int variables_unknown(const session *s, const char *name, err *e)
{
    const char **names = mem_array((size_t)s->variables.n + N_PREDEFINED + 1, sizeof *names, e);
    int n = 0;
    if (!names)
        return ERR_RESOURCE;
    for (; n < s->variables.n; n++)
        names[n] = s->variables.entry[n].name;
    for (int i = 0; i < N_PREDEFINED; i++)
        names[n++] = predefined[i].name;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "unknown variable \"%s\"", name);
    if (near)
        err_hint(e, "did you mean $%s?", near);
    else
        err_hint(e, "`let %.40s = VALUE` makes it, `let` lists all; \\$ is the sign itself", name);
    free(names);
    return ERR_USAGE;
}

static int script_argument(strbuf *b, const session *s, const word_ref *r, err *e)
{
    int i = r->name[0] - '1';
    if (i < s->n_script_arg) {
        strbuf_puts(b, s->script_arg[i]);
        return 0;
    }
    err_set(e, ERR_USAGE, "argument %s of the script is missing", r->name);
    return err_hint(e, s->depth ? "`source FILE ARGUMENT ...` gives arguments; \\$ is the sign itself"
                                : "arguments are for scripts: source FILE ARGUMENT ...");
}

static int environment(strbuf *b, const char *name, err *e)
{
    const char *value = getenv(name);
    if (!value) {
        err_set(e, ERR_USAGE, "the environment has no variable \"%s\"", name);
        return err_hint(e, "export it before the program starts, or give another value: ${env:%.40s:-value}", name);
    }
    strbuf_puts(b, value);
    return 0;
}

static int put_value(strbuf *b, session *s, const word_ref *r, err *e)
{
    const struct predefined *known = find_predefined(r->name);
    const name_entry *own = name_list_find(&s->variables, r->name);
    if (known)
        return known->value(b, s, e) ? err_prefix(e, "$%s", r->name) : 0;
    if (is_number(r->name))
        return script_argument(b, s, r, e);
    if (!strncmp(r->name, "env:", 4))
        return environment(b, r->name + 4, e);
    if (!own)
        return variables_unknown(s, r->name, e);
    strbuf_puts(b, own->text);
    return 0;
}

int variables_expand(strbuf *b, session *s, const parsed_word *w, err *e)
{
    size_t at = 0;
    for (int i = 0; i < w->n_ref; i++) {
        const word_ref *r = &w->ref[i];
        size_t value_at = b->len + (r->at - at);
        strbuf_add(b, w->text + at, r->at - at);
        at = r->at + r->len;
        bool literal = is_number(r->name) && !r->braces && !s->n_script_arg;
        int rc = literal ? 0 : put_value(b, s, r, r->otherwise ? NULL : e);
        if (rc && !r->otherwise)
            return rc;
        if (rc && b->len > value_at)
            b->s[b->len = value_at] = '\0';
        if (literal)
            strbuf_add(b, w->text + r->at, r->len);
        else if (rc)
            strbuf_puts(b, r->otherwise);
    }
    strbuf_puts(b, w->text + at);
    return b->failed ? err_nomem(e, "a word") : 0;
}

bool variables_is_argument(const parsed_word *w)
{
    return w->n_ref == 1 && is_number(w->ref[0].name) && !w->ref[0].braces && w->ref[0].at == 0 &&
           w->text[w->ref[0].len] == '\0';
}

/* --- names --- */

const char *variables_predefined(int i)
{
    return i < N_PREDEFINED ? predefined[i].name : NULL;
}

int variables_check_name(const char *name, err *e)
{
    if (!word_ref_name(name, strlen(name))) {
        err_set(e, ERR_USAGE, "\"%s\" cannot be the name of a variable", name);
        return err_hint(e, "letters, digits and _, beginning with a letter: let name = value");
    }
    if (find_predefined(name)) {
        err_set(e, ERR_USAGE, "$%s has its value from the session", name);
        return err_hint(e, "choose another name; `let` lists all variables");
    }
    return 0;
}

int variables_table(table **out, session *s, err *e)
{
    static const char *const columns[] = {"variable", "value", "from"};
    int rc = table_new(out, 3, columns, e);
    for (int i = 0; i < N_PREDEFINED && !rc; i++) {
        strbuf value = {0};
        bool there = predefined[i].value(&value, s, NULL) == 0;
        rc = value.failed ? err_nomem(e, "a value") : 0;
        if (!rc)
            rc = name_table_row(*out, (const char *[]){predefined[i].name, there ? strbuf_str(&value) : NULL, "predefined"}, e);
        strbuf_free(&value);
    }
    if (!rc)
        rc = name_list_rows(*out, &s->variables, e);
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}
