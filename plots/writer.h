/* Writers: a scene as bytes of a file format.  One file in plots/writers/ with one `const writer
 * writer_<file name>`, and one line in plots/sources.mk. */
#ifndef ATTNSCOPE_PLOTS_WRITER_H
#define ATTNSCOPE_PLOTS_WRITER_H

#include "base/strbuf.h"
#include "plots/scene.h"

typedef struct writer {
    const char *extension; /* "png" */
    const char *summary;
    /* Append the file to out.  about: key, value, ..., NULL: what the file says of itself; valid UTF-8.
     * The same scene and about give the same bytes. */
    int (*write)(strbuf *out, const scene *s, const char *const *about, err *e);
} writer;

extern const writer *const writers[]; /* NULL-terminated, sorted by extension */
/* By the extension of path; ERR_USAGE that names what there is. */
int writer_find(const writer **out, const char *path, err *e);
/* The value of a key in such a list, NULL when absent. */
const char *about_get(const char *const *about, const char *key);

/* A PDF that is appended to out, its first page of this size in points; and what it says of itself, without a date. */
struct _cairo_surface;
struct _cairo_surface *pdf_surface(strbuf *out, double width, double height);
int pdf_describe(struct _cairo_surface *surface, const char *const *about, err *e);

/* A PNG of w x h RGB pixels whose rows come from row(); dpi 0: no pHYs chunk; about may be NULL. */
typedef void png_row_fn(const void *ud, int y, uint8_t *pixels);
int png_encode(strbuf *out, int w, int h, png_row_fn *row, const void *ud, double dpi,
               const char *const *about, err *e);
/* png_row_fn for a SCENE_RASTER item: its cells at device resolution. */
void raster_row(const void *item, int y, uint8_t *pixels);

#endif
