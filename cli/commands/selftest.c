/* selftest: quick proofs that this build computes right on this machine. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "cli/output.h"
#include "compute/attention.h"
#include "compute/kernels.h"

typedef struct bench {
    table *t;
    rng random;
    int n_fail;
} bench;

/* One line: what was checked, the largest deviation, what it may be. */
static int verdict(bench *b, const char *check, const char *isa, double deviation, double gate, err *e)
{
    cell *row = table_row(b->t, e);
    if (!row)
        return ERR_RESOURCE;
    bool ok = deviation <= gate;
    b->n_fail += !ok;
    row[2] = isfinite(deviation) ? cell_real(deviation) : (cell){CELL_NULL, {0}};
    row[3] = cell_real(gate);
    int rc = table_text(b->t, &row[0], check, strlen(check), e);
    if (!rc)
        rc = table_text(b->t, &row[1], isa, strlen(isa), e);
    if (!rc)
        rc = table_text(b->t, &row[4], ok ? "ok" : "FAILED", ok ? 2 : 6, e);
    return rc;
}

static void fill(bench *b, float *x, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(scale * (2 * rng_uniform(&b->random) - 1));
}

static double largest_difference(const float *x, const float *y, int64_t n, double of)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)y[i]) / of;
        worst = isnan(d) || d > worst ? (isnan(d) ? (double)INFINITY : d) : worst;
    }
    return worst;
}

/* FIPS 180-4's own examples. */
static int hashes(bench *b, err *e)
{
    static const char *const vector[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        sha256_hex hex;
        int rc = sha256_of(hex, vector[i][0], strlen(vector[i][0]), e);
        if (rc)
            return rc;
        wrong += strcmp(hex, vector[i][1]) != 0;
    }
    return verdict(b, "sha-256 of published messages", "", wrong, 0, e);
}

/* The micro kernel of every instruction set against sums in double. */
static int products(bench *b, const kernels *k, err *e)
{
    enum { N = 97 };
    float *x = mem_large(sizeof *x * N * GEMM_MAX_MR, e), *y = mem_large(sizeof *y * N * GEMM_MAX_NR, e);
    float *c = mem_large(sizeof *c * GEMM_MAX_MR * GEMM_MAX_NR, e);
    int rc = x && y && c ? 0 : ERR_RESOURCE;
    double worst = 0;
    if (!rc) {
        fill(b, x, N * k->mr, 1);
        fill(b, y, N * k->nr, 1);
        k->gemm_micro(N, x, y, c, k->nr, k->mr, k->nr);
        for (int i = 0; i < k->mr; i++)
            for (int j = 0; j < k->nr; j++) {
                double sum = 0, size = 0;
                for (int64_t l = 0; l < N; l++) {
                    double term = (double)x[l * k->mr + i] * (double)y[l * k->nr + j];
                    sum += term;
                    size += fabs(term);
                }
                double d = fabs((double)c[i * k->nr + j] - sum) / size;
                worst = d > worst || isnan(d) ? d : worst;
            }
        rc = verdict(b, "matrix product against double", k->isa, isnan(worst) ? (double)INFINITY : worst,
                     N * 0x1p-24, e);
    }
    mem_free_large(x);
    mem_free_large(y);
    mem_free_large(c);
    return rc;
}

/* Products of tiles, as the precisions that go through them take them, against sums in double of the rounded operands. */
static int tile_products(bench *b, const kernels *k, err *e)
{
    enum { N = 97 };
    const int terms = k->tiles->split ? TILE_TERMS : 1;
    float x[TILE_BLOCK * N], y[TILE_BLOCK * N], c[TILE_BLOCK * TILE_BLOCK];
    uint16_t *packed = mem_array(2 * (size_t)tile_block_size(N, TILE_TERMS), sizeof *packed, e);
    double worst = 0;
    if (!packed)
        return ERR_RESOURCE;
    fill(b, x, TILE_BLOCK * N, 1);
    fill(b, y, TILE_BLOCK * N, 1);
    if (terms == 1) {
        k->round_bf16(x, TILE_BLOCK * N);
        k->round_bf16(y, TILE_BLOCK * N);
    }
    const tile_product p = {
        .k = N, .a = packed, .b = packed + tile_block_size(N, TILE_TERMS), .a_terms = terms, .b_terms = terms, .c = c,
        .ldc = TILE_BLOCK, .m = TILE_BLOCK, .n = TILE_BLOCK,
    };
    k->tiles->pack_left(packed, terms, x, N, TILE_BLOCK, N);
    k->tiles->pack_right(packed + tile_block_size(N, TILE_TERMS), terms, y, N, TILE_BLOCK, N);
    k->tiles->begin();
    k->tiles->multiply(&p);
    k->tiles->end();
    for (int i = 0; i < TILE_BLOCK; i++)
        for (int j = 0; j < TILE_BLOCK; j++) {
            double sum = 0, size = 0;
            for (int l = 0; l < N; l++) {
                sum += (double)x[i * N + l] * (double)y[j * N + l];
                size += fabs((double)x[i * N + l] * (double)y[j * N + l]);
            }
            const double d = fabs((double)c[i * TILE_BLOCK + j] - sum) / size;
            worst = d > worst || isnan(d) ? d : worst;
        }
    free(packed);
    return verdict(b, terms == 1 ? "product of tiles, bf16, against double" : "product of tiles, f32, against double", k->isa,
                   isnan(worst) ? (double)INFINITY : worst, N * 0x1p-24, e);
}

/* Norms and activations of every instruction set against plain C. */
static int vectors(bench *b, const kernels *k, err *e)
{
    enum { N = 259 };
    float x[N], w[N], bias[N], mine[N], plain[N];
    fill(b, x, N, 4);
    fill(b, w, N, 1);
    fill(b, bias, N, 1);
    double worst = 0, d;
    k->rms_norm(mine, x, w, N, 1e-5f);
    kernels_c.rms_norm(plain, x, w, N, 1e-5f);
    worst = largest_difference(mine, plain, N, 1);
    k->layer_norm(mine, x, w, bias, N, 1e-5f);
    kernels_c.layer_norm(plain, x, w, bias, N, 1e-5f);
    d = largest_difference(mine, plain, N, 1);
    worst = d > worst ? d : worst;
    int rc = verdict(b, "layer norms against plain C", k->isa, worst, 1e-5, e);
    void (*const acts[])(float *, int64_t) = {k->silu, k->gelu_tanh, k->gelu_erf, k->relu};
    void (*const refs[])(float *, int64_t) = {kernels_c.silu, kernels_c.gelu_tanh, kernels_c.gelu_erf,
                                              kernels_c.relu};
    worst = 0;
    for (int i = 0; i < 4; i++) {
        memcpy(mine, x, sizeof mine);
        memcpy(plain, x, sizeof plain);
        acts[i](mine, N);
        refs[i](plain, N);
        d = largest_difference(mine, plain, N, 4);
        worst = d > worst ? d : worst;
    }
    return rc ? rc : verdict(b, "activations against plain C", k->isa, worst, 1e-6, e);
}

/* Softmax of a causal block: rows sum to one, statistics against double. */
static int softmax(bench *b, const kernels *k, err *e)
{
    enum { KEYS = 83 };
    float *s = mem_large(sizeof *s * KEYS * GEMM_MAX_NR, e),
          *z = mem_large(sizeof *z * KEYS * GEMM_MAX_NR, e);
    int rc = s && z ? 0 : ERR_RESOURCE;
    if (!rc) {
        int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], pos[GEMM_MAX_NR];
        float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR];
        double worst = 0;
        fill(b, z, (int64_t)KEYS * k->nr, 8);
        memcpy(s, z, sizeof *s * KEYS * (size_t)k->nr);
        for (int j = 0; j < k->nr; j++) {
            lo[j] = j % 5;
            hi[j] = lo[j] + 1 + (j * 7) % (KEYS - 5);
            pos[j] = hi[j] - 1;
        }
        k->softmax_columns(&(softmax_block){.s = s, .scale = 1, .n_key = KEYS, .lo = lo, .hi = hi,
                                            .qpos = pos, .lse = lse, .entropy = entropy, .maximum = maximum,
                                            .distance = distance});
        for (int j = 0; j < k->nr; j++) {
            double sum = 0, h = 0, top = -INFINITY;
            for (int64_t i = lo[j]; i < hi[j]; i++)
                top = fmax(top, (double)z[i * k->nr + j]);
            for (int64_t i = lo[j]; i < hi[j]; i++)
                sum += exp((double)z[i * k->nr + j] - top);
            for (int64_t i = 0; i < KEYS; i++) {
                bool seen = i >= lo[j] && i < hi[j];
                double p = seen ? exp((double)z[i * k->nr + j] - top) / sum : 0;
                h -= p > 0 ? p * log(p) : 0;
                worst = fmax(worst, fabs(p - (double)s[i * k->nr + j]));
            }
            worst = fmax(worst, fabs(h - (double)entropy[j]));
            worst = fmax(worst, fabs(1 / sum - (double)maximum[j]));
            worst = fmax(worst, fabs(top + log(sum) - (double)lse[j]) / 8);
        }
        rc = verdict(b, "softmax and row statistics against double", k->isa, worst, 1e-5, e);
    }
    mem_free_large(s);
    mem_free_large(z);
    return rc;
}

typedef struct uniform {
    double worst;
    int64_t n_query;
} uniform;

static void look(void *ud, const attn_rows *r)
{
    uniform *u = ud;
    for (int64_t i = 0; i < r->n_query; i++) {
        double keys = (double)(r->visible_hi[i] - r->visible_lo[i]);
        u->worst = fmax(u->worst, fabs((double)r->entropy[i] - log(keys)));
        u->worst = fmax(u->worst, fabs((double)r->maximum[i] - 1 / keys));
        u->worst = fmax(u->worst, fabs((double)r->self[i] - 1 / keys));
        u->n_query++;
    }
}

/* Equal keys: every query spreads evenly, its entropy is the log of the keys it sees, and the output is the
 * mean of the values so far: for values 0, 1, 2, ... half the position. */
static int identity(bench *b, err *e)
{
    enum { N = 130, D = 16 };
    float *q = mem_array(N * D, sizeof *q, e), *k = mem_array(N * D, sizeof *k, e);
    float *v = mem_array(N * D, sizeof *v, e), *out = mem_array(N * D, sizeof *out, e);
    attn_scratch *scratch = NULL;
    pool *p = NULL;
    uniform u = {0};
    int rc = q && k && v && out ? 0 : ERR_RESOURCE;
    if (rc)
        goto out;
    fill(b, q, N * D, 1);
    for (int64_t i = 0; i < N * D; i++) {
        k[i] = 0.5f;
        v[i] = (float)(i / D);
    }
    /* one thread: the tap's state is then shared by nobody */
    rc = pool_new(&p, 1, e);
    if (!rc)
        rc = attn_scratch_new(&scratch, p, e);
    if (!rc) {
        attn_tap tap = {.need = ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_SELF, .rows = look, .ud = &u};
        attn_args args = {
            .n_head = 1,
            .n_kv_head = 1,
            .d_qk = D,
            .d_v = D,
            .n_query = N,
            .n_key = N,
            .scale = 0.25f,
            .causal = true,
            .q = q,
            .k = k,
            .v = v,
            .out = out,
            .ldq = D,
            .ldk = D,
            .ldv = D,
            .ldo = D,
            .prec = PRECISION_F32,
        };
        rc = attention(scratch, &args, &tap, e);
    }
    if (!rc) {
        for (int64_t i = 0; i < N * D; i++)
            u.worst = fmax(u.worst, fabs((double)out[i] - 0.5 * (double)(i / D)) / N);
        rc = verdict(b, "uniform attention: entropy ln(n), mean of values", kernels_get()->isa,
                     u.n_query == N ? u.worst : (double)INFINITY, 2e-6, e);
    }
out:
    attn_scratch_free(scratch);
    pool_free(p);
    free(q);
    free(k);
    free(v);
    free(out);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"check", "isa", "deviation", "gate", "verdict"};
    const kernels *const *all = kernels_all();
    bench b = {0};
    int rc = table_new(&b.t, 5, columns, e);
    rng_seed(&b.random, (uint64_t)params_int(a->p, "seed"), 0);
    if (!rc)
        rc = hashes(&b, e);
    for (int i = 0; all[i] && !rc; i++) {
        if (!kernels_usable(all[i])) {
            say(s, "%s: not on this machine", all[i]->isa);
            continue;
        }
        rc = products(&b, all[i], e);
        if (!rc && (all[i]->tiles->bf16 || all[i]->tiles->split))
            rc = tile_products(&b, all[i], e);
        if (!rc && all[i] != &kernels_c)
            rc = vectors(&b, all[i], e);
        if (!rc)
            rc = softmax(&b, all[i], e);
        if (!rc)
            rc = cancel_check(e);
    }
    if (!rc)
        rc = identity(&b, e);
    if (!rc)
        rc = print_table(s, a, b.t, "attnscope.selftest/1", e);
    if (!rc && b.n_fail) {
        err_set(e, ERR_FAILED, "%d of %" PRId64 " checks failed", b.n_fail, b.t->n_row);
        rc = err_hint(e, "ATTNSCOPE_ISA=c does without SIMD kernels; please report it with `info --machine`");
    } else if (!rc) {
        say(s, "%" PRId64 " checks passed", b.t->n_row);
    }
    table_free(b.t);
    return rc;
}

static const param own[] = {
    {.name = "seed", .kind = PARAM_INT, .def = "1", .value = "S",
     .help = "seed of the random inputs"},
    {.name = NULL},
};
static const char *const examples[] = {
    "selftest", "check hashes, kernels and attention on this machine",
    "selftest --seed 7 --json", "with other random inputs, one object a check",
    NULL,
};

const command command_selftest = {
    .name = "selftest", .group = "prove", .usage = "",
    .summary = "check that this build computes right on this machine",
    .help = "Holds every instruction set of this machine against sums in double precision or plain C on "
            "random inputs, SHA-256 against published values, and attention against an identity (equal keys "
            "give uniform rows). Takes less than a second; `verify` proves a whole model.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 0, .complete = NULL, .run = run, .live = true,
};
