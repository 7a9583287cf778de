/* Runs of `patch`: where what was put in brought the clean answer back. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "cli/experiment.h"
#include "cli/report.h"

enum { MOST_PLACES = 20 };

/* Names of normalised values: patch_z, path_effect; not the raw scores beside them. */
static bool is_effect(const report_run *r, const char *name)
{
    char raw[80];
    const char *score;
    if (strcmp(name, "path_effect") == 0)
        return true;
    if (strncmp(name, "patch_", 6) != 0)
        return false;
    for (int i = 0; i < r->n_metric; i++) {
        snprintf(raw, sizeof raw, "%.40s_", name);
        score = strncmp(r->metric[i], raw, strlen(raw)) == 0 ? r->metric[i] + strlen(raw) : "";
        if (strcmp(score, "kl") == 0 || strcmp(score, "logit_diff") == 0)
            return true;
    }
    return false;
}

/* Value of a place that changes nothing. */
static double neutral_of(const report_run *r)
{
    json *root = NULL;
    err ignored = {0};
    bool noise = false;
    if (json_parse(&root, r->settings, strlen(r->settings), "settings", &ignored) == 0) {
        const char *way = json_str(json_get(root, "direction"), NULL);
        noise = way && strcmp(way, "noise") == 0;
    }
    json_free(root);
    return noise ? 1 : 0;
}

static const char *place_words(report_build *b, const value_group *g, const char *metric)
{
    head_text head;
    if (g->head.head != NO_INDEX && (strcmp(metric, "patch_k") == 0 || strcmp(metric, "patch_v") == 0))
        return report_print(b->doc, "L%dKV%d", g->head.layer, g->head.head);
    if (g->head.head != NO_INDEX) {
        head_format(head, g->head);
        return report_print(b->doc, "%s", head);
    }
    return g->position == NO_INDEX ? report_print(b->doc, "L%d", g->head.layer)
                                   : report_print(b->doc, "L%d, position %" PRId64, g->head.layer, g->position);
}

static int compare(const value_group *x, const value_group *y, double neutral)
{
    double p = fabs(x->st.mean - neutral), q = fabs(y->st.mean - neutral);
    if (p != q)
        return p > q ? -1 : 1;
    if (x->head.layer != y->head.layer)
        return x->head.layer - y->head.layer;
    if (x->head.head != y->head.head)
        return x->head.head - y->head.head;
    return (x->position > y->position) - (x->position < y->position);
}

static int far_from_0(const void *a, const void *b)
{
    return compare(a, b, 0);
}

static int far_from_1(const void *a, const void *b)
{
    return compare(a, b, 1);
}

/* Places of a metric, the strongest first; free(g->g). */
static int strongest(value_groups *g, report_build *b, const report_run *r, const char *metric, err *e)
{
    int rc = experiment_groups(g, b->st, r->id, metric, NULL, NULL, report_seed(r), e);
    if (rc)
        return rc;
    if (g->n)
        qsort(g->g, (size_t)g->n, sizeof *g->g, neutral_of(r) > 0 ? far_from_1 : far_from_0);
    return 0;
}

static const char *token_at(report_build *b, const report_run *r, int64_t position, bool one, err *e)
{
    const cell bind[] = {cell_int(r->id), cell_int(position)};
    table *t = NULL;
    const char *text = "";
    if (position == NO_INDEX || !one)
        return text;
    if (store_query(b->st, &t, "SELECT text FROM prompt_token WHERE run = ?1 AND prompt = 0 AND sequence = 'self' AND position ="
                               " ?2",
                    bind, 2, e) == 0 && t->n_row)
        text = report_visible(b->doc, cell_string(table_cell(t, 0, 0)), false);
    table_free(t);
    return text ? text : "";
}

static int places_table(report_build *b, const report_run *r, const char *metric, err *e)
{
    static const char *const names[] = {"place", "token", "n", "mean", "sd", "low", "high"};
    value_groups g = {0};
    table *t = NULL;
    bool one = report_prompts_read(b, r->id) == 1;
    int rc = strongest(&g, b, r, metric, e);
    if (!rc)
        rc = table_new(&t, 7, names, e);
    for (int64_t i = 0; i < g.n && i < MOST_PLACES && !rc; i++) {
        const char *place = place_words(b, &g.g[i], metric), *word = token_at(b, r, g.g[i].position, one, e);
        cell *c = table_row(t, e);
        rc = c ? table_text(t, &c[0], place, strlen(place), e) : ERR_RESOURCE;
        if (!rc && *word)
            rc = table_text(t, &c[1], word, strlen(word), e);
        if (!rc)
            stats_cells(c, 2, &g.g[i].st);
    }
    bool path = strcmp(metric, "path_effect") == 0;
    if (!rc)
        report_table(b->doc, t, "%s by place, the strongest %" PRId64 " of %" PRId64 ": %s.", metric,
                     g.n < MOST_PLACES ? g.n : (int64_t)MOST_PLACES, g.n,
                     path ? "(m - m_clean) / (m_corrupted - m_clean), 0 none, 1 all of the corruption"
                          : "recovery (m - m_corrupted) / (m_clean - m_corrupted), 1 as the clean prompt, 0 "
                            "as the corrupted one");
    else
        table_free(t);
    free(g.g);
    return rc;
}

/* "logit_diff of the clean prompt 3.2, of the corrupted one -1.1" */
static int ends(report_build *b, const report_run *r, err *e)
{
    static const char *const of[] = {"patch_clean", "patch_corrupted"};
    double v[2] = {0};
    value_groups g = {0};
    json *root = NULL;
    err ignored = {0};
    const char *score = NULL;
    if (!report_has(r, of[0]) || !report_has(r, of[1]))
        return 0;
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        rc = experiment_means(&g, b->st, r->id, of[i], NULL, NULL, e);
        v[i] = !rc && g.n ? g.g[0].st.mean : 0;
        if (!rc)
            free(g.g);
    }
    if (rc)
        return rc;
    if (json_parse(&root, r->settings, strlen(r->settings), "settings", &ignored) == 0)
        score = json_str(json_get(root, "metric"), NULL);
    report_text(b->doc, "Run %" PRId64 ": %s is %.4g on the clean prompt and %.4g on the corrupted one, mean "
                                       "of %" PRId64 " pair%s.", r->id,
                score ? score : "the score", v[0], v[1], (int64_t)report_setting(r, "n", 1), report_setting(r, "n", 1) == 1 ? ""
                    : "s");
    json_free(root);
    return 0;
}

int report_patch(report_build *b, const report_run *r, err *e)
{
    int rc = ends(b, r, e);
    for (int i = 0; i < r->n_metric && !rc; i++)
        if (is_effect(r, r->metric[i]))
            rc = places_table(b, r, r->metric[i], e);
    return rc;
}

int report_patch_found(report_build *b, const report_run *r, err *e)
{
    int rc = 0;
    for (int i = 0; i < r->n_metric && !rc; i++) {
        value_groups g = {0};
        if (!is_effect(r, r->metric[i]))
            continue;
        rc = strongest(&g, b, r, r->metric[i], e);
        const char *text = "";
        for (int64_t k = 0; k < g.n && k < 3 && !rc; k++)
            text = report_print(b->doc, "%s%s%s: %.3g", text, k ? "; " : "", place_words(b, &g.g[k], r->metric[i]),
                                g.g[k].st.mean);
        if (*text)
            report_text(b->doc, "Run %" PRId64 ": strongest %s of %" PRId64 " places: %s.", r->id, r->metric[i], g.n, text);
        if (!rc)
            free(g.g);
    }
    return rc;
}

int report_plot_patch(report_build *b, const report_run *r, err *e)
{
    int rc = 0;
    for (int i = 0; i < r->n_metric && !rc; i++) {
        report_grid *g;
        const char *name = r->metric[i];
        if (!is_effect(r, name))
            continue;
        rc = report_grid_places(&g, b, r, name, strcmp(name, "path_effect") == 0
                                ? "share of the corruption that arrives: 0 none, 1 all"
                                : "recovery with one activation replaced: 1 as the clean prompt, 0 as the corrupted one", e);
        if (!rc)
            rc = report_plot_grid(b, g, e);
    }
    return rc;
}
