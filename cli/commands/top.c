/* top: the strongest heads of a run by one metric. */
#include <inttypes.h>
#include <string.h>
#include "analysis/metric.h"
#include "cli/output.h"

/* Several prompts of a run are averaged; with one, avg is the value itself. */
#define HEADS_SQL(order) \
    "SELECT row_number() OVER (ORDER BY avg(value) " order ", kind, layer, head, position) AS rank," \
    " head_name AS head, position, avg(value) AS value FROM head_value" \
    " WHERE run = ?1 AND metric = ?2 AND (?3 IS NULL OR position = ?3)" \
    " GROUP BY kind, layer, head, position ORDER BY rank LIMIT ?4"
/* Values that belong to positions alone: with the token there. */
#define POSITIONS_SQL(order) \
    "SELECT row_number() OVER (ORDER BY v.value " order ", v.prompt, v.position) AS rank, v.prompt," \
    " v.position, t.id AS token_id, t.text AS token, v.value FROM value_list v LEFT JOIN prompt_token t" \
    " ON t.run = v.run AND t.prompt = v.prompt AND t.sequence = v.kind AND t.position = v.position" \
    " WHERE v.run = ?1 AND v.metric = ?2 AND (?3 IS NULL OR v.position = ?3) ORDER BY rank LIMIT ?4"

/* A column that says the same in each row says nothing. */
static int drop_column(table **t, int drop, err *e)
{
    table *out = NULL, *in = *t;
    const char *columns[16];
    int n = 0;
    for (int c = 0; c < in->n_col && n < 16; c++)
        if (c != drop)
            columns[n++] = in->column[c];
    int rc = table_new(&out, n, columns, e);
    for (int64_t i = 0; i < in->n_row && !rc; i++) {
        cell *row = table_row(out, e);
        rc = row ? 0 : ERR_RESOURCE;
        for (int c = 0, k = 0; c < in->n_col && !rc; c++) {
            const cell *from = table_cell(in, i, c);
            if (c == drop)
                continue;
            if (from->kind == CELL_TEXT)
                rc = table_text(out, &row[k], from->u.s, strlen(from->u.s), e);
            else
                row[k] = *from;
            k++;
        }
    }
    if (rc) {
        table_free(out);
        return rc;
    }
    table_free(in);
    *t = out;
    return 0;
}

static bool all_null(const table *t, int col)
{
    for (int64_t i = 0; i < t->n_row; i++)
        if (table_cell(t, i, col)->kind != CELL_NULL)
            return false;
    return true;
}

/* No row came: say why. */
static int nothing(store *st, int64_t run, const metric *m, bool position, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(m->name)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT (SELECT group_concat(DISTINCT metric) FROM value_list WHERE run = ?1),"
        " (SELECT group_concat(position, ', ') FROM (SELECT DISTINCT position FROM value_list"
        "  WHERE run = ?1 AND metric = ?2 AND position IS NOT NULL ORDER BY position LIMIT 8)),"
        " (SELECT m.path FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1)", bind, 2, e);
    if (rc)
        return rc;
    const char *measured = cell_string(table_cell(t, 0, 0)), *positions = cell_string(table_cell(t, 0, 1));
    const char *path = cell_string(table_cell(t, 0, 2));
    if (position && *positions) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " has no %s at that position", run, m->name);
        err_hint(e, "it has %s at %s", m->name, positions);
    } else if (!*measured) {
        rc = run_without_values(st, run, e);
    } else {
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " has no values of %s (it measured %s)", run, m->name,
                     measured);
        err_hint(e, "make them with `run %s --metrics %s ...`", path, m->name);
    }
    table_free(t);
    return rc;
}

static int heading(session *s, store *st, int64_t run, const metric *m, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT m.name, (SELECT sum(p.n_token) FROM unit u JOIN prompt p ON p.id = u.prompt_id"
        " WHERE u.run_id = r.id)"
        " FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", bind, 1, e);
    if (!rc && t->n_row) {
        strbuf name = {0};
        const char *title = cell_string(table_cell(t, 0, 0));
        strbuf_put_visible(&name, title, strlen(title));
        say(s, "run %" PRId64 ", %s, %.0f tokens; %s: %s%s%s", run, strbuf_str(&name),
            cell_number(table_cell(t, 0, 1)), m->name, m->summary, *m->unit ? ", in " : "", m->unit);
        strbuf_free(&name);
    }
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    const metric *m;
    int64_t id = 0;
    int rc = require_metric(&m, a->word[0], e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    if (!rc)
        rc = choose_run(s, a, st, NULL, &id, e);
    if (rc)
        return rc;
    bool lowest = params_bool(a->p, "lowest"), position = params_given(a->p, "position");
    bool heads = m->scope == METRIC_HEAD;
    int64_t n = params_int(a->p, "n");
    const cell bind[] = {
        cell_int(id),
        cell_text(m->name),
        position ? cell_int(params_int(a->p, "position")) : cell_index(NO_INDEX),
        cell_int(n > 0 ? n : INT64_MAX),
    };
    const char *sql = heads ? (lowest ? HEADS_SQL("ASC") : HEADS_SQL("DESC"))
                            : (lowest ? POSITIONS_SQL("ASC") : POSITIONS_SQL("DESC"));
    rc = store_query(st, &t, sql, bind, 4, e);
    if (!rc && t->n_row == 0)
        rc = nothing(st, id, m, position, e);
    if (!rc && heads && command_format(s, a) == FORMAT_TABLE && all_null(t, 2))
        rc = drop_column(&t, 2, e);
    if (!rc)
        rc = table_set_unit(t, t->n_col - 1, *m->unit ? m->unit : NULL, e);
    if (!rc)
        rc = heading(s, st, id, m, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.top/1", e);
    table_free(t);
    return rc;
}

static const param own[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "n", .kind = PARAM_INT, .def = "10", .value = "N", .max = 1e15,
     .help = "how many; 0: all"},
    {.name = "lowest", .kind = PARAM_BOOL,
     .help = "the weakest first"},
    {.name = "position", .kind = PARAM_INT, .value = "P", .max = 1e15,
     .help = "only values of this token position (a key for sink)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "top induction --store heads.db", "the ten heads with the highest induction score",
    "top entropy --store heads.db --lowest --n 5", "the five most focused heads",
    NULL,
};
static const char *const complete[] = {"metrics", NULL};

const command command_top = {
    .name = "top", .group = "store", .usage = "METRIC",
    .summary = "rank the heads of a run by a metric",
    .help = "Heads with the highest (or --lowest) values, of the last run unless --run names another. A run "
            "over several prompts is averaged. A metric of tokens (nll) ranks positions instead.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 1, .complete = complete, .run = run,
};
