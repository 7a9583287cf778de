#include "cli/aliases.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"
#include "cli/command.h"
#include "cli/parse.h"

static bool well_formed(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char others[] = "0123456789-.";
    size_t n = strlen(name), at = strspn(name, letters);
    if (!n || !at)
        return false;
    for (; at < n; at++)
        if (!strchr(letters, name[at]) && !strchr(others, name[at]))
            return false;
    return true;
}

/* A text of one logical line that holds a command. */
static int check_text(const char *name, const char *text, err *e)
{
    parsed_line p;
    parse_wait wait;
    size_t n = strlen(text);
    int rc = parse_line(&p, &wait, text, n, e);
    if (!rc && wait.missing)
        rc = parse_unfinished(&wait, e);
    if (!rc && (p.n == 0 || p.used < n)) {
        rc = err_set(e, ERR_USAGE, p.n ? "more than one line" : "no command");
        err_hint(e, p.n ? "put commands apart by `;`, or into a script: alias %.40s = source FILE"
                        : "as in: alias %.40s = top sink --n 5", name);
    }
    parsed_free(&p);
    return rc ? err_prefix(e, "%s", name) : 0;
}

int alias_define(session *s, const char *name, const char *text, bool shadow, err *e)
{
    if (!well_formed(name)) {
        err_set(e, ERR_USAGE, "\"%s\" cannot be the name of an alias", name);
        return err_hint(e, "letters, digits, _ - and ., beginning with a letter: alias t = top sink --n 5");
    }
    if (command_find(name, false) && !shadow) {
        err_set(e, ERR_USAGE, "\"%s\" is a command", name);
        return err_hint(e, "choose another name, or say that it is meant: alias --shadow %s = ...", name);
    }
    int rc = check_text(name, text, e);
    return rc ? rc : name_list_set(&s->aliases, name, text, s->reading_config, e);
}

int alias_unknown(const session *s, const char *name, err *e)
{
    const char **names = mem_array((size_t)s->aliases.n + 1, sizeof *names, e);
    if (!names)
        return ERR_RESOURCE;
    for (int i = 0; i < s->aliases.n; i++)
        names[i] = s->aliases.entry[i].name;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "unknown alias \"%s\"", name);
    if (near)
        err_hint(e, "did you mean \"%s\"?", near);
    else
        err_hint(e, s->aliases.n ? "`alias` lists them" : "there is none yet: alias NAME = WORDS ...");
    free(names);
    return ERR_USAGE;
}

int aliases_print(const session *s, const char *name, err *e)
{
    strbuf b = {0};
    if (!name && s->aliases.n)
        strbuf_puts(&b, "\nAliases\n");
    for (int i = 0; i < s->aliases.n; i++) {
        const name_entry *x = &s->aliases.entry[i];
        if (name && strcmp(name, x->name) != 0)
            continue;
        strbuf_printf(&b, name ? "%s is an alias: " : "  %s = ", x->name);
        strbuf_put_visible(&b, x->text, strlen(x->text));
        strbuf_putc(&b, '\n');
    }
    int rc = output_flush(s->out, &b, e);
    strbuf_free(&b);
    return rc;
}

int aliases_table(table **out, const session *s, err *e)
{
    static const char *const columns[] = {"alias", "text", "from"};
    int rc = table_new(out, 3, columns, e);
    if (!rc)
        rc = name_list_rows(*out, &s->aliases, e);
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}
