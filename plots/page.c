#include "plots/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_WIDTH_MM = 40, MAX_WIDTH_MM = 1000 };

static int read_width(double *mm, const char *text, err *e)
{
    if (strcmp(text, "single") == 0)
        *mm = PAGE_SINGLE_MM;
    else if (strcmp(text, "double") == 0)
        *mm = PAGE_DOUBLE_MM;
    else if (strcmp(text, "slide") == 0)
        *mm = PAGE_SLIDE_MM;
    else if (!parse_real(mm, text)) {
        err_set(e, ERR_USAGE, "option --width: '%s' is not a width", text);
        return err_hint(e, "give millimetres, or single (84), double (174) or slide (254)");
    }
    if (*mm >= 1 && *mm < MIN_WIDTH_MM) {
        err_set(e, ERR_USAGE, "option --width: a page of %g mm has no room for a figure and its words: %d mm are the least",
                *mm, MIN_WIDTH_MM);
        return err_hint(e, "raise --width: millimetres, or single (84), double (174) or slide (254)");
    }
    if (*mm < MIN_WIDTH_MM || *mm > MAX_WIDTH_MM) {
        err_set(e, ERR_USAGE, "option --width: %g mm is out of range (%d to %d)", *mm, MIN_WIDTH_MM,
                MAX_WIDTH_MM);
        return err_hint(e, "give millimetres, or single (84), double (174) or slide (254)");
    }
    return 0;
}

static bool read_ink(rgb *out, const char *text, size_t n)
{
    unsigned v = 0;

    if (n != 7 || text[0] != '#' || strspn(text + 1, "0123456789abcdefABCDEF") < 6)
        return false;
    sscanf(text + 1, "%x", &v);
    *out = (rgb){(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return true;
}

/* Colours with commas or blanks between them, at most `most`; how many, 0 when some is none or they are too many. */
static int read_list(rgb *out, int most, const char *text)
{
    int n = 0;

    for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
        size_t len = strcspn(text, ", ");
        if (n == most || !read_ink(&out[n++], text, len))
            return 0;
        text += len;
    }
    return n;
}

int page_check_ink(const char *name, const char *value, err *e)
{
    bool list = strcmp(name, "ink-series") == 0;
    rgb inks[PAGE_SERIES];

    if (strcmp(name, "paper") != 0 && strncmp(name, "ink", 3) != 0)
        return 0;
    if (read_list(inks, list ? PAGE_SERIES : 1, value) > 0)
        return 0;
    if (list) {
        err_set(e, ERR_USAGE, "'%s' is no list of colours", value);
        return err_hint(e, "write 1 to %d of them: '#0072b2,#d55e00'", PAGE_SERIES);
    }
    err_set(e, ERR_USAGE, "'%s' is not a colour", value);
    return err_hint(e, "write red, green and blue in hexadecimal: '#1a1a1a'");
}

static rgb blend(rgb a, rgb b, double share)
{
    return (rgb){(uint8_t)lrint(a.r + (b.r - a.r) * share), (uint8_t)lrint(a.g + (b.g - a.g) * share),
                 (uint8_t)lrint(a.b + (b.b - a.b) * share)};
}

static rgb legible(rgb ink, rgb paper)
{
    return rgb_contrast(ink, paper) < PAGE_CONTRAST ? rgb_opposite(paper) : ink;
}

/* What suits the paper, for inks that nobody chose: on white #1a1a1a, #555555, #dcdcdc and #e4e4e4. */
static void default_inks(page *pg)
{
    /* of Okabe and Ito's eight those that stand out on black, the hues in the order of charts on white */
    static const rgb bright[] = {{0x56, 0xb4, 0xe9}, {0xe6, 0x9f, 0x00}, {0x00, 0x9e, 0x73}, {0xcc, 0x79, 0xa7},
                                 {0xf0, 0xe4, 0x42}, {0xd5, 0x5e, 0x00}};
    enum { BRIGHT = sizeof bright / sizeof *bright };
    bool dark = rgb_opposite(pg->paper).r > 0;
    rgb text = dark ? (rgb){0xf2, 0xf2, 0xf2} : (rgb){0x1a, 0x1a, 0x1a};

    pg->text = legible(text, pg->paper);
    pg->quiet = pg->line = legible(blend(pg->paper, text, 170 / 229.0), pg->paper);
    /* grey that lies apart from the dark end of a colour map, as #dcdcdc does */
    pg->missing = blend(pg->paper, text, dark ? 0.3 : 35 / 229.0);
    pg->grid = blend(pg->paper, text, 27 / 229.0);
    pg->n_series = dark ? BRIGHT + 1 : 0;
    if (dark) {
        memcpy(pg->series, bright, sizeof bright);
        pg->series[BRIGHT] = pg->text;
    }
}

static int read_inks(page *pg, const params *p, err *e)
{
    static const char *const names[] = {"paper", "ink", "ink-quiet", "ink-line", "ink-missing", "ink-grid", "ink-series"};
    rgb *const inks[] = {&pg->paper, &pg->text, &pg->quiet, &pg->line, &pg->missing, &pg->grid, pg->series};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = params_str(p, names[i]);
        bool list = inks[i] == pg->series;
        if (!value)
            continue;
        if (page_check_ink(names[i], value, e))
            return err_prefix(e, "option --%s", names[i]);
        int n = read_list(inks[i], list ? PAGE_SERIES : 1, value);
        if (list)
            pg->n_series = n;
        if (i == 0)
            default_inks(pg);
    }
    return 0;
}

int page_init(page *out, const params *p, double width_mm, err *e)
{
    page pg = {0};
    const char *width = params_str(p, "width");

    if ((width && read_width(&width_mm, width, e)) || read_inks(&pg, p, e))
        return ERR_USAGE;
    pg.dpi = (double)params_int(p, "dpi");
    pg.px = 72 / pg.dpi;
    pg.width = round(width_mm / 25.4 * pg.dpi) * pg.px;
    pg.family = params_str(p, "font");
    pg.family_given = params_given(p, "font");
    pg.show_title = params_bool(p, "title");
    pg.show_caption = params_bool(p, "caption");
    /* a slide is read from further away */
    pg.body = params_given(p, "font-size") ? params_real(p, "font-size") : width_mm > 200 ? 14 : 8;
    pg.small = fmax(0.875 * pg.body, PAGE_MIN_FONT);
    pg.large = 1.125 * pg.body;
    pg.unit = pg.body / 8;
    pg.margin = 2 * POINTS_PER_MM;
    *out = pg;
    return 0;
}

double page_snap(const page *pg, double x)
{
    return round(x / pg->px) * pg->px;
}
