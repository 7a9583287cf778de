#include "cli/view_terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/cancel.h"

/* SCREEN_BACK ends what a cut escape sequence left open (CAN) first. */
#define SCREEN_TAKE "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define SCREEN_BACK "\x18\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH,
                             SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { N_CAUGHT = sizeof caught / sizeof *caught, N_USUAL = 6 }; /* usual: not the end of the program by themselves */

static struct {
    struct sigaction before[N_CAUGHT];
    struct termios saved, ours;
    volatile sig_atomic_t taken;   /* by tty_begin */
    volatile sig_atomic_t held;    /* and not given back by a signal */
    volatile sig_atomic_t screen, resized, ended;
} tty;

/* --- taking and giving back; safe in a signal handler --- */

static void put_now(const char *s)
{
    size_t n = strlen(s);
    while (n > 0) {
        ssize_t w = write(STDOUT_FILENO, s, n);
        if (w <= 0 && !(w < 0 && errno == EINTR))
            return;
        s += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
}

static void give_back(void)
{
    if (!tty.held)
        return;
    tty.held = 0;
    if (tty.screen)
        put_now(SCREEN_BACK);
    tcsetattr(STDIN_FILENO, TCSANOW, &tty.saved);
}

static void take(void)
{
    if (!tty.taken || tty.held || tty.ended)
        return;
    tcsetattr(STDIN_FILENO, TCSANOW, &tty.ours);
    if (tty.screen)
        put_now(SCREEN_TAKE);
    tty.held = 1;
    tty.resized = 1;
}

static const struct sigaction *before(int sig)
{
    int i = 0;
    while (caught[i] != sig)
        i++;
    return &tty.before[i];
}

/* Stop as if nobody had caught the signal.  Where no shell would wake us (an orphaned group) the kernel goes on. */
static void stop(void)
{
    struct sigaction now, usual = {.sa_handler = SIG_DFL};
    sigset_t set, old;
    sigemptyset(&usual.sa_mask);
    sigaction(SIGTSTP, &usual, &now);
    raise(SIGTSTP);
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, &old);
    /* stopped here */
    sigprocmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGTSTP, &now, NULL);
}

static void on_signal(int sig)
{
    int saved_errno = errno;
    const struct sigaction *old = before(sig);
    if (sig == SIGWINCH) {
        tty.resized = 1;
    } else if (sig == SIGCONT) {
        take(); /* after a stop that could not be caught the modes are the shell's */
    } else if (sig == SIGTSTP) {
        give_back();
        stop();
        take();
    } else if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP) {
        tty.ended = 1;
        give_back();
        if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
            old->sa_handler(sig);
        else if (old->sa_handler == SIG_DFL)
            cancel_request();
    } else {
        give_back();
        sigaction(sig, old, NULL);
        raise(sig);
    }
    errno = saved_errno;
}

static void install(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    for (int i = 0; i < N_CAUGHT; i++)
        sigaddset(&act.sa_mask, caught[i]);
    for (int i = 0; i < N_CAUGHT; i++) {
        sigaction(caught[i], NULL, &tty.before[i]);
        bool ignored = tty.before[i].sa_handler == SIG_IGN; /* nohup; a shell without job control */
        if (!ignored || caught[i] == SIGWINCH || caught[i] == SIGCONT)
            sigaction(caught[i], &act, NULL);
    }
}

int tty_begin(bool screen, err *e)
{
    static bool at_exit;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &tty.saved) != 0)
        return err_set(e, ERR_FAILED, "standard input and output are not a terminal");
    if (!at_exit)
        atexit(give_back);
    at_exit = true;
    tty.ours = tty.saved;
    tty.ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tty.ours.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    tty.ours.c_cc[VMIN] = 1;
    tty.ours.c_cc[VTIME] = 0;
    tty.screen = screen;
    tty.ended = 0;
    tty.taken = 1;
    install();
    take();
    return 0;
}

void tty_end(void)
{
    if (!tty.taken)
        return;
    give_back();
    tty.taken = 0;
    for (int i = 0; i < N_CAUGHT; i++)
        sigaction(caught[i], &tty.before[i], NULL);
}

/* --- bytes --- */

bool tty_write(const char *bytes, size_t n)
{
    while (n > 0) {
        if (tty.ended)
            return false;
        ssize_t w = write(STDOUT_FILENO, bytes, n);
        if (w < 0 && errno == EAGAIN) {
            struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&out, 1, 1000);
        } else if (w <= 0 && !(w < 0 && errno == EINTR)) {
            return false;
        }
        bytes += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
    return !tty.ended;
}

/* Signals come through only while it sleeps, so that none gets lost between a look and the sleep. */
tty_wake tty_wait(int ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    sigset_t block, open;
    tty_wake why = TTY_TIME;
    sigemptyset(&block);
    for (int i = 0; i < N_USUAL; i++)
        sigaddset(&block, caught[i]);
    sigprocmask(SIG_BLOCK, &block, &open);
    int n = 0;
    if (!tty.resized && !cancel_requested())
        n = ppoll(&in, 1, ms < 0 ? NULL : &limit, &open);
    sigprocmask(SIG_SETMASK, &open, NULL);
    if (cancel_requested()) {
        why = TTY_CANCELLED;
    } else if (tty.resized) {
        tty.resized = 0;
        why = TTY_RESIZED;
    } else if (n > 0) {
        why = TTY_INPUT;
    } else if (n < 0 && ms < 0) {
        why = TTY_RESIZED; /* another signal: drawing once more does no harm */
    }
    return why;
}

size_t tty_read(char *bytes, size_t most)
{
    for (;;) {
        ssize_t n = read(STDIN_FILENO, bytes, most);
        if (n >= 0)
            return (size_t)n;
        if (errno != EINTR)
            return 0;
        if (tty.ended)
            return 0;
    }
}
