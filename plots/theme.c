/* Theme files: lines `option = value` for the options of all figures. */
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/strbuf.h"
#include "plots/figure.h"
#include "plots/page.h"

enum { MOST_BYTES = 65536, MOST_OPTIONS = 64 };

typedef struct theme {
    const char *path;
    int line;
    params *own;                       /* to check values against, and for what stands twice */
} theme;

/* The value without quotes around it. */
static char *unquote(char *s)
{
    size_t n = strlen(s);

    if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
        s[n - 1] = '\0';
        s++;
    }
    return s;
}

static int unknown_key(const theme *t, const char *key, err *e)
{
    const char *names[MOST_OPTIONS + 1] = {NULL};
    strbuf all = {0};
    int n = 0;

    for (const param *r = figure_params; r->name && n < MOST_OPTIONS; r++) {
        if (strcmp(r->name, "theme") == 0)
            continue;
        strbuf_printf(&all, "%s%s", n ? ", " : "", r->name);
        names[n++] = r->name;
    }
    const char *near = nearest_word(key, names);
    err_set(e, ERR_USAGE, "theme %s, line %d: '%s' is no option of figures", t->path, t->line, key);
    int rc = near ? err_hint(e, "did you mean %s?", near) : err_hint(e, "it may set %s", strbuf_str(&all));
    strbuf_free(&all);
    return rc;
}

static int wrong(const theme *t, err *e)
{
    return err_prefix(e, "theme %s, line %d", t->path, t->line);
}

static int read_line(theme *t, params *into, char *line, err *e)
{
    char *key = text_trim(line), *value = strchr(key, '=');

    if (*key == '\0' || *key == '#')
        return 0;
    if (!value) {
        err_set(e, ERR_USAGE, "theme %s, line %d: '%s' is no line of the form option = value", t->path, t->line, key);
        return err_hint(e, "for example: cmap = magma");
    }
    *value++ = '\0';
    key = text_trim(key);
    value = unquote(text_trim(value));
    if (strcmp(key, "theme") == 0 || !params_row(t->own, key))
        return unknown_key(t, key, e);
    if (strncmp(key, "no-", 3) == 0 && !strcmp(params_row(t->own, key)->name, key + 3)) {
        err_set(e, ERR_USAGE, "theme %s, line %d: '%s' is no option of figures", t->path, t->line, key);
        return err_hint(e, "write %s = false", key + 3);
    }
    if (params_given(t->own, key)) {
        err_set(e, ERR_USAGE, "theme %s, line %d: %s stands twice", t->path, t->line, key);
        return err_hint(e, "remove one of the two lines");
    }
    if (*value == '\0') {
        err_set(e, ERR_USAGE, "theme %s, line %d: %s has no value", t->path, t->line, key);
        return err_hint(e, "for example: cmap = magma");
    }
    if (params_set(t->own, key, value, e))
        return wrong(t, e);
    if (page_check_ink(key, value, e))
        return wrong(t, e);
    bool safe = params_row(into, "safe") && params_given(into, "safe") && params_bool(into, "safe");
    return params_given(into, key) || (safe && strcmp(key, "cmap") == 0) ? 0 : params_set(into, key, value, e);
}

int figure_theme(params *p, err *e)
{
    theme t = {.path = params_str(p, "theme")};
    char *text = NULL, *next;
    size_t size;

    if (!t.path)
        return 0;
    int rc = read_file(&text, &size, t.path, MOST_BYTES, e);
    if (rc)
        return rc;
    if (strlen(text) != size) {
        free(text);
        err_set(e, ERR_USAGE, "theme %s: not a text", t.path);
        return err_hint(e, "a theme has lines `option = value`");
    }
    rc = params_new(&t.own, e);
    if (rc == 0)
        rc = params_use(t.own, figure_params, e);
    for (char *line = text; line && rc == 0; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        t.line++;
        rc = read_line(&t, p, line, e);
    }
    params_free(t.own);
    free(text);
    return rc;
}
