#include "cli/run_summary.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/text_width.h"
#include "cli/output.h"
#include "cli/run_summary_find.h"
#include "cli/terminal.h"

/* How much a line may take, so that a narrow terminal never cuts a number. */
typedef struct space {
    int list;      /* columns for a list of heads or tokens; its first entry stands in any case */
    int text;      /* columns for the text of a token, 0: its position alone */
    int low_text;  /* the same in the column of the lowest */
} space;

/* Three digits that line up from row to row. */
static void put_value(strbuf *b, double v)
{
    double size = fabs(v);
    strbuf_printf(b, size < 9.9995 ? "%.3f" : size < 99.995 ? "%.2f" : size < 1e6 ? "%.1f" : "%.3g", v);
}

/* Add an entry to a list and empty it, when there is room.  False: there is not. */
static bool put_entry(strbuf *list, strbuf *entry, const space *sp)
{
    bool first = list->len == 0;
    int columns = text_columns(strbuf_str(entry), entry->len);
    bool fits = first || text_columns(list->s, list->len) + 2 + columns <= sp->list;
    if (fits) {
        strbuf_puts(list, first ? "" : "  ");
        strbuf_add(list, strbuf_str(entry), entry->len);
    }
    list->failed = list->failed || entry->failed;
    strbuf_clear(entry);
    return fits;
}

/* :"text", cut to so many columns. */
static void put_token(strbuf *b, const char *text, int columns)
{
    strbuf visible = {0};
    strbuf_put_visible(&visible, text, strlen(text));
    const char *dots = terminal_utf8() ? "\xe2\x80\xa6" : "..";
    int dots_width = terminal_utf8() ? 1 : 2;
    bool cut = text_columns(strbuf_str(&visible), visible.len) > columns;
    size_t n = cut ? text_fit(strbuf_str(&visible), visible.len, columns - dots_width) : visible.len;
    strbuf_puts(b, ":\"");
    strbuf_add(b, strbuf_str(&visible), n);
    strbuf_printf(b, "%s\"", cut ? dots : "");
    b->failed = b->failed || visible.failed;
    strbuf_free(&visible);
}

/* "L1H3 0.932  L2H5 0.931": as many as there is room for. */
static int put_list(strbuf *out, const found_list *list, int token_columns, const space *sp, err *e)
{
    strbuf entry = {0};
    bool room = true;
    for (int i = 0; i < list->n && room; i++) {
        const found_entry *x = &list->entry[i];
        strbuf_puts(&entry, x->name);
        if (x->token && token_columns > 0)
            put_token(&entry, x->token, token_columns);
        strbuf_putc(&entry, ' ');
        put_value(&entry, x->value);
        room = put_entry(out, &entry, sp);
    }
    strbuf_free(&entry);
    return out->failed ? err_nomem(e, "summary") : 0;
}

static int put_text(table *t, cell *c, const char *s, err *e)
{
    return table_text(t, c, s, strlen(s), e);
}

/* The kind is in the label where there are several, unless it is the decoder's own. */
static int add_line(table *t, const found_line *f, bool kinds, const space *sp, err *e)
{
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    strbuf label = {0}, high = {0}, low = {0};
    strbuf_puts(&label, f->m->name);
    if (kinds && f->heads && strcmp(f->kind, "self") != 0)
        strbuf_printf(&label, " %s", f->kind);
    if (f->position != NO_INDEX)
        strbuf_printf(&label, " at %" PRId64, f->position);
    const int last = t->n_col - 2; /* of several prompts: mean, n, sd, low, high */
    row[2] = cell_real(f->mean);
    if (last > 3) {
        row[2] = cell_real(f->over.mean); /* of the same n as the interval: prompts of more tokens do not weigh more */
        row[3] = cell_int(f->over.n);
        row[4] = cell_real(f->over.sd);
        row[5] = cell_real(f->over.low);
        row[6] = cell_real(f->over.high);
    }
    int rc = label.failed ? err_nomem(e, "summary") : put_text(t, &row[0], strbuf_str(&label), e);
    if (!rc)
        rc = put_text(t, &row[1], f->m->unit, e);
    if (!rc)
        rc = put_list(&high, &f->high, sp->text, sp, e);
    if (!rc)
        rc = put_list(&low, &f->low, sp->low_text, sp, e);
    if (!rc)
        rc = put_text(t, &row[last], strbuf_str(&high), e);
    if (!rc)
        rc = put_text(t, &row[last + 1], strbuf_str(&low), e);
    strbuf_free(&label);
    strbuf_free(&high);
    strbuf_free(&low);
    return rc;
}

static int make_table(table **out, const found_lines *f, const space *sp, err *e)
{
    static const char *const columns[] = {"metric", "unit", "mean", "highest", "lowest"};
    static const char *const more[] = {"metric", "unit", "mean", "n", "sd", "low", "high", "highest", "lowest"};
    table_free(*out);
    *out = NULL;
    int rc = f->several ? table_new(out, 9, more, e) : table_new(out, 5, columns, e);
    for (size_t i = 0; i < f->n && !rc; i++)
        rc = add_line(*out, &f->line[i], f->kinds, sp, e);
    return rc;
}

/* Columns that the table takes where nothing limits it. */
static int table_columns(int *out, const table *t, err *e)
{
    const output_style plain = {.utf8 = true};
    char *text = NULL;
    size_t size = 0;
    *out = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return err_nomem(e, "summary");
    int rc = output_aligned(f, t, &plain, e);
    if (fclose(f) != 0 && !rc)
        rc = err_nomem(e, "summary");
    for (const char *line = text; !rc && *line;) {
        size_t n = strcspn(line, "\n");
        int columns = text_columns(line, n);
        *out = columns > *out ? columns : *out;
        line += n + (line[n] == '\n');
    }
    free(text);
    return rc;
}

static int widest_list(const table *t)
{
    int widest = 0;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *s = cell_string(table_cell(t, i, t->n_col - 2));
        int columns = text_columns(s, strlen(s));
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

/* Make the table so that it fits: the texts of tokens are cut first, then lists lose whole entries, and at
 * last tokens are positions alone. */
static int fit_table(table **out, int width, const found_lines *f, err *e)
{
    static const int texts[][2] = {{INT_MAX, INT_MAX}, {16, 16}, {8, 8}, {8, 4}, {8, 0}, {4, 0}};
    enum { N_TEXT = sizeof texts / sizeof *texts };
    space sp = {INT_MAX, 0, 0};
    int columns = INT_MAX, rc = 0;
    for (int i = 0; i < N_TEXT + 2 && columns > width && !rc; i++) {
        if (i < N_TEXT) {
            sp.text = texts[i][0];
            sp.low_text = texts[i][1];
        } else if (i == N_TEXT) {
            sp.list = widest_list(*out) - (columns - width);
        } else {
            sp.text = 0;
        }
        rc = make_table(out, f, &sp, e);
        if (!rc && width > 0)
            rc = table_columns(&columns, *out, e);
        else
            break;
    }
    return rc;
}

int run_summary(session *s, const command_args *a, store *st, int64_t run, const metric *const *list, int n,
                err *e)
{
    table *t = NULL;
    found_lines f;
    const int width = terminal_output(s) ? terminal_size(STDOUT_FILENO).columns : 0;
    int rc = found_read(&f, st, run, list, n, e);
    if (rc)
        return rc;
    rc = fit_table(&t, width, &f, e);
    if (!rc && f.more.len)
        say(s, "%s", strbuf_str(&f.more));
    if (!rc && t->n_row)
        rc = print_table(s, a, t, "attnscope.run_summary/1", e);
    if (!rc && f.none.len)
        say(s, "this prompt gives no value of %s; `help METRIC` says what each needs", strbuf_str(&f.none));
    found_free(&f);
    table_free(t);
    return rc;
}
