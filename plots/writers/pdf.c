/* PDF through cairo: text stays text, with its fonts embedded; a matrix is one image at device resolution,
 * so that no viewer smooths its cells. */
#include <cairo-pdf.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/writer.h"

static cairo_status_t append(void *out, const unsigned char *bytes, unsigned int n)
{
    strbuf_add(out, bytes, n);
    return ((strbuf *)out)->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static void put_raster(cairo_t *cr, const scene_item *it, double px)
{
    int w = (int)it->cols * it->cell_w, h = (int)it->rows * it->cell_h;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, w, h);
    uint8_t *data = cairo_image_surface_get_data(image);
    int stride = cairo_image_surface_get_stride(image);

    for (int y = 0; data && y < h && !cancel_requested(); y++) {
        uint32_t *line = (uint32_t *)(void *)(data + (ptrdiff_t)y * stride);
        const rgb *row = it->pixels + y / it->cell_h * it->cols;
        for (int x = 0; x < w; x++) {
            rgb c = row[x / it->cell_w];
            line[x] = (uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b;
        }
    }
    cairo_surface_mark_dirty(image);
    cairo_save(cr);
    cairo_translate(cr, it->at.x, it->at.y);
    cairo_scale(cr, px, px);
    cairo_set_source_surface(cr, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_NEAREST);
    cairo_rectangle(cr, 0, 0, w, h);
    cairo_fill(cr);
    cairo_restore(cr);
    cairo_surface_destroy(image);
}

cairo_surface_t *pdf_surface(strbuf *out, double width, double height)
{
    return cairo_pdf_surface_create_for_stream(append, out, width, height);
}

int pdf_describe(cairo_surface_t *surface, const char *const *about, err *e)
{
    static const char *const own[] = {"Title", "Software", "Author", NULL};
    const char *title = about_get(about, "Title"), *software = about_get(about, "Software"),
               *author = about_get(about, "Author");
    strbuf rest = {0};

    for (const char *const *a = about; a && a[0] && a[1]; a += 2) {
        bool elsewhere = false;
        for (int i = 0; own[i]; i++)
            elsewhere |= strcmp(a[0], own[i]) == 0;
        if (!elsewhere)
            strbuf_printf(&rest, "%s%s: %s", rest.len ? "; " : "", a[0], a[1]);
    }
    if (rest.failed) {
        strbuf_free(&rest);
        return err_nomem(e, "PDF");
    }
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, title ? title : "");
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, software ? software : "");
    if (author)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_AUTHOR, author);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, strbuf_str(&rest));
    /* the same rows give the same bytes: no date */
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    strbuf_free(&rest);
    return 0;
}

/* White is what a viewer and a printer begin with. */
static void put_paper(const scene *s, cairo_t *cr)
{
    rgb c = s->page.paper;

    if (c.r == 255 && c.g == 255 && c.b == 255)
        return;
    cairo_set_source_rgb(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0);
    cairo_rectangle(cr, 0, 0, s->page.width, s->height);
    cairo_fill(cr);
}

int scene_draw(const scene *s, cairo_t *cr, err *e)
{
    int rc = 0;

    put_paper(s, cr);
    for (int64_t i = 0; i < s->n && rc == 0; i++) {
        const scene_item *it = &s->items[i];
        rc = cancel_check(e);
        if (rc)
            break;
        switch (it->kind) {
        case SCENE_FILL:
            cairo_set_source_rgb(cr, it->colour.r / 255.0, it->colour.g / 255.0, it->colour.b / 255.0);
            cairo_rectangle(cr, it->at.x, it->at.y, it->at.w, it->at.h);
            cairo_fill(cr);
            break;
        case SCENE_RASTER:
            put_raster(cr, it, s->page.px);
            break;
        case SCENE_TEXT:
            scene_draw_text(s, cr, it);
            break;
        case SCENE_PATH:
        case SCENE_AREA:
            scene_draw_shape(cr, it);
            break;
        }
    }
    return rc;
}

static int write_pdf(strbuf *out, const scene *s, const char *const *about, err *e)
{
    cairo_surface_t *surface = pdf_surface(out, s->page.width, s->height);
    cairo_t *cr = cairo_create(surface);
    int rc = pdf_describe(surface, about, e);

    if (rc == 0)
        rc = scene_draw(s, cr, e);
    if (rc == 0)
        cairo_show_page(cr);
    cairo_surface_finish(surface);
    if (rc == 0 && (cairo_status(cr) || cairo_surface_status(surface)))
        rc = out->failed ? err_nomem(e, "PDF")
                         : err_set(e, ERR_FAILED, "PDF cannot be written: %s",
                                   cairo_status_to_string(cairo_surface_status(surface)));
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return rc;
}

const writer writer_pdf = {
    .extension = "pdf",
    .summary = "vector text with embedded fonts",
    .write = write_pdf,
};
