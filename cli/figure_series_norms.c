/* norm_profile: the size of the residual stream by layer. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_series.h"

/* Rows of (layer, value) as a line. */
static int put_line(series_source *ss, int run, const char *name, const char *tail, int64_t position, const char *label,
                    int look, err *e)
{
    const cell more[] = {cell_index(position), cell_index(NO_INDEX)};
    series_room r;
    table *t = NULL;
    int rc = series_query(&t, ss, run, name, "layer, avg(value)", tail, more, e);
    if (!rc)
        rc = series_add(&r, ss, SERIES_LINE, label, look, t->n_row, false, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        r.x[i] = cell_number(table_cell(t, i, 0));
        r.y[i] = cell_number(table_cell(t, i, 1));
    }
    table_free(t);
    return rc;
}

static const char at_position[] = "AND layer IS NOT NULL AND head IS NULL AND position IS ?5 GROUP BY layer ORDER BY layer";

static int has_values(bool *yes, const series_source *ss, const char *name, err *e)
{
    const cell bind[] = {cell_int(ss->run[0]), cell_text(name)};
    int64_t any;
    int rc = query_count(&any, ss->st, "SELECT 1 FROM value_list WHERE run = ?1 AND metric = ?2 LIMIT 1", bind, 2, e);
    *yes = any;
    return rc;
}

static const char *title_of(const series_source *ss, const char *own)
{
    return ss->facet == FACET_METRIC ? "residual stream by layer" : own;
}

/* One run: the three largest and the median.  Several: the largest and the median of each. */
static int load_massive(series_source *ss, err *e)
{
    static const char *const rank[] = {"largest", "second", "third"};
    figure_source *src = ss->src;
    bool median = false;
    int rc = has_values(&median, ss, "massive_median", e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        bool one = ss->n_run == 1;
        for (int k = 0; k < (one ? 3 : 1) && !rc; k++) {
            const char *label = one ? rank[k] : figure_text(src, e, "%s, largest", ss->label[i]);
            rc = label ? put_line(ss, i, "massive_top", at_position, k, label, one ? k : 2 * i, e) : ERR_RESOURCE;
        }
        const char *label = one ? "median" : figure_text(src, e, "%s, median", ss->label[i]);
        if (!rc && median)
            rc = label ? put_line(ss, i, "massive_median", at_position, NO_INDEX, label, one ? 3 : 2 * i + 1, e) : ERR_RESOURCE;
    }
    if (rc)
        return rc;
    src->d.quantity = "absolute activation";
    src->label = mem_strdup("massive_top", e);
    return src->label ? series_titles(ss, title_of(ss, "largest activations of the residual stream"), e) : ERR_RESOURCE;
}

static int load_norm(series_source *ss, err *e)
{
    figure_source *src = ss->src;
    int64_t position = NO_INDEX;
    int rc = series_position(&position, ss, 0, "residual_norm", e);
    for (int i = 0; i < ss->n_run && !rc; i++)
        rc = put_line(ss, i, "residual_norm", at_position, position, ss->n_run > 1 ? ss->label[i] : NULL, i, e);
    if (rc)
        return rc;
    src->d.quantity = position == NO_INDEX ? "Euclidean norm, mean over tokens"
                                           : figure_text(src, e, "Euclidean norm of token %lld", (long long)position);
    src->label = mem_strdup("residual_norm", e);
    if (!src->d.quantity || !src->label)
        return ERR_RESOURCE;
    return series_titles(ss, title_of(ss, "norm of the residual stream"), e);
}

int figure_load_norms(series_source *ss, err *e)
{
    const char *name = params_str(ss->a->p, "metric");
    bool massive = true, length = false;
    int rc = 0;
    if (name && strcmp(name, "massive_top") != 0 && strcmp(name, "residual_norm") != 0) {
        err_set(e, ERR_USAGE, "a profile is made of massive_top or residual_norm, not of %s", name);
        return err_hint(e, "`plot layer_curve --metric %s` draws values by layer", name);
    }
    if (name) {
        massive = strcmp(name, "massive_top") == 0;
    } else {
        rc = has_values(&massive, ss, "massive_top", e);
        if (!rc && !massive)
            rc = has_values(&length, ss, "residual_norm", e);
        massive |= !length; /* neither: the error names the first */
    }
    ss->chart.whole = true;
    ss->src->d.col_axis = "layer that reads the stream";
    ss->src->d.unit = "";
    if (!rc)
        strbuf_puts(&ss->note, "the last point is the output of the last layer");
    return rc ? rc : massive ? load_massive(ss, e) : load_norm(ss, e);
}
