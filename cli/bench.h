/* Forms of the command `bench`: a file each (cli/bench_*.c) and a line in cli/commands/bench.c. */
#ifndef ATTNSCOPE_CLI_BENCH_H
#define ATTNSCOPE_CLI_BENCH_H

#include "base/pool.h"
#include "base/result.h"
#include "base/table.h"
#include "cli/command.h"
#include "compute/gemm.h"

typedef struct bench_form {
    const char *name;               /* first word behind `bench` */
    bool model;                     /* takes MODEL */
    const char *const *options;     /* of those of the command, NULL-terminated: the others are refused */
    int (*run)(session *s, const command_args *a, err *e); /* a without the form's name */
} bench_form;

extern const bench_form *const bench_forms[]; /* NULL-terminated */
extern const bench_form bench_metrics, bench_kernels, bench_gemm, bench_attention, bench_run;

/* The model of the command, ready to run; ERR_USAGE: it reads more than tokens. */
int bench_model(session *s, const command_args *a, loaded_model **out, err *e);
/* Takes results and forgets them. */
extern const result_sink bench_no_results;

/* Who measures. */
typedef struct bench_clock {
    session *s;
    pool *p;
    int64_t repeat;                 /* measurements of each, the best counts */
    double least;                   /* seconds that a measurement lasts at least; 0: 30 ms */
    const char *what;               /* of progress: "kernel" */
    int64_t done, all;              /* for progress */
} bench_clock;

/* Seconds of one call of work: as many calls as last 30 ms (least), the best of repeat.  every_thread: a call is one item
 * for each thread of the pool, all at once; else one item on this thread, which may use the pool itself.  ERR_CANCELLED. */
int bench_seconds(double *out, bench_clock *c, bool every_thread, pool_fn work, void *ud, err *e);

/* What the machine gives with the kernels in use, all threads together, measured in this process. */
typedef struct bench_limits {
    double flops;                   /* float32 operations of multiply-adds in registers, a second */
    double tiles;                   /* bfloat16 operations of tiles in registers, a second; 0: no product takes these */
    double read;                    /* bytes read from memory, a second */
} bench_limits;
/* reading: that too, which takes some hundred MiB. */
int bench_limits_measure(bench_limits *out, bench_clock *c, bool reading, err *e);
/* The most operations a second that products with right operands of so many terms can reach (tile_plan.h). */
double bench_product_limit(const bench_limits *l, precision prec, int right_terms);

/* n floats between -1/2 and 1/2: mem_free_large.  NULL and *e: no memory. */
float *bench_floats(int64_t n, err *e);

#endif
