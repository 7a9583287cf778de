/* attnscope: the program. */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/ranks.h"
#include "cli/build_version.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/shell.h"
#include "cli/signals.h"
#include "cli/standard_out.h"
#include "cli/version_text.h"
#include "cli/user_config.h"

/* -c and -f, in the order given. */
typedef struct source { bool file; const char *text; } source;

typedef struct arguments {
    source *sources;  /* room for argc */
    int n_source;
    int verb;         /* index of the verb in argv; argc when there is none */
    bool help, version;
} arguments;

static int option_value(const char **value, int argc, char **argv, int *at, const char *inline_value, err *e)
{
    if (inline_value) {
        *value = inline_value;
        return 0;
    }
    if (*at + 1 >= argc) {
        err_set(e, ERR_USAGE, "option %s needs a value", argv[*at]);
        return err_hint(e, "for example -c \"list metrics\", -f script.attn, --threads 4");
    }
    *value = argv[++*at];
    return 0;
}

static int unknown_option(const char *name, err *e)
{
    const char *names[64] = {"help", "version", "keep-going", "no-color", "no-config"};
    int n = 5, most = (int)(sizeof names / sizeof *names) - 1;
    for (const param *r = settings_params; r->name && n < most; r++)
        names[n++] = r->name;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "unknown option --%s before a command", name);
    return near ? err_hint(e, "did you mean --%s?", near)
                : err_hint(e, "`attnscope help` shows how to begin; options of a command come after it");
}

/* "--name value", "--name=value" and flags of the settings. */
static int setting_option(session *s, int argc, char **argv, int *at, err *e)
{
    const char *arg = argv[*at] + 2, *equals = strchr(arg, '='), *value = NULL;
    char name[64];
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
    if (n >= sizeof name)
        n = sizeof name - 1;
    memcpy(name, arg, n);
    name[n] = '\0';
    const param *row = params_row(s->settings, name);
    if (!row && !equals && !strncmp(name, "no-", 3)) {
        row = params_row(s->settings, name + 3);
        if (row && row->kind == PARAM_BOOL)
            return session_set(s, row->name, "false", e);
        row = NULL;
    }
    if (!row) {
        return unknown_option(name, e);
    }
    int rc = 0;
    if (row->kind != PARAM_BOOL)
        rc = option_value(&value, argc, argv, at, equals ? equals + 1 : NULL, e);
    else if (equals)
        value = equals + 1;
    return rc ? rc : session_set(s, name, value, e);
}

static int one_option(session *s, arguments *a, int argc, char **argv, int *at, err *e)
{
    const char *arg = argv[*at];
    if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
        a->help = true;
    } else if (!strcmp(arg, "--version") || !strcmp(arg, "-V")) {
        a->version = true;
    } else if (!strcmp(arg, "--keep-going")) {
        s->keep_going = true;
    } else if (!strcmp(arg, "--no-config")) {
        s->no_config = true;
    } else if (!strcmp(arg, "--no-color")) {
        return session_set(s, "color", "never", e);
    } else if (!strcmp(arg, "-q")) {
        return session_set(s, "quiet", NULL, e);
    } else if (!strcmp(arg, "-c") || !strcmp(arg, "-f")) {
        source *src = &a->sources[a->n_source++];
        src->file = arg[1] == 'f';
        return option_value(&src->text, argc, argv, at, NULL, e);
    } else if (!strncmp(arg, "--", 2) && arg[2]) {
        return setting_option(s, argc, argv, at, e);
    } else {
        err_set(e, ERR_USAGE, "unknown option %s before a command", arg);
        return err_hint(e, "`attnscope help` shows how to begin");
    }
    return 0;
}

static int read_arguments(session *s, arguments *a, int argc, char **argv, err *e)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (!strcmp(argv[i], "--")) {
            i++;
            break;
        }
        int rc = one_option(s, a, argc, argv, &i, e);
        if (rc)
            return rc;
    }
    a->verb = i;
    return 0;
}

static int run_file(session *s, const char *path)
{
    const char *const words[] = {"source", "--", path};
    if (!strcmp(path, "-"))
        return session_script(s, stdin, "stdin");
    return session_words(s, 3, words, NULL);
}

static int run(session *s, const arguments *a, int argc, char **argv)
{
    int first = 0;
    for (int i = 0; i < a->n_source && !s->quit; i++) {
        int rc = a->sources[i].file ? run_file(s, a->sources[i].text)
                                    : session_line(s, a->sources[i].text, NULL);
        first = first ? first : rc;
        if (rc == ERR_CANCELLED || (rc && !s->keep_going))
            return first;
    }
    if (a->verb < argc && !s->quit) {
        int rc = session_words(s, argc - a->verb, (const char *const *)argv + a->verb, NULL);
        return first ? first : rc;
    }
    if (a->n_source)
        return first;
    if (ranks_size() > 1) {
        err e = {0};
        err_set(&e, ERR_USAGE, "standard input reaches the first of %d processes alone", ranks_size());
        err_hint(&e, "give the command as words, with -c, or a script with -f");
        session_report(s, NULL, NULL, &e);
        return ERR_USAGE;
    }
    if (isatty(STDIN_FILENO))
        return session_shell(s);
    return session_script(s, stdin, "stdin");
}

static int start(session *s, int argc, char **argv)
{
    err e = {0};
    arguments a = {.sources = calloc((size_t)argc + 1, sizeof *a.sources)};
    int rc = a.sources ? read_arguments(s, &a, argc, argv, &e) : err_nomem(&e, "arguments");
    if (!rc && a.version) {
        strbuf text = {0};
        version_text(&text);
        if (text.failed)
            rc = err_nomem(&e, "the version");
        else
            fputs(strbuf_str(&text), s->out);
        strbuf_free(&text);
    } else if (!rc && a.help) {
        static const char *const words[] = {"help"};
        rc = session_words(s, 1, words, NULL);
    } else if (!rc) {
        bool shell = !a.n_source && a.verb >= argc && isatty(STDIN_FILENO);
        signals_install(shell);
        user_config_read(s, shell && ranks_size() == 1);
        rc = run(s, &a, argc, argv);
    }
    session_report(s, NULL, NULL, &e);
    free(a.sources);
    return rc;
}

/* Under mpirun the first process speaks; what the others would print goes nowhere. */
static int join_ranks(err *e)
{
    int rc = ranks_begin(e);
    if (rc || ranks_rank() == 0)
        return rc;
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0)
        close(nowhere);
    return 0;
}

int main(int argc, char **argv)
{
    err e = {0};
    session *s;
    program_version = build_version;
    setlocale(LC_CTYPE, ""); /* encoding of the terminal; numbers stay in the C locale */
    setenv("FC_LANG", "en", 1); /* figures are the same for every user: fontconfig would prefer fonts of their language */
    signals_install(false);
    int rc = join_ranks(&e);
    if (rc || (rc = session_new(&s, &e)) || (ranks_rank() > 0 && (rc = session_set(s, "quiet", NULL, &e)))) {
        session_report(NULL, NULL, NULL, &e);
        return rc;
    }
    const char *isa = getenv("ATTNSCOPE_ISA");
    if (isa && *isa && (rc = session_set(s, "isa", isa, &e))) {
        err_prefix(&e, "ATTNSCOPE_ISA");
        session_report(s, NULL, NULL, &e);
        session_free(s);
        return rc;
    }
    rc = start(s, argc, argv);
    if (fflush(s->standard_out) != 0 && !standard_out_closed() && !rc) {
        rc = output_error(standard_out_errno(), &e);
        session_report(s, NULL, NULL, &e);
    }
    session_free(s);
    ranks_end();
    return rc;
}
