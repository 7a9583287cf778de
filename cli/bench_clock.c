/* What the forms of `bench` share: the model, timing, and what the machine gives at most. */
#include "cli/bench.h"
#include <stdlib.h>
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "compute/tile_plan.h"

#define LEAST_SECONDS 0.03
enum { READ_BYTES = 512 << 20, READ_STEP = 4096, ROUNDS = 1 << 16 };

int bench_model(session *s, const command_args *a, loaded_model **out, err *e)
{
    int rc = choose_model(s, a, true, out, e);
    if (rc || (*out)->m->needs == NEEDS_TOKENS)
        return rc;
    err_set(e, ERR_USAGE, "%s reads more than tokens", (*out)->m->name);
    return err_hint(e, "bench takes models of text alone");
}

static int drop_value(void *ud, const result_value *v, err *e)
{
    (void)ud, (void)v, (void)e;
    return 0;
}

const result_sink bench_no_results = {drop_value, NULL, NULL};

static double time_calls(const bench_clock *c, int64_t calls, bool every_thread, pool_fn work, void *ud)
{
    const double start = clock_seconds();
    for (int64_t i = 0; i < calls && !cancel_requested(); i++)
        if (every_thread)
            pool_run(c->p, pool_threads(c->p), work, ud);
        else
            work(ud, 0, 0);
    return clock_seconds() - start;
}

int bench_seconds(double *out, bench_clock *c, bool every_thread, pool_fn work, void *ud, err *e)
{
    const double least = c->least > 0 ? c->least : LEAST_SECONDS;
    int64_t calls = 1;
    double t = time_calls(c, 1, every_thread, work, ud);
    while (t < least && !cancel_requested()) {
        calls = t > 0 ? (int64_t)(1.2 * least / t * (double)calls) + 1 : calls * 16;
        t = time_calls(c, calls, every_thread, work, ud);
    }
    *out = t / (double)calls;
    for (int64_t i = 1; i < c->repeat && !cancel_requested(); i++) {
        t = time_calls(c, calls, every_thread, work, ud) / (double)calls;
        *out = t < *out ? t : *out;
    }
    c->done++;
    if (c->all > 0)
        progress_step(&c->s->prog, c->what, (double)c->done, (double)c->all);
    return cancel_check(e);
}

float *bench_floats(int64_t n, err *e)
{
    float *x = mem_large((size_t)n * sizeof *x, e);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-24f - 0.5f;
    return x;
}

typedef struct limit_job {
    const kernels *k;
    const float *x;
    int64_t share;       /* floats of x that a thread reads */
    float *sink;         /* [threads] */
    int flop;
} limit_job;

static void multiply_adds(void *ud, int64_t item, int thread)
{
    limit_job *j = ud;
    int flop;
    (void)thread;
    j->sink[item] += j->k->multiply_adds(ROUNDS, &flop);
    if (item == 0)
        j->flop = flop;
}

static void tile_multiply_adds(void *ud, int64_t item, int thread)
{
    limit_job *j = ud;
    int flop;
    (void)thread;
    j->sink[item] += j->k->tiles->multiply_adds(ROUNDS, &flop);
    if (item == 0)
        j->flop = flop;
}

static void read_memory(void *ud, int64_t item, int thread)
{
    const limit_job *j = ud;
    const float *x = j->x + item * j->share;
    (void)thread;
    for (int64_t i = 0; i + READ_STEP <= j->share; i += READ_STEP)
        j->sink[item] += j->k->dot(j->x, x + i, READ_STEP);
}

int bench_limits_measure(bench_limits *out, bench_clock *c, bool reading, err *e)
{
    const int threads = pool_threads(c->p);
    limit_job j = {.k = kernels_get(), .share = READ_BYTES / (int)sizeof(float) / threads / READ_STEP * READ_STEP};
    float *x = bench_floats(reading ? j.share * threads : 1, e);
    double seconds;
    int rc = x && (j.sink = mem_array((size_t)threads, sizeof *j.sink, e)) ? 0 : ERR_RESOURCE;
    j.x = x;
    if (!rc && !(rc = bench_seconds(&seconds, c, true, multiply_adds, &j, e)))
        out->flops = (double)j.flop * ROUNDS * threads / seconds;
    out->tiles = 0;
    if (!rc && j.k->tiles->bf16 && !(rc = bench_seconds(&seconds, c, true, tile_multiply_adds, &j, e)))
        out->tiles = (double)j.flop * ROUNDS * threads / seconds;
    if (!rc && reading && !(rc = bench_seconds(&seconds, c, true, read_memory, &j, e)))
        out->read = (double)(j.share * threads) * sizeof *x / seconds;
    free(j.sink);
    mem_free_large(x);
    return rc;
}

double bench_product_limit(const bench_limits *l, precision prec, int right_terms)
{
    const tile_plan p = tile_plan_for(kernels_get(), prec, right_terms);
    int products = 0;
    for (int i = 0; i < p.left; i++)
        for (int j = 0; j < p.right; j++)
            products += i + j < (p.left > p.right ? p.left : p.right);
    return p.t ? l->tiles / products : l->flops;
}
