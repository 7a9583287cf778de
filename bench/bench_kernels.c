/* Speed of the inner kernels of every usable instruction set, in one process.
 *
 *   bench_kernels [THREADS]
 *
 * gemm: 2,048 x 2,048 x 2,048 float32.  attention: 32 heads of 64, causal, 2,048 tokens, with and without row
 * statistics.  The best of three runs counts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "compute/attention.h"
#include "compute/kernels.h"

enum { SIZE = 2048, HEADS = 32, WIDTH = 64, RUNS = 3 };

static float *floats(size_t n)
{
    float *x = mem_large(n * sizeof *x, NULL);
    if (!x)
        exit(5);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((i * 2654435761u) % 1000) / 1000 - 0.5f;
    return x;
}

static void ignore_rows(void *ud, const attn_rows *r)
{
    (void)ud;
    (void)r;
}

static double time_gemm(gemm_scratch *s, const float *x, const weight *w, float *y)
{
    double best = 1e30;
    for (int i = 0; i < RUNS; i++) {
        double t = clock_seconds();
        gemm(s, y, SIZE, x, SIZE, SIZE, w, PRECISION_F32);
        t = clock_seconds() - t;
        best = t < best ? t : best;
    }
    return best;
}

static double time_attention(attn_scratch *s, const attn_args *a, const attn_tap *tap)
{
    double best = 1e30;
    for (int i = 0; i < RUNS; i++) {
        double t = clock_seconds();
        if (attention(s, a, tap, NULL))
            exit(1);
        t = clock_seconds() - t;
        best = t < best ? t : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    pool *p;
    gemm_scratch *g;
    attn_scratch *s;
    if (pool_new(&p, argc > 1 ? atoi(argv[1]) : 0, NULL) || gemm_scratch_new(&g, p, NULL) ||
        attn_scratch_new(&s, p, NULL) || gemm_scratch_reserve(g, SIZE, SIZE, NULL))
        return 5;
    const size_t square = (size_t)SIZE * SIZE, wide = (size_t)SIZE * HEADS * WIDTH;
    float *x = floats(square), *w = floats(square), *y = floats(square);
    float *q = floats(wide), *k = floats(wide), *v = floats(wide), *out = floats(wide);
    const weight matrix = {.type = DT_F32, .data = w, .n_out = SIZE, .n_in = SIZE, .ld = SIZE};
    const int64_t ld = HEADS * WIDTH;
    const attn_args a = {.n_head = HEADS, .n_kv_head = HEADS, .d_qk = WIDTH, .d_v = WIDTH, .n_query = SIZE, .n_key = SIZE,
                         .scale = 0.125f, .causal = true, .q = q, .k = k, .v = v, .out = out, .ldq = ld, .ldk = ld,
                         .ldv = ld, .ldo = ld};
    const attn_tap tap = {.need = ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_DISTANCE, .rows = ignore_rows};
    const double gemm_flop = 2.0 * SIZE * SIZE * SIZE, attn_flop = 2.0 * SIZE * SIZE * WIDTH * HEADS;

    printf("%s, %d threads\n", machine_cpu(), pool_threads(p));
    printf("%-8s %14s %14s %22s\n", "isa", "gemm GFLOP/s", "attn GFLOP/s", "with statistics");
    for (const kernels *const *table = kernels_all(); *table; table++) {
        const char *note;
        if (!kernels_usable(*table) || kernels_select((*table)->isa, &note, NULL))
            continue;
        double t_gemm = time_gemm(g, x, &matrix, y), plain = time_attention(s, &a, NULL);
        double tapped = time_attention(s, &a, &tap);
        printf("%-8s %14.1f %14.1f %15.1f (%+.1f %%)\n", (*table)->isa, gemm_flop / t_gemm * 1e-9,
               attn_flop / plain * 1e-9, attn_flop / tapped * 1e-9, (tapped / plain - 1) * 100);
    }
    float *const all[] = {x, w, y, q, k, v, out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free_large(all[i]);
    attn_scratch_free(s);
    gemm_scratch_free(g);
    pool_free(p);
    return 0;
}
