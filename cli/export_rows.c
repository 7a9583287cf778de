#include "cli/export_rows.h"

#include <inttypes.h>
#include <string.h>
#include "base/cancel.h"
#include "cli/experiment.h"
#include "cli/output.h"
#include "cli/run_sink.h"

#define FLUSH_AT ((size_t)1 << 15)

static const char long_sql[] =
    "SELECT run, prompt, kind, metric, layer, head, position, value FROM value_list WHERE run = ?1 AND"
    " prompt = ?2%s ORDER BY metric, kind, layer, head, position";
static const char *const long_columns[] = {"run", "prompt", "kind", "metric", "layer", "head", "position",
                                           "value"};
static const char *const wide_columns[] = {"run", "prompt", "kind", "layer", "head", "position"};
enum { LONG = sizeof long_columns / sizeof *long_columns, WIDE = sizeof wide_columns / sizeof *wide_columns };

typedef struct writer {
    FILE *f;
    output_format format;
    bool array, terminal;   /* on a terminal control characters are made visible */
    const table *metrics;   /* of the wide form: rows of one name; NULL: long */
    strbuf line;
    int64_t n;
} writer;

/* RFC 4180; TSV escapes as output_table does. */
static void put_text(strbuf *b, output_format format, bool terminal, const char *s)
{
    strbuf visible = {0};
    if (terminal) {
        strbuf_put_visible(&visible, s, strlen(s));
        b->failed = b->failed || visible.failed;
        put_text(b, format, false, strbuf_str(&visible));
        strbuf_free(&visible);
        return;
    }
    if (format == FORMAT_CSV && (!*s || s[strcspn(s, ",\"\r\n")])) {
        strbuf_putc(b, '"');
        for (; *s; s++)
            strbuf_printf(b, *s == '"' ? "\"\"" : "%c", *s);
        strbuf_putc(b, '"');
        return;
    }
    for (; *s; s++) {
        const char *escape = format == FORMAT_TSV ? strchr("\tt\nn\rr\\\\", *s) : NULL;
        if (escape && (*s == '\t' || *s == '\n' || *s == '\r' || *s == '\\'))
            strbuf_printf(b, "\\%c", escape[1]);
        else
            strbuf_putc(b, *s);
    }
}

static void put_cell(strbuf *b, output_format format, bool terminal, const cell *c)
{
    if (c->kind == CELL_INT)
        strbuf_printf(b, "%" PRId64, c->u.i);
    else if (c->kind == CELL_REAL)
        strbuf_put_real(b, c->u.r);
    else if (c->kind == CELL_TEXT && format == FORMAT_JSON)
        strbuf_put_json(b, c->u.s, strlen(c->u.s));
    else if (c->kind == CELL_TEXT)
        put_text(b, format, terminal, c->u.s);
    else if (format == FORMAT_JSON)
        strbuf_puts(b, "null");
}

static const char *column_name(const writer *w, int i)
{
    if (!w->metrics)
        return long_columns[i];
    return i < WIDE ? wide_columns[i] : cell_string(table_cell(w->metrics, i - WIDE, 0));
}

static void put_header(writer *w, int n)
{
    for (int i = 0; i < n; i++) {
        if (i)
            strbuf_putc(&w->line, w->format == FORMAT_CSV ? ',' : '\t');
        put_text(&w->line, w->format, w->terminal, column_name(w, i));
    }
    strbuf_putc(&w->line, '\n');
}

static void put_wide_json(writer *w, const cell *c, int n)
{
    strbuf_puts(&w->line, "{\"schema\":\"attnscope.wide/1\"");
    for (int i = 0; i < n; i++) {
        const char *name = column_name(w, i);
        strbuf_putc(&w->line, ',');
        strbuf_put_json(&w->line, name, strlen(name));
        strbuf_putc(&w->line, ':');
        put_cell(&w->line, FORMAT_JSON, false, &c[i]);
    }
    strbuf_puts(&w->line, "}\n");
}

/* Objects of an array are parted by commas, so none ends its line itself. */
static void part_objects(writer *w)
{
    strbuf_puts(&w->line, w->n == 0 ? "[\n" : ",\n");
}

static int put_row(void *ud, const cell *c, int n, err *e)
{
    writer *w = ud;
    if (w->n == 0 && w->format != FORMAT_JSON)
        put_header(w, n);
    if (w->array)
        part_objects(w);
    w->n++;
    if (w->format == FORMAT_JSON && w->metrics) {
        put_wide_json(w, c, n);
    } else if (w->format == FORMAT_JSON) {
        const result_value v = {
            .kind = kind_of_cell(&c[2]), .metric = cell_string(&c[3]), .layer = (int)index_of_cell(&c[4]),
            .head = (int)index_of_cell(&c[5]), .position = index_of_cell(&c[6]), .value = cell_number(&c[7]),
        };
        run_value_json(&w->line, c[0].u.i, c[1].u.i, &v);
    } else {
        for (int i = 0; i < n; i++) {
            if (i)
                strbuf_putc(&w->line, w->format == FORMAT_CSV ? ',' : '\t');
            put_cell(&w->line, w->format, w->terminal, &c[i]);
        }
        strbuf_putc(&w->line, '\n');
    }
    if (w->array && w->line.len)
        w->line.s[--w->line.len] = '\0';
    return w->line.len < FLUSH_AT && !w->line.failed ? 0 : output_flush(w->f, &w->line, e);
}

/* A column for each metric, in the order of their names. */
static void put_wide_sql(strbuf *b, const table *metrics, const char *heads)
{
    strbuf_puts(b, "SELECT run, prompt, kind, layer, head, position");
    for (int64_t i = 0; i < metrics->n_row; i++) {
        strbuf_puts(b, ", max(value) FILTER (WHERE metric = '");
        for (const char *s = cell_string(table_cell(metrics, i, 0)); *s; s++)
            strbuf_printf(b, *s == '\'' ? "''" : "%c", *s);
        strbuf_puts(b, "')");
    }
    strbuf_printf(b, " FROM value_list WHERE run = ?1 AND prompt = ?2%s GROUP BY kind, layer, head, position"
                     " ORDER BY kind, layer, head, position", heads);
}

int export_rows(FILE *f, store *st, int64_t run, export_form form, int64_t *n, const progress *p, err *e)
{
    const bool objects = form.format == FORMAT_JSON;
    writer w = {.f = f, .terminal = form.terminal, .format = form.format, .array = objects && form.array};
    table *prompts = NULL, *metrics = NULL;
    strbuf sql = {0};
    const char *heads = form.heads ? form.heads : "";
    const cell own[] = {cell_int(run)};
    int rc = store_query(st, &prompts, "SELECT prompt FROM prompt_list WHERE run = ?1 ORDER BY prompt", own,
                         1, e);
    if (!rc)
        rc = store_query(st, &metrics, "SELECT metric FROM metric_list WHERE run = ?1 ORDER BY metric", own,
                         1, e);
    if (!rc && form.wide)
        put_wide_sql(&sql, metrics, heads);
    else if (!rc)
        strbuf_printf(&sql, long_sql, heads);
    w.metrics = form.wide ? metrics : NULL;
    if (!rc && sql.failed)
        rc = err_nomem(e, "an export");
    for (int64_t i = 0; !rc && i < prompts->n_row; i++) {
        const cell bind[] = {own[0], *table_cell(prompts, i, 0)};
        progress_step(p, "prompt", (double)i, (double)prompts->n_row);
        rc = store_each(st, strbuf_str(&sql), bind, 2, put_row, &w, e);
        if (!rc)
            rc = cancel_check(e);
    }
    if (!rc && w.n == 0 && form.header && !objects)
        put_header(&w, form.wide ? WIDE + (int)metrics->n_row : LONG);
    if (!rc && w.array && (w.n || form.header))
        strbuf_puts(&w.line, w.n ? "\n]\n" : "[]\n");
    if (!rc)
        rc = output_flush(f, &w.line, e);
    strbuf_free(&w.line);
    strbuf_free(&sql);
    table_free(prompts);
    table_free(metrics);
    *n = w.n;
    return rc;
}
