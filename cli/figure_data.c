#include "cli/figure_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "cli/command_util.h"
#include "cli/head_select.h"

const param figure_source_params[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "metric", .kind = PARAM_STR, .value = "METRIC", .complete = "metrics",
     .help = "whose values (recipes that need values)"},
    {.name = "head", .kind = PARAM_STR, .value = "HEAD", .complete = "heads",
     .help = "whose map, as L1H3 (recipes that need a map)"},
    {.name = "position", .kind = PARAM_INT, .value = "P", .max = 1e15,
     .help = "values at this token position (a key for sink)"},
    {.name = "prompt", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e15,
     .help = "which prompt of a run with several, from 0"},
    {.name = NULL},
};

const param *figure_all_params(void)
{
    enum { MAX = 128 };
    static param rows[MAX + 1];
    static bool made;
    int n = made ? 0 : append_params(rows, 0, MAX, figure_params);
    for (int i = 0; !made && figures[i]; i++)
        n = append_params(rows, n, MAX, figures[i]->params);
    made = true;
    return rows;
}

int figure_require(const figure **out, const char *name, err *e)
{
    enum { MAX = 64 };
    const char *names[MAX + 1];
    int n = 0;
    *out = figure_find(name);
    if (*out)
        return 0;
    for (; figures[n] && n < MAX; n++)
        names[n] = figures[n]->name;
    names[n] = NULL;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "no figure is called '%s'", name);
    return near ? err_hint(e, "did you mean %s? `list figures` shows all", near)
                : err_hint(e, "`list figures` shows all");
}

/* What is known of the run, for title and provenance. */
typedef struct facts {
    const char *model, *sha256, *path, *command, *version, *operator_name, *precision, *label, *prompt_sha256;
    int64_t n_token, n_layer, n_head;
} facts;

static const char *keep(figure_source *src, const cell *c, bool visible, err *e)
{
    const char *s = cell_string(c);
    if (!visible)
        return arena_strdup(&src->mem, s, e);
    strbuf b = {0};
    strbuf_put_visible(&b, s, strlen(s));
    const char *copy = arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return copy;
}

static const char *format(figure_source *src, err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static const char *format(figure_source *src, err *e, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return arena_strdup(&src->mem, text, e);
}

static int read_facts(facts *f, figure_source *src, store *st, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT m.name, m.sha256, m.path, r.command, r.version, r.operator, r.precision, u.label, p.sha256,"
        " p.n_token, m.n_layer, m.n_head FROM run r JOIN model m ON m.id = r.model_id"
        " JOIN unit u ON u.run_id = r.id JOIN prompt p ON p.id = u.prompt_id WHERE r.id = ?1"
        " AND u.prompt_index = ?2", bind, 2, e);
    if (rc)
        return rc;
    if (t->n_row == 0) {
        table_free(t);
        err_set(e, ERR_FAILED, "run %" PRId64 " holds no results of prompt %" PRId64, src->run, prompt);
        return err_hint(e, "`show %" PRId64 "` says how it ended", src->run);
    }
    *f = (facts){
        .model = keep(src, table_cell(t, 0, 0), true, e),
        .sha256 = keep(src, table_cell(t, 0, 1), false, e),
        .path = keep(src, table_cell(t, 0, 2), false, e),
        .command = keep(src, table_cell(t, 0, 3), false, e),
        .version = keep(src, table_cell(t, 0, 4), false, e),
        .operator_name = keep(src, table_cell(t, 0, 5), true, e),
        .precision = keep(src, table_cell(t, 0, 6), true, e),
        .label = keep(src, table_cell(t, 0, 7), true, e),
        .prompt_sha256 = keep(src, table_cell(t, 0, 8), false, e),
        .n_token = table_cell(t, 0, 9)->u.i,
        .n_layer = table_cell(t, 0, 10)->u.i,
        .n_head = table_cell(t, 0, 11)->u.i,
    };
    table_free(t);
    bool ok = f->model && f->sha256 && f->path && f->command && f->version && f->operator_name &&
              f->precision && f->label && f->prompt_sha256;
    return ok ? 0 : ERR_RESOURCE;
}

static int put_provenance(figure_source *src, const facts *f, const char *figure_command, err *e)
{
    const char **p = arena_alloc(&src->mem, 20, sizeof *p, e);
    if (!p)
        return ERR_RESOURCE;
    int n = 0;
    const char *const rows[][2] = {
        {"Software", format(src, e, "attnscope %s", program_version)},
        {"Figure-Command", arena_strdup(&src->mem, figure_command, e)},
        {"Command", f->command},
        {"Run", format(src, e, "%" PRId64, src->run)},
        {"Model", f->model},
        {"Model-SHA256", f->sha256},
        {"Prompt-SHA256", f->prompt_sha256},
        {"Version", f->version},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i][1])
            return ERR_RESOURCE;
        p[n++] = rows[i][0];
        p[n++] = rows[i][1];
    }
    p[n] = NULL;
    src->d.provenance = p;
    return 0;
}

/* ---- maps ---- */

/* A token as a label: visible, a leading blank as a middle dot; ids where there is no text. */
static const char *token_label(figure_source *src, const char *text, int64_t id, err *e)
{
    strbuf b = {0};
    if (*text == ' ' && text[1]) {
        strbuf_puts(&b, "\xc2\xb7");
        text++;
    } else if (*text == ' ') {
        strbuf_puts(&b, "\xe2\x90\xa3"); /* a blank alone: open box */
        text++;
    }
    strbuf_put_visible(&b, text, strlen(text));
    if (b.len == 0)
        strbuf_printf(&b, "%" PRId64, id);
    const char *label = b.failed ? NULL : arena_strndup(&src->mem, strbuf_str(&b), b.len, e);
    strbuf_free(&b);
    return label;
}

/* Labels of the tokens, or, pooled, the first position of each block. */
static int token_labels(const char ***out, figure_source *src, store *st, int64_t prompt, int64_t block,
                        int64_t n, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_int(prompt)};
    table *t = NULL;
    const char **labels = arena_alloc(&src->mem, (size_t)n, sizeof *labels, e);
    int rc = labels ? 0 : ERR_RESOURCE;
    if (!rc && block <= 1)
        rc = store_query(st, &t,
                         "SELECT id, text FROM prompt_token WHERE run = ?1 AND prompt = ?2 ORDER BY position",
                         bind, 2, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        if (t && i < t->n_row)
            labels[i] = token_label(src, cell_string(table_cell(t, i, 1)), table_cell(t, i, 0)->u.i, e);
        else
            labels[i] = format(src, e, "%" PRId64, i * (block > 1 ? block : 1));
        rc = labels[i] ? 0 : ERR_RESOURCE;
    }
    table_free(t);
    *out = labels;
    return rc;
}

/* The maps of the run as words, for messages; *only: the head when there is exactly one. */
static int list_maps(strbuf *out, char only[64], int64_t *n, store *st, int64_t run, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(
        st, &t, "SELECT head_name FROM map_list WHERE run = ?1 AND prompt = ?2 ORDER BY kind, layer, head",
        bind, 2, e);
    if (rc)
        return rc;
    *n = t->n_row;
    for (int64_t i = 0; i < t->n_row && i < 8; i++)
        strbuf_printf(out, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    if (t->n_row > 8)
        strbuf_puts(out, ", ...");
    only[0] = '\0';
    if (t->n_row == 1)
        snprintf(only, 64, "%s", cell_string(table_cell(t, 0, 0)));
    table_free(t);
    return 0;
}

static int choose_head(head_id *h, figure_source *src, const command_args *a, store *st, const facts *f,
                       err *e)
{
    const char *text = params_str(a->p, "head");
    strbuf have = {0};
    char only[64];
    int64_t n = 0, prompt = params_int(a->p, "prompt");
    head_text name;
    int rc = 0;
    if (text)
        rc = head_read(h, text, f->n_layer, f->n_head, e);
    if (!rc)
        rc = list_maps(&have, only, &n, st, src->run, prompt, e);
    if (rc)
        goto out;
    if (!text && n == 1) {
        rc = head_parse(h, only) ? 0 : err_set(e, ERR_FAILED, "the store names a head '%s'", only);
        goto out;
    }
    if (!text && n > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several maps: which head?", src->run);
        err_hint(e, "add --head, one of %s", strbuf_str(&have));
        goto out;
    }
    if (text)
        head_format(name, *h);
    const cell bind[] = {cell_int(src->run), cell_int(prompt), cell_text(text ? name : "")};
    table *t = NULL;
    rc = store_query(st, &t, "SELECT 1 FROM map_list WHERE run = ?1 AND prompt = ?2 AND head_name = ?3", bind,
                     3, e);
    if (!rc && t->n_row == 0) {
        if (n)
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no map of %s (it holds %s)", src->run, name,
                         strbuf_str(&have));
        else
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no attention map", src->run);
        strbuf path = {0};
        put_shell_word(&path, f->path);
        err_hint(e, "make one with `run %s --prompt TEXT --maps %s`", strbuf_str(&path),
                 text ? name : "L0H0");
        strbuf_free(&path);
    }
    table_free(t);
out:
    strbuf_free(&have);
    return rc;
}

static int load_map(figure_source *src, const command_args *a, store *st, const facts *f, err *e)
{
    int64_t prompt = params_int(a->p, "prompt");
    stored_map m = {0};
    head_id h;
    head_text name;
    const char **rows = NULL, **cols = NULL;
    int rc = choose_head(&h, src, a, st, f, e);
    if (!rc)
        rc = store_get_map(st, src->run, prompt, h, &m, e);
    if (rc)
        return rc;
    src->cells = m.cells;
    head_format(name, h);
    rc = token_labels(&rows, src, st, prompt, m.pool, m.rows, e);
    if (!rc)
        rc = token_labels(&cols, src, st, prompt, m.pool, m.cols, e);
    if (rc)
        return rc;
    figure_data *d = &src->d;
    d->m = (figure_matrix){m.rows, m.cols, src->cells, rows, cols};
    d->title = format(src, e, "%s \xc2\xb7 %s", name, f->model);
    d->subtitle = format(src, e, "%s%s%" PRId64 " tokens, %s, run %" PRId64, f->label, *f->label ? ", " : "",
                         f->n_token, f->operator_name, src->run);
    d->row_axis = "query token";
    d->col_axis = "key token";
    d->quantity = "attention weight";
    d->unit = "";
    d->lo = 0;
    d->hi = 1;
    d->pool = m.pool;
    d->pooling = m.pool > 1 ? arena_strdup(&src->mem, m.pooling, e) : NULL;
    src->label = mem_strdup(name, e);
    return d->title && d->subtitle && src->label && (d->pooling || m.pool <= 1) ? 0 : ERR_RESOURCE;
}

/* ---- values ---- */

static int choose_metric(const metric **m, figure_source *src, const command_args *a, store *st,
                         const facts *f, err *e)
{
    const cell bind[] = {cell_int(src->run)};
    const char *name = params_str(a->p, "metric");
    table *t = NULL;
    int rc = name ? require_metric(m, name, e) : 0;
    if (!rc && name && (*m)->scope != METRIC_HEAD) {
        rc = err_set(e, ERR_USAGE, "%s has no values per head", name);
        err_hint(e, "`top %s` ranks its values", name);
    }
    if (rc)
        return rc;
    rc = store_query(st, &t, "SELECT metric FROM head_value WHERE run = ?1 GROUP BY metric ORDER BY metric",
                     bind, 1, e);
    if (rc)
        return rc;
    strbuf have = {0};
    bool there = false;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *stored = cell_string(table_cell(t, i, 0));
        strbuf_printf(&have, "%s%s", i ? ", " : "", stored);
        there |= name && strcmp(stored, name) == 0;
    }
    if (!name && t->n_row == 1) {
        rc = require_metric(m, cell_string(table_cell(t, 0, 0)), e);
    } else if (!name && t->n_row > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several metrics: which?", src->run);
        err_hint(e, "add --metric, one of %s", strbuf_str(&have));
    } else if (!there) {
        rc = t->n_row ? err_set(e, ERR_FAILED, "run %" PRId64 " has no values of %s (it has %s)", src->run,
                                name, strbuf_str(&have))
                      : err_set(e, ERR_FAILED, "run %" PRId64 " holds no values of heads", src->run);
        err_hint(e, "make them with `run %s --prompt TEXT --metrics %s`", f->path,
                 name ? name : metric_defaults);
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

/* The position that is drawn: the one asked for, else "over all queries", else the first there is. */
static int choose_position(int64_t *position, figure_source *src, const command_args *a, store *st,
                           const metric *m, err *e)
{
    bool given = params_given(a->p, "position");
    const cell bind[] = {cell_int(src->run), cell_text(m->name), cell_int(params_int(a->p, "prompt"))};
    table *t = NULL;
    int rc = store_query(
        st, &t,
        "SELECT DISTINCT position FROM head_value WHERE run = ?1 AND metric = ?2 AND prompt = ?3"
        " ORDER BY position LIMIT 1000",
        bind, 3, e);
    if (rc)
        return rc;
    bool found = false;
    strbuf have = {0};
    for (int64_t i = 0; i < t->n_row && !found; i++) {
        const cell *c = table_cell(t, i, 0);
        *position = c->kind == CELL_INT ? c->u.i : NO_INDEX;
        found = !given || *position == params_int(a->p, "position");
        if (i < 8 && c->kind == CELL_INT)
            strbuf_printf(&have, "%s%" PRId64, have.len ? ", " : "", c->u.i);
    }
    if (!found) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " has no %s at position %" PRId64, src->run, m->name,
                     params_int(a->p, "position"));
        err_hint(e,
                 have.len ? "it has positions %s" : "leave --position out: its values are over all queries",
                 strbuf_str(&have));
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

/* Numbers of "0 .. 1" or "0 .."; NaN where there is none. */
static void read_range(double *lo, double *hi, const char *range)
{
    *lo = *hi = (double)NAN;
    char text[64];
    snprintf(text, sizeof text, "%s", range);
    char *dots = strstr(text, "..");
    if (!dots)
        return;
    char *end = dots, *right = dots + 2 + strspn(dots + 2, " ");
    while (end > text && end[-1] == ' ')
        end--;
    *end = '\0';
    double v;
    if (parse_real(&v, text))
        *lo = v;
    if (parse_real(&v, right))
        *hi = v;
}

/* Bytes of a metric's summary without ", ... by default": here the parameters are known. */
static int what_is_drawn(const metric *m)
{
    static const char tail[] = " by default";
    size_t n = strlen(m->summary), k = sizeof tail - 1;
    if (n > k && strcmp(m->summary + n - k, tail) == 0)
        for (size_t i = n; i > 0; i--)
            if (m->summary[i] == ',')
                return (int)i;
    return (int)n;
}

static int load_values(figure_source *src, const command_args *a, store *st, const facts *f, err *e)
{
    const metric *m;
    int64_t position = NO_INDEX;
    table *t = NULL;
    figure_data *d = &src->d;
    int rc = choose_metric(&m, src, a, st, f, e);
    if (!rc)
        rc = choose_position(&position, src, a, st, m, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(src->run), cell_text(m->name), cell_int(params_int(a->p, "prompt")),
                         cell_index(position)};
    rc = store_query(
        st, &t,
        "SELECT layer, head, value FROM head_value WHERE run = ?1 AND metric = ?2 AND prompt = ?3"
        " AND position IS ?4 AND kind = 'self'",
        bind, 4, e);
    size_t count = 0;
    if (!rc && !size_mul(&count, (size_t)f->n_layer, (size_t)f->n_head))
        rc = err_nomem(e, "figure");
    if (!rc && !(src->cells = mem_array(count, sizeof *src->cells, e)))
        rc = ERR_RESOURCE;
    for (size_t i = 0; !rc && i < count; i++)
        src->cells[i] = NAN;
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        int64_t layer = table_cell(t, i, 0)->u.i, head = table_cell(t, i, 1)->u.i;
        if (layer < f->n_layer && head < f->n_head)
            src->cells[layer * f->n_head + head] = (float)cell_number(table_cell(t, i, 2));
    }
    table_free(t);
    if (rc)
        return rc;
    d->m = (figure_matrix){f->n_layer, f->n_head, src->cells, NULL, NULL};
    d->title = position == NO_INDEX
                   ? format(src, e, "%s \xc2\xb7 %s", m->name, f->model)
                   : format(src, e, "%s of key %" PRId64 " \xc2\xb7 %s", m->name, position, f->model);
    d->subtitle = format(src, e, "%.*s; %s%s%" PRId64 " tokens, %s, run %" PRId64,
                         what_is_drawn(m), m->summary, f->label, *f->label ? ", " : "", f->n_token,
                         f->operator_name, src->run);
    d->row_axis = "layer";
    d->col_axis = "head";
    d->quantity = m->name;
    d->unit = m->unit;
    read_range(&d->lo, &d->hi, m->range);
    d->pool = 1;
    src->label = mem_strdup(m->name, e);
    return d->title && d->subtitle && src->label ? 0 : ERR_RESOURCE;
}

int figure_source_load(figure_source *out, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e)
{
    facts fa = {0};
    *out = (figure_source){0};
    int rc = choose_run(s, a, st, NULL, &out->run, e);
    if (!rc)
        rc = read_facts(&fa, out, st, params_int(a->p, "prompt"), e);
    if (!rc)
        rc = strcmp(f->needs, "map") == 0 ? load_map(out, a, st, &fa, e) : load_values(out, a, st, &fa, e);
    if (!rc)
        rc = put_provenance(out, &fa, figure_command, e);
    if (rc)
        figure_source_free(out);
    return rc;
}

void figure_source_free(figure_source *src)
{
    free(src->cells);
    free(src->label);
    arena_free(&src->mem);
    *src = (figure_source){0};
}
