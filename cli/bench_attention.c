/* bench attention: one layer of instrumented attention, by length, with and without what the taps see. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/command_util.h"
#include "cli/number_list.h"
#include "compute/attention.h"
#include "compute/tiles.h"

typedef struct bench_job {
    const command_args *a;
    bench_clock c;
    bench_limits limits;
    attn_scratch *scratch;
    attn_args args;
    float *q, *k, *v, *out;
    double *columns;          /* [heads in flight, chunks, n] sums of weights */
    double *masses;           /* [heads in flight, chunks, 2] */
    int64_t n, in_flight, chunks;
    const attn_tap *tap;
    int rc;
    table *t;
} bench_job;

static void take_rows(void *ud, const attn_rows *r)
{
    (void)ud, (void)r;
}

enum { FIRST = 4, WINDOW = 64 };

static bool reads_masses(void *ud, const attn_tile *t)
{
    const int64_t first = t->pos0 + t->q0, last = first + t->n_query - 1;
    (void)ud;
    return t->k0 < FIRST || (t->k0 <= last && t->k0 + t->n_key > first - WINDOW + 1);
}

/* What every query gives the first keys, and those of a window that ends at it. */
static void take_masses(void *ud, const attn_tile *t)
{
    bench_job *j = ud;
    double *sum = j->masses + 2 * ((t->head % j->in_flight) * j->chunks + t->chunk);
    for (int64_t q = 0; q < t->n_query; q++) {
        const int64_t pos = t->pos0 + t->q0 + q, last = t->k0 + t->n_key;
        float first = 0, window = 0;
        for (int64_t k = t->k0; k < FIRST && k < last; k++)
            first += t->probs[q * t->q_stride + (k - t->k0) * t->k_stride];
        for (int64_t k = pos - WINDOW + 1 > t->k0 ? pos - WINDOW + 1 : t->k0; k <= pos && k < last; k++)
            window += t->probs[q * t->q_stride + (k - t->k0) * t->k_stride];
        sum[0] += (double)first;
        sum[1] += (double)window;
    }
}

/* What every key receives as well. */
static void take_columns(void *ud, const attn_rows *r)
{
    bench_job *j = ud;
    double *sum = j->columns + ((r->head % j->in_flight) * j->chunks + r->chunk) * j->n + r->k0;
    for (int64_t k = 0; k < r->n_column; k++)
        sum[k] += r->columns[k];
}

static void attend(void *ud, int64_t item, int thread)
{
    bench_job *j = ud;
    (void)item, (void)thread;
    if (!j->rc)
        j->rc = attention(j->scratch, &j->args, j->tap, NULL);
}

/* Query-key pairs of a head that are visible. */
static double visible_pairs(const attn_args *a)
{
    const double n = (double)a->n_query, w = a->window > 0 && (double)a->window < n ? (double)a->window : n;
    return w * n - w * (w - 1) / 2;
}

static int measure(bench_job *j, const char *what, const attn_tap *tap, double *plain, err *e)
{
    const double flop = visible_pairs(&j->args) * j->args.n_head * 2.0 * (j->args.d_qk + j->args.d_v);
    double seconds;
    j->tap = tap;
    int rc = bench_seconds(&seconds, &j->c, false, attend, j, e);
    if (!rc && j->rc)
        rc = err_nomem(e, "panels of attention");
    cell *row = rc ? NULL : table_row(j->t, e);
    if (!row)
        return rc ? rc : ERR_RESOURCE;
    *plain = tap ? *plain : seconds;
    row[0] = cell_int(j->n);
    row[2] = cell_real(seconds);
    row[3] = cell_real(100 * (seconds / *plain - 1));
    row[4] = cell_real(flop / seconds * 1e-9);
    row[5] = cell_real(100 * flop / seconds / bench_product_limit(&j->limits, j->args.prec, TILE_TERMS));
    return table_text(j->t, &row[1], what, strlen(what), e);
}

static void free_operands(bench_job *j)
{
    mem_free_large(j->q);
    mem_free_large(j->k);
    mem_free_large(j->v);
    mem_free_large(j->out);
    mem_free_large(j->columns);
    mem_free_large(j->masses);
    j->q = j->k = j->v = j->out = NULL;
    j->columns = j->masses = NULL;
}

static int measure_length(bench_job *j, int64_t n, err *e)
{
    const unsigned rows = ATTN_NEED_LSE | ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_SELF | ATTN_NEED_PREV |
                          ATTN_NEED_DISTANCE;
    const attn_tap row_tap = {.need = rows, .rows = take_rows};
    const attn_tap mass_tap = {
        .need = rows | ATTN_NEED_PROBS, .rows = take_rows, .tile = take_masses, .ud = j, .reads = reads_masses,
    };
    attn_tap column_tap = mass_tap;
    column_tap.need |= ATTN_NEED_COLUMNS;
    column_tap.rows = take_columns;
    attn_args *a = &j->args;
    const int64_t wide = (int64_t)a->n_head * a->d_qk, narrow = (int64_t)a->n_kv_head * a->d_qk;
    double plain = 0;
    j->n = n;
    j->chunks = attn_chunks(n);
    j->in_flight = attn_heads_in_flight(pool_threads(j->c.p), a->n_head, n);
    free_operands(j);
    if (!(j->q = bench_floats(n * wide, e)) || !(j->k = bench_floats(n * narrow, e)) || !(j->v = bench_floats(n * narrow, e)) ||
        !(j->out = bench_floats(n * wide, e)) ||
        !(j->columns = mem_large((size_t)(n * j->chunks * j->in_flight) * sizeof *j->columns, e)) ||
        !(j->masses = mem_large((size_t)(2 * j->chunks * j->in_flight) * sizeof *j->masses, e)))
        return ERR_RESOURCE;
    a->n_query = a->n_key = n;
    a->q = j->q;
    a->k = j->k;
    a->v = j->v;
    a->out = j->out;
    a->ldq = a->ldo = wide;
    a->ldk = a->ldv = narrow;
    int rc = measure(j, "none", NULL, &plain, e);
    if (!rc)
        rc = measure(j, "rows", &row_tap, &plain, e);
    if (!rc)
        rc = measure(j, "and masses", &mass_tap, &plain, e);
    return rc ? rc : measure(j, "and columns", &column_tap, &plain, e);
}

static int check_shape(const command_args *a, err *e)
{
    const int64_t heads = params_int(a->p, "heads"), kv = params_int(a->p, "kv-heads");
    if (kv > 0 && heads % kv) {
        err_set(e, ERR_USAGE, "--kv-heads: %lld heads are not shared out evenly by %lld", (long long)heads, (long long)kv);
        return err_hint(e, "take a divisor of --heads");
    }
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"length", "statistics", "seconds", "added", "gflops", "of_peak"};
    bench_job j = {.a = a};
    const int64_t kv = params_int(a->p, "kv-heads");
    double *lengths = NULL;
    int64_t n = 0;
    int rc = check_shape(a, e);
    if (!rc)
        rc = number_list_parse(&lengths, &n, params_str(a->p, "lengths"), 1, 1 << 20, "--lengths", e);
    if (!rc)
        rc = pool_new(&j.c.p, (int)option_threads(s, a), e);
    if (!rc)
        rc = attn_scratch_new(&j.scratch, j.c.p, e);
    if (!rc)
        rc = table_new(&j.t, sizeof columns / sizeof *columns, columns, e);
    if (!rc && (!(rc = table_set_unit(j.t, 2, "s", e))) && !(rc = table_set_unit(j.t, 3, "%", e)) &&
        !(rc = table_set_unit(j.t, 4, "GFLOP/s", e)))
        rc = table_set_unit(j.t, 5, "%", e);
    j.c.s = s;
    j.c.repeat = params_int(a->p, "repeat");
    j.c.what = "attention";
    j.c.all = 3 * n + 2;
    j.args.n_head = (int)params_int(a->p, "heads");
    j.args.n_kv_head = kv > 0 ? (int)kv : j.args.n_head;
    j.args.d_qk = j.args.d_v = (int)params_int(a->p, "width");
    j.args.window = params_int(a->p, "window");
    j.args.causal = true;
    j.args.scale = 0.125f;
    j.args.prec = option_precision(s, a);
    if (!rc)
        rc = bench_limits_measure(&j.limits, &j.c, false, e);
    for (int64_t i = 0; i < n && !rc; i++)
        rc = measure_length(&j, (int64_t)lengths[i], e);
    if (!rc)
        rc = print_table(s, a, j.t, "attnscope.bench_attention/1", e);
    if (!rc)
        say(s, "%d thread%s; causal, both products counted; multiply-adds in registers: %.4g GFLOP/s", pool_threads(j.c.p),
            pool_threads(j.c.p) == 1 ? "" : "s", j.limits.flops * 1e-9);
    if (!rc && j.limits.tiles > 0)
        say(s, "bfloat16 products in registers: %.4g GFLOP/s", j.limits.tiles * 1e-9);
    free(lengths);
    table_free(j.t);
    free_operands(&j);
    attn_scratch_free(j.scratch);
    pool_free(j.c.p);
    return rc;
}

static const char *const options[] = {"repeat", "lengths", "heads", "kv-heads", "width", "window", "precision", NULL};
const bench_form bench_attention = {"attention", false, options, run};
