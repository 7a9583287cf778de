/* sql: a question in SQL. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/prompt_request.h"

/* The words joined by blanks: `sql select 1` needs no quotes. */
static char *join(const command_args *a, err *e)
{
    strbuf b = {0};
    for (int i = 0; i < a->n; i++) {
        strbuf_puts(&b, i ? " " : "");
        strbuf_puts(&b, a->word[i]);
    }
    return strbuf_take(&b, e);
}

/* The statement: of the words, or of --file. */
static int read_statement(char **out, const command_args *a, err *e)
{
    const char *file = params_str(a->p, "file");
    size_t size;
    *out = NULL;
    if (!file == !a->n) {
        err_set(e, ERR_USAGE, file ? "--file excludes a statement among the words" : "no statement given");
        return err_hint(e, "give one of \"SELECT ...\" and --file FILE.sql");
    }
    if (!file) {
        *out = join(a, e);
        return *out ? 0 : ERR_RESOURCE;
    }
    int rc = prompt_read_text(out, &size, file, e);
    if (!rc && strlen(*out) != size) {
        err_set(e, ERR_INPUT, "%s: no statement: it holds a NUL byte", file);
        rc = err_hint(e, "a file with one SQL statement, as text");
    }
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    bool more = false, write = params_bool(a->p, "write");
    int64_t limit = params_int(a->p, "limit");
    if (!params_given(a->p, "limit") && command_format(s, a) != FORMAT_TABLE)
        limit = 0; /* a program wants all rows */
    char *sql = NULL;
    int rc = read_statement(&sql, a, e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    bool opened = rc == 0;
    if (!rc)
        rc = store_user_sql(st, &t, sql, write, limit, &more, e);
    if (rc == ERR_USAGE && !write && strstr(e->hint, "unless"))
        err_hint(e, "statements only read; --write allows one that changes the store");
    if (rc && rc != ERR_RESOURCE && opened && *sql == '@')
        err_hint(e, "@FILE is of scripts and the attnscope shell; here: sql --file %.200s", sql[1] ? sql + 1 : "FILE");
    if (!rc && t && t->n_col > 0)
        rc = print_table(s, a, t, "attnscope.row/1", e);
    if (!rc && more)
        say(s, "only the first %" PRId64 " rows; --limit 0 shows all", limit);
    table_free(t);
    free(sql);
    return rc;
}

static const param own[] = {
    {.name = "file", .kind = PARAM_PATH, .value = "FILE",
     .help = "take the statement from a file (- is standard input)"},
    {.name = "write", .kind = PARAM_BOOL,
     .help = "allow a statement that changes the store"},
    {.name = "limit", .kind = PARAM_INT, .def = "1000", .value = "N", .max = 1e15,
     .help = "rows to show at most; 0: all (as with --json, --csv, --tsv)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "sql --store heads.db \"SELECT head_name, value FROM head_value WHERE metric = 'induction' "
    "ORDER BY value DESC LIMIT 5\"",
    "the strongest induction heads",
    "sql --store heads.db \"SELECT layer, avg(value) FROM head_value WHERE metric = 'sink' GROUP BY layer\"",
    "mean sink strength of each layer",
    NULL,
};
static const char *const complete[] = {"sql", NULL};

const command command_sql = {
    .name = "sql", .group = "store", .usage = "[STATEMENT]",
    .summary = "ask the store in SQL",
    .help = "Runs one SQL statement (SQLite's dialect). Views made for questions: run_list, value_list "
            "(run, prompt, metric, kind, layer, head, head_name, position, value), head_value (those that "
            "belong to a head), map_list and prompt_token. last_run() is the newest run that is done, last_run(1) the one "
            "before. A statement that would change the store is "
            "refused without --write.",
    .examples = examples, .params = own, .min_args = 0, .max_args = -1, .complete = complete, .run = run,
};
