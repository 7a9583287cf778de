/* Speed of comparing all heads of a layer, for every usable instruction set.
 *
 *   bench_pairs [THREADS [TOKENS [HEADS]]]
 *
 * Heads of width 64, causal, 4,096 tokens and 32 heads unless said otherwise: the panels of weights alone, with the
 * Jensen-Shannon divergence of all pairs, and with all products (cosines).  The best of three runs counts; what a pair of
 * heads costs for each weight is without the panels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/head_jsd.h"
#include "base/clock.h"
#include "base/mem.h"

enum { WIDTH = 64, RUNS = 3 };

typedef struct bench {
    unsigned char *states;
    size_t stride;
    int what;           /* 0 panels, 1 divergence, 2 products */
    jsd_options o;
} bench;

static void on_block(void *ud, const attn_panels *p)
{
    const bench *b = ud;
    void *state = b->states + (size_t)p->chunk * b->stride;
    if (b->what == 1)
        jsd_block(state, &b->o, p);
    else if (b->what == 2)
        panel_pairs(state, NULL, NULL, p, kernels_get()->product_sums, 0, 0);
}

static double best(attn_scratch *s, const attn_args *a, bench *b, int what)
{
    double least = 1e30;
    b->what = what;
    for (int i = 0; i < RUNS; i++) {
        double t = clock_seconds();
        if (attention_panels(s, a, 1, on_block, b, NULL))
            exit(1);
        t = clock_seconds() - t;
        least = t < least ? t : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0, n_token = argc > 2 ? atoi(argv[2]) : 4096;
    const int heads = argc > 3 ? atoi(argv[3]) : 32;
    pool *p;
    attn_scratch *s;
    if (n_token < 1 || heads < 1 || pool_new(&p, threads, NULL) || attn_scratch_new(&s, p, NULL))
        return 2;
    const size_t n = (size_t)n_token * (size_t)heads * WIDTH;
    float *q = mem_large(n * sizeof *q, NULL), *k = mem_large(n * sizeof *k, NULL);
    bench b = {0};
    b.stride = (jsd_state_size(&b.o, heads) + 63) / 64 * 64;
    b.states = mem_large(b.stride * ATTN_MAX_CHUNK, NULL);
    if (!q || !k || !b.states)
        return 5;
    memset(b.states, 0, b.stride * ATTN_MAX_CHUNK);
    uint64_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        q[i] = (float)(seed >> 40) / (1 << 23) - 1;
        k[i] = (float)(seed >> 16 & 0xffffff) / (1 << 23) - 1;
    }
    const int64_t ld = (int64_t)heads * WIDTH;
    const attn_args a = {.n_head = heads, .n_kv_head = heads, .d_qk = WIDTH, .d_v = WIDTH, .n_query = n_token,
                         .n_key = n_token, .scale = 0.5f, .causal = true, .q = q, .k = k, .ldq = ld, .ldk = ld};
    const double cells = 0.5 * n_token * (n_token + 1.0) * heads * (heads - 1) / 2;

    printf("%s, %d threads, %d heads, %d tokens\n", machine_cpu(), pool_threads(p), heads, n_token);
    printf("%-8s %10s %12s %24s %12s\n", "isa", "panels s", "and JSD s", "ps a pair and weight", "products s");
    for (const kernels *const *table = kernels_all(); *table; table++) {
        const char *note;
        if (!kernels_usable(*table) || kernels_select((*table)->isa, &note, NULL) || *table == &kernels_c)
            continue;
        double panels = best(s, &a, &b, 0), jsd = best(s, &a, &b, 1), products = best(s, &a, &b, 2);
        printf("%-8s %10.3f %12.3f %24.1f %12.3f\n", (*table)->isa, panels, jsd,
               (jsd - panels) * pool_threads(p) / cells * 1e12, products);
    }
    mem_free_large(q);
    mem_free_large(k);
    mem_free_large(b.states);
    attn_scratch_free(s);
    pool_free(p);
    return 0;
}
