/* Colour maps: tables of colours between which a position in [0, 1] is interpolated linearly in sRGB. */
#ifndef ATTNSCOPE_PLOTS_COLORMAP_H
#define ATTNSCOPE_PLOTS_COLORMAP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

typedef struct rgb { uint8_t r, g, b; } rgb;

typedef struct colormap {
    const char *name;
    bool diverging;         /* made for signed data: its middle belongs to 0 */
    int n;
    const uint32_t *table;  /* [n] 0xRRGGBB, lowest first */
} colormap;

extern const colormap colormaps[];         /* ended by name NULL */
extern const char *const colormap_names[]; /* every map and its reverse ("viridis_r"), NULL-terminated */

/* A map in one of its two directions. */
typedef struct palette {
    const colormap *map;
    bool reversed;
} palette;

/* By name; ERR_USAGE with all names in the hint when there is none such. */
int palette_find(palette *out, const char *name, err *e);
/* Colour at x; x outside [0, 1] is taken as the nearer end. */
rgb palette_at(palette p, double x);
/* Perceived lightness in [0, 1] (CIE L* / 100): which text is readable on top. */
double rgb_lightness(rgb c);
/* How well one is read on the other: 1 (not at all) to 21, from 4.5 on as text (WCAG 2.1, 1.4.3). */
double rgb_contrast(rgb a, rgb b);
/* Of black and white the one that is read better on c: at least 4.5. */
rgb rgb_opposite(rgb c);
/* The nearest colour of the 256-colour terminal palette's cube and grey ramp: 16..255. */
int rgb_to_256(rgb c);

#endif
