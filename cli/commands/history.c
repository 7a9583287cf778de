/* history: what was typed in the shell. */
#include "cli/command.h"
#include "cli/shell.h"

static int run(session *s, const command_args *a, err *e)
{
    int64_t n = 0;
    if (params_bool(a->p, "clear"))
        return shell_history_clear(e);
    if (a->n == 1 && (!parse_int(&n, a->word[0]) || n < 1)) {
        err_set(e, ERR_USAGE, "\"%s\" is no number of lines", a->word[0]);
        return err_hint(e, "usage: history [N]");
    }
    return shell_history_print(s->out, n, e);
}

static const param own[] = {
    {.name = "clear", .kind = PARAM_BOOL, .help = "forget all lines"},
    {.name = NULL},
};
static const char *const examples[] = {
    "history 20", "the last twenty lines typed",
    "history --clear", "forget them",
    NULL,
};

const command command_history = {
    .name = "history", .group = "shell", .usage = "[N]",
    .summary = "show the lines typed in the shell",
    .help = "Lines are kept in $XDG_STATE_HOME/attnscope/history, readable by you alone; a line that begins "
            "with a blank is not kept. Arrow keys bring them back, Ctrl-R searches them. At the prompt a line may begin with !! "
            "(the line before), !12 (that of this number), !-2 (the last but one), !run (the newest that begins so) or "
            "!?text? (the newest with that text): the words behind it are put behind that line, which is shown before it "
            "runs.",
    .examples = examples, .params = own, .max_args = 1, .run = run,
};
