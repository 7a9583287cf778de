/* Before the work of a sweep begins: is a run there already, and what does one of its units cost? */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/estimate.h"
#include "cli/experiment_parts.h"

static int find_run(run_part *part, const run_record *r, err *e)
{
    const cell bind[] = {cell_text(part->uid), cell_text(r->settings), cell_text(r->card.weights),
                         cell_text(r->card.dtype),
                         cell_text(r->r.verb), cell_text(r->r.edits), cell_text(r->r.precision),
                         cell_text(r->r.version),
                         cell_index(r->r.seed)};
    table *t = NULL;
    int rc = store_query(part->look, &t,
        "SELECT r.id, r.status = 'done' AND r.settings = ?2 AND m.sha256 = ?3 AND m.dtype IS ?4 AND r.verb ="
        " ?5 AND r.edits = ?6 AND r.precision = ?7 AND r.version = ?8 AND r.seed IS ?9,"
        " (SELECT count(*) FROM unit u WHERE u.run_id = r.id AND u.status = 'done')"
        " FROM run r JOIN model m ON m.id = r.model_id WHERE r.uid = ?1", bind, 9, e);
    if (rc)
        return rc;
    if (t->n_row > 0) {
        part->run = table_cell(t, 0, 0)->u.i;
        part->n_there = table_cell(t, 0, 2)->u.i;
        part->whole = table_cell(t, 0, 1)->u.i && part->n_there == part->n_unit;
    }
    table_free(t);
    return 0;
}

/* Of the newest units that were made of the same settings on the same model, at the same precision and
 * threads.  CROSS: these few units come first, whatever SQLite thinks of them; else it reads all values for
 * every cell of a sweep. */
static int stored_cost(unit_cost *out, store *st, const run_record *r, err *e)
{
    const cell bind[] = {cell_text(r->r.verb), cell_text(r->card.weights), cell_text(r->card.dtype),
                         cell_text(r->settings),
                         cell_text(r->r.precision), cell_int(r->r.threads), cell_text(r->r.isa),
                         cell_text(r->r.edits)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "WITH u AS (SELECT u.id, u.prompt_id, (julianday(u.finished) - julianday(u.started)) * 86400 AS"
        " seconds"
        "  FROM run r JOIN model m ON m.id = r.model_id JOIN unit u ON u.run_id = r.id AND u.status = 'done'"
        "  WHERE r.verb = ?1 AND m.sha256 = ?2 AND m.dtype IS ?3 AND r.settings = ?4 AND r.precision = ?5"
        "  AND r.threads = ?6 AND r.isa = ?7 AND r.edits = ?8 ORDER BY u.id DESC LIMIT 100)"
        " SELECT count(*), avg(seconds), (SELECT count(*) FROM u CROSS JOIN value v ON v.unit_id = u.id),"
        " (SELECT sum(p.n_token) FROM u CROSS JOIN prompt p ON p.id = u.prompt_id),"
        " (SELECT sum(length(a.cells)) FROM u CROSS JOIN map a ON a.unit_id = u.id) FROM u", bind, 8, e);
    if (rc)
        return rc;
    const cell *c = table_cell(t, 0, 0);
    double n = cell_number(&c[0]);
    if (n > 0) {
        double maps = c[4].kind == CELL_NULL ? 0 : cell_number(&c[4]), n_token = c[3].kind == CELL_NULL ? 0
            : cell_number(&c[3]);
        out->n = c[0].u.i;
        out->stored = true;
        out->seconds = cell_number(&c[1]);
        out->bytes = UNIT_BYTES + (VALUE_BYTES * cell_number(&c[2]) + TOKEN_BYTES * n_token + maps) / n;
    }
    table_free(t);
    return 0;
}

static int map_bytes(double *out, store *st, err *e)
{
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT total(length(cells)) FROM map", NULL, 0, e);
    *out = rc ? 0 : cell_number(table_cell(t, 0, 0));
    table_free(t);
    return rc;
}

/* The first unit, the last and the middle one, for they are seldom alike, into a store that is thrown
 * away. */
static int tried_cost(unit_cost *out, const experiment_plan *plan, const run_record *r, double most, err *e)
{
    const int64_t which[] = {0, plan->n_unit - 1, plan->n_unit / 2};
    experiment x = {.plan = plan};
    store_run run = r->r;
    double maps = 0, begun = clock_seconds();
    run.uid = run.cell = NULL;
    run.sweep = 0;
    int rc = store_open(&x.st, ":memory:", false, e);
    if (!rc)
        rc = store_run_begin(x.st, &r->card.m, &run, &x.run, e);
    experiment_start(&x, plan);
    for (int i = 0; i < 3 && !rc && (i == 0 || clock_seconds() - begun < most); i++)
        rc = experiment_do_unit(&x, which[i], e); /* the same twice is done once */
    double seconds = clock_seconds() - begun;
    if (!rc)
        rc = map_bytes(&maps, x.st, e);
    if (!rc && x.n_now > 0) {
        double n = (double)x.n_now;
        out->n = x.n_now;
        out->seconds = seconds / n;
        double all = VALUE_BYTES * (double)x.rows.n_value + TOKEN_BYTES * (double)x.n_token + maps;
        out->bytes = UNIT_BYTES + all / n;
    }
    out->memory += (double)x.memory;
    run_sink_free(&x.rows);
    store_close(x.st);
    return rc;
}

int experiment_look(run_part *part, const experiment_plan *plan, const run_record *r, err *e)
{
    int rc = part->look ? find_run(part, r, e) : 0;
    part->cost = (unit_cost){.memory = (double)r->card.file_bytes};
    if (!rc && part->look && part->estimate)
        rc = stored_cost(&part->cost, part->look, r, e);
    if (!rc && part->forecast)
        rc = experiment_forecast(part->forecast, plan, e);
    const bool told = part->forecast && part->forecast->n >= 0;
    if (!rc && !told && part->estimate && part->try_seconds > 0 && part->cost.n == 0 && !part->whole &&
        plan->n_unit > 0)
        rc = tried_cost(&part->cost, plan, r, part->try_seconds, e);
    /* A unit that fails does so again when it is its turn, and is reported then. */
    return rc && rc != ERR_CANCELLED && part->begin ? 0 : rc;
}
