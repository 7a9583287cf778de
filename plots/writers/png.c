/* PNG: the page as pixels.  Boxes and rasters are set pixel by pixel, so that a cell has exactly its
 * colour; then lines and polygons, then text, are drawn by cairo. */
#include <cairo.h>
#include <math.h>

#include "base/cancel.h"
#include "plots/writer.h"

typedef struct bitmap {
    uint8_t *data;  /* cairo's RGB24: 0x00RRGGBB in native order */
    int w, h, stride;
} bitmap;

static uint32_t *pixel_row(const bitmap *b, int y)
{
    return (uint32_t *)(void *)(b->data + (ptrdiff_t)y * b->stride);
}

static int clamp(double x, int most)
{
    return x < 0 ? 0 : x > most ? most : (int)x;
}

static void fill(const bitmap *b, box at, rgb c, double px)
{
    int x0 = clamp(round(at.x / px), b->w), x1 = clamp(round((at.x + at.w) / px), b->w);
    int y0 = clamp(round(at.y / px), b->h), y1 = clamp(round((at.y + at.h) / px), b->h);
    uint32_t v = (uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b;

    for (int y = y0; y < y1; y++) {
        uint32_t *row = pixel_row(b, y);
        for (int x = x0; x < x1; x++)
            row[x] = v;
    }
}

static void put_raster(const bitmap *b, const scene_item *it, double px)
{
    for (int64_t r = 0; r < it->rows && !cancel_requested(); r++) {
        for (int64_t c = 0; c < it->cols; c++) {
            box cell = {it->at.x + (double)c * it->cell_w * px, it->at.y + (double)r * it->cell_h * px,
                        it->cell_w * px, it->cell_h * px};
            fill(b, cell, it->pixels[r * it->cols + c], px);
        }
    }
}

static void bitmap_row(const void *ud, int y, uint8_t *pixels)
{
    const bitmap *b = ud;
    const uint32_t *row = pixel_row(b, y);

    for (int x = 0; x < b->w; x++) {
        *pixels++ = (uint8_t)(row[x] >> 16);
        *pixels++ = (uint8_t)(row[x] >> 8);
        *pixels++ = (uint8_t)row[x];
    }
}

static int write_png(strbuf *out, const scene *s, const char *const *about, err *e)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, s->width_px, s->height_px);
    cairo_t *cr = cairo_create(surface);
    double px = s->page.px;
    int rc = 0;

    if (cairo_status(cr)) {
        rc = err_nomem(e, "page");
        goto out;
    }
    cairo_scale(cr, 1 / px, 1 / px);
    cairo_surface_flush(surface);
    bitmap b = {cairo_image_surface_get_data(surface), s->width_px, s->height_px,
                cairo_image_surface_get_stride(surface)};
    fill(&b, (box){0, 0, s->page.width, s->height}, s->page.paper, px);
    for (int64_t i = 0; i < s->n && !cancel_requested(); i++) {
        if (s->items[i].kind == SCENE_FILL)
            fill(&b, s->items[i].at, s->items[i].colour, px);
        else if (s->items[i].kind == SCENE_RASTER)
            put_raster(&b, &s->items[i], px);
    }
    cairo_surface_mark_dirty(surface);
    for (int64_t i = 0; i < s->n && !cancel_requested(); i++) {
        if (s->items[i].kind == SCENE_PATH || s->items[i].kind == SCENE_AREA)
            scene_draw_shape(cr, &s->items[i]);
    }
    /* all text is on top of all else */
    for (int64_t i = 0; i < s->n && !cancel_requested(); i++) {
        if (s->items[i].kind == SCENE_TEXT)
            scene_draw_text(s, cr, &s->items[i]);
    }
    cairo_surface_flush(surface);
    rc = cancel_check(e);
    if (rc)
        goto out;
    if (cairo_status(cr))
        rc = err_set(e, ERR_FAILED, "the page cannot be drawn: %s", cairo_status_to_string(cairo_status(cr)));
    else
        rc = png_encode(out, b.w, b.h, bitmap_row, &b, s->page.dpi, about, e);
out:
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return rc;
}

const writer writer_png = {
    .extension = "png",
    .summary = "pixels at --dpi, with provenance in text chunks",
    .write = write_png,
};
