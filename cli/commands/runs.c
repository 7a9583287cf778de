/* runs: what the store holds. */
#include <string.h>
#include "cli/command_util.h"

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    int64_t limit = params_int(a->p, "limit");
    bool aligned = command_format(s, a) == FORMAT_TABLE; /* programs get the times as they are stored */
    /* newest last, where the eye is when the prompt comes back */
    const cell bind[] = {cell_int(limit > 0 ? limit : INT64_MAX), cell_int(aligned)};
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = store_query(st, &t,
            "SELECT * FROM (SELECT r.id AS run,"
            " CASE WHEN ?2 THEN substr(r.started, 1, 10) || ' ' || substr(r.started, 12, 8)"
            "  ELSE r.started END AS started,"
            " r.verb, m.name AS model, r.status,"
            " (SELECT sum(p.n_token) FROM unit u JOIN prompt p ON p.id = u.prompt_id"
            "  WHERE u.run_id = r.id) AS tokens,"
            " (SELECT coalesce(u.label, substr(p.text, 1, 40), (SELECT i.role || coalesce(' ' ||"
            "   substr(replace(i.path, rtrim(i.path, replace(i.path, '/', '')), ''), 1, 40), '')" /* its last part */
            "   FROM input i WHERE i.unit_id = u.id AND i.role <> 'source'), (SELECT substr(i.text, 1, 40)"
            "   FROM input i WHERE i.unit_id = u.id AND i.role = 'source'), 'ids') FROM unit u"
            "  JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = r.id"
            "  ORDER BY u.prompt_index LIMIT 1) AS prompt,"
            " (SELECT count(*) FROM unit u JOIN map a ON a.unit_id = u.id WHERE u.run_id = r.id) AS maps,"
            " round((julianday(r.finished) - julianday(r.started)) * 86400, CASE WHEN ?2 THEN 2 ELSE 3 END) AS seconds"
            " FROM run r JOIN model m ON m.id = r.model_id ORDER BY r.id DESC LIMIT ?1) ORDER BY run",
            bind, 2, e);
    if (!rc && t->n_row == 0 && aligned)
        say(s, "no runs in %s; make one with `run MODEL --prompt TEXT`",
            strcmp(store_path(st), ":memory:") == 0 ? "this session" : store_path(st));
    else if (!rc)
        rc = print_table(s, a, t, "attnscope.run/1", e);
    table_free(t);
    return rc;
}

static const param own[] = {
    {.name = "limit", .kind = PARAM_INT, .def = "50", .value = "N", .max = 1e15,
     .help = "the newest N runs; 0: all"},
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
    .help = "One line a run, the newest last; times are UTC. `show RUN` tells everything about one.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 0, .complete = NULL, .run = run,
};
