#include "cli/settings.h"

#include <string.h>
#include <unistd.h>
#include "base/hash_cache.h"
#include "cli/progress_bar.h"
#include "cli/view_graphics.h"
#include "compute/kernels.h"

static const char *const precisions[] = {"f32", "f32-strict", "bf16", NULL};
static const char *const colours[] = {"auto", "always", "never", NULL};
static const char *const formats[] = {"table", "json", "csv", "tsv", NULL};

const param settings_params[] = {
    {.name = "threads", .kind = PARAM_INT, .def = "0", .value = "N", .max = 4096,
     .help = "worker threads; 0 uses every processor of this process"},
    {.name = "precision", .kind = PARAM_ENUM, .def = "f32", .value = "P", .choices = precisions,
     .help = "arithmetic of the forward pass"},
    {.name = "isa", .kind = PARAM_STR, .value = "NAME", .complete = "isas",
     .help = "instruction set of the kernels; best takes what the machine has"},
    {.name = "store", .kind = PARAM_PATH, .def = ":memory:", .value = "FILE",
     .help = "database of results; :memory: keeps them until the program ends"},
    {.name = "color", .kind = PARAM_ENUM, .def = "auto", .value = "WHEN", .choices = colours,
     .help = "colours in a terminal"},
    {.name = "graphics", .kind = PARAM_ENUM, .def = "auto", .value = "KIND", .choices = graphics_choices,
     .help = "figures in a terminal as pixels: auto, none, sixel or kitty"},
    {.name = "format", .kind = PARAM_ENUM, .def = "table", .value = "FORMAT", .choices = formats,
     .help = "how tables are written"},
    {.name = "hints", .kind = PARAM_BOOL, .def = "true", .help = "in the shell: what comes next, dimmed behind the cursor"},
    {.name = "pager", .kind = PARAM_STR, .def = "auto", .value = "COMMAND", .complete = "pagers",
     .help = "in the shell: program for results longer than the screen; auto takes $PAGER or less -FRX, off none"},
    {.name = "plain", .kind = PARAM_BOOL, .def = "false",
     .help = "for screen readers: tables as lines of `name: value`, progress in words, no colours, hints or pager"},
    {.name = "quiet", .kind = PARAM_BOOL, .def = "false",
     .help = "no progress and no notes on standard error"},
    {.name = "hash-cache", .kind = PARAM_BOOL, .def = "true",
     .help = "remember digests of weight files, so that unchanged ones are not read again for them"},
    {.name = NULL},
};

const char *settings_value(const session *s, const char *name)
{
    if (!strcmp(name, "isa"))
        return kernels_get()->isa;
    if (!strcmp(name, "store"))
        return s->store_path;
    if (params_row(s->settings, name)->kind == PARAM_BOOL)
        return params_bool(s->settings, name) ? "true" : "false";
    return params_str(s->settings, name);
}

static int row_of(const char *name)
{
    int i = 0;
    while (settings_params[i].name && strcmp(settings_params[i].name, name) != 0)
        i++;
    return i;
}

const char *settings_origin(const session *s, const char *name)
{
    _Static_assert(sizeof settings_params / sizeof *settings_params <= 64, "a bit for each in config_settings");
    if (!params_given(s->settings, name))
        return "default";
    return s->config_settings >> row_of(name) & 1 ? "config" : "session";
}

bool settings_for_batch(const char *name)
{
    static const char *const names[] = {"threads", "hints", "pager", "quiet", "hash-cache"};
    /* programs that read the results get what they know */
    if (!strcmp(name, "plain") || !strcmp(name, "color") || !strcmp(name, "graphics"))
        return isatty(STDOUT_FILENO);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static int set_isa(session *s, const char *value, err *e)
{
    const char *note = NULL;
    if (!value)
        return 0; /* params_set says what is missing */
    int rc = kernels_select(value, &note, e);
    if (rc)
        return rc;
    if (note && !s->quiet)
        fprintf(stderr, "attnscope: %s\n", note);
    if (s->current) { /* its scratch memory is made anew for the other kernels */
        runtime_free(s->current->rt);
        s->current->rt = NULL;
    }
    return 0;
}

/* Settings that are more than a value to look up. */
static void take_effect(session *s, const char *name)
{
    if (!strcmp(name, "plain"))
        progress_bar_set_plain(s->bar, params_bool(s->settings, "plain"));
    if (!strcmp(name, "quiet"))
        s->quiet = params_bool(s->settings, "quiet");
    if (!strcmp(name, "hash-cache"))
        hash_cache_use(params_bool(s->settings, "hash-cache"));
}

static int set_store(session *s, const char *path, err *e)
{
    int64_t last = 0;
    if (!path || !strcmp(path, s->store_path)) /* params_set says what is missing */
        return 0;
    bool memory = s->st && !strcmp(s->store_path, ":memory:");
    if (memory && !s->quiet && !store_last_run(s->st, &last, NULL) && last > 0)
        fputs("attnscope: the runs that were kept in memory are gone with their store\n", stderr);
    return session_use_store(s, path, e);
}

static int unknown_setting(const char *name, err *e)
{
    const char *names[sizeof settings_params / sizeof *settings_params];
    int n = 0;
    for (const param *r = settings_params; r->name; r++)
        names[n++] = r->name;
    names[n] = NULL;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "unknown setting \"%s\"", name);
    return near ? err_hint(e, "did you mean \"%s\"?", near) : err_hint(e, "`list settings` shows them all");
}

int session_set(session *s, const char *name, const char *value, err *e)
{
    const param *row = params_row(s->settings, name);
    if (!row)
        return unknown_setting(name, e);
    int rc = !strcmp(row->name, "isa") ? set_isa(s, value, e) : !strcmp(row->name, "store") ? set_store(s, value, e) : 0;
    if (!rc)
        rc = params_set(s->settings, name, value, e);
    if (rc)
        return rc;
    take_effect(s, row->name);
    uint64_t bit = (uint64_t)1 << row_of(row->name);
    s->config_settings = s->reading_config ? s->config_settings | bit : s->config_settings & ~bit;
    return 0;
}

int session_unset(session *s, const char *name, err *e)
{
    const param *row = params_row(s->settings, name);
    const char *def = row && !strcmp(row->name, "isa") ? "best" : row ? row->def : NULL;
    if (!row)
        return unknown_setting(name, e);
    int rc = def && params_given(s->settings, row->name) ? session_set(s, row->name, def, e) : 0;
    if (rc)
        return rc;
    params_unset(s->settings, row->name);
    take_effect(s, row->name);
    return 0;
}

int settings_table(table **out, const session *s, err *e)
{
    static const char *const columns[] = {"setting", "value", "from", "meaning"};
    int rc = table_new(out, 4, columns, e);
    for (const param *r = settings_params; !rc && r->name; r++)
        rc = name_table_row(*out, (const char *[]){r->name, settings_value(s, r->name), settings_origin(s, r->name), r->help}, e);
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}
