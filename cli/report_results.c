/* results: what a run measured, and the tables of its experiment. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/compare_table.h"
#include "cli/needle_tables.h"
#include "cli/report.h"

/* ---- all values in one table ---- */

static int values_table(report_build *b, const report_run *r, err *e)
{
    static const char *const names[] = {"metric", "unit", "values", "mean", "lowest", "highest", "averaged over"};
    table *t = NULL, *one = NULL;
    int rc = table_new(&t, 7, names, e);
    for (int i = 0; i < r->n_metric && !rc; i++) {
        const char *name = r->metric[i], *words = "";
        const metric *m = metric_find(name);
        const report_term *term = m ? NULL : report_term_find(name);
        const cell bind[] = {cell_int(r->id), cell_text(name)};
        char *units;
        strbuf sql = {0};
        rc = report_units(&units, &words, b, r, name, e);
        strbuf_printf(&sql, "SELECT count(*), avg(value), min(value), max(value) FROM value_list WHERE run = ?1 AND metric ="
                            " ?2%s%s",
                      !rc && units ? " AND " : "", !rc && units ? units : "");
        if (!rc)
            rc = sql.failed ? err_nomem(e, "report") : store_query(b->st, &one, strbuf_str(&sql), bind, 2, e);
        strbuf_free(&sql);
        free(units);
        if (rc || table_cell(one, 0, 0)->u.i == 0) {
            table_free(one);
            one = NULL;
            continue;
        }
        cell *c = table_row(t, e);
        const char *unit = m ? m->unit : term ? term->unit : "";
        rc = c ? table_text(t, &c[0], name, strlen(name), e) : ERR_RESOURCE;
        if (!rc && *unit)
            rc = table_text(t, &c[1], unit, strlen(unit), e);
        if (!rc)
            rc = table_text(t, &c[6], words, strlen(words), e);
        for (int k = 0; k < 4 && !rc; k++)
            c[2 + k] = *table_cell(one, 0, k);
        table_free(one);
        one = NULL;
        if (!rc)
            rc = cancel_check(e);
    }
    if (!rc)
        report_table(b->doc, t, "All that run %" PRId64 " measured: every stored value of a metric, over heads, layers and "
                     "positions alike.", r->id);
    if (!rc)
        report_by_row(b->doc);
    else
        table_free(t);
    return rc;
}

/* ---- needle ---- */

static int needle(report_build *b, const report_run *r, err *e)
{
    table *t = NULL;
    int rc = needle_grid_table(&t, b->st, r->id, true, report_seed(r), e);
    if (!rc)
        report_table(b->doc, t, "Share of the trials of a needle that succeeded, by tokens of context (rows) and depth of the "
                     "needle in per cent (columns).");
    else
        return rc;
    t = NULL;
    rc = needle_head_table(&t, b->st, r->id, report_seed(r), e);
    if (!rc)
        report_table(b->doc, t, "Retrieval scores of the heads over the trials that succeeded: mean, standard deviation, 95 %% "
                     "interval, mean score as a set, share of trials with a score above 0, and mean place in the needle that "
                     "was looked at.");
    return rc;
}

/* ---- two checkpoints ---- */

/* A row a metric: means over the heads and prompts of both, the largest change of a head. */
int report_paired(report_build *b, int64_t first, int64_t second, const char *suffix, const char *caption, err *e)
{
    static const char *const names[] = {"metric", "places", "first", "second", "mean change", "largest change", "where"};
    paired_set s;
    table *t = NULL;
    int rc = paired_load(&s, b->st, first, second, suffix, NULL, e);
    if (rc)
        return rc;
    rc = table_new(&t, 7, names, e);
    for (int64_t i = 0, end; i < s.n && !rc; i = end) {
        double a = 0, c = 0, change = 0;
        int64_t most = i;
        for (end = i; end < s.n && strcmp(s.p[end].metric, s.p[i].metric) == 0; end++) {
            a += s.p[end].first;
            c += s.p[end].second;
            change += s.p[end].mean;
            double far = s.p[end].mean < 0 ? -s.p[end].mean : s.p[end].mean;
            most = far > (s.p[most].mean < 0 ? -s.p[most].mean : s.p[most].mean) ? end : most;
        }
        double n = (double)(end - i);
        cell *row = table_row(t, e);
        rc = row ? table_text(t, &row[0], s.p[i].metric, strlen(s.p[i].metric), e) : ERR_RESOURCE;
        if (rc)
            break;
        row[1] = cell_int(end - i);
        row[2] = cell_real(a / n);
        row[3] = cell_real(c / n);
        row[4] = cell_real(change / n);
        row[5] = cell_real(s.p[most].mean);
        head_text where = "all";
        if (s.p[most].head.head != NO_INDEX)
            head_format(where, s.p[most].head);
        rc = table_text(t, &row[6], where, strlen(where), e);
    }
    paired_free(&s);
    if (!rc)
        report_table(b->doc, t, "%s", caption);
    if (!rc)
        report_by_row(b->doc);
    else
        table_free(t);
    return rc;
}

static int build(report_build *b, err *e)
{
    report_run *r = b->one;
    int rc = 0;
    report_heading(b->doc, b->level, "Results");
    rc = report_effects(b, r, e);
    if (!rc && strcmp(r->verb, "patch") == 0)
        rc = report_patch(b, r, e);
    if (!rc && strcmp(r->verb, "needle") == 0 && report_has(r, "retrieval"))
        rc = needle(b, r, e);
    if (!rc && strcmp(r->verb, "compare") == 0)
        rc = report_paired(b, r->id, r->id, SECOND_SUFFIX, "Two checkpoints on the same prompts: means over heads and prompts, "
                           "second less first, and the place that changed most.", e);
    return rc ? rc : values_table(b, r, e);
}

const report_section report_results = {
    .name = "results", .title = "Results", .summary = "the tables of an experiment, and all that was measured",
    .per_run = true, .build = build,
};
