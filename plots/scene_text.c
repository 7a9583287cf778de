/* Text of a scene through pango.  Hinting is off, so that a text is equally wide at every resolution and
 * in every format. */
#include <hb-ot.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plots/scene.h"

enum { MOST_FAMILIES = 32, MOST_BOXED = 4096, EXAMPLES = 3 };

struct scene_fonts {
    PangoFontMap *map;
    PangoContext *context;
    PangoLayout *layout;
    PangoFont *last;                 /* whose family is known, owned */
    char *family[MOST_FAMILIES];     /* [n_family] that stand in for the page's own, sorted, owned */
    int n_family;
    gunichar *boxed;                 /* [n_boxed] characters in no font, sorted, owned */
    int n_boxed;
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

/* The language whose fonts serve a script.  Without one pango asks the user's environment, and the same rows would look
 * otherwise for another user. */
static const char *language_of(GUnicodeScript script, bool japanese)
{
    switch (script) {
    case G_UNICODE_SCRIPT_HAN: return japanese ? "ja" : "zh-cn";
    case G_UNICODE_SCRIPT_BOPOMOFO: return "zh-tw";
    case G_UNICODE_SCRIPT_HIRAGANA:
    case G_UNICODE_SCRIPT_KATAKANA: return "ja";
    case G_UNICODE_SCRIPT_HANGUL: return "ko";
    case G_UNICODE_SCRIPT_ARABIC: return "ar";
    case G_UNICODE_SCRIPT_ARMENIAN: return "hy";
    case G_UNICODE_SCRIPT_BENGALI: return "bn";
    case G_UNICODE_SCRIPT_CYRILLIC: return "ru";
    case G_UNICODE_SCRIPT_DEVANAGARI: return "hi";
    case G_UNICODE_SCRIPT_GEORGIAN: return "ka";
    case G_UNICODE_SCRIPT_GREEK: return "el";
    case G_UNICODE_SCRIPT_HEBREW: return "he";
    case G_UNICODE_SCRIPT_TAMIL: return "ta";
    case G_UNICODE_SCRIPT_THAI: return "th";
    default: return "en";
    }
}

static bool is_ascii(const char *text)
{
    while (*text && !((unsigned char)*text & 0x80))
        text++;
    return !*text;
}

/* Han beside kana is Japanese. */
static bool has_kana(const char *text)
{
    bool kana = false;

    for (const char *c = text; *c && !kana; c = g_utf8_next_char(c)) {
        GUnicodeScript script = g_unichar_get_script(g_utf8_get_char(c));
        kana = script == G_UNICODE_SCRIPT_HIRAGANA || script == G_UNICODE_SCRIPT_KATAKANA;
    }
    return kana;
}

static PangoAttrList *languages_of(const char *text)
{
    PangoAttrList *list = pango_attr_list_new();
    bool japanese = has_kana(text);
    const char *now = NULL, *start = text, *c = text;

    for (;; c = g_utf8_next_char(c)) {
        GUnicodeScript script = *c ? g_unichar_get_script(g_utf8_get_char(c)) : G_UNICODE_SCRIPT_UNKNOWN;
        bool goes_on = *c && now && (script == G_UNICODE_SCRIPT_COMMON || script == G_UNICODE_SCRIPT_INHERITED);
        const char *language = goes_on ? now : language_of(script, japanese);
        if (*c && now && strcmp(language, now) == 0)
            continue;
        if (now) {
            PangoAttribute *a = pango_attr_language_new(pango_language_from_string(now));
            a->start_index = (guint)(start - text);
            a->end_index = (guint)(c - text);
            pango_attr_list_insert(list, a);
        }
        if (!*c)
            return list;
        now = language;
        start = c;
    }
}

static void set_text(const scene *s, const char *text, text_style style)
{
    PangoAttrList *list = NULL;

    set_font(s, style);
    pango_layout_set_text(s->fonts->layout, text, -1);
    if (!is_ascii(text) && g_utf8_validate(text, -1, NULL))
        list = languages_of(text);
    pango_layout_set_attributes(s->fonts->layout, list);
    if (list)
        pango_attr_list_unref(list);
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
        if (s->fonts->last)
            g_object_unref(s->fonts->last);
        for (int i = 0; i < s->fonts->n_family; i++)
            free(s->fonts->family[i]);
        free(s->fonts->boxed);
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

/* --- which fonts are used --- */

static void note_family(scene *s, PangoFont *font)
{
    struct scene_fonts *f = s->fonts;

    if (!font || font == f->last)
        return;
    g_object_ref(font);
    if (f->last)
        g_object_unref(f->last);
    f->last = font;
    PangoFontDescription *about = pango_font_describe(font);
    const char *family = pango_font_description_get_family(about);
    int at = 0;
    while (at < f->n_family && strcmp(f->family[at], family) < 0)
        at++;
    bool known = strcasecmp(family, s->font) == 0 || (at < f->n_family && strcmp(f->family[at], family) == 0);
    if (!known && f->n_family < MOST_FAMILIES) {
        char *copy = mem_strdup(family, NULL);
        s->failed |= !copy;
        if (copy) {
            memmove(f->family + at + 1, f->family + at, (size_t)(f->n_family - at) * sizeof *f->family);
            f->family[at] = copy;
            f->n_family++;
        }
    }
    pango_font_description_free(about);
}

static void note_boxed(scene *s, gunichar c)
{
    struct scene_fonts *f = s->fonts;
    int at = 0;

    if (!f->boxed && !(f->boxed = mem_array(MOST_BOXED, sizeof *f->boxed, NULL))) {
        s->failed = true;
        return;
    }
    while (at < f->n_boxed && f->boxed[at] < c)
        at++;
    if (f->n_boxed == MOST_BOXED || (at < f->n_boxed && f->boxed[at] == c))
        return;
    memmove(f->boxed + at + 1, f->boxed + at, (size_t)(f->n_boxed - at) * sizeof *f->boxed);
    f->boxed[at] = c;
    f->n_boxed++;
}

bool scene_note_fonts(scene *s, const char *text, text_style style)
{
    bool boxes = false;

    set_text(s, text, style);
    for (GSList *r = pango_layout_get_line_readonly(s->fonts->layout, 0)->runs; r; r = r->next) {
        const PangoGlyphItem *run = r->data;
        bool drawn = false;
        for (int i = 0; i < run->glyphs->num_glyphs; i++) {
            PangoGlyph g = run->glyphs->glyphs[i].glyph;
            bool unknown = g & PANGO_GLYPH_UNKNOWN_FLAG;
            if (unknown)
                note_boxed(s, g & ~PANGO_GLYPH_UNKNOWN_FLAG);
            boxes |= unknown;
            drawn |= !unknown && g != PANGO_GLYPH_EMPTY;
        }
        if (drawn)
            note_family(s, run->item->analysis.font);
    }
    return boxes;
}

void scene_put_families(const scene *s, strbuf *b)
{
    strbuf_puts(b, s->font);
    for (int i = 0; i < s->fonts->n_family; i++)
        strbuf_printf(b, ", %s", s->fonts->family[i]);
}

/* "Han", "Old Italic" */
static void put_script(strbuf *b, GUnicodeScript script)
{
    GEnumClass *names = g_type_class_ref(G_TYPE_UNICODE_SCRIPT);
    const GEnumValue *v = g_enum_get_value(names, (gint)script);
    bool first = true;

    for (const char *c = v ? v->value_nick : "unknown"; *c; c++) {
        strbuf_putc(b, *c == '-' ? ' ' : first ? g_ascii_toupper(*c) : *c);
        first = *c == '-';
    }
    g_type_class_unref(names);
}

void scene_put_notes(const scene *s, strbuf *b)
{
    const struct scene_fonts *f = s->fonts;

    for (int i = 0; i < f->n_boxed; i++) {
        GUnicodeScript script = g_unichar_get_script(f->boxed[i]);
        int n = 0;
        bool before = false;
        for (int k = 0; k < i; k++)
            before |= g_unichar_get_script(f->boxed[k]) == script;
        if (before)
            continue;
        for (int k = i; k < f->n_boxed; k++)
            n += g_unichar_get_script(f->boxed[k]) == script;
        strbuf_printf(b, "no installed font has %d character%s", n, n == 1 ? "" : "s");
        if (script == G_UNICODE_SCRIPT_COMMON || script == G_UNICODE_SCRIPT_INHERITED) {
            strbuf_puts(b, " common to scripts, as symbols and emoji are (");
        } else if (script == G_UNICODE_SCRIPT_UNKNOWN) {
            strbuf_puts(b, " of private use (");
        } else {
            strbuf_puts(b, " of the script ");
            put_script(b, script);
            strbuf_puts(b, " (");
        }
        for (int k = i, shown = 0; k < f->n_boxed && shown < EXAMPLES; k++)
            if (g_unichar_get_script(f->boxed[k]) == script)
                strbuf_printf(b, "%sU+%04X", shown++ ? ", " : "", (unsigned)f->boxed[k]);
        strbuf_puts(b, n > EXAMPLES ? ", ...): drawn as boxes\n" : "): drawn as boxes\n");
    }
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

/* Cairo before 1.18 puts emoji as images into a PDF, where nobody finds them.  A letter that stands for them lies behind each
 * run of them in the colour of the paper: searching and copying find the emoji. */
static void put_emoji_text(const scene *s, cairo_t *cr, const scene_item *it, PangoLayoutLine *line)
{
    double x = 0;

    for (GSList *r = line->runs; r; r = r->next) {
        const PangoGlyphItem *run = r->data;
        hb_face_t *face = hb_font_get_face(pango_font_get_hb_font(run->item->analysis.font));
        if (hb_ot_color_has_png(face) || hb_ot_color_has_layers(face)) {
            PangoFontDescription *d = describe(s, it->style);
            PangoFont *font = pango_context_load_font(s->fonts->context, d);
            cairo_glyph_t letter, *glyphs = &letter;
            cairo_text_cluster_t all = {run->item->length, 1};
            int n = 1;
            if (font)
                cairo_set_scaled_font(cr, pango_cairo_font_get_scaled_font(PANGO_CAIRO_FONT(font)));
            if (font && cairo_scaled_font_text_to_glyphs(cairo_get_scaled_font(cr), x, 0, "o", 1, &glyphs, &n, NULL, NULL,
                                                         NULL) == CAIRO_STATUS_SUCCESS && n == 1)
                cairo_show_text_glyphs(cr, it->text + run->item->offset, run->item->length, glyphs, 1, &all, 1, 0);
            if (glyphs != &letter)
                cairo_glyph_free(glyphs);
            if (font)
                g_object_unref(font);
            pango_font_description_free(d);
        }
        x += (double)pango_glyph_string_get_width(run->glyphs) / PANGO_SCALE;
    }
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
    set_text(s, it->text, it->style);
    if (cairo_surface_get_type(cairo_get_target(cr)) == CAIRO_SURFACE_TYPE_PDF && !is_ascii(it->text) &&
        cairo_version() < CAIRO_VERSION_ENCODE(1, 18, 0)) {
        rgb paper = s->page.paper;
        cairo_set_source_rgb(cr, paper.r / 255.0, paper.g / 255.0, paper.b / 255.0);
        put_emoji_text(s, cr, it, pango_layout_get_line_readonly(s->fonts->layout, 0));
    }
    cairo_set_source_rgb(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0);
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
