/* alias: a name for the beginning of a command. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/aliases.h"
#include "cli/command.h"
#include "cli/user_config.h"

static int list_all(session *s, const command_args *a, err *e)
{
    table *t;
    int rc = aliases_table(&t, s, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.alias/1", e);
    if (!rc)
        table_free(t);
    return rc;
}

static int show(session *s, const char *name, err *e)
{
    const name_entry *x = name_list_find(&s->aliases, name);
    if (!x)
        return alias_unknown(s, name, e);
    fprintf(s->out, "%s\n", x->text);
    return 0;
}

static int save(session *s, const char *name, bool shadow, err *e)
{
    strbuf line = {0};
    strbuf_printf(&line, "alias %s%s = ", shadow ? "--shadow " : "", name);
    strbuf_put_quoted(&line, name_list_find(&s->aliases, name)->text);
    int rc = line.failed ? err_nomem(e, "an alias") : user_config_save(s, "alias", name, strbuf_str(&line), e);
    strbuf_free(&line);
    return rc;
}

/* One word is a text of the language; several are the words of one command. */
static int define(session *s, const command_args *a, const char *name, int n, const char *const *words, err *e)
{
    strbuf text = {0};
    bool shadow = params_bool(a->p, "shadow");
    for (int i = 0; i < n; i++) {
        strbuf_puts(&text, i ? " " : "");
        if (n == 1)
            strbuf_puts(&text, words[i]);
        else
            strbuf_put_quoted(&text, words[i]);
    }
    int rc = text.failed ? err_nomem(e, "an alias") : alias_define(s, name, strbuf_str(&text), shadow, e);
    strbuf_free(&text);
    return rc || !params_bool(a->p, "save") ? rc : save(s, name, shadow, e);
}

static int run(session *s, const command_args *a, err *e)
{
    if (a->n == 0)
        return list_all(s, a, e);
    const char *first = a->word[0], *equals = strchr(first, '=');
    if (equals && equals > first) { /* NAME=WORD ... */
        const char **words = mem_array((size_t)a->n, sizeof *words, e);
        char *name = words ? mem_strndup(first, (size_t)(equals - first), e) : NULL;
        int rc = name ? 0 : ERR_RESOURCE;
        for (int i = 0; !rc && i < a->n; i++)
            words[i] = i ? a->word[i] : equals + 1;
        if (!rc)
            rc = define(s, a, name, a->n, words, e);
        free(name);
        free(words);
        return rc;
    }
    if (a->n == 1 && !equals)
        return show(s, first, e);
    int skip = a->n > 1 && !strcmp(a->word[1], "=") ? 2 : 1;
    if (equals || skip == a->n) {
        err_set(e, ERR_USAGE, "expected NAME = WORDS ...");
        return err_hint(e, "as in: alias t = top sink --n 5");
    }
    return define(s, a, first, a->n - skip, a->word + skip, e);
}

static const param own[] = {
    {.name = "save", .kind = PARAM_BOOL, .help = "keep it in the configuration file, for sessions to come"},
    {.name = "shadow", .kind = PARAM_BOOL, .help = "let NAME be a command's: the alias goes before it"},
    {.name = NULL},
};
static const char *const examples[] = {
    "alias m = list metrics --csv; m", "a name for a command and its options",
    "alias about = 'info examples/models/lantern-3m; list isas'; about --json",
    "for several: words behind the alias go to the last of them",
    "alias", "all of them",
    NULL,
};

const command command_alias = {
    .name = "alias", .group = "shell", .usage = "[NAME [= WORDS ...]]",
    .summary = "a name for the beginning of a command",
    .help = "The first word of a command that is an alias, and not quoted, stands for its words. Several words are kept as "
            "they are; one word is read as a text of the command language when the alias is used, so that 'run $model' "
            "means the model that is loaded then. Options of alias itself go before NAME: what follows belongs to the "
            "alias. In its own text the name means the command: alias --shadow top = top --n 5.",
    .examples = examples, .params = own, .max_args = -1, .literal_after = 1, .run = run, .all_ranks = true,
};
