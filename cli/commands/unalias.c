/* unalias: forget aliases. */
#include "cli/aliases.h"
#include "cli/command.h"
#include "cli/user_config.h"

static int run(session *s, const command_args *a, err *e)
{
    for (int i = 0; i < a->n; i++)
        if (!name_list_find(&s->aliases, a->word[i]))
            return alias_unknown(s, a->word[i], e);
    return user_config_forget(s, &s->aliases, "alias", a->word, a->n, params_bool(a->p, "save"), e);
}

static const param own[] = {
    {.name = "save", .kind = PARAM_BOOL, .help = "their lines leave the configuration file, too"},
    {.name = NULL},
};
static const char *const examples[] = {
    "alias m = list metrics; unalias m", "an alias comes and goes",
    "alias a = runs; alias b = set; unalias a b", "several at once",
    NULL,
};
static const char *const complete[] = {"aliases", NULL};

const command command_unalias = {
    .name = "unalias", .group = "shell", .usage = "NAME ...",
    .summary = "forget aliases",
    .help = "With --save they leave the configuration file, too.",
    .examples = examples, .params = own, .min_args = 1, .max_args = -1, .complete = complete, .run = run,
    .no_table = true, .all_ranks = true,
};
