/* A picture through a plan: the steps of transformers' image processors, in their order and arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/input/image.h"

typedef struct size { int height, width; } size;

/* The shorter edge to `edge`, the longer in proportion, truncated; both products are exact in double. */
static void scale_edges(double *height, double *width, double edge, const image *im)
{
    double h = im->height, w = im->width;

    *height = w <= h ? trunc(edge * h / w) : edge;
    *width = w <= h ? edge : trunc(edge * w / h);
}

/* The shorter edge to p->shortest unless the longer would pass p->longest. */
static void scale_in_range(double *height, double *width, const image_plan *p, const image *im)
{
    double h = im->height, w = im->width, least = fmin(h, w), most = fmax(h, w);
    double edge = p->shortest, exact = edge;

    if (most / least * edge > p->longest) {
        exact = p->longest * least / most;
        edge = nearbyint(exact); /* half to even, as Python rounds */
    }
    if ((h <= w && h == edge) || (w <= h && w == edge)) {
        *height = h;
        *width = w;
    } else {
        *height = w < h ? trunc(exact * h / w) : edge;
        *width = w < h ? edge : trunc(exact * w / h);
    }
}

static int resized(size *out, const image *im, const image_plan *p, err *e)
{
    double h = p->height, w = p->width;

    if (p->size == IMAGE_SIZE_SHORTEST) {
        scale_edges(&h, &w, p->shortest, im);
    } else if (p->size == IMAGE_SIZE_RANGE) {
        scale_in_range(&h, &w, p, im);
    } else if (p->size == IMAGE_SIZE_WITHIN) {
        double scale = fmin((double)p->height / im->height, (double)p->width / im->width);
        h = trunc(im->height * scale);
        w = trunc(im->width * scale);
    }
    if (h < 1 || w < 1 || h * w > IMAGE_MOST_PIXELS) {
        err_set(e, ERR_INPUT, "a picture of %d x %d would be resized to %.0f x %.0f pixels", im->width,
                im->height, w, h);
        return err_hint(e, "crop it to a more even shape first");
    }
    *out = (size){(int)h, (int)w};
    return 0;
}

/* A square of the longer edge around im, in the colour of the mean. */
static int square(image *out, const image *im, const image_plan *p, err *e)
{
    int edge = im->width > im->height ? im->width : im->height;
    size_t left = (size_t)(edge - im->width) / 2, top = (size_t)(edge - im->height) / 2;
    unsigned char colour[3];

    *out = (image){.width = edge, .height = edge};
    if (edge > IMAGE_MOST_PIXELS / edge) {
        err_set(e, ERR_INPUT, "a picture of %d x %d is too long to be made square", im->width, im->height);
        return err_hint(e, "crop it to a more even shape first");
    }
    if (!(out->rgb = mem_array((size_t)edge * (size_t)edge, 3, e)))
        return ERR_RESOURCE;
    for (int c = 0; c < 3; c++)
        colour[c] = (unsigned char)(int)(p->mean[c] * 255);
    for (size_t i = 0; i < (size_t)edge * (size_t)edge; i++)
        memcpy(out->rgb + 3 * i, colour, 3);
    for (size_t y = 0; y < (size_t)im->height; y++)
        memcpy(out->rgb + 3 * ((y + top) * (size_t)edge + left), im->rgb + 3 * y * (size_t)im->width,
               3 * (size_t)im->width);
    return 0;
}

/* Where output row or column 0 of a centre crop lies in the picture; negative when there is too little of
 * it. */
static int crop_start(int have, int want, image_backend b)
{
    int difference = have - want;

    if (b == IMAGE_PILLOW && difference < 0)
        return -((1 - difference) / 2); /* rounds down: the odd zero is before */
    return difference / 2;
}

/* The float of each sample value, in the steps that transformers rounds at. */
static void make_levels(float levels[3][256], const image_plan *p)
{
    for (int c = 0; c < 3; c++) {
        float mean = (float)p->mean[c], std = (float)p->std[c];
        if (p->backend == IMAGE_TORCHVISION && p->rescale && p->normalize) { /* fused */
            mean *= (float)(1 / p->rescale_factor);
            std *= (float)(1 / p->rescale_factor);
        }
        for (int v = 0; v < 256; v++) {
            float x = (float)v;
            if (p->backend == IMAGE_PILLOW && p->rescale)
                x = (float)(v * p->rescale_factor);
            else if (p->rescale && !p->normalize)
                x *= (float)p->rescale_factor;
            levels[c][v] = p->normalize ? (x - mean) / std : x;
        }
    }
}

/* The crop of im through the levels into planes [3, all.height, all.width], which are zero elsewhere. */
static void to_planes(float *planes, size all, const image *im, size crop, const image_plan *p)
{
    int top = crop_start(im->height, crop.height, p->backend);
    int left = crop_start(im->width, crop.width, p->backend);
    float levels[3][256];

    make_levels(levels, p);
    for (int y = 0; y < crop.height; y++) {
        const unsigned char *row = NULL;
        if (y + top >= 0 && y + top < im->height)
            row = im->rgb + (size_t)(y + top) * (size_t)im->width * 3;
        for (int c = 0; c < 3; c++) {
            float *dst = planes + ((size_t)c * (size_t)all.height + (size_t)y) * (size_t)all.width;
            for (int x = 0; x < crop.width; x++) {
                bool inside = row && x + left >= 0 && x + left < im->width;
                dst[x] = levels[c][inside ? row[3 * (size_t)(x + left) + (size_t)c] : 0];
            }
        }
    }
}

static int padded(size *out, size crop, const image_plan *p, err *e)
{
    *out = crop;
    if (!p->pad || p->pad_height == 0)
        return 0;
    *out = (size){p->pad_height, p->pad_width};
    if (crop.height <= p->pad_height && crop.width <= p->pad_width)
        return 0;
    err_set(e, ERR_INPUT, "a picture of %d x %d pixels does not fit into the pad_size of %d x %d", crop.width,
            crop.height, p->pad_width, p->pad_height);
    return err_hint(e, "crop or scale it first");
}

int image_pixels(float **pixels, int *height, int *width, const image *im, const image_plan *p, err *e)
{
    image squared = {0}, scaled = {0};
    size crop, all = {0, 0};
    float *planes = NULL;
    int rc = 0;

    if (p->pad_square && im->width != im->height) {
        rc = square(&squared, im, p, e);
        im = &squared;
    }
    if (rc == 0 && p->resize) {
        size to = {0, 0};
        rc = resized(&to, im, p, e);
        if (rc == 0)
            rc = image_resize(&scaled, im, to.width, to.height, p->filter, p->backend, e);
        im = &scaled;
    }
    if (rc == 0) {
        crop = p->crop ? (size){p->crop_height, p->crop_width} : (size){im->height, im->width};
        rc = padded(&all, crop, p, e);
    }
    if (rc == 0 && !(planes = mem_array((size_t)all.height * (size_t)all.width, 3 * sizeof *planes, e)))
        rc = ERR_RESOURCE;
    if (rc == 0) {
        to_planes(planes, all, im, crop, p);
        *pixels = planes;
        *height = all.height;
        *width = all.width;
    }
    image_free(&squared);
    image_free(&scaled);
    return rc;
}
