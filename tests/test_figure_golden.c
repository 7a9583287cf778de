/* Figures as pictures.  Every recipe is drawn from a sample; where fonts and libraries are those that tests/figures was made
 * with, its pixels are exactly those; everywhere the map or plot looks like the stored one, text aside.  tests/figures/refresh
 * draws them anew. */
#include "tests/golden_crops.h"

#include <pango/pangocairo.h>
#include <unistd.h>
#include <zlib.h>

#include "base/hash.h"
#include "plots/frame.h"
#include "plots/writer.h"

static char folder[512];    /* tests/figures */
static const char *refresh; /* a folder to write to instead */

/* --- what the machine draws with --- */

/* Versions, and the font by the widths of a line in it. */
static void describe_machine(char out[160])
{
    golden g;
    text_style plain = {.size = 100}, bold = {.size = 100, .bold = true};
    const char *letters = "The quick brown fox 0123456789 (%).,:;+-";

    golden_init(&g, figure_find("head_map"), NULL);
    scene *s = golden_scene(&g);
    snprintf(out, 160, "cairo %s, pango %s, libpng %s, %s %.2f %.2f", cairo_version_string(), pango_version_string(),
             png_get_libpng_ver(NULL), s->font, scene_text_width(s, letters, plain), scene_text_width(s, letters, bold));
    scene_free(s);
    golden_free(&g);
}

static void path_of(char out[700], const char *name, const char *extension)
{
    snprintf(out, 700, "%s/%s%s", refresh ? refresh : folder, name, extension);
}

/* The line of hashes.txt that begins with a word; "" where there is none. */
static void stored_line(char out[256], const char *word)
{
    char path[700], line[256];
    size_t n = strlen(word);

    path_of(path, "hashes", ".txt");
    FILE *f = fopen(path, "r");
    *out = '\0';
    if (!f)
        fail_msg("%s is missing", path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, word, n) == 0 && line[n] == ' ')
            strcpy(out, line + n + 1);
    }
    fclose(f);
}

/* --- stored pictures --- */

static void crops_row(const void *ud, int y, uint8_t *pixels)
{
    const crops *c = ud;
    memcpy(pixels, c->rgb[y / BLOCKS] + 3 * BLOCKS * (y % BLOCKS), 3 * BLOCKS);
}

static void store_crops(const crops *c, const char *name)
{
    char path[700];
    strbuf png = {0};
    err e = {0};

    path_of(path, name, ".png");
    assert_int_equal(png_encode(&png, BLOCKS, BLOCKS * c->n, crops_row, c, 0, NULL, &e), 0);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(png.s, 1, png.len, f), png.len);
    assert_int_equal(fclose(f), 0);
    strbuf_free(&png);
}

static void stored_crops(crops *c, const char *name)
{
    char path[700];
    uint8_t bytes[1 << 16];

    path_of(path, name, ".png");
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is missing", path);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    picture p = read_picture(bytes, n);
    assert_int_equal(p.w, BLOCKS);
    c->n = p.h / BLOCKS;
    assert_in_range(c->n, 1, MOST_CROPS);
    memcpy(c->rgb, p.rgb, (size_t)c->n * CROP_BYTES);
    free(p.rgb);
}

/* --- golden pictures --- */

static picture drawn(const golden *g)
{
    strbuf png = golden_file(g, "png");
    picture p = read_picture(png.s, png.len);

    strbuf_free(&png);
    return p;
}

static void hash_of(sha256_hex out, const picture *p)
{
    sha256 *h = NULL;
    char size[40];
    err e = {0};
    int n = snprintf(size, sizeof size, "%d x %d\n", p->w, p->h);

    assert_int_equal(sha256_new(&h, &e), 0);
    assert_int_equal(sha256_add(h, size, (size_t)n, &e), 0);
    assert_int_equal(sha256_add(h, p->rgb, 3 * (size_t)p->w * (size_t)p->h, &e), 0);
    assert_int_equal(sha256_done(h, out, &e), 0);
}

static void store_all(void)
{
    char path[700], machine[160];

    path_of(path, "hashes", ".txt");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    describe_machine(machine);
    fprintf(f, "machine %s\n", machine);
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        crops c;
        sha256_hex hash;
        golden_init(&g, *x, NULL);
        picture p = drawn(&g);
        take_crops(&c, &g, &p);
        store_crops(&c, (*x)->name);
        hash_of(hash, &p);
        fprintf(f, "%s %s\n", (*x)->name, hash);
        free(p.rgb);
        golden_free(&g);
    }
    assert_int_equal(fclose(f), 0);
}

/* The same pixels where the same libraries and fonts draw. */
static void pixels(void **state)
{
    (void)state;
    char here[160], there[256], want[256];

    if (refresh)
        store_all();
    describe_machine(here);
    stored_line(there, "machine");
    if (strcmp(here, there) != 0) {
        fprintf(stderr, "pixels are not compared: they were drawn with %s, here is %s\n", there, here);
        skip();
    }
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        sha256_hex hash;
        golden_init(&g, *x, NULL);
        picture p = drawn(&g);
        hash_of(hash, &p);
        stored_line(want, (*x)->name);
        if (strcmp(hash, want) != 0)
            fail_msg("%s looks otherwise than before (%s, not %s): look at it, then run tests/figures/refresh", (*x)->name,
                     hash, want);
        free(p.rgb);
        golden_free(&g);
    }
}

/* Whatever the fonts, maps and plots look as they did. */
static void looks(void **state)
{
    (void)state;
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        crops now, before;
        double mean, clear;
        int blocks;
        golden_init(&g, *x, NULL);
        picture p = drawn(&g);
        take_crops(&now, &g, &p);
        stored_crops(&before, (*x)->name);
        compare(&mean, &clear, &blocks, &now, &before);
        if (!alike(&now, &before))
            fail_msg("%s: blocks differ by %.1f of 255, %.0f %% clearly (%d blocks)", (*x)->name, mean, 100 * clear, blocks);
        free(p.rgb);
        golden_free(&g);
    }
}

/* In another font of other widths they still do. */
static void looks_in_other_fonts(void **state)
{
    (void)state;
    static const char *const families[] = {"DejaVu Serif", "Liberation Sans", "Liberation Serif"};
    int tried = 0;

    for (size_t k = 0; k < sizeof families / sizeof *families; k++) {
        for (const figure *const *x = figures; *x; x++) {
            golden g;
            crops now, before;
            scene *s = NULL;
            golden_init(&g, *x, OPTIONS("font", families[k]));
            bool there = (*x)->build(&s, &g.s.d, g.s.p, NULL) == 0;
            if (there) {
                scene_free(s);
                picture p = drawn(&g);
                take_crops(&now, &g, &p);
                stored_crops(&before, (*x)->name);
                if (!alike(&now, &before)) {
                    double mean, clear;
                    int blocks;
                    compare(&mean, &clear, &blocks, &now, &before);
                    fail_msg("%s in %s: blocks differ by %.1f of 255, %.0f %% clearly (%d blocks)", (*x)->name, families[k],
                             mean, 100 * clear, blocks);
                }
                free(p.rgb);
                tried++;
            }
            golden_free(&g);
        }
    }
    if (!tried) {
        fprintf(stderr, "none of DejaVu Serif, Liberation Sans and Liberation Serif is installed\n");
        skip();
    }
}

/* The comparison can fail: other colours, other values, a map upside down. */
static void differences_are_seen(void **state)
{
    (void)state;
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        crops now, before;
        golden_init(&g, *x, NULL);
        stored_crops(&before, (*x)->name);
        if (is_chart(&g)) {
            for (int k = 0; k < GOLDEN_POINTS; k++)
                for (int i = 0; i < GOLDEN_SERIES; i++)
                    g.y[i][k] = 1.5 + 0.1 * (k % 5) - g.y[i][k] / 4;
        } else {
            int64_t n = g.s.d.panels ? 14 * 14 : g.s.d.m.rows * g.s.d.m.cols;
            for (int64_t i = 0; i < n; i++)
                g.s.cells[i] = (g.s.d.hi > 2 ? 100 : 1) - g.s.cells[i];
        }
        picture p = drawn(&g);
        take_crops(&now, &g, &p);
        if (alike(&now, &before))
            fail_msg("%s: other values look the same", (*x)->name);
        free(p.rgb);
        golden_free(&g);
    }
}

/* --- what is where --- */

static bool text_contains(const scene *s, const char *part)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strstr(s->items[i].text, part))
            return true;
    return false;
}

/* Nothing leaves the page, no text lies on another, none is too small to read. */
static void check_texts(const scene *s, const char *name)
{
    const double slack = 1e-6;

    for (int64_t i = 0; i < s->n; i++) {
        const box *a = &s->items[i].at;
        if (a->x < -slack || a->y < -slack || a->x + a->w > s->page.width + slack || a->y + a->h > s->height + slack)
            fail_msg("%s: '%s' leaves the page", name, s->items[i].text ? s->items[i].text : "a shape");
        if (s->items[i].kind != SCENE_TEXT)
            continue;
        if (s->items[i].style.size < PAGE_MIN_FONT)
            fail_msg("%s: '%s' is set in %g points", name, s->items[i].text, s->items[i].style.size);
        for (int64_t j = 0; j < i; j++) {
            const box *b = &s->items[j].at;
            if (s->items[j].kind == SCENE_TEXT && a->x + a->w > b->x + slack && b->x + b->w > a->x + slack &&
                a->y + a->h > b->y + slack && b->y + b->h > a->y + slack)
                fail_msg("%s: '%s' touches '%s'", name, s->items[i].text, s->items[j].text);
        }
    }
}

static void pages(void **state)
{
    (void)state;
    static const char *const widths[] = {"single", "double", "slide"};

    for (const figure *const *x = figures; *x; x++) {
        for (int w = 0; w < 3; w++) {
            golden g;
            golden_init(&g, *x, OPTIONS("width", widths[w], "caption", "true"));
            scene *s = golden_scene(&g);
            check_texts(s, (*x)->name);
            if (!text_contains(s, g.s.d.quantity))
                fail_msg("%s does not say what it shows", (*x)->name);
            if (!text_contains(s, "L1H3"))
                fail_msg("%s has no title", (*x)->name);
            if (g.s.d.col_axis && !g.s.d.panels && !text_contains(s, g.s.d.col_axis))
                fail_msg("%s does not name its axis", (*x)->name);
            scene_free(s);
            golden_free(&g);
        }
    }
}

/* The bar states what was done to the values. */
static void bars_state_transforms(void **state)
{
    (void)state;
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        golden_init(&g, *x, OPTIONS("norm", "log", "floor", "1e-3"));
        if (!is_chart(&g)) {
            scene *s = golden_scene(&g);
            if (!text_contains(s, "log10, floor 0.001"))
                fail_msg("%s: the bar does not state its norm", (*x)->name);
            scene_free(s);
            params_free(g.s.p);
            g.s.p = sample_params(*x, OPTIONS("limits", "0.1,0.7"));
            s = golden_scene(&g);
            if (!text_contains(s, "limits 0.1 to 0.7"))
                fail_msg("%s: the bar does not state its limits", (*x)->name);
            scene_free(s);
        }
        golden_free(&g);
    }
}

/* --- colours of cells in all formats --- */

static const scene_item *first_raster(const scene *s)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_RASTER)
            return &s->items[i];
    return NULL;
}

/* A pixel of cell (r, c) of the first map: near its corner, where no value is written, off the lines between cells. */
static int inside(int cell_px)
{
    return cell_px > 16 ? 6 : cell_px / 2;
}

static rgb wanted(const golden *g, float v)
{
    const char *map = strcmp(g->s.f->name, "needle_grid") == 0 ? "needle" : "viridis";
    palette p;

    assert_int_equal(palette_find(&p, map, NULL), 0);
    return isnan(v) ? (rgb){0xdc, 0xdc, 0xdc} : palette_at(p, (double)v / g->s.d.hi);
}

static void check_cell(const golden *g, const picture *p, int x, int y, int64_t at, const char *format)
{
    rgb got = picture_at(p, x, y), want = wanted(g, g->s.cells[at]);

    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s, %s: cell %d is %02x%02x%02x, not %02x%02x%02x", g->s.f->name, format, (int)at, got.r, got.g, got.b,
                 want.r, want.g, want.b);
}

static uint8_t base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);

    assert_non_null(at);
    return (uint8_t)(at - digits);
}

static picture svg_raster(const strbuf *svg)
{
    const char *at = strstr(svg->s, "base64,"), *end;
    strbuf bytes = {0};

    assert_non_null(at);
    at += strlen("base64,");
    end = strchr(at, '"');
    for (; at + 4 <= end; at += 4) {
        uint32_t v = (uint32_t)base64_digit(at[0]) << 18 | (uint32_t)base64_digit(at[1]) << 12 |
                     (at[2] == '=' ? 0 : (uint32_t)base64_digit(at[2]) << 6) | (at[3] == '=' ? 0 : base64_digit(at[3]));
        uint8_t three[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        strbuf_add(&bytes, three, at[2] == '=' ? 1 : at[3] == '=' ? 2 : 3);
    }
    picture p = read_picture(bytes.s, bytes.len);
    strbuf_free(&bytes);
    return p;
}

static const char *find(const char *from, const char *end, const char *word)
{
    return memmem(from, (size_t)(end - from), word, strlen(word));
}

/* The w x h image of a PDF. */
static picture pdf_raster(const strbuf *pdf, int w, int h)
{
    const char *at = pdf->s, *end = pdf->s + pdf->len;
    picture p = {w, h, malloc((size_t)w * (size_t)h * 3)};
    char width[32], height[32];

    assert_non_null(p.rgb);
    snprintf(width, sizeof width, "/Width %d\n", w);
    snprintf(height, sizeof height, "/Height %d\n", h);
    while ((at = find(at, end, "/Subtype /Image")) != NULL) {
        const char *data = find(at, end, "stream\n");
        assert_non_null(data);
        if (find(at, data, width) && find(at, data, height)) {
            uLongf n = (uLongf)w * (uLongf)h * 3;
            data += strlen("stream\n");
            assert_int_equal(uncompress(p.rgb, &n, (const Bytef *)data, (uLong)(end - data)), Z_OK);
            assert_int_equal(n, (uLongf)w * (uLongf)h * 3);
            return p;
        }
        at = data;
    }
    fail_msg("no image of %d x %d pixels", w, h);
    return p;
}

static void cells_have_their_colours(void **state)
{
    (void)state;
    for (const figure *const *x = figures; *x; x++) {
        golden g;
        golden_init(&g, *x, NULL);
        if (!is_chart(&g)) {
            scene *s = golden_scene(&g);
            const scene_item *map = first_raster(s);
            int64_t n = map->rows * map->cols, masked_cells = 0;
            int x0 = (int)lround(map->at.x / s->page.px), y0 = (int)lround(map->at.y / s->page.px);
            strbuf svg = golden_file(&g, "svg"), pdf = golden_file(&g, "pdf");
            picture png = drawn(&g), in_svg = svg_raster(&svg);
            picture in_pdf = pdf_raster(&pdf, (int)map->cols * map->cell_w, (int)map->rows * map->cell_h);
            assert_int_equal(in_svg.w, in_pdf.w);
            assert_int_equal(in_svg.h, in_pdf.h);
            for (int64_t i = 0; i < n; i++) {
                int px = (int)(i % map->cols) * map->cell_w + inside(map->cell_w);
                int py = (int)(i / map->cols) * map->cell_h + inside(map->cell_h);
                check_cell(&g, &png, x0 + px, y0 + py, i, "PNG");
                check_cell(&g, &in_svg, px, py, i, "SVG");
                check_cell(&g, &in_pdf, px, py, i, "PDF");
                masked_cells += isnan(g.s.cells[i]);
            }
            rgb none = wanted(&g, NAN), zero = wanted(&g, 0);
            assert_true(abs(none.r - zero.r) + abs(none.g - zero.g) + abs(none.b - zero.b) > 90);
            assert_true(!!masked_cells == text_contains(s, strcmp((*x)->name, "score_grid") == 0 ? "no value" : "not visible"));
            free(png.rgb);
            free(in_svg.rgb);
            free(in_pdf.rgb);
            strbuf_free(&svg);
            strbuf_free(&pdf);
            scene_free(s);
        }
        golden_free(&g);
    }
}

static int set_up(void **state)
{
    (void)state;
    const char *srcdir = getenv("srcdir");

    refresh = getenv("ATTNSCOPE_REFRESH_FIGURES");
    snprintf(folder, sizeof folder, "%s/tests/figures", srcdir ? srcdir : ".");
    return 0;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels),
        cmocka_unit_test(looks),
        cmocka_unit_test(looks_in_other_fonts),
        cmocka_unit_test(differences_are_seen),
        cmocka_unit_test(pages),
        cmocka_unit_test(bars_state_transforms),
        cmocka_unit_test(cells_have_their_colours),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
