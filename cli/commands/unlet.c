/* unlet: forget variables. */
#include "cli/command.h"
#include "cli/user_config.h"
#include "cli/variables.h"

static int run(session *s, const command_args *a, err *e)
{
    for (int i = 0; i < a->n; i++) {
        int rc = variables_check_name(a->word[i], e);
        if (!rc && !name_list_find(&s->variables, a->word[i]))
            rc = variables_unknown(s, a->word[i], e);
        if (rc)
            return rc;
    }
    return user_config_forget(s, &s->variables, "let", a->word, a->n, params_bool(a->p, "save"), e);
}

static const param own[] = {
    {.name = "save", .kind = PARAM_BOOL, .help = "their lines leave the configuration file, too"},
    {.name = NULL},
};
static const char *const examples[] = {
    "let p = dark; unlet p", "a variable comes and goes",
    "let a = 1; let b = 2; unlet a b", "several at once",
    NULL,
};
static const char *const complete[] = {"variables", NULL};

const command command_unlet = {
    .name = "unlet", .group = "shell", .usage = "NAME ...",
    .summary = "forget variables that `let` made",
    .help = "With --save they leave the configuration file, too. Those that the session gives stay.",
    .examples = examples, .params = own, .min_args = 1, .max_args = -1, .complete = complete, .run = run,
    .no_table = true, .all_ranks = true,
};
