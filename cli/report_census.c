/* census: every head of a run in one table, and the names that a census gives. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/census_table.h"
#include "cli/report.h"

/* A copy of the table of heads, which stays with the run for its figures. */
static int copy_table(table **out, const table *t, err *e)
{
    int rc = table_new(out, t->n_col, (const char *const *)t->column, e);
    for (int c = 0; c < t->n_col && !rc; c++)
        rc = t->unit[c] ? table_set_unit(*out, c, t->unit[c], e) : 0;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        cell *row = table_row(*out, e);
        rc = row ? 0 : ERR_RESOURCE;
        for (int c = 0; c < t->n_col && !rc; c++) {
            const cell *from = table_cell(t, i, c);
            row[c] = *from;
            if (from->kind == CELL_TEXT)
                rc = table_text(*out, &row[c], from->u.s, strlen(from->u.s), e);
        }
    }
    return rc;
}

/* "\nL1H2 L1H3" of the line of a label in what census_labels gives; *n: how many heads. */
static const char *heads_of(report_build *b, const report_run *r, const char *label, int64_t *n)
{
    const table *t = r->heads;
    int col = table_column(t, "labels");
    const char *text = "";
    size_t len = strlen(label);
    *n = 0;
    for (int64_t i = 0; col > 0 && i < t->n_row; i++) {
        const char *have = cell_string(table_cell(t, i, col));
        bool fits = false;
        for (const char *s = have; *s && !fits; s += strcspn(s, ","), s += strspn(s, ", "))
            fits = strncmp(s, label, len) == 0 && (s[len] == ',' || !s[len]);
        if (!fits)
            continue;
        if (++*n <= 24)
            text = report_print(b->doc, "%s%s%s", text, *text ? " " : "", cell_string(table_cell(t, i, 0)));
        else if (*n == 25)
            text = report_print(b->doc, "%s …", text);
    }
    return text;
}

static int label_table(report_build *b, const report_run *r, err *e)
{
    static const char *const names[] = {"label", "heads", "score", "above", "meaning of the score", "which"};
    table *t = NULL;
    int rc = table_new(&t, 6, names, e);
    for (int i = 0; census_rules[i].label && !rc; i++) {
        const census_rule *rule = &census_rules[i];
        int64_t n;
        const char *heads = heads_of(b, r, rule->label, &n);
        cell *c = table_row(t, e);
        if (!c)
            rc = ERR_RESOURCE;
        const char *const texts[] = {rule->label, NULL, rule->score, NULL, rule->words, heads};
        for (int k = 0; k < 6 && !rc; k++)
            rc = texts[k] ? table_text(t, &c[k], texts[k], strlen(texts[k]), e) : 0;
        if (!rc) {
            c[1] = cell_int(n);
            c[3] = cell_real(rule->bound);
        }
    }
    if (!rc)
        report_table(b->doc, t, "Names of heads: a head has a name where the score is above the bound; a head may have several.");
    else
        table_free(t);
    return rc;
}

/* The score that gave a head its label, over its units: n, mean, sd and interval. */
static int labelled_table(report_build *b, const report_run *r, err *e)
{
    static const char *const names[] = {"head", "label", "score", "n", "mean", "sd", "low", "high"};
    static const double *const no_bound = NULL;
    table *t = NULL;
    double threshold = report_sink_threshold(r);
    int rc = table_new(&t, 8, names, e), col = table_column(r->heads, "labels");
    for (int i = 0; census_rules[i].label && !rc; i++) {
        const census_rule *rule = &census_rules[i];
        const census_score *score = census_scores;
        int64_t n;
        while (score->name && strcmp(score->name, rule->score) != 0)
            score++;
        if (!score->name || !*heads_of(b, r, rule->label, &n))
            continue;
        value_groups g = {0};
        char *units;
        rc = report_units(&units, NULL, b, r, score->metric, e);
        if (!rc)
            rc = experiment_groups(&g, b->st, r->id, score->metric, units, score->rate ? &threshold : no_bound, report_seed(r),
                                   e);
        for (int64_t row = 0; row < r->heads->n_row && !rc; row++) {
            const char *head = cell_string(table_cell(r->heads, row, 0));
            head_id h;
            const value_group *of = head_parse(&h, head) ? value_groups_find(&g, h, score->position) : NULL;
            if (!strstr(cell_string(table_cell(r->heads, row, col)), rule->label) || !of || !(of->st.mean > rule->bound))
                continue;
            cell *c = table_row(t, e);
            rc = c ? table_text(t, &c[0], head, strlen(head), e) : ERR_RESOURCE;
            if (!rc)
                rc = table_text(t, &c[1], rule->label, strlen(rule->label), e);
            if (!rc)
                rc = table_text(t, &c[2], rule->score, strlen(rule->score), e);
            if (!rc)
                stats_cells(c, 3, &of->st);
        }
        free(g.g);
        free(units);
    }
    if (!rc)
        report_table(b->doc, t, "Heads with a name: the score that gave it, its mean and standard deviation over the prompts or "
                     "trials, and the 95 %% bootstrap interval of the mean.");
    else
        table_free(t);
    return rc;
}

static int build(report_build *b, err *e)
{
    report_run *r = b->one;
    table *t = NULL;
    int rc = report_heads(b, r, e);
    if (rc || r->heads->n_row == 0 || r->heads->n_col < 2)
        return rc;
    bool census = strcmp(r->verb, "census") == 0;
    report_heading(b->doc, b->level, census ? "Census of the heads" : "Heads");
    if (census)
        rc = label_table(b, r, e);
    if (!rc)
        rc = copy_table(&t, r->heads, e);
    if (rc) {
        table_free(t);
        return rc;
    }
    report_table(b->doc, t, "All %" PRId64 " heads of run %" PRId64 ": means over its prompts or trials%s.", r->heads->n_row,
                 r->id,
                 census                                     ? "; sink_rate is the share of the texts in which a head is a sink"
                 : table_column(r->heads, "sink") > 0 ? "; sink is of the first key that was asked for"
                                                            : "");
    return census ? labelled_table(b, r, e) : 0;
}

const report_section report_census = {
    .name = "census", .title = "Heads", .summary = "every head with its scores as a table that can be sorted, and their names",
    .per_run = true, .build = build,
};
