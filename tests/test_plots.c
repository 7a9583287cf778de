/* plots: what is where on the page of a heat map. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "plots/heatmap.h"
#include "plots/scene.h"
#include "tests/figure_sample.h"

static bool overlap(box a, box b)
{
    const double slack = 1e-6;
    return a.x + a.w > b.x + slack && b.x + b.w > a.x + slack && a.y + a.h > b.y + slack &&
           b.y + b.h > a.y + slack;
}

static const scene_item *map_of(const scene *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].kind == SCENE_RASTER)
            return &s->items[i]; /* cells come before the colour bar */
    }
    return NULL;
}

/* Nothing leaves the pic, no text touches another, none is too small, labels stay off the map. */
static void check_page(const scene *s, bool text_on_map)
{
    const scene_item *map = map_of(s);
    box inside = {2 * s->page.px, 2 * s->page.px, s->page.width - 4 * s->page.px, s->height - 4 * s->page.px};

    assert_non_null(map);
    assert_true(map->at.w > 0 && map->at.h > 0);
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *a = &s->items[i];
        if (a->at.x < inside.x || a->at.y < inside.y || a->at.x + a->at.w > inside.x + inside.w ||
            a->at.y + a->at.h > inside.y + inside.h) {
            print_message("# '%s' at %g, %g (%g x %g) leaves the page of %g x %g\n",
                          a->text ? a->text : "a box", a->at.x, a->at.y, a->at.w, a->at.h, s->page.width,
                          s->height);
            fail();
        }
        if (a->kind != SCENE_TEXT)
            continue;
        assert_true(a->style.size >= PAGE_MIN_FONT);
        for (int64_t j = 0; j < i; j++) {
            if (s->items[j].kind == SCENE_TEXT && overlap(a->at, s->items[j].at)) {
                print_message("# '%s' touches '%s'\n", a->text, s->items[j].text);
                fail();
            }
            if (s->items[j].kind == SCENE_RASTER && (!text_on_map || &s->items[j] != map))
                assert_false(overlap(a->at, s->items[j].at));
        }
    }
}

static void layout_everywhere(void **state)
{
    (void)state;
    static const int64_t shape[][2] = {{1, 1}, {2, 2}, {1, 7}, {7, 1}, {11, 11}, {24, 24}, {26, 26}, {48, 48},
                                       {129, 129}, {200, 200}, {9, 900}, {900, 9}, {1, 3000}, {4, 8}, {30, 9},
                                       {32, 32}, {12, 500}};
    static const char *const width[] = {"25", "45", "single", "120", "double", "slide"};
    static const char *const size[] = {"7", "8", "13"};
    int drawn = 0, refused = 0;

    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        for (int variant = 0; variant < 6 * 3 * 2 * 2; variant++) {
            bool words = variant & 1, scores = variant & 2;
            sample s;
            scene *pic = NULL;
            err e = {0};
            sample_init(&s, scores ? "score_grid" : "head_map", shape[k][0], shape[k][1], !scores, words,
                        OPTIONS("width", width[variant / 4 % 6], "font-size", size[variant / 24], "dpi",
                                "100", "norm", k & 1 ? "log" : "linear"));
            s.d.title = k % 3 ? "A title that is so long that it needs more than a line on most pages \u00b7 "
                                "a model of the "
                                "largest size"
                              : NULL;
            int rc = s.f->build(&pic, &s.d, s.p, &e);
            if (rc) { /* only a page that is too narrow for its type */
                assert_int_equal(rc, ERR_USAGE);
                assert_non_null(strstr(e.msg, "no room for a "));
                refused++;
            } else {
                check_page(pic, scores);
                drawn++;
            }
            scene_free(pic);
            sample_free(&s);
        }
    }
    assert_true(drawn > 900 && refused < drawn / 4);
}

static bool has_text(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return true;
    }
    return false;
}

static scene *build(sample *s)
{
    scene *pic = NULL;
    err e = {0};

    if (s->f->build(&pic, &s->d, s->p, &e))
        print_message("# %s\n", e.msg);
    assert_non_null(pic);
    return pic;
}

static void layout_labels(void **state)
{
    (void)state;
    sample s;

    /* all labels where they fit */
    sample_init(&s, "head_map", SAMPLE_TOKENS, SAMPLE_TOKENS, true, true, OPTIONS("width", "double"));
    scene *pic = build(&s);
    assert_true(has_text(pic, " The") || has_text(pic, "The"));
    assert_true(has_text(pic, "\\n"));
    assert_true(has_text(pic, "\\x1B[31m"));
    assert_true(has_text(pic, "\u2423"));
    assert_true(has_text(pic, "\\u202E"));
    assert_true(has_text(pic, "not visible"));
    assert_true(has_text(pic, "query token") && has_text(pic, "key token"));
    assert_true(has_text(pic, "attention weight"));
    scene_free(pic);
    sample_free(&s);

    /* thinned: those that stay say where they are */
    sample_init(&s, "head_map", 96, 96, true, true, OPTIONS("width", "single"));
    pic = build(&s);
    assert_true(has_text(pic, "0: <|bos|>"));
    assert_false(has_text(pic, " The"));
    scene_free(pic);
    sample_free(&s);

    /* many: positions alone */
    sample_init(&s, "head_map", 400, 400, true, true, NULL);
    pic = build(&s);
    assert_true(has_text(pic, "0") && has_text(pic, "100") && has_text(pic, "300"));
    assert_false(has_text(pic, "<|bos|>"));
    scene_free(pic);
    sample_free(&s);

    /* too long: elided */
    sample_init(&s, "head_map", 2, 2, true, true, NULL);
    char *long_label = malloc(100001);
    memset(long_label, 'x', 100000);
    long_label[100000] = '\0';
    s.labels[1] = long_label;
    pic = build(&s);
    int elided = 0;
    for (int64_t i = 0; i < pic->n; i++) {
        const scene_item *it = &pic->items[i];
        if (it->kind == SCENE_TEXT && it->text[0] == 'x') {
            assert_string_equal(it->text + strlen(it->text) - 3, "\u2026");
            elided++;
        }
    }
    assert_int_equal(elided, 2);
    check_page(pic, false);
    scene_free(pic);
    free(long_label);
    sample_free(&s);
}

static void layout_widths(void **state)
{
    (void)state;
    static const struct { const char *width; double mm; } want[] = {
        {"single", 84}, {"double", 174}, {"slide", 254}, {"100", 100}, {"63.5", 63.5}};
    sample s;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        sample_init(&s, "head_map", 8, 8, true, false, OPTIONS("width", want[i].width));
        scene *pic = build(&s);
        assert_int_equal(pic->width_px, (int)lround(want[i].mm / 25.4 * 300));
        scene_free(pic);
        sample_free(&s);
    }
    /* by itself: one column when everything is legible there, else two */
    sample_init(&s, "head_map", 11, 11, true, true, NULL);
    s.labels[13 % 11] = "word";
    scene *pic = build(&s);
    assert_int_equal(pic->width_px, 992);
    scene_free(pic);
    sample_free(&s);
    sample_init(&s, "head_map", 60, 60, true, true, NULL);
    pic = build(&s);
    assert_int_equal(pic->width_px, 2055);
    scene_free(pic);
    sample_free(&s);
    static const char *const bad[] = {"0", "-5", "19", "1001", "wide", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err e = {0};
        pic = NULL;
        sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("width", bad[i]));
        assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "--width"));
        assert_non_null(strstr(e.hint, "single"));
        sample_free(&s);
    }
    err e = {0};
    pic = NULL;
    sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("width", "1000", "dpi", "2400"));
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "too large"));
    sample_free(&s);
    sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("font", "No Such Family"));
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "'No Such Family' is not installed"));
    sample_free(&s);
}

static void layout_values(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "score_grid", 4, 8, false, false, NULL);
    for (int i = 0; i < 32; i++)
        s.cells[i] = (float)i / 32;
    s.cells[9] = NAN;
    scene *pic = build(&s);
    assert_true(has_text(pic, "0.03") && has_text(pic, "0.97") && has_text(pic, "no value"));
    assert_false(has_text(pic, "0.28")); /* the missing one */
    scene_free(pic);
    assert_int_equal(params_set(s.p, "annotate", "false", NULL), 0);
    pic = build(&s);
    assert_false(has_text(pic, "0.03"));
    scene_free(pic);
    sample_free(&s);
    /* no room at one column: the values go, the colours stay */
    sample_init(&s, "score_grid", 32, 32, false, false, OPTIONS("width", "single"));
    pic = build(&s);
    assert_int_equal(map_of(pic)->rows * map_of(pic)->cols, 32 * 32);
    for (int64_t i = 0; i < pic->n; i++)
        assert_false(pic->items[i].kind == SCENE_TEXT && overlap(pic->items[i].at, map_of(pic)->at));
    scene_free(pic);
    sample_free(&s);
}

static void layout_pools(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 4096, 4096, true, false, OPTIONS("pooling", "max"));
    scene *pic = build(&s);
    const scene_item *map = map_of(pic);
    int64_t pool = (4096 + map->rows - 1) / map->rows;
    char want[64];
    snprintf(want, sizeof want, "attention weight, max over %d × %d cells", (int)pool, (int)pool);
    assert_true(has_text(pic, want));
    assert_true(map->cols * map->cell_w <= pic->width_px && map->rows == map->cols);
    check_page(pic, false);
    scene_free(pic);
    sample_free(&s);
    /* no pooling while there is a pixel for each cell */
    sample_init(&s, "head_map", 1000, 1000, true, false, NULL);
    pic = build(&s);
    assert_int_equal(map_of(pic)->rows, 1000);
    assert_true(has_text(pic, "attention weight"));
    scene_free(pic);
    /* maps that were pooled before are numbered by token */
    s.d.m.rows = s.d.m.cols = 100;
    s.d.pool = 64;
    pic = build(&s);
    assert_true(has_text(pic, "attention weight, mean over 64 × 64 cells"));
    assert_true(has_text(pic, "1000") && has_text(pic, "6000"));
    check_page(pic, false);
    scene_free(pic);
    sample_free(&s);
}

static void registry(void **state)
{
    (void)state;
    for (const figure *const *f = figures; *f; f++) {
        assert_ptr_equal(figure_find((*f)->name), *f);
        assert_true((*f)->summary[0] && (*f)->build && (*f)->view);
        assert_true((*f)->needs && (*f)->needs[0]);
        if (f[1])
            assert_true(strcmp((*f)->name, f[1]->name) < 0);
    }
    assert_non_null(figure_find("head_map"));
    assert_non_null(figure_find("score_grid"));
    assert_null(figure_find("head"));
}

/* Words that do not fit on one line are spread over the lines: none is left alone on the last. */
static void wrapped_lines_are_balanced(void **state)
{
    (void)state;
    static const char text[] = "one two three four five six seven eight nine ten eleven";
    sample sm;
    page pg;
    scene *s = NULL;
    const char *lines[3];
    text_style style = {.size = 8};

    sample_init(&sm, "score_grid", 2, 2, false, false, NULL);
    assert_int_equal(page_init(&pg, sm.p, 84, NULL), 0);
    assert_int_equal(scene_new(&s, &pg, NULL), 0);
    double whole = scene_text_width(s, text, style);
    assert_int_equal(scene_wrap(s, lines, 3, text, style, whole - 1), 2);
    double first = scene_text_width(s, lines[0], style), second = scene_text_width(s, lines[1], style);
    assert_true(first > 0.4 * whole && second > 0.35 * whole);
    assert_int_equal(scene_wrap(s, lines, 3, text, style, whole + 1), 1);
    assert_string_equal(lines[0], text);
    scene_free(s);
    sample_free(&sm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapped_lines_are_balanced),
        cmocka_unit_test(layout_everywhere),
        cmocka_unit_test(layout_labels),
        cmocka_unit_test(layout_widths),
        cmocka_unit_test(layout_values),
        cmocka_unit_test(layout_pools),
        cmocka_unit_test(registry),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
