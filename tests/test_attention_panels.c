/* Weights of many heads at once: the bits of the tiles that attention() hands to a tap, for every mask and extra,
 * several attentions together, every instruction set and any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "tests/attention_reference.h"

enum { SOFTCAP = 1, KEY_BIAS = 2, REL_BIAS = 4, SINKS = 8, EVERYTHING = 15, MOST = 4 };

/* What the panels delivered.  cmocka may not be used in worker threads: what is wrong is counted. */
typedef struct panel_record {
    int n_head;
    int64_t n_query, n_key;
    float *probs;             /* [n_head, n_query, n_key] */
    int64_t next[ATTN_MAX_CHUNK]; /* first query that a chunk has not seen */
    int faults;
    const attn_args *of;
} panel_record;

static bool sees(const attn_args *a, int64_t q, int64_t k)
{
    int64_t back = a->pos0 + q - k;
    return !(a->causal && back < 0) && !(a->window > 0 && llabs(back) >= a->window);
}

static void on_block(void *ud, const attn_panels *p)
{
    panel_record *r = ud;
    int faults = p->n_head != r->n_head || p->k_stride % 16 || (uintptr_t)p->probs % 64 || p->h_stride % 16;
    faults += r->next[p->chunk] && r->next[p->chunk] != p->q0;
    r->next[p->chunk] = p->q0 + p->n_query;
    for (int h = 0; h < p->n_head; h++) {
        const attn_args *a = &r->of[p->attention_of[h]];
        for (int64_t k = 0; k < p->n_key; k++)
            for (int i = 0; i < p->k_stride; i++) {
                float w = p->probs[h * p->h_stride + k * p->k_stride + i];
                if (i >= p->n_query) {
                    faults += w != 0;
                    continue;
                }
                int64_t lo = p->visible_lo[p->attention_of[h]][i], hi = p->visible_hi[p->attention_of[h]][i];
                faults += (k >= lo && k < hi) != sees(a, p->q0 + i, k) || ((k < lo || k >= hi) && w != 0) || hi > p->n_key;
                r->probs[(h * r->n_query + p->q0 + i) * r->n_key + k] = w;
            }
    }
    __atomic_fetch_add(&r->faults, faults, __ATOMIC_RELAXED);
}

static panel_record record_panels(const attn_args *of, int n, int threads)
{
    panel_record r = {.n_query = of[0].n_query, .n_key = of[0].n_key, .of = of};
    pool *p;
    attn_scratch *s;
    err e = {0};
    for (int i = 0; i < n; i++)
        r.n_head += of[i].n_head;
    r.probs = calloc((size_t)(r.n_head * r.n_query * r.n_key), sizeof(float));
    assert_int_equal(pool_new(&p, threads, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    for (int again = 0; again < 2; again++) { /* scratch memory is reused */
        memset(r.next, 0, sizeof r.next);
        assert_int_equal(attention_panels(s, of, n, on_block, &r, &e), 0);
    }
    assert_int_equal(r.faults, 0);
    attn_scratch_free(s);
    pool_free(p);
    return r;
}

/* Cell by cell the bits of the tiles; a cell that no tile delivered is masked. */
static void expect_tiles(const attn_args *of, int n, const panel_record *r)
{
    const float *at = r->probs;
    for (int i = 0; i < n; i++) {
        record *tiles = run(&of[i], 2);
        int64_t cells = of[i].n_head * r->n_query * r->n_key;
        for (int64_t c = 0; c < cells; c++)
            assert_true(memcmp(&at[c], &tiles->probs[c], sizeof *at) == 0 || (at[c] == 0 && isnan(tiles->probs[c])));
        at += cells;
        free_record(tiles);
    }
}

static float *scaled(int64_t n, float size)
{
    float *x = random_floats(n);
    for (int64_t i = 0; i < n; i++)
        x[i] *= size;
    return x;
}

static attn_args make_with(int64_t n_query, int64_t n_key, const int *width, int set)
{
    attn_args a = make(n_query, n_key, width[0], width[1], width[2], width[3]);
    if (set & SOFTCAP)
        a.softcap = 1.5f;
    if (set & KEY_BIAS)
        a.key_bias = scaled(a.n_head * n_key, 2);
    if (set & REL_BIAS)
        a.rel_bias = scaled(a.n_head * (n_query + n_key - 1), 2);
    if (set & SINKS)
        a.sinks = scaled(a.n_head, 4);
    return a;
}

static const struct mask {
    int64_t n_query, n_key;
    bool causal, cache;
    int64_t window;
} masks[] = {
    {67, 67, true, false, 0}, {67, 67, true, false, 9},   {1, 1, true, false, 0},   {3, 80, true, true, 0},
    {40, 80, true, true, 33}, {45, 45, false, false, 0},  {66, 66, false, false, 9}, {2, 300, false, false, 0},
    {70, 33, false, false, 0}, {5, 1, false, false, 0},   {20, 300, false, false, 0}, {130, 130, true, false, 1},
};

/* heads, key/value heads, widths of keys and values: grouped, multi-query, latent, one. */
static const int widths[MOST][4] = {{4, 2, 16, 16}, {3, 1, 7, 5}, {2, 2, 24, 9}, {1, 1, 9, 33}};

/* One attention of each width over the same queries and keys, each with its own extras and window. */
static void together(void)
{
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++)
        for (int set = 0; set <= EVERYTHING; set += 3) {
            const struct mask *mask = &masks[m];
            attn_args of[MOST];
            for (int i = 0; i < MOST; i++) {
                of[i] = make_with(mask->n_query, mask->n_key, widths[i], (set + 5 * i) % (EVERYTHING + 1));
                of[i].layer = i;
                of[i].causal = mask->causal;
                of[i].pos0 = mask->cache ? mask->n_key - mask->n_query : 0;
                of[i].window = i % 2 ? mask->window : mask->window * 2;
                of[i].prec = i == 2 ? PRECISION_BF16 : PRECISION_F32;
            }
            panel_record r = record_panels(of, MOST, 2);
            expect_tiles(of, MOST, &r);
            free(r.probs);
            for (int i = 0; i < MOST; i++)
                destroy(&of[i]);
        }
}

static void test_tiles(void **state)
{
    (void)state;
    each_isa(together);
}

static void chunks(void)
{
    attn_args a = make_with(700, 700, widths[0], EVERYTHING);
    panel_record one = record_panels(&a, 1, 1);
    expect_tiles(&a, 1, &one);
    for (int threads = 2; threads <= 5; threads++) {
        panel_record many = record_panels(&a, 1, threads);
        assert_memory_equal(one.probs, many.probs, (size_t)(a.n_head * 700 * 700) * sizeof(float));
        free(many.probs);
    }
    free(one.probs);
    destroy(&a);
}

static void test_threads(void **state)
{
    (void)state;
    each_isa(chunks);
}

static void halve(void *ud, const attn_tile *t, float *probs)
{
    (void)ud;
    for (int64_t q = 0; q < t->n_query; q++)
        for (int64_t k = 0; k < t->n_key; k++)
            probs[q * t->q_stride + k * t->k_stride] *= 0.5f;
}

static void test_edit(void **state)
{
    static const bool heads[4] = {false, true, false, true};
    const attn_edit edit = {heads, halve, NULL};
    attn_args a = make_with(90, 90, widths[0], 0);
    (void)state;
    a.edit = &edit;
    panel_record r = record_panels(&a, 1, 2);
    expect_tiles(&a, 1, &r);
    free(r.probs);
    destroy(&a);
}

/* Row statistics of [4 heads, 90 queries], and how many differ from those of the weights. */
typedef struct row_record { float entropy[4][90], maximum[4][90], distance[4][90], sink[4][90]; int seen, faults; } row_record;

static void edited_rows(void *ud, const attn_rows *r)
{
    row_record *all = ud;
    for (int64_t i = 0; i < r->n_query; i++) {
        all->entropy[r->head][r->q0 + i] = r->entropy[i];
        all->maximum[r->head][r->q0 + i] = r->maximum[i];
        all->distance[r->head][r->q0 + i] = r->distance[i];
        all->sink[r->head][r->q0 + i] = r->sink[i];
    }
}

static void edited_tile(void *ud, const attn_tile *t)
{
    row_record *all = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        double sum = 0, entropy = 0, distance = 0, most = 0;
        for (int64_t k = t->visible_lo[q - t->q0]; k < t->visible_hi[q - t->q0]; k++) {
            double w = (double)attn_tile_at(t, q, k);
            sum += w;
            entropy -= w > 0 ? w * log(w) : 0;
            distance += w * (double)llabs(t->pos0 + q - k);
            most = w > most ? w : most;
        }
        bool good = fabs(all->sink[t->head][q] - (1 - sum)) < 1e-5 && fabs(all->entropy[t->head][q] - entropy) < 1e-5 &&
                    fabs(all->distance[t->head][q] - distance) < 1e-4 && fabs(all->maximum[t->head][q] - most) < 1e-6;
        __atomic_fetch_add(&all->faults, !good, __ATOMIC_RELAXED);
        __atomic_fetch_add(&all->seen, 1, __ATOMIC_RELAXED);
    }
}

/* Statistics of rows are those of the weights that an edit leaves, the weight of a learned sink among them. */
static void test_edited_statistics(void **state)
{
    static const bool heads[4] = {false, true, false, true};
    static row_record all;
    const attn_edit edit = {heads, halve, NULL};
    const attn_tap tap = {
        .need = ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_DISTANCE | ATTN_NEED_PROBS, .rows = edited_rows,
        .tile = edited_tile, .ud = &all,
    };
    attn_args a = make_with(90, 90, widths[0], SINKS);
    pool *p;
    attn_scratch *s;
    err e = {0};
    (void)state;
    a.edit = &edit;
    assert_int_equal(pool_new(&p, 2, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    assert_int_equal(attention(s, &a, &tap, &e), 0);
    assert_int_equal(all.seen, 4 * 90);
    assert_int_equal(all.faults, 0);
    attn_scratch_free(s);
    pool_free(p);
    destroy(&a);
}

static void test_refusals(void **state)
{
    attn_args of[2] = {make_with(20, 20, widths[0], 0), make_with(20, 21, widths[0], 0)};
    panel_record r = {.n_head = 8, .of = of};
    pool *p;
    attn_scratch *s;
    err e = {0};
    (void)state;
    assert_int_equal(pool_new(&p, 2, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    of[1].layer = 3;
    assert_int_equal(attention_panels(s, of, 2, on_block, &r, &e), ERR_FAILED);
    assert_string_equal(e.msg, "layers 0 and 3 attend from or to different numbers of positions");
    cancel_request();
    assert_int_equal(attention_panels(s, of, 1, on_block, &r, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(attention_panels(s, of, 0, on_block, &r, &e), 0);
    attn_scratch_free(s);
    pool_free(p);
    destroy(&of[0]);
    destroy(&of[1]);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_edited_statistics),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("attention_panels", tests, NULL, NULL);
}
