/* A scene: what is on the page, as a flat list of filled boxes, lines of text, rasters, stroked lines and
 * filled polygons.  Recipes build it; writers (PNG, SVG, PDF) draw it; tests look into it.  Lengths are points from the page's
 * top left corner, y downwards. */
#ifndef ATTNSCOPE_PLOTS_SCENE_H
#define ATTNSCOPE_PLOTS_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/mem.h"
#include "base/strbuf.h"
#include "plots/colormap.h"
#include "plots/page.h"

typedef struct box { double x, y, w, h; } box;

/* A line of text.  Its box is what a reader sees: as wide as the text, as high as from the font's
 * ascenders to its descenders.  turned: 90 degrees counter-clockwise, read from below to above. */
typedef struct text_style {
    double size;       /* points */
    rgb colour;
    bool bold, turned;
} text_style;

/* Which point of the text's box a position means. */
typedef enum align { ALIGN_LOW, ALIGN_MIDDLE, ALIGN_HIGH } align; /* left / centre / right, top / ... */

typedef struct scene_point { double x, y; } scene_point;

/* How a line is stroked: joins are round, ends and dashes are cut square. */
enum { SCENE_DASHES = 4 };
typedef struct line_style {
    double width;                 /* points */
    rgb colour;
    double dash[SCENE_DASHES];    /* [n_dash] points: on, off, on, off */
    int n_dash;                   /* 0: solid; else even */
    bool closed;                  /* the last point is joined to the first */
} line_style;

/* Shapes of about equal weight that stay apart in grey. */
typedef enum marker {
    MARKER_CIRCLE, MARKER_SQUARE, MARKER_TRIANGLE, MARKER_DIAMOND, MARKER_DOWN, MARKER_CROSS, MARKER_PLUS, MARKER_COUNT
} marker;

/* A PNG is drawn in three sweeps, each in the order of the items: boxes and rasters, then lines and polygons, then
 * text.  SVG and PDF know one order alone: recipes add items in the order of the sweeps. */
typedef enum scene_kind { SCENE_FILL, SCENE_TEXT, SCENE_RASTER, SCENE_PATH, SCENE_AREA } scene_kind;

typedef struct scene_item {
    scene_kind kind;
    box at;
    rgb colour;            /* FILL, AREA */
    text_style style;      /* TEXT */
    const char *text;      /* TEXT: UTF-8, owned by the scene */
    double ascent;         /* TEXT: from the box's top (turned: its left) to the base line */
    align anchor;          /* TEXT: the end of the text that must stay in place in another font */
    bool boxes;            /* TEXT: boxes with code points stand for characters in no font */
    const rgb *pixels;     /* RASTER: [rows, cols], owned by the scene; */
    int64_t rows, cols;    /* each drawn as cell_w x cell_h device pixels, unsmoothed */
    int cell_w, cell_h;
    const scene_point *points; /* PATH, AREA: [n_points] owned by the scene; `at` is the box around them */
    int64_t n_points;
    line_style line;       /* PATH */
    double opacity;        /* AREA: within (0, 1] */
} scene_item;

typedef struct scene {
    page page;
    double height;         /* set by scene_finish, a whole number of device pixels */
    int width_px, height_px;
    char *font;            /* the family found for the one asked for, owned; others stand in where it lacks characters */
    scene_item *items;     /* [n] in drawing order */
    int64_t n;
    /* private */
    int64_t cap;
    arena mem;
    bool failed;           /* out of memory: reported by scene_finish */
    struct scene_fonts *fonts;
} scene;

/* ERR_USAGE when the font that was asked for is not installed; ERR_FAILED when there is none at all. */
int scene_new(scene **out, const page *pg, err *e);
void scene_free(scene *s);

double scene_text_width(scene *s, const char *text, text_style style);
/* Height of a text's box. */
double scene_line_height(const scene *s, text_style style);
/* The part of it above the base line. */
double scene_ascent(const scene *s, text_style style);
/* Remember the fonts of a text that is drawn.  True when some character is in no installed font. */
bool scene_note_fonts(scene *s, const char *text, text_style style);
/* text, or its beginning and "…", at most `width` wide; owned by the scene. */
const char *scene_elide(scene *s, const char *text, text_style style, double width);
/* Cut text at blanks into at most `most` lines of at most `width`; the last is elided.  Returns how many;
 * lines are owned by the scene. */
int scene_wrap(scene *s, const char **lines, int most, const char *text, text_style style, double width);

/* Add items.  text is copied.  The box of a text is returned. */
box scene_text(scene *s, const char *text, text_style style, double x, align ax, double y, align ay);
void scene_fill(scene *s, box at, rgb colour);
/* A frame of thickness t around the box, outside of it. */
void scene_frame(scene *s, box at, double t, rgb colour);
/* pixels [rows, cols] are copied.  x and y must lie on device pixels. */
void scene_raster(scene *s, const rgb *pixels, int64_t rows, int64_t cols, double x, double y, int cell_w,
                  int cell_h);
/* points [n] are copied, n >= 2 (path) or 3 (area); fewer add nothing.  Coordinates are finite. */
void scene_path(scene *s, const scene_point *points, int64_t n, line_style style);
void scene_area(scene *s, const scene_point *points, int64_t n, rgb colour, double opacity);
/* A marker with its centre at `at`, about `size` wide; filled with `fill` where its shape has an inside. */
void scene_marker(scene *s, marker shape, scene_point at, double size, rgb colour, rgb fill);
/* Memory that lives as long as the scene; NULL (and the scene marked failed) when there is none. */
void *scene_alloc(scene *s, size_t count, size_t size);
/* Close the page at this height.  Reports what failed since scene_new; ERR_USAGE for a page too large. */
int scene_finish(scene *s, double height, err *e);

/* The families of all text drawn so far, the page's own first: "DejaVu Sans, Noto Color Emoji". */
void scene_put_families(const scene *s, strbuf *b);
/* One line for each script with characters in no installed font: "no installed font has 2 characters of the script Han
 * (U+4EAC, U+5317): drawn as boxes\n". */
void scene_put_notes(const scene *s, strbuf *b);

/* For the writers: draw one text item on a cairo context whose unit is the point. */
struct _cairo;
void scene_draw_text(const scene *s, struct _cairo *cr, const scene_item *it);
/* Likewise one path or area. */
void scene_draw_shape(struct _cairo *cr, const scene_item *it);
/* All items in their order, rasters as images at device resolution (plots/writers/pdf.c).  ERR_CANCELLED. */
int scene_draw(const scene *s, struct _cairo *cr, err *e);
/* A context of these fonts whose unit is the point, without hinting; the caller's. */
struct _PangoContext;
struct _PangoFontMap;
struct _PangoContext *scene_font_context(struct _PangoFontMap *map);

#endif
