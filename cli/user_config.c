#include "cli/user_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mapfile.h"
#include "base/outfile.h"
#include "base/ranks.h"
#include "cli/dispatch.h"
#include "cli/settings.h"

#define LARGEST ((size_t)1 << 20) /* bytes */

static const char heading[] =
    "# What the attnscope shell begins with, one command a line:\n"
    "#   set NAME VALUE, alias NAME = WORDS, let NAME = VALUE\n"
    "# Commands and scripts take settings from here that change no results.\n";

bool user_config_path(strbuf *out)
{
    const char *named = getenv("ATTNSCOPE_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (named && *named)
        strbuf_puts(out, named);
    else if (xdg && xdg[0] == '/')
        strbuf_printf(out, "%s/attnscope/config", xdg);
    else if (home && home[0] == '/')
        strbuf_printf(out, "%s/.config/attnscope/config", home);
    else
        return false;
    return !out->failed;
}

/* The whole file; *text NULL: there is none. */
static int read_config(char **text, size_t *n, const char *path, err *e)
{
    struct stat st;
    *text = NULL;
    *n = 0;
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    int rc = read_file(text, n, path, LARGEST, e);
    if (rc)
        *text = NULL;
    return rc;
}

/* --- reading --- */

static int bad_line(err *e, const char *message, const char *hint)
{
    err_set(e, ERR_USAGE, "%s", message);
    return err_hint(e, "%s", hint);
}

/* `set NAME VALUE`, `set NAME=VALUE` or `set NAME = VALUE`. */
static int read_setting(session *s, const command_words *w, bool shell, err *e)
{
    char *equals = w->n == 2 ? strchr(w->word[1], '=') : NULL;
    const char *value = equals ? equals + 1 : w->n > 2 ? w->word[w->n - 1] : NULL;
    bool spaced = w->n == 4 && strcmp(w->word[2], "=") == 0;
    if (!value || (w->n > 3 && !spaced))
        return bad_line(e, "set: expected a name and a value", "as in: set threads 4");
    if (equals)
        *equals = '\0';
    const char *name = w->word[1];
    if (!shell && params_row(s->settings, name) && !settings_for_batch(name))
        return 0;
    if (params_row(s->settings, name) && !strcmp(settings_origin(s, name), "session"))
        return 0;
    int rc = session_set(s, name, value, e);
    return rc ? err_prefix(e, "set") : 0;
}

/* One command of the file.  Reports its own errors. */
static void read_command(session *s, const parsed_command *c, const char *where, bool shell)
{
    const char *verb = c->word[0].text;
    bool set = !strcmp(verb, "set"), name = !strcmp(verb, "alias") || !strcmp(verb, "let");
    command_words words = {0};
    err e = {0};
    int rc = 0;
    if (!shell && !set)
        return;
    if (!set && !name)
        rc = bad_line(&e, "only set, alias and let may stand here", "what else is to be done belongs into a script");
    if (!rc)
        rc = command_words_make(&words, s, c, shell ? &e : NULL); /* its variables are the shell's: elsewhere left out unsaid */
    if (!rc && name)
        rc = session_words(s, words.n, (const char *const *)words.word, where);
    else if (!rc)
        rc = read_setting(s, &words, shell, &e);
    if (rc)
        session_report(s, where, NULL, &e);
    command_words_free(&words);
}

/* Where text[at] begins: its physical line, counted from 1. */
static void put_place(strbuf *where, const char *path, int line)
{
    strbuf_clear(where);
    strbuf_printf(where, "%s:%d", path, line);
}

void user_config_read(session *s, bool shell)
{
    strbuf path = {0}, where = {0};
    char *text = NULL;
    size_t n = 0;
    err e = {0};
    int line = 1, rc = 0;
    if (s->no_config || !user_config_path(&path))
        goto out;
    rc = read_config(&text, &n, strbuf_str(&path), &e);
    const char *named = getenv("ATTNSCOPE_CONFIG");
    if (!rc && !text && named && *named) {
        rc = err_set(&e, ERR_INPUT, "ATTNSCOPE_CONFIG: %s: no such file", named);
        err_hint(&e, "unset it, or make the file; --no-config reads none");
    }
    if (rc)
        session_report(s, NULL, NULL, &e);
    s->reading_config = true;
    for (size_t at = 0; text && at < n;) {
        parsed_line p;
        parse_wait wait;
        e = (err){0};
        rc = parse_line(&p, &wait, text + at, n - at, &e);
        int wrong = line + (wait.missing ? wait.line : p.error_line);
        if (!rc && wait.missing) {
            rc = parse_unfinished(&wait, &e);
            p.used = n - at;
        }
        put_place(&where, strbuf_str(&path), wrong);
        if (rc && shell)
            session_report(s, strbuf_str(&where), NULL, &e);
        for (int i = 0; !rc && i < p.n; i++) {
            put_place(&where, strbuf_str(&path), line + p.command[i].line);
            read_command(s, &p.command[i], strbuf_str(&where), shell);
        }
        at += p.used;
        line += p.lines;
        parsed_free(&p);
    }
    s->reading_config = false;
out:
    free(text);
    strbuf_free(&where);
    strbuf_free(&path);
}

/* --- saving --- */

/* Does the command say VERB NAME, or VERB NAME=...? */
static bool says(const parsed_command *c, const char *verb, const char *name)
{
    size_t n = strlen(name);
    int i = 1;
    while (i < c->n && !strncmp(c->word[i].text, "--", 2))
        i++;
    return i < c->n && !strcmp(c->word[0].text, verb) && !strncmp(c->word[i].text, name, n) &&
           (c->word[i].text[n] == '\0' || c->word[i].text[n] == '=');
}

typedef struct stretch { size_t at, n; bool hit; } stretch; /* a logical line of the file */

/* The logical lines of the file; what cannot be read counts as one that says something else.  open: what the last of
 * them waits for. */
static int find_lines(stretch **out, int *n_out, parse_wait *open, const char *text, size_t n, const char *verb,
                      const char *name, err *e)
{
    int rc = 0;
    *open = (parse_wait){0};
    for (size_t at = 0; at < n && !rc;) {
        parsed_line p;
        if (!parse_line(&p, open, text + at, n - at, NULL) && open->missing)
            p.used = n - at;
        stretch *grown = mem_grow(*out, (size_t)*n_out + 1, sizeof *grown, e);
        rc = grown ? 0 : ERR_RESOURCE;
        if (grown) {
            *out = grown;
            grown[(*n_out)++] = (stretch){at, p.used, p.n == 1 && says(&p.command[0], verb, name)};
        }
        at += p.used;
        parsed_free(&p);
    }
    return rc;
}

static void put_line(strbuf *b, const char *line)
{
    strbuf_puts(b, line);
    strbuf_putc(b, '\n');
}

/* The file as it is to be. */
static int edit_text(strbuf *b, const char *text, size_t n, const char *verb, const char *name, const char *line, err *e)
{
    stretch *lines = NULL;
    parse_wait open;
    int n_line = 0, last = -1;
    int rc = find_lines(&lines, &n_line, &open, text, n, verb, name, e);
    for (int i = 0; i < n_line; i++)
        last = lines[i].hit ? i : last;
    if (!rc && line && last < 0 && open.missing) /* a line behind it would become a part of it */
        rc = parse_unfinished(&open, e);
    for (int i = 0; i < n_line && !rc; i++) {
        if (line && i == last)
            put_line(b, line);
        else if (!lines[i].hit || line)
            strbuf_add(b, text + lines[i].at, lines[i].n);
    }
    if (!n_line)
        strbuf_puts(b, heading);
    if (line && last < 0) {
        if (b->len && b->s[b->len - 1] != '\n')
            strbuf_putc(b, '\n');
        put_line(b, line);
    }
    free(lines);
    return rc ? rc : b->failed ? err_nomem(e, "the configuration") : 0;
}

static int write_config(const char *path, const strbuf *b, err *e)
{
    const char *slash = strrchr(path, '/');
    outfile *f = NULL;
    int rc = 0;
    if (slash && slash > path) {
        char *folder = mem_strndup(path, (size_t)(slash - path), e);
        rc = folder ? make_directories(folder, e) : ERR_RESOURCE;
        free(folder);
    }
    if (!rc)
        rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    rc = outfile_write(f, strbuf_str(b), b->len, e);
    if (rc)
        outfile_abandon(f);
    return rc ? rc : outfile_commit(f, e);
}

int user_config_save(session *s, const char *verb, const char *name, const char *line, err *e)
{
    strbuf path = {0}, b = {0};
    char *text = NULL;
    size_t n = 0;
    int rc = 0;
    if (ranks_rank() > 0) /* one of several processes is enough */
        return 0;
    if (s->no_config) {
        err_set(e, ERR_USAGE, "there is no configuration to save to: --no-config was given");
        return err_hint(e, "start without --no-config, or leave --save out");
    }
    if (!user_config_path(&path)) {
        err_set(e, ERR_FAILED, "no place for a configuration: neither HOME nor XDG_CONFIG_HOME is set");
        rc = err_hint(e, "name a file: ATTNSCOPE_CONFIG=FILE");
    }
    if (!rc)
        rc = read_config(&text, &n, strbuf_str(&path), e);
    if (!rc && (text || line)) {
        rc = edit_text(&b, text ? text : "", n, verb, name, line, e);
        if (rc)
            err_prefix(e, "%s", strbuf_str(&path));
        if (!rc && (b.len != n || !text || memcmp(b.s, text, n) != 0))
            rc = write_config(strbuf_str(&path), &b, e);
    }
    free(text);
    strbuf_free(&b);
    strbuf_free(&path);
    return rc;
}

int user_config_forget(session *s, name_list *l, const char *verb, const char *const *names, int n, bool save, err *e)
{
    for (int i = 0; i < n; i++) {
        name_list_remove(l, names[i]);
        int rc = save ? user_config_save(s, verb, names[i], NULL, e) : 0;
        if (rc)
            return rc;
    }
    return 0;
}
