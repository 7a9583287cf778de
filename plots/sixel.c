#include "plots/sixel.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"

enum { BAND = 6, PERCENTS = 101, STEPS = 64, BINS = STEPS * STEPS * STEPS };

typedef struct colour { uint8_t c[3]; } colour; /* percents */

/* Pixels of one bin, four values of a byte to a side. */
typedef struct bin { uint32_t n, at; uint64_t sum[3]; } bin;

typedef struct picture {
    int w, h;
    uint8_t *rgb;         /* [h, w, 3] */
    colour palette[SIXEL_COLOURS];
    int n_colour;
    bool exact;           /* place: of a colour; else: of a bin */
    int16_t *place;       /* exact: [PERCENTS^3] -1: not in the picture; else [BINS] */
} picture;

/* --- colours --- */

static int percent(uint8_t v)
{
    return (v * 100 + 127) / 255;
}

static int exact_key(const uint8_t *p)
{
    return (percent(p[0]) * PERCENTS + percent(p[1])) * PERCENTS + percent(p[2]);
}

static int bin_key(const uint8_t *p)
{
    return (p[0] >> 2) * STEPS * STEPS + (p[1] >> 2) * STEPS + (p[2] >> 2);
}

/* False when there are too many. */
static bool find_colours(picture *x)
{
    size_t n = (size_t)x->w * (size_t)x->h;

    for (int i = 0; i < PERCENTS * PERCENTS * PERCENTS; i++)
        x->place[i] = -1;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = x->rgb + 3 * i;
        int key = exact_key(p);
        if (x->place[key] >= 0)
            continue;
        if (x->n_colour == SIXEL_COLOURS)
            return false;
        x->palette[x->n_colour] = (colour){{(uint8_t)percent(p[0]), (uint8_t)percent(p[1]), (uint8_t)percent(p[2])}};
        x->place[key] = (int16_t)x->n_colour++;
    }
    return true;
}

/* Bins [from, to) of the list. */
typedef struct cut_box { int from, to, axis, width; uint64_t n; } cut_box;

static int along(const bin *b, int axis)
{
    int at = (int)b->at;
    return axis == 0 ? at / (STEPS * STEPS) : axis == 1 ? at / STEPS % STEPS : at % STEPS;
}

static void measure(cut_box *x, const bin *bins)
{
    x->width = -1;
    x->n = 0;
    for (int i = x->from; i < x->to; i++)
        x->n += bins[i].n;
    for (int axis = 0; axis < 3; axis++) {
        int lo = STEPS, hi = -1;
        for (int i = x->from; i < x->to; i++) {
            int v = along(&bins[i], axis);
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
        if (hi - lo > x->width) {
            x->width = hi - lo;
            x->axis = axis;
        }
    }
}

static int by_axis(const void *a, const void *b, int axis)
{
    const bin *x = a, *y = b;
    int d = along(x, axis) - along(y, axis);
    return d ? d : (x->at > y->at) - (x->at < y->at);
}
static int by_red(const void *a, const void *b) { return by_axis(a, b, 0); }
static int by_green(const void *a, const void *b) { return by_axis(a, b, 1); }
static int by_blue(const void *a, const void *b) { return by_axis(a, b, 2); }

/* The box is cut where half of its pixels are on either side; both parts have bins. */
static cut_box cut(cut_box *x, bin *bins)
{
    static int (*const order[])(const void *, const void *) = {by_red, by_green, by_blue};
    uint64_t n = 0;
    int at = x->from;

    qsort(bins + x->from, (size_t)(x->to - x->from), sizeof *bins, order[x->axis]);
    while (at < x->to - 1 && (at == x->from || n + bins[at].n <= x->n / 2))
        n += bins[at++].n;
    cut_box upper = {.from = at, .to = x->to};
    x->to = at;
    measure(x, bins);
    measure(&upper, bins);
    return upper;
}

static int gather(bin *bins, const picture *x)
{
    size_t n = (size_t)x->w * (size_t)x->h;
    int used = 0;

    for (size_t i = 0; i < n; i++) {
        bin *b = &bins[bin_key(x->rgb + 3 * i)];
        b->n++;
        for (int k = 0; k < 3; k++)
            b->sum[k] += x->rgb[3 * i + (size_t)k];
    }
    for (int i = 0; i < BINS; i++) {
        if (bins[i].n) {
            bins[used] = bins[i];
            bins[used++].at = (uint32_t)i;
        }
    }
    return used;
}

static int choose_colours(picture *x, err *e)
{
    cut_box box[SIXEL_COLOURS];
    bin *bins = mem_array(BINS, sizeof *bins, e);

    if (!bins)
        return ERR_RESOURCE;
    box[0] = (cut_box){.from = 0, .to = gather(bins, x)};
    measure(&box[0], bins);
    for (x->n_colour = 1; x->n_colour < SIXEL_COLOURS; x->n_colour++) {
        int most = -1; /* the box with the most pixels times its width */
        for (int i = 0; i < x->n_colour; i++) {
            if (box[i].width > 0 &&
                (most < 0 || box[i].n * (uint64_t)box[i].width > box[most].n * (uint64_t)box[most].width))
                most = i;
        }
        if (most < 0)
            break;
        box[x->n_colour] = cut(&box[most], bins);
    }
    for (int i = 0; i < x->n_colour; i++) {
        for (int k = 0; k < 3; k++) {
            uint64_t sum = 0;
            for (int b = box[i].from; b < box[i].to; b++)
                sum += bins[b].sum[k];
            x->palette[i].c[k] = (uint8_t)percent((uint8_t)((sum + box[i].n / 2) / box[i].n));
        }
        for (int b = box[i].from; b < box[i].to; b++)
            x->place[bins[b].at] = (int16_t)i;
    }
    free(bins);
    return 0;
}

/* --- bytes --- */

static void put_run(strbuf *out, char sixel, int n)
{
    if (n > 3) {
        strbuf_printf(out, "!%d%c", n, sixel);
        return;
    }
    for (; n > 0; n--)
        strbuf_putc(out, sixel);
}

/* One colour's pixels in a band of `rows` rows. */
static void put_colour(strbuf *out, const uint8_t *index, int w, int rows, int which)
{
    char last = '?';
    int n = 0;

    strbuf_printf(out, "#%d", which);
    for (int x = 0; x < w; x++) {
        int bits = 0;
        for (int r = 0; r < rows; r++)
            bits |= (index[r * w + x] == which) << r;
        char now = (char)('?' + bits);
        if (now != last) {
            put_run(out, last, n);
            last = now;
            n = 0;
        }
        n++;
    }
    if (last != '?') /* blanks at the end need not be said */
        put_run(out, last, n);
}

static int put_bands(strbuf *out, const picture *x, uint8_t *index)
{
    for (int y = 0; y < x->h; y += BAND) {
        int rows = x->h - y < BAND ? x->h - y : BAND;
        bool used[SIXEL_COLOURS] = {false}, any = false;
        if (cancel_requested())
            return ERR_CANCELLED;
        for (int i = 0; i < rows * x->w; i++) {
            const uint8_t *p = x->rgb + 3 * ((size_t)y * (size_t)x->w + (size_t)i);
            index[i] = (uint8_t)x->place[x->exact ? exact_key(p) : bin_key(p)];
            used[index[i]] = true;
        }
        strbuf_puts(out, y ? "-" : "");
        for (int c = 0; c < x->n_colour; c++) {
            if (!used[c])
                continue;
            strbuf_puts(out, any ? "$" : "");
            put_colour(out, index, x->w, rows, c);
            any = true;
        }
    }
    return 0;
}

static int encode(strbuf *out, picture *x, err *e)
{
    uint8_t *index = mem_array((size_t)x->w, BAND, e);
    int rc = 0;

    x->place = index ? mem_array(PERCENTS * PERCENTS * PERCENTS, sizeof *x->place, e) : NULL;
    if (!x->place) {
        rc = ERR_RESOURCE;
        goto out;
    }
    x->exact = find_colours(x);
    if (!x->exact)
        rc = choose_colours(x, e);
    if (rc)
        goto out;
    strbuf_printf(out, "\x1bP0;1q\"1;1;%d;%d", x->w, x->h);
    for (int i = 0; i < x->n_colour; i++)
        strbuf_printf(out, "#%d;2;%d;%d;%d", i, x->palette[i].c[0], x->palette[i].c[1], x->palette[i].c[2]);
    rc = put_bands(out, x, index);
    strbuf_puts(out, "\x1b\\"); /* also after Ctrl-C: what was begun must end */
    if (rc)
        err_set(e, ERR_CANCELLED, "cancelled");
    else if (out->failed)
        rc = err_nomem(e, "picture");
out:
    free(x->place);
    free(index);
    return rc;
}

int sixel_from_png(strbuf *out, const void *png, size_t n, err *e)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    picture x = {.w = 0};
    int rc = 0;

    if (!png_image_begin_read_from_memory(&image, png, n))
        return err_set(e, ERR_INPUT, "the picture cannot be read: %s", image.message);
    if (image.width < 1 || image.height < 1 || image.width > SIXEL_MOST || image.height > SIXEL_MOST) {
        rc = err_set(e, ERR_RESOURCE, "a picture of %u x %u pixels is too large for sixels", (unsigned)image.width,
                     (unsigned)image.height);
        goto out;
    }
    image.format = PNG_FORMAT_RGB;
    x.w = (int)image.width;
    x.h = (int)image.height;
    x.rgb = mem_array((size_t)x.w * (size_t)x.h, 3, e);
    if (!x.rgb)
        rc = ERR_RESOURCE;
    else if (!png_image_finish_read(&image, NULL, x.rgb, 0, NULL))
        rc = err_set(e, ERR_INPUT, "the picture cannot be read: %s", image.message);
    else
        rc = encode(out, &x, e);
out:
    png_image_free(&image);
    free(x.rgb);
    return rc;
}
