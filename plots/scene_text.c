/* Text of a scene through pango.  Hinting is off, so that a text is equally wide at every resolution and
 * in every format. */
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plots/scene.h"

struct scene_fonts {
    PangoFontMap *map;
    PangoContext *context;
    PangoLayout *layout;
    /* of the last size asked for */
    double size, ascent, descent;
    bool bold;
};

/* The family by its exact name: words in it ("Condensed") are not to be read as a style. */
static PangoFontDescription *describe(const scene *s, text_style style)
{
    PangoFontDescription *d = pango_font_description_new();

    pango_font_description_set_family(d, s->page.family);
    pango_font_description_set_weight(d, style.bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_font_description_set_absolute_size(d, style.size * PANGO_SCALE);
    return d;
}

static void set_font(const scene *s, text_style style)
{
    PangoFontDescription *d = describe(s, style);

    pango_layout_set_font_description(s->fonts->layout, d);
    pango_font_description_free(d);
}

static void set_text(const scene *s, const char *text, text_style style)
{
    set_font(s, style);
    pango_layout_set_text(s->fonts->layout, text, -1);
}

/* Which family pango finds for the one asked for. */
static int resolve_family(scene *s, err *e)
{
    static const char *const generic[] = {"sans", "sans-serif", "serif", "monospace", "mono", "system-ui"};
    PangoFontDescription *asked = describe(s, (text_style){.size = 8});
    PangoFont *font;
    int rc = 0;

    font = pango_context_load_font(s->fonts->context, asked);
    if (!font) {
        pango_font_description_free(asked);
        err_set(e, ERR_FAILED, "no font is installed");
        return err_hint(e, "install one, for example the Debian package fonts-dejavu-core");
    }
    PangoFontDescription *got = pango_font_describe(font);
    const char *family = pango_font_description_get_family(got),
               *want = pango_font_description_get_family(asked);
    bool same = want && strcasecmp(want, family) == 0;
    /* "DejaVu Sans Condensed" is found as a width of "DejaVu Sans" */
    same |= want && strncasecmp(want, family, strlen(family)) == 0 &&
            pango_font_description_get_stretch(got) != PANGO_STRETCH_NORMAL;
    for (size_t i = 0; want && i < sizeof generic / sizeof *generic; i++)
        same |= strcasecmp(want, generic[i]) == 0;
    if (!same && s->page.family_given) {
        err_set(e, ERR_USAGE, "font '%s' is not installed", s->page.family);
        rc = err_hint(e, "`fc-list : family` names the installed ones");
    } else {
        s->font = mem_strdup(same ? want : family, e);
        rc = s->font ? 0 : ERR_RESOURCE;
    }
    pango_font_description_free(got);
    g_object_unref(font);
    pango_font_description_free(asked);
    return rc;
}

PangoContext *scene_font_context(PangoFontMap *map)
{
    pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(map), 72);
    PangoContext *context = pango_font_map_create_context(map);
    cairo_font_options_t *o = cairo_font_options_create();
    cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(o, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(o, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(context, o);
    cairo_font_options_destroy(o);
    pango_context_set_round_glyph_positions(context, FALSE);
    /* the user's language must not choose other fonts for the same rows */
    pango_context_set_language(context, pango_language_from_string("en"));
    pango_context_set_base_dir(context, PANGO_DIRECTION_LTR);
    return context;
}

int scene_new(scene **out, const page *pg, err *e)
{
    scene *s = mem_array(1, sizeof *s, e);

    if (!s)
        return ERR_RESOURCE;
    s->page = *pg;
    s->fonts = mem_array(1, sizeof *s->fonts, e);
    if (!s->fonts) {
        scene_free(s);
        return ERR_RESOURCE;
    }
    s->fonts->map = pango_cairo_font_map_new();
    s->fonts->context = scene_font_context(s->fonts->map);
    s->fonts->layout = pango_layout_new(s->fonts->context);
    pango_layout_set_single_paragraph_mode(s->fonts->layout, TRUE);
    pango_layout_set_auto_dir(s->fonts->layout, FALSE);
    int rc = resolve_family(s, e);
    if (rc) {
        scene_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void scene_free(scene *s)
{
    if (!s)
        return;
    if (s->fonts) {
        if (s->fonts->layout)
            g_object_unref(s->fonts->layout);
        if (s->fonts->context)
            g_object_unref(s->fonts->context);
        if (s->fonts->map)
            g_object_unref(s->fonts->map);
        free(s->fonts);
    }
    free(s->font);
    free(s->items);
    arena_free(&s->mem);
    free(s);
}

double scene_text_width(scene *s, const char *text, text_style style)
{
    PangoRectangle logical;

    set_text(s, text, style);
    pango_layout_get_extents(s->fonts->layout, NULL, &logical);
    return (double)logical.width / PANGO_SCALE;
}

bool scene_lacks_glyphs(const scene *s, const char *text, text_style style)
{
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c >= 0x80) { /* every font has ASCII */
            set_text(s, text, style);
            return pango_layout_get_unknown_glyphs_count(s->fonts->layout) > 0;
        }
    }
    return false;
}

/* Reach of the letters above and below the base line, by the font's tallest and deepest letters. */
static void measure_font(const scene *s, text_style style)
{
    struct scene_fonts *f = s->fonts;
    PangoRectangle ink;

    if (f->size == style.size && f->bold == style.bold)
        return;
    set_text(s, "dfhklbgjpqy", style);
    pango_layout_line_get_extents(pango_layout_get_line_readonly(f->layout, 0), &ink, NULL);
    f->ascent = (double)-ink.y / PANGO_SCALE;
    f->descent = (double)(ink.y + ink.height) / PANGO_SCALE;
    f->size = style.size;
    f->bold = style.bold;
}

double scene_ascent(const scene *s, text_style style)
{
    measure_font(s, style);
    return s->fonts->ascent;
}

double scene_line_height(const scene *s, text_style style)
{
    measure_font(s, style);
    return s->fonts->ascent + s->fonts->descent;
}

void scene_draw_text(const scene *s, cairo_t *cr, const scene_item *it)
{
    rgb c = it->style.colour;

    cairo_save(cr);
    if (it->style.turned) {
        cairo_translate(cr, it->at.x + it->ascent, it->at.y + it->at.h);
        cairo_rotate(cr, -1.57079632679489661923);
    } else {
        cairo_translate(cr, it->at.x, it->at.y + it->ascent);
    }
    cairo_set_source_rgb(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0);
    set_text(s, it->text, it->style);
    cairo_move_to(cr, 0, 0);
    pango_cairo_show_layout_line(cr, pango_layout_get_line_readonly(s->fonts->layout, 0));
    cairo_restore(cr);
}

/* fontconfig keeps a few patterns until the process ends; LeakSanitizer is not to take them for ours. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_LEAK_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HAVE_LEAK_SANITIZER)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif
