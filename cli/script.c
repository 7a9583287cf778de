/* Scripts: commands from a stream, run as their lines come in, so that another program may talk with this
 * one through pipes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/strbuf.h"
#include "cli/dispatch.h"

typedef struct script {
    session *s;
    const char *name;
    int line;             /* number of the first line in text */
    strbuf text;          /* a logical line that is not finished yet */
    parse_wait wait;
    int first_error;
    bool stop;
} script;

static void note(script *sc, int rc)
{
    if (!sc->first_error)
        sc->first_error = rc;
    sc->stop = sc->stop || sc->s->quit || rc == ERR_CANCELLED || (rc && !sc->s->keep_going);
}

static void report(script *sc, int line, int rc, const err *e)
{
    strbuf where = {0};
    strbuf_printf(&where, "%s:%d", sc->name, line);
    session_report(sc->s, strbuf_str(&where), NULL, e);
    strbuf_free(&where);
    note(sc, rc);
}

/* Run what is complete of sc->text. */
static void run_text(script *sc)
{
    size_t at = 0;
    while (!sc->stop && at < sc->text.len) {
        parsed_line p;
        err e = {0};
        int rc = parse_line(&p, &sc->wait, sc->text.s + at, sc->text.len - at, &e);
        if (rc)
            report(sc, sc->line + p.error_line, rc, &e);
        else if (!sc->wait.missing)
            note(sc, session_parsed(sc->s, &p, sc->name, sc->line));
        if (!sc->wait.missing)
            sc->line += p.lines;
        at += p.used;
        parsed_free(&p);
        if (sc->wait.missing)
            break;
    }
    if (at) {
        memmove(sc->text.s, sc->text.s + at, sc->text.len - at + 1);
        sc->text.len -= at;
    }
}

static void add_line(script *sc, const char *line, size_t n)
{
    static const char bom[] = "\xef\xbb\xbf";
    if (sc->line == 1 && !sc->text.len && n >= 3 && !memcmp(line, bom, 3)) {
        line += 3;
        n -= 3;
    }
    strbuf_add(&sc->text, line, n);
    size_t bare = n && line[n - 1] == '\n' ? n - 1 : n;
    if (sc->text.failed) {
        err e = {0};
        report(sc, sc->line, err_nomem(&e, "a line of a script"), &e);
        sc->stop = true;
    } else if (!sc->wait.missing || parse_may_finish(&sc->wait, line, bare)) {
        run_text(sc);
    }
}

int session_script(session *s, FILE *f, const char *name)
{
    script sc = {.s = s, .name = name, .line = 1};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = 0;
    bool noted = s->argument_noted;
    s->argument_noted = false;
    s->depth++;
    while (!sc.stop && !cancel_requested() && (n = getline(&line, &cap, f)) >= 0)
        add_line(&sc, line, (size_t)n);
    err e = {0};
    if (!sc.stop && cancel_check(&e)) {
        report(&sc, sc.line, ERR_CANCELLED, &e);
    } else if (!sc.stop && ferror(f)) {
        err_errno(&e, ERR_INPUT, errno, "cannot read");
        report(&sc, sc.line, err_hint(&e, "check where the script comes from"), &e);
    } else if (!sc.stop && sc.wait.missing) {
        report(&sc, sc.line + sc.wait.line, parse_unfinished(&sc.wait, &e), &e);
    }
    s->depth--;
    s->argument_noted = noted;
    free(line);
    strbuf_free(&sc.text);
    return sc.first_error;
}
