#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "cli/help.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"

#define FLUSH_AT ((size_t)1 << 15)

int output_error(int why, err *e)
{
    err_errno(e, ERR_RESOURCE, why ? why : EIO, "cannot write output");
    if (why == ENOSPC || why == EDQUOT)
        return err_hint(e, "free some space or write elsewhere");
    return err_hint(e, "check where the output goes, or write to a file with --output");
}

int output_flush(FILE *f, strbuf *b, err *e)
{
    if (b->failed)
        return err_nomem(e, "output");
    errno = 0;
    size_t n = b->len, done = n ? fwrite(b->s, 1, n, f) : 0;
    strbuf_clear(b);
    if (done == n && !ferror(f))
        return 0;
    return output_error(errno, e);
}

int output_prose(const session *s, strbuf *b, err *e)
{
    if (b->failed || !terminal_output(s))
        return output_flush(s->out, b, e);
    strbuf rows = {0};
    help_fit(&rows, strbuf_str(b), STDOUT_FILENO);
    strbuf_clear(b);
    int rc = output_flush(s->out, &rows, e);
    strbuf_free(&rows);
    return rc;
}

static void put_number(strbuf *b, const cell *c)
{
    if (c->kind == CELL_INT)
        strbuf_printf(b, "%" PRId64, c->u.i);
    else
        strbuf_put_real(b, c->u.r);
}

static void put_csv(strbuf *b, const char *s, bool terminal)
{
    size_t n = strlen(s);
    strbuf visible = {0};
    if (terminal) {
        strbuf_put_visible(&visible, s, n);
        b->failed = b->failed || visible.failed;
        s = strbuf_str(&visible);
        n = visible.len;
    }
    if (n && !s[strcspn(s, ",\"\r\n")] && s[0] != ' ' && s[n - 1] != ' ') {
        strbuf_add(b, s, n);
    } else {
        strbuf_putc(b, '"');
        for (size_t i = 0; i < n; i++) {
            if (s[i] == '"')
                strbuf_putc(b, '"');
            strbuf_putc(b, s[i]);
        }
        strbuf_putc(b, '"');
    }
    strbuf_free(&visible);
}

static void put_tsv(strbuf *b, const char *s, bool terminal)
{
    while (*s) {
        size_t run = strcspn(s, "\t\n\r\\");
        if (terminal)
            strbuf_put_visible(b, s, run);
        else
            strbuf_add(b, s, run);
        s += run;
        if (*s) {
            const char escape[] = {'\\', *s == '\t' ? 't' : *s == '\n' ? 'n' : *s == '\r' ? 'r' : '\\'};
            strbuf_add(b, escape, sizeof escape);
            s++;
        }
    }
}

static void put_separated(strbuf *b, const char *s, output_format format, const output_style *style)
{
    if (format == FORMAT_CSV)
        put_csv(b, s, style->terminal);
    else
        put_tsv(b, s, style->terminal);
}

static int output_separated(FILE *f, const table *t, output_format format, const output_style *style, err *e)
{
    char separator = format == FORMAT_CSV ? ',' : '\t';
    strbuf b = {0};
    int rc = 0;
    for (int64_t row = -1; row < t->n_row && !rc; row++) {
        for (int col = 0; col < t->n_col; col++) {
            if (col)
                strbuf_putc(&b, separator);
            if (row < 0) {
                put_separated(&b, t->column[col], format, style);
                continue;
            }
            const cell *c = table_cell(t, row, col);
            if (c->kind == CELL_TEXT)
                put_separated(&b, c->u.s, format, style);
            else if (c->kind != CELL_NULL)
                put_number(&b, c);
        }
        strbuf_putc(&b, '\n');
        if (b.len >= FLUSH_AT)
            rc = output_flush(f, &b, e);
    }
    if (!rc)
        rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

static int output_json(FILE *f, const table *t, const char *schema, err *e)
{
    strbuf b = {0};
    int rc = 0;
    for (int64_t row = 0; row < t->n_row && !rc; row++) {
        strbuf_puts(&b, "{\"schema\":");
        strbuf_put_json(&b, schema, strlen(schema));
        for (int col = 0; col < t->n_col; col++) {
            const cell *c = table_cell(t, row, col);
            strbuf_putc(&b, ',');
            strbuf_put_json(&b, t->column[col], strlen(t->column[col]));
            strbuf_putc(&b, ':');
            if (c->kind == CELL_TEXT)
                strbuf_put_json(&b, c->u.s, strlen(c->u.s));
            else if (c->kind == CELL_NULL)
                strbuf_puts(&b, "null");
            else
                put_number(&b, c);
        }
        strbuf_puts(&b, "}\n");
        if (b.len >= FLUSH_AT)
            rc = output_flush(f, &b, e);
    }
    if (!rc)
        rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

int output_table(FILE *f, const table *t, output_format format, const char *schema, const output_style *style,
                 err *e)
{
    if (format == FORMAT_JSON)
        return output_json(f, t, schema, e);
    if (format == FORMAT_TABLE)
        return output_aligned(f, t, style, e);
    return output_separated(f, t, format, style, e);
}

int print_table(session *s, const command_args *a, const table *t, const char *schema, err *e)
{
    bool terminal = terminal_output(s);
    output_style style = {
        .width = terminal ? terminal_size(STDOUT_FILENO).columns : 0,
        .colour = terminal_colour(s) != TERM_ASCII,
        .terminal = terminal,
        .plain = params_bool(s->settings, "plain"),
        .utf8 = terminal_utf8(),
    };
    progress_bar_clear(s->bar);
    return output_table(s->out, t, command_format(s, a), schema, &style, e);
}
