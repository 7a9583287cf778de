#include "cli/run_summary.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "cli/output.h"

/* Three digits that line up from row to row. */
static void put_value(strbuf *b, double v)
{
    double size = fabs(v);
    strbuf_printf(b, size < 9.9995 ? "%.3f" : size < 99.995 ? "%.2f" : size < 1e6 ? "%.1f" : "%.3g", v);
}

int strongest_heads(strbuf *out, store *st, int64_t run, const char *name, int64_t position, int n,
                    bool lowest, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), cell_index(position), cell_int(n)};
    table *t = NULL;
    int rc = store_query(st, &t, lowest
        ? "SELECT head_name, value FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3 "
          "ORDER BY value, kind, layer, head LIMIT ?4"
        : "SELECT head_name, value FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3 "
          "ORDER BY value DESC, kind, layer, head LIMIT ?4", bind, 4, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        strbuf_printf(out, "%s%s ", i ? "  " : "", cell_string(table_cell(t, i, 0)));
        put_value(out, cell_number(table_cell(t, i, 1)));
    }
    table_free(t);
    return out->failed ? err_nomem(e, "summary") : 0;
}

/* The tokens with the highest (or lowest) values that belong to positions alone: `8:"an" 11.520`. */
static int strongest_tokens(strbuf *out, store *st, int64_t run, const char *name, int n, bool lowest, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), cell_int(n)};
    table *t = NULL;
    int rc = store_query(st, &t, lowest
        ? "SELECT v.position, k.text, v.value FROM value_list v LEFT JOIN prompt_token k ON k.run = v.run"
          " AND k.prompt = v.prompt AND k.position = v.position WHERE v.run = ?1 AND v.metric = ?2"
          " ORDER BY v.value, v.position LIMIT ?3"
        : "SELECT v.position, k.text, v.value FROM value_list v LEFT JOIN prompt_token k ON k.run = v.run"
          " AND k.prompt = v.prompt AND k.position = v.position WHERE v.run = ?1 AND v.metric = ?2"
          " ORDER BY v.value DESC, v.position LIMIT ?3", bind, 3, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *text = cell_string(table_cell(t, i, 1));
        strbuf_printf(out, "%s%.0f", i ? "  " : "", cell_number(table_cell(t, i, 0)));
        if (*text) {
            strbuf_puts(out, ":\"");
            strbuf_put_visible(out, text, strlen(text));
            strbuf_putc(out, '"');
        }
        strbuf_putc(out, ' ');
        put_value(out, cell_number(table_cell(t, i, 2)));
    }
    table_free(t);
    return out->failed ? err_nomem(e, "summary") : 0;
}

static int put_text(table *t, cell *c, const char *s, err *e)
{
    return table_text(t, c, s, strlen(s), e);
}

/* One line for a metric at one position. */
static int add_line(table *t, store *st, int64_t run, const metric *m, int64_t position, double mean,
                    int64_t n_head, err *e)
{
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    strbuf label = {0}, high = {0}, low = {0};
    strbuf_puts(&label, m->name);
    if (position != NO_INDEX)
        strbuf_printf(&label, " at %" PRId64, position);
    row[2] = cell_real(mean);
    int rc = put_text(t, &row[0], strbuf_str(&label), e);
    if (!rc)
        rc = put_text(t, &row[1], m->unit, e);
    if (!rc)
        rc = n_head > 0 ? strongest_heads(&high, st, run, m->name, position, 3, false, e)
                        : strongest_tokens(&high, st, run, m->name, 2, false, e);
    if (!rc)
        rc = n_head > 0 ? strongest_heads(&low, st, run, m->name, position, 1, true, e)
                        : strongest_tokens(&low, st, run, m->name, 1, true, e);
    if (!rc)
        rc = put_text(t, &row[3], strbuf_str(&high), e);
    if (!rc)
        rc = put_text(t, &row[4], strbuf_str(&low), e);
    strbuf_free(&label);
    strbuf_free(&high);
    strbuf_free(&low);
    return rc;
}

/* The lines of one metric: a line for each position of head values (the first few), one for the mean of
 * values that belong to positions alone.  none: collects the names of metrics without values. */
static int add_metric(session *s, table *t, store *st, int64_t run, const metric *m, strbuf *none,
                      err *e)
{
    enum { MAX_LINES = 4 };
    const cell bind[] = {cell_int(run), cell_text(m->name)};
    table *q = NULL;
    int rc = store_query(st, &q,
        "SELECT CASE WHEN head IS NULL THEN NULL ELSE position END AS p, avg(value), count(head) "
        "FROM value_list WHERE run = ?1 AND metric = ?2 GROUP BY p ORDER BY p", bind, 2, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < q->n_row && i < MAX_LINES && !rc; i++) {
        const cell *p = table_cell(q, i, 0);
        rc = add_line(t, st, run, m, p->kind == CELL_INT ? p->u.i : NO_INDEX,
                      cell_number(table_cell(q, i, 1)), table_cell(q, i, 2)->u.i, e);
    }
    if (!rc && q->n_row > MAX_LINES)
        say(s, "%s: %" PRId64 " more positions; `top %s --position P` shows them", m->name,
            q->n_row - MAX_LINES, m->name);
    if (!rc && q->n_row == 0)
        strbuf_printf(none, "%s%s", none->len ? ", " : "", m->name);
    table_free(q);
    return rc;
}

int sink_rate(session *s, store *st, int64_t run, double threshold, err *e)
{
    const cell bind[] = {cell_int(run), cell_real(threshold)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT v.position, sum(v.value > ?2), count(*),"
        " (SELECT count(*) FROM prompt_token k WHERE k.run = ?1 AND k.prompt = v.prompt),"
        " (SELECT k.text FROM prompt_token k WHERE k.run = ?1 AND k.prompt = v.prompt"
        "  AND k.position = v.position) FROM head_value v WHERE v.run = ?1 AND v.metric = 'sink'"
        " GROUP BY v.prompt, v.position ORDER BY v.prompt, v.position LIMIT 4", bind, 2, e);
    strbuf b = {0};
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        double sinks = cell_number(table_cell(t, i, 1)), heads = cell_number(table_cell(t, i, 2));
        const char *text = cell_string(table_cell(t, i, 4));
        strbuf_printf(&b, "sink rate: %.0f of %.0f heads above %g at key %.0f", sinks, heads, threshold,
                      cell_number(table_cell(t, i, 0)));
        if (*text) {
            strbuf_puts(&b, " (");
            strbuf_put_visible(&b, text, strlen(text));
            strbuf_puts(&b, ")");
        }
        strbuf_printf(&b, ", %.1f %%, T = %.0f\n", 100 * sinks / heads, cell_number(table_cell(t, i, 3)));
    }
    table_free(t);
    if (!rc)
        rc = output_flush(s->out, &b, e);
    strbuf_free(&b);
    return rc;
}

int run_summary(session *s, const command_args *a, store *st, int64_t run, const metric *const *list, int n,
                err *e)
{
    static const char *const columns[] = {"metric", "unit", "mean", "highest", "lowest"};
    table *t = NULL;
    strbuf none = {0};
    int rc = table_new(&t, 5, columns, e);
    for (int i = 0; i < n && !rc; i++)
        rc = add_metric(s, t, st, run, list[i], &none, e);
    if (!rc && t->n_row)
        rc = print_table(s, a, t, "attnscope.run_summary/1", e);
    if (!rc && none.len)
        say(s, "this prompt gives no value of %s", strbuf_str(&none));
    strbuf_free(&none);
    table_free(t);
    return rc;
}
