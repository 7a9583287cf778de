/* score_curve and layer_curve: the values of heads, ranked, and by layer. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_series.h"

/* ---- names ---- */

/* "sink of key 0"; what the y axis says. */
static int name_metric(series_source *ss, const metric *m, int64_t position, const char *suffix, err *e)
{
    figure_source *src = ss->src;
    bool sink = strcmp(m->name, "sink") == 0;
    const char *words = figure_words(ss->src, m->name, e);
    if (!words)
        return ERR_RESOURCE;
    src->d.quantity = sink ? figure_text(src, e, "mean attention weight of key %" PRId64, position) : words;
    src->d.unit = m->unit;
    const char *what = ss->facet == FACET_METRIC ? figure_text(src, e, "values of heads%s", suffix)
                       : position == NO_INDEX ? figure_text(src, e, "%s%s", words, suffix)
                       : sink               ? figure_text(src, e, "sink of key %" PRId64 "%s", position, suffix)
                                            : figure_text(src, e, "%s at %s %" PRId64 "%s", words, metric_axis_names[m->axis],
                                                          position, suffix);
    if (!src->d.quantity || !what)
        return ERR_RESOURCE;
    src->label = mem_strdup(m->name, e);
    return src->label ? series_titles(ss, what, e) : ERR_RESOURCE;
}

/* ---- score_curve ---- */

/* "7 of 36 heads above 0.1, highest L1H2 0.91, L0H3 0.9, L2H2 0.88"; of several runs "heads above 0.1: A (7 of 36);
 * B (3 of 36)". */
static void note_ranking(series_source *ss, int run, const table *t, const double *threshold)
{
    strbuf *b = &ss->note;
    int64_t above = 0;
    for (int64_t i = 0; threshold && i < t->n_row; i++)
        above += cell_number(table_cell(t, i, 2)) > *threshold;
    if (ss->n_run > 1) {
        if (threshold && run == 0)
            strbuf_printf(b, "heads above %g", *threshold);
        if (threshold)
            strbuf_printf(b, "%s %s (%" PRId64 " of %" PRId64 ")", run ? ";" : ":", ss->label[run], above, t->n_row);
        return;
    }
    if (threshold)
        strbuf_printf(b, "%" PRId64 " of %" PRId64 " heads above %g, ", above, t->n_row, *threshold);
    strbuf_puts(b, "highest ");
    for (int64_t i = 0; i < t->n_row && i < 3; i++)
        strbuf_printf(b, "%sL%" PRId64 "H%" PRId64 " %.3g", i ? ", " : "", table_cell(t, i, 0)->u.i,
                      table_cell(t, i, 1)->u.i, cell_number(table_cell(t, i, 2)));
}

int figure_load_ranking(series_source *ss, err *e)
{
    const metric *m;
    const params *p = ss->a->p;
    double threshold = params_real(p, "threshold");
    bool given = params_given(p, "threshold");
    int64_t position = NO_INDEX;
    int rc = series_metric(&m, ss, false, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        table *t = NULL;
        series_room r;
        if (i == 0)
            rc = series_position(&position, ss, i, m->name, e);
        const cell more[] = {cell_index(position), cell_index(NO_INDEX)};
        if (!rc)
            rc = series_query(&t, ss, i, m->name, "layer, head, avg(value) AS v",
                              "AND head IS NOT NULL AND position IS ?5 GROUP BY layer, head ORDER BY v DESC, layer, head", more,
                              e);
        if (!rc)
            rc = series_add(&r, ss, SERIES_LINE, ss->n_run > 1 ? ss->label[i] : NULL, i, t->n_row, false, e);
        for (int64_t k = 0; !rc && k < t->n_row; k++) {
            r.x[k] = (double)(k + 1);
            r.y[k] = cell_number(table_cell(t, k, 2));
        }
        if (!rc)
            note_ranking(ss, i, t, given ? &threshold : NULL);
        table_free(t);
    }
    if (rc)
        return rc;
    if (given) {
        const char *label = figure_text(ss->src, e, "threshold %g", threshold);
        if (!label)
            return ERR_RESOURCE;
        ss->rules[ss->chart.n_rules++] = (figure_rule){threshold, label};
    }
    ss->chart.whole = true;
    ss->src->d.col_axis = "rank of the head";
    return name_metric(ss, m, position, ", heads ranked", e);
}

/* ---- layer_curve ---- */

static int choose_band(series_band *out, series_source *ss, const metric *m, err *e)
{
    const char *how = params_str(ss->a->p, "band");
    *out = strcmp(how, "prompts") == 0 ? BAND_BOOTSTRAP : strcmp(how, "none") == 0 ? BAND_NONE : BAND_QUARTILES;
    if (*out == BAND_QUARTILES && m->scope == METRIC_LAYER) {
        if (params_given(ss->a->p, "band")) {
            err_set(e, ERR_USAGE, "%s has one value a layer: there is no band over heads", m->name);
            return err_hint(e, "use --band prompts or --band none");
        }
        *out = ss->n_prompt[0] > 1 ? BAND_BOOTSTRAP : BAND_NONE;
    }
    for (int i = 0; i < ss->n_run && *out == BAND_BOOTSTRAP; i++) {
        if (ss->n_prompt[i] < 2) {
            err_set(e, ERR_USAGE, "run %" PRId64 " is drawn over one prompt: no interval over prompts", ss->run[i]);
            return err_hint(e, "measure several with --prompts or --builtin, or use --band heads");
        }
    }
    return 0;
}

int figure_load_layers(series_source *ss, err *e)
{
    const metric *m;
    series_band how = BAND_NONE;
    int64_t position = NO_INDEX;
    int rc = series_metric(&m, ss, true, e);
    if (!rc)
        rc = choose_band(&how, ss, m, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        table *t = NULL;
        if (i == 0)
            rc = series_position(&position, ss, i, m->name, e);
        const cell more[] = {cell_index(position), cell_index(NO_INDEX)};
        if (!rc)
            rc = series_query(&t, ss, i, m->name, "layer, avg(value)",
                              how == BAND_BOOTSTRAP
                                  ? "AND layer IS NOT NULL AND position IS ?5 GROUP BY layer, prompt ORDER BY layer, prompt"
                                  : "AND layer IS NOT NULL AND position IS ?5 GROUP BY layer, head ORDER BY layer, head",
                              more, e);
        if (!rc)
            rc = series_means(ss, i, ss->n_run > 1 ? ss->label[i] : NULL, t, how, e);
        table_free(t);
    }
    if (rc)
        return rc;
    if (m->scope == METRIC_HEAD)
        strbuf_puts(&ss->note, "line: mean over heads");
    if (how == BAND_QUARTILES)
        strbuf_puts(&ss->note, "; band: quartiles of the heads of a layer");
    if (how == BAND_BOOTSTRAP)
        strbuf_printf(&ss->note, "%sband: bootstrap 95 %% interval of the mean over prompts", ss->note.len ? "; " : "");
    ss->chart.whole = true;
    ss->src->d.col_axis = figure_layer_axis(attn_kind_named(series_kind_name(ss, 0), ATTN_SELF));
    return name_metric(ss, m, position, " by layer", e);
}
