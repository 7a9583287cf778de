#include "cli/view_graphics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/view_query.h"
#include "plots/scene.h"
#include "plots/sixel.h"

enum { KITTY_PIECE = 4096, LEAST_DPI = 36, MOST_PIXELS = 4096, LINES_LEFT = 2, TRIES = 5 };

#define CELL_USUAL (cell_pixels){10, 20} /* of the VT340; what terminals pretend to that do not tell */
#define NARROWEST_MM 60.0

const char *const graphics_choices[] = {"auto", "none", "sixel", "kitty", NULL};

static bool starts(const char *s, const char *with)
{
    return s && strncmp(s, with, strlen(with)) == 0;
}

graphics_kind graphics_choose(const session *s, const command_args *a)
{
    const char *wish = params_given(a->p, "graphics") ? params_str(a->p, "graphics")
                                                      : params_str(s->settings, "graphics");
    const char *term = getenv("TERM"), *tmux = getenv("TMUX"), *window = getenv("KITTY_WINDOW_ID");
    if (strcmp(wish, "auto") != 0)
        return strcmp(wish, "kitty") == 0 ? GRAPHICS_KITTY : strcmp(wish, "sixel") == 0 ? GRAPHICS_SIXEL : GRAPHICS_NONE;
    if (!terminal_output(s) || !isatty(STDIN_FILENO) || terminal_colour(s) == TERM_ASCII || starts(term, "linux"))
        return GRAPHICS_NONE;
    bool inside = (tmux && *tmux) || starts(term, "tmux") || starts(term, "screen");
    if (!inside && ((window && *window) || starts(term, "xterm-kitty")))
        return GRAPHICS_KITTY;
    const terminal_answers *said = terminal_ask(!inside);
    return said->kitty && !inside ? GRAPHICS_KITTY : said->sixel ? GRAPHICS_SIXEL : GRAPHICS_NONE;
}

/* --- a page that fits --- */

typedef struct pixels { int w, h; } pixels;

static pixels window_pixels(cell_pixels *letter)
{
    view_size size = terminal_size(STDOUT_FILENO);
    if (!terminal_cell(STDOUT_FILENO, letter)) {
        *letter = terminal_ask(false)->cell;
        *letter = letter->w ? *letter : CELL_USUAL;
    }
    int w = size.columns * letter->w, h = (size.lines - LINES_LEFT) * letter->h;
    return (pixels){w < MOST_PIXELS ? w : MOST_PIXELS, h < MOST_PIXELS ? h : MOST_PIXELS};
}

static int measure(pixels *out, const figure *f, const figure_data *d, const params *p, err *e)
{
    scene *s = NULL;
    int rc = f->build(&s, d, p, e);
    if (!rc)
        *out = (pixels){s->width_px, s->height_px};
    scene_free(s);
    return rc;
}

static int set_number(params *p, const char *name, int decimals, double x, err *e)
{
    char text[32];
    snprintf(text, sizeof text, "%.*f", decimals, x);
    return params_set(p, name, text, e);
}

/* A page as wide as the window, narrower where it would be too high: type keeps its size.  What cannot be that narrow
 * gets the page of two columns. */
static int choose_width(const figure *f, const figure_data *d, params *p, pixels room, err *e)
{
    double dpi = (double)params_int(p, "dpi"), mm = fmin(room.w / dpi * 25.4, PAGE_SLIDE_MM);
    for (int i = 0; i < TRIES; i++) {
        err why = {0};
        pixels is;
        int rc = set_number(p, "width", 1, mm, e);
        if (rc)
            return rc;
        rc = measure(&is, f, d, p, &why);
        if (rc == ERR_USAGE && i > 0)
            return params_set(p, "width", "double", e);
        if (rc) {
            if (e)
                *e = why;
            return rc;
        }
        if (is.h <= room.h || mm <= NARROWEST_MM)
            break;
        mm = fmax(mm * room.h / is.h * 0.98, NARROWEST_MM);
    }
    return 0;
}

/* Fewer pixels for the same page. */
static int choose_dpi(bool *fits, const figure *f, const figure_data *d, params *p, pixels room, err *e)
{
    *fits = false;
    for (int i = 0; i < TRIES; i++) {
        pixels is;
        double dpi = (double)params_int(p, "dpi");
        int rc = measure(&is, f, d, p, e);
        if (rc)
            return rc;
        *fits = is.w <= room.w && is.h <= room.h;
        if (*fits || dpi <= LEAST_DPI)
            return 0;
        dpi = floor(fmin(dpi - 1, dpi * fmin((double)room.w / is.w, (double)room.h / is.h)));
        rc = set_number(p, "dpi", 0, fmax(dpi, LEAST_DPI), e);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- bytes --- */

static void put_base64(strbuf *out, const unsigned char *s, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) | (i + 2 < n ? s[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        strbuf_add(out, four, sizeof four);
    }
}

void graphics_put_kitty(strbuf *out, const void *png, size_t n)
{
    size_t piece = KITTY_PIECE / 4 * 3;
    for (size_t at = 0; at < n; at += piece) {
        bool more = n - at > piece;
        strbuf_printf(out, "\x1b_G%sm=%d;", at ? "" : "a=T,f=100,q=2,", more);
        put_base64(out, (const unsigned char *)png + at, more ? piece : n - at);
        strbuf_puts(out, "\x1b\\");
    }
}

int graphics_put(strbuf *out, bool *fits, graphics_kind kind, const figure *f, const figure_data *d, params *p, err *e)
{
    strbuf png = {0};
    cell_pixels letter;
    pixels room = window_pixels(&letter);
    int rc = 0;
    *fits = false;
    if (room.w < 1 || room.h < 1)
        return 0;
    if (!params_given(p, "dpi")) /* 8 points become about the height of the terminal's own letters */
        rc = set_number(p, "dpi", 0, fmin(fmax(5.4 * letter.h, 72), 300), e);
    if (!rc && !params_given(p, "width"))
        rc = choose_width(f, d, p, room, e);
    if (!rc)
        rc = choose_dpi(fits, f, d, p, room, e);
    if (!rc && *fits)
        rc = figure_encode(&png, f, d, p, ".png", e);
    if (!rc && *fits && kind == GRAPHICS_KITTY)
        graphics_put_kitty(out, png.s, png.len);
    else if (!rc && *fits)
        rc = sixel_from_png(out, png.s, png.len, e);
    if (!rc && *fits)
        strbuf_putc(out, '\n');
    strbuf_free(&png);
    if (!rc && out->failed)
        rc = err_nomem(e, "picture");
    return rc;
}
