/* quit: leave. */
#include "cli/command.h"

static int run(session *s, const command_args *a, err *e)
{
    (void)a;
    (void)e;
    s->quit = true;
    return 0;
}

static const char *const examples[] = {
    "quit", "leave the shell; Ctrl-D on an empty line does the same",
    "info examples/models/lantern-3m; quit", "end a script before its last line",
    NULL,
};

const command command_quit = {
    .name = "quit", .group = "shell", .usage = "",
    .summary = "leave the shell, or end a script",
    .help = "What is in a store file stays; results in memory are gone.",
    .examples = examples, .run = run, .no_table = true, .all_ranks = true,
};
