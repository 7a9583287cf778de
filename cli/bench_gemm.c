/* bench gemm: products of activations with stored weights of every type, through the code that models use. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/command_util.h"
#include "cli/number_list.h"
#include "compute/gemm.h"

static const char *const default_types = "f32,bf16,f16,q8_0,q4_0,q4_1,q4_k,q5_k,q6_k";

typedef struct bench_job {
    const command_args *a;
    bench_clock c;
    bench_limits limits;
    gemm_scratch *scratch;
    precision prec;
    weight w;
    unsigned char *stored;
    float *x, *y;
    int64_t rows, most_rows;
    table *t;
} bench_job;

static void multiply(void *ud, int64_t item, int thread)
{
    const bench_job *j = ud;
    const weight *w = &j->w;
    (void)item, (void)thread;
    if (j->rows == 1)
        gemv(j->scratch, j->y, j->x, w, j->prec);
    else
        gemm(j->scratch, j->y, w->n_out, j->x, w->n_in, j->rows, w, j->prec);
}

static int measure(bench_job *j, err *e)
{
    const dtype_info *t = &dtypes[j->w.type];
    const double outputs = (double)j->w.n_out, flop = 2.0 * (double)j->rows * outputs * (double)j->w.n_in;
    const double bytes = outputs * (double)(j->w.n_in / t->block) * t->block_bytes;
    /* One row takes no tiles. */
    const double most = j->rows == 1 ? j->limits.flops : bench_product_limit(&j->limits, j->prec, gemm_right_terms(&j->w));
    double seconds;
    int rc = bench_seconds(&seconds, &j->c, false, multiply, j, e);
    cell *row = rc ? NULL : table_row(j->t, e);
    if (!row)
        return rc ? rc : ERR_RESOURCE;
    row[1] = cell_int(j->rows);
    row[2] = cell_int(j->w.n_out);
    row[3] = cell_int(j->w.n_in);
    row[4] = cell_real(seconds);
    row[5] = cell_real(flop / seconds * 1e-9);
    row[6] = cell_real(100 * flop / seconds / most);
    row[7] = cell_real(bytes / seconds * 1e-9);
    row[8] = cell_real(100 * bytes / seconds / j->limits.read);
    return table_text(j->t, &row[0], t->name, strlen(t->name), e);
}

/* Weights of one type; whatever field of a block a byte is in, the values are finite and not tiny. */
static int use_type(bench_job *j, const char *name, size_t length, err *e)
{
    const int64_t n_out = params_int(j->a->p, "outputs"), n_in = params_int(j->a->p, "inputs");
    size_t bytes;
    int t = 0;
    while (t < DT_COUNT && (strlen(dtypes[t].name) != length || strncmp(dtypes[t].name, name, length) != 0))
        t++;
    if (t == DT_COUNT || !dtypes[t].to_f32) {
        err_set(e, ERR_USAGE, "--types: no weights of type '%.*s' are computed with", (int)(length < 40 ? length : 40), name);
        return err_hint(e, "such are %s and every other of GGUF", default_types);
    }
    if (n_in % dtypes[t].block) {
        err_set(e, ERR_USAGE, "--inputs: %lld is not whole blocks of %s, which have %d elements", (long long)n_in,
                dtypes[t].name, dtypes[t].block);
        return err_hint(e, "take a multiple of 256");
    }
    if (!size_mul(&bytes, (size_t)n_out, (size_t)(n_in / dtypes[t].block)) ||
        !size_mul(&bytes, bytes, (size_t)dtypes[t].block_bytes))
        return err_nomem(e, "the weights");
    mem_free_large(j->stored);
    if (!(j->stored = mem_large(bytes, e)))
        return ERR_RESOURCE;
    memset(j->stored, 0x2c, bytes);
    j->w = (weight){.type = (dtype)t, .data = j->stored, .n_out = n_out, .n_in = n_in, .ld = n_in};
    return 0;
}

static int measure_types(bench_job *j, const double *rows, int64_t n_rows, err *e)
{
    const char *at = params_str(j->a->p, "types");
    int rc = 0;
    for (at = at ? at : default_types; *at && !rc; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        rc = use_type(j, at, n, e);
        for (int64_t i = 0; i < n_rows && !rc; i++) {
            j->rows = (int64_t)rows[i];
            rc = measure(j, e);
        }
        at += n;
    }
    return rc;
}

static int prepare(bench_job *j, session *s, const double *rows, int64_t n_rows, err *e)
{
    static const char *const columns[] = {"type", "rows", "n_out", "n_in", "seconds", "gflops", "of_peak",
                                          "weights_read", "of_read"};
    static const char *const units[] = {NULL, NULL, NULL, NULL, "s", "GFLOP/s", "%", "GB/s", "%"};
    const int64_t n_out = params_int(j->a->p, "outputs"), n_in = params_int(j->a->p, "inputs");
    const char *types = params_str(j->a->p, "types");
    int64_t n_types = 1;
    for (const char *c = types ? types : default_types; *c; c++)
        n_types += *c == ',';
    j->c = (bench_clock){.s = s, .repeat = params_int(j->a->p, "repeat"), .what = "product", .all = n_types * n_rows + 2};
    for (int64_t i = 0; i < n_rows; i++)
        j->most_rows = (int64_t)rows[i] > j->most_rows ? (int64_t)rows[i] : j->most_rows;
    int rc = pool_new(&j->c.p, (int)option_threads(s, j->a), e);
    if (!rc)
        rc = gemm_scratch_new(&j->scratch, j->c.p, e);
    if (!rc)
        rc = gemm_scratch_reserve(j->scratch, j->most_rows, n_in, e);
    if (!rc && (!(j->x = bench_floats(j->most_rows * n_in, e)) || !(j->y = bench_floats(j->most_rows * n_out, e))))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = table_new(&j->t, sizeof columns / sizeof *columns, columns, e);
    for (int i = 0; !rc && i < j->t->n_col; i++)
        rc = units[i] ? table_set_unit(j->t, i, units[i], e) : 0;
    return rc ? rc : bench_limits_measure(&j->limits, &j->c, true, e);
}

static int run(session *s, const command_args *a, err *e)
{
    bench_job j = {.a = a, .prec = option_precision(s, a)};
    double *rows = NULL;
    int64_t n_rows = 0;
    int rc = number_list_parse(&rows, &n_rows, params_str(a->p, "rows"), 1, 1e6, "--rows", e);
    if (!rc)
        rc = prepare(&j, s, rows, n_rows, e);
    if (!rc)
        rc = measure_types(&j, rows, n_rows, e);
    if (!rc)
        rc = print_table(s, a, j.t, "attnscope.bench_gemm/1", e);
    if (!rc)
        say(s, "%d thread%s; multiply-adds in registers: %.4g GFLOP/s, reading memory: %.3g GB/s", pool_threads(j.c.p),
            pool_threads(j.c.p) == 1 ? "" : "s", j.limits.flops * 1e-9, j.limits.read * 1e-9);
    if (!rc && j.limits.tiles > 0)
        say(s, "bfloat16 products in registers: %.4g GFLOP/s", j.limits.tiles * 1e-9);
    free(rows);
    table_free(j.t);
    mem_free_large(j.y);
    mem_free_large(j.x);
    mem_free_large(j.stored);
    gemm_scratch_free(j.scratch);
    pool_free(j.c.p);
    return rc;
}

static const char *const options[] = {"repeat", "rows", "outputs", "inputs", "types", "precision", NULL};
const bench_form bench_gemm = {"gemm", false, options, run};
