/* Lines and polygons of a scene through cairo. */
#include <cairo.h>

#include "plots/scene.h"

static void trace(cairo_t *cr, const scene_item *it)
{
    cairo_new_path(cr);
    for (int64_t i = 0; i < it->n_points; i++)
        cairo_line_to(cr, it->points[i].x, it->points[i].y);
    if (it->kind == SCENE_AREA || it->line.closed)
        cairo_close_path(cr);
}

void scene_draw_shape(cairo_t *cr, const scene_item *it)
{
    rgb c = it->kind == SCENE_AREA ? it->colour : it->line.colour;
    double alpha = it->kind == SCENE_AREA ? it->opacity : 1;

    cairo_save(cr);
    trace(cr, it);
    if (alpha < 1)
        cairo_set_source_rgba(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0, alpha);
    else
        cairo_set_source_rgb(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0);
    if (it->kind == SCENE_AREA) {
        cairo_fill(cr);
    } else {
        cairo_set_line_width(cr, it->line.width);
        cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
        cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
        cairo_set_dash(cr, it->line.dash, it->line.n_dash, 0);
        cairo_stroke(cr);
    }
    cairo_restore(cr);
}
