/* The flash attention of ggml alone, one causal layer: what bench/race_attention races with.  Built by that script, against
 * the headers and libraries of a llama.cpp tree; no part of attnscope.
 *
 *   ggml_attention LENGTH TYPE [HEADS [WIDTH [THREADS [REPEAT]]]]
 *
 * TYPE of keys and values: f32, or f16 as llama.cpp keeps them.  Queries and results are float32, the mask is the float16
 * of llama.cpp; it computes no statistics.  Prints the seconds of the best of REPEAT runs behind one that does not count,
 * after some rows have been held against their definition in double; ends with 1 where they differ. */
#include <ggml-cpu.h>
#include <ggml.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHECKED_ROWS = 5 };

typedef struct layer {
    int64_t n, heads, width;
    float scale;
    struct ggml_context *ctx;
    struct ggml_tensor *q, *k, *v, *mask, *out; /* q, k, v: [width, n, heads]; out: [width, heads, n] */
    struct ggml_cgraph *graph;
} layer;

static void fail(const char *what)
{
    fprintf(stderr, "ggml_attention: %s\n", what);
    exit(2);
}

static int64_t number(const char *text, int64_t most)
{
    char *end;
    const long long x = strtoll(text, &end, 10);
    if (*end || x < 1 || x > most)
        fail("LENGTH, HEADS, WIDTH, THREADS and REPEAT are numbers from 1 (at most 1048576, 1024, 1024, 1024 and 1000)");
    return x;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Uniform between -1/2 and 1/2, as `bench attention` takes them. */
static void fill(struct ggml_tensor *t, uint64_t seed)
{
    const int64_t n = ggml_nelements(t);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const float x = (float)(seed >> 40) / (1 << 24) - 0.5f;
        if (t->type == GGML_TYPE_F32)
            ((float *)t->data)[i] = x;
        else
            ((ggml_fp16_t *)t->data)[i] = ggml_fp32_to_fp16(x);
    }
}

static double element(const struct ggml_tensor *t, int64_t i, int64_t row, int64_t head)
{
    const char *at = (const char *)t->data + (size_t)row * t->nb[1] + (size_t)head * t->nb[2];
    return t->type == GGML_TYPE_F32 ? (double)((const float *)at)[i]
                                    : (double)ggml_fp16_to_fp32(((const ggml_fp16_t *)at)[i]);
}

static void build(layer *l, enum ggml_type type)
{
    const size_t states = (size_t)(l->n * l->heads * l->width), kv = ggml_type_size(type);
    const struct ggml_init_params room = {
        .mem_size = states * (2 * sizeof(float) + 2 * kv) + (size_t)(l->n * l->n) * sizeof(ggml_fp16_t) + (1u << 20) +
                    ggml_graph_overhead() + 16 * ggml_tensor_overhead(),
    };
    if (!(l->ctx = ggml_init(room)))
        fail("not enough memory");
    l->q = ggml_new_tensor_3d(l->ctx, GGML_TYPE_F32, l->width, l->n, l->heads);
    l->k = ggml_new_tensor_3d(l->ctx, type, l->width, l->n, l->heads);
    l->v = ggml_new_tensor_3d(l->ctx, type, l->width, l->n, l->heads);
    l->mask = ggml_new_tensor_2d(l->ctx, GGML_TYPE_F16, l->n, l->n);
    fill(l->q, 1);
    fill(l->k, 2);
    fill(l->v, 3);
    const ggml_fp16_t seen = ggml_fp32_to_fp16(0), hidden = ggml_fp32_to_fp16(-INFINITY);
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t k = 0; k < l->n; k++)
            ((ggml_fp16_t *)l->mask->data)[i * l->n + k] = k <= i ? seen : hidden;
    l->out = ggml_flash_attn_ext(l->ctx, l->q, l->k, l->v, l->mask, l->scale, 0, 0);
    l->graph = ggml_new_graph(l->ctx);
    ggml_build_forward_expand(l->graph, l->out);
}

/* The largest difference of one row from its definition. */
static double row_error(const layer *l, int64_t row, int64_t head)
{
    double *p = malloc((size_t)(row + 1) * sizeof *p), most = -INFINITY, sum = 0, worst = 0;
    if (!p)
        fail("not enough memory");
    for (int64_t k = 0; k <= row; k++) {
        p[k] = 0;
        for (int64_t i = 0; i < l->width; i++)
            p[k] += element(l->q, i, row, head) * element(l->k, i, k, head);
        p[k] *= (double)l->scale;
        most = p[k] > most ? p[k] : most;
    }
    for (int64_t k = 0; k <= row; k++)
        sum += p[k] = exp(p[k] - most);
    for (int64_t i = 0; i < l->width; i++) {
        double x = 0;
        for (int64_t k = 0; k <= row; k++)
            x += p[k] / sum * element(l->v, i, k, head);
        x = fabs(x - element(l->out, i, head, row)); /* out lies [width, heads, n] */
        worst = x > worst ? x : worst;
    }
    free(p);
    return worst;
}

static void check(const layer *l, double allowed)
{
    for (int64_t i = 0; i < CHECKED_ROWS; i++) {
        const double x = row_error(l, i * (l->n - 1) / (CHECKED_ROWS - 1), i % l->heads);
        if (!(x <= allowed)) {
            fprintf(stderr, "ggml_attention: a row is %g away from causal attention: is this another ggml?\n", x);
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    layer l = {.scale = 0.125f};
    if (argc < 3 || argc > 7) {
        fputs("usage: ggml_attention LENGTH TYPE [HEADS [WIDTH [THREADS [REPEAT]]]]\n", stderr);
        return 2;
    }
    if (strcmp(argv[2], "f32") && strcmp(argv[2], "f16"))
        fail("TYPE is f32 or f16");
    const bool half = strcmp(argv[2], "f16") == 0;
    l.n = number(argv[1], 1 << 20);
    l.heads = argc > 3 ? number(argv[3], 1024) : 32;
    l.width = argc > 4 ? number(argv[4], 1024) : 64;
    const int threads = argc > 5 ? (int)number(argv[5], 1024) : 1;
    const int64_t repeat = argc > 6 ? number(argv[6], 1000) : 3;
    build(&l, half ? GGML_TYPE_F16 : GGML_TYPE_F32);

    struct ggml_threadpool_params how = ggml_threadpool_params_default(threads);
    struct ggml_threadpool *pool = ggml_threadpool_new(&how);
    if (!pool)
        fail("no threads");
    struct ggml_cplan plan = ggml_graph_plan(l.graph, threads, pool);
    unsigned char *scratch = malloc(plan.work_size + 1);
    if (!scratch)
        fail("not enough memory");
    plan.work_data = scratch;
    double best = INFINITY;
    for (int64_t i = 0; i <= repeat; i++) {
        const double start = seconds_now();
        if (ggml_graph_compute(l.graph, &plan) != GGML_STATUS_SUCCESS)
            fail("ggml_graph_compute failed");
        const double took = seconds_now() - start;
        if (i == 0)
            check(&l, half ? 2e-3 : 1e-5);
        else
            best = took < best ? took : best;
    }
    printf("%.6f\n", best);
    free(scratch);
    ggml_threadpool_free(pool);
    ggml_free(l.ctx);
    return 0;
}
