/* One long prompt over ranks: `mpirun -n N bench/bench_ring MODEL LENGTH [REPEATS [METRIC]]`, one thread a rank.
 *
 * For row statistics (keys around the ring) and for tiles (keys gathered), and for both ways to share positions out: the
 * best wall time of a forward pass, the processor time of the busiest rank without its waiting and of all ranks together,
 * and what a rank sends in a layer.  Processor time without waiting says what a machine with a core for each rank would do,
 * also where ranks share cores.  The last column is the most memory that rank 0 has held so far, the model's file
 * included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "analysis/ring.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int drop(void *ud, const result_value *v, err *e)
{
    (void)ud, (void)v, (void)e;
    return 0;
}

typedef struct timing { double wall, work, waited; uint64_t bytes; } timing;

/* One pass; pieces 0: this rank alone, no ring. */
static int once(timing *t, runtime *r, const model *m, const int32_t *ids, int64_t n, const char *metric_name, int pieces,
                err *e)
{
    params *p = NULL;
    attn_ring *ring = NULL;
    const metric *const one[] = {metric_find(metric_name)};
    const result_sink out = {drop, NULL, NULL};
    double busy = 0;
    int rc = params_new(&p, e);
    if (!rc && one[0]->params)
        rc = params_use(p, one[0]->params, e);
    const analysis_request req = {.metrics = one, .n_metric = 1, .p = p};
    const sequence_split split = {.n = n, .ranks = ranks_size(), .rank = ranks_rank(), .pieces = pieces};
    if (!rc && pieces)
        rc = attn_ring_new(&ring, &split, e);
    rc = ranks_agree(rc, e);
    runtime_set_ring(r, ring);
    double wall = clock_seconds(), work = processor_seconds();
    if (!rc)
        rc = analyse(r, m, &(model_input){.ids = ids, .n = n}, &req, &out, NULL, e);
    *t = (timing){.wall = clock_seconds() - wall, .work = processor_seconds() - work};
    runtime_set_ring(r, NULL);
    if (ring) {
        t->waited = attn_ring_waited(ring, &busy);
        t->work -= busy;
        t->bytes = attn_ring_bytes(ring);
    }
    attn_ring_free(ring);
    params_free(p);
    return rc;
}

/* Numbers of all ranks on rank 0. */
static void collect(timing *all, const timing *mine)
{
    all[0] = *mine;
    for (int rank = 1; rank < ranks_size(); rank++) {
        if (ranks_rank() == rank)
            ranks_send(mine, sizeof *mine, 0);
        if (ranks_rank() == 0)
            ranks_receive(&all[rank], sizeof *all, rank);
    }
}

static double most_memory(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static int measure(runtime *r, const model *m, const int32_t *ids, int64_t n, const char *metric_name, int pieces, int repeats,
                   err *e)
{
    timing *all = mem_array((size_t)ranks_size(), sizeof *all, e), best = {.wall = 1e30, .work = 1e30};
    double sum = 1e30;
    int rc = all ? 0 : ERR_RESOURCE;
    for (int i = 0; i < repeats && !rc; i++) {
        timing mine;
        if ((rc = once(&mine, r, m, ids, n, metric_name, pieces, e)))
            break;
        collect(all, &mine);
        double most = 0, total = 0;
        for (int rank = 0; rank < ranks_size(); rank++) {
            most = all[rank].work > most ? all[rank].work : most;
            total += all[rank].work;
        }
        best.wall = all[0].wall < best.wall ? all[0].wall : best.wall;
        best.work = most < best.work ? most : best.work;
        sum = total < sum ? total : sum;
        best.bytes = mine.bytes;
    }
    if (!rc && ranks_rank() == 0)
        printf("%-8s  %5d  %6d  %7.3f  %13.3f  %9.3f  %14.1f  %8.1f\n", metric_name, ranks_size(), pieces, best.wall,
               best.work, sum, (double)best.bytes / 1024 / m->main->n_layer, most_memory());
    free(all);
    return rc;
}

int main(int argc, char **argv)
{
    err e = {0};
    model *m = NULL;
    runtime *r = NULL;
    int rc = ranks_begin(&e), repeats = argc > 3 ? atoi(argv[3]) : 3;
    if (!rc && argc < 3)
        rc = err_set(&e, ERR_USAGE, "usage: bench_ring MODEL LENGTH [REPEATS [entropy|sink]]");
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    int32_t *ids = mem_array((size_t)n + 1, sizeof *ids, &e);
    if (!rc && !(rc = model_open(&m, argv[1], &e)))
        rc = runtime_new(&r, m, 1, PRECISION_F32, &e);
    if (!rc && !m->main->embed.positions.data && n > m->main->context)
        m->main->context = n; /* for the time alone: what comes out has no meaning */
    rc = ranks_agree(ids ? rc : ERR_RESOURCE, &e);
    if (!rc) {
        rng random;
        rng_seed(&random, 1, 0);
        for (int64_t i = 0; i < n; i++)
            ids[i] = (int32_t)rng_below(&random, m->main->embed.tokens.n_out);
        if (ranks_rank() == 0)
            printf("%s, %lld tokens, 1 thread a rank\nmetric    ranks  pieces   wall s  busiest cpu s  all cpu s  KiB sent/layer"
                   "   MiB most\n",
                   m->name, (long long)n);
        for (int tiles = 0; tiles < 2 && !rc; tiles++)
            for (int pieces = ranks_size() > 1 ? 1 : 0; pieces <= (ranks_size() > 1 ? 2 : 0) && !rc; pieces++)
                if (argc < 5 || strcmp(argv[4], tiles ? "sink" : "entropy") == 0)
                    rc = measure(r, m, ids, n, tiles ? "sink" : "entropy", pieces, repeats, &e);
    }
    if (rc && ranks_rank() == 0)
        fprintf(stderr, "bench_ring: %s\n", e.msg);
    free(ids);
    runtime_free(r);
    model_free(m);
    ranks_end();
    return rc;
}
