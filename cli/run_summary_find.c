#include "cli/run_summary_find.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/counted_heads.h"

enum { MAX_LINES = 4 }; /* a kind of attention */

/* What is being read. */
typedef struct reading {
    found_lines *out;
    store *st;
    int64_t run;
    const metric *m;
    int64_t last;    /* the highest position that has a line; -1: none has */
    table *heads;    /* of strongest_heads; NULL: not asked for yet */
} reading;

static int keep_text(found_lines *f, const char **out, const strbuf *text, err *e)
{
    *out = text->failed ? NULL : arena_strndup(&f->mem, strbuf_str(text), text->len, e);
    return *out ? 0 : text->failed ? err_nomem(e, "summary") : ERR_RESOURCE;
}

/* Append; name is emptied. */
static int add_entry(found_lines *f, found_list *list, strbuf *name, const char *text, double value, err *e)
{
    found_entry *x = &list->entry[list->n++];
    *x = (found_entry){.value = value};
    int rc = keep_text(f, &x->name, name, e);
    if (!rc && *text && !(x->token = arena_strndup(&f->mem, text, strlen(text), e)))
        rc = ERR_RESOURCE;
    strbuf_clear(name);
    return rc;
}

/* ---- heads ---- */

/* The strongest and weakest heads at every position that has a line, the mean over the prompts of each: kind, position,
 * name, mean, place from above, place from below. */
static int strongest_heads(reading *r, err *e)
{
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_int(r->last), cell_int(FOUND_HIGH), cell_int(FOUND_LOW)};
    return store_query(r->st, &r->heads,
        "SELECT kind, position, head_name, x, up, down FROM (SELECT kind, position, head_name, x,"
        " row_number() OVER (PARTITION BY kind, position ORDER BY x DESC, layer, head) AS up,"
        " row_number() OVER (PARTITION BY kind, position ORDER BY x, layer, head) AS down"
        " FROM (SELECT kind, layer, head, head_name, position, avg(value) AS x FROM head_value WHERE run = ?1 AND metric = ?2"
        " AND (position IS NULL OR position <= ?3) GROUP BY kind, position, layer, head))"
        " WHERE up <= ?4 OR down <= ?5 ORDER BY kind, position, up", bind, 5, e);
}

static int find_heads(reading *r, found_line *line, err *e)
{
    strbuf name = {0};
    int rc = r->heads ? 0 : strongest_heads(r, e);
    for (int64_t i = 0; !rc && i < r->heads->n_row; i++) {
        const cell *row = table_cell(r->heads, i, 0);
        if (strcmp(cell_string(&row[0]), line->kind) != 0 || (row[1].kind == CELL_INT ? row[1].u.i : NO_INDEX) != line->position)
            continue;
        const double x = cell_number(&row[3]);
        strbuf_puts(&name, cell_string(&row[2]));
        if (row[4].u.i <= FOUND_HIGH)
            rc = add_entry(r->out, &line->high, &name, "", x, e);
        strbuf_clear(&name);
        strbuf_puts(&name, cell_string(&row[2]));
        if (!rc && row[5].u.i <= FOUND_LOW)
            rc = add_entry(r->out, &line->low, &name, "", x, e);
        strbuf_clear(&name);
    }
    strbuf_free(&name);
    return rc;
}

/* ---- tokens ---- */

/* The last column: the prompt, where there are several. */
#define STRONGEST_TOKENS \
    "SELECT v.position, k.text, v.value, CASE WHEN (SELECT count(*) FROM unit WHERE run_id = ?1) > 1 THEN v.prompt END" \
    " FROM value_list v LEFT JOIN prompt_token k ON k.run = v.run AND k.prompt = v.prompt AND k.sequence = v.kind" \
    " AND k.position = v.position WHERE v.run = ?1 AND v.metric = ?2"

/* The tokens with the highest (or lowest) values that belong to positions alone: `8:"an" 11.520`, of the third of
 * several prompts `2/8:"an" 11.520`. */
static int find_tokens(reading *r, found_list *list, int n, bool lowest, err *e)
{
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_int(n)};
    table *t = NULL;
    strbuf name = {0};
    int rc = store_query(r->st, &t, lowest
        ? STRONGEST_TOKENS " ORDER BY v.value, v.prompt, v.position LIMIT ?3"
        : STRONGEST_TOKENS " ORDER BY v.value DESC, v.prompt, v.position LIMIT ?3", bind, 3, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const cell *row = table_cell(t, i, 0);
        if (row[3].kind == CELL_INT)
            strbuf_printf(&name, "%" PRId64 "/", row[3].u.i);
        strbuf_printf(&name, "%.0f", cell_number(&row[0]));
        rc = add_entry(r->out, list, &name, cell_string(&row[1]), cell_number(&row[2]), e);
    }
    strbuf_free(&name);
    table_free(t);
    return rc;
}

/* ---- layers and pairs of heads ---- */

/* The head that a position of AXIS_HEAD counts, "L1H3". */
static int put_counted_head(strbuf *b, const reading *r, const char *kind, int64_t index, err *e)
{
    counted_heads all;
    head_text name;
    int rc = counted_heads_load(&all, r->st, r->run, kind, e);
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
static int put_position(strbuf *b, const reading *r, const char *kind, const cell *position, err *e)
{
    if (position->kind != CELL_INT)
        return 0;
    switch (r->m->axis) {
    case AXIS_HEAD:
        strbuf_putc(b, '-');
        return put_counted_head(b, r, kind, position->u.i, e);
    case AXIS_LAYER:
        strbuf_printf(b, "-L%" PRId64, position->u.i);
        return 0;
    case AXIS_NONE:
        break;
    case AXIS_QUERY:
    case AXIS_KEY:
        strbuf_printf(b, " %" PRId64, position->u.i);
        return 0;
    case AXIS_RANK:
    case AXIS_CHANNEL:
    case AXIS_DISTANCE:
        strbuf_printf(b, "#%" PRId64, position->u.i);
        return 0;
    }
    return 0;
}

/* Values of layers, or of pairs of heads, with their places: "L3 12.31", "L0H1-L0H4 0.63", "L2 0:\"<s>\" 14.9", "L2#0 9.1". */
static int find_places(reading *r, const char *kind, found_list *list, int n, bool lowest, err *e)
{
    const bool of_tokens = r->m->axis == AXIS_QUERY || r->m->axis == AXIS_KEY;
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_text(kind), cell_int(n)};
    table *t = NULL;
    strbuf sql = {0}, name = {0};
    /* the token there, of the first prompt */
    strbuf_printf(&sql, "SELECT g.layer, g.head_name, g.position, g.x, (SELECT k.text FROM prompt_token k WHERE k.run = ?1"
                  " AND k.prompt = g.first AND k.sequence = ?3 AND k.position = g.position) FROM (SELECT layer, head,"
                  " head_name, position, avg(value) AS x, min(prompt) AS first FROM value_list WHERE run = ?1 AND metric = ?2"
                  " AND kind = ?3 GROUP BY layer, head, position ORDER BY x %s, layer, head, position LIMIT ?4) g",
                  lowest ? "ASC" : "DESC");
    int rc = sql.failed ? err_nomem(e, "summary") : store_query(r->st, &t, strbuf_str(&sql), bind, 4, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const cell *row = table_cell(t, i, 0);
        if (*cell_string(&row[1]))
            strbuf_puts(&name, cell_string(&row[1]));
        else if (row[0].kind == CELL_INT)
            strbuf_printf(&name, "L%" PRId64, row[0].u.i);
        else
            strbuf_puts(&name, "model"); /* the value belongs to no layer */
        rc = put_position(&name, r, kind, &row[2], e);
        if (!rc)
            rc = add_entry(r->out, list, &name, of_tokens ? cell_string(&row[4]) : "", cell_number(&row[3]), e);
    }
    strbuf_free(&sql);
    strbuf_free(&name);
    table_free(t);
    return rc;
}

/* ---- lines ---- */

/* The mean over heads (or tokens), prompt by prompt, as statistics over the prompts. */
static int prompt_stats(const reading *r, found_line *line, err *e)
{
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_text(line->kind), cell_index(line->position)};
    uint64_t seed;
    int rc = run_seed(&seed, r->st, r->run, e);
    return rc ? rc : stats_of_query(&line->over, r->st, line->heads && !line->places
        ? "SELECT avg(value) FROM head_value WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND position IS ?4 GROUP BY prompt"
          " ORDER BY prompt"
        : "SELECT avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND ?4 IS NULL GROUP BY prompt"
          " ORDER BY prompt", bind, 4, seed, e);
}

/* The heads, places or tokens that stand out. */
static int find_strongest(reading *r, found_line *line, err *e)
{
    if (line->heads && !line->places)
        return find_heads(r, line, e);
    int rc = line->places ? find_places(r, line->kind, &line->high, FOUND_HIGH, false, e)
                          : find_tokens(r, &line->high, 2, false, e);
    if (rc)
        return rc;
    return line->places ? find_places(r, line->kind, &line->low, FOUND_LOW, true, e)
                        : find_tokens(r, &line->low, FOUND_LOW, true, e);
}

static int add_line(reading *r, const found_line *like, err *e)
{
    found_lines *f = r->out;
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 16;
        found_line *more = mem_grow(f->line, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        f->line = more;
        f->cap = cap;
    }
    found_line *line = &f->line[f->n++];
    *line = *like;
    line->kind = arena_strndup(&f->mem, like->kind, strlen(like->kind), e);
    int rc = line->kind ? 0 : ERR_RESOURCE;
    if (!rc && f->several)
        rc = prompt_stats(r, line, e);
    return rc ? rc : find_strongest(r, line, e);
}

/* How many positions of kinds of attention have no line, and r->last.  All positions are only told apart; what costs more
 * is asked for those that have a line. */
static int count_positions(reading *r, int64_t *left, err *e)
{
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_int(r->m->axis == AXIS_HEAD)};
    table *t = NULL;
    int rc = store_query(r->st, &t,
        "SELECT DISTINCT kind, CASE WHEN head IS NULL OR ?3 THEN NULL ELSE position END AS p FROM value_list"
        " WHERE run = ?1 AND metric = ?2 ORDER BY kind, p", bind, 3, e);
    if (rc)
        return rc;
    int64_t shown = 0;
    r->last = -1;
    *left = 0;
    for (int64_t i = 0; i < t->n_row; i++) {
        const cell *row = table_cell(t, i, 0);
        if (i > 0 && strcmp(cell_string(row), cell_string(row - t->n_col)) != 0)
            shown = 0;
        if (shown++ >= MAX_LINES)
            ++*left;
        else if (row[1].kind == CELL_INT && row[1].u.i > r->last)
            r->last = row[1].u.i;
    }
    table_free(t);
    return 0;
}

static int find_lines(reading *r, err *e)
{
    found_lines *f = r->out;
    int64_t left, shown = 0;
    int rc = count_positions(r, &left, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(r->run), cell_text(r->m->name), cell_int(r->m->axis == AXIS_HEAD), cell_int(r->last)};
    table *t = NULL;
    rc = store_query(r->st, &t,
        "SELECT CASE WHEN head IS NULL OR ?3 THEN NULL ELSE position END AS p, avg(value), count(head), kind,"
        " count(layer) > count(head) FROM value_list WHERE run = ?1 AND metric = ?2"
        " AND (head IS NULL OR ?3 OR position IS NULL OR position <= ?4)"
        " GROUP BY kind, p ORDER BY kind = 'self' DESC, kind, p", bind, 4, e);
    const char *kind = "";
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const cell *row = table_cell(t, i, 0);
        const found_line line = {
            .m = r->m, .kind = cell_string(&row[3]), .position = row[0].kind == CELL_INT ? row[0].u.i : NO_INDEX,
            .heads = row[2].u.i > 0, .places = r->m->axis == AXIS_HEAD || row[4].u.i != 0, .mean = cell_number(&row[1]),
        };
        if (strcmp(kind, line.kind) != 0)
            shown = 0;
        kind = line.kind;
        if (shown++ < MAX_LINES)
            rc = add_line(r, &line, e);
    }
    if (!rc && left > 0)
        strbuf_printf(&f->more, "%s%s: %" PRId64 " more position%s; `top %s --position P` shows %s", f->more.len ? "\n" : "",
                      r->m->name, left, left == 1 ? "" : "s", r->m->name, left == 1 ? "it" : "them");
    if (!rc && t->n_row == 0)
        strbuf_printf(&f->none, "%s%s", f->none.len ? ", " : "", r->m->name);
    table_free(t);
    return rc;
}

static bool several_kinds(const found_lines *f)
{
    const char *kind = NULL;
    for (size_t i = 0; i < f->n; i++) {
        if (!f->line[i].heads)
            continue;
        if (kind && strcmp(kind, f->line[i].kind) != 0)
            return true;
        kind = f->line[i].kind;
    }
    return false;
}

int found_read(found_lines *out, store *st, int64_t run, const metric *const *list, int n, err *e)
{
    const cell bind[] = {cell_int(run)};
    int64_t several;
    *out = (found_lines){0};
    int rc = query_count(&several, st, "SELECT count(*) > 1 FROM unit WHERE run_id = ?1", bind, 1, e);
    out->several = !rc && several;
    for (int i = 0; i < n && !rc; i++) {
        reading r = {.out = out, .st = st, .run = run, .m = list[i]};
        rc = find_lines(&r, e);
        table_free(r.heads);
    }
    out->kinds = several_kinds(out);
    if (!rc && (out->more.failed || out->none.failed))
        rc = err_nomem(e, "summary");
    if (rc)
        found_free(out);
    return rc;
}

void found_free(found_lines *f)
{
    strbuf_free(&f->more);
    strbuf_free(&f->none);
    free(f->line);
    arena_free(&f->mem);
    *f = (found_lines){0};
}
