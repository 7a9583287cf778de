#include "cli/run_summary.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/counted_heads.h"
#include "cli/experiment.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "base/text_width.h"

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

/* What a line is about: one kind of attention, and a position (NO_INDEX: the value over all queries). */
typedef struct line_key {
    const char *kind;
    int64_t position;
    bool places;   /* values of layers, or of pairs of heads: all positions in one line */
} line_key;

/* Name and value of heads, "L1H3 0.932  L2H5 0.931": up to n of the strongest (or weakest) heads of one
 * metric, the mean over the prompts of each. */
static int strongest_heads(strbuf *out, store *st, int64_t run, const char *name, const line_key *key, int n,
                           bool lowest, const space *sp, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), cell_index(key->position), cell_int(n), cell_text(key->kind)};
    table *t = NULL;
    int rc = store_query(st, &t, lowest
        ? "SELECT head_name, avg(value) AS v FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3 "
          "AND kind = ?5 GROUP BY layer, head ORDER BY v, layer, head LIMIT ?4"
        : "SELECT head_name, avg(value) AS v FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3 "
          "AND kind = ?5 GROUP BY layer, head ORDER BY v DESC, layer, head LIMIT ?4", bind, 5, e);
    if (rc)
        return rc;
    strbuf entry = {0};
    bool room = true;
    for (int64_t i = 0; i < t->n_row && room; i++) {
        strbuf_printf(&entry, "%s ", cell_string(table_cell(t, i, 0)));
        put_value(&entry, cell_number(table_cell(t, i, 1)));
        room = put_entry(out, &entry, sp);
    }
    strbuf_free(&entry);
    table_free(t);
    return out->failed ? err_nomem(e, "summary") : 0;
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

/* The last column: the prompt, where there are several. */
#define STRONGEST_TOKENS \
    "SELECT v.position, k.text, v.value, CASE WHEN (SELECT count(*) FROM unit WHERE run_id = ?1) > 1 THEN v.prompt END" \
    " FROM value_list v LEFT JOIN prompt_token k ON k.run = v.run AND k.prompt = v.prompt AND k.sequence = v.kind" \
    " AND k.position = v.position WHERE v.run = ?1 AND v.metric = ?2"

/* The tokens with the highest (or lowest) values that belong to positions alone: `8:"an" 11.520`, of the third of
 * several prompts `2/8:"an" 11.520`. */
static int strongest_tokens(strbuf *out, store *st, int64_t run, const char *name, int n, bool lowest,
                            const space *sp, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), cell_int(n)};
    table *t = NULL;
    int rc = store_query(st, &t, lowest
        ? STRONGEST_TOKENS " ORDER BY v.value, v.prompt, v.position LIMIT ?3"
        : STRONGEST_TOKENS " ORDER BY v.value DESC, v.prompt, v.position LIMIT ?3", bind, 3, e);
    if (rc)
        return rc;
    strbuf entry = {0};
    bool room = true;
    int columns = lowest ? sp->low_text : sp->text;
    for (int64_t i = 0; i < t->n_row && room; i++) {
        const char *text = cell_string(table_cell(t, i, 1));
        if (table_cell(t, i, 3)->kind == CELL_INT)
            strbuf_printf(&entry, "%" PRId64 "/", table_cell(t, i, 3)->u.i);
        strbuf_printf(&entry, "%.0f", cell_number(table_cell(t, i, 0)));
        if (*text && columns > 0)
            put_token(&entry, text, columns);
        strbuf_putc(&entry, ' ');
        put_value(&entry, cell_number(table_cell(t, i, 2)));
        room = put_entry(out, &entry, sp);
    }
    strbuf_free(&entry);
    table_free(t);
    return out->failed ? err_nomem(e, "summary") : 0;
}

/* The head that a position of AXIS_HEAD counts, "L1H3". */
static int put_counted_head(strbuf *b, store *st, int64_t run, const char *kind, int64_t index, err *e)
{
    counted_heads all;
    head_text name;
    int rc = counted_heads_load(&all, st, run, kind, e);
    if (rc)
        return rc;
    if (index < all.n) {
        head_format(name, all.head[index]);
        strbuf_puts(b, name);
    } else {
        strbuf_printf(b, "%" PRId64, index);
    }
    free(all.head);
    return 0;
}

/* What a position says beside a layer or a head. */
static int put_position(strbuf *b, store *st, int64_t run, const metric *m, const char *kind, const cell *position,
                        const char *text, int columns, err *e)
{
    if (position->kind != CELL_INT)
        return 0;
    switch (m->axis) {
    case AXIS_HEAD:
        strbuf_putc(b, '-');
        return put_counted_head(b, st, run, kind, position->u.i, e);
    case AXIS_LAYER:
        strbuf_printf(b, "-L%" PRId64, position->u.i);
        return 0;
    case AXIS_NONE:
        break;
    case AXIS_QUERY:
    case AXIS_KEY:
        strbuf_printf(b, " %" PRId64, position->u.i);
        if (*text && columns > 0)
            put_token(b, text, columns);
        return 0;
    case AXIS_RANK:
    case AXIS_CHANNEL:
    case AXIS_DISTANCE:
        strbuf_printf(b, "#%" PRId64, position->u.i);
        return 0;
    }
    return 0;
}

/* "L3"; a value that belongs to no layer is the model's. */
static void put_layer(strbuf *b, const cell *layer)
{
    if (layer->kind == CELL_INT)
        strbuf_printf(b, "L%" PRId64, layer->u.i);
    else
        strbuf_puts(b, "model");
}

/* Values of layers, or of pairs of heads, with their places: "L3 12.31", "L0H1-L0H4 0.63", "L2 0:\"<s>\" 14.9", "L2#0 9.1". */
static int strongest_places(strbuf *out, store *st, int64_t run, const metric *m, const char *kind, int n, bool lowest,
                            const space *sp, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(m->name), cell_text(kind), cell_int(n)};
    table *t = NULL;
    strbuf sql = {0}, entry = {0};
    /* the token there, of the first prompt */
    strbuf_printf(&sql, "SELECT g.layer, g.head_name, g.position, g.x, (SELECT k.text FROM prompt_token k WHERE k.run = ?1"
                  " AND k.prompt = g.first AND k.sequence = ?3 AND k.position = g.position) FROM (SELECT layer, head,"
                  " head_name, position, avg(value) AS x, min(prompt) AS first FROM value_list WHERE run = ?1 AND metric = ?2"
                  " AND kind = ?3 GROUP BY layer, head, position ORDER BY x %s, layer, head, position LIMIT ?4) g",
                  lowest ? "ASC" : "DESC");
    int rc = sql.failed ? err_nomem(e, "summary") : store_query(st, &t, strbuf_str(&sql), bind, 4, e);
    bool room = true;
    for (int64_t i = 0; !rc && i < t->n_row && room; i++) {
        const char *head = cell_string(table_cell(t, i, 1));
        if (*head)
            strbuf_puts(&entry, head);
        else
            put_layer(&entry, table_cell(t, i, 0));
        rc = put_position(&entry, st, run, m, kind, table_cell(t, i, 2), cell_string(table_cell(t, i, 4)),
                          lowest ? sp->low_text : sp->text, e);
        strbuf_putc(&entry, ' ');
        put_value(&entry, cell_number(table_cell(t, i, 3)));
        room = put_entry(out, &entry, sp);
    }
    strbuf_free(&sql);
    strbuf_free(&entry);
    table_free(t);
    return rc ? rc : out->failed ? err_nomem(e, "summary") : 0;
}

static int put_text(table *t, cell *c, const char *s, err *e)
{
    return table_text(t, c, s, strlen(s), e);
}

/* The mean over heads (or tokens), prompt by prompt, as statistics over the prompts. */
static int prompt_stats(stats *out, store *st, int64_t run, const char *name, const line_key *key, bool one_position,
                        err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), cell_text(key->kind), cell_index(key->position)};
    uint64_t seed;
    int rc = run_seed(&seed, st, run, e);
    return rc ? rc : stats_of_query(out, st, one_position
        ? "SELECT avg(value) FROM head_value WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND position IS ?4 GROUP BY prompt"
          " ORDER BY prompt"
        : "SELECT avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND ?4 IS NULL GROUP BY prompt"
          " ORDER BY prompt", bind, 4, seed, e);
}

/* The heads, places or tokens that stand out. */
static int strongest(strbuf *out, store *st, int64_t run, const metric *m, const line_key *key, bool heads, bool lowest,
                     const space *sp, err *e)
{
    if (key->places)
        return strongest_places(out, st, run, m, key->kind, lowest ? 1 : 3, lowest, sp, e);
    return heads ? strongest_heads(out, st, run, m->name, key, lowest ? 1 : 3, lowest, sp, e)
                 : strongest_tokens(out, st, run, m->name, lowest ? 1 : 2, lowest, sp, e);
}

/* One line for a metric of one kind of attention at one position; named: the kind is in its label, unless it is
 * the decoder's own. */
static int add_line(table *t, store *st, int64_t run, const metric *m, const line_key *key, bool named, double mean,
                    int64_t n_head, const space *sp, err *e)
{
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    strbuf label = {0}, high = {0}, low = {0};
    strbuf_puts(&label, m->name);
    if (named && n_head > 0 && strcmp(key->kind, "self") != 0)
        strbuf_printf(&label, " %s", key->kind);
    if (key->position != NO_INDEX)
        strbuf_printf(&label, " at %" PRId64, key->position);
    int last = t->n_col - 2, rc = 0; /* of several prompts: mean, n, sd, low, high */
    row[2] = cell_real(mean);
    if (last > 3) {
        stats s = {0};
        rc = prompt_stats(&s, st, run, m->name, key, n_head > 0 && !key->places, e);
        row[2] = cell_real(s.mean); /* of the same n as the interval: prompts of more tokens do not weigh more */
        row[3] = cell_int(s.n);
        row[4] = cell_real(s.sd);
        row[5] = cell_real(s.low);
        row[6] = cell_real(s.high);
    }
    if (!rc)
        rc = put_text(t, &row[0], strbuf_str(&label), e);
    if (!rc)
        rc = put_text(t, &row[1], m->unit, e);
    if (!rc)
        rc = strongest(&high, st, run, m, key, n_head > 0, false, sp, e);
    if (!rc)
        rc = strongest(&low, st, run, m, key, n_head > 0, true, sp, e);
    if (!rc)
        rc = put_text(t, &row[last], strbuf_str(&high), e);
    if (!rc)
        rc = put_text(t, &row[last + 1], strbuf_str(&low), e);
    strbuf_free(&label);
    strbuf_free(&high);
    strbuf_free(&low);
    return rc;
}

/* What is said beside the table, collected so that the table can be made more than once. */
typedef struct remarks {
    strbuf more;   /* lines: metrics with more positions than are shown */
    strbuf none;   /* names of metrics without values */
} remarks;

/* The lines of one metric: a line for each position of head values (the first few), one for the mean of
 * values that belong to positions alone. */
static int add_metric(table *t, store *st, int64_t run, const metric *m, const space *sp, remarks *r, err *e)
{
    enum { MAX_LINES = 4 };
    const cell bind[] = {cell_int(run), cell_text(m->name), cell_int(m->axis == AXIS_HEAD)};
    table *q = NULL;
    int rc = store_query(st, &q,
        "SELECT CASE WHEN head IS NULL OR ?3 THEN NULL ELSE position END AS p, avg(value), count(head), kind,"
        " (SELECT count(DISTINCT kind) FROM head_summary WHERE run = ?1) > 1, count(layer) > count(head) "
        "FROM value_list WHERE run = ?1 AND metric = ?2 GROUP BY kind, p ORDER BY kind = 'self' DESC, kind, p", bind, 3, e);
    if (rc)
        return rc;
    int64_t shown = 0, left = 0;
    const char *kind = "";
    for (int64_t i = 0; i < q->n_row && !rc; i++) {
        const cell *p = table_cell(q, i, 0);
        const line_key key = {cell_string(table_cell(q, i, 3)), p->kind == CELL_INT ? p->u.i : NO_INDEX,
                              m->axis == AXIS_HEAD || table_cell(q, i, 5)->u.i != 0};
        if (strcmp(kind, key.kind) != 0)
            shown = 0;
        kind = key.kind;
        if (shown++ < MAX_LINES)
            rc = add_line(t, st, run, m, &key, table_cell(q, i, 4)->u.i != 0, cell_number(table_cell(q, i, 1)),
                          table_cell(q, i, 2)->u.i, sp, e);
        else
            left++;
    }
    if (!rc && left > 0)
        strbuf_printf(&r->more, "%s%s: %" PRId64 " more position%s; `top %s --position P` shows %s",
                      r->more.len ? "\n" : "", m->name, left, left == 1 ? "" : "s", m->name, left == 1 ? "it" : "them");
    if (!rc && q->n_row == 0)
        strbuf_printf(&r->none, "%s%s", r->none.len ? ", " : "", m->name);
    table_free(q);
    return rc;
}

static int make_table(table **out, store *st, int64_t run, const metric *const *list, int n, const space *sp,
                      remarks *r, err *e)
{
    static const char *const columns[] = {"metric", "unit", "mean", "highest", "lowest"};
    static const char *const more[] = {"metric", "unit", "mean", "n", "sd", "low", "high", "highest", "lowest"};
    const cell bind[] = {cell_int(run)};
    table_free(*out);
    *out = NULL;
    strbuf_clear(&r->more);
    strbuf_clear(&r->none);
    int64_t several;
    int rc = query_count(&several, st, "SELECT count(*) > 1 FROM unit WHERE run_id = ?1", bind, 1, e);
    if (!rc)
        rc = several ? table_new(out, 9, more, e) : table_new(out, 5, columns, e);
    for (int i = 0; i < n && !rc; i++)
        rc = add_metric(*out, st, run, list[i], sp, r, e);
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
static int fit_table(table **out, int width, store *st, int64_t run, const metric *const *list, int n,
                     remarks *r, err *e)
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
        rc = make_table(out, st, run, list, n, &sp, r, e);
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
    remarks r = {{0}, {0}};
    int width = terminal_output(s) ? terminal_size(STDOUT_FILENO).columns : 0;
    int rc = fit_table(&t, width, st, run, list, n, &r, e);
    if (!rc && (r.more.failed || r.none.failed))
        rc = err_nomem(e, "summary");
    if (!rc && r.more.len)
        say(s, "%s", strbuf_str(&r.more));
    if (!rc && t->n_row)
        rc = print_table(s, a, t, "attnscope.run_summary/1", e);
    if (!rc && r.none.len)
        say(s, "this prompt gives no value of %s; `help METRIC` says what each needs", strbuf_str(&r.none));
    strbuf_free(&r.more);
    strbuf_free(&r.none);
    table_free(t);
    return rc;
}
