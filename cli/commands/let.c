/* let: give a value a name. */
#include <stdlib.h>
#include <string.h>
#include "cli/command.h"
#include "cli/user_config.h"
#include "cli/variables.h"

static int list_all(session *s, const command_args *a, err *e)
{
    table *t;
    int rc = variables_table(&t, s, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.variable/1", e);
    if (!rc)
        table_free(t);
    return rc;
}

static int define(session *s, const command_args *a, const char *name, const char *value, err *e)
{
    int rc = variables_check_name(name, e);
    if (!rc)
        rc = name_list_set(&s->variables, name, value, s->reading_config, e);
    if (rc || !params_bool(a->p, "save"))
        return rc;
    strbuf line = {0};
    strbuf_printf(&line, *value == '-' ? "let %s=" : "let %s = ", name); /* a word with a dash would be an option */
    strbuf_put_quoted(&line, value);
    rc = line.failed ? err_nomem(e, "a variable") : user_config_save(s, "let", name, strbuf_str(&line), e);
    strbuf_free(&line);
    return rc;
}

/* let NAME: its value alone, for a look. */
static int show(session *s, const char *name, err *e)
{
    const word_ref ref = {.at = 0, .len = strlen(name), .name = name, .braces = true};
    const parsed_word word = {.text = name, .n_ref = 1, .ref = &ref};
    strbuf value = {0};
    int rc = variables_expand(&value, s, &word, e);
    if (!rc)
        fprintf(s->out, "%s\n", strbuf_str(&value));
    strbuf_free(&value);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    if (a->n == 0)
        return list_all(s, a, e);
    const char *first = a->word[0], *equals = strchr(first, '=');
    if (a->n == 3 && !equals && !strcmp(a->word[1], "="))
        return define(s, a, first, a->word[2], e);
    if (a->n == 1 && equals && equals > first) {
        char *name = mem_strndup(first, (size_t)(equals - first), e);
        int rc = name ? define(s, a, name, equals + 1, e) : ERR_RESOURCE;
        free(name);
        return rc;
    }
    if (a->n == 1 && !equals)
        return show(s, first, e);
    bool words = a->n > 3 && !strcmp(a->word[1], "=");
    err_set(e, ERR_USAGE, words ? "a value is one word" : "expected NAME = VALUE");
    return err_hint(e, words ? "quote it: let name = 'two words'" : "as in: let prompt = 'It was a dark night'");
}

static const param own[] = {
    {.name = "save", .kind = PARAM_BOOL, .help = "keep it in the configuration file, for sessions to come"},
    {.name = NULL},
};
static const char *const examples[] = {
    "let m = examples/models/lantern-3m; info $m", "a name for a path",
    "let p = 'It was a dark night'; run examples/models/lantern-3m --prompt \"$p.\"", "in double quotes, as part of a word",
    "let out = ${env:HOME}/heads.db", "a variable of the environment",
    "let", "all of them, with those that the session gives",
    NULL,
};

const command command_let = {
    .name = "let", .group = "shell", .usage = "[NAME [= VALUE]]",
    .summary = "give a value a name: $NAME",
    .help = "$NAME and ${NAME} stand for the value, in plain words and in double quotes; single quotes keep a $ as it is, and "
            "so does \\$. A value is a part of the word in which it stands: it is never split at blanks. "
            "${NAME:-TEXT} is TEXT where NAME has no value, ${env:NAME} a variable of the environment, $1 to $9 the "
            "arguments of a script (`help source`). The session gives $last (the latest run), $model (the path of the "
            "loaded model) and $store. A name that is not known is an error. A value that begins with a dash is written "
            "let NAME=VALUE. What a run or a figure says of how it was made has the values.",
    .examples = examples, .params = own, .max_args = -1, .run = run, .all_ranks = true,
};
