#include "cli/shell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <readline/readline.h>
#include "base/cancel.h"
#include "cli/complete.h"
#include "cli/dispatch.h"
#include "cli/help.h"
#include "cli/shell_keys.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "base/text_width.h"

#define NAME_COLUMNS 24 /* of the prompt that a model's name may take */

typedef struct shell {
    session *s;
    strbuf text;        /* a command that goes on over several lines */
    parse_wait wait;
    char *line;         /* what Readline delivered */
    bool have_line;
    bool done;
} shell;

static shell *the_shell; /* Readline's callback carries no pointer of ours */

static void take_line(char *line)
{
    the_shell->line = line;
    the_shell->have_line = true;
    rl_callback_handler_remove(); /* gives the terminal back before the command runs */
}

static void put_prompt(strbuf *b, const shell *sh)
{
    const loaded_model *lm = sh->s->current;
    if (sh->text.len) {
        strbuf_puts(b, "> ");
        return;
    }
    strbuf_puts(b, "attnscope");
    if (lm) {
        strbuf name = {0};
        strbuf_put_visible(&name, lm->m->name, strlen(lm->m->name));
        size_t fit = text_fit(strbuf_str(&name), name.len, NAME_COLUMNS);
        strbuf_putc(b, ' ');
        strbuf_add(b, strbuf_str(&name), fit);
        strbuf_puts(b, fit < name.len ? ".." : "");
        strbuf_free(&name);
    }
    strbuf_puts(b, "> ");
}

/* Ctrl-C at the prompt: the line goes, with the lines before it. */
static void drop_line(shell *sh)
{
    strbuf_clear(&sh->text);
    sh->wait = (parse_wait){0};
    fputs("^C\n", rl_outstream);
    rl_callback_sigcleanup(); /* a search or a count that was half typed goes, too */
    rl_callback_handler_remove();
}

/* Wait for a line: fills sh->line (NULL at the end of input) and returns true; false after Ctrl-C.  Signals
 * come through only while it sleeps, so that none gets lost between a look and the sleep. */
static bool read_line(shell *sh)
{
    sigset_t block, before;
    strbuf prompt = {0};
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGHUP);
    sigprocmask(SIG_BLOCK, &block, &before);
    put_prompt(&prompt, sh);
    sh->have_line = false;
    rl_callback_handler_install(strbuf_str(&prompt), take_line);
    while (!sh->have_line && !cancel_requested()) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        bool typed = ppoll(&in, 1, NULL, &before) > 0;
        /* ppoll leaves a signal waiting when there is input as well; what is typed came after it, because
         * the terminal drops older input at Ctrl-C */
        sigprocmask(SIG_SETMASK, &before, NULL);
        sigprocmask(SIG_BLOCK, &block, NULL);
        shell_hint_clear();
        if (typed && !cancel_requested())
            rl_callback_read_char();
        else if (!cancel_requested())
            shell_resized(); /* the other signal that ends the sleep: the window has another size */
    }
    if (!sh->have_line && signals_end()) {
        rl_callback_handler_remove();
        sh->done = true;
    } else if (!sh->have_line) {
        drop_line(sh);
    }
    cancel_clear(); /* from here on Ctrl-C means the command */
    sigprocmask(SIG_SETMASK, &before, NULL);
    strbuf_free(&prompt);
    return sh->have_line;
}

/* Run what is typed when it is complete. */
static void run_typed(shell *sh)
{
    parsed_line p;
    err e = {0};
    size_t at = 0;
    while (at < sh->text.len && !sh->s->quit) {
        int rc = parse_line(&p, &sh->wait, sh->text.s + at, sh->text.len - at, &e);
        if (!rc && sh->wait.missing) {
            parsed_free(&p);
            break;
        }
        if (at == 0) { /* the whole text is one entry of the history, without its last newline */
            sh->text.s[sh->text.len - 1] = '\0';
            shell_history_add(sh->text.s);
            sh->text.s[sh->text.len - 1] = '\n';
        }
        if (rc)
            session_report(sh->s, NULL, NULL, &e);
        else
            rc = session_parsed(sh->s, &p, NULL, 0);
        at += p.used;
        parsed_free(&p);
        if (rc)
            at = sh->text.len;
    }
    if (at >= sh->text.len || sh->s->quit)
        strbuf_clear(&sh->text);
    else if (at)
        memmove(sh->text.s, sh->text.s + at, sh->text.len - at + 1), sh->text.len -= at;
    if (signals_end())
        sh->done = true;
    cancel_clear();
}

/* Readline ends the line of an end of input itself when it had switched pasting in brackets on. */
static bool line_ended(void)
{
    const char *value = rl_variable_value("enable-bracketed-paste");
    return rl_readline_version >= 0x0801 && value && !strcmp(value, "on");
}

static void end_of_input(shell *sh)
{
    err e = {0};
    if (!line_ended())
        fputc('\n', rl_outstream);
    if (sh->text.len) {
        parse_unfinished(&sh->wait, &e);
        session_report(sh->s, NULL, NULL, &e);
    }
    sh->done = true;
}

/* A line of the history in the place of its number or beginning, shown before it runs.  False: there is none. */
static bool recall(shell *sh)
{
    err e = {0};
    bool expanded;
    int rc = sh->text.len ? 0 : shell_history_expand(&sh->line, &expanded, &e);
    if (rc) {
        session_report(sh->s, NULL, NULL, &e);
        free(sh->line);
    } else if (!sh->text.len && expanded) {
        strbuf shown = {0};
        for (const char *at = sh->line; *at; at += *at == '\n') { /* its lines as they are, all else safe for a terminal */
            size_t n = strcspn(at, "\n");
            strbuf_put_visible(&shown, at, n);
            strbuf_putc(&shown, '\n');
            at += n;
        }
        fputs(strbuf_str(&shown), rl_outstream);
        strbuf_free(&shown);
    }
    return rc == 0;
}

static void greet(void)
{
    strbuf text = {0}, lines = {0};
    strbuf_printf(&text, "attnscope %s: `help` lists the commands, Tab completes, `?` helps, Ctrl-D leaves", program_version);
    help_wrap(&lines, strbuf_str(&text), 0, terminal_size(fileno(rl_outstream)).columns);
    fputs(strbuf_str(&lines), rl_outstream);
    strbuf_free(&text);
    strbuf_free(&lines);
}

int session_shell(session *s)
{
    shell sh = {.s = s};
    the_shell = &sh;
    s->interactive = true;
    rl_catch_signals = 0;  /* ours: cli/signals.c */
    rl_persistent_signal_handlers = 1; /* that of another window size, while the shell waits for a key, too */
    rl_outstream = isatty(STDOUT_FILENO) ? stdout : stderr;
    complete_install(s, &sh.text, &sh.wait);
    shell_keys_install(s);
    shell_history_load();
    if (!s->quiet)
        greet();
    while (!s->quit && !sh.done) {
        if (!read_line(&sh))
            continue;
        if (!sh.line) {
            end_of_input(&sh);
            break;
        }
        if (!recall(&sh))
            continue;
        strbuf_puts(&sh.text, sh.line);
        strbuf_putc(&sh.text, '\n');
        free(sh.line);
        run_typed(&sh);
    }
    strbuf_free(&sh.text);
    return signals_end() ? ERR_CANCELLED : 0;
}
