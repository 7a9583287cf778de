/* What the edits of a run changed: a table, a few words, and figures. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/effect_table.h"
#include "cli/report.h"

enum { WHAT, MEASURE, N, MEAN, CHANGE, LOW, HIGH, COLS };

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n > k && strcmp(s + n - k, tail) == 0;
}

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
        const char *step = position_words(b, settings, c.position);
        c.name = h.head == NO_INDEX && *step ? step + 1 : report_print(b->doc, "%s%s", name, step);
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

/* No rows: the run changed nothing. */
static int changes(table **out, report_build *b, const report_run *r, err *e)
{
    static const char *const names[COLS] = {"what was changed", "measure", "n", "mean", "change", "low", "high"};
    json *settings = NULL;
    err ignored = {0};
    bool any = false;
    *out = NULL;
    for (int i = 0; i < r->n_metric; i++)
        any |= ends_with(r->metric[i], "_edited");
    int rc = table_new(out, COLS, names, e);
    if (any && json_parse(&settings, r->settings, strlen(r->settings), "settings", &ignored))
        settings = NULL;
    for (const measure *what = effect_measures; any && what->name && !rc; what++)
        rc = change_rows(*out, b, r, what, settings, e);
    json_free(settings);
    if (rc)
        table_free(*out);
    return rc;
}

int report_effects(report_build *b, const report_run *r, err *e)
{
    table *t;
    int rc = changes(&t, b, r, e);
    if (rc)
        return rc;
    if (t->n_row && strcmp(r->edits, "[]") != 0)
        report_text(b->doc, "Edits of the run: %s", r->edits);
    report_table(b->doc, t, "Effects: mean with the edit, and the change against the model as it is, text by text (paired), with "
                 "its 95 %% bootstrap interval; no interval from a single text.");
    return 0;
}

/* ---- in words ---- */

static const char *row_words(report_build *b, const table *t, int64_t row, const char *unit)
{
    const cell *c = table_cell(t, row, 0);
    const char *interval = c[LOW].kind == CELL_NULL ? "" :
        report_print(b->doc, " (95 %% interval %+.3g to %+.3g, n %" PRId64 ")", cell_number(&c[LOW]), cell_number(&c[HIGH]),
                     c[N].u.i);
    const char *what = strcmp(c[WHAT].u.s, "edited") == 0 ? "with the edit" : c[WHAT].u.s;
    return report_print(b->doc, "%s: %+.3g%s%s", what, cell_number(&c[CHANGE]), unit, interval);
}

int report_effects_found(report_build *b, const report_run *r, err *e)
{
    table *t;
    int rc = changes(&t, b, r, e);
    if (rc)
        return rc;
    for (int64_t i = 0, end; i < t->n_row; i = end) {
        const char *name = cell_string(table_cell(t, i, MEASURE));
        bool nll = strcmp(name, "nll") == 0;
        const char *unit = nll ? " nats a token" : "", *words = nll ? "loss" : name;
        int64_t low = i, high = i, n = 0;
        for (end = i; end < t->n_row && strcmp(cell_string(table_cell(t, end, MEASURE)), name) == 0; end++) {
            if (strncmp(cell_string(table_cell(t, end, WHAT)), "random heads", 12) == 0)
                continue;
            n++;
            low = cell_number(table_cell(t, end, CHANGE)) < cell_number(table_cell(t, low, CHANGE)) ? end : low;
            high = cell_number(table_cell(t, end, CHANGE)) > cell_number(table_cell(t, high, CHANGE)) ? end : high;
        }
        if (n < 2)
            report_text(b->doc, "Run %" PRId64 ": change of %s %s.", r->id, words, row_words(b, t, i, unit));
        else
            report_text(b->doc, "Run %" PRId64 ": change of %s, the largest and the smallest of %" PRId64 ": %s; %s.", r->id,
                        words, n,
                        row_words(b, t, high, unit), row_words(b, t, low, unit));
        if (n < end - i)
            report_text(b->doc, "Run %" PRId64 ": change of %s with %s.", r->id, words, row_words(b, t, end - 1, unit));
    }
    table_free(t);
    return 0;
}

/* ---- figures ---- */

/* A column for each gamma or each number of layers, a row for each head or one for all. */
static int fill_steps(table *out, const table *t, int n_step, err *e)
{
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *what = cell_string(table_cell(t, i, WHAT)), *gap = strchr(what, ' ');
        if (strcmp(cell_string(table_cell(t, i, MEASURE)), "nll") != 0)
            break;
        if (strncmp(what, "gamma ", 6) == 0) {
            what = "together";
            gap = NULL;
        }
        cell *row = i % n_step == 0 ? table_row(out, e) : &out->cells[(out->n_row - 1) * out->n_col];
        if (!row || (i % n_step == 0 && table_text(out, &row[0], what, gap ? (size_t)(gap - what) : strlen(what), e)))
            return ERR_RESOURCE;
        row[1 + i % n_step] = *table_cell(t, i, CHANGE);
    }
    return 0;
}

int report_plot_effects(report_build *b, const report_run *r, err *e)
{
    enum { MOST = 32 };
    const char *names[MOST + 1] = {"what"};
    json *settings = NULL;
    table *t = NULL, *wide = NULL;
    report_grid *g = NULL;
    double gamma;
    err ignored = {0};
    if (strcmp(r->verb, "scale") != 0 || !report_has(r, "nll_edited") ||
        json_parse(&settings, r->settings, strlen(r->settings), "settings", &ignored))
        return 0;
    const json *gammas = json_get(settings, "gammas");
    int n = 0;
    while (n < MOST && json_real(&gamma, json_at(gammas, (size_t)n)))
        names[1 + n++] = report_print(b->doc, "%g", gamma);
    int rc = n ? changes(&t, b, r, e) : 0;
    int64_t rows = 0;
    while (t && rows < t->n_row && strcmp(cell_string(table_cell(t, rows, MEASURE)), "nll") == 0)
        rows++;
    if (!rc && n && rows && rows % n == 0) {
        rc = table_new(&wide, n + 1, names, e);
        if (!rc)
            rc = fill_steps(wide, t, n, e);
        if (!rc)
            rc = report_grid_table(&g, b, r, wide, "change of loss", "nats a token",
                                   "loss with the weight on the key scaled by gamma less that of the model as it is", "",
                                   "gamma", e);
        if (!rc)
            rc = report_plot_grid(b, g, e);
    }
    table_free(wide);
    table_free(t);
    json_free(settings);
    return rc;
}
