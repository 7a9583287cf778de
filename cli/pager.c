#include "cli/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "base/text_width.h"
#include "cli/command_util.h"
#include "cli/progress_bar.h"
#include "cli/signals.h"
#include "cli/standard_out.h"
#include "cli/terminal.h"

extern char **environ;

static bool holding;

/* The command of the pager; NULL: none is wanted. */
static const char *pager_program(const session *s)
{
    const char *wish = params_str(s->settings, "pager"), *program = getenv("PAGER");
    if (!*wish || !strcmp(wish, "off") || (!strcmp(wish, "auto") && params_bool(s->settings, "plain")))
        return NULL;
    if (strcmp(wish, "auto") != 0)
        return wish;
    return program && *program ? program : "less -FRX";
}

void pager_begin(const session *s, const command *c)
{
    if (holding || !s->interactive || s->depth > 0 || s->part || c->live || !terminal_output(s) ||
        !terminal_can_redraw(STDOUT_FILENO) || !isatty(STDIN_FILENO) || !pager_program(s))
        return;
    fflush(s->standard_out);
    standard_out_hold();
    holding = true;
}

/* Bytes of the control sequence at s, 0 when there is none. */
static size_t control_sequence(const char *s, size_t n)
{
    if (n < 2 || s[0] != '\033' || s[1] != '[')
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (s[i] >= '@' && s[i] <= '~')
            return i + 1;
    }
    return n;
}

int64_t pager_rows(const char *text, size_t n, int columns)
{
    int64_t rows = 0, at = 0;
    for (size_t i = 0; i < n;) {
        size_t skip = control_sequence(text + i, n - i);
        if (skip) {
            i += skip;
        } else if (text[i] == '\n') {
            rows += at == 0 ? 1 : (at + columns - 1) / columns;
            at = 0;
            i++;
        } else {
            int bytes = utf8_next(NULL, text + i, n - i);
            size_t take = bytes > 0 ? (size_t)bytes : 1;
            at += text_columns(text + i, take);
            i += take;
        }
    }
    return rows + (at + columns - 1) / columns;
}

/* A shell that runs the program reads from *in. */
static bool start(pid_t *pid, int *in, const char *program)
{
    int ends[2];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t set;
    char shell[] = "sh", dash_c[] = "-c", *line = mem_strdup(program, NULL);
    char *words[] = {shell, dash_c, line, NULL};
    if (!line || pipe2(ends, O_CLOEXEC) != 0) {
        free(line);
        return false;
    }
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&how, &set);
    sigaddset(&set, SIGPIPE); /* what this program ignores */
    sigaddset(&set, SIGXFSZ);
    posix_spawnattr_setsigdefault(&how, &set);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    bool options = !getenv("LESS");
    if (options)
        setenv("LESS", "FRX", 1); /* whatever $PAGER says: colours, and short text without asking */
    bool ok = posix_spawn(pid, "/bin/sh", &files, &how, words, environ) == 0;
    if (options)
        unsetenv("LESS");
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    close(ends[0]);
    free(line);
    if (ok)
        *in = ends[1];
    else
        close(ends[1]);
    return ok;
}

/* Until all is written or the reader has gone. */
static void feed(int in, const char *text, size_t n)
{
    for (size_t done = 0; done < n && !signals_end();) {
        ssize_t w = write(in, text + done, n - done);
        if (w > 0)
            done += (size_t)w;
        else if (errno != EINTR)
            break;
    }
    close(in);
}

/* False: there is no such program, and nothing was shown. */
static bool page(const char *program, const char *text, size_t n)
{
    struct termios before;
    pid_t pid;
    int in, status = 0;
    bool saved = tcgetattr(STDIN_FILENO, &before) == 0;
    if (!start(&pid, &in, program))
        return false;
    feed(in, text, n);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (signals_end())
            kill(pid, SIGTERM);
    }
    if (saved)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before); /* a pager that was killed leaves it as it was at work */
    if (!signals_end())
        cancel_clear(); /* Ctrl-C was meant for the pager */
    return !WIFEXITED(status) || (WEXITSTATUS(status) != 126 && WEXITSTATUS(status) != 127);
}

void pager_end(const session *s)
{
    if (!holding)
        return;
    size_t n = 0;
    fflush(s->standard_out);
    char *text = standard_out_release(&n);
    const char *program = pager_program(s);
    holding = false;
    progress_bar_clear(s->bar);
    view_size screen = terminal_size(STDOUT_FILENO);
    bool shown = program && !cancel_requested() && pager_rows(text, n, screen.columns) >= screen.lines &&
                 page(program, text, n);
    if (!shown)
        standard_out_write(text, n);
    free(text);
}
