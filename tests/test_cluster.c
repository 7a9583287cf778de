/* Hierarchical clustering against scipy 1.x on a committed table, cophenetic distances, cuts, and places in the plane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster.h"

enum { N = 9 };

static const double distances[N][N] = {
    {0.0, 0.805, 0.025, 0.805, 0.47, 0.515, 0.63, 0.285, 0.975},
    {0.805, 0.0, 0.385, 0.57, 0.41, 0.135, 0.05, 0.005, 0.05},
    {0.025, 0.385, 0.0, 0.65, 0.75, 0.235, 0.285, 0.435, 0.265},
    {0.805, 0.57, 0.65, 0.0, 0.845, 0.12, 0.395, 0.625, 0.495},
    {0.47, 0.41, 0.75, 0.845, 0.0, 0.555, 0.9, 0.275, 0.36},
    {0.515, 0.135, 0.235, 0.12, 0.555, 0.0, 0.87, 0.34, 0.23},
    {0.63, 0.05, 0.285, 0.395, 0.9, 0.87, 0.0, 0.705, 0.77},
    {0.285, 0.005, 0.435, 0.625, 0.275, 0.34, 0.705, 0.0, 0.325},
    {0.975, 0.05, 0.265, 0.495, 0.36, 0.23, 0.77, 0.325, 0.0},
};

/* linkage, leaves_list, fcluster(3, "maxclust") less 1, cophenet. */
static const struct published {
    cluster_linkage how;
    cluster_merge merge[N - 1];
    int64_t order[N], three[N];
    double correlation;
} scipy[] = {
    {LINK_AVERAGE,
     {{1, 7, 2, 0.005}, {0, 2, 2, 0.025}, {3, 5, 2, 0.12}, {8, 9, 3, 0.1875}, {4, 12, 4, 0.348333333333333},
      {6, 10, 3, 0.4575}, {11, 13, 6, 0.474375}, {14, 15, 9, 0.570277777777778}},
     {6, 0, 2, 3, 5, 4, 8, 1, 7}, {0, 2, 0, 1, 2, 1, 0, 2, 2}, 0.5923292226173495},
    {LINK_COMPLETE,
     {{1, 7, 2, 0.005}, {0, 2, 2, 0.025}, {3, 5, 2, 0.12}, {8, 9, 3, 0.325}, {4, 12, 4, 0.41}, {6, 10, 3, 0.63},
      {11, 13, 6, 0.845}, {14, 15, 9, 0.975}},
     {6, 0, 2, 3, 5, 4, 8, 1, 7}, {0, 2, 0, 1, 2, 1, 0, 2, 2}, 0.5789940371065566},
    {LINK_SINGLE,
     {{1, 7, 2, 0.005}, {0, 2, 2, 0.025}, {6, 9, 3, 0.05}, {8, 11, 4, 0.05}, {3, 5, 2, 0.12}, {12, 13, 6, 0.135},
      {10, 14, 8, 0.235}, {4, 15, 9, 0.275}},
     {4, 0, 2, 8, 6, 1, 7, 3, 5}, {0}, 0.41317073895768486},
    {LINK_WARD,
     {{1, 7, 2, 0.005}, {0, 2, 2, 0.025}, {3, 5, 2, 0.12}, {8, 9, 3, 0.268467875173176}, {4, 12, 4, 0.410654964660115},
      {6, 10, 3, 0.564394956273235}, {11, 13, 6, 0.795777921282062}, {14, 15, 9, 1.03141488580816}},
     {6, 0, 2, 3, 5, 4, 8, 1, 7}, {0, 2, 0, 1, 2, 1, 0, 2, 2}, 0.5760598150701112},
};

static void test_scipy(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof scipy / sizeof *scipy; t++) {
        const struct published *p = &scipy[t];
        cluster_merge m[N - 1];
        int64_t order[N], cluster[N], n;
        double correlation;
        assert_int_equal(cluster_merges(m, distances[0], N, p->how, NULL), 0);
        for (int i = 0; i < N - 1; i++) {
            assert_true(fabs(m[i].height - p->merge[i].height) < 1e-12);
            assert_int_equal(m[i].a, p->merge[i].a);
            assert_int_equal(m[i].b, p->merge[i].b);
            assert_int_equal(m[i].size, p->merge[i].size);
        }
        assert_int_equal(cluster_order(order, m, N, NULL), 0);
        assert_memory_equal(order, p->order, sizeof order);
        assert_int_equal(cluster_cophenetic_correlation(&correlation, distances[0], m, N, NULL), 0);
        assert_true(fabs(correlation - p->correlation) < 1e-12);
        if (p->how != LINK_SINGLE) {
            assert_int_equal(cluster_cut_count(cluster, &n, m, N, 3, NULL), 0);
            assert_int_equal(n, 3);
            assert_memory_equal(cluster, p->three, sizeof cluster);
        }
    }
}

static void test_cuts(void **state)
{
    static const int64_t low[N] = {1, 4, 1, 2, 3, 2, 0, 4, 4};
    cluster_merge m[N - 1];
    int64_t cluster[N], n;
    (void)state;
    assert_int_equal(cluster_merges(m, distances[0], N, LINK_AVERAGE, NULL), 0);
    assert_int_equal(cluster_cut_height(cluster, &n, m, N, 0.3, NULL), 0);
    assert_int_equal(n, 5);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            assert_int_equal(cluster[i] == cluster[j], low[i] == low[j]);
    for (int64_t k = 1; k <= N + 2; k++) {
        assert_int_equal(cluster_cut_count(cluster, &n, m, N, k, NULL), 0);
        assert_int_equal(n, k < N ? k : N);
    }
    assert_int_equal(cluster_cut_height(cluster, &n, m, N, 9, NULL), 0);
    assert_int_equal(n, 1);
    /* Two merges of one height: no cut lies between them. */
    assert_int_equal(cluster_merges(m, distances[0], N, LINK_SINGLE, NULL), 0);
    assert_int_equal(cluster_cut_count(cluster, &n, m, N, 6, NULL), 0);
    assert_int_equal(n, 5);
}

/* Height of the lowest common ancestor, looked up merge by merge. */
static void test_cophenetic(void **state)
{
    (void)state;
    for (int how = LINK_AVERAGE; how <= LINK_WARD; how++) {
        cluster_merge m[N - 1];
        double h[N * N];
        assert_int_equal(cluster_merges(m, distances[0], N, (cluster_linkage)how, NULL), 0);
        assert_int_equal(cluster_cophenetic(h, m, N, NULL), 0);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                int64_t a = i, b = j;
                double want = 0;
                for (int s = 0; s < N - 1 && a != b; s++) {
                    a = m[s].a == a || m[s].b == a ? N + s : a;
                    b = m[s].a == b || m[s].b == b ? N + s : b;
                    want = m[s].height;
                }
                assert_true(h[i * N + j] == want);
            }
    }
}

static void test_few(void **state)
{
    static const double two[4] = {0, .5, .5, 0}, one[1];
    cluster_merge m[1];
    int64_t order[2], cluster[2], n;
    double r, xy[4], stress;
    (void)state;
    assert_int_equal(cluster_merges(m, two, 2, LINK_WARD, NULL), 0);
    assert_true(m[0].height == .5 && m[0].size == 2);
    assert_int_equal(cluster_order(order, m, 2, NULL), 0);
    assert_int_equal(cluster_cophenetic_correlation(&r, two, m, 2, NULL), 0);
    assert_true(r == 0);
    assert_int_equal(cluster_merges(m, one, 1, LINK_AVERAGE, NULL), 0);
    assert_int_equal(cluster_order(order, m, 1, NULL), 0);
    assert_int_equal(order[0], 0);
    assert_int_equal(cluster_cut_count(cluster, &n, m, 1, 4, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(cluster_plane(xy, &stress, one, 1, NULL), 0);
    assert_true(stress == 0 && xy[0] == 0 && xy[1] == 0);
    assert_int_equal(cluster_plane(xy, &stress, two, 2, NULL), 0);
    assert_true(stress < 1e-9 && fabs(fabs(xy[0] - xy[2]) - .5) < 1e-9 && fabs(xy[1]) < 1e-9);
}

/* Distances of places in the plane are found again; others have a stress that no small move lowers. */
static void test_plane(void **state)
{
    static const double at[N][2] = {{0, 0}, {3, 1}, {-1, 2}, {4, -2}, {.5, .5}, {-3, -1}, {2, 2}, {1, -3}, {-2, .25}};
    double d[N * N], xy[2 * N], stress;
    (void)state;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            d[i * N + j] = hypot(at[i][0] - at[j][0], at[i][1] - at[j][1]);
    assert_int_equal(cluster_plane(xy, &stress, d, N, NULL), 0);
    assert_true(stress < 1e-8);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            assert_true(fabs(hypot(xy[2 * i] - xy[2 * j], xy[2 * i + 1] - xy[2 * j + 1]) - d[i * N + j]) < 1e-7);

    assert_int_equal(cluster_plane(xy, &stress, distances[0], N, NULL), 0);
    for (int move = -1; move < 4 * N; move++) {
        double off = 0, all = 0, moved[2 * N];
        memcpy(moved, xy, sizeof moved);
        if (move >= 0)
            moved[move / 2] += move % 2 ? 1e-3 : -1e-3;
        for (int i = 0; i < N; i++)
            for (int j = i + 1; j < N; j++) {
                double want = distances[i][j], is = hypot(moved[2 * i] - moved[2 * j], moved[2 * i + 1] - moved[2 * j + 1]);
                off += (want - is) * (want - is);
                all += want * want;
            }
        double now = sqrt(off / all);
        assert_true(move < 0 ? fabs(now - stress) < 1e-12 : now >= stress - 1e-9);
    }
    assert_true(stress > .05 && stress < .5);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scipy),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_cophenetic),
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_plane),
    };
    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
