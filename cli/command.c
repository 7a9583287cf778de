#include "cli/command.h"

#include <assert.h>
#include <string.h>

#define COMMAND(name) extern const command command_##name;
#include "registry/commands.inc"
#undef COMMAND

const command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "registry/commands.inc"
#undef COMMAND
    NULL,
};

const command_group command_groups[] = {
    {"model", "Look at a model"},
    {"measure", "Measure its attention"},
    {"experiment", "Experiment with it"},
    {"store", "Read what was measured"},
    {"figure", "Draw it"},
    {"prove", "Prove it right"},
    {"shell", "The shell itself"},
    {NULL, NULL},
};

const param output_params[] = {
    {.name = "json", .kind = PARAM_BOOL, .help = "JSON Lines: one object a line, full precision"},
    {.name = "csv", .kind = PARAM_BOOL, .help = "comma-separated values, full precision"},
    {.name = "tsv", .kind = PARAM_BOOL, .help = "tab-separated values, full precision"},
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "write results to FILE instead of standard output"},
    {.name = NULL},
};

const param common_params[] = {
    {.name = "store", .kind = PARAM_PATH, .value = "FILE",
     .help = "database of results; the first one named stays the session's"},
    {.name = "threads", .kind = PARAM_INT, .value = "N", .max = 4096,
     .help = "worker threads; 0 uses all processors"},
    {.name = "quiet", .kind = PARAM_BOOL, .help = "no progress and no notes on standard error"},
    {.name = "help", .kind = PARAM_BOOL, .help = "explain this command"},
    {.name = NULL},
};

const command *command_find(const char *name, bool prefix)
{
    const command *found = NULL;
    size_t n = strlen(name);
    for (int i = 0; commands[i]; i++) {
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    }
    if (!prefix || !n)
        return NULL;
    for (int i = 0; commands[i]; i++) {
        if (strncmp(commands[i]->name, name, n) != 0)
            continue;
        if (found)
            return NULL;
        found = commands[i];
    }
    return found;
}

void command_get_tables(const command *c, command_tables out)
{
    const param *const *extra = c->extra_params ? c->extra_params() : NULL;
    int n = 0, limit = (int)(sizeof(command_tables) / sizeof *out) - 1;
    if (c->params)
        out[n++] = c->params;
    for (; extra && *extra && n < limit - 2; extra++)
        out[n++] = *extra;
    assert(!extra || !*extra);
    if (!c->no_table)
        out[n++] = output_params;
    out[n++] = common_params;
    out[n] = NULL;
}
