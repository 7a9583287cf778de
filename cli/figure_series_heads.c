/* score_curve and layer_curve: the values of heads, ranked, and by layer. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/stats.h"
#include "cli/command_util.h"
#include "cli/figure_series.h"

/* ---- names ---- */

/* "sink of key 0"; what the y axis says. */
static int name_metric(series_source *ss, const metric *m, int64_t position, const char *suffix, err *e)
{
    figure_source *src = ss->src;
    bool sink = strcmp(m->name, "sink") == 0;
    const char *words = series_words(ss, m->name, e);
    if (!words)
        return ERR_RESOURCE;
    src->d.quantity = sink ? figure_text(src, e, "mean attention weight of key %" PRId64, position) : words;
    src->d.unit = m->unit;
    const char *what = position == NO_INDEX ? figure_text(src, e, "%s%s", words, suffix)
                       : sink               ? figure_text(src, e, "sink of key %" PRId64 "%s", position, suffix)
                                            : figure_text(src, e, "%s at %s %" PRId64 "%s", words, metric_axis_names[m->axis],
                                                          position, suffix);
    if (!src->d.quantity || !what)
        return ERR_RESOURCE;
    src->label = mem_strdup(m->name, e);
    return src->label ? series_titles(ss, what, e) : ERR_RESOURCE;
}

static const char *layer_axis(const char *kind)
{
    return strcmp(kind, "enc") == 0     ? "encoder layer"
           : strcmp(kind, "cross") == 0 ? "layer (cross attention)"
           : strcmp(kind, "vis") == 0   ? "image tower layer"
                                        : "layer";
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
        ss->rules[ss->chart.n_rules++] = (figure_rule){threshold, false, label};
    }
    ss->chart.whole = true;
    ss->src->d.col_axis = "rank of the head";
    return name_metric(ss, m, position, ", heads ranked", e);
}

/* ---- layer_curve ---- */

typedef enum band { BAND_HEADS, BAND_PROMPTS, BAND_NONE } band;

/* Rows of (layer, value), layers in order: the values of each layer become a point. */
static int put_layers(series_source *ss, int run, const table *t, band how, err *e)
{
    series_room r;
    int64_t n_layer = 0, n = 0;
    int rc = 0;
    for (int64_t i = 0; i < t->n_row; i++)
        n_layer += i == 0 || table_cell(t, i, 0)->u.i != table_cell(t, i - 1, 0)->u.i;
    double *v = mem_array((size_t)t->n_row + 1, sizeof *v, e);
    if (!v || series_add(&r, ss, SERIES_LINE, ss->n_run > 1 ? ss->label[run] : NULL, run, n_layer, how != BAND_NONE, e)) {
        free(v);
        return e->code;
    }
    for (int64_t i = 0, end; i < t->n_row && !rc; i = end, n++) {
        for (end = i; end < t->n_row && table_cell(t, end, 0)->u.i == table_cell(t, i, 0)->u.i; end++)
            v[end - i] = cell_number(table_cell(t, end, 1));
        r.x[n] = (double)table_cell(t, i, 0)->u.i;
        if (how != BAND_PROMPTS) {
            series_spread(&r, n, v, end - i);
            continue;
        }
        stats st;
        rc = stats_of(&st, v, end - i, 0, e);
        if (!rc) {
            r.y[n] = st.mean;
            r.low[n] = st.low;
            r.high[n] = st.high;
        }
    }
    free(v);
    return rc;
}

static int choose_band(band *out, series_source *ss, const metric *m, err *e)
{
    const char *how = params_str(ss->a->p, "band");
    *out = strcmp(how, "prompts") == 0 ? BAND_PROMPTS : strcmp(how, "none") == 0 ? BAND_NONE : BAND_HEADS;
    if (*out == BAND_HEADS && m->scope == METRIC_LAYER) {
        if (params_given(ss->a->p, "band")) {
            err_set(e, ERR_USAGE, "%s has one value a layer: there is no band over heads", m->name);
            return err_hint(e, "use --band prompts or --band none");
        }
        *out = ss->n_prompt[0] > 1 ? BAND_PROMPTS : BAND_NONE;
    }
    for (int i = 0; i < ss->n_run && *out == BAND_PROMPTS; i++) {
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
    band how = BAND_NONE;
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
                              how == BAND_PROMPTS
                                  ? "AND layer IS NOT NULL AND position IS ?5 GROUP BY layer, prompt ORDER BY layer, prompt"
                                  : "AND layer IS NOT NULL AND position IS ?5 GROUP BY layer, head ORDER BY layer, head",
                              more, e);
        if (!rc)
            rc = put_layers(ss, i, t, how, e);
        table_free(t);
    }
    if (rc)
        return rc;
    if (m->scope == METRIC_HEAD)
        strbuf_puts(&ss->note, "line: mean over heads");
    if (how == BAND_HEADS)
        strbuf_puts(&ss->note, "; band: quartiles of the heads of a layer");
    if (how == BAND_PROMPTS)
        strbuf_printf(&ss->note, "%sband: bootstrap 95 %% interval of the mean over prompts", ss->note.len ? "; " : "");
    ss->chart.whole = true;
    ss->src->d.col_axis = layer_axis(series_kind_name(ss, 0));
    return name_metric(ss, m, position, " by layer", e);
}
