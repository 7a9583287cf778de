/* Heat maps: lines of groups, signed values, captions, themes, files once more, and panels in a terminal. */
#include <stdio.h>
#include <unistd.h>

#include "tests/panel_sample.h"

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

/* --- files, terminals --- */

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
        cmocka_unit_test(groups_are_parted_by_lines),
        cmocka_unit_test(signed_values_are_centred),
        cmocka_unit_test(captions_are_asked_for),
        cmocka_unit_test(themes_set_what_is_not_given),
        cmocka_unit_test(wrong_themes),
        cmocka_unit_test(redrawn_files_are_the_same),
        cmocka_unit_test(panels_in_a_terminal),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
