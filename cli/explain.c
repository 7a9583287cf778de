#include "cli/explain.h"

#include <ctype.h>
#include <string.h>
#include "analysis/bibliography.h"
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "cli/help.h"
#include "cli/output.h"
#include "plots/figure.h"

enum { TOPIC, KIND, FIELD, TEXT, N_COLUMN };

int explain_table(table **out, err *e)
{
    static const char *const columns[N_COLUMN] = {"topic", "kind", "field", "text"};
    return table_new(out, N_COLUMN, columns, e);
}

/* What the rows of one thing begin with. */
typedef struct topic { table *t; const char *name, *kind; } topic;

static int put(const topic *to, const char *field, const char *text, err *e)
{
    if (!text || !*text)
        return 0;
    const char *texts[N_COLUMN] = {to->name, to->kind, field, text};
    cell *row = table_row(to->t, e);
    int rc = row ? 0 : ERR_RESOURCE;
    for (int i = 0; i < N_COLUMN && !rc; i++)
        rc = table_text(to->t, &row[i], texts[i], strlen(texts[i]), e);
    return rc;
}

/* One row for each work, in words; the key stands in front. */
static int put_citations(const topic *to, const char *list, err *e)
{
    const char *key;
    size_t n;
    int rc = 0;
    while (!rc && bib_next(&list, &key, &n)) {
        const bib_entry *x = bib_find(key, n);
        strbuf b = {0};
        if (!x)
            continue;
        strbuf_printf(&b, "[%s] ", x->key);
        bib_put_text(&b, x);
        rc = b.failed ? err_nomem(e, "citations") : put(to, "citation", b.s, e);
        strbuf_free(&b);
    }
    return rc;
}

typedef struct field { const char *name, *text; } field;

static int put_all(const topic *to, const field *f, const char *cite, err *e)
{
    int rc = 0;
    for (; f->name && !rc; f++)
        rc = put(to, f->name, f->text, e);
    return rc ? rc : put_citations(to, cite, e);
}

static int put_metric(table *t, const metric *m, err *e)
{
    static const char *const scopes[] = {"layer and head", "the model's predictions", "layer", "weights alone"};
    const topic to = {t, m->name, "metric"};
    const field fields[] = {
        {"what", m->summary}, {"formula", m->formula}, {"definition", m->definition}, {"values of", scopes[m->scope]},
        {"unit", *m->unit ? m->unit : "none"}, {"range", m->range},
        {"position", m->axis == AXIS_NONE ? NULL : metric_axis_names[m->axis]}, {"reading", m->reading},
        {"traps", m->traps}, {"missing mass", m->missing_mass}, {"cost", m->cost}, {"source", m->source},
        {"held against", m->validated}, {NULL, NULL}};
    return put_all(&to, fields, m->cite, e);
}

static int put_edit(table *t, const edit *x, err *e)
{
    const topic to = {t, x->name, "edit"};
    const field fields[] = {
        {"what", x->summary}, {"of", x->target == EDIT_HEADS ? "heads" : "layers"}, {"definition", x->definition},
        {"decoding", x->decoding}, {"reading", x->reading}, {"traps", x->traps}, {"source", x->source}, {NULL, NULL}};
    return put_all(&to, fields, x->cite, e);
}

static int put_figure(table *t, const figure *f, err *e)
{
    const topic to = {t, f->name, "figure"};
    const field fields[] = {
        {"what", f->summary}, {"needs", f->needs}, {"reading", f->reading}, {"traps", f->traps}, {NULL, NULL}};
    return put_all(&to, fields, NULL, e);
}

static int put_term(table *t, const term *w, err *e)
{
    const topic to = {t, w->name, "term"};
    const field fields[] = {
        {"what", w->summary}, {"also", w->also}, {"formula", w->formula}, {"meaning", w->text}, {"look with", w->measure},
        {"traps", w->traps}, {NULL, NULL}};
    return put_all(&to, fields, w->cite, e);
}

static int put_work(table *t, const bib_entry *x, err *e)
{
    const topic to = {t, x->key, "work"};
    return put_citations(&to, x->key, e);
}

static char plain(char c)
{
    return c == ' ' || c == '_' ? '-' : (char)tolower((unsigned char)c);
}

/* a is b [n], blanks, "_" and "-" being one and case none. */
static bool same(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!a[i] || plain(a[i]) != plain(b[i]))
            return false;
    }
    return !a[n];
}

static bool is_named(const char *name, const char *known)
{
    return same(name, known, strlen(known));
}

static bool is_also(const char *name, const char *list)
{
    const char *key;
    size_t n;
    while (bib_next(&list, &key, &n)) {
        if (same(name, key, n))
            return true;
    }
    return false;
}

int explain_name(table *t, const char *name, bool *any, err *e)
{
    int64_t before = t->n_row;
    int rc = 0;
    for (int i = 0; metrics[i] && !rc; i++)
        rc = is_named(name, metrics[i]->name) ? put_metric(t, metrics[i], e) : 0;
    for (int i = 0; edits[i] && !rc; i++)
        rc = is_named(name, edits[i]->name) ? put_edit(t, edits[i], e) : 0;
    for (int i = 0; figures[i] && !rc; i++)
        rc = is_named(name, figures[i]->name) ? put_figure(t, figures[i], e) : 0;
    for (const term *w = terms; w->name && !rc; w++)
        rc = is_named(name, w->name) || is_also(name, w->also) ? put_term(t, w, e) : 0;
    for (const bib_entry *x = bibliography; x->key && !rc; x++)
        rc = is_named(name, x->key) ? put_work(t, x, e) : 0;
    *any = t->n_row > before;
    return rc;
}

const char *explain_nearest(const char *name)
{
    enum { MOST = 512 };
    const char *words[MOST + 1];
    int n = 0;
    for (int i = 0; metrics[i] && n < MOST; i++)
        words[n++] = metrics[i]->name;
    for (int i = 0; edits[i] && n < MOST; i++)
        words[n++] = edits[i]->name;
    for (int i = 0; figures[i] && n < MOST; i++)
        words[n++] = figures[i]->name;
    for (const term *w = terms; w->name && n < MOST; w++)
        words[n++] = w->name;
    words[n] = NULL;
    return nearest_word(name, words);
}

static const char *text_at(const table *t, int64_t row, int col)
{
    return table_cell(t, row, col)->u.s;
}

static bool same_topic(const table *t, int64_t a, int64_t b)
{
    return !strcmp(text_at(t, a, TOPIC), text_at(t, b, TOPIC)) && !strcmp(text_at(t, a, KIND), text_at(t, b, KIND));
}

int explain_print(FILE *f, const table *t, err *e)
{
    int width = help_width();
    strbuf b = {0};
    for (int64_t i = 0; i < t->n_row; i++) {
        bool begins = !i || !same_topic(t, i - 1, i);
        const char *label = text_at(t, i, FIELD);
        if (begins) {
            strbuf_puts(&b, i ? "\n" : "");
            help_entry(&b, text_at(t, i, KIND), text_at(t, i, TOPIC), 0, 14, width);
        }
        help_entry(&b, begins || strcmp(label, text_at(t, i - 1, FIELD)) != 0 ? label : "", text_at(t, i, TEXT), 0, 14, width);
    }
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

int explain_overview(FILE *f, err *e)
{
    int width = help_width();
    strbuf b = {0};
    help_wrap(&b, "`explain NAME` tells of a metric (`list metrics`), an edit (`list edits`), a figure (`list figures`), or one "
                  "of these terms:\n", 0, width);
    strbuf_putc(&b, '\n');
    for (const term *w = terms; w->name; w++)
        help_entry(&b, w->name, w->summary, 2, 24, width);
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

/* Does a row cite the work? */
static bool cites(const table *t, const bib_entry *x)
{
    size_t n = strlen(x->key);
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *s = text_at(t, i, TEXT);
        if (!strcmp(text_at(t, i, FIELD), "citation") && !strncmp(s + 1, x->key, n) && s[n + 1] == ']')
            return true;
    }
    return false;
}

int explain_bibtex(FILE *f, const table *t, err *e)
{
    strbuf b = {0};
    for (const bib_entry *x = bibliography; x->key; x++) {
        if (t && !cites(t, x))
            continue;
        strbuf_puts(&b, b.len ? "\n" : "");
        bib_put_bibtex(&b, x);
    }
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
