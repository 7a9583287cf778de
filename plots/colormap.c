#include "plots/colormap.h"

#include <math.h>
#include <string.h>

#include "base/param.h"
#include "base/strbuf.h"

int palette_find(palette *out, const char *name, err *e)
{
    size_t n = strlen(name);
    bool reversed = n > 2 && strcmp(name + n - 2, "_r") == 0;
    size_t stem = reversed ? n - 2 : n;

    for (const colormap *m = colormaps; m->name; m++) {
        if (strlen(m->name) == stem && memcmp(m->name, name, stem) == 0) {
            *out = (palette){m, reversed};
            return 0;
        }
    }
    const char *near = nearest_word(name, colormap_names);
    strbuf all = {0};
    for (const colormap *m = colormaps; m->name; m++)
        strbuf_printf(&all, "%s%s", m == colormaps ? "" : ", ", m->name);
    err_set(e, ERR_USAGE, "unknown colour map '%s'", name);
    int rc =
        near ? err_hint(e, "did you mean '%s'? maps: %s (and each with _r, reversed)", near, strbuf_str(&all))
             : err_hint(e, "maps: %s (and each with _r, reversed)", strbuf_str(&all));
    strbuf_free(&all);
    return rc;
}

static uint8_t mix(uint32_t a, uint32_t b, int shift, double f)
{
    double x = (double)(a >> shift & 255) * (1 - f) + (double)(b >> shift & 255) * f;
    return (uint8_t)lrint(x);
}

rgb palette_at(palette p, double x)
{
    int last = p.map->n - 1;

    x = x > 0 ? (x < 1 ? x : 1) : 0; /* NaN becomes 0 */
    if (p.reversed)
        x = 1 - x;
    double t = x * last;
    int i = (int)t < last ? (int)t : last - 1;
    uint32_t a = p.map->table[i], b = p.map->table[i + 1];
    return (rgb){mix(a, b, 16, t - i), mix(a, b, 8, t - i), mix(a, b, 0, t - i)};
}

static double linear_light(uint8_t v)
{
    double x = v / 255.0;
    return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
}

static double luminance(rgb c)
{
    return 0.2126 * linear_light(c.r) + 0.7152 * linear_light(c.g) + 0.0722 * linear_light(c.b);
}

double rgb_contrast(rgb a, rgb b)
{
    double x = luminance(a) + 0.05, y = luminance(b) + 0.05;
    return x > y ? x / y : y / x;
}

rgb rgb_opposite(rgb c)
{
    rgb black = {0, 0, 0}, white = {255, 255, 255};
    return rgb_contrast(white, c) > rgb_contrast(black, c) ? white : black;
}

double rgb_lightness(rgb c)
{
    double y = luminance(c);
    return (y > 216.0 / 24389 ? 116 * cbrt(y) - 16 : y * 24389 / 27) / 100;
}

static int distance2(rgb c, int r, int g, int b)
{
    return (c.r - r) * (c.r - r) + (c.g - g) * (c.g - g) + (c.b - b) * (c.b - b);
}

/* Index of the nearest of the cube's six levels 0, 95, 135, 175, 215, 255. */
static int cube_index(uint8_t v)
{
    return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40;
}

int rgb_to_256(rgb c)
{
    static const uint8_t level[6] = {0, 95, 135, 175, 215, 255};
    int r = cube_index(c.r), g = cube_index(c.g), b = cube_index(c.b);
    int mean = (c.r + c.g + c.b) / 3;
    int grey = mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3) / 10; /* 8, 18, ..., 238 */
    int v = 8 + 10 * grey;

    if (distance2(c, v, v, v) < distance2(c, level[r], level[g], level[b]))
        return 232 + grey;
    return 16 + 36 * r + 6 * g + b;
}
