#include "cli/compare_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"

/* ---- pairs from the store ---- */

enum { ROW_METRIC, ROW_KIND, ROW_LAYER, ROW_HEAD, ROW_POSITION, ROW_FIRST, ROW_SECOND };

/* Is name one of the words of list? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    return list == NULL;
}

static bool same_place(const table *t, int64_t a, int64_t b)
{
    if (strcmp(cell_string(table_cell(t, a, ROW_METRIC)), cell_string(table_cell(t, b, ROW_METRIC))) != 0 ||
        strcmp(cell_string(table_cell(t, a, ROW_KIND)), cell_string(table_cell(t, b, ROW_KIND))) != 0)
        return false;
    for (int c = ROW_LAYER; c <= ROW_POSITION; c++)
        if (index_of_cell(table_cell(t, a, c)) != index_of_cell(table_cell(t, b, c)))
            return false;
    return true;
}

static void take_place(paired *p, const table *t, int64_t row, int64_t end, double *change)
{
    double first = 0, second = 0, sum = 0;
    *p = (paired){.metric = cell_string(table_cell(t, row, ROW_METRIC)),
                  .head = {kind_of_cell(table_cell(t, row, ROW_KIND)), (int)index_of_cell(table_cell(t, row, ROW_LAYER)),
                           (int)index_of_cell(table_cell(t, row, ROW_HEAD))},
                  .position = index_of_cell(table_cell(t, row, ROW_POSITION)), .n = end - row, .change = change};
    for (int64_t i = row; i < end; i++) {
        double a = cell_number(table_cell(t, i, ROW_FIRST)), b = cell_number(table_cell(t, i, ROW_SECOND));
        first += a;
        second += b;
        sum += change[i - row] = b - a;
    }
    p->first = first / (double)p->n;
    p->second = second / (double)p->n;
    p->mean = sum / (double)p->n;
}

int paired_load(paired_set *out, store *st, int64_t first, int64_t second, const char *suffix, const char *metrics, err *e)
{
    const cell bind[] = {cell_int(first), cell_int(second), cell_text(suffix)};
    *out = (paired_set){0};
    int rc = store_query(st, &out->t,
        "SELECT m.name, s.kind, s.layer, s.head, nullif(a.position, -1), a.value, b.value"
        " FROM unit u JOIN unit w ON w.run_id = ?2 AND w.prompt_index = u.prompt_index AND w.prompt_id = u.prompt_id"
        " JOIN value a ON a.unit_id = u.id JOIN metric m ON m.id = a.metric_id JOIN metric k ON k.name = m.name || ?3"
        " JOIN value b ON b.unit_id = w.id AND b.metric_id = k.id AND b.site_id = a.site_id AND b.position = a.position"
        " JOIN site s ON s.id = a.site_id WHERE u.run_id = ?1 AND u.status = 'done' AND w.status = 'done'"
        " ORDER BY m.name, s.kind, s.layer, s.head, a.position, u.prompt_index", bind, 3, e);
    if (rc)
        return rc;
    const table *t = out->t;
    out->p = mem_array((size_t)t->n_row + 1, sizeof *out->p, e);
    out->change = mem_array((size_t)t->n_row + 1, sizeof *out->change, e);
    if (!out->p || !out->change) {
        paired_free(out);
        return ERR_RESOURCE;
    }
    for (int64_t row = 0, end; row < t->n_row; row = end) {
        for (end = row + 1; end < t->n_row && same_place(t, row, end);)
            end++;
        if (listed(metrics, cell_string(table_cell(t, row, ROW_METRIC))))
            take_place(&out->p[out->n++], t, row, end, out->change + row);
    }
    return 0;
}

void paired_free(paired_set *s)
{
    free(s->p);
    free(s->change);
    table_free(s->t);
    *s = (paired_set){0};
}

/* ---- tables ---- */

enum { COL_MEASURE, COL_PLACE, COL_KIND, COL_LAYER, COL_HEAD, COL_POSITION, COL_FIRST, COL_SECOND, COL_N, COL_MEAN, COL_SD,
       COL_LOW, COL_HIGH, COLS };
static const char *const columns[] = {"measure", "place", "kind", "layer", "head", "position", "first", "second", "n", "mean",
                                      "sd", "low", "high"};

static void place_name(head_text out, head_id h)
{
    if (h.head != NO_INDEX)
        head_format(out, h);
    else if (h.layer != NO_INDEX)
        snprintf(out, sizeof(head_text), "%s%sL%d", h.kind == ATTN_SELF ? "" : attn_kind_name(h.kind),
                 h.kind == ATTN_SELF ? "" : ".", h.layer);
    else
        snprintf(out, sizeof(head_text), "model");
}

static int put_row(table *t, const char *measure, head_id h, int64_t position, const double *first, const double *second,
                   const stats *st, err *e)
{
    cell *row = table_row(t, e);
    head_text name;
    if (!row)
        return ERR_RESOURCE;
    place_name(name, h);
    const char *kind = attn_kind_name(h.kind);
    row[COL_LAYER] = cell_index(h.layer);
    row[COL_HEAD] = cell_index(h.head);
    row[COL_POSITION] = cell_index(position);
    if (first)
        row[COL_FIRST] = cell_real(*first);
    if (second)
        row[COL_SECOND] = cell_real(*second);
    stats_cells(row, COL_N, st);
    int rc = table_text(t, &row[COL_MEASURE], measure, strlen(measure), e);
    if (!rc)
        rc = table_text(t, &row[COL_PLACE], name, strlen(name), e);
    return rc ? rc : table_text(t, &row[COL_KIND], kind, strlen(kind), e);
}

/* A metric of positions as one number a prompt: their mean. */
static int by_prompt(stats *out, bool *there, const compare_report *r, const char *metric, err *e)
{
    const cell bind[] = {cell_int(r->first), cell_text(metric)};
    int rc = stats_of_query(out, r->st, "SELECT avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 GROUP BY prompt"
                            " ORDER BY prompt", bind, 2, r->seed, e);
    *there = !rc && out->n > 0;
    return rc;
}

typedef struct shown {
    paired_set pairs;
    value_groups jsd;
    bool predicts;
    stats kl, agree;
} shown;

/* Changes of a metric of tokens, their mean in each prompt. */
static int token_changes(stats *out, const compare_report *r, const char *name, attn_kind kind, err *e)
{
    const cell bind[] = {cell_int(r->first), cell_int(r->second), cell_text(name), cell_text(r->suffix),
                         cell_text(attn_kind_name(kind))};
    return stats_of_query(out, r->st,
        "SELECT avg(b.value - a.value) FROM unit u JOIN unit w ON w.run_id = ?2 AND w.prompt_index = u.prompt_index"
        " AND w.prompt_id = u.prompt_id JOIN metric m ON m.name = ?3 JOIN metric k ON k.name = ?3 || ?4"
        " JOIN site s ON s.kind = ?5 AND s.layer IS NULL JOIN value a ON a.unit_id = u.id AND a.metric_id = m.id AND"
        " a.site_id = s.id JOIN value b ON b.unit_id = w.id AND b.metric_id = k.id AND b.site_id = a.site_id"
        " AND b.position = a.position WHERE u.run_id = ?1 AND u.status = 'done' AND w.status = 'done'"
        " GROUP BY u.id ORDER BY u.prompt_index", bind, 5, r->seed, e);
}

/* Where the places of the metric and kind at i end. */
static int64_t metric_end(const paired_set *s, int64_t i)
{
    int64_t end = i + 1;
    while (end < s->n && strcmp(s->p[end].metric, s->p[i].metric) == 0 && s->p[end].head.kind == s->p[i].head.kind)
        end++;
    return end;
}

/* Are these the values of a metric of tokens, which as a whole is their mean? */
static bool of_tokens(const paired *p, int64_t n)
{
    return p->head.layer == NO_INDEX && n > 1;
}

/* The mean over tokens as a place of its own. */
static int put_mean(table *t, const compare_report *r, const paired *p, int64_t n, err *e)
{
    double first = 0, second = 0;
    stats st;
    for (int64_t i = 0; i < n; i++) {
        first += p[i].first / (double)n;
        second += p[i].second / (double)n;
    }
    int rc = token_changes(&st, r, p->metric, p->head.kind, e);
    return rc ? rc : put_row(t, p->metric, p->head, NO_INDEX, &first, &second, &st, e);
}

static int print_all(const compare_report *r, const shown *v, err *e)
{
    const head_id whole = {ATTN_SELF, NO_INDEX, NO_INDEX};
    table *t = NULL;
    int rc = table_new(&t, COLS, columns, e);
    if (!rc && v->predicts)
        rc = put_row(t, "logit_kl", whole, NO_INDEX, NULL, NULL, &v->kl, e);
    if (!rc && v->predicts)
        rc = put_row(t, "top1_agree", whole, NO_INDEX, NULL, NULL, &v->agree, e);
    for (int64_t i = 0; i < v->jsd.n && !rc; i++)
        rc = put_row(t, "map_jsd", v->jsd.g[i].head, NO_INDEX, NULL, NULL, &v->jsd.g[i].st, e);
    for (int64_t i = 0, end = 0; i < v->pairs.n && !rc; i++) {
        const paired *p = &v->pairs.p[i];
        stats st;
        if (i == end && (end = metric_end(&v->pairs, i)) && of_tokens(p, end - i))
            rc = put_mean(t, r, p, end - i, e);
        if (rc)
            break;
        rc = stats_of(&st, p->change, p->n, r->seed, e);
        if (!rc)
            rc = put_row(t, p->metric, p->head, p->position, &p->first, &p->second, &st, e);
    }
    if (!rc)
        rc = print_table(r->s, r->a, t, "attnscope.compare/1", e);
    table_free(t);
    return rc;
}

static int by_mean(const void *a, const void *b)
{
    const value_group *x = a, *y = b;
    if (x->st.mean != y->st.mean)
        return x->st.mean > y->st.mean ? -1 : 1;
    if (x->head.layer != y->head.layer)
        return x->head.layer < y->head.layer ? -1 : 1;
    return x->head.head - y->head.head;
}

static int print_jsd(const compare_report *r, const shown *v, int64_t top, err *e)
{
    static const char *const names[] = {"head", "n", "map_jsd", "sd", "low", "high"};
    value_groups all = v->jsd;
    table *t = NULL;
    double sum = 0;
    if (!all.n)
        return 0;
    for (int64_t i = 0; i < all.n; i++)
        sum += all.g[i].st.mean;
    qsort(all.g, (size_t)all.n, sizeof *all.g, by_mean);
    int64_t n = top && top < all.n ? top : all.n;
    int rc = table_new(&t, 6, names, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        head_text name;
        cell *row = table_row(t, e);
        rc = row ? 0 : ERR_RESOURCE;
        if (rc)
            break;
        place_name(name, all.g[i].head);
        stats_cells(row, 1, &all.g[i].st);
        rc = table_text(t, &row[0], name, strlen(name), e);
    }
    strbuf b = {0};
    strbuf_printf(&b, "maps: mean Jensen-Shannon divergence %.4g nats over %" PRId64 " heads; the furthest:\n",
                  sum / (double)all.n, all.n);
    if (!rc)
        rc = table_set_unit(t, 2, "nats", e);
    if (!rc)
        rc = output_prose(r->s, &b, e);
    if (!rc)
        rc = print_table(r->s, r->a, t, "attnscope.compare/1", e);
    strbuf_free(&b);
    table_free(t);
    return rc;
}

/* One line a metric and kind: places from i to end. */
static int put_metric(table *t, const compare_report *r, const paired *p, int64_t n, err *e)
{
    const paired *most = &p[0];
    double first = 0, second = 0, size = 0;
    head_text name;
    stats st;
    strbuf at = {0};
    for (int64_t i = 0; i < n; i++) {
        first += p[i].first;
        second += p[i].second;
        size += fabs(p[i].mean);
        if (fabs(p[i].mean) > fabs(most->mean))
            most = &p[i];
    }
    const bool whole = of_tokens(p, n);
    int rc = whole ? token_changes(&st, r, p->metric, p->head.kind, e) : stats_of(&st, most->change, most->n, r->seed, e);
    cell *row = rc ? NULL : table_row(t, e);
    if (!row)
        return rc ? rc : ERR_RESOURCE;
    place_name(name, most->head);
    strbuf_puts(&at, name);
    if (whole)
        strbuf_puts(&at, ", mean");
    else if (most->position != NO_INDEX)
        strbuf_printf(&at, " %" PRId64, most->position);
    row[1] = cell_int(n);
    row[2] = cell_real(first / (double)n);
    row[3] = cell_real(second / (double)n);
    row[4] = cell_real(size / (double)n);
    row[6] = cell_int(st.n);
    change_cells(&row[7], &st);
    rc = table_text(t, &row[0], p->metric, strlen(p->metric), e);
    if (!rc)
        rc = table_text(t, &row[5], strbuf_str(&at), at.len, e);
    strbuf_free(&at);
    return rc;
}

static int print_metrics(const compare_report *r, const shown *v, err *e)
{
    static const char *const names[] = {"metric", "places", "first", "second", "mean |change|", "most at", "n", "change", "low",
                                        "high"};
    const paired_set *s = &v->pairs;
    table *t = NULL;
    if (!s->n)
        return 0;
    int rc = table_new(&t, 10, names, e);
    for (int64_t i = 0, end; i < s->n && !rc; i = end) {
        end = metric_end(s, i);
        rc = put_metric(t, r, &s->p[i], end - i, e);
    }
    strbuf b = {0};
    strbuf_puts(&b, "metrics: second less first, mean over the prompts; the place where it is largest (of tokens: their mean), "
                    "with its 95 % interval:\n");
    if (!rc)
        rc = output_prose(r->s, &b, e);
    if (!rc)
        rc = print_table(r->s, r->a, t, "attnscope.compare/1", e);
    strbuf_free(&b);
    table_free(t);
    return rc;
}

static int print_head(const compare_report *r, const shown *v, err *e)
{
    strbuf b = {0};
    int rc = 0;
    for (int i = 0; i < (r->first == r->second ? 1 : 2) && !rc; i++) {
        strbuf_printf(&b, "run %" PRId64 ": ", i ? r->second : r->first);
        rc = experiment_conditions(&b, r->st, i ? r->second : r->first, e);
        strbuf_puts(&b, "\n");
    }
    if (v->predicts) {
        strbuf_printf(&b, "predictions: KL divergence %.4g nats a token (%.4g to %.4g), same most likely token %.2f %% "
                      "(%.2f to %.2f)\n", v->kl.mean, v->kl.low, v->kl.high, 100 * v->agree.mean, 100 * v->agree.low,
                      100 * v->agree.high);
    }
    if (!rc)
        rc = output_prose(r->s, &b, e);
    strbuf_free(&b);
    return rc;
}

static bool all_equal(const shown *v)
{
    bool equal = !v->predicts || (v->kl.mean == 0 && v->agree.mean == 1);
    for (int64_t i = 0; i < v->jsd.n; i++)
        equal = equal && v->jsd.g[i].st.mean == 0;
    for (int64_t i = 0; i < v->pairs.n; i++)
        for (int64_t k = 0; k < v->pairs.p[i].n; k++)
            equal = equal && v->pairs.p[i].change[k] == 0;
    return equal;
}

int compare_print(compare_report *r, err *e)
{
    shown v = {0};
    bool one = r->first == r->second, people = command_format(r->s, r->a) == FORMAT_TABLE;
    int rc = paired_load(&v.pairs, r->st, r->first, r->second, r->suffix, r->metrics, e);
    if (!rc && one)
        rc = experiment_groups(&v.jsd, r->st, r->first, "map_jsd", NULL, NULL, r->seed, e);
    if (!rc && one)
        rc = by_prompt(&v.kl, &v.predicts, r, "logit_kl", e);
    if (!rc && one)
        rc = by_prompt(&v.agree, &v.predicts, r, "top1_agree", e);
    if (!rc && !one && v.pairs.n == 0) {
        err_set(e, ERR_FAILED, "runs %" PRId64 " and %" PRId64 " have no values of the same metrics on the same prompts",
                r->first,
                r->second);
        rc = err_hint(e, "`runs` lists what they are; measure both with the same --prompts and --metrics");
    }
    r->equal = !rc && all_equal(&v);
    if (!rc && !people)
        rc = print_all(r, &v, e);
    if (!rc && people)
        rc = print_head(r, &v, e);
    if (!rc && people)
        rc = print_jsd(r, &v, params_int(r->a->p, "top"), e);
    if (!rc && people)
        rc = print_metrics(r, &v, e);
    paired_free(&v.pairs);
    free(v.jsd.g);
    return rc;
}
