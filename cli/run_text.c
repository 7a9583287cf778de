/* Commands of a text: words become what they stand for, then the command runs. */
#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "base/ranks.h"
#include "base/strbuf.h"
#include "cli/command_util.h"
#include "cli/dispatch.h"
#include "cli/variables.h"

#define MAX_FILE_WORD ((size_t)64 << 20) /* bytes of an @file */

static int run_commands(session *s, const parsed_line *line, const char *name, int first_line, const char *where,
                        const parsed_command *more);

/* --- words --- */

static int read_file_word(char **out, const char *path, err *e)
{
    size_t size;
    int rc = read_file(out, &size, path, MAX_FILE_WORD, e);
    if (rc) {
        *out = NULL;
        if (!strstr(e->hint, "did you mean"))
            err_hint(e, "@NAME is what the file NAME holds; a word that begins with @, as a list of heads "
                        "does, stands in quotes: "
                     "'@%s'", path);
        return rc;
    }
    return strlen(*out) == size ? 0 : err_set(e, ERR_INPUT, "%s: holds a NUL byte and cannot be a word", path);
}

static int make_word(char **out, session *s, const parsed_word *w, err *e)
{
    strbuf text = {0};
    int rc = variables_expand(&text, s, w, e);
    if (!rc && w->file)
        rc = read_file_word(out, strbuf_str(&text), e);
    else if (!rc)
        rc = (*out = mem_strdup(strbuf_str(&text), e)) ? 0 : ERR_RESOURCE;
    strbuf_free(&text);
    return rc;
}

int command_words_make(command_words *out, session *s, const parsed_command *c, err *e)
{
    *out = (command_words){.n = c->n, .word = mem_array((size_t)c->n, sizeof *out->word, e)};
    int rc = out->word ? 0 : ERR_RESOURCE;
    for (int i = 0; i < c->n && !rc; i++)
        rc = make_word(&out->word[i], s, &c->word[i], e);
    if (rc)
        command_words_free(out);
    return rc;
}

void command_words_free(command_words *w)
{
    for (int i = 0; w->word && i < w->n; i++)
        free(w->word[i]);
    free(w->word);
    *w = (command_words){0};
}

/* Of several processes the first says what variables and files hold. */
static int share_words(command_words *w, int n, int rc, err *e)
{
    rc = ranks_agree(rc, e);
    if (rc == 0 && ranks_rank() > 0)
        *w = (command_words){.n = n, .word = mem_array((size_t)n, sizeof *w->word, e)};
    if (rc == 0)
        rc = ranks_agree(w->word ? 0 : ERR_RESOURCE, e);
    for (int i = 0; i < n && !rc; i++) {
        size_t size = ranks_rank() == 0 ? strlen(w->word[i]) + 1 : 0;
        ranks_broadcast(&size, sizeof size, 0);
        if (ranks_rank() > 0)
            w->word[i] = mem_array(size, 1, e);
        rc = ranks_agree(w->word[i] ? 0 : ERR_RESOURCE, e);
        if (!rc)
            ranks_broadcast(w->word[i], size, 0);
    }
    if (rc)
        command_words_free(w);
    return rc;
}

static int make_words(command_words *w, session *s, const parsed_command *c, err *e)
{
    int rc = ranks_rank() == 0 ? command_words_make(w, s, c, e) : 0;
    return ranks_size() > 1 ? share_words(w, c->n, rc, e) : rc;
}

/* --- aliases --- */

/* Aliases that are running, the innermost first: none runs within itself. */
typedef struct alias_frame {
    const char *name;
    const struct alias_frame *outer;
} alias_frame;

/* The alias that a command begins with, NULL: none. */
static const name_entry *alias_of(const session *s, const parsed_command *c)
{
    const parsed_word *w = &c->word[0];
    if (w->quoted || w->file || w->n_ref)
        return NULL;
    for (const alias_frame *f = s->alias; f; f = f->outer)
        if (!strcmp(f->name, w->text))
            return NULL;
    return name_list_find(&s->aliases, w->text);
}

static bool must_stop(const session *s, int rc)
{
    return s->quit || rc == ERR_CANCELLED || (rc && !s->keep_going);
}

/* The commands of an alias; the words behind it in c go to the last of them. */
static int run_alias(session *s, const name_entry *a, const parsed_command *c, const char *where)
{
    err e = {0};
    char *text = mem_strdup(a->text, &e); /* an alias may change itself */
    parsed_line p = {0};
    parse_wait wait;
    int rc = text ? parse_line(&p, &wait, text, strlen(text), &e) : ERR_RESOURCE;
    if (!rc && wait.missing)
        rc = parse_unfinished(&wait, &e);
    if (rc) {
        session_report(s, where, c->word[0].text, &e);
    } else {
        const alias_frame frame = {c->word[0].text, s->alias};
        s->alias = &frame;
        rc = run_commands(s, &p, NULL, 0, where, c);
        s->alias = frame.outer;
    }
    parsed_free(&p);
    free(text);
    return rc;
}

/* --- commands --- */

/* A script that was given nothing and has a $1 of its own was likely meant to be given something: once for each script. */
static void note_arguments(session *s, const parsed_command *c, const char *where)
{
    if (!s->depth || s->n_script_arg || s->argument_noted || !where)
        return;
    for (int i = 0; i < c->n && !s->argument_noted; i++) {
        if (!variables_is_argument(&c->word[i]))
            continue;
        say(s, "%s: $%s stands as it is: no arguments were given", where, c->word[i].ref[0].name);
        s->argument_noted = true;
    }
}

/* more: a command whose words but the first are put behind those of c; NULL: none. */
static int run_command(session *s, const parsed_command *c, const parsed_command *more, const char *where)
{
    err e = {0};
    parsed_command whole = *c;
    parsed_word *joined = NULL;
    if (more && more->n > 1) {
        joined = mem_array((size_t)(c->n + more->n - 1), sizeof *joined, &e);
        if (!joined) {
            session_report(s, where, c->word[0].text, &e);
            return ERR_RESOURCE;
        }
        memcpy(joined, c->word, (size_t)c->n * sizeof *joined);
        memcpy(joined + c->n, more->word + 1, (size_t)(more->n - 1) * sizeof *joined);
        whole.word = joined;
        whole.n += more->n - 1;
    }
    const name_entry *a = alias_of(s, &whole);
    command_words words = {0};
    int rc;
    note_arguments(s, &whole, where);
    if (a)
        rc = run_alias(s, a, &whole, where);
    else if ((rc = make_words(&words, s, &whole, &e)))
        session_report(s, where, whole.word[0].text, &e);
    else
        rc = session_words(s, words.n, (const char *const *)words.word, where);
    command_words_free(&words);
    free(joined);
    return rc;
}

/* name and first_line, or where, as session_parsed and session_words have them. */
static int run_commands(session *s, const parsed_line *line, const char *name, int first_line, const char *where,
                        const parsed_command *more)
{
    int first = 0;
    for (int i = 0; i < line->n; i++) {
        strbuf at = {0};
        if (name)
            strbuf_puts(&at, name);
        if (name && first_line)
            strbuf_printf(&at, ":%d", first_line + line->command[i].line);
        int rc = run_command(s, &line->command[i], i + 1 == line->n ? more : NULL, name ? strbuf_str(&at) : where);
        strbuf_free(&at);
        first = first ? first : rc;
        if (must_stop(s, rc))
            break;
    }
    return first;
}

int session_parsed(session *s, const parsed_line *line, const char *name, int first_line)
{
    return run_commands(s, line, name, first_line, NULL, NULL);
}

/* Run the logical lines of a text that is complete. */
int session_line(session *s, const char *line, const char *where)
{
    size_t n = strlen(line);
    int first = 0;
    for (size_t at = 0; at < n;) {
        parsed_line p;
        parse_wait wait;
        err e = {0};
        int rc = parse_line(&p, &wait, line + at, n - at, &e);
        if (!rc && wait.missing) {
            rc = parse_unfinished(&wait, &e);
            p.used = n - at;
        }
        if (rc)
            session_report(s, where, NULL, &e);
        else
            rc = session_parsed(s, &p, where, 0);
        at += p.used;
        parsed_free(&p);
        first = first ? first : rc;
        if (must_stop(s, rc))
            break;
    }
    return first;
}
