/* Heat maps in panels: grids of thumbnails, facets, lines of groups, themes, captions; what is where on the page, what
 * colour, and the same in a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "plots/heatmap.h"
#include "plots/panels.h"
#include "tests/figure_sample.h"

static char folder[256];

static int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/attnscope-heat-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* --- samples: values that depend on the place alone --- */

static float value_at(int panel, int64_t r, int64_t c)
{
    uint32_t h = (uint32_t)(r * 2654435761u) ^ (uint32_t)(c * 40503u + 12345u) ^ (uint32_t)panel * 97003u;
    h = (h ^ h >> 13) * 1274126177u;
    double v = ((double)(h >> 8) + 0.5) / (1 << 24);
    return (float)(v * v);
}

enum { MOST = 40 };
typedef struct panel_sample {
    figure_data d;
    figure_panels panels;
    figure_panel panel[MOST];
    float *cells[MOST];
    params *p;
    const figure *f;
} panel_sample;

static const char *const layer_names[] = {"L0", "L1", "L2", "L3", "L4", "L5"};
static const char *const head_names[] = {"H0", "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9"};

/* n panels of rows x cols; columns > 0: a grid. */
static void init(panel_sample *s, const char *recipe, int n, int columns, int64_t rows, int64_t cols, bool causal,
                 const char *const *options)
{
    memset(s, 0, sizeof *s);
    s->f = figure_find(recipe);
    assert_non_null(s->f);
    for (int i = 0; i < n; i++) {
        s->cells[i] = malloc((size_t)(rows * cols) * sizeof(float));
        assert_non_null(s->cells[i]);
        for (int64_t k = 0; k < rows * cols; k++)
            s->cells[i][k] = causal && k % cols > k / cols ? NAN : value_at(i, k / cols, k % cols);
        s->panel[i] = (figure_panel){.m = {.rows = rows, .cols = cols, .cells = s->cells[i]},
                                     .title = columns ? NULL : layer_names[i % 6]};
    }
    s->panels = (figure_panels){.panel = s->panel, .n = n, .columns = columns, .row_names = layer_names,
                                .col_names = head_names, .row_axis = "layer", .col_axis = "head", .empty = "no map stored"};
    s->d = (figure_data){.panels = &s->panels, .title = "a title", .subtitle = "a subtitle", .row_axis = "query token",
                         .col_axis = "key token", .quantity = "attention weight", .unit = "", .lo = 0, .hi = 1, .pool = 1,
                         .caption = "model of a test; 8 tokens; 1 prompt"};
    s->p = sample_params(s->f, options);
}

static void done(panel_sample *s)
{
    params_free(s->p);
    for (int i = 0; i < MOST; i++)
        free(s->cells[i]);
}

static scene *built(const figure *f, const figure_data *d, const params *p)
{
    scene *out = NULL;
    err e = {0};

    if (f->build(&out, d, p, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return out;
}

/* --- looking into a scene --- */

/* The rasters in order; the colour bar is the last. */
static int rasters(const scene_item **out, int most, const scene *s)
{
    int n = 0;

    for (int64_t i = 0; i < s->n && n < most; i++)
        if (s->items[i].kind == SCENE_RASTER)
            out[n++] = &s->items[i];
    return n;
}

static const scene_item *text_with(const scene *s, const char *part)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strstr(s->items[i].text, part))
            return &s->items[i];
    return NULL;
}

static const scene_item *text_is(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return &s->items[i];
    return NULL;
}

/* Nothing leaves the page, no text lies on another. */
static void check_page(const scene *s)
{
    const double slack = 1e-6;

    for (int64_t i = 0; i < s->n; i++) {
        const box *a = &s->items[i].at;
        if (a->x < 0 || a->y < 0 || a->x + a->w > s->page.width || a->y + a->h > s->height)
            fail_msg("'%s' leaves the page", s->items[i].text ? s->items[i].text : "a box");
        for (int64_t j = 0; j < i && s->items[i].kind == SCENE_TEXT; j++) {
            const box *b = &s->items[j].at;
            if (s->items[j].kind == SCENE_TEXT && a->x + a->w > b->x + slack && b->x + b->w > a->x + slack &&
                a->y + a->h > b->y + slack && b->y + b->h > a->y + slack)
                fail_msg("'%s' touches '%s'", s->items[i].text, s->items[j].text);
        }
    }
}

static void same_colour(rgb got, rgb want)
{
    if (got.r != want.r || got.g != want.g || got.b != want.b)
        fail_msg("colour %02x%02x%02x, expected %02x%02x%02x", got.r, got.g, got.b, want.r, want.g, want.b);
}

static rgb map_colour(const char *name, double t)
{
    palette p;
    assert_int_equal(palette_find(&p, name, NULL), 0);
    return palette_at(p, t);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6;
}

/* --- thumbnails --- */

static void thumbnails_stand_in_rows_and_columns(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "head_grid", 12, 4, 8, 8, true, OPTIONS("norm", "log"));
    s.panel[5].m.cells = NULL;
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 12); /* 11 maps and the bar */
    const scene_item *at[12];
    for (int i = 0, k = 0; i < 12; i++)
        at[i] = i == 5 ? NULL : r[k++];
    double pitch = at[1]->at.x - at[0]->at.x;
    for (int i = 0; i < 12; i++) {
        if (!at[i])
            continue;
        assert_int_equal(at[i]->rows, 8);
        assert_int_equal(at[i]->cell_w, at[0]->cell_w);
        assert_int_equal(at[i]->cell_h, at[0]->cell_w);
        assert_true(near(at[i]->at.x, at[0]->at.x + i % 4 * pitch));
        assert_true(near(at[i]->at.y, at[0]->at.y + i / 4 * pitch));
        /* whole device pixels */
        assert_true(near(at[i]->at.x / pic->page.px, round(at[i]->at.x / pic->page.px)));
        for (int64_t k = 0; k < 64; k++) {
            float v = s.cells[i][k];
            same_colour(at[i]->pixels[k], isnan(v) ? pic->page.missing
                                          : map_colour("viridis", v <= 1e-4f ? 0 : log10((double)v / 1e-4) / 4));
        }
    }
    /* labels at the sides alone, in the middle of what they name */
    for (int i = 0; i < 3; i++) {
        const scene_item *label = text_is(pic, layer_names[i]);
        assert_non_null(label);
        assert_true(label->at.x + label->at.w < at[0]->at.x);
        assert_true(near(label->at.y + label->at.h / 2, at[4 * i]->at.y + at[0]->at.h / 2));
    }
    for (int i = 0; i < 4; i++) {
        const scene_item *label = text_is(pic, head_names[i]);
        assert_non_null(label);
        assert_true(label->at.y > at[8]->at.y + at[0]->at.h);
        assert_true(near(label->at.x + label->at.w / 2, at[8 + i]->at.x + at[0]->at.w / 2));
    }
    assert_non_null(text_with(pic, "not visible"));
    assert_non_null(text_with(pic, "no map stored"));
    assert_non_null(text_with(pic, "log10, floor 1e-4"));
    scene_free(pic);
    done(&s);
}

/* Cells of thumbnails are means, or maxima, of the same blocks in all maps, and the bar says so. */
static void thumbnails_are_pooled(void **state)
{
    (void)state;
    static const char *const how[] = {"mean", "max"};
    enum { N = 300, COLUMNS = 10 };

    for (int k = 0; k < 2; k++) {
        panel_sample s;
        const scene_item *r[MOST];
        char label[64];
        init(&s, "head_grid", 2 * COLUMNS, COLUMNS, N, N, true, OPTIONS("pooling", how[k], "width", "single"));
        scene *pic = built(s.f, &s.d, s.p);
        check_page(pic);
        assert_int_equal(rasters(r, MOST, pic), 2 * COLUMNS + 1);
        int64_t cells = r[0]->rows, pool = (N + cells - 1) / cells;
        assert_true(pool > 1 && (N + pool - 1) / pool == cells);
        snprintf(label, sizeof label, "%s over %lld \xc3\x97 %lld cells", how[k], (long long)pool, (long long)pool);
        assert_non_null(text_with(pic, label));
        for (int i = 0; i < 2 * COLUMNS; i++) {
            for (int64_t b = 0; b < cells * cells; b++) {
                double sum = 0, most = -1;
                int n = 0;
                for (int64_t y = b / cells * pool; y < (b / cells + 1) * pool && y < N; y++)
                    for (int64_t x = b % cells * pool; x < (b % cells + 1) * pool && x < N; x++) {
                        double v = (double)s.cells[i][y * N + x];
                        if (isnan(v))
                            continue;
                        sum += v;
                        most = v > most ? v : most;
                        n++;
                    }
                float v = (float)(k ? most : sum / n);
                same_colour(r[i]->pixels[b], n ? map_colour("viridis", (double)v) : pic->page.missing);
            }
        }
        scene_free(pic);
        done(&s);
    }
}

/* What a caller may pool beforehand is what the page shows. */
static void sides_are_known_before(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];
    int64_t side = 0;
    err e = {0};

    init(&s, "head_grid", 20, 10, 500, 500, true, OPTIONS("width", "double"));
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), 0);
    scene *pic = built(s.f, &s.d, s.p);
    rasters(r, MOST, pic);
    int64_t pool = (500 - 1) / side + 1;
    assert_int_equal(r[0]->rows, (500 - 1) / pool + 1);
    scene_free(pic);
    s.panels.columns = THUMBS_MOST + 1;
    s.panels.n = THUMBS_MOST + 1;
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "at most 30 x 30"));
    s.panels.columns = 10;
    s.panels.n = 20;
    done(&s);
    init(&s, "head_grid", 10, 10, 4, 4, true, OPTIONS("width", "20"));
    assert_int_equal(thumbs_side(&side, &s.panels, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "has no room"));
    done(&s);
}

static void no_map_at_all(void **state)
{
    (void)state;
    panel_sample s;
    scene *pic = NULL;
    err e = {0};

    init(&s, "head_grid", 2, 2, 4, 4, true, NULL);
    s.panel[0].m.cells = s.panel[1].m.cells = NULL;
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_FAILED);
    assert_non_null(strstr(e.msg, "nothing to draw"));
    done(&s);
}

/* --- facets --- */

static void facets_share_one_scale(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "score_grid", 2, 0, 4, 8, false, OPTIONS("annotate", "false", "width", "double"));
    s.d.lo = s.d.hi = NAN;
    double lo = 1e9, hi = -1e9;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 32; k++) {
            s.cells[i][k] *= i ? 3 : 1;
            lo = fmin(lo, (double)s.cells[i][k]);
            hi = fmax(hi, (double)s.cells[i][k]);
        }
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 3);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 32; k++)
            same_colour(r[i]->pixels[k], map_colour("viridis", ((double)s.cells[i][k] - lo) / (hi - lo)));
        const scene_item *title = text_is(pic, layer_names[i]);
        assert_non_null(title);
        assert_true(title->at.y + title->at.h <= r[i]->at.y);
        assert_true(near(title->at.x + title->at.w / 2, r[i]->at.x + r[i]->at.w / 2));
    }
    assert_true(near(r[0]->at.y, r[1]->at.y));
    assert_int_equal(r[0]->cell_w, r[1]->cell_w);
    assert_int_equal(r[0]->cell_h, r[1]->cell_h);
    scene_free(pic);
    done(&s);
}

/* Maps of different lengths: the same blocks, aligned, one statement on the bar. */
static void facets_pool_alike(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];
    char label[64];

    init(&s, "head_map", 3, 0, 700, 700, true, OPTIONS("width", "double"));
    s.panel[1].m.rows = s.panel[1].m.cols = 300;
    for (int64_t k = 0; k < 300 * 300; k++)
        s.cells[1][k] = k % 300 > k / 300 ? NAN : value_at(1, k / 300, k % 300);
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 4);
    int64_t pool = (700 - 1) / r[0]->rows + 1;
    assert_true(pool > 1);
    assert_int_equal(r[0]->rows, (700 - 1) / pool + 1);
    assert_int_equal(r[1]->rows, (300 - 1) / pool + 1);
    snprintf(label, sizeof label, "mean over %lld \xc3\x97 %lld cells", (long long)pool, (long long)pool);
    assert_non_null(text_with(pic, label));
    assert_true(near(r[0]->at.y, r[1]->at.y) && near(r[0]->at.y, r[2]->at.y));
    assert_true(near(r[2]->at.x - r[1]->at.x, r[1]->at.x - r[0]->at.x));
    scene_free(pic);
    done(&s);
}

static void facets_wrap(void **state)
{
    (void)state;
    panel_sample s;
    const scene_item *r[MOST];

    init(&s, "head_map", 6, 0, 10, 10, true, OPTIONS("width", "single"));
    scene *pic = built(s.f, &s.d, s.p);
    check_page(pic);
    assert_int_equal(rasters(r, MOST, pic), 7);
    assert_true(near(r[0]->at.y, r[1]->at.y));
    assert_true(near(r[0]->at.x, r[2]->at.x));
    assert_true(r[2]->at.y > r[0]->at.y + r[0]->at.h);
    scene_free(pic);
    err e = {0};
    s.panels.n = PANELS_MOST + 1;
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "at most 36"));
    s.panels.n = 6;
    done(&s);
}

/* --- lines, signs, captions --- */

static void groups_are_parted_by_lines(void **state)
{
    (void)state;
    static const int64_t starts[] = {2, 6};
    sample s;
    int found = 0;

    sample_init(&s, "score_grid", 4, 8, false, false, OPTIONS("annotate", "false"));
    s.d.groups = (figure_groups){.col_starts = starts, .n_col = 2, .meaning = "between groups"};
    scene *pic = built(s.f, &s.d, s.p);
    const scene_item *map = NULL;
    assert_int_equal(rasters(&map, 1, pic), 1);
    double w = map->cell_w * pic->page.px;
    for (int64_t i = 0; i < pic->n; i++) {
        const scene_item *it = &pic->items[i];
        bool line = it->kind == SCENE_FILL && near(it->at.h, map->at.h) && it->at.w < 0.3 * w &&
                    it->colour.r == pic->page.text.r;
        for (int k = 0; line && k < 2; k++)
            found += fabs(it->at.x + it->at.w / 2 - map->at.x - (double)starts[k] * w) <= pic->page.px;
    }
    assert_int_equal(found, 2);
    assert_non_null(text_with(pic, "between groups"));
    scene_free(pic);
    sample_free(&s);
}

/* Signed values without a chosen map: 0 in the middle colour, whatever the limits are. */
static void signed_values_are_centred(void **state)
{
    (void)state;
    static const char *const limits[] = {NULL, "-1,3"};

    for (int k = 0; k < 2; k++) {
        sample s;
        const scene_item *map = NULL;
        sample_init(&s, "score_grid", 1, 4, false, false,
                    limits[k] ? OPTIONS("annotate", "false", "limits", limits[k], "cmap", "RdBu_r")
                              : OPTIONS("annotate", "false"));
        const float v[] = {-1, 0, 1, 3};
        memcpy(s.cells, v, sizeof v);
        s.d.lo = s.d.hi = NAN;
        scene *pic = built(s.f, &s.d, s.p);
        assert_int_equal(rasters(&map, 1, pic), 1);
        for (int i = 0; i < 4; i++)
            same_colour(map->pixels[i], map_colour("RdBu_r", 0.5 + (double)v[i] / 6));
        same_colour(map->pixels[1], (rgb){0xf7, 0xf7, 0xf7});
        scene_free(pic);
        sample_free(&s);
    }
}

static void captions_are_asked_for(void **state)
{
    (void)state;
    panel_sample s;

    init(&s, "head_grid", 4, 2, 6, 6, true, NULL);
    scene *pic = built(s.f, &s.d, s.p);
    assert_null(text_with(pic, "model of a test"));
    scene_free(pic);
    done(&s);
    init(&s, "head_grid", 4, 2, 6, 6, true, OPTIONS("caption", "true", "width", "double"));
    pic = built(s.f, &s.d, s.p);
    check_page(pic);
    const scene_item *caption = text_with(pic, "model of a test; 8 tokens; 1 prompt");
    assert_non_null(caption);
    assert_non_null(text_with(pic, "colours: attention weight"));
    for (int64_t i = 0; i < pic->n; i++) /* below everything else */
        assert_true(pic->items[i].kind == SCENE_TEXT || pic->items[i].at.y + pic->items[i].at.h <= caption->at.y);
    scene_free(pic);
    done(&s);
}

/* --- themes --- */

static void write_theme(char *path, size_t size, const char *text)
{
    snprintf(path, size, "%s/theme", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void themes_set_what_is_not_given(void **state)
{
    (void)state;
    char path[300];
    sample s;
    err e = {0};

    write_theme(path, sizeof path, "# a house style\n\n cmap = magma\r\nwidth=120\ndpi = 150\nfont-size = \"9\"\n"
                "ink = #102030\nink-missing = '#ffeedd'\ntitle = no\n");
    sample_init(&s, "head_map", 6, 6, true, false, OPTIONS("theme", path, "dpi", "200"));
    assert_int_equal(figure_theme(s.p, &e), 0);
    scene *pic = built(s.f, &s.d, s.p);
    const scene_item *map = NULL;
    rasters(&map, 1, pic);
    assert_true(near(pic->page.dpi, 200)); /* the option wins */
    assert_true(fabs(pic->page.width / POINTS_PER_MM - 120) < 0.2);
    assert_true(near(pic->page.body, 9));
    assert_null(text_with(pic, "L1H3"));
    same_colour(map->pixels[6], map_colour("magma", (double)s.cells[6]));
    same_colour(map->pixels[1], (rgb){0xff, 0xee, 0xdd});
    same_colour(text_is(pic, "query token")->style.colour, (rgb){0x10, 0x20, 0x30});
    scene_free(pic);
    sample_free(&s);
    unlink(path);
}

static void wrong_themes(void **state)
{
    (void)state;
    static const struct { const char *text, *msg, *hint; } cases[] = {
        {"cmap = magma\ncolormap = x\n", "line 2: 'colormap' is no option of figures", "cmap"},
        {"cmpa = magma\n", "line 1: 'cmpa' is no option", "did you mean cmap?"},
        {"\n\ndpi = many\n", "line 3", "--dpi"},
        {"dpi = 3\n", "line 1", NULL},
        {"cmap = jet\n", "line 1", NULL},
        {"just words\n", "no line of the form option = value", "cmap = magma"},
        {"dpi = 100\ndpi = 200\n", "line 2: dpi stands twice", NULL},
        {"font =\n", "font has no value", NULL},
        {"ink = red\n", "line 1: 'red' is not a colour", "hexadecimal"},
        {"theme = other\n", "'theme' is no option of figures", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[300];
        params *p;
        err e = {0};
        write_theme(path, sizeof path, cases[i].text);
        p = sample_params(figure_find("head_map"), OPTIONS("theme", path));
        assert_int_equal(figure_theme(p, &e), ERR_USAGE);
        if (!strstr(e.msg, cases[i].msg) || !strstr(e.msg, path) || (cases[i].hint && !strstr(e.hint, cases[i].hint)))
            fail_msg("case %zu: %s (%s)", i, e.msg, e.hint);
        params_free(p);
        unlink(path);
    }
    params *p = sample_params(figure_find("head_map"), OPTIONS("theme", "/no/such/theme"));
    err e = {0};
    assert_int_not_equal(figure_theme(p, &e), 0);
    assert_non_null(strstr(e.msg, "/no/such/theme"));
    params_free(p);
}

/* --- files, rows, terminals --- */

static char *file_bytes(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *b = malloc(*n + 1);
    assert_non_null(b);
    assert_int_equal(fread(b, 1, *n, f), *n);
    fclose(f);
    return b;
}

static void redrawn_files_are_the_same(void **state)
{
    (void)state;
    static const char *const extensions[] = {"png", "svg", "pdf"};
    static const char *const recipes[] = {"head_grid", "head_map"};

    for (int i = 0; i < 6; i++) {
        panel_sample s;
        char path[2][300];
        char *bytes[2];
        size_t n[2];
        err e = {0};
        init(&s, recipes[i / 3], 4, i / 3 ? 0 : 2, 12, 12, true, OPTIONS("caption", "true"));
        for (int k = 0; k < 2; k++) {
            snprintf(path[k], sizeof path[k], "%s/%d.%s", folder, k, extensions[i % 3]);
            assert_int_equal(figure_draw(s.f, &s.d, s.p, path[k], &e), 0);
            bytes[k] = file_bytes(path[k], &n[k]);
            unlink(path[k]);
        }
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(bytes[0], bytes[1], n[0]);
        free(bytes[0]);
        free(bytes[1]);
        done(&s);
    }
}

/* Rows that come one by one give the grid of the whole; a map pooled beforehand gives the same page. */
static void maps_may_come_row_by_row(void **state)
{
    (void)state;
    enum { N = 1500 };
    sample s;
    int64_t block = 0;
    grid_feed feed;
    grid g, whole;
    const scene_item *a = NULL, *b = NULL;
    err e = {0};

    sample_init(&s, "head_map", N, N, true, false, OPTIONS("width", "single", "dpi", "150"));
    assert_int_equal(head_map_block(&block, N, N, 1, s.p, &e), 0);
    assert_true(block > 1);
    assert_int_equal(grid_feed_begin(&feed, N, N, block, block, POOL_MEAN, &e), 0);
    for (int64_t r = 0; r < N; r++)
        grid_feed_row(&feed, s.cells + r * N);
    assert_int_equal(grid_feed_end(&g, &feed, &e), 0);
    grid_feed_free(&feed);
    assert_int_equal(grid_pool(&whole, &s.d.m, block, block, POOL_MEAN, &e), 0);
    assert_memory_equal(g.cells, whole.cells, (size_t)(g.rows * g.cols) * sizeof(float));
    assert_int_equal(g.n_finite, whole.n_finite);
    grid_free(&whole);

    scene *direct = built(s.f, &s.d, s.p);
    figure_data pooled = s.d;
    pooled.m = (figure_matrix){.rows = g.rows, .cols = g.cols, .cells = g.cells};
    pooled.pool = block;
    pooled.pooling = "mean";
    scene *before = built(s.f, &pooled, s.p);
    rasters(&a, 1, direct);
    rasters(&b, 1, before);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->cell_w, b->cell_w);
    assert_true(near(a->at.x, b->at.x) && near(a->at.y, b->at.y));
    assert_memory_equal(a->pixels, b->pixels, (size_t)(a->rows * a->cols) * sizeof(rgb));
    const scene_item *label = text_with(direct, "mean over");
    assert_non_null(label);
    assert_non_null(text_is(before, label->text));
    scene_free(direct);
    scene_free(before);
    grid_free(&g);
    sample_free(&s);
}

static void check_lines(const char *text, int columns)
{
    int used = 0;

    for (const char *c = text; *c; c++) {
        assert_true(*c == '\n' || (*c >= 32 && *c < 127));
        used = *c == '\n' ? 0 : used + 1;
        assert_true(used <= columns);
    }
}

static void panels_in_a_terminal(void **state)
{
    (void)state;
    panel_sample s;
    char *text = NULL;
    err e = {0};

    for (int columns = 30; columns <= 160; columns += 17) {
        init(&s, "head_grid", 12, 4, 30, 30, true, NULL);
        assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_ASCII, (view_size){columns, 0}, &text, &e), 0);
        check_lines(text, columns);
        for (int i = 0; i < 3; i++)
            assert_non_null(strstr(text, layer_names[i]));
        assert_non_null(strstr(text, "H0"));
        if (columns > 40)
            assert_non_null(strstr(text, "H3"));
        assert_non_null(strstr(text, "down: layer, across: head"));
        free(text);
        assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_TRUE, (view_size){columns, 0}, &text, &e), 0);
        assert_non_null(strstr(text, "\x1b["));
        free(text);
        done(&s);
    }
    init(&s, "score_grid", 2, 0, 4, 8, false, NULL);
    assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_ASCII, (view_size){80, 0}, &text, &e), 0);
    check_lines(text, 80);
    const char *first = strstr(text, "L0\n"), *second = strstr(text, "L1\n");
    assert_true(first && second && first < second);
    free(text);
    done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thumbnails_stand_in_rows_and_columns),
        cmocka_unit_test(thumbnails_are_pooled),
        cmocka_unit_test(sides_are_known_before),
        cmocka_unit_test(no_map_at_all),
        cmocka_unit_test(facets_share_one_scale),
        cmocka_unit_test(facets_pool_alike),
        cmocka_unit_test(facets_wrap),
        cmocka_unit_test(groups_are_parted_by_lines),
        cmocka_unit_test(signed_values_are_centred),
        cmocka_unit_test(captions_are_asked_for),
        cmocka_unit_test(themes_set_what_is_not_given),
        cmocka_unit_test(wrong_themes),
        cmocka_unit_test(redrawn_files_are_the_same),
        cmocka_unit_test(maps_may_come_row_by_row),
        cmocka_unit_test(panels_in_a_terminal),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
