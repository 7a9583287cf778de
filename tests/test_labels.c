/* Labels: what is shown of text from elsewhere, and how wide it is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "plots/label.h"
#include "plots/scene.h"
#include "tests/figure_sample.h"

static void check_label(const char *text, const char *visible, const char *ascii)
{
    strbuf b = {0};

    label_put_visible(&b, text);
    assert_string_equal(strbuf_str(&b), visible);
    strbuf_clear(&b);
    label_put_ascii(&b, text);
    assert_string_equal(strbuf_str(&b), ascii);
    strbuf_free(&b);
}

static void labels_visible(void **state)
{
    (void)state;
    check_label(" the", " the", " the");
    check_label("\n", "\\n", "\\n");
    check_label("a\tb", "a\\tb", "a\\tb");
    check_label("\x1b[31m", "\\x1B[31m", "\\x1B[31m");
    check_label("  ", "\u2423\u2423", "__");
    check_label("\xe4\xbd", "\\xE4\\xBD", "\\xE4\\xBD");
    check_label("\u200b", "\\u200B", "\\u200B");
    check_label("\u202eabc", "\\u202Eabc", "\\u202Eabc");
    check_label("\u00e9\u2026\u201c", "\u00e9\u2026\u201c", "\\u00E9...\"");
    check_label("\U0001f642", "\U0001f642", "\\U1F642");
    check_label("\xc2\x85", "\\xC2\\x85", "\\xC2\\x85");
    check_label("L1H3 \u00b7 x", "L1H3 \u00b7 x", "L1H3 - x");
    check_label("", "", "");
    /* making visible twice changes nothing */
    check_label("\\n\\x1B", "\\n\\x1B", "\\n\\x1B");
}

/* On a page one family is one picture; a joiner that joins nothing is shown. */
static void labels_drawn(void **state)
{
    (void)state;
    static const struct { const char *text, *drawn; } cases[] = {
        {"\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"}, /* a family */
        {"\u2764\ufe0f\u200d\U0001f525", "\u2764\ufe0f\u200d\U0001f525"},                          /* a burning heart */
        {"\U0001f9d1\U0001f3fd\u200d\U0001f680", "\U0001f9d1\U0001f3fd\u200d\U0001f680"},          /* with a tone of skin */
        {"\u2708\ufe0f", "\u2708\ufe0f"},
        {"\u200d\U0001f469", "\\u200D\U0001f469"},
        {"\U0001f468\u200d", "\U0001f468\\u200D"},
        {"\U0001f468\u200da", "\U0001f468\\u200Da"},
        {"a\u200d\U0001f469", "a\\u200D\U0001f469"},
        {"\U0001f468\u200d\u200d\U0001f469", "\U0001f468\\u200D\\u200D\U0001f469"},
        {"\U0001f468 \u200d\U0001f469", "\U0001f468 \\u200D\U0001f469"},
        {"\U0001f468\u200d\U0001f3fd", "\U0001f468\\u200D\U0001f3fd"},
        {"\U0001f468\u200d\xf0", "\U0001f468\\u200D\\xF0"},
        {"\u0915\u094d\u200d\u0937", "\u0915\u094d\\u200D\u0937"},
        {"\u202eabc", "\\u202Eabc"},
        {" ", "\u2423"},
    };
    strbuf b = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf_clear(&b);
        label_put_drawn(&b, cases[i].text);
        assert_string_equal(strbuf_str(&b), cases[i].drawn);
    }
    strbuf_free(&b);
    check_label(cases[0].text, "\U0001f468\\u200D\U0001f469\\u200D\U0001f467",
                "\\U1F468\\u200D\\U1F469\\u200D\\U1F467"); /* terminals disagree about what is joined */
}

/* All of a family in the width of one, and no beginning of it ends in a joiner. */
static void families_are_one_glyph(void **state)
{
    (void)state;
    static const char family[] = "\U0001f468\u200d\U0001f469\u200d\U0001f467";
    sample sm;
    page pg;
    scene *s = NULL;
    err e = {0};

    sample_init(&sm, "head_map", 4, 4, true, true, NULL);
    sm.labels[0] = family;
    assert_int_equal(page_init(&pg, sm.p, 84, &e), 0);
    assert_int_equal(scene_new(&s, &pg, &e), 0);
    text_style style = {.size = 8};
    double one = scene_text_width(s, "\U0001f468", style);
    if (scene_note_fonts(s, family, style)) {
        fprintf(stderr, "no font has emoji: skipped\n");
        scene_free(s);
        sample_free(&sm);
        skip();
    }
    bool joined = scene_text_width(s, family, style) < 1.5 * one;
    for (double w = 0; w < 6 * one; w += one / 8) {
        const char *cut = scene_elide(s, "\U0001f468\u200d\U0001f469\u200d\U0001f467 and others", style, w);
        assert_null(strstr(cut, "\u200d\u2026"));
    }
    scene_free(s);
    s = NULL;
    assert_int_equal(sm.f->build(&s, &sm.d, sm.p, &e), 0);
    int found = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, family) == 0)
            found += !joined || s->items[i].at.w < 2 * s->items[i].at.h || s->items[i].style.turned;
    assert_int_equal(found, 2); /* a row and a column */
    scene_free(s);
    sample_free(&sm);
    if (!joined) {
        fprintf(stderr, "the font of emoji joins none: skipped\n");
        skip();
    }
}

/* Where labels are thinned, one that begins a character is taken rather than the rest of another, or a blank. */
static void thinned_labels_tell(void **state)
{
    (void)state;
    enum { N = 96 };
    sample sm;
    scene *s = NULL;
    err e = {0};
    int labels = 0;

    sample_init(&sm, "head_map", N, N, true, true, OPTIONS("width", "60"));
    sm.d.row_axis = sm.d.col_axis = NULL;
    for (int i = 0; i < N; i++)
        sm.labels[i] = i % 3 == 1 ? "\u5317" : i % 3 == 2 ? "\u2026" : "\u2423";
    assert_int_equal(sm.f->build(&s, &sm.d, sm.p, &e), 0);
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].kind != SCENE_TEXT || !strstr(s->items[i].text, ": "))
            continue;
        labels++;
        assert_non_null(strstr(s->items[i].text, "\u5317"));
    }
    assert_true(labels > 8);
    scene_free(s);
    sample_free(&sm);
}

/* Emoji are found again in a PDF and in an SVG, also where they are pictures. */
static void emoji_stay_text(void **state)
{
    (void)state;
    static const char ship[] = "\U0001f6a2", *const formats[] = {"pdf", "svg"};
    char path[] = "/tmp/attnscope-emoji-XXXXXX", command[300], found[64] = "";
    strbuf notes = {0};
    sample sm;
    err e = {0};

    if (system("command -v pdftotext > /dev/null 2>&1") != 0) {
        fprintf(stderr, "pdftotext is not installed: skipped\n");
        skip();
    }
    assert_non_null(mkdtemp(path));
    sample_init(&sm, "head_map", 4, 4, true, true, NULL);
    sm.d.row_axis = sm.d.col_axis = NULL;
    sm.labels[1] = ship;
    for (int i = 0; i < 2; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s/a.%s", path, formats[i]);
        assert_int_equal(figure_draw_noted(&notes, sm.f, &sm.d, sm.p, file, &e), 0);
    }
    bool fonts = !strstr(strbuf_str(&notes), "U+1F6A2");
    strbuf_free(&notes);
    snprintf(command, sizeof command, "pdftotext %s/a.pdf %s/a.txt && cat %s/a.txt %s/a.svg | grep -c '%s'; rm -r %s", path,
             path, path, path, ship, path);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(found, sizeof found, p));
    pclose(p);
    sample_free(&sm);
    if (!fonts) {
        fprintf(stderr, "no font has emoji: skipped\n");
        skip();
    }
    assert_true(atoi(found) >= 3); /* a row of the PDF; a row and a column of the SVG */
}

static void labels_columns(void **state)
{
    (void)state;
    strbuf b = {0};

    assert_int_equal(label_columns("abc"), 3);
    assert_int_equal(label_columns("\u5317\u4eac"), 4);
    assert_int_equal(label_columns("e\u0301"), 1);
    assert_int_equal(label_columns("\U0001f642!"), 3);
    label_put_cut(&b, "\u5317\u4eac\u5e02", 4, false);
    assert_string_equal(strbuf_str(&b), "\u5317\u2026"); /* a wide character is not cut in half */
    strbuf_clear(&b);
    label_put_cut(&b, "abcdef", 4, true);
    assert_string_equal(strbuf_str(&b), "abc~");
    strbuf_clear(&b);
    label_put_cut(&b, "abcd", 4, true);
    assert_string_equal(strbuf_str(&b), "abcd");
    strbuf_clear(&b);
    label_put_cut(&b, "abcd", 0, true);
    assert_string_equal(strbuf_str(&b), "");
    strbuf_free(&b);
}
int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_visible),
        cmocka_unit_test(labels_drawn),
        cmocka_unit_test(families_are_one_glyph),
        cmocka_unit_test(thinned_labels_tell),
        cmocka_unit_test(emoji_stay_text),
        cmocka_unit_test(labels_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
