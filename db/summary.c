/* The values of a run, added up over its prompts.
 *
 * Sums are taken in the order of the prompts, whatever the order in which they were computed or merged, in
 * extended precision: the same values give the same summary, bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "db/internal.h"

/* One place: the mean and the sum of squared differences from it grow as in Welford (1962).  Long double also
 * because the sum of two finite values may not be one. */
typedef struct place {
    int64_t site, position, n;
    long double mean, squares;
    double min, max;
} place;

typedef struct places {
    place *at;      /* [n] in the order of site and position, as in `value` */
    size_t n, cap;
} places;

/* What there is for one metric of a run. */
typedef struct sums {
    store *s;
    sqlite3_stmt *values;  /* ?1 unit, ?2 metric */
    int64_t *unit;         /* [n_unit] in the order of the prompts */
    size_t n_unit;
    int64_t *metric;       /* [n_metric] */
    size_t n_metric;
    places now, next;
} sums;

static const char doing[] = "adding up values";

static int ids(store *s, int64_t **out, size_t *n, const char *sql, int64_t run_id, err *e)
{
    table *t = NULL;
    const cell bind[] = {cell_int(run_id)};
    int code = store_query(s, &t, sql, bind, 1, e);
    *n = 0;
    *out = code ? NULL : mem_array((size_t)t->n_row + 1, sizeof **out, e);
    if (!code && !*out)
        code = ERR_RESOURCE;
    for (int64_t i = 0; !code && i < t->n_row; i++)
        (*out)[(*n)++] = row_int(t, i, 0);
    table_free(t);
    return code;
}

static int sums_open(sums *g, store *s, int64_t run_id, err *e)
{
    *g = (sums){.s = s};
    int code = ids(s, &g->unit, &g->n_unit, "SELECT id FROM unit WHERE run_id = ?1 ORDER BY prompt_index",
                   run_id, e);
    if (!code)
        code = ids(s, &g->metric, &g->n_metric, "SELECT id FROM metric m WHERE EXISTS (SELECT 1 FROM unit u"
                   " JOIN value v ON"
                   " v.unit_id = u.id AND v.metric_id = m.id WHERE u.run_id = ?1)", run_id, e);
    return code ? code : store_prepare(s, &g->values, "SELECT site_id, position, value FROM value WHERE"
                                       " unit_id = ?1"
                                       " AND metric_id = ?2 ORDER BY site_id, position", doing, e);
}

static void sums_close(sums *g)
{
    sqlite3_finalize(g->values);
    free(g->unit);
    free(g->metric);
    free(g->now.at);
    free(g->next.at);
}

static int push(places *p, const place *x, err *e)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 1024;
        place *at = mem_grow(p->at, cap, sizeof *at, e);
        if (!at)
            return ERR_RESOURCE;
        p->at = at;
        p->cap = cap;
    }
    p->at[p->n++] = *x;
    return 0;
}

static int compare(const place *x, const place *y)
{
    if (x->site != y->site)
        return x->site < y->site ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

static void add(place *p, double x)
{
    long double from = (long double)x - p->mean;
    p->n++;
    p->mean += from / (long double)p->n;
    p->squares += from * ((long double)x - p->mean);
    p->min = x < p->min ? x : p->min;
    p->max = x > p->max ? x : p->max;
}

/* Merge the values of one unit, which come sorted, into the sorted places of those before. */
static int add_unit(sums *g, int64_t unit, int64_t metric, err *e)
{
    bool row = true;
    size_t i = 0;
    int code = 0;
    g->next.n = 0;
    sqlite3_bind_int64(g->values, 1, unit);
    sqlite3_bind_int64(g->values, 2, metric);
    while (!code) {
        code = store_step(g->s, g->values, &row, doing, e);
        if (code || !row)
            break;
        double x = sqlite3_column_double(g->values, 2);
        place p = {sqlite3_column_int64(g->values, 0), sqlite3_column_int64(g->values, 1), 0, 0, 0, x, x};
        while (!code && i < g->now.n && compare(&g->now.at[i], &p) < 0)
            code = push(&g->next, &g->now.at[i++], e);
        if (i < g->now.n && compare(&g->now.at[i], &p) == 0)
            p = g->now.at[i++];
        add(&p, x);
        if (!code)
            code = push(&g->next, &p, e);
    }
    while (!code && i < g->now.n)
        code = push(&g->next, &g->now.at[i++], e);
    sqlite3_reset(g->values);
    places swap = g->now;
    g->now = g->next;
    g->next = swap;
    return code;
}

static int add_metric(sums *g, int64_t metric, err *e)
{
    int code = 0;
    g->now.n = 0;
    for (size_t i = 0; !code && i < g->n_unit; i++) {
        code = cancel_check(e);
        if (!code)
            code = add_unit(g, g->unit[i], metric, e);
    }
    return code;
}

/* NULL (NaN) when n is 1, or when it is beyond a double. */
static double sd_of(const place *p)
{
    double sd = p->n > 1 ? (double)sqrtl(p->squares / (long double)(p->n - 1)) : NAN;
    return isfinite(sd) ? sd : NAN;
}

static int by_position(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->site > y->site) - (x->site < y->site);
}

static int write_metric(sums *g, int64_t run_id, int64_t metric, err *e)
{
    sqlite3_stmt *q = NULL;
    int code = store_begin(g->s, e);
    if (code)
        return code;
    code = add_metric(g, metric, e);
    if (!code)
        code = store_prepare(g->s, &q, "INSERT OR REPLACE INTO summary (run_id, metric_id, position,"
                             " site_id, n, mean, sd,"
                             " min, max) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", doing, e);
    if (!code && g->now.n > 1)
        qsort(g->now.at, g->now.n, sizeof *g->now.at, by_position); /* the order of the table: rows are
                                                                     * appended */
    for (size_t i = 0; !code && i < g->now.n; i++) {
        const place *p = &g->now.at[i];
        sqlite3_bind_int64(q, 1, run_id);
        sqlite3_bind_int64(q, 2, metric);
        sqlite3_bind_int64(q, 3, p->position);
        sqlite3_bind_int64(q, 4, p->site);
        sqlite3_bind_int64(q, 5, p->n);
        sqlite3_bind_double(q, 6, (double)p->mean);
        sqlite3_bind_double(q, 7, sd_of(p)); /* NaN is NULL */
        sqlite3_bind_double(q, 8, p->min);
        sqlite3_bind_double(q, 9, p->max);
        code = store_step(g->s, q, NULL, doing, e);
    }
    sqlite3_finalize(q);
    if (!code)
        return store_commit(g->s, e);
    store_rollback(g->s);
    return code;
}

/* Claim the summary of the run with a number of our own, which is gone when somebody changes units or values,
 * or begins the same work. */
static int claim(store *s, int64_t run_id, int64_t *mine, err *e)
{
    int code = store_begin(s, e);
    if (code)
        return code;
    code = store_one_int(s, mine, NULL, "SELECT -1 - (random() & 4611686018427387903)", NULL, 0, doing, e);
    const cell bind[] = {cell_int(run_id), cell_int(*mine)};
    if (!code)
        code = store_do(s, "UPDATE run SET summed = ?2 WHERE id = ?1", bind, 2, doing, e);
    if (!code)
        code = store_do(s, "DELETE FROM summary WHERE run_id = ?1", bind, 1, doing, e);
    if (!code)
        return store_commit(s, e);
    store_rollback(s);
    return code;
}

int summary_write(store *s, int64_t run_id, err *e)
{
    sums g = {0};
    int64_t mine, ignored;
    bool worth;
    const cell run = cell_int(run_id), least[] = {run, cell_int(SUMMARY_PROMPTS)};
    int code = store_one_int(s, &ignored, &worth, "SELECT 1 FROM run WHERE id = ?1 AND summed <> 1 AND"
                             " status <> 'running'"
                             " AND (SELECT count(*) FROM unit WHERE run_id = ?1) >= ?2", least, 2, doing, e);
    if (code || !worth)
        return code;
    code = cancel_check(e);
    if (!code)
        code = claim(s, run_id, &mine, e);
    if (!code)
        code = sums_open(&g, s, run_id, e);
    for (size_t i = 0; !code && i < g.n_metric; i++)
        code = write_metric(&g, run_id, g.metric[i], e);
    sums_close(&g);
    const cell bind[] = {run, cell_int(code ? 0 : mine)};
    return code ? code : store_do(s, "UPDATE run SET summed = 1 WHERE id = ?1 AND summed = ?2", bind, 2,
                                  doing, e);
}

/* ---- what check asks ---- */

static int compare_metric(sums *g, int64_t run_id, int64_t metric, int64_t *same, int64_t *wrong, err *e)
{
    sqlite3_stmt *q = NULL;
    int code = add_metric(g, metric, e);
    if (!code)
        code = store_prepare(g->s, &q, "SELECT 1 FROM summary WHERE run_id = ?1 AND metric_id = ?2 AND"
                             " position = ?3 AND"
                             " site_id = ?4 AND n = ?5 AND mean = ?6 AND sd IS ?7 AND min = ?8 AND max = ?9",
                             doing, e);
    for (size_t i = 0; !code && i < g->now.n; i++) {
        const place *p = &g->now.at[i];
        double sd = sd_of(p);
        bool row = false;
        const cell bind[] = {cell_int(run_id), cell_int(metric), cell_int(p->position), cell_int(p->site),
                             cell_int(p->n),
                             cell_real((double)p->mean), isnan(sd) ? (cell){0} : cell_real(sd),
                             cell_real(p->min),
                             cell_real(p->max)};
        code = store_bind(g->s, q, bind, 9, doing, e);
        if (!code)
            code = store_step(g->s, q, &row, doing, e);
        *(row ? same : wrong) += !code;
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return code;
}

int summary_check(store *s, int64_t run_id, int64_t *wrong, err *e)
{
    sums g = {0};
    int64_t same = 0, rows = 0;
    const cell run = cell_int(run_id);
    *wrong = 0;
    int code = store_one_int(s, &rows, NULL, "SELECT count(*) FROM summary WHERE run_id = ?1", &run, 1,
                             doing, e);
    if (!code)
        code = sums_open(&g, s, run_id, e);
    for (size_t i = 0; !code && i < g.n_metric; i++)
        code = compare_metric(&g, run_id, g.metric[i], &same, wrong, e);
    sums_close(&g);
    *wrong += rows > same + *wrong ? rows - same - *wrong : 0; /* of places that have no value */
    return code;
}
