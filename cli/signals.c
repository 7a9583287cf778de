#include "cli/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/err.h"
#include "base/outdir.h"

static volatile sig_atomic_t patient; /* the shell: never end at once */
static volatile sig_atomic_t end;

static void on_signal(int sig)
{
    if (cancel_requested() && !(patient && sig == SIGINT)) {
        outfile_abandon_all();
        outdir_abandon_all();
        _exit(ERR_CANCELLED);
    }
    if (sig != SIGINT)
        end = 1;
    cancel_request();
}

bool signals_end(void)
{
    return end != 0;
}

void signals_install(bool interactive)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN}, old;
    patient = interactive;
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        /* Started with nohup or in the background by a script: stays ignored, but for Ctrl-C at the prompt. */
        bool wanted = interactive && caught[i] == SIGINT;
        if (sigaction(caught[i], NULL, &old) == 0 && (wanted || old.sa_handler != SIG_IGN))
            sigaction(caught[i], &act, NULL);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* the write fails instead, and says so */
}
