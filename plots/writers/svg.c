/* SVG with text as text: it can be searched and edited, and each line is held at the width it was laid out
 * with, whatever font the viewer has.  A matrix is one embedded PNG at device resolution. */
#include <string.h>

#include "base/cancel.h"
#include "plots/writer.h"

static void put_xml(strbuf *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&': strbuf_puts(out, "&amp;"); break;
        case '<': strbuf_puts(out, "&lt;"); break;
        case '>': strbuf_puts(out, "&gt;"); break;
        case '"': strbuf_puts(out, "&quot;"); break;
        default: strbuf_putc(out, *s);
        }
    }
}

/* Coordinates to a thousandth of a point. */
static void put_number(strbuf *out, double v)
{
    long long t = (long long)(v * 1000 + (v < 0 ? -0.5 : 0.5));
    long long whole = t < 0 ? -t : t;
    int part = (int)(whole % 1000), digits = 3;

    strbuf_printf(out, "%s%lld", t < 0 ? "-" : "", whole / 1000);
    if (part == 0)
        return;
    for (; part % 10 == 0; part /= 10)
        digits--;
    strbuf_printf(out, ".%0*d", digits, part);
}

static void put_attribute(strbuf *out, const char *name, double v)
{
    strbuf_printf(out, " %s=\"", name);
    put_number(out, v);
    strbuf_putc(out, '"');
}

static void put_colour(strbuf *out, rgb c)
{
    strbuf_printf(out, " fill=\"#%02x%02x%02x\"", c.r, c.g, c.b);
}

static void put_box(strbuf *out, box at)
{
    put_attribute(out, "x", at.x);
    put_attribute(out, "y", at.y);
    put_attribute(out, "width", at.w);
    put_attribute(out, "height", at.h);
}

static int put_raster(strbuf *out, const scene_item *it, err *e)
{
    strbuf png = {0};
    int rc =
        png_encode(&png, (int)it->cols * it->cell_w, (int)it->rows * it->cell_h, raster_row, it, 0, NULL, e);

    if (rc == 0) {
        strbuf_puts(out, "<image");
        put_box(out, it->at);
        strbuf_puts(out, " preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
                         "xlink:href=\"data:image/png;base64,");
        strbuf_put_base64(out, png.s, png.len);
        strbuf_puts(out, "\"/>\n");
    }
    strbuf_free(&png);
    return rc;
}

static void put_text(strbuf *out, const scene_item *it)
{
    static const char *const anchor[] = {"start", "middle", "end"};
    bool turned = it->style.turned;
    double part = it->anchor == ALIGN_LOW ? 0 : it->anchor == ALIGN_MIDDLE ? 0.5 : 1;
    double x = turned ? it->at.x + it->ascent : it->at.x + part * it->at.w;
    double y = turned ? it->at.y + (1 - part) * it->at.h : it->at.y + it->ascent;

    strbuf_puts(out, "<text");
    if (turned) {
        strbuf_puts(out, " transform=\"translate(");
        put_number(out, x);
        strbuf_putc(out, ' ');
        put_number(out, y);
        strbuf_puts(out, ") rotate(-90)\"");
    } else {
        put_attribute(out, "x", x);
        put_attribute(out, "y", y);
    }
    put_attribute(out, "font-size", it->style.size);
    if (it->style.bold)
        strbuf_puts(out, " font-weight=\"bold\"");
    if (it->anchor != ALIGN_LOW)
        strbuf_printf(out, " text-anchor=\"%s\"", anchor[it->anchor]);
    if (!it->boxes) { /* the viewer may have the characters that we have not: then it knows their width */
        put_attribute(out, "textLength", turned ? it->at.h : it->at.w);
        strbuf_puts(out, " lengthAdjust=\"spacingAndGlyphs\"");
    }
    put_colour(out, it->style.colour);
    strbuf_putc(out, '>');
    put_xml(out, it->text);
    strbuf_puts(out, "</text>\n");
}

static void put_points(strbuf *out, const char *element, const scene_item *it)
{
    strbuf_printf(out, "<%s points=\"", element);
    for (int64_t i = 0; i < it->n_points; i++) {
        if (i)
            strbuf_putc(out, ' ');
        put_number(out, it->points[i].x);
        strbuf_putc(out, ',');
        put_number(out, it->points[i].y);
    }
    strbuf_putc(out, '"');
}

static void put_area(strbuf *out, const scene_item *it)
{
    put_points(out, "polygon", it);
    put_colour(out, it->colour);
    if (it->opacity < 1)
        put_attribute(out, "fill-opacity", it->opacity);
    strbuf_puts(out, "/>\n");
}

static void put_path(strbuf *out, const scene_item *it)
{
    const line_style *l = &it->line;

    put_points(out, l->closed ? "polygon" : "polyline", it);
    strbuf_printf(out, " fill=\"none\" stroke=\"#%02x%02x%02x\"", l->colour.r, l->colour.g, l->colour.b);
    put_attribute(out, "stroke-width", l->width);
    strbuf_puts(out, " stroke-linejoin=\"round\"");
    for (int i = 0; i < l->n_dash; i++) {
        strbuf_puts(out, i ? " " : " stroke-dasharray=\"");
        put_number(out, l->dash[i]);
    }
    strbuf_puts(out, l->n_dash ? "\"/>\n" : "/>\n");
}

/* Those that were drawn with, each in quotes, then what is widespread.  Not those of emoji, which have digits of their own
 * that some viewers prefer: every viewer finds one by itself. */
static void put_families(strbuf *out, const scene *s)
{
    strbuf all = {0};
    bool usual = false;

    scene_put_families(s, &all);
    for (const char *c = strbuf_str(&all); *c;) {
        size_t n = strcspn(c, ",");
        strbuf name = {0};
        strbuf_add(&name, c, n);
        if (!strstr(strbuf_str(&name), "Emoji")) {
            strbuf_putc(out, '\'');
            put_xml(out, strbuf_str(&name));
            strbuf_puts(out, "', ");
        }
        usual |= strcmp(strbuf_str(&name), "DejaVu Sans") == 0;
        out->failed |= name.failed;
        strbuf_free(&name);
        c += n;
        c += strspn(c, ", ");
    }
    if (!usual)
        strbuf_puts(out, "'DejaVu Sans', ");
    out->failed |= all.failed;
    strbuf_free(&all);
}

static void put_head(strbuf *out, const scene *s, const char *const *about)
{
    const char *title = about_get(about, "Title");

    strbuf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
                     "version=\"1.1\" width=\"");
    put_number(out, s->page.width / POINTS_PER_MM);
    strbuf_puts(out, "mm\" height=\"");
    put_number(out, s->height / POINTS_PER_MM);
    strbuf_puts(out, "mm\" viewBox=\"0 0 ");
    put_number(out, s->page.width);
    strbuf_putc(out, ' ');
    put_number(out, s->height);
    strbuf_puts(out, "\" font-family=\"");
    put_families(out, s);
    strbuf_puts(out, "Verdana, sans-serif\" xml:space=\"preserve\">\n");
    if (title) {
        strbuf_puts(out, "<title>");
        put_xml(out, title);
        strbuf_puts(out, "</title>\n");
    }
    strbuf_puts(out, "<metadata>\n");
    for (const char *const *a = about; a && a[0] && a[1]; a += 2) {
        put_xml(out, a[0]);
        strbuf_puts(out, ": ");
        put_xml(out, a[1]);
        strbuf_putc(out, '\n');
    }
    strbuf_puts(out, "</metadata>\n");
}

static int write_svg(strbuf *out, const scene *s, const char *const *about, err *e)
{
    put_head(out, s, about);
    strbuf_puts(out, "<rect width=\"100%\" height=\"100%\"");
    put_colour(out, s->page.paper);
    strbuf_puts(out, "/>\n");
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        int rc = cancel_check(e);
        if (rc == 0 && it->kind == SCENE_RASTER)
            rc = put_raster(out, it, e);
        if (rc)
            return rc;
        if (it->kind == SCENE_TEXT)
            put_text(out, it);
        if (it->kind == SCENE_PATH)
            put_path(out, it);
        if (it->kind == SCENE_AREA)
            put_area(out, it);
        if (it->kind == SCENE_FILL) {
            strbuf_puts(out, "<rect");
            put_box(out, it->at);
            put_colour(out, it->colour);
            strbuf_puts(out, "/>\n");
        }
    }
    strbuf_puts(out, "</svg>\n");
    return out->failed ? err_nomem(e, "SVG") : 0;
}

const writer writer_svg = {
    .extension = "svg",
    .summary = "vector text, editable",
    .write = write_svg,
};
