/* Pages of other colours than white: the inks suit the paper, and all text can be read. */
#include "tests/golden_sample.h"

#include <unistd.h>
#include <zlib.h>

#include "plots/heatmap.h"

static const char *const papers[] = {"#ffffff", "#14171c", "#000000", "#808080", "#fdf6e3", "#0b3d5c", NULL};
static char slide[512];     /* a theme: examples/gallery/slide.theme */

static bool same(rgb a, rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* What a text lies on: a cell of a map, else paper. */
static rgb behind(const scene *s, box at)
{
    double x = at.x + at.w / 2, y = at.y + at.h / 2;

    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind != SCENE_RASTER || x < it->at.x || y < it->at.y || x > it->at.x + it->at.w || y > it->at.y + it->at.h)
            continue;
        int64_t col = (int64_t)((x - it->at.x) / (it->cell_w * s->page.px));
        int64_t row = (int64_t)((y - it->at.y) / (it->cell_h * s->page.px));
        return it->pixels[row * it->cols + col];
    }
    return s->page.paper;
}

/* Text at 4.5 and lines at 3, the least for letters and for graphics (WCAG 2.1, 1.4.3 and 1.4.11). */
static void check_page(const scene *s, const char *what)
{
    const page *pg = &s->page;
    int texts = 0, boxes = 0;

    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind == SCENE_TEXT) {
            double c = rgb_contrast(it->style.colour, behind(s, it->at));
            if (c < 4.5)
                fail_msg("%s: '%s' has a contrast of %.2f", what, it->text, c);
            texts++;
            boxes += it->boxes;
        }
        if (it->kind == SCENE_PATH && rgb_contrast(it->line.colour, pg->paper) < 3 && pg->n_series)
            fail_msg("%s: a line of colour %02x%02x%02x", what, it->line.colour.r, it->line.colour.g, it->line.colour.b);
    }
    assert_true(texts > 8);
    assert_true(boxes > 0); /* the title's last character is in no font */
    assert_true(rgb_contrast(pg->line, pg->paper) >= 3);
    /* a grid stays behind its chart; cells without a value are no paper and no ink */
    assert_in_range(100 * rgb_contrast(pg->grid, pg->paper), 110, 200);
    assert_true(rgb_contrast(pg->missing, pg->paper) >= 1.25);
    assert_true(rgb_contrast(pg->missing, pg->text) >= 2);
}

static void check_all(const char *const *options, bool theme)
{
    char what[80];

    for (const figure *const *f = figures; *f; f++) {
        golden g;
        err e = {0};
        golden_init(&g, *f, options);
        g.s.d.title = "a character of nobody: \uf8ff\ue123";
        g.s.d.caption = "what the caption says";
        if (theme && figure_theme(g.s.p, &e))
            fail_msg("%s", e.msg);
        scene *s = golden_scene(&g);
        snprintf(what, sizeof what, "%s on %s", (*f)->name, theme ? "a slide" : options[1]);
        check_page(s, what);
        scene_free(s);
        golden_free(&g);
    }
}

static void inks_suit_the_paper(void **state)
{
    (void)state;
    for (int i = 0; papers[i]; i++)
        check_all(OPTIONS("paper", papers[i], "caption", "true"), false);
}

static void the_dark_slide_is_legible(void **state)
{
    (void)state;
    check_all(OPTIONS("theme", slide, "caption", "true"), true);
}

/* On white the inks are those of old; what the user names is taken as it is. */
static void inks_of_pages(void **state)
{
    (void)state;
    golden g;
    golden_init(&g, figure_find("layer_curve"), NULL);
    scene *s = golden_scene(&g);
    assert_true(same(s->page.paper, (rgb){255, 255, 255}));
    assert_true(same(s->page.text, (rgb){0x1a, 0x1a, 0x1a}));
    assert_true(same(s->page.quiet, (rgb){0x55, 0x55, 0x55}));
    assert_true(same(s->page.line, (rgb){0x55, 0x55, 0x55}));
    assert_true(same(s->page.missing, (rgb){0xdc, 0xdc, 0xdc}));
    assert_true(same(s->page.grid, (rgb){0xe4, 0xe4, 0xe4}));
    assert_int_equal(s->page.n_series, 0);
    scene_free(s);
    golden_free(&g);
    golden_init(&g, figure_find("layer_curve"), OPTIONS("paper", "#101010", "ink", "#202020", "ink-series", "#303030"));
    s = golden_scene(&g);
    assert_true(same(s->page.text, (rgb){0x20, 0x20, 0x20}));
    assert_true(same(s->page.series[0], (rgb){0x30, 0x30, 0x30}));
    assert_true(rgb_contrast(s->page.quiet, s->page.paper) >= 4.5);
    scene_free(s);
    golden_free(&g);
}

/* Masked cells on a dark page are neither the page nor the dark end of any colour map. */
static void masked_cells_are_seen(void **state)
{
    (void)state;
    static const char *const maps[] = {"viridis", "magma", "cividis", NULL};

    for (int i = 0; maps[i]; i++) {
        golden g;
        palette p;
        golden_init(&g, figure_find("head_map"), OPTIONS("paper", "#14171c", "cmap", maps[i]));
        scene *s = golden_scene(&g);
        assert_int_equal(palette_find(&p, maps[i], NULL), 0);
        rgb none = s->page.missing, zero = palette_at(p, 0);
        assert_true(abs(none.r - zero.r) + abs(none.g - zero.g) + abs(none.b - zero.b) > 90);
        const scene_item *map = NULL;
        for (int64_t k = 0; k < s->n && !map; k++)
            if (s->items[k].kind == SCENE_RASTER)
                map = &s->items[k];
        assert_non_null(map);
        assert_true(same(map->pixels[1], none)); /* query 0 does not see key 1 */
        scene_free(s);
        golden_free(&g);
    }
}

/* --- files --- */

/* All streams of a PDF that are compressed, one after the other. */
static strbuf inflated(const strbuf *pdf)
{
    const char *at = pdf->s, *end = pdf->s + pdf->len;
    strbuf out = {0};
    enum { ROOM = 1 << 22 };
    Bytef *room = malloc(ROOM);

    assert_non_null(room);
    while ((at = memmem(at, (size_t)(end - at), "\nstream\n", 8)) != NULL) {
        uLongf n = ROOM;
        at += 8;
        if (uncompress(room, &n, (const Bytef *)at, (uLong)(end - at)) == Z_OK)
            strbuf_add(&out, room, n);
    }
    free(room);
    return out;
}

static void files_have_the_paper(void **state)
{
    (void)state;
    for (const figure *const *f = figures; *f; f++) {
        for (int dark = 0; dark < 2; dark++) {
            golden g;
            golden_init(&g, *f, dark ? OPTIONS("paper", "#14171c") : NULL);
            rgb want = dark ? (rgb){0x14, 0x17, 0x1c} : (rgb){255, 255, 255};
            strbuf png = golden_file(&g, "png"), svg = golden_file(&g, "svg"), pdf = golden_file(&g, "pdf");
            picture p = read_picture(png.s, png.len);
            for (int i = 0; i < p.w; i++)
                assert_true(same(picture_at(&p, i, 0), want) && same(picture_at(&p, i, p.h - 1), want));
            for (int i = 0; i < p.h; i++)
                assert_true(same(picture_at(&p, 0, i), want) && same(picture_at(&p, p.w - 1, i), want));
            assert_non_null(strstr(svg.s, dark ? "<rect width=\"100%\" height=\"100%\" fill=\"#14171c\"/>"
                                               : "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"));
            strbuf drawn = inflated(&pdf);
            assert_true(drawn.len > 0);
            const char *paper = strstr(strbuf_str(&drawn), "0.0784314 0.0901961 0.109804 rg");
            assert_int_equal(paper != NULL, dark);
            strbuf_free(&drawn);
            free(p.rgb);
            strbuf_free(&png);
            strbuf_free(&svg);
            strbuf_free(&pdf);
            golden_free(&g);
        }
    }
}

/* --- what the user wants more --- */

static rgb highest_cell(const char *const *options)
{
    golden g;
    err e = {0};
    golden_init(&g, figure_find("needle_grid"), options);
    assert_int_equal(figure_theme(g.s.p, &e), 0);
    g.s.cells[0] = 100;
    scene *s = golden_scene(&g);
    rgb c = {0, 0, 0};
    for (int64_t i = s->n - 1; i >= 0; i--)
        if (s->items[i].kind == SCENE_RASTER)
            c = s->items[i].pixels[0];
    scene_free(s);
    golden_free(&g);
    return c;
}

static void safe_colours_stand_above_a_theme(void **state)
{
    (void)state;
    assert_true(same(highest_cell(OPTIONS("theme", slide)), (rgb){0xfc, 0xfd, 0xbf}));                  /* magma */
    assert_true(same(highest_cell(OPTIONS("theme", slide, "safe", "true")), (rgb){0xfe, 0xe8, 0x38})); /* cividis */
    assert_true(same(highest_cell(OPTIONS("theme", slide, "safe", "false")), (rgb){0xfc, 0xfd, 0xbf}));
}

static void wrong_papers(void **state)
{
    (void)state;
    static const char *const bad[] = {"white", "#12345", "#1234567", "", "#12345g", "#000000,#ffffff"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        golden g;
        scene *s = NULL;
        err e = {0};
        golden_init(&g, figure_find("head_map"), OPTIONS("paper", bad[i]));
        assert_int_equal(g.s.f->build(&s, &g.s.d, g.s.p, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "option --paper: "));
        assert_non_null(strstr(e.msg, "is not a colour"));
        golden_free(&g);
    }
}

static int set_up(void **state)
{
    (void)state;
    const char *srcdir = getenv("srcdir");

    snprintf(slide, sizeof slide, "%s/examples/gallery/slide.theme", srcdir ? srcdir : ".");
    return access(slide, R_OK);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inks_suit_the_paper),
        cmocka_unit_test(the_dark_slide_is_legible),
        cmocka_unit_test(inks_of_pages),
        cmocka_unit_test(masked_cells_are_seen),
        cmocka_unit_test(files_have_the_paper),
        cmocka_unit_test(safe_colours_stand_above_a_theme),
        cmocka_unit_test(wrong_papers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
