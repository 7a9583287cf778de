/* set: settings of this session, and those that the next one begins with. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/near_file.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "cli/user_config.h"

static int list_all(session *s, const command_args *a, err *e)
{
    table *t;
    int rc = settings_table(&t, s, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.setting/1", e);
    if (!rc)
        table_free(t);
    return rc;
}

/* A path holds wherever the next session begins. */
static void put_kept_value(strbuf *b, const param *row, const char *value)
{
    char folder[PATH_MAX];
    strbuf path = {0};
    if (row->kind == PARAM_PATH && value[0] != '/' && value[0] != ':' && getcwd(folder, sizeof folder))
        strbuf_printf(&path, "%s/", folder);
    strbuf_puts(&path, value);
    strbuf_put_quoted(b, strbuf_str(&path));
    b->failed = b->failed || path.failed;
    strbuf_free(&path);
}

static int save(session *s, const char *name, const char *value, err *e)
{
    const param *row = params_row(s->settings, name);
    strbuf line = {0};
    strbuf_printf(&line, "set %s ", row->name);
    put_kept_value(&line, row, value);
    int rc = line.failed ? err_nomem(e, "a setting") : user_config_save(s, "set", row->name, strbuf_str(&line), e);
    strbuf_free(&line);
    return rc;
}

/* Is there the folder that path names a file of? */
static bool has_folder(const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash > path ? mem_strndup(path, (size_t)(slash - path), NULL) : NULL;
    bool there = !folder || (stat(folder, &st) == 0 && S_ISDIR(st.st_mode));
    free(folder);
    return there;
}

/* What stands at the path, or the folder that it is to be made in, must do for a store: else the one in use stays. */
static int try_store(const session *s, const char *path, err *e)
{
    struct stat st;
    store *opened = NULL;
    int rc = 0;
    if (!strcmp(path, s->store_path) || !strcmp(path, ":memory:"))
        return 0;
    bool there = stat(path, &st) == 0;
    if (!there && !has_folder(path)) {
        err_set(e, ERR_INPUT, "cannot make store %s: its folder is missing", path);
        rc = near_file_hint(e, path, "make the folder first");
    } else if (!*path || (there && st.st_size > 0)) {
        rc = store_open(&opened, path, access(path, W_OK) != 0, e);
        store_close(opened);
    }
    if (rc && e) {
        char hint[sizeof e->hint];
        memcpy(hint, e->hint, sizeof hint);
        err_hint(e, "%s%sthe store stays %s", hint, *hint ? "; " : "", s->store_path);
    }
    return rc;
}

static int change(session *s, const command_args *a, const char *name, const char *value, err *e)
{
    int rc = strcmp(name, "store") ? 0 : try_store(s, value, e);
    if (!rc)
        rc = session_set(s, name, value, e);
    return rc || !params_bool(a->p, "save") ? rc : save(s, name, value, e);
}

static int unset(session *s, const command_args *a, const char *name, err *e)
{
    if (a->n > 0) {
        err_set(e, ERR_USAGE, "--unset gives a setting its default: it takes no other value");
        return err_hint(e, "as in: set --unset threads");
    }
    int rc = session_unset(s, name, e);
    return rc || !params_bool(a->p, "save") ? rc : user_config_save(s, "set", name, NULL, e);
}

static int show(session *s, const command_args *a, const char *name, err *e)
{
    const param *row = params_row(s->settings, name);
    if (!row || !settings_value(s, row->name))
        return session_set(s, name, NULL, e); /* says what is wrong */
    if (params_bool(a->p, "save"))
        return save(s, name, settings_value(s, row->name), e);
    fprintf(s->out, "%s\n", settings_value(s, row->name));
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    if (params_given(a->p, "unset"))
        return unset(s, a, params_str(a->p, "unset"), e);
    if (a->n == 0 && params_bool(a->p, "save")) {
        err_set(e, ERR_USAGE, "--save needs the name of a setting");
        return err_hint(e, "as in: set threads 4 --save");
    }
    if (a->n == 0)
        return list_all(s, a, e);
    const char *equals = strchr(a->word[0], '=');
    if (a->n == 2 && !equals)
        return change(s, a, a->word[0], a->word[1], e);
    if (a->n == 3 && !equals && !strcmp(a->word[1], "="))
        return change(s, a, a->word[0], a->word[2], e);
    if (a->n == 1 && equals) {
        char *name = mem_strndup(a->word[0], (size_t)(equals - a->word[0]), e);
        int rc = name ? change(s, a, name, equals + 1, e) : ERR_RESOURCE;
        free(name);
        return rc;
    }
    if (a->n == 1)
        return show(s, a, a->word[0], e);
    err_set(e, ERR_USAGE, "expected NAME VALUE");
    return err_hint(e, "usage: set [NAME [VALUE]] [--save]");
}

static const param own[] = {
    {.name = "save", .kind = PARAM_BOOL, .help = "keep it in the configuration file, for sessions to come"},
    {.name = "unset", .kind = PARAM_STR, .value = "NAME", .complete = "settings",
     .help = "give the setting NAME its default again; with --save its lines leave the file"},
    {.name = NULL},
};
static const char *const examples[] = {
    "set", "all settings with their values, and where each comes from",
    "set threads 4", "use four threads from now on",
    "set format json", "write results as JSON Lines from now on",
    "set color never --save", "no colours, in this session and those to come",
    "set --unset color --save", "take that back",
    NULL,
};
static const char *const complete[] = {"settings", "setting-values", NULL};

const command command_set = {
    .name = "set", .group = "shell", .usage = "[NAME [VALUE]]",
    .summary = "show or change a setting of this session",
    .help = "Settings hold until the session ends; an option of a command goes before the setting of the "
            "same name. Before the verb on the program's command line each setting is an option: "
            "`attnscope --threads 4 run ...`. --save writes the setting to the configuration file, too (`help "
            "configuration`): the shell begins with all that stands there, commands and scripts with what changes no "
            "results.",
    .examples = examples, .params = own, .max_args = 3, .complete = complete, .run = run, .all_ranks = true,
};
