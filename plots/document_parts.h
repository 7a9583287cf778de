/* What the files behind plots/document.h share. */
#ifndef ATTNSCOPE_PLOTS_DOCUMENT_PARTS_H
#define ATTNSCOPE_PLOTS_DOCUMENT_PARTS_H

#include <pango/pangocairo.h>

#include "plots/document.h"

typedef enum document_face { FACE_BODY, FACE_BOLD, FACE_QUIET, FACE_CODE, FACE_CELL, FACE_CELL_BOLD, FACE_TITLE, FACE_H1,
                             FACE_H2, FACE_H3, FACE_COUNT } document_face;

struct document {
    strbuf bytes;
    cairo_surface_t *surface;
    cairo_t *cr;
    PangoFontMap *map;
    PangoContext *context;
    PangoLayout *layout, *foot;
    PangoFontDescription *font[FACE_COUNT];
    double width, height;          /* of the page, points */
    double left, right, top, bottom;
    double y;                      /* where the next thing begins */
    int page;
    int parent[4];                 /* outline entry of each level */
    struct { int page; double top, bottom; } slot; /* of a narrow figure with room at its right */
    char *running;                 /* the title, in the foot of each page */
};

/* The layout with this text; width 0: one line, else wrapped to it. */
PangoLayout *document_layout(document *d, document_face face, const char *text, double width);
/* Height of it as it is drawn. */
double document_layout_height(PangoLayout *l);
/* Its lines from (x, y) on, without a look at the end of the page. */
void document_show(document *d, PangoLayout *l, double x, double y);
/* A new page unless `height` fits on this one, or the page is new anyway.  True when there is a new one. */
bool document_room(document *d, double height);
void document_rule(document *d, double x0, double x1, double y, double grey, double width);
void document_ink(document *d, double grey);

#endif
