/* runs: what the store holds. */
#include <string.h>
#include "cli/command_util.h"

/* newest last, where the eye is when the prompt comes back; ?1 at most so many, ?2 for people: programs get
 * the times as they are stored */
#define STARTED(column) \
    " CASE WHEN ?2 THEN substr(" column ", 1, 10) || ' ' || substr(" column ", 12, 8) ELSE " column " END"
static const char runs_sql[] =
    "SELECT * FROM (SELECT r.id AS run," STARTED("r.started") " AS started,"
    " r.verb, m.name AS model, r.status || CASE WHEN ?2 THEN " RUN_PROGRESS_SQL " ELSE '' END AS status,"
    " (SELECT sum(p.n_token) FROM unit u JOIN prompt p ON p.id = u.prompt_id"
    "  WHERE u.run_id = r.id) AS tokens,"
    " (SELECT coalesce(u.label, substr(p.text, 1, 40), (SELECT i.role || coalesce(' ' ||"
    "   substr(replace(i.path, rtrim(i.path, replace(i.path, '/', '')), ''), 1, 40), '')" /* its last part */
    "   FROM input i WHERE i.unit_id = u.id AND i.role <> 'source'), (SELECT substr(i.text, 1, 40)"
    "   FROM input i WHERE i.unit_id = u.id AND i.role = 'source'), 'ids') FROM unit u"
    "  JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = r.id"
    "  ORDER BY u.prompt_index LIMIT 1) AS prompt,"
    " (SELECT count(*) FROM unit u JOIN map a ON a.unit_id = u.id WHERE u.run_id = r.id) AS maps,"
    " round((julianday(r.finished) - julianday(r.started)) * 86400, CASE WHEN ?2 THEN 2 ELSE 3 END) AS"
    " seconds, w.name AS sweep, r.cell,"
    " CASE WHEN NOT ?2 THEN " RUN_UNITS_SQL " END AS units, CASE WHEN NOT ?2 THEN r.n_unit END AS"
    " units_wanted FROM run r JOIN model m ON m.id = r.model_id LEFT JOIN sweep w ON w.id = r.sweep_id"
    " ORDER BY r.id DESC LIMIT ?1) ORDER BY run";
static const char sweeps_sql[] =
    "SELECT * FROM (SELECT w.id AS sweep, w.name," STARTED("w.created") " AS created,"
    " count(r.id) AS runs, count(r.id) FILTER (WHERE r.status = 'done') AS done,"
    " (SELECT count(*) FROM unit u JOIN run x ON x.id = u.run_id WHERE x.sweep_id = w.id AND u.status ="
    " 'done') AS units,"
    " w.command FROM sweep w LEFT JOIN run r ON r.sweep_id = w.id GROUP BY w.id ORDER BY w.id DESC LIMIT ?1)"
    " ORDER BY sweep";

/* People are spared columns that say nothing. */
static void drop_empty_columns(table *t, int n)
{
    for (int64_t i = 0; i < t->n_row; i++)
        for (int c = t->n_col - n; c < t->n_col; c++)
            if (table_cell(t, i, c)->kind != CELL_NULL)
                return;
    for (int64_t i = 0; i < t->n_row; i++)
        memmove(&t->cells[i * (t->n_col - n)], &t->cells[i * t->n_col],
                (size_t)(t->n_col - n) * sizeof *t->cells);
    t->n_col -= n;
}

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    int64_t limit = params_int(a->p, "limit");
    bool aligned = command_format(s, a) == FORMAT_TABLE, sweeps = params_bool(a->p, "sweeps");
    const cell bind[] = {cell_int(limit > 0 ? limit : INT64_MAX), cell_int(aligned)};
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = store_query(st, &t, sweeps ? sweeps_sql : runs_sql, bind, 2, e);
    if (!rc && t->n_row == 0 && aligned)
        say(s, "no %s in %s; make one with `%s`", sweeps ? "sweeps" : "runs",
            strcmp(store_path(st), ":memory:") == 0 ? "this session" : store_path(st),
            sweeps ? "sweep FILE" : "run MODEL --prompt TEXT");
    else if (!rc) {
        if (aligned && !sweeps) {
            drop_empty_columns(t, 2); /* units: status says it */
            drop_empty_columns(t, 2);
        }
        rc = print_table(s, a, t, sweeps ? "attnscope.sweep_list/1" : "attnscope.run/1", e);
    }
    table_free(t);
    return rc;
}

static const param own[] = {
    {.name = "limit", .kind = PARAM_INT, .def = "50", .value = "N", .max = 1e15,
     .help = "the newest N runs; 0: all"},
    {.name = "sweeps", .kind = PARAM_BOOL, .help = "sweeps instead, with how many of their runs are done"},
    {.name = NULL},
};
static const char *const examples[] = {
    "runs --store heads.db", "the runs in a store",
    "runs --store heads.db --limit 1 --json", "the newest one for a script",
    NULL,
};

const command command_runs = {
    .name = "runs", .group = "store", .usage = "",
    .summary = "list the runs in the store",
    .help = "One line a run, the newest last; times are UTC. `show RUN` tells everything about one. Of "
            "the runs of a sweep it says which cell they are, of a run that is not done how many of its"
            " units of work are there (--json and --csv: units and units_wanted).",
    .examples = examples, .params = own, .min_args = 0, .max_args = 0, .complete = NULL, .run = run,
};
