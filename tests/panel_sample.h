/* Samples of figures with panels, and looking into what they become. */
#ifndef ATTNSCOPE_TESTS_PANEL_SAMPLE_H
#define ATTNSCOPE_TESTS_PANEL_SAMPLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plots/heatmap.h"
#include "plots/panels.h"
#include "tests/figure_sample.h"

/* These unused variants keep a translation unit free of warnings when it does not need one of them. */
#define HELPER static __attribute__((unused))

/* --- samples: values that depend on the place alone --- */

HELPER float value_at(int panel, int64_t r, int64_t c)
{
    uint32_t h = (uint32_t)(r * 2654435761u) ^ (uint32_t)(c * 40503u + 12345u) ^ (uint32_t)panel * 97003u;
    h = (h ^ h >> 13) * 1274126177u;
    double v = ((double)(h >> 8) + 0.5) / (1 << 24);
    return (float)(v * v);
}

enum { MOST = 40 };
typedef struct panel_sample {
    figure_data d;
    figure_panels panels;
    figure_panel panel[MOST];
    float *cells[MOST];
    params *p;
    const figure *f;
} panel_sample;

HELPER const char *const layer_names[] = {"L0", "L1", "L2", "L3", "L4", "L5"};
HELPER const char *const head_names[] = {"H0", "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9"};

/* n panels of rows x cols; columns > 0: a grid. */
HELPER void init(panel_sample *s, const char *recipe, int n, int columns, int64_t rows, int64_t cols, bool causal,
                 const char *const *options)
{
    memset(s, 0, sizeof *s);
    s->f = figure_find(recipe);
    assert_non_null(s->f);
    for (int i = 0; i < n; i++) {
        s->cells[i] = malloc((size_t)(rows * cols) * sizeof(float));
        assert_non_null(s->cells[i]);
        for (int64_t k = 0; k < rows * cols; k++)
            s->cells[i][k] = causal && k % cols > k / cols ? NAN : value_at(i, k / cols, k % cols);
        s->panel[i] = (figure_panel){.m = {.rows = rows, .cols = cols, .cells = s->cells[i]},
                                     .title = columns ? NULL : layer_names[i % 6]};
    }
    s->panels = (figure_panels){.panel = s->panel, .n = n, .columns = columns, .row_names = layer_names,
                                .col_names = head_names, .row_axis = "layer", .col_axis = "head", .empty = "no map stored"};
    s->d = (figure_data){.panels = &s->panels, .title = "a title", .subtitle = "a subtitle", .row_axis = "query token",
                         .col_axis = "key token", .quantity = "attention weight", .unit = "", .lo = 0, .hi = 1, .pool = 1,
                         .caption = "model of a test; 8 tokens; 1 prompt"};
    s->p = sample_params(s->f, options);
}

HELPER void done(panel_sample *s)
{
    params_free(s->p);
    for (int i = 0; i < MOST; i++)
        free(s->cells[i]);
}

HELPER scene *built(const figure *f, const figure_data *d, const params *p)
{
    scene *out = NULL;
    err e = {0};

    if (f->build(&out, d, p, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return out;
}

/* --- looking into a scene --- */

/* The rasters in order; the colour bar is the last. */
HELPER int rasters(const scene_item **out, int most, const scene *s)
{
    int n = 0;

    for (int64_t i = 0; i < s->n && n < most; i++)
        if (s->items[i].kind == SCENE_RASTER)
            out[n++] = &s->items[i];
    return n;
}

HELPER const scene_item *text_with(const scene *s, const char *part)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strstr(s->items[i].text, part))
            return &s->items[i];
    return NULL;
}

HELPER const scene_item *text_is(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return &s->items[i];
    return NULL;
}

/* Nothing leaves the page, no text lies on another. */
HELPER void check_page(const scene *s)
{
    const double slack = 1e-6;

    for (int64_t i = 0; i < s->n; i++) {
        const box *a = &s->items[i].at;
        if (a->x < 0 || a->y < 0 || a->x + a->w > s->page.width || a->y + a->h > s->height)
            fail_msg("'%s' leaves the page", s->items[i].text ? s->items[i].text : "a box");
        for (int64_t j = 0; j < i && s->items[i].kind == SCENE_TEXT; j++) {
            const box *b = &s->items[j].at;
            if (s->items[j].kind == SCENE_TEXT && a->x + a->w > b->x + slack && b->x + b->w > a->x + slack &&
                a->y + a->h > b->y + slack && b->y + b->h > a->y + slack)
                fail_msg("'%s' touches '%s'", s->items[i].text, s->items[j].text);
        }
    }
}

HELPER void same_colour(rgb got, rgb want)
{
    if (got.r != want.r || got.g != want.g || got.b != want.b)
        fail_msg("colour %02x%02x%02x, expected %02x%02x%02x", got.r, got.g, got.b, want.r, want.g, want.b);
}

HELPER rgb map_colour(const char *name, double t)
{
    palette p;
    assert_int_equal(palette_find(&p, name, NULL), 0);
    return palette_at(p, t);
}

HELPER bool near(double a, double b)
{
    return fabs(a - b) < 1e-6;
}

#endif
