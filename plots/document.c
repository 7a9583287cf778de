/* The page, its type and its text.  Tables are in document_table.c. */
#include <cairo-pdf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plots/document_parts.h"
#include "plots/page.h"
#include "plots/writer.h"

enum { FACT_NAME_WIDTH = 118 };
static const double LEAST_FIGURE = .72; /* of its size, so that no page stays half empty */

static const struct { double size; bool bold, mono; double grey, before, after; } faces[FACE_COUNT] = {
    [FACE_BODY] = {9, false, false, .1, 0, 5},
    [FACE_BOLD] = {9, true, false, .1, 0, 5},
    [FACE_QUIET] = {7.5, false, false, .33, 0, 8},
    [FACE_CODE] = {7.5, false, true, .1, 2, 6},
    [FACE_CELL] = {7.5, false, false, .1, 0, 0},
    [FACE_CELL_BOLD] = {7.5, true, false, .1, 0, 0},
    [FACE_TITLE] = {18, true, false, .1, 0, 4},
    [FACE_H1] = {14, true, false, .1, 16, 6},
    [FACE_H2] = {11, true, false, .1, 12, 4},
    [FACE_H3] = {9.5, true, false, .1, 8, 3},
};

/* ---- type ---- */

PangoLayout *document_layout(document *d, document_face face, const char *text, double width)
{
    pango_layout_set_font_description(d->layout, d->font[face]);
    pango_layout_set_width(d->layout, width > 0 ? (int)(width * PANGO_SCALE) : -1);
    pango_layout_set_text(d->layout, text, -1);
    return d->layout;
}

double document_layout_height(PangoLayout *l)
{
    PangoRectangle r;

    pango_layout_get_extents(l, NULL, &r);
    return (double)r.height / PANGO_SCALE;
}

void document_ink(document *d, double grey)
{
    cairo_set_source_rgb(d->cr, grey, grey, grey);
}

void document_rule(document *d, double x0, double x1, double y, double grey, double width)
{
    document_ink(d, grey);
    cairo_rectangle(d->cr, x0, y, x1 - x0, width);
    cairo_fill(d->cr);
}

void document_show(document *d, PangoLayout *l, double x, double y)
{
    cairo_move_to(d->cr, x, y);
    pango_cairo_show_layout(d->cr, l);
}

/* ---- pages ---- */

static void foot(document *d)
{
    char number[32];
    PangoRectangle r;
    PangoLayout *l = d->foot; /* not the one of a text that goes on over the page */

    snprintf(number, sizeof number, "%d", d->page);
    document_ink(d, .33);
    pango_layout_set_font_description(l, d->font[FACE_QUIET]);
    pango_layout_set_ellipsize(l, PANGO_ELLIPSIZE_NONE);
    pango_layout_set_width(l, -1);
    pango_layout_set_text(l, number, -1);
    pango_layout_get_extents(l, NULL, &r);
    document_show(d, l, d->right - (double)r.width / PANGO_SCALE, d->bottom + 16);
    pango_layout_set_ellipsize(l, PANGO_ELLIPSIZE_END);
    pango_layout_set_width(l, (int)((d->right - d->left - 60) * PANGO_SCALE));
    pango_layout_set_text(l, d->running, -1);
    document_show(d, l, d->left, d->bottom + 16);
}

bool document_room(document *d, double height)
{
    if (d->y + height <= d->bottom || d->y <= d->top)
        return false;
    foot(d);
    cairo_show_page(d->cr);
    d->page++;
    d->y = d->top;
    return true;
}

/* Lines from the current place on, over as many pages as they take. */
static void flow(document *d, document_face face, const char *text, double x, double width)
{
    PangoLayout *l = document_layout(d, face, text, width);
    PangoLayoutIter *it = pango_layout_get_iter(l);
    bool more = true;

    for (; more; more = pango_layout_iter_next_line(it)) {
        PangoRectangle r;
        pango_layout_iter_get_line_extents(it, NULL, &r);
        double h = (double)r.height / PANGO_SCALE, up = (double)(pango_layout_iter_get_baseline(it) - r.y) / PANGO_SCALE;
        document_room(d, h);
        if (face == FACE_CODE) {
            cairo_set_source_rgb(d->cr, .955, .955, .96);
            cairo_rectangle(d->cr, x - 4, d->y, width + 8, h + .5);
            cairo_fill(d->cr);
        }
        document_ink(d, faces[face].grey);
        cairo_move_to(d->cr, x + (double)r.x / PANGO_SCALE, d->y + up);
        pango_cairo_show_layout_line(d->cr, pango_layout_iter_get_line_readonly(it));
        d->y += h;
    }
    pango_layout_iter_free(it);
}

static void paragraph(document *d, document_face face, const char *text)
{
    d->y += d->y > d->top ? faces[face].before : 0;
    flow(d, face, text, d->left, d->right - d->left);
    d->y += faces[face].after;
}

/* ---- what is added ---- */

void document_title(document *d, const char *title, const char *subtitle)
{
    paragraph(d, FACE_TITLE, title);
    if (subtitle && *subtitle)
        paragraph(d, FACE_QUIET, subtitle);
    document_rule(d, d->left, d->right, d->y, .6, .8);
    d->y += 8;
}

void document_heading(document *d, int level, const char *text)
{
    static const document_face of[] = {FACE_H1, FACE_H1, FACE_H2, FACE_H3};
    char where[80];

    level = level < 1 ? 1 : level > 3 ? 3 : level;
    document_room(d, level == 1 ? 120 : 80); /* no heading at the end of a page */
    snprintf(where, sizeof where, "page=%d pos=[%d %d]", d->page, (int)d->left, (int)(d->y > d->top ? d->y + 4 : d->top));
    d->parent[level] = cairo_pdf_surface_add_outline(d->surface, d->parent[level - 1], text, where,
                                                     level == 1 ? CAIRO_PDF_OUTLINE_FLAG_OPEN : 0);
    for (int i = level + 1; i < 4; i++)
        d->parent[i] = d->parent[level];
    paragraph(d, of[level], text);
}

void document_text(document *d, const char *text)
{
    paragraph(d, FACE_BODY, text);
}

void document_quiet(document *d, const char *text)
{
    paragraph(d, FACE_QUIET, text);
}

void document_code(document *d, const char *text)
{
    paragraph(d, FACE_CODE, text);
}

void document_fact(document *d, const char *name, const char *value, bool code)
{
    double height = document_layout_height(document_layout(d, FACE_QUIET, name, FACT_NAME_WIDTH - 8)), begin;
    int first;

    document_room(d, height > 14 ? height : 14);
    document_ink(d, .33);
    document_show(d, document_layout(d, FACE_QUIET, name, FACT_NAME_WIDTH - 8), d->left, d->y + 1);
    begin = d->y;
    first = d->page;
    flow(d, code ? FACE_CODE : FACE_CELL, value, d->left + FACT_NAME_WIDTH, d->right - d->left - FACT_NAME_WIDTH);
    if (first == d->page && d->y < begin + height)
        d->y = begin + height;
    d->y += 2.5;
}

/* Where a figure of this height goes: behind everything else, or at the right of the narrow one before it. */
static double place_figure(document *d, bool narrow, double room, double height)
{
    bool right = narrow && d->slot.page == d->page && d->slot.bottom == d->y && d->slot.top + height <= d->bottom;

    if (right) {
        d->y = d->slot.top;
        return d->right - room;
    }
    document_room(d, height);
    d->slot.top = d->y;
    return d->left;
}

int document_figure(document *d, const scene *s, const char *caption, err *e)
{
    double all = d->right - d->left, most = d->bottom - d->top - 60;
    bool narrow = s->page.width <= (all - 8) / 2;
    double room = narrow ? (all - 8) / 2 : all, scale = s->page.width > room ? room / s->page.width : 1;
    int rc;

    if (s->height * scale > most)
        scale = most / s->height;
    double text = document_layout_height(document_layout(d, FACE_QUIET, caption, room));
    double rest = d->bottom - d->y - 4 - (narrow || text < 50 ? text : 50); /* below what is there already */
    if (s->height * scale > rest && s->height * scale * LEAST_FIGURE <= rest)
        scale = rest / s->height;
    double x = place_figure(d, narrow, room, s->height * scale + 4 + (narrow || text < 50 ? text : 50));
    double before = x > d->left ? d->slot.bottom : 0;
    cairo_save(d->cr);
    cairo_translate(d->cr, x + (room - s->page.width * scale) / 2, d->y);
    cairo_scale(d->cr, scale, scale);
    rc = scene_draw(s, d->cr, e);
    cairo_restore(d->cr);
    d->y += s->height * scale + 4;
    if (!rc)
        flow(d, FACE_QUIET, caption, x, room);
    d->y += faces[FACE_QUIET].after + 4;
    if (d->y < before)
        d->y = before;
    d->slot.page = narrow && x == d->left ? d->page : 0;
    d->slot.bottom = d->y;
    return rc;
}

/* ---- the file ---- */

int document_new(document **out, document_paper paper, const char *font, const char *const *about, err *e)
{
    document *d = mem_array(1, sizeof *d, e);
    const char *title = about_get(about, "Title");

    if (!d)
        return ERR_RESOURCE;
    d->width = paper == PAPER_LETTER ? 612 : 210 * POINTS_PER_MM;
    d->height = paper == PAPER_LETTER ? 792 : 297 * POINTS_PER_MM;
    d->left = d->top = 18 * POINTS_PER_MM;
    d->right = d->width - d->left;
    d->bottom = d->height - 20 * POINTS_PER_MM;
    d->y = d->top;
    d->page = 1;
    d->running = mem_strdup(title ? title : "", e);
    d->surface = pdf_surface(&d->bytes, d->width, d->height);
    d->cr = cairo_create(d->surface);
    d->map = pango_cairo_font_map_new();
    d->context = scene_font_context(d->map);
    d->layout = pango_layout_new(d->context);
    d->foot = pango_layout_new(d->context);
    pango_layout_set_wrap(d->layout, PANGO_WRAP_WORD_CHAR);
    for (int i = 0; i < FACE_COUNT; i++) {
        d->font[i] = pango_font_description_new();
        pango_font_description_set_family(d->font[i], faces[i].mono ? "DejaVu Sans Mono, monospace" : font);
        pango_font_description_set_weight(d->font[i], faces[i].bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
        pango_font_description_set_absolute_size(d->font[i], faces[i].size * PANGO_SCALE);
    }
    int rc = d->running ? pdf_describe(d->surface, about, e) : ERR_RESOURCE;
    if (rc) {
        document_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

int document_finish(document *d, strbuf *out, err *e)
{
    foot(d);
    cairo_show_page(d->cr);
    cairo_surface_finish(d->surface);
    if (d->bytes.failed)
        return err_nomem(e, "PDF");
    if (cairo_status(d->cr) || cairo_surface_status(d->surface))
        return err_set(e, ERR_FAILED, "PDF cannot be written: %s", cairo_status_to_string(cairo_surface_status(d->surface)));
    strbuf_add(out, d->bytes.s, d->bytes.len);
    return out->failed ? err_nomem(e, "PDF") : 0;
}

void document_free(document *d)
{
    if (!d)
        return;
    for (int i = 0; i < FACE_COUNT; i++)
        pango_font_description_free(d->font[i]);
    if (d->layout)
        g_object_unref(d->layout);
    if (d->foot)
        g_object_unref(d->foot);
    if (d->context)
        g_object_unref(d->context);
    if (d->map)
        g_object_unref(d->map);
    cairo_destroy(d->cr);
    cairo_surface_finish(d->surface); /* writes into bytes */
    cairo_surface_destroy(d->surface);
    strbuf_free(&d->bytes);
    free(d->running);
    free(d);
}
