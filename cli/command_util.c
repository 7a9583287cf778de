#include "cli/command_util.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "analysis/metric.h"
#include "cli/progress_bar.h"

static const char *const precision_names[] = {"f32", "f32-strict", "bf16", NULL};

const param precision_params[] = {
    {"precision", PARAM_ENUM, NULL, "P", "arithmetic: f32, f32-strict (float32 operands only) or bf16", 0, 0, precision_names, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

const char *precision_name(precision p)
{
    return precision_names[p];
}

/* An option of this command, else the session's setting of the same name, else NULL. */
static const char *option_or_setting(const session *s, const command_args *a, const char *name)
{
    if (params_row(a->p, name) && params_str(a->p, name))
        return params_str(a->p, name);
    return params_row(s->settings, name) ? params_str(s->settings, name) : NULL;
}

int64_t command_threads(const session *s, const command_args *a)
{
    const char *text = option_or_setting(s, a, "threads");
    int64_t n = 0;
    return text && parse_int(&n, text) ? n : 0;
}

precision command_precision(const session *s, const command_args *a)
{
    const char *text = option_or_setting(s, a, "precision");
    for (int i = 0; text && precision_names[i]; i++)
        if (strcmp(text, precision_names[i]) == 0)
            return (precision)i;
    return PRECISION_F32;
}

output_format command_format(const session *s, const command_args *a)
{
    static const char *const names[] = {"table", "csv", "tsv", "json"};
    for (int i = FORMAT_CSV; i <= FORMAT_JSON; i++)
        if (params_row(a->p, names[i]) && params_bool(a->p, names[i]))
            return (output_format)i;
    const char *text = params_row(s->settings, "format") ? params_str(s->settings, "format") : NULL;
    for (int i = FORMAT_CSV; text && i <= FORMAT_JSON; i++)
        if (strcmp(text, names[i]) == 0)
            return (output_format)i;
    return FORMAT_TABLE;
}

void say(const session *s, const char *fmt, ...)
{
    if (s->quiet)
        return;
    progress_bar_clear(s->bar);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int command_model(session *s, const command_args *a, bool run, loaded_model **out, err *e)
{
    int rc = session_model(s, a->n > 0 ? a->word[0] : NULL, out, e);
    if (!rc && run)
        rc = session_runtime(s, *out, (int)command_threads(s, a), command_precision(s, a), e);
    return rc;
}

int command_store(session *s, store **out, err *e)
{
    bool memory = strcmp(s->store_path, ":memory:") == 0;
    if (!s->st && !memory && access(s->store_path, F_OK) != 0) {
        err_set(e, ERR_INPUT, "no store at %s", s->store_path);
        return err_hint(e, "make one with `run MODEL --prompt TEXT --store %s`", s->store_path);
    }
    return session_store(s, out, e);
}

int require_run(store *st, int64_t run, err *e)
{
    bool yes = false;
    int64_t last = 0;
    int rc = store_run_exists(st, run, &yes, e);
    if (rc || yes)
        return rc;
    rc = store_last_run(st, &last, e);
    if (rc)
        return rc;
    if (last == 0)
        err_set(e, ERR_FAILED, "no run %" PRId64 ": %s holds no runs yet", run, store_path(st));
    else
        err_set(e, ERR_USAGE, "no run %" PRId64 " in %s (the newest is %" PRId64 ")", run, store_path(st), last);
    return err_hint(e, last ? "`runs` lists them" : "make one with `run MODEL --prompt TEXT`");
}

int command_run(session *s, const command_args *a, store *st, int64_t *run, err *e)
{
    if (params_row(a->p, "run") && params_given(a->p, "run")) {
        const char *text = params_str(a->p, "run");
        if (strcmp(text, "last") != 0) {
            if (!parse_int(run, text) || *run < 1) {
                err_set(e, ERR_USAGE, "--run: '%s' is no run number", text);
                return err_hint(e, "give a number from `runs`, or `last`");
            }
            return require_run(st, *run, e);
        }
    }
    *run = s->last_run;
    bool yes = false;
    int rc = *run > 0 ? store_run_exists(st, *run, &yes, e) : 0;
    if (!rc && !yes)
        rc = store_last_run(st, run, e);
    if (!rc && *run == 0) {
        err_set(e, ERR_FAILED, "no run yet in %s", strcmp(store_path(st), ":memory:") == 0 ? "this session" : store_path(st));
        rc = err_hint(e, strcmp(store_path(st), ":memory:") == 0
                             ? "run a model first, or name a store with --store FILE"
                             : "make one with `run MODEL --prompt TEXT --store %s`", store_path(st));
    }
    return rc;
}

int append_params(param *rows, int n, int max, const param *more)
{
    for (; more && more->name && n < max; more++) {
        bool known = false;
        for (int i = 0; i < n && !known; i++)
            known = strcmp(rows[i].name, more->name) == 0;
        if (!known)
            rows[n++] = *more;
    }
    rows[n] = (param){.name = NULL};
    return n;
}

int require_metric(const metric **out, const char *name, err *e)
{
    enum { MAX = 128 };
    const char *names[MAX + 1];
    int n = 0;
    *out = metric_find(name);
    if (*out)
        return 0;
    for (; metrics[n] && n < MAX; n++)
        names[n] = metrics[n]->name;
    names[n] = NULL;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "no metric is called '%s'", name);
    return near ? err_hint(e, "did you mean %s? `list metrics` shows all", near) : err_hint(e, "`list metrics` shows all");
}
