/* What a picture shows besides text, as means over blocks: the same wherever fonts are wider or narrower. */
#ifndef ATTNSCOPE_TESTS_GOLDEN_CROPS_H
#define ATTNSCOPE_TESTS_GOLDEN_CROPS_H

#include "tests/golden_sample.h"

enum { BLOCKS = 24, MOST_CROPS = 16, CROP_BYTES = 3 * BLOCKS * BLOCKS };
static const rgb masked = {255, 0, 255}; /* a block with text in it */

typedef struct crops {
    int n;
    uint8_t rgb[MOST_CROPS][CROP_BYTES];
} crops;

/* Where the series of a chart are: right of its highest line, above its widest. */
static inline box plot_of(const scene *s)
{
    box left = {0}, low = {0};

    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind != SCENE_FILL || memcmp(&it->colour, &s->page.line, sizeof(rgb)) != 0)
            continue;
        left = it->at.h > left.h ? it->at : left;
        low = it->at.w >= low.w ? it->at : low;
    }
    return (box){left.x + left.w, left.y, low.w - left.w, left.h - left.w};
}

/* Mean over a part of the picture, pixels at its edges by their share. */
static inline void mean_of(uint8_t out[3], const picture *p, double x0, double y0, double x1, double y1)
{
    double sum[3] = {0}, weight = 0;

    for (int y = (int)y0; y < (int)ceil(y1) && y < p->h; y++) {
        for (int x = (int)x0; x < (int)ceil(x1) && x < p->w; x++) {
            double share = (fmin(x + 1, x1) - fmax(x, x0)) * (fmin(y + 1, y1) - fmax(y, y0));
            rgb c = picture_at(p, x, y);
            sum[0] += share * c.r;
            sum[1] += share * c.g;
            sum[2] += share * c.b;
            weight += share;
        }
    }
    for (int k = 0; k < 3; k++)
        out[k] = (uint8_t)lround(sum[k] / weight);
}

static inline bool has_text(const scene *s, double x0, double y0, double x1, double y1)
{
    for (int64_t i = 0; i < s->n; i++) {
        const box *b = &s->items[i].at;
        double air = 1; /* letters lean out of their boxes a little */
        if (s->items[i].kind == SCENE_TEXT && b->x - air < x1 && b->x + b->w + air > x0 && b->y - air < y1 &&
            b->y + b->h + air > y0)
            return true;
    }
    return false;
}

/* upright: a bar beside the map, which in other fonts lies below it: taken as if it lay. */
static inline void take_crop(crops *c, const scene *s, const picture *p, box at, bool upright)
{
    double px = s->page.px;

    if (c->n == MOST_CROPS)
        return;
    for (int k = 0; k < BLOCKS * BLOCKS; k++) {
        int col = upright ? k / BLOCKS : k % BLOCKS, row = upright ? BLOCKS - 1 - k % BLOCKS : k / BLOCKS;
        double x0 = at.x + at.w * col / BLOCKS, x1 = at.x + at.w * (col + 1) / BLOCKS;
        double y0 = at.y + at.h * row / BLOCKS, y1 = at.y + at.h * (row + 1) / BLOCKS;
        uint8_t *out = c->rgb[c->n] + 3 * k;
        if (has_text(s, x0, y0, x1, y1))
            memcpy(out, &masked, 3);
        else
            mean_of(out, p, x0 / px, y0 / px, x1 / px, y1 / px);
    }
    c->n++;
}

static inline void take_crops(crops *c, const golden *g, const picture *p)
{
    scene *s = golden_scene(g);

    c->n = 0;
    if (is_chart(g))
        take_crop(c, s, p, plot_of(s), false);
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_RASTER)
            take_crop(c, s, p, s->items[i].at, s->items[i].cols == 1);
    assert_in_range(c->n, 1, MOST_CROPS);
    scene_free(s);
}

/* How far apart two sets are: the mean difference of a channel over blocks without text, and the share of blocks that
 * differ clearly. */
static inline void compare(double *mean, double *clear, int *blocks, const crops *a, const crops *b)
{
    double sum = 0;
    int n = 0, far = 0;

    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        for (int k = 0; k < BLOCKS * BLOCKS; k++) {
            const uint8_t *x = a->rgb[i] + 3 * k, *y = b->rgb[i] + 3 * k;
            if (memcmp(x, &masked, 3) == 0 || memcmp(y, &masked, 3) == 0)
                continue;
            int most = 0;
            for (int c = 0; c < 3; c++) {
                sum += abs(x[c] - y[c]);
                most = abs(x[c] - y[c]) > most ? abs(x[c] - y[c]) : most;
            }
            far += most > 48;
            n++;
        }
    }
    *mean = n ? sum / (3 * n) : 255;
    *clear = n ? (double)far / n : 1;
    *blocks = n;
}

enum { MEAN_MOST = 8 };
static const double clear_most = 0.06;

static inline bool alike(const crops *a, const crops *b)
{
    double mean, clear;
    int blocks;

    compare(&mean, &clear, &blocks, a, b);
    return mean <= MEAN_MOST && clear <= clear_most && blocks >= BLOCKS * BLOCKS / 4;
}

#endif
