/* From a sweep file to its cells. */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "cli/command_util.h"
#include "cli/dispatch.h"
#include "cli/json_line.h"
#include "cli/sweep.h"

static const char *const own_keys[] = {"command", "model", "arguments", "name", "zip", "exclude"};
enum { N_OWN_CELL = 3 }; /* of them: those that belong to a cell */

/* Options that are the sweep's own business, or that write files of their own. */
static const char *const refused[] = {"json", "csv", "tsv", "output", "store", "quiet", "help", "resume", "dry-run",
                                      "emit", "scores",
                                      "append-scores", NULL};

/* Options that only shape the table a command prints, of which there is none in a sweep: its runs would be
 * the same. */
static const struct { const char *verb, *options[5]; } shaping[] = {
    {"census", {"by", "labelled", "all", NULL}},
    {"compare", {"top", "expect-equal", NULL}},
    {"divergence", {"linkage", "clusters", "height", NULL}},
    {"influence", {"select", NULL}},
    {"needle", {"per-trial", "grid", "top", NULL}},
    {"patch", {"top", NULL}},
    {"track", {"heads", NULL}},
    {"vhd", {"n", NULL}},
};

typedef struct maker {
    sweep *w;
    const sweep_entry **axis; /* [n_axis] */
    int *at;                  /* [n_entry] value of each entry that counts by itself */
} maker;

static int fail(const maker *m, const sweep_entry *x, err *e, const char *message, const char *what)
{
    return err_set(e, ERR_USAGE, "%s:%d: %s%.200s", m->w->file.path, x->line, message, what);
}

static const char *without_verb(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot ? dot + 1 : key;
}

/* Does the key belong to cells of this command? */
static bool is_for(const char *key, const char *verb)
{
    const char *dot = strchr(key, '.');
    size_t n = strlen(verb);
    return !dot || ((size_t)(dot - key) == n && strncmp(key, verb, n) == 0);
}

static const sweep_value *value_of(const maker *m, const sweep_entry *x)
{
    return &x->value[x->axis ? m->at[x->group] : 0];
}

static bool is_option(const char *key)
{
    for (int i = 0; i < N_OWN_CELL; i++)
        if (strcmp(without_verb(key), own_keys[i]) == 0)
            return false;
    return true;
}

/* KEY for this verb alone, else for all; NULL: neither is there. */
static const sweep_entry *find_for(const maker *m, const char *key, const char *verb)
{
    char own[96];
    snprintf(own, sizeof own, "%.40s.%.40s", verb, key);
    const sweep_entry *x = sweep_file_find(&m->w->file, own);
    return x ? x : sweep_file_find(&m->w->file, key);
}

/* ---- axes ---- */

/* A model is loaded once for the cells that lie together. */
static bool decides_loading(const char *key)
{
    static const char *const keys[] = {"model", "config", "tokenizer", "quantize", "quantize-embeddings",
                                       NULL};
    for (int i = 0; keys[i]; i++)
        if (strcmp(without_verb(key), keys[i]) == 0)
            return true;
    return false;
}

static bool group_loads(const sweep_file *f, int group)
{
    for (int i = 0; i < f->n_entry; i++)
        if (f->entry[i].axis && f->entry[i].group == group && decides_loading(f->entry[i].key))
            return true;
    return false;
}

static int order_axes(maker *m, err *e)
{
    sweep *w = m->w;
    const sweep_file *f = &w->file;
    m->axis = arena_alloc(&w->mem, (size_t)f->n_entry + 1, sizeof *m->axis, e);
    m->at = arena_alloc(&w->mem, (size_t)f->n_entry + 1, sizeof *m->at, e);
    w->axis = arena_alloc(&w->mem, (size_t)f->n_entry + 1, sizeof *w->axis, e);
    if (!m->axis || !m->at || !w->axis)
        return ERR_RESOURCE;
    for (int pass = 0; pass < 2; pass++)
        for (int g = 0; g < f->n_entry; g++) {
            if (f->entry[g].group != g || group_loads(f, g) != (pass == 0))
                continue;
            for (int i = g; i < f->n_entry; i++)
                if (f->entry[i].axis && f->entry[i].group == g)
                    m->axis[w->n_axis++] = &f->entry[i];
        }
    for (int i = 0; i < w->n_axis; i++)
        w->axis[i] = m->axis[i]->key;
    return 0;
}

/* The next combination, the last axis fastest; false behind the last. */
static bool step(maker *m)
{
    for (int i = m->w->n_axis; i-- > 0;) {
        const sweep_entry *x = m->axis[i];
        if (&m->w->file.entry[x->group] != x)
            continue;
        if (++m->at[x->group] < x->n)
            return true;
        m->at[x->group] = 0;
    }
    return false;
}

/* Axes that are of other verbs alone do not multiply the cells of this one. */
static bool is_repeated(const maker *m)
{
    const sweep_file *f = &m->w->file;
    const sweep_entry *verb = sweep_file_find(f, "command");
    for (int g = 0; verb && g < f->n_entry; g++) {
        bool other = f->entry[g].axis && f->entry[g].group == g && m->at[g] > 0;
        for (int i = g; other && i < f->n_entry; i++)
            other = !(f->entry[i].axis && f->entry[i].group == g &&
                      is_for(f->entry[i].key, value_of(m, verb)->text));
        if (other)
            return true;
    }
    return false;
}

static bool is_excluded(const maker *m)
{
    if (is_repeated(m))
        return true;
    for (int i = 0; i < m->w->file.n_exclude; i++) {
        const sweep_exclude *x = &m->w->file.exclude[i];
        bool all = x->n > 0;
        for (int k = 0; k < x->n; k++)
            all = all && strcmp(value_of(m, x->pair[k].axis)->label, x->pair[k].value) == 0;
        if (all)
            return true;
    }
    return false;
}

static int count_cells(maker *m, int64_t *n, err *e)
{
    int64_t all = 1;
    for (int i = 0; i < m->w->n_axis; i++)
        if (&m->w->file.entry[m->axis[i]->group] == m->axis[i] && (all *= m->axis[i]->n) > SWEEP_MOST_CELLS) {
            err_set(e, ERR_USAGE, "%s: more than %d cells", m->w->file.path, SWEEP_MOST_CELLS);
            return err_hint(e, "make several sweeps of it");
        }
    *n = 0;
    do
        *n += !is_excluded(m);
    while (step(m));
    if (*n > 0)
        return 0;
    err_set(e, ERR_USAGE, "%s: all cells are excluded", m->w->file.path);
    return err_hint(e, "take lines `exclude` out");
}

/* ---- a cell ---- */

/* A key that a sweep must have is not there: was another meant to be it? */
static int no_key(const maker *m, const char *key, const char *hint, err *e)
{
    const char *const names[] = {key, NULL};
    const sweep_file *f = &m->w->file;
    for (int i = 0; i < f->n_entry; i++) {
        const sweep_entry *x = &f->entry[i];
        if (!sweep_key_meant(x->key, names))
            continue;
        err_set(e, ERR_USAGE, "%s:%d: no %s, but a key %.60s", f->path, x->line, key, x->key);
        return err_hint(e, "did you mean %s?", key);
    }
    err_set(e, ERR_USAGE, "%s: no %s", f->path, key);
    return err_hint(e, "%s", hint);
}

static int choose_command(const maker *m, sweep_cell *c, err *e)
{
    const sweep_entry *x = sweep_file_find(&m->w->file, "command");
    command_tables tables;
    if (!x)
        return no_key(m, "command", "name the verb: command = run", e);
    const char *name = value_of(m, x)->text;
    c->c = command_find(name, false);
    if (!c->c) {
        const char *names[257] = {NULL};
        for (int i = 0; commands[i] && i < 256; i++)
            names[i] = commands[i]->name;
        const char *near = nearest_word(name, names);
        fail(m, x, e, "no command is called ", *name ? name : "\"\"");
        return near ? err_hint(e, "did you mean %s?", near) : err_hint(e, "`list commands` names them all");
    }
    command_get_tables(c->c, tables);
    for (int i = 0; tables[i]; i++)
        for (const param *row = tables[i]; row->name; row++)
            if (strcmp(row->name, "resume") == 0 && row->kind == PARAM_INT)
                return 0;
    fail(m, x, e, "a sweep cannot run ", name);
    return err_hint(e, "it runs what measures: run, census, needle, ablate and others that have --resume");
}

static int unknown_option(const maker *m, const sweep_entry *x, const sweep_cell *c, err *e)
{
    enum { MANY = 255 };
    const char *names[MANY + 1] = {NULL}, *key = without_verb(x->key);
    command_tables tables;
    int n = 0;
    for (; n < (int)(sizeof own_keys / sizeof *own_keys); n++)
        names[n] = own_keys[n];
    command_get_tables(c->c, tables);
    for (int i = 0; tables[i]; i++)
        for (const param *row = tables[i]; row->name && n < MANY; row++)
            names[n++] = row->name;
    const sweep_entry *verb = sweep_file_find(&m->w->file, "command");
    const char *near = sweep_key_meant(key, names);
    err_set(e, ERR_USAGE, "%s:%d: %s has no option %.60s", m->w->file.path, x->line, c->c->name, key);
    if (near)
        return err_hint(e, "did you mean %s?", near);
    if (verb && verb->n > 1)
        return err_hint(e, "for one of the commands alone: VERB.%.60s = ...", key);
    return err_hint(e, "`help %s` shows its options", c->c->name);
}

/* A key with a verb in front that no cell has. */
static int check_prefix(const maker *m, const sweep_entry *x, err *e)
{
    const char *dot = strchr(x->key, '.');
    const sweep_entry *verb = sweep_file_find(&m->w->file, "command");
    for (int i = 0; verb && i < verb->n; i++)
        if (is_for(x->key, verb->value[i].text))
            return 0;
    if (!dot || !verb)
        return 0;
    err_set(e, ERR_USAGE, "%s:%d: %.*s is no command of this sweep", m->w->file.path, x->line,
            (int)(dot - x->key), x->key);
    return err_hint(e, "write VERB.OPTION with one of the verbs of `command`, or the option alone");
}

static bool only_shapes(const char *verb, const char *key)
{
    for (size_t v = 0; v < sizeof shaping / sizeof *shaping; v++)
        for (int i = 0; strcmp(shaping[v].verb, verb) == 0 && shaping[v].options[i]; i++)
            if (strcmp(shaping[v].options[i], key) == 0)
                return true;
    return false;
}

static int set_option(const maker *m, const sweep_entry *x, sweep_cell *c, err *e)
{
    const char *key = without_verb(x->key), *text = value_of(m, x)->text;
    for (int i = 0; refused[i]; i++)
        if (strcmp(key, refused[i]) == 0) {
            fail(m, x, e, "a sweep does not take ", key);
            return err_hint(e, strcmp(key, "store") == 0 ? "name the store where the sweep is run: sweep"
                                                           " FILE --store S"
                                                         : "its runs go to the store; ask that for results");
        }
    if (only_shapes(c->c->name, key)) {
        err_set(e, ERR_USAGE, "%s:%d: --%s of %s only shapes the table that it prints, and a sweep prints"
                              " none of its cells'",
                m->w->file.path, x->line, key, c->c->name);
        return err_hint(e, "take the line out; the values are in the store, for `top`, `sql`, `plot` and"
                           " `export`");
    }
    if (!params_row(c->args.p, key))
        return unknown_option(m, x, c, e);
    if (!*text)
        return 0;
    if (strcmp(text, "-") == 0 && params_row(c->args.p, key)->kind == PARAM_PATH) {
        fail(m, x, e, "a sweep cannot read standard input: ", key);
        return err_hint(e, "write it to a file, for it is read again for every cell and whenever the sweep"
                           " goes on");
    }
    int rc = params_set(c->args.p, key, text, e);
    return rc ? err_prefix(e, "%s:%d", m->w->file.path, x->line) : 0;
}

static void put_word(strbuf *b, const char *word)
{
    strbuf_puts(b, b->len ? " " : "");
    strbuf_put_quoted(b, word);
}

static void put_option(strbuf *b, const param *row, const char *text)
{
    strbuf_printf(b, " --%s%s", row->kind == PARAM_BOOL && strcmp(text, "false") == 0 ? "no-" : "",
                  row->name);
    if (row->kind != PARAM_BOOL)
        put_word(b, text);
}

/* The words behind the verb: the model, and others as they would be typed. */
static int take_words(const maker *m, sweep_cell *c, strbuf *line, err *e)
{
    static const char *const keys[] = {"model", "arguments"};
    int n = 0;
    for (int k = 0; k < 2; k++) {
        const sweep_entry *x = find_for(m, keys[k], c->c->name);
        const char *text = x ? value_of(m, x)->text : "";
        parsed_line p;
        parse_wait wait;
        if (k == 0) {
            if (!*text) {
                static const char hint[] = "name it: model = examples/models/lantern-3m";
                if (!x)
                    return no_key(m, "model", hint, e);
                fail(m, x, e, "the model is empty", "");
                return err_hint(e, "%s", hint);
            }
            c->model = text;
            continue;
        }
        int rc = parse_line(&p, &wait, text, strlen(text), e);
        if (!rc && (wait.missing || p.n > 1))
            rc = err_set(e, ERR_USAGE, "these are no words: %.100s", text);
        size_t room = rc || p.n == 0 ? 1 : (size_t)p.command[0].n + 1;
        c->positional = rc ? NULL : arena_alloc(&m->w->mem, room, sizeof *c->positional, e);
        if (!rc && !c->positional)
            rc = ERR_RESOURCE;
        if (!rc)
            c->positional[n++] = c->model;
        for (int i = 0; !rc && p.n && i < p.command[0].n; i++)
            if (!(c->positional[n++] = arena_strdup(&m->w->mem, p.command[0].word[i].text, e)))
                rc = ERR_RESOURCE;
        parsed_free(&p);
        if (rc)
            return rc == ERR_RESOURCE ? rc : err_prefix(e, "%s:%d", m->w->file.path, x->line);
    }
    c->args.n = n;
    c->args.word = c->positional;
    for (int i = 0; i < n; i++)
        put_word(line, c->positional[i]);
    if (n < c->c->min_args) {
        err_set(e, ERR_USAGE, "%s: %s needs %d words", m->w->file.path, c->c->name, c->c->min_args);
        return err_hint(e, "name the others with `arguments = ...`; usage: %s %s", c->c->name, c->c->usage);
    }
    if (c->c->max_args < 0 || n <= c->c->max_args)
        return 0;
    err_set(e, ERR_USAGE, "%s: %s does not take \"%.100s\"", m->w->file.path, c->c->name,
            c->positional[c->c->max_args]);
    return err_hint(e, "usage: %s %s", c->c->name, c->c->usage);
}

/* Where the cell stands: labels, and the same as a JSON object. */
static int place_cell(const maker *m, sweep_cell *c, err *e)
{
    const sweep *w = m->w;
    const char **label = arena_alloc(&m->w->mem, (size_t)w->n_axis + 1, sizeof *label, e);
    strbuf b = {0};
    if (!label)
        return ERR_RESOURCE;
    json_line_begin(&b, NULL);
    for (int i = 0; i < w->n_axis; i++) {
        if (!is_for(m->axis[i]->key, c->c->name))
            continue;
        label[i] = value_of(m, m->axis[i])->label;
        json_line_text(&b, w->axis[i], label[i]);
    }
    strbuf_putc(&b, '}');
    c->value = label;
    c->json = strbuf_take(&b, e);
    return c->json ? 0 : ERR_RESOURCE;
}

static int make_cell(const maker *m, sweep_cell *c, int64_t index, err *e)
{
    const sweep_file *f = &m->w->file;
    command_tables tables;
    strbuf line = {0};
    c->index = index;
    c->part.n_unit = -1;
    int rc = choose_command(m, c, e);
    if (!rc)
        rc = params_new(&c->args.p, e);
    if (!rc) {
        command_get_tables(c->c, tables);
        for (int i = 0; tables[i] && !rc; i++)
            rc = params_use(c->args.p, tables[i], e);
    }
    if (!rc) {
        strbuf_puts(&line, c->c->name);
        rc = take_words(m, c, &line, e);
    }
    for (int i = 0; i < f->n_entry && !rc; i++) {
        const sweep_entry *x = &f->entry[i];
        if (!is_option(x->key) || !is_for(x->key, c->c->name))
            continue;
        rc = set_option(m, x, c, e);
        if (!rc && *value_of(m, x)->text)
            put_option(&line, params_row(c->args.p, without_verb(x->key)), value_of(m, x)->text);
    }
    if (!rc)
        rc = place_cell(m, c, e);
    if (!rc)
        rc = (c->line = strbuf_take(&line, e)) ? 0 : ERR_RESOURCE;
    strbuf_free(&line);
    c->args.line = c->line;
    return rc;
}

/* ---- who is who ---- */

static int short_hash(char out[SWEEP_UID], const strbuf *b, err *e)
{
    sha256_hex full;
    int rc = b->failed ? err_nomem(e, "a plan") : sha256_of(full, strbuf_str(b), b->len, e);
    if (!rc)
        memcpy(out, full, SWEEP_UID - 1);
    out[SWEEP_UID - 1] = '\0';
    return rc;
}

static int name_runs(sweep *w, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "sweep %s\n", w->file.name);
    for (int64_t i = 0; i < w->n; i++)
        strbuf_printf(&b, "%s\n", w->cell[i].line);
    int rc = short_hash(w->uid, &b, e);
    for (int64_t i = 0; i < w->n && !rc; i++) {
        strbuf_clear(&b);
        strbuf_printf(&b, "%s %lld", w->uid, (long long)i);
        rc = short_hash(w->cell[i].uid, &b, e);
    }
    strbuf_free(&b);
    return rc;
}

int sweep_make(sweep *out, const char *path, err *e)
{
    maker m = {.w = out};
    *out = (sweep){0};
    int rc = sweep_file_load(&out->file, path, e);
    for (int i = 0; i < out->file.n_entry && !rc; i++)
        rc = check_prefix(&m, &out->file.entry[i], e);
    if (!rc)
        rc = order_axes(&m, e);
    int64_t n = 0;
    if (!rc)
        rc = count_cells(&m, &n, e);
    if (rc)
        return rc;
    if (!(out->cell = mem_array((size_t)n, sizeof *out->cell, e)))
        return ERR_RESOURCE;
    do
        if (!is_excluded(&m)) {
            rc = make_cell(&m, &out->cell[out->n], out->n, e);
            out->n++;
        }
    while (!rc && step(&m));
    return rc ? rc : name_runs(out, e);
}

void sweep_free(sweep *w)
{
    for (int64_t i = 0; i < w->n; i++) {
        params_free(w->cell[i].args.p);
        free(w->cell[i].json);
        free(w->cell[i].line);
    }
    free(w->cell);
    arena_free(&w->mem);
    sweep_file_free(&w->file);
    *w = (sweep){0};
}
