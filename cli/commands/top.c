/* top: the strongest heads of a run by one metric. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/counted_heads.h"
#include "cli/experiment.h"
#include "cli/head_filter.h"
#include "cli/output.h"
#include "cli/run_units.h"

/* Several prompts of a run are averaged; with one, avg is the value itself.  Where all units count the store has added them up
 * already (value_summary).  %s: the order, the column and the view of the values, and which units count (run_units). */
static const char heads_sql[] =
    "SELECT row_number() OVER (ORDER BY avg(x) %s, kind, layer, head, position) AS rank,"
    " head_name AS head, position, avg(x) AS value FROM (SELECT kind, layer, head, head_name, position, %s AS x FROM %s"
    "  WHERE run = ?1 AND metric = ?2 AND head IS NOT NULL AND (?3 IS NULL OR position = ?3)%s)"
    " GROUP BY kind, layer, head, position ORDER BY rank LIMIT ?4";
static const char layers_sql[] =
    "SELECT row_number() OVER (ORDER BY avg(x) %s, kind, layer, position) AS rank, kind,"
    " layer, position, avg(x) AS value FROM (SELECT kind, layer, position, %s AS x FROM %s"
    "  WHERE run = ?1 AND metric = ?2 AND (?3 IS NULL OR position = ?3)%s)"
    " GROUP BY kind, layer, position ORDER BY rank LIMIT ?4";
/* Values that belong to positions alone: with the token there. */
static const char positions_sql[] =
    "SELECT row_number() OVER (ORDER BY v.value %s, v.prompt, v.position) AS rank, v.prompt,"
    " v.position, t.id AS token_id, t.text AS token, v.value FROM value_list v LEFT JOIN prompt_token t"
    " ON t.run = v.run AND t.prompt = v.prompt AND t.sequence = v.kind AND t.position = v.position"
    " WHERE v.run = ?1 AND v.metric = ?2 AND (?3 IS NULL OR v.position = ?3)%s ORDER BY rank LIMIT ?4";

/* What is ranked: a metric, or a value that an experiment stored under a name of its own. */
typedef struct subject {
    const char *name, *unit, *summary;
    bool pairs;           /* positions count heads */
    bool any;             /* the run has values */
    bool heads, layers;   /* which belong to heads, to layers; neither: to positions */
} subject;

/* A name that no metric has must be one that the run has. */
static int choose_subject(subject *out, store *st, int64_t run, const char *name, err *e)
{
    const metric *m = metric_find(name);
    const cell bind[] = {cell_int(run), cell_text(name)};
    table *t = NULL;
    if (m)
        *out = (subject){.name = m->name, .unit = m->unit, .summary = m->summary, .pairs = m->axis == AXIS_HEAD};
    int rc = store_query(st, &t, "SELECT count(*), count(head), count(layer) FROM value_summary WHERE run = ?1 AND metric = ?2",
                         bind, 2, e);
    bool known = !rc && (m || table_cell(t, 0, 0)->u.i > 0);
    if (known && !m)
        *out = (subject){.name = name, .unit = "", .summary = "a value of the experiment"};
    if (known) {
        out->any = table_cell(t, 0, 0)->u.i > 0;
        out->heads = table_cell(t, 0, 1)->u.i > 0;
        out->layers = !out->heads && table_cell(t, 0, 2)->u.i > 0;
    }
    table_free(t);
    return rc || known ? rc : require_metric(&m, name, e);
}

/* Positions that count heads become their names, those of the kind of attention of the row's head. */
static int name_heads(table *t, store *st, int64_t run, err *e)
{
    counted_heads all[ATTN_VISION + 1] = {{0}};
    int at = table_column(t, "position"), own = table_column(t, "head"), rc = 0;
    for (int64_t i = 0; i < t->n_row && !rc && at >= 0; i++) {
        cell *position = &t->cells[i * t->n_col + at];
        head_text name = "";
        head_id h;
        if (position->kind != CELL_INT || !head_parse(&h, cell_string(table_cell(t, i, own))))
            continue;
        counted_heads *of = &all[h.kind];
        rc = of->n ? 0 : counted_heads_load(of, st, run, attn_kind_name(h.kind), e);
        if (!rc && position->u.i < of->n) {
            head_format(name, of->head[position->u.i]);
            rc = table_text(t, position, name, strlen(name), e);
        }
    }
    for (int k = 0; k <= ATTN_VISION; k++)
        free(all[k].head);
    return rc || at < 0 ? rc : table_rename(t, at, "other", e);
}

/* The values of one row over the prompts, as n, mean, sd and interval. */
static int row_stats(stats *out, store *st, int64_t run, const char *name, const char *units, const cell *head,
                     const cell *position, uint64_t seed, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name), *head, *position};
    strbuf sql = {0};
    strbuf_printf(&sql, "SELECT value FROM head_value WHERE run = ?1 AND metric = ?2 AND head_name = ?3 AND position IS ?4%s"
                  " ORDER BY prompt", units);
    int rc = sql.failed ? err_nomem(e, "ranking") : stats_of_query(out, st, strbuf_str(&sql), bind, 4, seed, e);
    strbuf_free(&sql);
    return rc;
}

/* Over several prompts: the same rows with n, mean, standard deviation and interval in place of the value. */
static int add_stats(table **t, store *st, int64_t run, const char *name, const char *units, err *e)
{
    static const char *const columns[] = {"rank", "head", "position", "n", "mean", "sd", "low", "high"};
    table *in = *t, *out = NULL;
    uint64_t seed = 0;
    int rc = run_seed(&seed, st, run, e);
    if (!rc)
        rc = table_new(&out, 8, columns, e);
    for (int64_t i = 0; i < in->n_row && !rc; i++) {
        const cell *head = table_cell(in, i, 1);
        cell *row = table_row(out, e);
        stats s;
        rc = row ? row_stats(&s, st, run, name, units, head, table_cell(in, i, 2), seed, e) : ERR_RESOURCE;
        if (rc)
            break;
        row[0] = *table_cell(in, i, 0);
        row[2] = *table_cell(in, i, 2);
        stats_cells(row, 3, &s);
        rc = table_text(out, &row[1], cell_string(head), strlen(cell_string(head)), e);
    }
    if (rc) {
        table_free(out);
        return rc;
    }
    table_free(in);
    *t = out;
    return 0;
}

static int several_prompts(bool *yes, store *st, int64_t run, const char *name, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name)};
    int64_t n;
    int rc = query_count(&n, st, "SELECT count(*) FROM unit u WHERE u.run_id = ?1 AND EXISTS (SELECT 1 FROM value v JOIN metric m"
                         " ON m.id = v.metric_id WHERE v.unit_id = u.id AND m.name = ?2)", bind, 2, e);
    *yes = n > 1;
    return rc;
}

/* A column that says the same in each row says nothing. */
static int drop_column(table *t, int drop, err *e)
{
    int use[16], n = 0;
    for (int c = 0; c < t->n_col && n < 16; c++)
        if (c != drop)
            use[n++] = c;
    return table_keep(t, use, NULL, n, e);
}

/* No row came: say why. */
static int nothing(store *st, int64_t run, const subject *m, bool position, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(m->name)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT (SELECT group_concat(metric) FROM metric_list WHERE run = ?1),"
        " (SELECT group_concat(position, ', ') FROM (SELECT DISTINCT position FROM value_summary"
        "  WHERE run = ?1 AND metric = ?2 AND position IS NOT NULL ORDER BY position LIMIT 8)),"
        " (SELECT m.path FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1),"
        " (SELECT max(run) FROM metric_list WHERE metric = ?2)", bind, 2, e);
    if (rc)
        return rc;
    const cell *other = table_cell(t, 0, 3);
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
        if (other->kind == CELL_INT)
            err_hint(e, "run %" PRId64 " has some: --run %" PRId64, other->u.i, other->u.i);
        else
            err_hint(e, "make them with `run %s --metrics %s ...`", path, m->name);
    }
    table_free(t);
    return rc;
}

static int heading(session *s, store *st, int64_t run, const subject *m, const char *units, err *e)
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
        say(s, "run %" PRId64 ", %s, %.0f tokens%s%s; %s: %s%s%s", run, strbuf_str(&name),
            cell_number(table_cell(t, 0, 1)), *units ? ", " : "", units, m->name, m->summary, *m->unit ? ", in " : "",
            m->unit);
        strbuf_free(&name);
    }
    table_free(t);
    return rc;
}

/* --heads: only those of them. */
static int among(strbuf *units, strbuf *what, session *s, store *st, int64_t run, const subject *m, const char *text, err *e)
{
    int n = 0;
    if (!m->heads) {
        err_set(e, ERR_USAGE, "%s has no values of heads to choose from", m->name);
        return err_hint(e, "leave --heads out");
    }
    int rc = head_filter_put(units, &n, s, st, run, text, e);
    strbuf_printf(what, "%s%d heads of \"%s\"", what->len ? ", " : "", n, text);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *t = NULL;
    subject about = {0}, *m = &about;
    int64_t id = 0;
    bool several;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = choose_run(s, a, st, NULL, &id, e);
    if (!rc)
        rc = choose_subject(m, st, id, a->word[0], e);
    if (!rc)
        rc = several_prompts(&several, st, id, m->name, e);
    if (rc)
        return rc;
    bool lowest = params_bool(a->p, "lowest"), position = params_given(a->p, "position");
    bool heads = m->heads;
    int64_t n = params_int(a->p, "n");
    const cell bind[] = {
        cell_int(id),
        cell_text(m->name),
        position ? cell_int(params_int(a->p, "position")) : cell_index(NO_INDEX),
        cell_int(n > 0 ? n : INT64_MAX),
    };
    strbuf units = {0}, what = {0}, sql = {0};
    if (!m->any)
        rc = nothing(st, id, m, position, e);
    if (!rc && (heads || m->layers))
        rc = run_units(&units, &what, st, id, m->name, params_str(a->p, "set"), e);
    if (!rc && params_given(a->p, "heads"))
        rc = among(&units, &what, s, st, id, m, params_str(a->p, "heads"), e);
    const char *order = lowest ? "ASC" : "DESC";
    if (heads || m->layers)
        strbuf_printf(&sql, heads ? heads_sql : layers_sql, order, units.len ? "value" : "mean",
                      units.len ? "value_list" : "value_summary", strbuf_str(&units));
    else
        strbuf_printf(&sql, positions_sql, order, strbuf_str(&units));
    if (!rc)
        rc = sql.failed ? err_nomem(e, "ranking") : store_query(st, &t, strbuf_str(&sql), bind, 4, e);
    if (!rc && t->n_row == 0 && params_given(a->p, "set")) {
        err_set(e, ERR_FAILED, "%s was not measured on the prompts of set %s of run %" PRId64, m->name,
                params_str(a->p, "set"), id);
        rc = err_hint(e, "leave --set away for those on which it was");
    }
    if (!rc && t->n_row == 0 && params_given(a->p, "heads")) {
        err_set(e, ERR_FAILED, "run %" PRId64 " has no %s of the heads of \"%s\"", id, m->name, params_str(a->p, "heads"));
        rc = err_hint(e, "leave --heads out to see which have one");
    }
    if (!rc && t->n_row == 0)
        rc = nothing(st, id, m, position, e);
    if (!rc && heads && several)
        rc = add_stats(&t, st, id, m->name, strbuf_str(&units), e);
    if (!rc && heads && command_format(s, a) == FORMAT_TABLE && table_column_empty(t, 2))
        rc = drop_column(t, 2, e);
    if (!rc && heads && m->pairs)
        rc = name_heads(t, st, id, e);
    if (!rc)
        rc = table_set_unit(t, table_column(t, heads && several ? "mean" : "value"), *m->unit ? m->unit : NULL, e);
    if (!rc)
        rc = heading(s, st, id, m, strbuf_str(&what), e);
    if (!rc)
        rc = print_table(s, a, t, heads && several ? "attnscope.top_stats/1" : "attnscope.top/1", e);
    strbuf_free(&units);
    strbuf_free(&what);
    strbuf_free(&sql);
    table_free(t);
    return rc;
}

static const char *const set_choices[] = {"text", "random", "needle", NULL};
static const param own[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "n", .kind = PARAM_INT, .def = "10", .value = "N", .max = 1e15,
     .help = "how many; 0: all"},
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "rank these alone: L3-7 except L5H2, \"where sink > 0.3\" (`help heads`)"},
    {.name = "lowest", .kind = PARAM_BOOL,
     .help = "the weakest first"},
    {.name = "set", .kind = PARAM_ENUM, .value = "SET", .choices = set_choices,
     .help = "of a census: the prompts that are averaged; without it those that the census takes for the metric"},
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
    .help = "Heads with the highest (or --lowest) values, of the last run unless --run names another. Over "
            "several prompts heads are ranked by their mean, and n, standard deviation and a bootstrap 95 % interval stand "
            "beside it. Values that an experiment stored have their own names (retrieval, success, ...); trials that did not "
            "succeed do not count for heads. A metric of tokens (nll) ranks positions instead.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 1, .complete = complete, .run = run,
};
