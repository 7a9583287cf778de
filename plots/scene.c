#include "plots/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

/* 128 million pixels are 512 MB of page: more than any print needs. */
enum { MAX_SIDE_PX = 30000, MAX_PX = 128 << 20 };

void *scene_alloc(scene *s, size_t count, size_t size)
{
    void *p = s->failed ? NULL : arena_alloc(&s->mem, count, size, NULL);

    s->failed |= p == NULL;
    return p;
}

/* A new item to fill in, NULL when memory ran out. */
static scene_item *new_item(scene *s, scene_kind kind)
{
    if (s->failed)
        return NULL;
    if (s->n == s->cap) {
        int64_t cap = s->cap ? s->cap * 2 : 64;
        scene_item *items = mem_grow(s->items, (size_t)cap, sizeof *items, NULL);
        if (!items) {
            s->failed = true;
            return NULL;
        }
        s->items = items;
        s->cap = cap;
    }
    scene_item *it = &s->items[s->n++];
    memset(it, 0, sizeof *it);
    it->kind = kind;
    return it;
}

void scene_fill(scene *s, box at, rgb colour)
{
    scene_item *it = new_item(s, SCENE_FILL);

    if (it) {
        it->at = at;
        it->colour = colour;
    }
}

void scene_frame(scene *s, box at, double t, rgb colour)
{
    scene_fill(s, (box){at.x - t, at.y - t, at.w + 2 * t, t}, colour);
    scene_fill(s, (box){at.x - t, at.y + at.h, at.w + 2 * t, t}, colour);
    scene_fill(s, (box){at.x - t, at.y, t, at.h}, colour);
    scene_fill(s, (box){at.x + at.w, at.y, t, at.h}, colour);
}

void scene_raster(scene *s, const rgb *pixels, int64_t rows, int64_t cols, double x, double y, int cell_w,
                  int cell_h)
{
    size_t n;
    rgb *copy = size_mul(&n, (size_t)rows, (size_t)cols) ? scene_alloc(s, n, sizeof *copy) : NULL;
    scene_item *it = copy ? new_item(s, SCENE_RASTER) : NULL;

    if (!it) {
        s->failed = true;
        return;
    }
    memcpy(copy, pixels, n * sizeof *copy);
    it->pixels = copy;
    it->rows = rows;
    it->cols = cols;
    it->cell_w = cell_w;
    it->cell_h = cell_h;
    it->at = (box){x, y, (double)cols * cell_w * s->page.px, (double)rows * cell_h * s->page.px};
}

/* A path or an area with its points and the box around them; NULL when there is nothing to add. */
static scene_item *new_shape(scene *s, scene_kind kind, const scene_point *points, int64_t n)
{
    scene_point *copy = n > 1 ? scene_alloc(s, (size_t)n, sizeof *copy) : NULL;
    scene_item *it = copy ? new_item(s, kind) : NULL;

    if (!it)
        return NULL;
    memcpy(copy, points, (size_t)n * sizeof *copy);
    it->points = copy;
    it->n_points = n;
    double x0 = copy[0].x, x1 = x0, y0 = copy[0].y, y1 = y0;
    for (int64_t i = 1; i < n; i++) {
        x0 = fmin(x0, copy[i].x);
        x1 = fmax(x1, copy[i].x);
        y0 = fmin(y0, copy[i].y);
        y1 = fmax(y1, copy[i].y);
    }
    it->at = (box){x0, y0, x1 - x0, y1 - y0};
    return it;
}

void scene_path(scene *s, const scene_point *points, int64_t n, line_style style)
{
    scene_item *it = new_shape(s, SCENE_PATH, points, n);

    if (it)
        it->line = style;
}

void scene_area(scene *s, const scene_point *points, int64_t n, rgb colour, double opacity)
{
    scene_item *it = n > 2 ? new_shape(s, SCENE_AREA, points, n) : NULL;

    if (it) {
        it->colour = colour;
        it->opacity = opacity;
    }
}

/* Outlines in units of half a marker, of about equal area. */
static int marker_outline(scene_point *out, marker shape)
{
    static const scene_point square[] = {{-.86, -.86}, {.86, -.86}, {.86, .86}, {-.86, .86}};
    static const scene_point triangle[] = {{0, -1.16}, {1.08, .72}, {-1.08, .72}};
    static const scene_point diamond[] = {{0, -1.2}, {1.2, 0}, {0, 1.2}, {-1.2, 0}};
    enum { ROUND = 24 };

    switch (shape) {
    case MARKER_SQUARE:
        memcpy(out, square, sizeof square);
        return 4;
    case MARKER_DIAMOND:
        memcpy(out, diamond, sizeof diamond);
        return 4;
    case MARKER_TRIANGLE:
    case MARKER_DOWN:
        memcpy(out, triangle, sizeof triangle);
        for (int i = 0; i < 3 && shape == MARKER_DOWN; i++)
            out[i].y = -out[i].y;
        return 3;
    case MARKER_CIRCLE:
        for (int i = 0; i < ROUND; i++)
            out[i] = (scene_point){cos(2 * M_PI * i / ROUND), sin(2 * M_PI * i / ROUND)};
        return ROUND;
    case MARKER_CROSS:
    case MARKER_PLUS:
    case MARKER_COUNT:
        break;
    }
    return 0;
}

void scene_marker(scene *s, marker shape, scene_point at, double size, rgb colour, rgb fill)
{
    scene_point p[24];
    double half = size / 2;
    line_style outline = {.width = 0.2 * size, .colour = colour, .closed = true};
    int n = marker_outline(p, shape);

    for (int i = 0; i < n; i++)
        p[i] = (scene_point){at.x + half * p[i].x, at.y + half * p[i].y};
    if (n) {
        scene_area(s, p, n, fill, 1);
        scene_path(s, p, n, outline);
        return;
    }
    double a = shape == MARKER_PLUS ? 1.1 * half : 0.85 * half, b = shape == MARKER_PLUS ? 0 : a;
    outline.closed = false;
    outline.width = 0.26 * size;
    scene_path(s, (scene_point[]){{at.x - a, at.y - b}, {at.x + a, at.y + b}}, 2, outline);
    scene_path(s, (scene_point[]){{at.x - b, at.y + a}, {at.x + b, at.y - a}}, 2, outline);
}

static double aligned(double at, double extent, align a)
{
    return a == ALIGN_LOW ? at : a == ALIGN_MIDDLE ? at - extent / 2 : at - extent;
}

box scene_text(scene *s, const char *text, text_style style, double x, align ax, double y, align ay)
{
    double along = scene_text_width(s, text, style), across = scene_line_height(s, style);
    box at = {0, 0, style.turned ? across : along, style.turned ? along : across};
    char *copy = s->failed ? NULL : arena_strdup(&s->mem, text, NULL);
    scene_item *it = copy ? new_item(s, SCENE_TEXT) : NULL;

    at.x = aligned(x, at.w, ax);
    at.y = aligned(y, at.h, ay);
    if (!it) {
        s->failed = true;
        return at;
    }
    it->at = at;
    it->style = style;
    it->text = copy;
    it->ascent = scene_ascent(s, style);
    it->boxes = scene_note_fonts(s, text, style);
    it->anchor = ax;
    if (style.turned) /* begins at the box's lower end */
        it->anchor = ay == ALIGN_LOW ? ALIGN_HIGH : ay == ALIGN_HIGH ? ALIGN_LOW : ALIGN_MIDDLE;
    return at;
}

/* --- cutting text --- */

/* The start of the character that byte `at` belongs to. */
static size_t char_start(const char *text, size_t at)
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static size_t next_char(const char *text, size_t at)
{
    do
        at++;
    while (((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

const char *scene_elide(scene *s, const char *text, text_style style, double width)
{
    /* no line needs more: keeps the work bounded for a token of a megabyte */
    enum { LONGEST = 512 };
    size_t n = strlen(text), fits = 0, over = n < LONGEST ? n : LONGEST;
    char *copy = scene_alloc(s, over + sizeof "\u2026", 1);

    if (!copy)
        return "";
    if (n <= LONGEST && scene_text_width(s, text, style) <= width) {
        memcpy(copy, text, n);
        return copy;
    }
    while (fits < over) {
        size_t cut = char_start(text, fits + (over - fits + 1) / 2);
        if (cut <= fits) /* the middle of a character that starts at fits */
            cut = next_char(text, fits);
        if (cut > over)
            break;
        memcpy(copy, text, cut);
        strcpy(copy + cut, "\u2026");
        if (scene_text_width(s, copy, style) <= width)
            fits = cut;
        else
            over = cut - 1;
    }
    while (fits >= 3 && memcmp(text + fits - 3, "\u200d", 3) == 0) /* nothing is left that it joins */
        fits -= 3;
    memcpy(copy, text, fits);
    strcpy(copy + fits, "\u2026");
    return copy;
}

/* Bytes of the longest beginning of text that ends at a blank and fits; at least one word. */
static size_t line_break(scene *s, char *scratch, const char *text, text_style style, double width)
{
    size_t best = 0, at = 0;

    for (;;) {
        size_t word = at + strcspn(text + at, " ");
        memcpy(scratch, text, word);
        scratch[word] = '\0';
        if (best && scene_text_width(s, scratch, style) > width)
            return best;
        best = word;
        if (!text[word])
            return best;
        at = word + strspn(text + word, " ");
    }
}

/* Lines that text takes at this width, most + 1 when it is more than most. */
static int count_lines(scene *s, char *scratch, int most, const char *text, text_style style, double width)
{
    int n = 0;

    for (; *text && n <= most; n++) {
        text += line_break(s, scratch, text, style, width);
        text += strspn(text, " ");
    }
    return n;
}

/* The least width, about, at which text takes as many lines: none is left with a word alone. */
static double balanced_width(scene *s, char *scratch, int most, const char *text, text_style style,
                             double width)
{
    int n = count_lines(s, scratch, most, text, style, width);
    double lo = width / n, hi = width;

    if (n <= 1 || n > most)
        return width;
    while (hi - lo > width / 64) {
        double middle = (lo + hi) / 2;
        if (count_lines(s, scratch, n, text, style, middle) <= n)
            hi = middle;
        else
            lo = middle;
    }
    return hi;
}

int scene_wrap(scene *s, const char **lines, int most, const char *text, text_style style, double width)
{
    char *scratch = scene_alloc(s, strlen(text) + 1, 1);
    double narrow = scratch && *text ? balanced_width(s, scratch, most, text, style, width) : width;
    int n = 0;

    while (scratch && *text && n < most) {
        size_t cut = n + 1 < most ? line_break(s, scratch, text, style, narrow) : strlen(text);
        memcpy(scratch, text, cut);
        scratch[cut] = '\0';
        /* "A · B" cut after the dot needs no dot */
        if (text[cut] && cut > 3 && strcmp(scratch + cut - 3, " \u00b7") == 0)
            scratch[cut - 3] = '\0';
        lines[n++] = scene_elide(s, scratch, style, width);
        text += cut;
        text += strspn(text, " ");
        if (strncmp(text, "\u00b7 ", 3) == 0 && text[3])
            text += 3; /* nor does "B" cut before it */
    }
    return n;
}

int scene_finish(scene *s, double height, err *e)
{
    double h = ceil(height / s->page.px - 1e-6), w = round(s->page.width / s->page.px);

    if (s->failed)
        return err_nomem(e, "figure");
    if (w > MAX_SIDE_PX || h > MAX_SIDE_PX || w * h > MAX_PX) {
        err_set(e, ERR_USAGE, "a page of %.0f x %.0f pixels is too large", w, h);
        return err_hint(e, "lower --dpi or --width");
    }
    s->width_px = (int)w;
    s->height_px = (int)h;
    s->height = h * s->page.px;
    return 0;
}
