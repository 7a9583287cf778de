/* source: run a script in this session. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/near_file.h"
#include "base/ranks.h"
#include "cli/command.h"

#define DEEPEST 16

static int cannot_read(const char *path, int why, err *e)
{
    if (why == ENOENT || why == ENOTDIR)
        err_set(e, ERR_INPUT, *path ? "%s: no such file" : "%sempty file name", path);
    else if (why == EACCES || why == EPERM)
        err_set(e, ERR_INPUT, "%s: permission denied", path);
    else if (why == EISDIR)
        err_set(e, ERR_INPUT, "%s: is a directory", path);
    else
        err_errno(e, ERR_INPUT, why, "%s: cannot be read", path);
    if (why == EISDIR)
        return err_hint(e, "name a file inside it");
    return near_file_hint(e, path, "check the path; relative paths start in the current directory");
}

static int run(session *s, const command_args *a, err *e)
{
    const char *path = a->word[0];
    if (s->depth >= DEEPEST) {
        err_set(e, ERR_FAILED, "%s: scripts run each other %d levels deep", path, DEEPEST);
        return err_hint(e, "does it run itself?");
    }
    struct stat st;
    FILE *f = fopen(path, "r");
    int rc = f ? 0 : cannot_read(path, errno, e);
    if (f && fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
        rc = cannot_read(path, EISDIR, e);
    if ((rc = ranks_agree(rc, e))) { /* before the commands, in each of which the ranks agree again */
        if (f)
            fclose(f);
        return rc;
    }
    bool keep_going = s->keep_going;
    int n_outer = s->n_script_arg;
    const char *const *outer = s->script_arg;
    s->keep_going = keep_going || params_bool(a->p, "keep-going");
    s->n_script_arg = a->n - 1;
    s->script_arg = a->word + 1;
    rc = session_script(s, f, path); /* errors are printed where they happen */
    s->n_script_arg = n_outer;
    s->script_arg = outer;
    s->keep_going = keep_going;
    fclose(f);
    return rc;
}

static const param own[] = {
    {.name = "keep-going", .kind = PARAM_BOOL, .help = "go on after a command that failed"},
    {.name = NULL},
};
static const char *const examples[] = {
    "source examples/scripts/first-look.attn", "run the commands of a file as if they were typed",
    "source examples/scripts/first-look.attn --keep-going", "and do not stop at the first error",
    "source examples/scripts/one-model.attn examples/models/lantern-3m", "a script with an argument, which it calls $1",
    NULL,
};
static const char *const complete[] = {"files", NULL};

const command command_source = {
    .name = "source", .group = "shell", .usage = "FILE [ARGUMENT ...]",
    .summary = "run the commands of a file in this session",
    .help = "The script shares model, store, settings, aliases and variables with the session. It stops at its first error, "
            "which is told with file and line. Relative paths start in the current directory. In the script $1 to $9 "
            "are the ARGUMENTs, ${2:-TEXT} is TEXT where the second was not given; one that begins with a dash goes "
            "behind a --. In a script without arguments a $5 is no more than its characters.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 10, .complete = complete,
    .run = run, .live = true, .all_ranks = true,
    .no_table = true,
};
