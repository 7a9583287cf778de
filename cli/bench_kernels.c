/* bench kernels: every inner loop of every instruction set that this machine has, beside what the machine gives at most. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/command_util.h"
#include "compute/attention.h"
#include "compute/blocks.h"

/* Operands of a thread lie in its first or second cache; stored rows of matrix-vector products come from memory. */
enum { ROW = 4096, DEPTH = 384, KEYS = 1024, STORED_BYTES = 256 << 20, TILE_K = 256 };

typedef struct bench_job {
    const kernels *k;
    const struct kernel_case *of;
    float *x;                 /* [threads, 2 * (ROW | KEYS * GEMM_MAX_NR)] */
    int64_t x_step;
    float *out;               /* [threads, 2 ROW] */
    unsigned char *stored;    /* [threads, stored_step] */
    int64_t stored_step;
    dtype type;
    const block_kernels *blocks;
    block_unit *units;        /* x prepared for that type */
    table *t;
    bench_limits limits;
} bench_job;

/* What one call works through, of the kind that its rate counts. */
typedef struct kernel_case {
    const char *name, *unit;
    pool_fn work;
    double (*amount)(const bench_job *j);
} kernel_case;

static float *operand(const bench_job *j, int64_t item)
{
    return j->x + item * j->x_step;
}

static float *result(const bench_job *j, int64_t item)
{
    return j->out + item * 2 * ROW;
}

#define CASE(name) static void work_##name(void *ud, int64_t item, int thread)
#define BEGIN                 \
    const bench_job *j = ud;  \
    float *x = operand(j, item), *y = result(j, item); \
    (void)thread, (void)x, (void)y

CASE(gemm_micro) { BEGIN; j->k->gemm_micro(DEPTH, x, x + DEPTH * GEMM_MAX_MR, y, j->k->nr, j->k->mr, j->k->nr); }
CASE(dot) { BEGIN; *y = j->k->dot(x, y + ROW, ROW); }
CASE(interleave) { BEGIN; j->k->interleave(y, j->k->nr, x, 64, j->k->nr, 64); }
CASE(rms_norm) { BEGIN; j->k->rms_norm(y, x, NULL, ROW, 1e-5f); }
CASE(layer_norm) { BEGIN; j->k->layer_norm(y, x, NULL, NULL, ROW, 1e-5f); }
CASE(add) { BEGIN; j->k->add(y, x, ROW); }
/* In place: each call begins with fresh numbers, as those of the last would end among the subnormals. */
CASE(silu) { BEGIN; memcpy(y, x, ROW * sizeof *x); j->k->silu(y, ROW); }
CASE(gelu_tanh) { BEGIN; memcpy(y, x, ROW * sizeof *x); j->k->gelu_tanh(y, ROW); }
CASE(gelu_erf) { BEGIN; memcpy(y, x, ROW * sizeof *x); j->k->gelu_erf(y, ROW); }
CASE(product_sums) { BEGIN; j->k->product_sums(y, x, x + 32 * 64, 32 * 64, 2, 64, 32, 32); }
CASE(mixture_sums) { BEGIN; j->k->mixture_sums(y, x, x + 32 * 64, 32 * 64, 2, 64, 32, 32); }

CASE(column_sums) { BEGIN; j->k->column_sums((double *)(void *)y, x, x, KEYS); }
CASE(scale_columns)
{
    BEGIN;
    float ones[GEMM_MAX_NR];
    for (int i = 0; i < GEMM_MAX_NR; i++)
        ones[i] = 1;
    j->k->scale_columns(x, ones, KEYS);
}

static void softmax(const bench_job *j, float *x, float *y, bool statistics)
{
    int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR];
    for (int i = 0; i < j->k->nr; i++) {
        lo[i] = 0;
        hi[i] = KEYS;
    }
    const softmax_block b = {
        .s = x, .scale = 0.125f, .n_key = KEYS, .n_total = KEYS, .lo = lo, .hi = hi, .qpos = hi, .lse = y,
        .entropy = statistics ? y + 64 : NULL, .maximum = statistics ? y + 128 : NULL, .distance = statistics ? y + 192 : NULL,
    };
    j->k->softmax_columns(&b);
}

CASE(softmax) { BEGIN; softmax(j, x, y, false); }
CASE(softmax_statistics) { BEGIN; softmax(j, x, y, true); }

CASE(row_dot)
{
    BEGIN;
    const dtype_info *t = &dtypes[j->type];
    const int64_t bytes = (int64_t)ROW / t->block * t->block_bytes;
    const unsigned char *row = j->stored + item * j->stored_step;
    for (int64_t at = 0; at + bytes <= j->stored_step; at += bytes)
        *y += j->k->row_dot[j->type](x, row + at, ROW);
}

CASE(block_dot)
{
    BEGIN;
    const dtype_info *t = &dtypes[j->type];
    const int64_t bytes = (int64_t)ROW / t->block * t->block_bytes;
    const unsigned char *row = j->stored + item * j->stored_step;
    for (int64_t at = 0; at + BLOCK_ROWS * bytes <= j->stored_step; at += BLOCK_ROWS * bytes) {
        const void *rows[BLOCK_ROWS];
        for (int r = 0; r < BLOCK_ROWS; r++)
            rows[r] = row + at + r * bytes;
        j->blocks->dot[j->type](y, j->units, rows, ROW);
    }
}

/* Operands of tiles are the bytes of stored rows: bfloat16 numbers, whatever they are taken for. */
static void multiply_tiles(const bench_job *j, int64_t item, int terms)
{
    const uint16_t *packed = (const uint16_t *)(const void *)(j->stored + item * j->stored_step);
    const tile_product p = {
        .k = TILE_K, .a = packed, .b = packed + tile_block_size(TILE_K, TILE_TERMS), .a_terms = terms, .b_terms = terms,
        .c = result(j, item), .ldc = TILE_BLOCK, .m = TILE_BLOCK, .n = TILE_BLOCK,
    };
    j->k->tiles->begin();
    j->k->tiles->multiply(&p);
    j->k->tiles->end();
}

CASE(tiles_bf16) { BEGIN; multiply_tiles(j, item, 1); }
CASE(tiles_f32) { BEGIN; multiply_tiles(j, item, TILE_TERMS); }
CASE(tiles_pack) { BEGIN; j->k->tiles->pack_right((uint16_t *)(void *)y, 1, x, TILE_K, TILE_BLOCK, TILE_K); }
CASE(tiles_exponentials)
{
    BEGIN;
    float shift[TILE_BLOCK], sum[TILE_BLOCK] = {0}, weighted[TILE_BLOCK] = {0};
    int64_t lo[TILE_BLOCK] = {0}, hi[TILE_BLOCK];
    for (int i = 0; i < TILE_BLOCK; i++) {
        shift[i] = 1;
        hi[i] = TILE_STRETCH;
    }
    const tile_exponentials b = {
        .s = x, .n_key = TILE_STRETCH, .c = 1, .shift = shift, .lo = lo, .hi = hi, .qpos = hi, .sum = sum, .weighted = weighted,
        .terms = 1, .packed = (uint16_t *)(void *)y,
    };
    j->k->tiles->exponentials(&b);
}

static double tile_flop(const bench_job *j) { (void)j; return 2.0 * TILE_BLOCK * TILE_BLOCK * TILE_K; }
static double tile_elements(const bench_job *j) { (void)j; return (double)TILE_BLOCK * TILE_K; }
static double stretch_elements(const bench_job *j) { (void)j; return (double)TILE_BLOCK * TILE_STRETCH; }

static double gemm_flop(const bench_job *j) { return 2.0 * DEPTH * j->k->mr * j->k->nr; }
static double dot_flop(const bench_job *j) { (void)j; return 2.0 * ROW; }
static double row_elements(const bench_job *j) { (void)j; return ROW; }
static double panel_elements(const bench_job *j) { return 64.0 * j->k->nr; }
static double softmax_elements(const bench_job *j) { return (double)KEYS * j->k->nr; }
static double pair_elements(const bench_job *j) { (void)j; return 2.0 * 64 * 32; }
static double stored_bytes(const bench_job *j) { return (double)j->stored_step; }

#define FLOP "GFLOP/s"
#define ELEMENTS "G/s"
static const kernel_case cases[] = {
    {"gemm_micro", FLOP, work_gemm_micro, gemm_flop},
    {"dot", FLOP, work_dot, dot_flop},
    {"interleave", ELEMENTS, work_interleave, panel_elements},
    {"softmax_columns", ELEMENTS, work_softmax, softmax_elements},
    {"softmax_columns, statistics", ELEMENTS, work_softmax_statistics, softmax_elements},
    {"column_sums", ELEMENTS, work_column_sums, softmax_elements},
    {"scale_columns", ELEMENTS, work_scale_columns, softmax_elements},
    {"rms_norm", ELEMENTS, work_rms_norm, row_elements},
    {"layer_norm", ELEMENTS, work_layer_norm, row_elements},
    {"silu", ELEMENTS, work_silu, row_elements},
    {"gelu_tanh", ELEMENTS, work_gelu_tanh, row_elements},
    {"gelu_erf", ELEMENTS, work_gelu_erf, row_elements},
    {"add", ELEMENTS, work_add, row_elements},
    {"product_sums", ELEMENTS, work_product_sums, pair_elements},
    {"mixture_sums", ELEMENTS, work_mixture_sums, pair_elements},
};
static const kernel_case row_dot_case = {"row_dot", "GB/s", work_row_dot, stored_bytes};
static const kernel_case block_dot_case = {"block_dot", "GB/s", work_block_dot, stored_bytes};
/* Of tables whose tiles are faster than multiply-adds; the first two are held against what tiles do in registers. */
static const kernel_case tile_cases[] = {
    {"tiles, one term each", FLOP, work_tiles_bf16, tile_flop},
    {"tiles, three terms each", FLOP, work_tiles_f32, tile_flop},
    {"tiles, packing", ELEMENTS, work_tiles_pack, tile_elements},
    {"tiles, exponentials", ELEMENTS, work_tiles_exponentials, stretch_elements},
};
enum { N_CASE = sizeof cases / sizeof *cases, N_TILE_CASE = sizeof tile_cases / sizeof *tile_cases };

static int add_row(bench_job *j, const char *name, double rate, const char *unit, double limit, err *e)
{
    cell *row = table_row(j->t, e);
    if (!row)
        return ERR_RESOURCE;
    row[2] = cell_real(rate * 1e-9);
    if (limit > 0)
        row[4] = cell_real(100 * rate / limit);
    int rc = table_text(j->t, &row[0], j->k->isa, strlen(j->k->isa), e);
    if (!rc)
        rc = table_text(j->t, &row[1], name, strlen(name), e);
    return rc ? rc : table_text(j->t, &row[3], unit, strlen(unit), e);
}

static int measure(bench_job *j, bench_clock *c, const kernel_case *of, const char *name, err *e)
{
    double seconds;
    int rc = bench_seconds(&seconds, c, true, of->work, j, e);
    const double limit = strcmp(of->unit, FLOP) == 0 ? j->limits.flops : strcmp(of->unit, "GB/s") == 0 ? j->limits.read : 0;
    return rc ? rc : add_row(j, name, of->amount(j) * pool_threads(c->p) / seconds, of->unit, limit, e);
}

/* A product with stored rows of the type that j holds. */
static int measure_rows(bench_job *j, bench_clock *c, const kernel_case *of, err *e)
{
    char name[64];
    snprintf(name, sizeof name, "%s, %s", of->name, dtypes[j->type].name);
    return measure(j, c, of, name, e);
}

static int measure_tiles(bench_job *j, bench_clock *c, err *e)
{
    const double limits[N_TILE_CASE] = {j->limits.tiles, j->limits.tiles / 6};
    int rc = j->k->tiles->bf16 ? add_row(j, "products of tiles in registers", j->limits.tiles, FLOP, 0, e) : 0;
    for (int i = 0; i < N_TILE_CASE && j->k->tiles->bf16 && !rc; i++) {
        double seconds;
        rc = bench_seconds(&seconds, c, true, tile_cases[i].work, j, e);
        if (!rc)
            rc = add_row(j, tile_cases[i].name, tile_cases[i].amount(j) * pool_threads(c->p) / seconds, tile_cases[i].unit,
                         limits[i], e);
    }
    return rc;
}

static int measure_set(bench_job *j, bench_clock *c, err *e)
{
    int rc = bench_limits_measure(&j->limits, c, true, e);
    j->k = kernels_get();
    j->blocks = blocks_for(j->k);
    if (!rc)
        rc = add_row(j, "multiply-adds in registers", j->limits.flops, FLOP, 0, e);
    if (!rc)
        rc = add_row(j, "reading memory", j->limits.read, "GB/s", 0, e);
    for (int i = 0; i < N_CASE && !rc; i++)
        rc = measure(j, c, &cases[i], cases[i].name, e);
    if (!rc)
        rc = measure_tiles(j, c, e);
    for (int t = 0; t < DT_COUNT && !rc; t++) {
        j->type = (dtype)t;
        if (j->k->row_dot[t])
            rc = measure_rows(j, c, &row_dot_case, e);
        if (!rc && j->blocks && j->blocks->dot[t] && j->blocks->prepare(j->units, j->x, ROW, j->type))
            rc = measure_rows(j, c, &block_dot_case, e);
    }
    return rc;
}

/* Rows of every type may be read from these bytes: whatever field a byte is in, its value is finite and not tiny. */
static void fill_stored(bench_job *j, int threads)
{
    memset(j->stored, 0x2c, (size_t)j->stored_step * (size_t)threads);
}

static int64_t count(void)
{
    int64_t n = 0;
    for (const kernels *const *k = kernels_all(); *k; k++)
        if (kernels_usable(*k)) {
            const block_kernels *blocks = blocks_for(*k);
            n += N_CASE + 2 + ((*k)->tiles->bf16 ? N_TILE_CASE + 1 : 0);
            for (int t = 0; t < DT_COUNT; t++)
                n += ((*k)->row_dot[t] != NULL) + (blocks && blocks->dot[t]);
        }
    return n;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"isa", "kernel", "rate", "unit", "of_peak"};
    bench_clock c = {.s = s, .repeat = params_int(a->p, "repeat"), .what = "kernel", .all = count()};
    bench_job j = {.x_step = 2 * KEYS * GEMM_MAX_NR};
    const char *isa = kernels_get()->isa, *note;
    int rc = pool_new(&c.p, (int)option_threads(s, a), e);
    const int threads = rc ? 1 : pool_threads(c.p);
    j.stored_step = STORED_BYTES / threads;
    if (!rc && (!(j.x = bench_floats(j.x_step * threads, e)) || !(j.out = bench_floats((int64_t)threads * 2 * ROW, e)) ||
                !(j.stored = mem_large((size_t)j.stored_step * (size_t)threads, e)) ||
                !(j.units = mem_large((size_t)block_units(ROW) * sizeof *j.units, e))))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = table_new(&j.t, 5, columns, e);
    if (!rc)
        fill_stored(&j, threads);
    for (const kernels *const *k = kernels_all(); *k && !rc; k++)
        if (kernels_usable(*k) && !(rc = kernels_select((*k)->isa, &note, e)))
            rc = measure_set(&j, &c, e);
    kernels_select(isa, &note, NULL);
    if (!rc && !(rc = table_set_unit(j.t, 4, "%", e)))
        rc = print_table(s, a, j.t, "attnscope.bench_kernels/1", e);
    if (!rc)
        say(s, "%d thread%s together; of peak: of the multiply-adds or of the reading that was measured beside it",
            threads, threads == 1 ? "" : "s");
    table_free(j.t);
    mem_free_large(j.units);
    mem_free_large(j.stored);
    mem_free_large(j.out);
    mem_free_large(j.x);
    pool_free(c.p);
    return rc;
}

static const char *const options[] = {"repeat", NULL};
const bench_form bench_kernels = {"kernels", false, options, run};
