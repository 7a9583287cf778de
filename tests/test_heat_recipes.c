/* Heat maps in panels: grids of thumbnails and facets; what is where on the page, and in what colour. */
#include <stdio.h>

#include "tests/panel_sample.h"

/* --- thumbnails --- */

static void thumbnails_stand_in_rows_and_columns(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "head_grid", 12, 4, 8, 8, true, OPTIONS("norm", "log"));
    s.panel[5].m.cells = NULL;
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 12); /* 11 maps and the bar */
    const scene_item *at[12];
    for (int i = 0, k = 0; i < 12; i++)
        at[i] = i == 5 ? NULL : r[k++];
    double pitch = at[1]->at.x - at[0]->at.x;
    for (int i = 0; i < 12; i++) {
        if (!at[i])
            continue;
        assert_int_equal(at[i]->rows, 8);
        assert_int_equal(at[i]->cell_w, at[0]->cell_w);
        assert_int_equal(at[i]->cell_h, at[0]->cell_w);
        assert_true(near(at[i]->at.x, at[0]->at.x + i % 4 * pitch));
        assert_true(near(at[i]->at.y, at[0]->at.y + i / 4 * pitch));
        /* whole device pixels */
        assert_true(near(at[i]->at.x / pic->page.px, round(at[i]->at.x / pic->page.px)));
        for (int64_t k = 0; k < 64; k++) {
            float v = s.cells[i][k];
            same_colour(at[i]->pixels[k], isnan(v) ? pic->page.missing
                                          : map_colour("viridis", v <= 1e-4f ? 0 : log10((double)v / 1e-4) / 4));
        }
    }
    /* labels at the sides alone, in the middle of what they name */
    for (int i = 0; i < 3; i++) {
        const scene_item *label = text_is(pic, layer_names[i]);
        assert_non_null(label);
        assert_true(label->at.x + label->at.w < at[0]->at.x);
        assert_true(near(label->at.y + label->at.h / 2, at[4 * i]->at.y + at[0]->at.h / 2));
    }
    for (int i = 0; i < 4; i++) {
        const scene_item *label = text_is(pic, head_names[i]);
        assert_non_null(label);
        assert_true(label->at.y > at[8]->at.y + at[0]->at.h);
        assert_true(near(label->at.x + label->at.w / 2, at[8 + i]->at.x + at[0]->at.w / 2));
    }
    assert_non_null(text_with(pic, "not visible"));
    assert_non_null(text_with(pic, "no map stored"));
    assert_non_null(text_with(pic, "log10, floor 1e-4"));
    scene_free(pic);
    done(&s);
}

/* Lines between groups of heads stand in the gaps before their first columns, and have a key. */
static void groups_part_thumbnails(void **state)
{
    (void)state;
    static const int64_t starts[] = {2};
    panel_sample s;
    const scene_item *r[MOST];
    int lines = 0;

    init(&s, "head_grid", 8, 4, 8, 8, true, NULL);
    s.panels.groups = (figure_groups){.col_starts = starts, .n_col = 1, .meaning = "between groups of 2 heads"};
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    rasters(r, MOST, pic);
    for (int64_t i = 0; i < pic->n; i++) {
        const box *at = &pic->items[i].at;
        if (pic->items[i].kind == SCENE_FILL && at->h > 2 * r[0]->at.h && at->w < 2) {
            assert_true(at->x > r[1]->at.x + r[1]->at.w - 1 && at->x + at->w < r[2]->at.x + 1);
            lines++;
        }
    }
    assert_int_equal(lines, 1);
    assert_non_null(text_with(pic, "between groups of 2 heads"));
    scene_free(pic);
    done(&s);
}

/* Cells of thumbnails are means, or maxima, of the same blocks in all maps, and the bar says so. */
static void thumbnails_are_pooled(void **state)
{
    (void)state;
    static const char *const how[] = {"mean", "max"};
    enum { N = 300, COLUMNS = 10 };

    for (int k = 0; k < 2; k++) {
        panel_sample s;
        const scene_item *r[MOST];
        char label[64];
        init(&s, "head_grid", 2 * COLUMNS, COLUMNS, N, N, true, OPTIONS("pooling", how[k], "width", "single"));
        scene *pic = built(s.f, &s.d, s.p);
        check_page(pic);
        assert_int_equal(rasters(r, MOST, pic), 2 * COLUMNS + 1);
        int64_t cells = r[0]->rows, pool = (N + cells - 1) / cells;
        assert_true(pool > 1 && (N + pool - 1) / pool == cells);
        snprintf(label, sizeof label, "%s over %lld \xc3\x97 %lld cells", how[k], (long long)pool, (long long)pool);
        assert_non_null(text_with(pic, label));
        for (int i = 0; i < 2 * COLUMNS; i++) {
            for (int64_t b = 0; b < cells * cells; b++) {
                double sum = 0, most = -1;
                int n = 0;
                for (int64_t y = b / cells * pool; y < (b / cells + 1) * pool && y < N; y++)
                    for (int64_t x = b % cells * pool; x < (b % cells + 1) * pool && x < N; x++) {
                        double v = (double)s.cells[i][y * N + x];
                        if (isnan(v))
                            continue;
                        sum += v;
                        most = v > most ? v : most;
                        n++;
                    }
                float v = (float)(k ? most : sum / n);
                same_colour(r[i]->pixels[b], n ? map_colour("viridis", (double)v) : pic->page.missing);
            }
        }
        scene_free(pic);
        done(&s);
    }
}

/* What a caller may pool beforehand is what the page shows. */
static void sides_are_known_before(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];
    int64_t side = 0;
    err e = {0};

    init(&s, "head_grid", 20, 10, 500, 500, true, OPTIONS("width", "double"));
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), 0);
    scene *pic = built(s.f, &s.d, s.p);
    rasters(r, MOST, pic);
    int64_t pool = (500 - 1) / side + 1;
    assert_int_equal(r[0]->rows, (500 - 1) / pool + 1);
    scene_free(pic);
    s.panels.columns = THUMBS_MOST + 1;
    s.panels.n = THUMBS_MOST + 1;
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "at most 30 x 30"));
    s.panels.columns = 10;
    s.panels.n = 20;
    done(&s);
    init(&s, "head_grid", 10, 10, 4, 4, true, OPTIONS("width", "20"));
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "has no room"));
    done(&s);
}

static void no_map_at_all(void **state)
{
    (void)state;
    panel_sample s;
    scene *pic = NULL;
    err e = {0};

    init(&s, "head_grid", 2, 2, 4, 4, true, NULL);
    s.panel[0].m.cells = s.panel[1].m.cells = NULL;
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "nothing to draw"));
    done(&s);
}

/* --- facets --- */

static void facets_share_one_scale(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "score_grid", 2, 0, 4, 8, false, OPTIONS("annotate", "false", "width", "double"));
    s.d.lo = s.d.hi = NAN;
    double lo = 1e9, hi = -1e9;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 32; k++) {
            s.cells[i][k] *= i ? 3 : 1;
            lo = fmin(lo, (double)s.cells[i][k]);
            hi = fmax(hi, (double)s.cells[i][k]);
        }
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 3);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 32; k++)
            same_colour(r[i]->pixels[k], map_colour("viridis", ((double)s.cells[i][k] - lo) / (hi - lo)));
        const scene_item *title = text_is(pic, i ? "(b) L1" : "(a) L0");
        assert_non_null(title);
        assert_true(title->at.y + title->at.h <= r[i]->at.y);
        assert_true(near(title->at.x + title->at.w / 2, r[i]->at.x + r[i]->at.w / 2));
    }
    assert_true(near(r[0]->at.y, r[1]->at.y));
    assert_int_equal(r[0]->cell_w, r[1]->cell_w);
    assert_int_equal(r[0]->cell_h, r[1]->cell_h);
    scene_free(pic);
    done(&s);
}

/* Maps of different lengths: the same blocks, aligned, one statement on the bar. */
static void facets_pool_alike(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];
    char label[64];

    init(&s, "head_map", 3, 0, 700, 700, true, OPTIONS("width", "double"));
    s.panel[1].m.rows = s.panel[1].m.cols = 300;
    for (int64_t k = 0; k < 300 * 300; k++)
        s.cells[1][k] = k % 300 > k / 300 ? NAN : value_at(1, k / 300, k % 300);
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 4);
    int64_t pool = (700 - 1) / r[0]->rows + 1;
    assert_true(pool > 1);
    assert_int_equal(r[0]->rows, (700 - 1) / pool + 1);
    assert_int_equal(r[1]->rows, (300 - 1) / pool + 1);
    snprintf(label, sizeof label, "mean over %lld \xc3\x97 %lld cells", (long long)pool, (long long)pool);
    assert_non_null(text_with(pic, label));
    assert_true(near(r[0]->at.y, r[1]->at.y) && near(r[0]->at.y, r[2]->at.y));
    assert_true(near(r[2]->at.x - r[1]->at.x, r[1]->at.x - r[0]->at.x));
    scene_free(pic);
    done(&s);
}

static void facets_wrap(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "head_map", 6, 0, 10, 10, true, OPTIONS("width", "single"));
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 7);
    assert_true(near(r[0]->at.y, r[1]->at.y));
    assert_true(near(r[0]->at.x, r[2]->at.x));
    assert_true(r[2]->at.y > r[0]->at.y + r[0]->at.h);
    scene_free(pic);
    err e = {0};
    s.panels.n = PANELS_MOST + 1;
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "at most 36"));
    s.panels.n = 6;
    done(&s);
}

/* --- rows --- */

/* Rows that come one by one give the grid of the whole; a map pooled beforehand gives the same page. */
static void maps_may_come_row_by_row(void **state)
{
    (void)state;
    enum { N = 1500 };
    sample s;
    int64_t block = 0;
    grid_feed feed;
    grid g, whole;
    const scene_item *a = NULL, *b = NULL;
    err e = {0};

    sample_init(&s, "head_map", N, N, true, false, OPTIONS("width", "single", "dpi", "150"));
    assert_int_equal(head_map_block(&block, N, N, 1, s.p, &e), 0);
    assert_true(block > 1);
    assert_int_equal(grid_feed_begin(&feed, N, N, block, block, POOL_MEAN, &e), 0);
    for (int64_t r = 0; r < N; r++)
        grid_feed_row(&feed, s.cells + r * N);
    assert_int_equal(grid_feed_end(&g, &feed, &e), 0);
    grid_feed_free(&feed);
    assert_int_equal(grid_pool(&whole, &s.d.m, block, block, POOL_MEAN, &e), 0);
    assert_memory_equal(g.cells, whole.cells, (size_t)(g.rows * g.cols) * sizeof(float));
    assert_int_equal(g.n_finite, whole.n_finite);
    grid_free(&whole);

    scene *direct = built(s.f, &s.d, s.p);
    figure_data pooled = s.d;
    pooled.m = (figure_matrix){.rows = g.rows, .cols = g.cols, .cells = g.cells};
    pooled.pool = block;
    pooled.pooling = "mean";
    scene *before = built(s.f, &pooled, s.p);
    rasters(&a, 1, direct);
    rasters(&b, 1, before);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->cell_w, b->cell_w);
    assert_true(near(a->at.x, b->at.x) && near(a->at.y, b->at.y));
    assert_memory_equal(a->pixels, b->pixels, (size_t)(a->rows * a->cols) * sizeof(rgb));
    const scene_item *label = text_with(direct, "mean over");
    assert_non_null(label);
    assert_non_null(text_is(before, label->text));
    scene_free(direct);
    scene_free(before);
    grid_free(&g);
    sample_free(&s);
}

/* Panels wider than high among square ones: the longest side decides how all are pooled. */
static void wide_panels(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        panel_sample s;
        char *text = NULL;
        err e = {0};
        init(&s, "head_grid", 6, 3, k ? 300 : 30, k ? 30 : 300, false, NULL);
        assert_int_equal(panels_longest(&s.panels), 300);
        s.panel[5].m.rows = s.panel[5].m.cols = 20; /* the last is small */
        assert_int_equal(panels_longest(&s.panels), 300);
        scene *pic = built(s.f, &s.d, s.p);
        check_page(pic);
        scene_free(pic);
        assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_ASCII, (view_size){60, 0}, &text, &e), 0);
        assert_non_null(strstr(text, "cells"));
        free(text);
        for (int i = 0; i < s.panels.n; i++)
            s.panel[i].m.cells = NULL;
        assert_int_equal(panels_longest(&s.panels), 0);
        done(&s);
    }
}

/* A map lower than the name of its rows is long has the name above it and no gap below. */
static void low_maps(void **state)
{
    (void)state;
    for (int cols = 1; cols <= 12; cols++) {
        sample s;
        err e = {0};
        scene *pic = NULL;
        sample_init(&s, "needle_grid", 1, cols, false, false, NULL);
        s.d.row_axis = "depth of the needle (%)";
        assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), 0);
        check_page(pic);
        const scene_item *name = text_is(pic, s.d.row_axis), *below = text_is(pic, s.d.col_axis), *map[2];
        assert_int_equal(rasters(map, 2, pic), 2);
        assert_false(name->style.turned);
        assert_true(name->at.y + name->at.h <= map[0]->at.y);
        assert_true(below->at.y - (map[0]->at.y + map[0]->at.h) < 25);
        scene_free(pic);
        sample_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_panels),
        cmocka_unit_test(low_maps),
        cmocka_unit_test(thumbnails_stand_in_rows_and_columns),
        cmocka_unit_test(groups_part_thumbnails),
        cmocka_unit_test(thumbnails_are_pooled),
        cmocka_unit_test(sides_are_known_before),
        cmocka_unit_test(no_map_at_all),
        cmocka_unit_test(facets_share_one_scale),
        cmocka_unit_test(facets_pool_alike),
        cmocka_unit_test(facets_wrap),
        cmocka_unit_test(maps_may_come_row_by_row),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
