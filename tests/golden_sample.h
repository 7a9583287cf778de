/* One sample of every recipe, the same on every machine, and the pictures that figures become. */
#ifndef ATTNSCOPE_TESTS_GOLDEN_SAMPLE_H
#define ATTNSCOPE_TESTS_GOLDEN_SAMPLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <png.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "plots/chart_data.h"
#include "plots/scene.h"
#include "tests/figure_sample.h"

/* --- samples --- */

enum { GOLDEN_SERIES = 3, GOLDEN_POINTS = 24, GOLDEN_PANELS = 12 };

typedef struct golden {
    sample s;
    figure_chart chart;
    figure_series series[GOLDEN_SERIES];
    double x[GOLDEN_POINTS], y[GOLDEN_SERIES][GOLDEN_POINTS], low[GOLDEN_POINTS], high[GOLDEN_POINTS];
    figure_rule rule;
    figure_panels panels;
    figure_panel panel[GOLDEN_PANELS];
} golden;

static const char *const golden_rows[] = {"L0", "L1", "L2"};
static const char *const golden_columns[] = {"H0", "H1", "H2", "H3"};
static const char *const golden_groups[] = {"zero L1H2, L1H3", "mean, 12 heads", "zero L0H0"};

static inline void golden_map(golden *g, const char *recipe, int64_t rows, int64_t cols, const char *const *options)
{
    bool tokens = strcmp(recipe, "head_map") == 0;

    sample_init(&g->s, recipe, rows, cols, tokens, false, options);
    if (tokens) /* ASCII alone: the golden pictures do not depend on which fonts stand in */
        g->s.d.m.row_labels = g->s.d.m.col_labels = sample_tokens;
    if (strcmp(recipe, "score_grid") == 0) {
        static const int64_t starts[] = {4, 8};
        g->s.d.row_axis = "layer";
        g->s.d.col_axis = "head";
        g->s.d.quantity = "induction score";
        g->s.d.groups = (figure_groups){.col_starts = starts, .n_col = 2,
                                        .meaning = "lines: heads that share keys and values"};
        g->s.cells[7] = NAN;
    } else if (strcmp(recipe, "needle_grid") == 0) {
        g->s.d.row_axis = "depth (%)";
        g->s.d.col_axis = "context length (tokens)";
        g->s.d.quantity = "recall";
        for (int64_t i = 0; i < rows * cols; i++)
            g->s.cells[i] *= 100;
        g->s.d.unit = "%";
        g->s.d.hi = 100;
    }
}

static inline void golden_thumbs(golden *g)
{
    sample_init(&g->s, "head_grid", 14, 14, true, false, NULL);
    for (int i = 0; i < GOLDEN_PANELS; i++)
        g->panel[i].m = (figure_matrix){.rows = 14 - i, .cols = 14 - i, .cells = g->s.cells};
    g->panel[5].m = (figure_matrix){0};
    g->panels = (figure_panels){.panel = g->panel, .n = GOLDEN_PANELS, .columns = 4, .row_names = golden_rows,
                                .col_names = golden_columns, .row_axis = "layer", .col_axis = "head",
                                .empty = "no map stored"};
    g->s.d.panels = &g->panels;
}

static inline void golden_chart(golden *g, const char *recipe)
{
    static const char *const names[] = {"small", "large", "uniform attention"};
    bool bars = strcmp(recipe, "ablation_bars") == 0, ks = strcmp(recipe, "sparsity_curve") == 0;
    int n = bars ? 3 : ks ? 8 : GOLDEN_POINTS;

    sample_init(&g->s, recipe, 1, 1, false, false, NULL);
    for (int k = 0; k < GOLDEN_POINTS; k++) {
        g->x[k] = ks ? 1 << k % 8 : k;
        for (int i = 0; i < GOLDEN_SERIES; i++) {
            uint32_t h = (uint32_t)(k * 40503 + i * 97003 + 11);
            h = (h ^ h >> 13) * 1274126177u;
            g->y[i][k] = 0.1 + 0.5 * i + (i + 1.0) / (k + 2) + (double)(h >> 8) / (1 << 26);
        }
        g->low[k] = 0.8 * g->y[0][k];
        g->high[k] = 1.3 * g->y[0][k];
    }
    for (int i = 0; i < GOLDEN_SERIES; i++)
        g->series[i] = (figure_series){.kind = bars ? SERIES_BAR : SERIES_LINE, .label = names[i], .n = n, .x = g->x,
                                       .y = g->y[i], .plain = !bars && i == 2, .look = i};
    g->series[0].low = g->low;
    g->series[0].high = g->high;
    g->rule = (figure_rule){0.5, "threshold 0.5"};
    g->chart = (figure_chart){.series = g->series, .n_series = GOLDEN_SERIES, .rules = &g->rule, .n_rules = !bars,
                              .groups = bars ? golden_groups : NULL, .n_groups = bars ? 3 : 0, .whole = true,
                              .note = "band: quartiles of the heads"};
    g->s.d.chart = &g->chart;
    g->s.d.col_axis = bars ? NULL : ks ? "k" : "layer";
    g->s.d.quantity = "entropy";
    g->s.d.unit = "nats";
    g->s.d.lo = g->s.d.hi = NAN;
}

/* A sample of a recipe; g must stay where it is. */
static inline void golden_init(golden *g, const figure *f, const char *const *options)
{
    memset(g, 0, sizeof *g);
    if (strcmp(f->name, "head_map") == 0)
        golden_map(g, f->name, 11, 11, options);
    else if (strcmp(f->name, "score_grid") == 0)
        golden_map(g, f->name, 6, 12, options);
    else if (strcmp(f->name, "received_map") == 0)
        golden_map(g, f->name, 5, 40, options);
    else if (strcmp(f->name, "divergence_matrix") == 0)
        golden_map(g, f->name, 9, 9, options);
    else if (strcmp(f->name, "needle_grid") == 0)
        golden_map(g, f->name, 5, 6, options);
    else if (strcmp(f->name, "head_grid") == 0)
        golden_thumbs(g);
    else
        golden_chart(g, f->name);
    params_free(g->s.p);
    g->s.p = sample_params(f, options);
}

static inline bool is_chart(const golden *g) { return g->s.d.chart != NULL; }

static inline void golden_free(golden *g)
{
    sample_free(&g->s);
}

static inline scene *golden_scene(const golden *g)
{
    scene *s = NULL;
    err e = {0};

    if (g->s.f->build(&s, &g->s.d, g->s.p, &e))
        fail_msg("%s: %s", g->s.f->name, e.msg);
    return s;
}

static inline strbuf golden_file(const golden *g, const char *extension)
{
    strbuf out = {0};
    char name[16];
    err e = {0};

    snprintf(name, sizeof name, "a.%s", extension);
    if (figure_encode(&out, g->s.f, &g->s.d, g->s.p, name, &e))
        fail_msg("%s: %s", g->s.f->name, e.msg);
    return out;
}

/* --- pictures --- */

typedef struct picture {
    int w, h;
    uint8_t *rgb; /* [h, w, 3] */
} picture;

static inline picture read_picture(const void *bytes, size_t n)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    picture p;

    assert_true(png_image_begin_read_from_memory(&image, bytes, n));
    image.format = PNG_FORMAT_RGB;
    p = (picture){(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    assert_non_null(p.rgb);
    assert_true(png_image_finish_read(&image, NULL, p.rgb, 0, NULL));
    return p;
}

static inline rgb picture_at(const picture *p, int x, int y)
{
    assert_in_range(x, 0, p->w - 1);
    assert_in_range(y, 0, p->h - 1);
    const uint8_t *c = p->rgb + 3 * ((size_t)y * (size_t)p->w + (size_t)x);
    return (rgb){c[0], c[1], c[2]};
}

#endif
