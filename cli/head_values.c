/* The values that rankings and conditions of heads read, and of which run. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/head_grammar.h"
#include "cli/head_select.h"
#include "cli/run_name.h"
#include "cli/run_units.h"

/* ---- which run ---- */

static int has_values(bool *yes, store *st, int64_t run, const char *name, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name)};
    int64_t n;
    int rc = query_count(&n, st, "SELECT 1 FROM head_value WHERE run = ?1 AND metric = ?2 LIMIT 1", bind, 2, e);
    *yes = n > 0;
    return rc;
}

/* The newest run of the model that is done and has values of the metric; 0: there is none. */
static int newest_with(int64_t *run, store *st, const head_space *space, const char *name, err *e)
{
    const cell bind[] = {cell_text(space->name), cell_text(name)};
    return query_count(run, st, "SELECT r.id FROM run r JOIN model m ON m.id = r.model_id WHERE m.name = ?1 AND r.status = 'done'"
                       " AND EXISTS (SELECT 1 FROM head_value v WHERE v.run = r.id AND v.metric = ?2) ORDER BY r.id DESC LIMIT 1",
                       bind, 2, e);
}

static void put_store(strbuf *b, store *st)
{
    if (strcmp(store_path(st), ":memory:") == 0)
        return;
    strbuf_puts(b, " --store ");
    put_shell_word(b, store_path(st));
}

/* The command that measures it; a metric that is none may be meant otherwise, or be an experiment's. */
static int hint_measure(const head_space *space, store *st, const char *name, err *e)
{
    strbuf b = {0};
    const struct metric *known;
    err why = {0};
    if (!metric_find(name) && require_metric(&known, name, &why) && strncmp(why.hint, "did you mean", 12) == 0)
        return err_hint(e, "%s", why.hint);
    const bool weights = metric_find(name) && metric_find(name)->scope == METRIC_WEIGHTS;
    const char *verb = measured_by(name) ? measured_by(name) : weights ? "weights" : "run";
    strbuf_printf(&b, "attnscope %s ", verb);
    put_shell_word(&b, space->path);
    if (metric_find(name))
        strbuf_printf(&b, "%s --metrics %s", weights ? "" : " --prompt TEXT", name);
    put_store(&b, st);
    if (metric_find(name) || measured_by(name))
        err_hint(e, "measure it: `%s`; or name a run that did: of run 5", strbuf_str(&b));
    else
        err_hint(e, "`list metrics` names those that can be measured; `needle`, `census` and `patch` measure others");
    strbuf_free(&b);
    return ERR_USAGE;
}

static int no_values(const head_space *space, store *st, int64_t run, const char *name, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    strbuf names = {0};
    int rc = store_query(st, &t, HEAD_METRICS_SQL, bind, 1, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row && i < 12; i++)
        strbuf_printf(&names, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    strbuf_puts(&names, t->n_row > 12 ? ", ..." : "");
    table_free(t);
    err_set(e, ERR_USAGE, "run %" PRId64 " has no values of %s for heads", run, name);
    if (names.len)
        err_hint(e, "it has %s", strbuf_str(&names));
    else
        hint_measure(space, st, name, e);
    strbuf_free(&names);
    return ERR_USAGE;
}

static int choose(int64_t *run, const head_space *space, head_source *src, store *st, const head_expr *x, err *e)
{
    const char *named = x->run ? x->run : src->run;
    bool yes = false;
    int rc = 0;
    if (!x->run && src->run)
        src->read_run = true;
    if (named)
        rc = run_name_read(run, st, named, e);
    if (!named && src->at_hand > 0) {
        *run = src->at_hand;
        rc = has_values(&yes, st, *run, x->metric, e);
    }
    if (!rc && !named && !yes) {
        rc = newest_with(run, st, space, x->metric, e);
        if (!rc && *run == 0) {
            err_set(e, ERR_USAGE, "no run of %s in %s measured %s for heads", space->name, store_words(st), x->metric);
            return hint_measure(space, st, x->metric, e);
        }
    }
    if (!rc && named)
        rc = has_values(&yes, st, *run, x->metric, e);
    return rc || !named || yes ? rc : no_values(space, st, *run, x->metric, e);
}

/* ---- the values ---- */

/* The position that the values are at: the one that was asked for; else none, or the only one. */
static int find_position(int64_t *out, const head_expr *x, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(x->metric)};
    table *t = NULL;
    *out = x->position;
    int rc = store_query(st, &t, "SELECT sum(position IS NULL), count(DISTINCT position), min(position)"
                         " FROM head_summary WHERE run = ?1 AND metric = ?2", bind, 2, e);
    if (rc)
        return rc;
    int64_t whole = cell_number(table_cell(t, 0, 0)) > 0, places = table_cell(t, 0, 1)->u.i;
    int64_t first = places ? table_cell(t, 0, 2)->u.i : NO_INDEX;
    table_free(t);
    if (x->position != NO_INDEX || whole)
        return 0;
    *out = first;
    if (places <= 1)
        return 0;
    err_set(e, ERR_USAGE, "%s of run %" PRId64 " has values at %" PRId64 " positions", x->metric, run, places);
    return err_hint(e, "say which: %s[%" PRId64 "]", x->metric, first);
}

static int nothing_at(const head_expr *x, int64_t run, bool anywhere, err *e)
{
    err_set(e, ERR_USAGE, anywhere ? "no trial of run %" PRId64 " succeeded: its %s does not count"
                                   : "run %" PRId64 " has no %s at that position", run, x->metric);
    return err_hint(e, anywhere ? "choose heads by name, or by another run: of run 5"
                                : "`sql` shows: select distinct position from head_value");
}

static int put_values(double *value, const head_space *space, const table *t, int64_t run, err *e)
{
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *name = cell_string(table_cell(t, i, 0));
        head_id h;
        int at = head_parse(&h, name) ? head_space_find(space, h) : -1;
        if (at < 0) {
            err_set(e, ERR_USAGE, "run %" PRId64 " measured %s, which %s does not have", run, name, space->name);
            return err_hint(e, "name a run of this model: of run 5, or --run; `runs` lists them");
        }
        value[at] = cell_number(table_cell(t, i, 1));
    }
    return 0;
}

int head_values_load(double **value, int64_t *run, const head_space *space, head_source *src, const head_expr *x, err *e)
{
    store *st;
    int64_t position = NO_INDEX;
    table *t = NULL;
    strbuf sql = {0};
    *value = NULL;
    *run = 0;
    int rc = session_store(src->s, &st, e);
    if (!rc)
        rc = choose(run, space, src, st, x, e);
    if (!rc)
        rc = find_position(&position, x, st, *run, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(*run), cell_text(x->metric), cell_index(position)};
    strbuf_puts(&sql, "SELECT head_name, avg(value) FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3");
    rc = run_units(&sql, NULL, st, *run, x->metric, NULL, e);
    strbuf_puts(&sql, " GROUP BY kind, layer, head");
    if (!rc)
        rc = sql.failed ? err_nomem(e, "heads") : store_query(st, &t, strbuf_str(&sql), bind, 3, e);
    strbuf_free(&sql);
    if (!rc && t->n_row == 0)
        rc = nothing_at(x, *run, position == NO_INDEX, e);
    if (!rc && !(*value = mem_array((size_t)space->n + 1, sizeof **value, e)))
        rc = ERR_RESOURCE;
    for (int i = 0; !rc && i < space->n; i++)
        (*value)[i] = NAN;
    if (!rc)
        rc = put_values(*value, space, t, *run, e);
    table_free(t);
    if (rc) {
        free(*value);
        *value = NULL;
    }
    return rc;
}
