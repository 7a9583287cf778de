/* Resampling of 8-bit pictures: separable convolution with the filter stretched when shrinking, its
 * weights in fixed point.  Each output sample is one row of weights over a run of input samples, across
 * and down in two passes. The weights and their rounding are those of Pillow (Resample.c), and of torch's
 * uint8 interpolation, which differs by having 16-bit weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/input/image.h"

enum { PILLOW_BITS = 22, TORCH_MOST_BITS = 22 };

typedef struct kernel {
    double (*value)(double x);
    double support; /* value is 0 beyond */
} kernel;

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double hamming(double x)
{
    x = fabs(x);
    if (x == 0)
        return 1;
    if (x >= 1)
        return 0;
    x *= M_PI;
    return sin(x) / x * (0.54 + 0.46 * cos(x));
}

/* Keys's cubic with a = -1/2. */
static double cubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const kernel kernels[] = {
    [IMAGE_LANCZOS] = {lanczos, 3}, [IMAGE_BILINEAR] = {triangle, 1}, [IMAGE_BICUBIC] = {cubic, 2},
    [IMAGE_BOX] = {box, 0.5},       [IMAGE_HAMMING] = {hamming, 1},
};

/* How one axis is resampled. */
typedef struct weights {
    int *first, *count; /* [out]: the run of input samples */
    int32_t *k;         /* [out, most] */
    size_t most;
    int bits;           /* fractional bits of k */
} weights;

static void weights_free(weights *w)
{
    free(w->first);
    free(w->count);
    free(w->k);
}

/* Torch picks as many bits as keep the largest weight in 16. */
static int torch_bits(const double *k, size_t n)
{
    double largest = 0;
    int bits = 0;

    for (size_t i = 0; i < n; i++)
        largest = k[i] > largest ? k[i] : largest;
    while (bits < TORCH_MOST_BITS && (int)(0.5 + largest * (1 << (bits + 1))) < 1 << 15)
        bits++;
    return bits;
}

static int make_weights(weights *w, int in, int out, const kernel *f, image_backend b, err *e)
{
    double scale = (double)in / out;
    double stretch = scale > 1 ? scale : 1;
    double support = f->support * stretch;
    double *exact = NULL;
    size_t n;
    int rc = 0;

    *w = (weights){.most = (size_t)ceil(support) * 2 + 1};
    if (!size_mul(&n, w->most, (size_t)out) || n > (size_t)1 << 28) {
        err_set(e, ERR_RESOURCE, "resizing an edge of %d pixels to %d needs too large a filter", in, out);
        return err_hint(e, "scale the picture down first");
    }
    w->first = mem_array((size_t)out, sizeof *w->first, e);
    w->count = mem_array((size_t)out, sizeof *w->count, e);
    w->k = mem_array(n, sizeof *w->k, e);
    exact = mem_array(n, sizeof *exact, e);
    if (!w->first || !w->count || !w->k || !exact) {
        rc = ERR_RESOURCE;
        goto out;
    }
    for (int o = 0; o < out; o++) {
        double *k = exact + (size_t)o * w->most, sum = 0;
        double centre = b == IMAGE_PILLOW ? (o + 0.5) * scale : scale * (o + 0.5);
        int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);

        low = low < 0 ? 0 : low;
        high = high > in ? in : high;
        w->first[o] = low;
        w->count[o] = high - low;
        for (int i = low; i < high; i++) {
            k[i - low] = f->value((i - centre + 0.5) * (1 / stretch));
            sum += k[i - low];
        }
        for (int i = 0; sum != 0 && i < high - low; i++)
            k[i] /= sum;
    }
    w->bits = b == IMAGE_PILLOW ? PILLOW_BITS : torch_bits(exact, n);
    for (size_t i = 0; i < n; i++)
        w->k[i] = (int32_t)(exact[i] * (1 << w->bits) + (exact[i] < 0 ? -0.5 : 0.5));
out:
    free(exact);
    if (rc)
        weights_free(w);
    return rc;
}

static unsigned char clip(int32_t sum, int bits)
{
    sum >>= bits;
    return (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void row_across(unsigned char *dst, const unsigned char *src, int out_width, const weights *w)
{
    for (int x = 0; x < out_width; x++) {
        const int32_t *k = w->k + (size_t)x * w->most;
        const unsigned char *s = src + (size_t)w->first[x] * 3;
        int32_t half = 1 << (w->bits - 1), r = half, g = half, b = half;

        for (int i = 0; i < w->count[x]; i++, s += 3) {
            r += s[0] * k[i];
            g += s[1] * k[i];
            b += s[2] * k[i];
        }
        dst[3 * x] = clip(r, w->bits);
        dst[3 * x + 1] = clip(g, w->bits);
        dst[3 * x + 2] = clip(b, w->bits);
    }
}

/* One output row from the rows of its run; sums is scratch [row_bytes]. */
static void row_down(unsigned char *dst, const unsigned char *src, size_t row_bytes, int32_t *sums,
                     const int32_t *k, int count, int bits)
{
    for (size_t i = 0; i < row_bytes; i++)
        sums[i] = 1 << (bits - 1);
    for (int r = 0; r < count; r++, src += row_bytes)
        for (size_t i = 0; i < row_bytes; i++)
            sums[i] += src[i] * k[r];
    for (size_t i = 0; i < row_bytes; i++)
        dst[i] = clip(sums[i], bits);
}

/* dst [height, out_width, 3] from src [height, in_width, 3]. */
static int across(unsigned char *dst, const unsigned char *src, int height, int in_width, int out_width,
                  const kernel *f, image_backend b, err *e)
{
    weights w;
    int rc = make_weights(&w, in_width, out_width, f, b, e);

    if (rc)
        return rc;
    for (size_t y = 0; y < (size_t)height; y++)
        row_across(dst + y * (size_t)out_width * 3, src + y * (size_t)in_width * 3, out_width, &w);
    weights_free(&w);
    return 0;
}

/* dst [out_height, width, 3] from src [in_height, width, 3]. */
static int down(unsigned char *dst, const unsigned char *src, int width, int in_height, int out_height,
                const kernel *f, image_backend b, err *e)
{
    size_t row_bytes = (size_t)width * 3;
    int32_t *sums = mem_array(row_bytes, sizeof *sums, e);
    weights w = {0};
    int rc = sums ? make_weights(&w, in_height, out_height, f, b, e) : ERR_RESOURCE;

    for (size_t y = 0; rc == 0 && y < (size_t)out_height; y++)
        row_down(dst + y * row_bytes, src + (size_t)w.first[y] * row_bytes, row_bytes, sums, w.k + y * w.most,
                 w.count[y], w.bits);
    if (rc == 0)
        weights_free(&w);
    free(sums);
    return rc;
}

/* Which sample of `in` each of `out` takes. */
static void nearest_table(int *from, int in, int out, image_backend b)
{
    double step = (double)in / out, at = step * 0.5;
    float torch_step = (float)in / (float)out;

    for (int o = 0; o < out; o++, at += step) {
        int i = b == IMAGE_PILLOW ? (int)at : (int)floorf(((float)o + 0.5f) * torch_step);
        from[o] = i < in ? i : in - 1;
    }
}

static int nearest(image *out, const image *im, image_backend b, err *e)
{
    int *x = mem_array((size_t)out->width, sizeof *x, e), *y = mem_array((size_t)out->height, sizeof *y, e);
    int rc = x && y ? 0 : ERR_RESOURCE;

    if (rc == 0) {
        nearest_table(x, im->width, out->width, b);
        nearest_table(y, im->height, out->height, b);
        for (int r = 0; r < out->height; r++) {
            const unsigned char *src = im->rgb + (size_t)y[r] * (size_t)im->width * 3;
            unsigned char *dst = out->rgb + (size_t)r * (size_t)out->width * 3;
            for (int c = 0; c < out->width; c++)
                memcpy(dst + 3 * c, src + 3 * (size_t)x[c], 3);
        }
    }
    free(x);
    free(y);
    return rc;
}

/* Pillow 13 goes down first where that shrinks the picture more; the rule was found by comparing results.
 * Pillow before 13, and torch, always go across first, which differs by a grey level here and there. */
static bool down_first(const image *out, const image *im, image_backend b)
{
    int64_t columns_lost = (int64_t)im->width - out->width, rows_lost = (int64_t)im->height - out->height;

    return b == IMAGE_PILLOW && rows_lost > 0 && 2 * columns_lost < rows_lost;
}

/* An axis whose size stays is left alone, as in both libraries. */
static int convolve(image *out, const image *im, const kernel *f, image_backend b, err *e)
{
    bool down_is_first = down_first(out, im, b);
    int rc;

    if (out->height == im->height)
        return across(out->rgb, im->rgb, im->height, im->width, out->width, f, b, e);
    if (out->width == im->width)
        return down(out->rgb, im->rgb, im->width, im->height, out->height, f, b, e);

    const image *rows = down_is_first ? out : im, *columns = down_is_first ? im : out;
    unsigned char *between = mem_array((size_t)rows->height * (size_t)columns->width, 3, e);
    if (!between)
        return ERR_RESOURCE;
    if (down_is_first) {
        rc = down(between, im->rgb, im->width, im->height, out->height, f, b, e);
        if (rc == 0)
            rc = across(out->rgb, between, out->height, im->width, out->width, f, b, e);
    } else {
        rc = across(between, im->rgb, im->height, im->width, out->width, f, b, e);
        if (rc == 0)
            rc = down(out->rgb, between, out->width, im->height, out->height, f, b, e);
    }
    free(between);
    return rc;
}

static int too_large(const image *im, int width, int height, err *e)
{
    err_set(e, ERR_RESOURCE, "resizing %d x %d pixels to %d x %d needs too much memory", im->width,
            im->height, width, height);
    return err_hint(e, "crop the picture to a more even shape first");
}

int image_resize(image *out, const image *im, int width, int height, image_filter f, image_backend b, err *e)
{
    int rc;

    *out = (image){.width = width, .height = height};
    /* The picture between two passes has one new edge and one old. */
    if (width <= 0 || height <= 0 || height > IMAGE_MOST_PIXELS / width ||
        im->height > IMAGE_MOST_PIXELS / width || im->width > IMAGE_MOST_PIXELS / height)
        return too_large(im, width, height, e);
    if (!(out->rgb = mem_array((size_t)width * (size_t)height, 3, e)))
        return ERR_RESOURCE;
    if (width == im->width && height == im->height) {
        memcpy(out->rgb, im->rgb, (size_t)width * (size_t)height * 3);
        return 0;
    }
    rc = f == IMAGE_NEAREST ? nearest(out, im, b, e) : convolve(out, im, &kernels[f], b, e);
    if (rc)
        image_free(out);
    return rc;
}
