/* The document of a report: blocks and their texts. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/report.h"
#include "plots/label.h"

void report_figure_free(report_figure *f)
{
    if (f)
        params_free(f->p);
}

void report_doc_free(report_doc *d)
{
    for (int i = 0; i < d->n; i++) {
        table_free(d->block[i].t);
        report_figure_free(d->block[i].figure);
    }
    free(d->block);
    arena_free(&d->mem);
    *d = (report_doc){.title = NULL};
}

/* ---- texts ---- */

const char *report_visible(report_doc *d, const char *s, bool lines)
{
    strbuf b = {0};
    for (const char *from = s;; from++) {
        size_t n = lines ? strcspn(from, "\n") : strlen(from);
        char *line = mem_strndup(from, n, NULL);
        if (line && *line)
            label_put_visible(&b, line);
        d->failed |= !line;
        free(line);
        from += n;
        if (!*from)
            break;
        strbuf_putc(&b, '\n');
    }
    const char *copy = b.failed ? NULL : arena_strdup(&d->mem, strbuf_str(&b), NULL);
    d->failed |= !copy;
    strbuf_free(&b);
    return copy;
}

static const char *vprint(report_doc *d, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static const char *vprint(report_doc *d, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *text = mem_array((size_t)(n > 0 ? n : 0) + 1, 1, NULL);
    if (text)
        vsnprintf(text, (size_t)(n > 0 ? n : 0) + 1, fmt, again);
    va_end(again);
    const char *copy = text ? report_visible(d, text, false) : NULL;
    d->failed |= !copy;
    free(text);
    return copy;
}

const char *report_print(report_doc *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = vprint(d, fmt, ap);
    va_end(ap);
    return text ? text : "";
}

/* ---- blocks ---- */

static report_block *add(report_doc *d, report_kind kind)
{
    static report_block spare;
    if (d->n == d->room) {
        int room = d->room ? 2 * d->room : 64;
        report_block *more = mem_grow(d->block, (size_t)room, sizeof *more, NULL);
        if (!more) {
            d->failed = true;
            spare = (report_block){.kind = kind};
            return &spare;
        }
        d->block = more;
        d->room = room;
    }
    d->block[d->n] = (report_block){.kind = kind};
    return &d->block[d->n++];
}

/* "Run 3: census of lantern-3m" -> "run-3-census-of-lantern-3m", with a number where that is taken. */
static const char *make_id(report_doc *d, const char *text)
{
    char id[64];
    size_t n = 0;
    for (const char *s = text; *s && n < sizeof id - 1; s++) {
        bool low = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9'), up = *s >= 'A' && *s <= 'Z';
        if (low || up)
            id[n++] = (char)(up ? *s - 'A' + 'a' : *s);
        else if (n && id[n - 1] != '-')
            id[n++] = '-';
    }
    while (n && id[n - 1] == '-')
        n--;
    id[n] = '\0';
    int same = 0;
    for (int i = 0; i < d->n; i++) {
        const report_block *b = &d->block[i];
        same += b->kind == REPORT_HEADING && b->id && strncmp(b->id, id, n) == 0 &&
                (!b->id[n] || (b->id[n] == '-' && b->id[n + 1] == '-'));
    }
    return same ? report_print(d, "%s--%d", n ? id : "part", same + 1) : report_print(d, "%s", n ? id : "part");
}

void report_heading(report_doc *d, int level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = vprint(d, fmt, ap);
    va_end(ap);
    const char *id = make_id(d, text ? text : "");
    report_block *b = add(d, REPORT_HEADING);
    b->level = level;
    b->text = text ? text : "";
    b->id = id;
}

void report_text(report_doc *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = vprint(d, fmt, ap);
    va_end(ap);
    if (text && *text)
        add(d, REPORT_TEXT)->text = text;
}

void report_prose(report_doc *d, const char *lead, const char *text)
{
    for (const char *s = text; *s; s += *s == '\n') {
        size_t n = strcspn(s, "\n");
        int before = d->n;
        if (n)
            report_text(d, "%s%s%.*s", lead && s == text ? lead : "", lead && s == text ? ": " : "", (int)n, s);
        if (d->n > before)
            d->block[d->n - 1].prose = true;
        s += n;
    }
}

/* Bytes of an option "--top-k" at s, where a word begins; else 0. */
static size_t option_at(const char *s, const char *begin)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (strncmp(s, "--", 2) != 0 || s[2] < 'a' || s[2] > 'z' || (s > begin && !strchr(" ([\"", s[-1])))
        return 0;
    size_t n = strspn(s, letters);
    while (s[n - 1] == '-')
        n--;
    return n;
}

bool report_piece(const char **at, const char **piece, size_t *n, bool *code)
{
    const char *s = *at, *close = *s == '`' ? strchr(s + 1, '`') : NULL;
    size_t option = option_at(s, s);
    if (!*s)
        return false;
    *code = (close && close > s + 1) || option;
    *piece = close && close > s + 1 ? s + 1 : s;
    if (close && close > s + 1) {
        *n = (size_t)(close - s) - 1;
        *at = close + 1;
        return true;
    }
    const char *end = s + (option ? option : 1);
    while (!option && *end && *end != '`' && !option_at(end, s))
        end++;
    *n = (size_t)(end - s);
    *at = end;
    return true;
}

void report_code(report_doc *d, const char *text)
{
    const char *copy = report_visible(d, text, true);
    if (copy)
        add(d, REPORT_CODE)->text = copy;
}

void report_folded(report_doc *d, const char *fold, const char *text)
{
    const char *copy = report_visible(d, text, true), *name = report_visible(d, fold, false);
    if (!copy || !name)
        return;
    report_block *b = add(d, REPORT_CODE);
    b->text = copy;
    b->folded = true;
    b->fold = name;
}

enum { SCIENTIFIC = -1, MOST_DIGITS = 6 };

/* Digits behind the point for all values of a column or row: three of the largest, and as many as show one of the smallest that
 * is not next to nothing beside it. */
static int digits_of(const table *t, int64_t row, int col, bool by_row)
{
    int64_t n = by_row ? t->n_col : t->n_row;
    double most = 0, least = INFINITY;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            const cell *c = by_row ? table_cell(t, row, (int)i) : table_cell(t, i, col);
            double v = c->kind == CELL_REAL ? fabs(c->u.r) : 0;
            most = v > most ? v : most;
            least = pass == 1 && v > 0 && v >= 1e-3 * most && v < least ? v : least;
        }
    if (most == 0)
        return 3;
    if (most < 1e-4 || most >= 1e9)
        return SCIENTIFIC;
    int digits = 2 - (int)floor(log10(most * (1 - 1e-9))), more = -(int)floor(log10(least));
    digits = digits > more ? digits : more;
    return digits < 0 ? 0 : digits > MOST_DIGITS ? MOST_DIGITS : digits;
}

void report_table(report_doc *d, table *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = vprint(d, fmt, ap);
    va_end(ap);
    if (!t || t->n_row == 0) {
        table_free(t);
        return;
    }
    for (int64_t i = 0; i < t->n_row * t->n_col; i++)
        if (t->cells[i].kind == CELL_TEXT) {
            const char *copy = report_visible(d, t->cells[i].u.s, false);
            t->cells[i] = copy ? (cell){CELL_TEXT, {.s = copy}} : (cell){CELL_NULL, {0}};
        }
    int *digits = arena_alloc(&d->mem, (size_t)t->n_col, sizeof *digits, NULL);
    for (int c = 0; digits && c < t->n_col; c++)
        digits[c] = digits_of(t, 0, c, false);
    report_block *b = add(d, REPORT_TABLE);
    b->t = t;
    b->text = text ? text : "";
    b->digits = digits;
    d->failed |= !digits;
}

void report_fold(report_doc *d)
{
    report_block *b = d->n ? &d->block[d->n - 1] : NULL;
    if (b && b->kind == REPORT_TABLE && b->t->n_row > REPORT_FOLD_ROWS)
        b->folded = true;
}

void report_by_row(report_doc *d)
{
    if (d->n && d->block[d->n - 1].kind == REPORT_TABLE)
        d->block[d->n - 1].by_row = true;
}

bool report_add_figure(report_doc *d, report_figure *f)
{
    if (d->failed)
        return false;
    add(d, REPORT_FIGURE)->figure = f;
    return !d->failed;
}

report_block *report_facts(report_doc *d, const char *title)
{
    const char *copy = title ? report_visible(d, title, false) : NULL;
    report_block *b = add(d, REPORT_FACTS);
    b->text = copy;
    return b;
}

void report_fact_add(report_doc *d, report_block *facts, const char *name, const char *value, bool code)
{
    enum { STEP = 16 };
    if (!value || !*value)
        return;
    if (facts->n % STEP == 0) {
        report_fact *more = arena_alloc(&d->mem, (size_t)facts->n + STEP, sizeof *more, NULL);
        d->failed |= !more;
        if (!more)
            return;
        if (facts->n)
            memcpy(more, facts->fact, (size_t)facts->n * sizeof *more);
        facts->fact = more;
    }
    const char *n = report_visible(d, name, false), *v = report_visible(d, value, false);
    if (n && v)
        facts->fact[facts->n++] = (report_fact){n, v, code};
}

void report_fact_int(report_doc *d, report_block *facts, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    report_fact_add(d, facts, name, text, false);
}

/* ---- cells ---- */

bool report_numeric(const table *t, int col)
{
    bool any = false;
    for (int64_t i = 0; i < t->n_row; i++) {
        const cell *c = table_cell(t, i, col);
        if (c->kind == CELL_TEXT)
            return false;
        any |= c->kind != CELL_NULL;
    }
    return any;
}

void report_cell(strbuf *b, const report_block *k, int64_t row, int col)
{
    const cell *c = table_cell(k->t, row, col);
    if (c->kind == CELL_TEXT)
        strbuf_puts(b, c->u.s);
    if (c->kind == CELL_INT)
        strbuf_printf(b, "%" PRId64, c->u.i);
    if (c->kind != CELL_REAL)
        return;
    int digits = k->by_row ? digits_of(k->t, row, 0, true) : k->digits[col];
    bool none = digits != SCIENTIFIC && fabs(c->u.r) < .5 * pow(10, -digits);
    double v = none || c->u.r == 0 ? 0 : c->u.r; /* no -0.000 */
    if (digits == SCIENTIFIC)
        strbuf_printf(b, "%.2e", v);
    else
        strbuf_printf(b, "%.*f", digits, v);
}
