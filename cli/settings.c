#include "cli/settings.h"

#include <string.h>
#include "base/hash_cache.h"
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

static int set_store(session *s, const char *path, err *e)
{
    int64_t last = 0;
    if (!strcmp(path, s->store_path))
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
    int rc = !strcmp(row->name, "isa") ? set_isa(s, value, e) : 0;
    if (!rc)
        rc = params_set(s->settings, name, value, e);
    if (!rc && !strcmp(row->name, "store"))
        rc = set_store(s, value, e);
    if (!rc && !strcmp(row->name, "quiet"))
        s->quiet = params_bool(s->settings, "quiet");
    if (!rc && !strcmp(row->name, "hash-cache"))
        hash_cache_use(params_bool(s->settings, "hash-cache"));
    return rc;
}

int settings_table(table **out, const session *s, err *e)
{
    static const char *const columns[] = {"setting", "value", "set", "meaning"};
    int rc = table_new(out, 4, columns, e);
    for (const param *r = settings_params; !rc && r->name; r++) {
        cell *c = table_row(*out, e);
        const char *value = settings_value(s, r->name);
        const char *set = params_given(s->settings, r->name) ? "yes" : "no";
        if (!c)
            rc = ERR_RESOURCE;
        if (!rc)
            rc = table_text(*out, &c[0], r->name, strlen(r->name), e);
        if (!rc)
            rc = table_text(*out, &c[1], value, strlen(value), e);
        if (!rc)
            rc = table_text(*out, &c[2], set, strlen(set), e);
        if (!rc)
            rc = table_text(*out, &c[3], r->help, strlen(r->help), e);
    }
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}
