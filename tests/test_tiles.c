/* Products of tiles: the plain C definition against sums in double precision, every table against plain C, and matrix
 * products that go through them. */
#include "tests/checkasm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "compute/gemm_scratch.h"

enum { MOST_K = 160, MOST_LD = MOST_K + 8 };

static const int64_t depths[] = {1, 2, 15, 31, 32, 33, 64, 97, MOST_K};
static const int lines[] = {1, 2, 7, 15, 16, 17, 31, 32};
enum { DEPTHS = sizeof depths / sizeof *depths, LINES = sizeof lines / sizeof *lines };

typedef void pack_fn(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);

static pack_fn *packing(const tile_kernels *t, int form)
{
    return form == 0 ? t->pack_left : form == 1 ? t->pack_left_turned : form == 2 ? t->pack_right : t->pack_right_turned;
}

/* Element (line, k) of a term of a packed operand. */
static uint16_t packed_at(const uint16_t *p, bool right, int terms, int term, int line, int64_t k)
{
    p += ((k / TILE_DEPTH * terms + term) * 2 + line / TILE_LINES) * TILE_ELEMENTS;
    line %= TILE_LINES;
    k %= TILE_DEPTH;
    return right ? p[32 * (k / 2) + 2 * line + k % 2] : p[32 * line + k];
}

static uint16_t *packed_buffer(int64_t k, int terms, int place)
{
    return (uint16_t *)(void *)buffer_floats(tile_block_size(k, terms) / 2, place);
}

static void expect_packed(const uint16_t *got, const uint16_t *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float a = bf16_to_f32(got[i]), b = bf16_to_f32(want[i]);
        if (got[i] != want[i] && !(isnan(a) && isnan(b))) {
            expect(BUDGET_EXACT, i, a, (double)b, 0);
            return;
        }
    }
}

/* Terms add up to what was packed, wherever it lay. */
static void definition_of_packing(const kernels *table, const void *data)
{
    (void)data;
    for (int form = 0; form < 4; form++)
        for (int terms = 1; terms <= TILE_TERMS; terms++) {
            const int64_t k = 45, ld = form % 2 ? 40 : 50;
            const int n = 21;
            float *x = buffer_floats((form % 2 ? k : n) * ld, PLACE_BEHIND);
            uint16_t *p = packed_buffer(k, terms, PLACE_BEHIND);
            random_fill(x, (form % 2 ? k : n) * ld, INPUTS_SMALL);
            packing(table->tiles, form)(p, terms, x, ld, n, k);
            this_case("form %d, %d terms", form, terms);
            for (int line = 0; line < TILE_BLOCK; line++)
                for (int64_t i = 0; i < 2 * TILE_DEPTH; i++) {
                    const bool there = line < n && i < k;
                    const double want = !there ? 0 : (double)x[form % 2 ? i * ld + line : line * ld + i];
                    double sum = 0;
                    for (int t = 0; t < terms; t++)
                        sum += (double)bf16_to_f32(packed_at(p, form >= 2, terms, t, line, i));
                    expect_that(fabs(sum - want) <= ldexp(fabs(want), -8 * terms) && (terms < 3 || sum == want),
                                "terms add up to the number");
                }
            buffers_done();
        }
}

static void packing_like_plain(const kernels *table, const void *data)
{
    (void)data;
    for (int form = 0; form < 4; form++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int i = 0; i < DEPTHS * LINES; i++) {
                const int64_t k = depths[i / LINES];
                const int n = lines[i % LINES], terms = 1 + i % TILE_TERMS, place = i % PLACES;
                const int64_t ld = (form % 2 ? n : k) + i % 3, size = tile_block_size(k, terms);
                float *x = buffer_floats(((form % 2 ? k : n) - 1) * ld + (form % 2 ? n : k), place);
                uint16_t *got = packed_buffer(k, terms, place), *want = malloc((size_t)size * sizeof *want);
                assert_non_null(want);
                this_case("form %d, %s, %d lines of %lld, %d terms, place %d", form, inputs_name(kind), n, (long long)k, terms,
                          place);
                random_fill(x, ((form % 2 ? k : n) - 1) * ld + (form % 2 ? n : k), kind);
                packing(table->tiles, form)(got, terms, x, ld, n, k);
                packing(&tiles_c, form)(want, terms, x, ld, n, k);
                expect_packed(got, want, size);
                free(want);
                buffers_done();
            }
}

/* Lines that are bfloat16 already, at an odd address too. */
static void packing_of_bf16(const kernels *table, const void *data)
{
    (void)data;
    for (int i = 0; i < DEPTHS * LINES; i++) {
        const int64_t k = depths[i / LINES], ld = k + i % 3;
        const int n = lines[i % LINES];
        const size_t bytes = (size_t)(((n - 1) * ld + k) * 2);
        unsigned char *room = (unsigned char *)buffer_floats((int64_t)(bytes + 1 + 3) / 4, PLACE_BEHIND);
        unsigned char *src = room + ((bytes + 1 + 3) / 4 * 4 - bytes) / 2 % 2; /* even and odd */
        uint16_t *got = packed_buffer(k, 1, PLACE_BEHIND), *want = malloc((size_t)tile_block_size(k, 1) * sizeof *want);
        assert_non_null(want);
        this_case("%d lines of %lld bfloat16", n, (long long)k);
        for (size_t b = 0; b < bytes; b++)
            src[b] = (unsigned char)(random_bits() >> 32);
        table->tiles->pack_right_bf16(got, src, ld, n, k);
        tiles_c.pack_right_bf16(want, src, ld, n, k);
        assert_memory_equal(got, want, (size_t)tile_block_size(k, 1) * sizeof *want);
        for (int line = 0; line < n; line++)
            for (int64_t j = 0; j < k; j++) {
                uint16_t at;
                memcpy(&at, src + 2 * (line * ld + j), sizeof at);
                expect_that(packed_at(got, true, 1, 0, line, j) == at, "an element is where it should be");
            }
        free(want);
        buffers_done();
    }
}

static const int pairs_of_terms[][2] = {{1, 1}, {3, 3}, {3, 1}, {3, 2}, {2, 2}};
enum { FORMS = sizeof pairs_of_terms / sizeof *pairs_of_terms };

/* Both operands of random numbers; c is there already. */
typedef struct operands {
    float *x, *y;          /* [m, k], [n, k] */
    uint16_t *a, *b;
    int64_t k;
    int m, n, a_terms, b_terms;
} operands;

static operands make_operands(int64_t k, int m, int n, const int terms[2], inputs kind, int place)
{
    operands o = {.k = k, .m = m, .n = n, .a_terms = terms[0], .b_terms = terms[1]};
    o.x = buffer_floats(m * k, place);
    o.y = buffer_floats(n * k, place);
    random_fill(o.x, m * k, kind);
    random_fill(o.y, n * k, kind);
    if (terms[1] < terms[0] && terms[1] == 1)
        kernels_c.round_bf16(o.y, n * k);
    o.a = packed_buffer(k, o.a_terms, place);
    o.b = packed_buffer(k, o.b_terms, place);
    tiles_c.pack_left(o.a, o.a_terms, o.x, k, m, k);
    tiles_c.pack_right(o.b, o.b_terms, o.y, k, n, k);
    return o;
}

/* Sums of plain C: all to float32 rounding, where the terms are the operands, else to what was left out. */
static void definition_of_products(const kernels *table, const void *data)
{
    (void)data;
    if (table != &kernels_c)
        return;
    for (int form = 0; form < FORMS; form++) {
        operands o = make_operands(MOST_K, 32, 32, pairs_of_terms[form], INPUTS_SMALL, PLACE_BEHIND);
        float c[TILE_BLOCK * TILE_BLOCK];
        const tile_product p = {.k = o.k, .a = o.a, .b = o.b, .a_terms = o.a_terms, .b_terms = o.b_terms, .c = c,
                                .ldc = TILE_BLOCK, .m = 32, .n = 32};
        double worst = 0;
        tiles_c.multiply(&p);
        for (int i = 0; i < 32; i++)
            for (int j = 0; j < 32; j++) {
                double sum = 0, magnitude = 0;
                for (int64_t k = 0; k < o.k; k++) {
                    double x = (double)o.x[i * o.k + k], y = (double)o.y[j * o.k + k];
                    if (form == 0) {
                        x = (double)bf16_to_f32(f32_to_bf16((float)x));
                        y = (double)bf16_to_f32(f32_to_bf16((float)y));
                    }
                    sum += x * y;
                    magnitude += fabs(x * y);
                }
                worst = fmax(worst, fabs(sum - (double)c[i * TILE_BLOCK + j]) / magnitude);
            }
        this_case("%d and %d terms: error %.3g of the magnitudes", o.a_terms, o.b_terms, worst);
        expect_that(worst <= (o.b_terms == 2 ? 1.0 / (1 << 17) : 4e-7), "near the sum in double precision");
        buffers_done();
    }
}

static void products_like_plain(const kernels *table, const void *data)
{
    const bool exact = table->tiles == &tiles_amx;
    (void)data;
    for (int kind = 0; kind < INPUTS_COUNT; kind++)
        for (int i = 0; i < DEPTHS * LINES * 2; i++) {
            const int64_t k = depths[i / 2 / LINES], ldc = 32 + i % 2 * 5;
            const int m = lines[i / 2 % LINES], n = lines[(i / 2 % LINES * 5 + i) % LINES], form = i % FORMS;
            const bool add = i % 4 > 1;
            if (!exact && (kind == INPUTS_HUGE || kind == INPUTS_SPECIAL)) /* sums in another order overflow elsewhere */
                continue;
            operands o = make_operands(k, m, n, pairs_of_terms[form], kind, i % PLACES);
            const int64_t size = (m - 1) * ldc + n;
            float *c = buffer_floats(size, i % PLACES), *want = malloc((size_t)size * sizeof *want);
            assert_non_null(want);
            this_case("%s, %d x %d of %lld, %d and %d terms, %s, place %d", inputs_name(kind), m, n, (long long)k, o.a_terms,
                      o.b_terms, add ? "added" : "set", i % PLACES);
            for (int row = 0; row < m && add; row++)
                random_fill(c + row * ldc, n, kind == INPUTS_DENORMAL ? INPUTS_SMALL : kind);
            memcpy(want, c, (size_t)size * sizeof *want);
            tile_product p = {.k = k, .a = o.a, .b = o.b, .a_terms = o.a_terms, .b_terms = o.b_terms, .c = c, .ldc = ldc,
                              .m = m, .n = n, .add = add};
            table->tiles->begin();
            table->tiles->multiply(&p);
            table->tiles->end();
            p.c = want;
            tiles_c.multiply(&p);
            for (int row = 0; row < m; row++)
                for (int64_t col = 0; col < ldc && row * ldc + col < size; col++) {
                    const int64_t at = row * ldc + col;
                    double magnitude = fabs((double)want[at]);
                    for (int64_t j = 0; j < k && col < n; j++)
                        magnitude += fabs((double)o.x[row * k + j] * (double)o.y[col * k + j]);
                    if (col >= n)
                        expect_that(untouched(c[at]), "what lies between the rows stays");
                    else if (exact)
                        expect(BUDGET_EXACT, at, c[at], (double)want[at], 0);
                    else
                        expect(BUDGET_DOT, at, c[at], (double)want[at], magnitude);
                }
            free(want);
            buffers_done();
        }
}

/* Bounds of queries: causal, a window, all, and some that see nothing. */
static void make_bounds(int64_t *lo, int64_t *hi, int64_t *qpos, int kind, int64_t key0, int64_t n_key)
{
    for (int j = 0; j < TILE_BLOCK; j++) {
        qpos[j] = key0 + j * 3 - 20;
        lo[j] = kind == 2 ? qpos[j] - 9 : 0;
        hi[j] = kind == 0 ? key0 + n_key + 5 : kind == 3 && j % 5 == 0 ? 0 : qpos[j] + 1;
        lo[j] = lo[j] < 0 ? 0 : lo[j];
        hi[j] = hi[j] < lo[j] ? lo[j] : hi[j];
    }
}

static void exponentials_like_plain(const kernels *table, const void *data)
{
    static const int64_t counts[] = {1, 2, 3, 31, 32, 33, 64, 95, 127, TILE_STRETCH};
    (void)data;
    for (int kind = 0; kind < INPUTS_COUNT; kind++)
        for (int i = 0; i < 80; i++) {
            const int64_t n = counts[i % 10], key0 = i % 3 * 128;
            const int terms = 1 + i % TILE_TERMS;
            const bool keep = i % 4 < 2, pack = i % 5 != 0, distance = i % 3 != 0;
            float *s = buffer_floats(n * TILE_BLOCK, i % PLACES), *shift = buffer_floats(TILE_BLOCK, i % PLACES);
            float *sums = buffer_floats(3 * TILE_BLOCK, i % PLACES), want_sums[3 * TILE_BLOCK];
            float top[TILE_BLOCK], want_top[TILE_BLOCK], plain[TILE_STRETCH * TILE_BLOCK];
            int64_t *lo = buffer_ints(TILE_BLOCK, i % PLACES), *hi = buffer_ints(TILE_BLOCK, i % PLACES);
            int64_t *qpos = buffer_ints(TILE_BLOCK, i % PLACES);
            uint16_t *got = packed_buffer(n, terms, i % PLACES), want[4 * TILE_TERMS * 2 * TILE_ELEMENTS];
            const float c = i % 7 ? 0.18f : 1.4427f;
            this_case("%s, %lld keys, %d terms, case %d", inputs_name(kind), (long long)n, terms, i);
            make_bounds(lo, hi, qpos, i % 4, key0, n);
            random_fill(s, n * TILE_BLOCK, kind);
            memcpy(plain, s, (size_t)(n * TILE_BLOCK) * sizeof *s);
            for (int j = 0; j < TILE_BLOCK; j++)
                top[j] = want_top[j] = i % 2 ? -INFINITY : 1;
            table->tiles->column_tops(top, s, key0, n, lo, hi);
            tiles_c.column_tops(want_top, s, key0, n, lo, hi);
            if (kind != INPUTS_SPECIAL) /* which passes a NaN over */
                expect_floats(BUDGET_EXACT, top, want_top, TILE_BLOCK);
            for (int j = 0; j < TILE_BLOCK; j++)
                shift[j] = isfinite(want_top[j]) ? want_top[j] : 0;
            random_fill(sums, 3 * TILE_BLOCK, INPUTS_SMALL);
            memcpy(want_sums, sums, sizeof want_sums);
            tile_exponentials x = {.s = s, .key0 = key0, .n_key = n, .c = c, .shift = shift, .lo = lo, .hi = hi, .qpos = qpos,
                                   .sum = sums, .weighted = sums + TILE_BLOCK,
                                   .distance = distance ? sums + 2 * TILE_BLOCK : NULL, .terms = terms,
                                   .packed = pack ? got : NULL, .keep = keep};
            table->tiles->exponentials(&x);
            tile_exponentials y = x;
            y.s = plain;
            y.sum = want_sums;
            y.weighted = want_sums + TILE_BLOCK;
            y.distance = distance ? want_sums + 2 * TILE_BLOCK : NULL;
            y.packed = pack ? want : NULL;
            tiles_c.exponentials(&y);
            expect_floats(BUDGET_EXACT, sums, want_sums, 3 * TILE_BLOCK);
            expect_floats(BUDGET_EXACT, s, plain, n * TILE_BLOCK);
            if (pack)
                expect_packed(got, want, tile_block_size(n, terms));
            buffers_done();
        }
}

/* 2^t near its value, and the same alone as in a block. */
static void definition_of_exponentials(const kernels *table, const void *data)
{
    (void)data;
    if (table != &kernels_c)
        return;
    for (int i = 0; i < 20000; i++) {
        const float s = random_float(-120, 1), e = tile_exponential(s, 1, 0);
        this_case("2^%.9g", (double)s);
        expect_that(fabs((double)e / exp2((double)s) - 1) < 3e-7, "near the power of two");
    }
    expect_that(tile_exponential(0, 1, 0) == 1 && tile_exponential(-INFINITY, 1, 0) == 0 && tile_exponential(-1e9f, 1, 0) == 0 &&
                isnan(tile_exponential(NAN, 1, 0)), "1, 0, 0 and no number");
}

/* ---- whole products ---- */

enum { ROWS = 70, OUTPUTS = 75, INPUTS = 96 };

static void *weights_of(weight *w, dtype type, bool transposed)
{
    const dtype_info *t = &dtypes[type];
    const size_t n = (size_t)OUTPUTS * INPUTS, bytes = n / (size_t)t->block * (size_t)t->block_bytes;
    unsigned char *stored = malloc(bytes + 1);
    assert_non_null(stored);
    for (size_t i = 0; i < bytes; i++)
        stored[i] = (unsigned char)(random_bits() >> 40);
    for (size_t i = 0; i < n && type == DT_F32; i++) {
        const float x = random_float(-1, 1);
        memcpy(stored + 4 * i, &x, sizeof x);
    }
    for (size_t i = 0; i < n && type == DT_BF16; i++) {
        const uint16_t x = f32_to_bf16(random_float(-1, 1));
        memcpy(stored + 1 + 2 * i, &x, sizeof x); /* at an odd address */
    }
    for (size_t i = 0; i < n && type == DT_F16; i++) {
        bool overflow;
        const uint16_t x = f32_to_f16(random_float(-1, 1), &overflow);
        memcpy(stored + 2 * i, &x, sizeof x);
    }
    for (size_t i = 0; i < bytes && (type == DT_Q8_0 || type == DT_Q4_0); i += (size_t)t->block_bytes) {
        const uint16_t d = 0x2400; /* 1/64 */
        memcpy(stored + i, &d, sizeof d);
    }
    *w = (weight){.type = type, .data = stored + (type == DT_BF16), .n_out = OUTPUTS, .n_in = INPUTS,
                  .ld = transposed ? OUTPUTS : INPUTS, .transposed = transposed};
    return stored;
}

static void multiply_all(float *y, const float *x, int64_t rows, const weight *w, const tile_plan *plan, int threads)
{
    pool *p;
    gemm_scratch *s;
    err e = {0};
    assert_int_equal(pool_new(&p, threads, &e), 0);
    assert_int_equal(gemm_scratch_new(&s, p, &e), 0);
    assert_int_equal(gemm_scratch_reserve(s, rows, INPUTS, &e), 0);
    gemm_by_tiles(s, &(gemm_map){w, y, OUTPUTS}, plan, 1, x, INPUTS, rows);
    gemm_scratch_free(s);
    pool_free(p);
}

static void whole_products(const kernels *table, const void *data)
{
    static const struct { dtype type; bool transposed; int left, right; double error; } cases[] = {
        {DT_F32, false, 3, 3, 4e-7}, {DT_F32, true, 3, 3, 4e-7}, {DT_BF16, false, 3, 1, 4e-7}, {DT_BF16, true, 3, 1, 4e-7},
        {DT_Q8_0, false, 3, 3, 4e-7}, {DT_F16, false, 3, 2, 4e-7}, {DT_Q4_0, false, 3, 2, 4e-7}, {DT_F32, false, 2, 2, 1e-5},
        {DT_F32, false, 1, 1, 8e-3}, {DT_BF16, false, 1, 1, 4e-3},
    };
    const char *note;
    (void)data;
    kernels_select(table->isa, &note, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weight w;
        void *stored = weights_of(&w, cases[i].type, cases[i].transposed);
        const tile_plan plan = {table->tiles, cases[i].left, cases[i].right};
        float x[ROWS * INPUTS], bias[OUTPUTS], row[INPUTS];
        float *y = buffer_floats(ROWS * OUTPUTS, PLACE_BEHIND), *again = buffer_floats(ROWS * OUTPUTS, PLACE_BEHIND);
        random_fill(x, ROWS * INPUTS, INPUTS_SMALL);
        random_fill(bias, OUTPUTS, INPUTS_SMALL);
        w.bias = i % 2 ? bias : NULL;
        this_case("%s%s, %d and %d terms", dtypes[w.type].name, w.transposed ? " transposed" : "", plan.left, plan.right);
        multiply_all(y, x, ROWS, &w, &plan, 1);
        for (int o = 0; o < OUTPUTS; o++) {
            weight_load(row, &w, o, 0, INPUTS);
            for (int r = 0; r < ROWS; r++) {
                double sum = w.bias ? (double)bias[o] : 0, magnitude = fabs(sum);
                for (int k = 0; k < INPUTS; k++) {
                    sum += (double)x[r * INPUTS + k] * (double)row[k];
                    magnitude += fabs((double)x[r * INPUTS + k] * (double)row[k]);
                }
                /* sums of tiles are pairwise at their ends, those of VDPBF16PS go one by one */
                const double error = table->tiles == &tiles_avx512_bf16 ? cases[i].error + 2e-6 : cases[i].error;
                expect_that(fabs(sum - (double)y[r * OUTPUTS + o]) <= error * magnitude, "near double precision");
            }
        }
        multiply_all(again, x, ROWS, &w, &plan, 3);
        assert_memory_equal(again, y, sizeof *y * ROWS * OUTPUTS);
        for (int first = 0; first < ROWS; first += 9) {
            const int n = ROWS - first < 9 ? ROWS - first : 9;
            multiply_all(again, x + first * INPUTS, n, &w, &plan, 2);
            assert_memory_equal(again, y + first * OUTPUTS, sizeof *y * (size_t)n * OUTPUTS);
        }
        free(stored);
        buffers_done();
    }
    kernels_select("best", &note, NULL);
}

/* Which products go through tiles, and what counts as bfloat16. */
static void test_plans(void **state)
{
    (void)state;
    for (const kernels *const *k = kernels_all(); *k; k++) {
        const bool amx = !strcmp((*k)->isa, "amx"), bf16 = amx || !strcmp((*k)->isa, "avx512bf16");
        for (int terms = 1; terms <= TILE_TERMS; terms++) {
            const tile_plan p = tile_plan_for(*k, PRECISION_F32, terms), narrow = tile_plan_for(*k, PRECISION_BF16, terms);
            assert_true((p.t != NULL) == amx && (!amx || (p.left == TILE_TERMS && p.right == terms)));
            assert_true((narrow.t != NULL) == bf16 && narrow.left == 1 && narrow.right == 1);
            assert_null(tile_plan_for(*k, PRECISION_F32_STRICT, terms).t);
        }
        assert_true(!bf16 || (*k)->nr == TILE_BLOCK);
    }
    assert_int_equal(gemm_right_terms(&(weight){.type = DT_F8_E4M3, .scale_kind = SCALE_F32_TILE}), TILE_TERMS);
    assert_int_equal(gemm_right_terms(&(weight){.type = DT_F4, .scale_kind = SCALE_E8M0_32}), 1);
}

/* Weights of every type are what their terms add up to. */
static void test_right_terms(void **state)
{
    (void)state;
    for (int type = 0; type < DT_COUNT; type++) {
        const dtype_info *t = &dtypes[type];
        unsigned char stored[512];
        float x[512];
        if (!t->to_f32 || t->block > 256 || t->block_bytes > 512)
            continue;
        for (int round = 0; round < 2000; round++) {
            for (int i = 0; i < t->block_bytes; i++)
                stored[i] = (unsigned char)(random_bits() >> 32);
            t->to_f32(x, stored, t->block);
            for (int i = 0; i < t->block; i++) {
                float rest = x[i];
                if (!(fabsf(x[i]) < 1e38f && fabsf(x[i]) > 1e-30f))
                    continue;
                for (int n = gemm_right_terms(&(weight){.type = (dtype)type}); n > 0; n--)
                    rest -= bf16_to_f32(f32_to_bf16(rest));
                if (rest != 0 && type != DT_F64 && (type < DT_I8 || type > DT_U64))
                    fail_msg("%s: %a has more terms", t->name, (double)x[i]);
            }
        }
    }
}

static void test_packing(void **state)
{
    (void)state;
    each_table("tiles", definition_of_packing, NULL);
    each_table("tiles", packing_like_plain, NULL);
    each_table("tiles", packing_of_bf16, NULL);
}

static void test_products(void **state)
{
    (void)state;
    each_table("tiles", definition_of_products, NULL);
    each_table("tiles", products_like_plain, NULL);
}

static void test_exponentials(void **state)
{
    (void)state;
    each_table("tiles", definition_of_exponentials, NULL);
    each_table("tiles", exponentials_like_plain, NULL);
}

static void test_whole_products(void **state)
{
    (void)state;
    each_table("tiles", whole_products, NULL);
}

static void test_entries(void **state)
{
    (void)state;
    check_entries("test_tiles");
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans), cmocka_unit_test(test_right_terms), cmocka_unit_test(test_packing),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_exponentials), cmocka_unit_test(test_whole_products), cmocka_unit_test(test_entries),
    };
    return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
