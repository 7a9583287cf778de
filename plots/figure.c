#include "plots/figure.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "plots/colormap.h"
#include "plots/writer.h"

#define FIGURE(name) extern const figure figure_##name;
#include "registry/figures.inc"
#undef FIGURE

const figure *const figures[] = {
#define FIGURE(name) &figure_##name,
#include "registry/figures.inc"
#undef FIGURE
    NULL,
};

static const char *const norm_names[] = {"linear", "log", "percentile", NULL};
static const char *const pooling_names[] = {"mean", "max", NULL};

const param figure_params[] = {
    {"width", PARAM_STR, NULL, "MM",
     "page width: millimetres, single (84), double (174) or slide (254) "
     "[single when everything is legible, else double]",
     0, 0, NULL, NULL},
    {"dpi", PARAM_INT, "300", "N", "pixels per inch", 36, 2400, NULL, NULL},
    {"cmap", PARAM_ENUM, "viridis", "NAME", "colour map; for signed values where none is named RdBu_r, 0 in its middle", 0, 0,
     colormap_names, NULL},
    {"norm", PARAM_ENUM, "linear", "NORM", "from values to colours: linear, log, or percentile (linear "
                                           "between --limits p1,p99 or others)", 0,
     0, norm_names, NULL},
    {"floor", PARAM_REAL, "1e-4", "X", "lowest value that --norm log tells apart", 0, 0, NULL, NULL},
    {"limits", PARAM_STR, NULL, "LO,HI", "colour limits: two values, or two percentiles (p1,p99)", 0, 0, NULL,
     NULL},
    {"pooling", PARAM_ENUM, "mean", "HOW", "how cells are joined when there are too many: mean or max", 0, 0,
     pooling_names, NULL},
    {"font", PARAM_STR, "DejaVu Sans", "FAMILY", "font family", 0, 0, NULL, NULL},
    {"font-size", PARAM_REAL, NULL, "PT", "type size of axis names [8, on slides 14]", 7, 72, NULL, NULL},
    {"title", PARAM_BOOL, "true", NULL, "title and subtitle above the figure", 0, 0, NULL, NULL},
    {"caption", PARAM_BOOL, "false", NULL, "a line below the figure: model, tokens, prompts, aggregation, colours", 0, 0,
     NULL, NULL},
    {"paper", PARAM_STR, "#ffffff", "#RRGGBB", "colour of the page; inks that are not given suit it", 0, 0, NULL, NULL},
    {"ink", PARAM_STR, NULL, "#RRGGBB", "colour of text [on white #1a1a1a]", 0, 0, NULL, NULL},
    {"ink-quiet", PARAM_STR, NULL, "#RRGGBB", "colour of the subtitle, the keys and the caption [on white #555555]", 0, 0,
     NULL, NULL},
    {"ink-line", PARAM_STR, NULL, "#RRGGBB", "colour of frames and ticks [on white #555555]", 0, 0, NULL, NULL},
    {"ink-missing", PARAM_STR, NULL, "#RRGGBB", "colour of cells without a value [on white #dcdcdc]", 0, 0, NULL, NULL},
    {"ink-grid", PARAM_STR, NULL, "#RRGGBB", "colour of the lines behind a chart [on white #e4e4e4]", 0, 0, NULL, NULL},
    {"ink-series", PARAM_STR, NULL, "#RRGGBB,...", "colours of the lines and bars of a chart in their order", 0, 0, NULL,
     NULL},
    {"theme", PARAM_PATH, NULL, "FILE", "a file of lines `option = value` for these options", 0, 0, NULL, NULL},
    {0},
};

const figure *figure_find(const char *name)
{
    for (const figure *const *f = figures; *f; f++) {
        if (strcmp((*f)->name, name) == 0)
            return *f;
    }
    return NULL;
}

/* --- what a file says of itself --- */

/* Valid UTF-8 without control characters other than line feeds. */
static char *clean_text(const char *s, err *e)
{
    strbuf b = {0};

    for (const char *line = s;; line++) {
        size_t n = strcspn(line, "\n");
        strbuf_put_visible(&b, line, n);
        line += n;
        if (!*line)
            break;
        strbuf_putc(&b, '\n');
    }
    return strbuf_take(&b, e);
}

static void about_free(char **about)
{
    for (char **a = about; a && *a; a++)
        free(*a);
    free(about);
}

/* Title, description, font and the caller's own pairs; what the caller gives comes before our defaults. */
static int about_new(char ***out, const figure *f, const figure_data *d, const char *fonts, err *e)
{
    const char *defaults[] = {"Title", d->title, "Description", d->subtitle, "Software", "attnscope",
                              "Figure", f->name, "Font", fonts};
    size_t n_default = sizeof defaults / sizeof *defaults, n_given = 0, n = 0;
    char **about;

    while (d->provenance && d->provenance[n_given] && d->provenance[n_given + 1])
        n_given += 2;
    about = mem_array(n_default + n_given + 1, sizeof *about, e);
    if (!about)
        return ERR_RESOURCE;
    for (size_t i = 0; i < n_default + n_given; i += 2) {
        const char *key = i < n_default ? defaults[i] : d->provenance[i - n_default];
        const char *value = i < n_default ? defaults[i + 1] : d->provenance[i + 1 - n_default];
        if (!value || (i < n_default && about_get(d->provenance, key)))
            continue;
        about[n] = clean_text(key, e);
        about[n + 1] = about[n] ? clean_text(value, e) : NULL;
        if (!about[n + 1]) {
            about_free(about);
            return ERR_RESOURCE;
        }
        n += 2;
    }
    *out = about;
    return 0;
}

/* --- drawing --- */

static int write_file(const char *path, const strbuf *bytes, err *e)
{
    outfile *f = NULL;
    int rc = outfile_open(&f, path, e);

    if (rc)
        return rc;
    rc = outfile_write(f, bytes->s, bytes->len, e);
    if (rc == 0)
        rc = cancel_check(e);
    if (rc) {
        outfile_abandon(f);
        return rc;
    }
    return outfile_commit(f, e);
}

static int encode(strbuf *out, strbuf *notes, const writer *w, const figure *f, const figure_data *d, const params *p,
                  err *e)
{
    scene *s = NULL;
    char **about = NULL;
    strbuf fonts = {0};
    int rc = f->build(&s, d, p, e);

    if (rc == 0) {
        scene_put_families(s, &fonts);
        if (notes)
            scene_put_notes(s, notes);
        rc = fonts.failed || (notes && notes->failed) ? err_nomem(e, "figure") : 0;
    }
    if (rc == 0)
        rc = about_new(&about, f, d, strbuf_str(&fonts), e);
    if (rc == 0)
        rc = cancel_check(e);
    if (rc == 0)
        rc = w->write(out, s, (const char *const *)about, e);
    if (rc == 0)
        rc = cancel_check(e);
    about_free(about);
    strbuf_free(&fonts);
    scene_free(s);
    return rc;
}

int figure_encode(strbuf *out, const figure *f, const figure_data *d, const params *p, const char *path, err *e)
{
    const writer *w = NULL;
    int rc = writer_find(&w, path, e);

    return rc ? rc : encode(out, NULL, w, f, d, p, e);
}

int figure_draw_noted(strbuf *notes, const figure *f, const figure_data *d, const params *p, const char *path, err *e)
{
    strbuf bytes = {0};
    const writer *w = NULL;
    int rc = writer_find(&w, path, e);

    if (rc == 0)
        rc = encode(&bytes, notes, w, f, d, p, e);
    if (rc == 0)
        rc = write_file(path, &bytes, e);
    strbuf_free(&bytes);
    return rc;
}

int figure_draw(const figure *f, const figure_data *d, const params *p, const char *path, err *e)
{
    return figure_draw_noted(NULL, f, d, p, path, e);
}

int figure_view(const figure *f, const figure_data *d, const params *p, term_colour colour, view_size size,
                char **out, err *e)
{
    strbuf text = {0};
    int rc = f->view(&text, d, p, colour, size, e);

    *out = NULL;
    if (rc == 0) {
        *out = strbuf_take(&text, e);
        rc = *out ? 0 : ERR_RESOURCE;
    }
    strbuf_free(&text);
    return rc;
}
