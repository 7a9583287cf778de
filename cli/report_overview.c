/* overview: which runs a report is about, and what they found in a few lines. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "cli/census_table.h"
#include "cli/needle_tables.h"
#include "cli/report.h"

static int text_cell(table *t, cell *c, const char *s, err *e)
{
    return s && *s ? table_text(t, c, s, strlen(s), e) : 0;
}

static int run_table(report_build *b, err *e)
{
    static const char *const names[] = {"run", "experiment", "model", "prompts", "tokens", "status", "finished"};
    table *t = NULL;
    int rc = table_new(&t, sizeof names / sizeof *names, names, e);
    for (int i = 0; i < b->n_run && !rc; i++) {
        const report_run *r = &b->run[i];
        cell *c = table_row(t, e);
        rc = c ? text_cell(t, &c[0], report_print(b->doc, "%" PRId64, r->id), e) : ERR_RESOURCE;
        if (!rc)
            rc = text_cell(t, &c[1], r->verb, e);
        if (!rc)
            rc = text_cell(t, &c[2], r->model_name, e);
        if (rc)
            break;
        c[3] = cell_int(r->n_unit);
        rc = text_cell(t, &c[4], r->n_token_high == r->n_token_low
                                     ? report_print(b->doc, "%" PRId64, r->n_token_low)
                                     : report_print(b->doc, "%" PRId64 " to %" PRId64, r->n_token_low, r->n_token_high), e);
        if (!rc)
            rc = text_cell(t, &c[5], r->status, e);
        if (!rc)
            rc = text_cell(t, &c[6], r->finished, e);
    }
    if (!rc)
        report_table(b->doc, t, "Runs of this report, with the numbers of prompts (or trials) that are done and of their tokens. "
                     "Times are UTC.");
    else
        table_free(t);
    return rc;
}

/* ---- findings ---- */

static int census_found(report_build *b, const report_run *r, err *e)
{
    const census_view v = {.st = b->st, .run = r->id, .threshold = report_sink_threshold(r),
                           .seed = report_seed(r)};
    stats st;
    int rc = census_sink_rate(&st, &v, e);
    if (!rc && st.n)
        report_text(b->doc, "Run %" PRId64 ": %.1f %% of the heads of a text are sinks (mean attention to the first token above "
                    "%g; 95 %% interval over %" PRId64 " texts %.1f to %.1f %%).", r->id, 100 * st.mean, v.threshold, st.n,
                    100 * st.low, 100 * st.high);
    strbuf labels = {0};
    if (!rc)
        rc = census_labels(&labels, &v, e);
    if (!rc && labels.len) {
        char *save = NULL;
        report_block *f = report_facts(b->doc, NULL);
        for (char *line = strtok_r(labels.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            char *colon = strchr(line, ':');
            if (colon)
                *colon++ = '\0';
            report_fact_add(b->doc, f, report_print(b->doc, "%s heads", line), colon ? colon + (*colon == ' ') : NULL, false);
        }
    }
    strbuf_free(&labels);
    return rc;
}

static int needle_found(report_build *b, const report_run *r, err *e)
{
    needle_counts n;
    int rc = needle_count(&n, b->st, r->id, e);
    if (!rc && n.all)
        report_text(b->doc, "Run %" PRId64 ": %" PRId64 " of %" PRId64 " trials of a needle in a haystack succeeded (%.1f %%), %"
                    PRId64 " of them with the answer word for word.", r->id, n.counted, n.all,
                    100 * (double)n.counted / (double)n.all, n.exact);
    return rc;
}

/* A value of the whole model, averaged over positions and then over prompts. */
static int model_found(report_build *b, const report_run *r, const char *name, const char *words, err *e)
{
    const cell bind[] = {cell_int(r->id), cell_text(name)};
    stats st;
    if (!report_has(r, name))
        return 0;
    int rc = stats_of_query(&st, b->st, "SELECT avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 AND head IS NULL"
                            " GROUP BY prompt ORDER BY prompt", bind, 2, report_seed(r), e);
    if (!rc && st.n > 1)
        report_text(b->doc, "Run %" PRId64 ": %s %.4g (95 %% interval over %" PRId64 " prompts or trials %.4g to %.4g).", r->id,
                    words, st.mean, st.n, st.low, st.high);
    else if (!rc && st.n == 1)
        report_text(b->doc, "Run %" PRId64 ": %s %.4g.", r->id, words, st.mean);
    return rc;
}

/* "L1H3 0.912, L1H2 0.85 and L2H5 0.61" of a column of heads. */
static const char *highest(report_build *b, const table *t, int col)
{
    enum { MOST = 3 };
    int64_t at[MOST];
    int n = 0;
    for (int64_t i = 0; i < t->n_row; i++) {
        double v = cell_number(table_cell(t, i, col));
        int k = n;
        if (table_cell(t, i, col)->kind == CELL_NULL)
            continue;
        while (k > 0 && v > cell_number(table_cell(t, at[k - 1], col)))
            k--;
        if (k >= MOST)
            continue;
        n += n < MOST;
        for (int j = n - 1; j > k; j--)
            at[j] = at[j - 1];
        at[k] = i;
    }
    const char *text = "";
    for (int k = 0; k < n; k++)
        text = report_print(b->doc, "%s%s%s %.3g", text, k == 0 ? "" : k + 1 == n ? " and " : ", ",
                            cell_string(table_cell(t, at[k], 0)), cell_number(table_cell(t, at[k], col)));
    return text;
}

static int heads_found(report_build *b, report_run *r, err *e)
{
    static const char *const of[] = {"induction", "diagonal_induction", "prev_token", "retrieval", "mqar_value", "copy_source",
                                     "vhd", NULL};
    static const char *const others[] = {"sink", "max", "entropy", "distance", "self", NULL};
    int rc = report_heads(b, r, e), before = b->doc->n;
    for (int i = 0; of[i] && !rc; i++) {
        int col = r->heads ? table_column(r->heads, of[i]) : -1;
        const char *text = col > 0 ? highest(b, r->heads, col) : "";
        if (*text)
            report_text(b->doc, "Run %" PRId64 ": highest mean %s: %s.", r->id, of[i], text);
    }
    for (int i = 0; others[i] && !rc && b->doc->n == before; i++) {
        int col = r->heads ? table_column(r->heads, others[i]) : -1;
        const char *text = col > 0 ? highest(b, r->heads, col) : "";
        if (*text)
            report_text(b->doc, "Run %" PRId64 ": highest mean %s: %s.", r->id, others[i], text);
    }
    return rc;
}

/* From the first layer to the last. */
static int lens_found(report_build *b, const report_run *r, const char *name, err *e)
{
    const cell bind[] = {cell_int(r->id), cell_text(name)};
    table *t = NULL;
    if (!report_has(r, name))
        return 0;
    int rc = store_query(b->st, &t, "SELECT layer, avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 AND layer IS NOT"
                         " NULL GROUP BY layer ORDER BY layer", bind, 2, e);
    if (!rc && t->n_row > 1)
        report_text(b->doc,
                    "Run %" PRId64 ": mean %s over positions is %.3g at layer %" PRId64 " and %.3g at layer %" PRId64 ".", r->id,
                    name, cell_number(table_cell(t, 0, 1)), table_cell(t, 0, 0)->u.i, cell_number(table_cell(t, t->n_row - 1, 1)),
                    table_cell(t, t->n_row - 1, 0)->u.i);
    table_free(t);
    return rc;
}

static int build(report_build *b, err *e)
{
    static const char *const lens[] = {"logit_lens_kl", "logit_lens_rank", "logit_lens_entropy", NULL};
    report_heading(b->doc, 2, "Overview");
    int rc = run_table(b, e);
    for (int i = 0; i < b->n_run && !rc; i++) {
        report_run *r = &b->run[i];
        if (strcmp(r->status, "done") != 0)
            report_text(b->doc, "Run %" PRId64 " is not complete (%s%s%s): its numbers are of what was done.", r->id, r->status,
                        r->message && *r->message ? ": " : "", r->message ? r->message : "");
        rc = strcmp(r->verb, "census") == 0 ? census_found(b, r, e) : 0;
        if (!rc && strcmp(r->verb, "needle") == 0)
            rc = needle_found(b, r, e);
        if (!rc)
            rc = report_effects_found(b, r, e);
        if (!rc && strcmp(r->verb, "patch") == 0)
            rc = report_patch_found(b, r, e);
        if (!rc)
            rc = heads_found(b, r, e);
        if (!rc)
            rc = model_found(b, r, "influence", "mean influence (relative change of loss)", e);
        if (!rc)
            rc = model_found(b, r, "accuracy", report_has(r, "accuracy_edited") ? "mean next-token accuracy without the edit"
                                                                                : "mean next-token accuracy", e);
        if (!rc)
            rc = model_found(b, r, "nll", report_has(r, "nll_edited") ? "mean loss without the edit, in nats a token,"
                                                                      : "mean loss in nats a token", e);
        for (int k = 0; lens[k] && !rc; k++)
            rc = lens_found(b, r, lens[k], e);
    }
    return rc;
}

const report_section report_overview = {
    .name = "overview", .title = "Overview", .summary = "the runs, and what they found in a few lines", .build = build,
};
