#include "cli/sweep_file.h"

#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "base/param.h"
#include "base/strbuf.h"

#define MOST_BYTES ((size_t)1 << 20)

typedef struct reader {
    sweep_file *f;
    char *at;                 /* what is left of the text, NUL-terminated */
    int line;                 /* of the entry at hand */
    int next_line;
    int cap_entry, cap_exclude;
} reader;

static int fail(const reader *r, err *e, const char *message, const char *what)
{
    return err_set(e, ERR_USAGE, "%s:%d: %s%.200s", r->f->path, r->line, message, what);
}

/* The next line in place, NULL at the end. */
static char *next_line(reader *r)
{
    char *line = r->at, *end;
    if (!line)
        return NULL;
    end = strchr(line, '\n');
    r->at = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    r->next_line++;
    return line;
}

/* ---- values ---- */

static int unquote(const reader *r, char **value, err *e)
{
    char *s = *value;
    size_t n = strlen(s);
    if (*s != '"' && *s != '\'')
        return 0;
    if (n < 2 || s[n - 1] != *s || memchr(s + 1, *s, n - 2)) {
        fail(r, e, "the quotes do not fit around ", s);
        return err_hint(e, "put \"...\" or '...' around the whole value");
    }
    s[n - 1] = '\0';
    *value = s + 1;
    return 0;
}

/* "name: text": blanks may stand in the name, and one must stand behind the colon. */
static char *split_label(char *item)
{
    char *colon;
    if (*item == '"' || *item == '\'')
        return NULL;
    colon = strchr(item, ':');
    char *quote = strpbrk(item, "\"'");
    if (!colon || colon == item || !strchr(" \t", colon[1]) || colon[1] == '\0' || (quote && quote < colon))
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static int add_value(reader *r, sweep_entry *x, int *cap, char *item, err *e)
{
    char *label = NULL, *text = split_label(item);
    if (text) {
        label = text_trim(item);
        item = text_trim(text);
    }
    int rc = unquote(r, &item, e);
    if (rc)
        return rc;
    if (x->n == *cap) {
        sweep_value *more = arena_alloc(&r->f->mem, (size_t)*cap * 2 + 4, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        if (x->n)
            memcpy(more, x->value, (size_t)x->n * sizeof *more);
        x->value = more;
        *cap = *cap * 2 + 4;
    }
    label = arena_strdup(&r->f->mem, label ? label : item, e);
    text = arena_strdup(&r->f->mem, item, e);
    if (!label || !text)
        return ERR_RESOURCE;
    for (int i = 0; i < x->n; i++)
        if (strcmp(x->value[i].label, label) == 0) {
            fail(r, e, "the list holds twice: ", *label ? label : "\"\"");
            return err_hint(e, "remove one of the two, or give them names, as in [a: 1, b: 1]");
        }
    x->value[x->n++] = (sweep_value){label, text};
    return 0;
}

/* Items up to the ']', over several lines where it is not in this one.  rest: behind the '['. */
static int read_list(reader *r, sweep_entry *x, char *rest, err *e)
{
    int cap = 0, rc = 0;
    char quote = '\0', *item = rest, *s = rest;
    for (;; s++) {
        if (*s == '#' && !quote && strspn(item, " \t") == (size_t)(s - item)) /* a comment, up to the end of
                                                                               * the line */
            *s = '\0';
        if (*s == '\0') {
            if (quote) {
                fail(r, e, "a quote has no end in: ", item);
                return err_hint(e, "put \"...\" or '...' around the whole value");
            }
            if (*text_trim(item)) /* the end of a line ends an item too */
                rc = add_value(r, x, &cap, text_trim(item), e);
            item = s = rc ? NULL : next_line(r);
            if (rc)
                return rc;
            if (!item) {
                fail(r, e, "the list has no closing bracket: ", x->key);
                return err_hint(e, "write for example: precision = [f32, bf16]");
            }
            s--;
            continue;
        }
        if (quote) {
            quote = *s == quote ? '\0' : quote;
        } else if (*s == '"' || (*s == '\'' && (s == item || strchr(" \t", s[-1])))) {
            quote = *s;
        } else if (*s == ',' || *s == ']') {
            bool last = *s == ']';
            *s = '\0';
            item = text_trim(item);
            if (*item)
                rc = add_value(r, x, &cap, item, e);
            item = s + 1;
            if (rc || last)
                break;
        }
    }
    if (!rc && *text_trim(item) && *text_trim(item) != '#') {
        fail(r, e, "behind the list stands: ", text_trim(item));
        rc = err_hint(e, "a line holds one value; put commas between items, within the brackets");
    }
    if (!rc && x->n == 0) {
        fail(r, e, "the list is empty: ", x->key);
        rc = err_hint(e, "name at least one value, \"\" for the option left out");
    }
    return rc;
}

/* ---- lines ---- */

static int add_entry(reader *r, char *key, char *value, err *e)
{
    sweep_file *f = r->f;
    if (sweep_file_find(f, key)) {
        fail(r, e, "stands twice: ", key);
        return err_hint(e, "remove one of the two lines, or make one a list: %.60s = [..., ...]", key);
    }
    if (f->n_entry == r->cap_entry) {
        int cap = 2 * r->cap_entry + 16;
        sweep_entry *more = arena_alloc(&f->mem, (size_t)cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        if (f->n_entry)
            memcpy(more, f->entry, (size_t)f->n_entry * sizeof *more);
        f->entry = more;
        r->cap_entry = cap;
    }
    sweep_entry *x = &f->entry[f->n_entry];
    int at = f->n_entry++;
    *x = (sweep_entry){.key = key, .line = r->line, .axis = *value == '[', .group = at};
    if (x->axis)
        return read_list(r, x, value + 1, e);
    int rc = unquote(r, &value, e);
    char *text = rc ? NULL : arena_strdup(&f->mem, value, e);
    x->value = text ? arena_alloc(&f->mem, 1, sizeof *x->value, e) : NULL;
    if (!x->value)
        return rc ? rc : ERR_RESOURCE;
    x->value[x->n++] = (sweep_value){text, text};
    return 0;
}

static sweep_entry *require_axis(const reader *r, const char *key, err *e)
{
    enum { MANY = 64 };
    const char *names[MANY + 1] = {NULL};
    int n = 0;
    for (int i = 0; i < r->f->n_entry; i++) {
        sweep_entry *x = &r->f->entry[i];
        if (x->axis && strcmp(x->key, key) == 0)
            return x;
        if (x->axis && n < MANY)
            names[n++] = x->key;
    }
    const char *near = nearest_word(key, names);
    fail(r, e, "no axis is called ", *key ? key : "\"\"");
    if (near)
        err_hint(e, "did you mean %s?", near);
    else
        err_hint(e, "an axis is a key with a list, as precision = [f32, bf16]%s", names[0] ? ""
                 : "; there is none");
    return NULL;
}

static bool goes_together(const sweep_file *f, const sweep_entry *x)
{
    int at = (int)(x - f->entry);
    bool yes = x->group != at;
    for (int i = 0; i < f->n_entry; i++)
        yes |= i != at && f->entry[i].group == at;
    return yes;
}

/* zip = model, prompts: the group counts by the one that stands first in the file. */
static int read_zip(reader *r, char *value, err *e)
{
    sweep_file *f = r->f;
    char *save = NULL;
    const sweep_entry *any = NULL;
    int first = f->n_entry;
    bool *in = arena_alloc(&f->mem, (size_t)f->n_entry + 1, sizeof *in, e);
    if (!in)
        return ERR_RESOURCE;
    for (char *w = strtok_r(value, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        sweep_entry *x = require_axis(r, text_trim(w), e);
        if (!x)
            return ERR_USAGE;
        if (any && x->n != any->n) {
            err_set(e, ERR_USAGE, "%s:%d: zip: %s has %d values, %s %d", f->path, r->line, any->key, any->n,
                    x->key, x->n);
            return err_hint(e, "axes that go together have as many values each");
        }
        if (goes_together(f, x)) {
            fail(r, e, "zip: it goes together with others already: ", x->key);
            return err_hint(e, "name all axes that go together in one line");
        }
        int at = (int)(x - f->entry);
        any = x;
        in[at] = true;
        first = at < first ? at : first;
    }
    for (int i = 0; i < f->n_entry; i++)
        if (in[i])
            f->entry[i].group = first;
    return 0;
}

/* exclude = precision=bf16, quantize=q4_0 */
static int read_exclude(reader *r, char *value, err *e)
{
    sweep_file *f = r->f;
    size_t most = 1;
    char *save = NULL;
    for (const char *s = value; *s; s++)
        most += *s == ',';
    sweep_exclude *all = arena_alloc(&f->mem, (size_t)f->n_exclude + 1, sizeof *all, e);
    sweep_pair *pair = arena_alloc(&f->mem, most, sizeof *pair, e);
    if (!all || !pair)
        return ERR_RESOURCE;
    sweep_exclude *x = &all[f->n_exclude];
    if (f->n_exclude)
        memcpy(all, f->exclude, (size_t)f->n_exclude * sizeof *all);
    x->pair = pair;
    for (char *w = strtok_r(value, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(w, '=');
        if (!equals) {
            fail(r, e, "exclude: no KEY=VALUE: ", text_trim(w));
            return err_hint(e, "for example: exclude = precision=bf16, quantize=q4_0");
        }
        *equals = '\0';
        char *wanted = text_trim(equals + 1);
        const sweep_entry *axis = require_axis(r, text_trim(w), e);
        int rc = axis ? unquote(r, &wanted, e) : ERR_USAGE;
        bool found = false;
        for (int i = 0; axis && i < axis->n; i++)
            found |= strcmp(axis->value[i].label, wanted) == 0;
        if (!rc && !found) {
            fail(r, e, "exclude: the axis has no such value: ", wanted);
            rc = err_hint(e, "%s has %s%s", axis->key, axis->value[0].label, axis->n > 1 ? " and others"
                          : " only");
        }
        wanted = rc ? NULL : arena_strdup(&f->mem, wanted, e);
        if (!wanted)
            return rc ? rc : ERR_RESOURCE;
        pair[x->n++] = (sweep_pair){axis, wanted};
    }
    f->exclude = all;
    f->n_exclude++;
    return 0;
}

/* zip and exclude name axes, which may stand behind them: they wait. */
typedef struct waiting { char *value; int line; bool zip; struct waiting *next; } waiting;

static int read_entry(reader *r, char *line, waiting ***last, err *e)
{
    char *key = text_trim(line), *value = strchr(key, '=');
    if (*key == '\0' || *key == '#')
        return 0;
    if (!value || value == key) {
        fail(r, e, "no line of the form key = value: ", key);
        return err_hint(e, "for example: precision = [f32, bf16]");
    }
    *value++ = '\0';
    key = arena_strdup(&r->f->mem, text_trim(key), e);
    value = text_trim(value);
    if (!key)
        return ERR_RESOURCE;
    bool zip = strcmp(key, "zip") == 0;
    if (zip || strcmp(key, "exclude") == 0) {
        waiting *w = arena_alloc(&r->f->mem, 1, sizeof *w, e);
        char *copy = w ? arena_strdup(&r->f->mem, value, e) : NULL;
        if (!copy)
            return ERR_RESOURCE;
        *w = (waiting){copy, r->line, zip, NULL};
        **last = w;
        *last = &w->next;
        return 0;
    }
    return add_entry(r, key, value, e);
}

/* The name, taken out of the entries. */
static int take_name(reader *r, err *e)
{
    sweep_file *f = r->f;
    for (int i = 0; i < f->n_entry; i++) {
        if (strcmp(f->entry[i].key, "name") != 0)
            continue;
        r->line = f->entry[i].line;
        if (f->entry[i].axis || !*f->entry[i].value[0].text) {
            fail(r, e, "a sweep has one name", "");
            return err_hint(e, "for example: name = quantisation");
        }
        f->name = f->entry[i].value[0].text;
        memmove(&f->entry[i], &f->entry[i + 1], (size_t)(f->n_entry - i - 1) * sizeof *f->entry);
        f->n_entry--;
        for (int k = 0; k < f->n_entry; k++)
            f->entry[k].group = k;
        return 0;
    }
    const char *slash = strrchr(f->path, '/');
    char *name = arena_strdup(&f->mem, slash ? slash + 1 : f->path, e);
    if (!name)
        return ERR_RESOURCE;
    size_t n = strlen(name);
    if (n > 6 && strcmp(name + n - 6, ".sweep") == 0)
        name[n - 6] = '\0';
    f->name = name;
    return 0;
}

int sweep_file_parse(sweep_file *out, const char *text, size_t size, const char *path, err *e)
{
    *out = (sweep_file){0};
    out->path = arena_strdup(&out->mem, path, e);
    out->text = out->path ? arena_strndup(&out->mem, text, size, e) : NULL;
    char *work = out->text ? arena_strndup(&out->mem, text, size, e) : NULL;
    if (!work)
        return ERR_RESOURCE;
    if (strlen(work) != size) {
        err_set(e, ERR_INPUT, "%s: no text: it holds a NUL byte", path);
        return err_hint(e, "a sweep has lines `key = value`");
    }
    for (size_t i = 0, n; i < size; i += n)
        if ((n = (size_t)utf8_next(NULL, work + i, size - i)) == 0) {
            err_set(e, ERR_INPUT, "%s: byte 0x%02x at %zu is no UTF-8", path, (unsigned char)work[i], i);
            return err_hint(e, "a sweep has lines `key = value`");
        }
    reader r = {.f = out, .at = strncmp(work, "\xef\xbb\xbf", 3) == 0 ? work + 3 : work};
    waiting *first = NULL, **last = &first;
    int rc = 0;
    for (char *line; !rc && (line = next_line(&r));) {
        r.line = r.next_line;
        rc = read_entry(&r, line, &last, e);
    }
    if (!rc)
        rc = take_name(&r, e);
    for (waiting *w = first; w && !rc; w = w->next) {
        r.line = w->line;
        rc = w->zip ? read_zip(&r, w->value, e) : read_exclude(&r, w->value, e);
    }
    return rc;
}

int sweep_file_load(sweep_file *out, const char *path, err *e)
{
    char *text;
    size_t size;
    *out = (sweep_file){0};
    int rc = read_file(&text, &size, path, MOST_BYTES, e);
    if (rc)
        return rc;
    rc = sweep_file_parse(out, text, size, path, e);
    free(text);
    return rc;
}

void sweep_file_free(sweep_file *f)
{
    arena_free(&f->mem);
    *f = (sweep_file){0};
}

const sweep_entry *sweep_file_find(const sweep_file *f, const char *key)
{
    for (int i = 0; i < f->n_entry; i++)
        if (strcmp(f->entry[i].key, key) == 0)
            return &f->entry[i];
    return NULL;
}

/* What other words are meant by a key: in sweeps, of those who write verb, say. */
static const struct { const char *said, *meant; } synonyms[] = {
    {"verb", "command"}, {"experiment", "command"}, {"verbs", "command"}, {"prompt", "prompts"}, {"models", "model"},
    {"metric", "metrics"},
};

const char *sweep_key_meant(const char *key, const char *const *names)
{
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (strcmp(synonyms[i].said, key) != 0)
            continue;
        for (int k = 0; names[k]; k++)
            if (strcmp(names[k], synonyms[i].meant) == 0)
                return names[k];
    }
    return nearest_word(key, names);
}
