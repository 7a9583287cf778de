/* unalias: forget aliases. */
#include "cli/aliases.h"
#include "cli/command.h"
#include "cli/user_config.h"

static int run(session *s, const command_args *a, err *e)
{
    bool save = params_bool(a->p, "save");
    for (int i = 0; i < a->n; i++)
        if (!name_list_find(&s->aliases, a->word[i]))
            return alias_unknown(s, a->word[i], e);
    for (int i = 0; i < a->n; i++) {
        name_list_remove(&s->aliases, a->word[i]);
        int rc = save ? user_config_save(s, "alias", a->word[i], NULL, e) : 0;
        if (rc)
            return rc;
    }
    return 0;
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
