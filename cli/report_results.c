/* results: what a run measured, and the tables of its experiment. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/cancel.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/compare_table.h"
#include "cli/effect_table.h"
#include "cli/needle_tables.h"
#include "cli/report.h"

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n > k && strcmp(s + n - k, tail) == 0;
}

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
        strbuf_printf(&sql, "SELECT count(*), avg(value), min(value), max(value) FROM value_list WHERE run = ?1 AND metric = ?2%s%s",
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

/* ---- edits ---- */

/* What the position of an edited value stands for: a gamma, or what was dropped so far. */
static const char *position_words(report_build *b, const json *settings, int64_t position)
{
    const json *gammas = json_get(settings, "gammas"), *order = json_get(settings, "order");
    double gamma;
    if (position == NO_INDEX)
        return "";
    if (json_real(&gamma, json_at(gammas, (size_t)position)))
        return report_print(b->doc, " gamma %g", gamma);
    const char *last = position > 0 ? json_str(json_at(order, (size_t)position - 1), NULL) : NULL;
    return last ? report_print(b->doc, " %" PRId64 " dropped, last %s", position, last)
                : report_print(b->doc, " %" PRId64, position);
}

static int add_change(table *t, const report_build *b, const report_run *r, const measure *what, const condition *c,
                      const series *base, err *e)
{
    series s;
    stats change;
    int rc = series_load(&s, b->st, r->id, what, c, e);
    if (!rc && s.n) {
        rc = series_difference(&change, &s, base, report_seed(r), e);
        cell *row = rc || !change.n ? NULL : table_row(t, e);
        if (row) {
            double mean = 0;
            for (int64_t i = 0; i < s.n; i++)
                mean += s.x[i] / (double)s.n;
            rc = table_text(t, &row[0], c->name, strlen(c->name), e);
            if (!rc)
                rc = table_text(t, &row[1], what->name, strlen(what->name), e);
            row[2] = cell_int(change.n);
            row[3] = cell_real(mean);
            if (!rc)
                change_cells(&row[4], &change);
        }
    }
    series_free(&s);
    return rc;
}

/* Rows for each place that has values of a measure under edits, and one for the sets of random heads. */
static int change_rows(table *t, report_build *b, const report_run *r, const measure *what, const json *settings, err *e)
{
    static const char sql[] = "SELECT DISTINCT kind, layer, head, position FROM value_list WHERE run = ?1 AND metric = ?2"
                              " ORDER BY kind, layer, head, position";
    char edited[64], random[64];
    series base;
    table *places = NULL, *bases = NULL;
    snprintf(edited, sizeof edited, "%s_edited", what->metric);
    snprintf(random, sizeof random, "%s_random", what->metric);
    const cell of_base[] = {cell_int(r->id), cell_text(what->metric)}, of_edited[] = {cell_int(r->id), cell_text(edited)};
    int rc = store_query(b->st, &bases, sql, of_base, 2, e);
    if (rc || bases->n_row == 0 || !report_has(r, edited)) {
        table_free(bases);
        return rc;
    }
    condition plain = {"", "", kind_of_cell(table_cell(bases, 0, 0)), NO_INDEX, NO_INDEX,
                       bases->n_row > 1 ? ANY_POSITION : index_of_cell(table_cell(bases, 0, 3))};
    table_free(bases);
    rc = series_load(&base, b->st, r->id, what, &plain, e);
    if (!rc)
        rc = store_query(b->st, &places, sql, of_edited, 2, e);
    for (int64_t i = 0; !rc && i < places->n_row && base.n; i++) {
        head_id h = {kind_of_cell(table_cell(places, i, 0)), (int)index_of_cell(table_cell(places, i, 1)),
                     (int)index_of_cell(table_cell(places, i, 2))};
        condition c = {"", "_edited", h.kind, h.layer, h.head, index_of_cell(table_cell(places, i, 3))};
        head_text name = "edited";
        if (h.head != NO_INDEX)
            head_format(name, h);
        c.name = report_print(b->doc, "%s%s", name, position_words(b, settings, c.position));
        rc = add_change(t, b, r, what, &c, &base, e);
        if (!rc)
            rc = cancel_check(e);
    }
    const condition others = {"random heads, mean of the sets", "_random", plain.kind, NO_INDEX, NO_INDEX, ANY_POSITION};
    if (!rc && report_has(r, random))
        rc = add_change(t, b, r, what, &others, &base, e);
    table_free(places);
    series_free(&base);
    return rc;
}

static int effects(report_build *b, const report_run *r, err *e)
{
    static const char *const names[] = {"what was changed", "measure", "n", "mean", "change", "low", "high"};
    json *settings = NULL;
    err ignored = {0};
    table *t = NULL;
    bool any = false;
    for (int i = 0; i < r->n_metric; i++)
        any |= ends_with(r->metric[i], "_edited");
    if (!any)
        return 0;
    if (json_parse(&settings, r->settings, strlen(r->settings), "settings", &ignored))
        settings = NULL;
    int rc = table_new(&t, 7, names, e);
    for (const measure *what = effect_measures; what->name && !rc; what++)
        rc = change_rows(t, b, r, what, settings, e);
    json_free(settings);
    if (rc) {
        table_free(t);
        return rc;
    }
    if (strcmp(r->edits, "[]") != 0)
        report_text(b->doc, "Edits of the run: %s", r->edits);
    report_table(b->doc, t, "Effects: mean with the edit, and the change against the model as it is, text by text (paired), with "
                 "its 95 %% bootstrap interval; no interval from a single text.");
    return 0;
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
    const report_run *r = b->one;
    int rc = 0;
    report_heading(b->doc, b->level, "Results");
    rc = effects(b, r, e);
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
