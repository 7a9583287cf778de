/* set: settings of this session. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/settings.h"
#include "cli/command.h"

static int run(session *s, const command_args *a, err *e)
{
    if (a->n == 0) {
        table *t;
        int rc = settings_table(&t, s, e);
        if (!rc)
            rc = print_table(s, a, t, "attnscope.setting/1", e);
        if (!rc)
            table_free(t);
        return rc;
    }
    const char *equals = strchr(a->word[0], '=');
    if (a->n == 2 && !equals)
        return session_set(s, a->word[0], a->word[1], e);
    if (a->n == 1 && equals) {
        char *name = mem_strndup(a->word[0], (size_t)(equals - a->word[0]), e);
        int rc = name ? session_set(s, name, equals + 1, e) : ERR_RESOURCE;
        free(name);
        return rc;
    }
    if (a->n == 1 && params_row(s->settings, a->word[0]) && settings_value(s, a->word[0])) {
        fprintf(s->out, "%s\n", settings_value(s, a->word[0]));
        return 0;
    }
    if (a->n == 1)
        return session_set(s, a->word[0], NULL, e); /* says what is wrong */
    err_set(e, ERR_USAGE, "expected NAME VALUE");
    return err_hint(e, "usage: set [NAME [VALUE]]");
}

static const char *const examples[] = {
    "set", "all settings with their values",
    "set threads 4", "use four threads from now on",
    "set format json", "write results as JSON Lines from now on",
    NULL,
};
static const char *const complete[] = {"settings", "setting-values", NULL};

const command command_set = {
    .name = "set", .group = "shell", .usage = "[NAME [VALUE]]",
    .summary = "show or change a setting of this session",
    .help = "Settings hold until the session ends; an option of a command goes before the setting of the "
            "same name. Before the verb on the program's command line each setting is an option: "
            "`attnscope --threads 4 run ...`.",
    .examples = examples, .max_args = 2, .complete = complete, .run = run, .all_ranks = true,
};
