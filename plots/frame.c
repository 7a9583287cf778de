#include "plots/frame.h"

#include <math.h>
#include <stdlib.h>

#include "plots/label.h"

enum { TITLE_LINES = 2, SUBTITLE_LINES = 3, LABEL_LINES = 3, CAPTION_LINES = 6 };
/* units */
static const double bar_thickness = 7, tick_length = 2, bar_gap = 8, number_gap = 1.5, name_gap = 4,
                    arrow_length = 4;

text_style frame_style(double size, rgb colour)
{
    return (text_style){.size = size, .colour = colour};
}

double frame_hairline(const scene *s)
{
    return fmax(s->page.px, page_snap(&s->page, 0.4));
}

double frame_digit_drop(const scene *s)
{
    return 0.09 * s->page.small;
}

bool frame_ticks_apart(scene *s, const scale_tick *ticks, int n, double length, bool vertical)
{
    text_style style = frame_style(s->page.small, s->page.text);
    bool apart = true;

    for (int i = 1; i < n && apart; i++) {
        double w0 = scene_text_width(s, ticks[i - 1].text, style), w1 = scene_text_width(s, ticks[i].text, style);
        double need = vertical ? 1.6 * scene_line_height(s, style) : (w0 + w1) / 2 + style.size;
        apart = (ticks[i].at - ticks[i - 1].at) * length >= need;
    }
    return apart;
}

double frame_ticks_width(scene *s, const scale_tick *ticks, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++)
        most = fmax(most, scene_text_width(s, ticks[i].text, frame_style(s->page.small, s->page.text)));
    return most;
}

static double clamp(double x, double lo, double hi)
{
    return x > hi ? (hi > lo ? hi : lo) : x < lo ? lo : x;
}

const char *frame_text(scene *s, const char *text, text_style style, double width)
{
    strbuf visible = {0};

    label_put_drawn(&visible, text);
    s->failed |= visible.failed;
    const char *cut = scene_elide(s, strbuf_str(&visible), style, width);
    strbuf_free(&visible);
    return cut;
}

/* Lines of text one below the other, each centred on `centre` as far as the margins allow. */
static double put_lines(scene *s, const char *text, text_style style, int most, double centre, double y)
{
    double left = s->page.margin, width = s->page.width - 2 * left, line = 1.2 * scene_line_height(s, style);
    const char *lines[8];
    strbuf visible = {0};

    label_put_drawn(&visible, text);
    int n = scene_wrap(s, lines, most, strbuf_str(&visible), style, width);
    for (int i = 0; i < n; i++, y += line) {
        double w = scene_text_width(s, lines[i], style);
        scene_text(s, lines[i], style, clamp(centre - w / 2, left, left + width - w) + w / 2, ALIGN_MIDDLE, y,
                   ALIGN_LOW);
    }
    s->failed |= visible.failed;
    strbuf_free(&visible);
    return y;
}

void frame_put_panel(strbuf *b, const char *title, int i, int n)
{
    enum { LETTERS = 26 };
    bool titled = title && *title;

    /* (a) to (z), then (a2) */
    if (n > 1)
        strbuf_printf(b, "(%c", 'a' + i % LETTERS);
    if (n > 1 && i >= LETTERS)
        strbuf_printf(b, "%d", i / LETTERS + 1);
    if (n > 1)
        strbuf_puts(b, titled ? ") " : ")");
    if (titled)
        strbuf_puts(b, title);
}

double frame_head(scene *s, const figure_data *d, double centre)
{
    text_style title = frame_style(s->page.large, s->page.text);
    double y = s->page.margin;

    if (!s->page.show_title)
        return y;
    title.bold = true;
    if (d->title && *d->title)
        y = put_lines(s, d->title, title, TITLE_LINES, centre, y);
    if (d->subtitle && *d->subtitle)
        y = put_lines(s, d->subtitle, frame_style(s->page.small, s->page.quiet), SUBTITLE_LINES, centre, y);
    return y > s->page.margin ? y + 0.4 * s->page.body : y;
}

double frame_foot(scene *s, const figure_data *d, const char *colours, double y)
{
    strbuf b = {0};

    if (!s->page.show_caption)
        return y;
    if (d->caption && *d->caption)
        strbuf_printf(&b, "%s; ", d->caption);
    strbuf_printf(&b, "colours: %s", colours);
    s->failed |= b.failed;
    y = put_lines(s, strbuf_str(&b), frame_style(s->page.small, s->page.quiet), CAPTION_LINES, s->page.width / 2,
                  y + 0.5 * s->page.body);
    strbuf_free(&b);
    return y;
}

/* --- colour bar --- */

/* Both ends of the bar show the colours of the limits. */
static void put_gradient(scene *s, const scale *sc, double x, double y, int length, int thickness,
                         bool vertical)
{
    rgb *colours = scene_alloc(s, (size_t)length, sizeof *colours);

    for (int i = 0; colours && i < length; i++) {
        double t = length > 1 ? (double)i / (length - 1) : 0;
        colours[i] = scale_shade(sc, vertical ? 1 - t : t);
    }
    if (!colours)
        return;
    if (vertical)
        scene_raster(s, colours, length, 1, x, y, thickness, 1);
    else
        scene_raster(s, colours, 1, length, x, y, 1, thickness);
    box at = {x, y, (vertical ? thickness : length) * s->page.px,
              (vertical ? length : thickness) * s->page.px};
    scene_frame(s, at, frame_hairline(s), s->page.line);
}

/* An arrow beyond an end of the bar, in the colour of that end: values lie outside. */
static void put_arrow(scene *s, const scale *sc, double x, double y, double length, double thickness, bool vertical, bool high)
{
    double reach = arrow_length * s->page.unit, gap = frame_hairline(s);

    if (!scale_marks(sc, high))
        return;
    if (vertical) {
        double from = high ? y - 2 * gap : y + length + 2 * gap, to = high ? from - reach : from + reach;
        const scene_point points[] = {{x, from}, {x + thickness, from}, {x + thickness / 2, to}};
        scene_area(s, points, 3, scale_shade(sc, high ? 1 : 0), 1);
    } else {
        double from = high ? x + length + 2 * gap : x - 2 * gap, to = high ? from + reach : from - reach;
        const scene_point points[] = {{from, y}, {from, y + thickness}, {to, y + thickness / 2}};
        scene_area(s, points, 3, scale_shade(sc, high ? 1 : 0), 1);
    }
}

/* The most ticks whose labels stand apart on a bar of this length. */
static int choose_ticks(scene *s, scale_tick *ticks, const scale *sc, double length, bool vertical)
{
    int n = 0;

    for (int most = vertical ? 8 : 7; most >= 2; most--) {
        n = scale_ticks(ticks, sc, most, true);
        if (frame_ticks_apart(s, ticks, n, length, vertical))
            break;
    }
    return n;
}

double frame_bar_below(scene *s, const scale *sc, const char *label, double x, double y, double w)
{
    text_style style = frame_style(s->page.small, s->page.text);
    const page *pg = &s->page;
    double t = frame_hairline(s), left = pg->margin, tick = tick_length * pg->unit,
           gap = tick + number_gap * pg->unit;
    int length = (int)(w / pg->px), thickness = (int)fmax(round(bar_thickness * pg->unit / pg->px), 2);
    scale_tick ticks[SCALE_MAX_TICKS];
    int n = choose_ticks(s, ticks, sc, w, false);

    x = page_snap(pg, x);
    y = page_snap(pg, y);
    w = length * pg->px;
    put_gradient(s, sc, x, y, length, thickness, false);
    put_arrow(s, sc, x, y, w, thickness * pg->px, false, false);
    put_arrow(s, sc, x, y, w, thickness * pg->px, false, true);
    y += thickness * pg->px;
    for (int i = 0; i < n; i++) {
        double at = x + ticks[i].at * w, tw = scene_text_width(s, ticks[i].text, style);
        scene_fill(s, (box){at - t / 2, y, t, tick + t}, s->page.line);
        scene_text(s, ticks[i].text, style, clamp(at - tw / 2, left, pg->width - left - tw) + tw / 2,
                   ALIGN_MIDDLE, y + gap, ALIGN_LOW);
    }
    y += gap + 1.3 * scene_line_height(s, style);
    return put_lines(s, label, style, LABEL_LINES, x + w / 2, y);
}

/* From the map's edge to the end of the label. */
static double beside_width(scene *s, double tick_width)
{
    return (bar_gap + bar_thickness + tick_length + number_gap + name_gap) * s->page.unit + tick_width +
           scene_line_height(s, frame_style(s->page.small, s->page.text));
}

double frame_bar_reserve(scene *s)
{
    return beside_width(s, scene_text_width(s, "0.000", frame_style(s->page.small, s->page.text)));
}

bool frame_bar_width(double *w, scene *s, const scale *sc, const char *label, double h)
{
    scale_tick ticks[SCALE_MAX_TICKS];
    int n = choose_ticks(s, ticks, sc, h, true);

    *w = beside_width(s, frame_ticks_width(s, ticks, n));
    return scene_text_width(s, label, frame_style(s->page.small, s->page.text)) <= h;
}

void frame_bar_beside(scene *s, const scale *sc, const char *label, double x, double y, double h)
{
    text_style style = frame_style(s->page.small, s->page.text);
    const page *pg = &s->page;
    double t = frame_hairline(s), line = scene_line_height(s, style), tick = tick_length * pg->unit;
    double gap = tick + number_gap * pg->unit;
    int length = (int)round(h / pg->px), thickness = (int)fmax(round(bar_thickness * pg->unit / pg->px), 2);
    scale_tick ticks[SCALE_MAX_TICKS];
    int n = choose_ticks(s, ticks, sc, h, true);
    double widest = frame_ticks_width(s, ticks, n);

    x = page_snap(pg, x + bar_gap * pg->unit);
    y = page_snap(pg, y);
    put_gradient(s, sc, x, y, length, thickness, true);
    put_arrow(s, sc, x, y, h, thickness * pg->px, true, false);
    put_arrow(s, sc, x, y, h, thickness * pg->px, true, true);
    x += thickness * pg->px;
    for (int i = 0; i < n; i++) {
        double at = y + (1 - ticks[i].at) * h;
        scene_fill(s, (box){x, at - t / 2, tick + t, t}, s->page.line);
        /* the outermost numbers stay beside the bar */
        scene_text(s, ticks[i].text, style, x + gap, ALIGN_LOW,
                   clamp(at - line / 2 + frame_digit_drop(s), y - 1, y + h - line + 1), ALIGN_LOW);
    }
    style.turned = true;
    scene_text(s, label, style, x + gap + widest + name_gap * pg->unit, ALIGN_LOW, y + h / 2, ALIGN_MIDDLE);
}

/* --- key --- */

static double key_width(scene *s, const char *meaning)
{
    text_style style = frame_style(s->page.small, s->page.quiet);
    double w = 1.7 * scene_line_height(s, style) + scene_text_width(s, meaning, style);
    return fmin(w, s->page.width - 2 * s->page.margin);
}

/* What lies in a key's swatch. */
static void put_key(scene *s, const char *meaning, double x, double y, frame_swatch look)
{
    text_style style = frame_style(s->page.small, s->page.quiet);
    double side = scene_line_height(s, style), t = frame_hairline(s), text_x = x + 1.7 * side;
    box swatch = {x + t, y + t, 1.2 * side - 2 * t, side - 2 * t};

    if (look != SWATCH_LINE)
        scene_frame(s, swatch, t, s->page.line);
    if (look == SWATCH_MISSING)
        scene_fill(s, swatch, s->page.missing);
    if (look == SWATCH_LINE)
        scene_fill(s, (box){x + 0.6 * side - t / 2, y, t, side}, s->page.text);
    /* half a point: what was measured to fit must not be elided */
    scene_text(s, scene_elide(s, meaning, style, s->page.width - s->page.margin - text_x + 0.5), style,
               text_x, ALIGN_LOW, y, ALIGN_LOW);
}

double frame_keys(scene *s, const frame_meaning *keys, int n, double name_end, double right, double y, double line)
{
    const page *pg = &s->page;
    double drop = (line - scene_line_height(s, frame_style(pg->small, pg->quiet))) / 2, end = name_end;

    for (int i = 0; i < n; i++) {
        double w = key_width(s, keys[i].text), x = fmax(right - w, pg->margin);
        /* beside the name where there is room, else below */
        if (end > pg->margin && x < end + pg->body) {
            x = end + pg->body;
            if (x + w > pg->width - pg->margin || (i > 0 && n > 1)) {
                x = fmax(right - w, pg->margin);
                y += 1.4 * line;
            }
        } else if (i > 0) {
            y += 1.4 * line;
        }
        put_key(s, keys[i].text, x, y + drop, keys[i].look);
        end = x + w;
    }
    return y;
}
