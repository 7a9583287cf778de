/* position_curve and sparsity_curve: what keys receive, and how few of them hold the attention. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_series.h"

/* More values than this are averaged by the store alone, without a band. */
enum { MOST_ROWS = 2000000 };

typedef struct choice {
    head_id head;              /* NO_INDEX: all */
    bool given;
} choice;

static int choose_head(choice *out, const series_source *ss, err *e)
{
    const char *text = params_str(ss->a->p, "head");
    *out = (choice){.head = {ATTN_SELF, NO_INDEX, NO_INDEX}, .given = text != NULL};
    if (!text || head_parse(&out->head, text))
        return 0;
    err_set(e, ERR_USAGE, "'%s' is no head", text);
    return err_hint(e, "write it as L3H7");
}

/* One run: heads averaged over prompts first, then mean and quartiles over heads at each position. */
static int load_run(series_source *ss, int run, const char *name, const choice *h, bool *band, err *e)
{
    const cell more[] = {cell_index(h->head.layer), cell_index(h->head.head)};
    table *t = NULL;
    int rc = series_query(&t, ss, run, name, "count(*)", "AND head IS NOT NULL HAVING count(*) > 0", NULL, e);
    if (rc)
        return rc;
    *band = !h->given && table_cell(t, 0, 0)->u.i <= MOST_ROWS;
    table_free(t);
    rc = series_query(&t, ss, run, name, "position, avg(value)",
                      *band      ? "AND head IS NOT NULL GROUP BY position, layer, head ORDER BY position, layer, head"
                      : h->given ? "AND layer = ?5 AND head = ?6 GROUP BY position ORDER BY position"
                                 : "AND head IS NOT NULL GROUP BY position ORDER BY position",
                      h->given ? more : NULL, e);
    if (!rc)
        rc = series_means(ss, run, ss->label[run], t, *band ? BAND_QUARTILES : BAND_NONE, e);
    table_free(t);
    return rc;
}

/* ---- position_curve ---- */

/* received-divisor of the run: true when sums were divided by all queries. */
static int divided_by_all(bool *out, const series_source *ss, int run, err *e)
{
    const char *how;
    int rc = figure_setting(&how, ss->src, ss->st, ss->run[run], "received-divisor", e);
    *out = !rc && how && strcmp(how, "all") == 0;
    return rc;
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int prompt_lengths(int64_t **out, int64_t *n, const series_source *ss, int run, err *e)
{
    const cell bind[] = {cell_int(ss->run[run]), cell_text(series_kind_name(ss, run)),
                         cell_index(ss->one_prompt ? params_int(ss->a->p, "prompt") : NO_INDEX)};
    table *t = NULL;
    int rc = store_query(ss->st, &t, "SELECT count(*) FROM prompt_token WHERE run = ?1 AND sequence = ?2 AND (?3 IS NULL OR"
                         " prompt = ?3) GROUP BY prompt", bind, 3, e);
    if (rc)
        return rc;
    *n = t->n_row;
    *out = mem_array((size_t)*n + 1, sizeof **out, e);
    for (int64_t i = 0; *out && i < *n; i++)
        (*out)[i] = table_cell(t, i, 0)->u.i;
    table_free(t);
    if (!*out)
        return ERR_RESOURCE;
    qsort(*out, (size_t)*n, sizeof **out, by_length);
    return 0;
}

/* Attention spread evenly over all keys that a query sees under a causal mask: key k of n receives 1 / (q + 1) from
 * query q >= k.  The mean over prompts that have the key, as for the data. */
static int put_uniform(series_source *ss, int run, bool causal, err *e)
{
    series_room r;
    int64_t *length = NULL, n = 0;
    bool all = false;
    int rc = divided_by_all(&all, ss, run, e);
    if (!rc)
        rc = prompt_lengths(&length, &n, ss, run, e);
    int64_t most = n ? length[n - 1] : 0;
    if (!rc && most > 0)
        rc = series_add(&r, ss, SERIES_LINE, causal ? "uniform causal attention" : "uniform attention", 6, most, false, e);
    if (!rc && most > 0)
        r.f->plain = true;
    for (int64_t i = 0; !rc && i < n; i++) {
        double sum = 0; /* of 1 / (q + 1) from k on */
        for (int64_t k = length[i] - 1; k >= 0; k--) {
            sum += 1 / (double)(k + 1);
            double v = causal ? sum / (double)(all ? length[i] : length[i] - k) : 1 / (double)length[i];
            r.x[k] = (double)k;
            r.y[k] = (isnan(r.y[k]) ? 0 : r.y[k]) + v;
        }
    }
    for (int64_t k = 0, longer = 0; !rc && k < most; k++) {
        while (longer < n && length[longer] <= k)
            longer++;
        r.y[k] /= (double)(n - longer);
    }
    free(length);
    return rc;
}

int figure_load_positions(series_source *ss, err *e)
{
    figure_source *src = ss->src;
    choice h;
    bool band = false;
    int rc = choose_head(&h, ss, e);
    for (int i = 0; i < ss->n_run && !rc; i++) {
        rc = load_run(ss, i, "received", &h, &band, e);
        if (!rc && ss->n_run == 1)
            ss->series[0].label = !h.given ? "mean over heads" : ss->facet == FACET_HEAD ? "the head"
                : params_str(ss->a->p, "head");
    }
    const char *kind = series_kind_name(ss, 0);
    if (!rc && strcmp(kind, "cross") != 0)
        rc = put_uniform(ss, 0, strcmp(kind, "self") == 0, e);
    if (rc)
        return rc;
    if (band)
        strbuf_puts(&ss->note, "band: quartiles of the heads");
    if (ss->n_run > 1 && strcmp(kind, "cross") != 0)
        strbuf_printf(&ss->note, "%suniform: of the lengths of %s", ss->note.len ? "; " : "", ss->label[0]);
    ss->chart.whole = true;
    src->d.col_axis = "key position";
    src->d.quantity = "mean attention received";
    src->d.unit = "";
    src->label = mem_strdup(h.given ? params_str(ss->a->p, "head") : "received", e);
    if (!src->label)
        return ERR_RESOURCE;
    return series_titles(ss, h.given && ss->facet != FACET_HEAD
                         ? figure_text(src, e, "attention received by position, %s", params_str(ss->a->p, "head"))
                                     : "attention received by position", e);
}

/* ---- sparsity_curve ---- */

int figure_load_top(series_source *ss, err *e)
{
    figure_source *src = ss->src;
    choice h;
    bool band = false;
    int rc = choose_head(&h, ss, e);
    for (int i = 0; i < ss->n_run && !rc; i++)
        rc = load_run(ss, i, "top_k_mass", &h, &band, e);
    if (rc)
        return rc;
    if (ss->n_run == 1)
        ss->series[0].label = h.given && ss->facet != FACET_HEAD ? params_str(ss->a->p, "head") : NULL;
    if (!h.given)
        strbuf_printf(&ss->note, "line: mean over heads%s", band ? "; band: quartiles of the heads" : "");
    ss->chart.whole = true;
    src->d.col_axis = "largest weights of a query, k";
    src->d.quantity = "attention mass kept";
    src->d.unit = "";
    src->label = mem_strdup(h.given ? params_str(ss->a->p, "head") : "top_k_mass", e);
    if (!src->label)
        return ERR_RESOURCE;
    rc = series_titles(ss, "attention mass of the k largest weights", e);
    src->d.lo = 0;
    src->d.hi = 1;
    return rc;
}
