/* plots: figures in a terminal.  What is printed is read back by a small terminal of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "plots/colormap.h"
#include "tests/figure_sample.h"

enum { MAX_LINES = 400, MAX_COLUMNS = 256, NONE = -1 };

/* One place of the screen. */
typedef struct place {
    uint32_t c;
    long fg, bg; /* 0xRRGGBB or palette index; NONE: the terminal's own */
} place;

typedef struct screen {
    place at[MAX_LINES][MAX_COLUMNS];
    int width[MAX_LINES];
    int lines;
} screen;

/* Columns of a character by the C library, a second opinion beside our own table. */
static int columns_of(uint32_t c)
{
    static locale_t utf8;

    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8 || c < 0x300)
        return 1;
    locale_t before = uselocale(utf8);
    int w = wcwidth((wchar_t)c);
    uselocale(before);
    return w < 0 ? 1 : w;
}

/* Set the colours that an escape sequence's parameters mean; nothing but colours and bold may come. */
static const char *read_sgr(const char *s, long *fg, long *bg)
{
    int v[5] = {0}, n = 0;

    assert_int_equal(*s++, '[');
    for (;; s++) {
        assert_true(n < 5 && *s >= '0' && *s <= '9');
        while (*s >= '0' && *s <= '9')
            v[n] = v[n] * 10 + *s++ - '0';
        n++;
        if (*s == 'm')
            break;
        assert_int_equal(*s, ';');
    }
    if (n == 1 && v[0] == 0)
        *fg = *bg = NONE;
    else if (n == 1)
        assert_int_equal(v[0], 1);
    else if (n == 3 && v[1] == 5)
        *(v[0] == 48 ? bg : fg) = v[2];
    else if (n == 5 && v[1] == 2)
        *(v[0] == 48 ? bg : fg) = (long)v[2] << 16 | v[3] << 8 | v[4];
    else
        fail();
    return s + 1;
}

static void show(screen *sc, const char *text, term_colour mode)
{
    long fg = NONE, bg = NONE;
    size_t n = strlen(text);

    memset(sc, 0, sizeof *sc);
    assert_true(n > 0 && text[n - 1] == '\n');
    for (const char *s = text; *s;) {
        uint32_t c;
        if (mode == TERM_ASCII)
            assert_true(*s == '\n' || (*s >= 0x20 && *s < 0x7f));
        if (*s == '\n') {
            assert_true(fg == NONE && bg == NONE); /* colours never run into the next line */
            sc->lines++;
            assert_in_range(sc->lines, 1, MAX_LINES - 1);
            s++;
            continue;
        }
        if (*s == '\x1b') {
            s = read_sgr(s + 1, &fg, &bg);
            continue;
        }
        int len = utf8_next(&c, s, strlen(s)), w;
        assert_true(len > 0);
        assert_false(c < 0x20 || (c >= 0x7f && c < 0xa0)); /* no control character of a token */
        w = columns_of(c);
        for (int i = 0; i < w; i++) {
            assert_in_range(sc->width[sc->lines], 0, MAX_COLUMNS - 1);
            sc->at[sc->lines][sc->width[sc->lines]++] = (place){i ? 0 : c, fg, bg};
        }
        s += len;
    }
}

static char *print(const sample *s, term_colour mode, int columns, int lines)
{
    char *out = NULL;
    err e = {0};

    if (figure_view(s->f, &s->d, s->p, mode, (view_size){columns, lines}, &out, &e))
        print_message("# %s\n", e.msg);
    assert_non_null(out);
    return out;
}

static bool line_has(const screen *sc, int line, const char *word)
{
    for (int x = 0; x + (int)strlen(word) <= sc->width[line]; x++) {
        size_t i = 0;
        while (word[i] && sc->at[line][x + (int)i].c == (unsigned char)word[i])
            i++;
        if (!word[i])
            return true;
    }
    return false;
}

static bool has(const screen *sc, const char *word)
{
    for (int y = 0; y < sc->lines; y++) {
        if (line_has(sc, y, word))
            return true;
    }
    return false;
}

static screen sc; /* too large for the stack */

static void fits_everywhere(void **state)
{
    (void)state;
    static const int64_t shape[][2] = {{1, 1}, {2, 3}, {11, 11}, {24, 24}, {60, 60}, {130, 130}, {500, 500},
                                       {4, 8}, {30, 9}, {32, 32}, {1, 700}, {700, 1}};
    static const int columns[] = {24, 40, 80, 200}, lines[] = {0, 8, 24, 60};

    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        for (int v = 0; v < 4 * 4 * 3 * 2 * 2; v++) {
            int c = columns[v % 4], l = lines[v / 4 % 4];
            term_colour mode = (term_colour)(v / 16 % 3);
            bool words = v / 48 % 2, scores = v / 96 % 2;
            sample s;
            if (l == 0 && shape[k][0] > 300)
                continue; /* longer than the test's screen */
            sample_init(&s, scores ? "score_grid" : "head_map", shape[k][0], shape[k][1], !scores, words,
                        OPTIONS("norm", k & 1 ? "log" : "linear", "pooling", k & 2 ? "max" : "mean"));
            char *text = print(&s, mode, c, l);
            show(&sc, text, mode);
            for (int y = 0; y < sc.lines; y++)
                assert_in_range(sc.width[y], 0, c);
            if (l > 8) /* eight lines hold a map of one line at least */
                assert_in_range(sc.lines, 1, l);
            free(text);
            sample_free(&s);
        }
    }
}

/* Two columns a cell: the background is the map's colour for the value. */
static void true_colour_cells(void **state)
{
    (void)state;
    sample s;
    palette pal;

    assert_int_equal(palette_find(&pal, "magma", NULL), 0);
    for (int mode = TERM_256; mode <= TERM_TRUE; mode++) {
        sample_init(&s, "head_map", 12, 12, true, false, OPTIONS("cmap", "magma"));
        char *text = print(&s, (term_colour)mode, 80, 40);
        show(&sc, text, (term_colour)mode);
        /* title, subtitle, axes; then the rows, each after "NN " */
        for (int r = 0; r < 12; r++) {
            assert_int_equal(sc.width[3 + r], 3 + 2 * 12);
            for (int c = 0; c < 12; c++) {
                rgb want = palette_at(pal, (double)s.cells[r * 12 + c]);
                if (c > r)
                    want = (rgb){0x58, 0x58, 0x58};
                long colour =
                    mode == TERM_TRUE ? (long)want.r << 16 | want.g << 8 | want.b : rgb_to_256(want);
                assert_int_equal(sc.at[3 + r][3 + 2 * c].bg, colour);
                assert_int_equal(sc.at[3 + r][4 + 2 * c].bg, colour);
                assert_int_equal(sc.at[3 + r][3 + 2 * c].c, ' ');
            }
        }
        assert_true(line_has(&sc, 3 + 11, "11"));
        assert_true(line_has(&sc, 3 + 12, "0   2   4   6   8   10"));
        assert_true(has(&sc, "attention weight"));
        assert_true(has(&sc, "not visible"));
        free(text);
        sample_free(&s);
    }
}

/* Too many rows for that: the upper half of a character is one row, the lower half the next. */
static void half_blocks(void **state)
{
    (void)state;
    sample s;
    palette pal;

    assert_int_equal(palette_find(&pal, "viridis", NULL), 0);
    sample_init(&s, "head_map", 31, 31, true, false, NULL);
    char *text = print(&s, TERM_TRUE, 60, 24);
    show(&sc, text, TERM_TRUE);
    for (int r = 0; r < 31; r++) {
        for (int c = 0; c < 31; c++) {
            const place *at = &sc.at[3 + r / 2][3 + c];
            rgb want = c > r ? (rgb){0x58, 0x58, 0x58} : palette_at(pal, (double)s.cells[r * 31 + c]);
            assert_int_equal(at->c, 0x2580);
            assert_int_equal(r % 2 ? at->bg : at->fg, (long)want.r << 16 | want.g << 8 | want.b);
        }
    }
    assert_int_equal(sc.at[3 + 15][3].bg, NONE); /* there is no row 31 */
    assert_true(line_has(&sc, 3 + 1, "2") && line_has(&sc, 3 + 15, "30"));
    free(text);
    sample_free(&s);
}

static void ascii_ramp(void **state)
{
    (void)state;
    static const char ramp[] = ".:-=+*#%@";
    sample s;

    sample_init(&s, "head_map", 9, 9, true, false, NULL);
    for (int i = 0; i < 9; i++)
        s.cells[8 * 9 + i] = ((float)i + 0.5f) / 9;
    s.cells[0] = 1;
    s.cells[9] = 0;
    char *text = print(&s, TERM_ASCII, 80, 24);
    show(&sc, text, TERM_ASCII);
    assert_int_equal(sc.at[3][2].c, '@');
    assert_int_equal(sc.at[4][2].c, '.');
    for (int i = 0; i < 9; i++) {
        assert_int_equal(sc.at[3 + 8][2 + 2 * i].c, ramp[i]);
        assert_int_equal(sc.at[3 + 8][3 + 2 * i].c, ramp[i]);
    }
    for (int r = 0; r < 9; r++) {
        for (int c = r + 1; c < 9; c++)
            assert_int_equal(sc.at[3 + r][2 + 2 * c].c, ' ');
    }
    assert_true(has(&sc, "0 .:-=+*#%@ 1"));
    assert_true(has(&sc, "blank: not visible"));
    assert_true(has(&sc, "L1H3 - lantern-3m"));
    free(text);
    sample_free(&s);
}

static void tokens_beside_rows(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", SAMPLE_TOKENS, SAMPLE_TOKENS, true, true, NULL);
    char *text = print(&s, TERM_ASCII, 100, 0);
    show(&sc, text, TERM_ASCII);
    assert_true(line_has(&sc, 3, " 0 <|bos|>"));
    assert_true(line_has(&sc, 3 + 9, " 9  harbour"));
    assert_true(line_has(&sc, 3 + 11, "11 \\n"));
    assert_true(line_has(&sc, 3 + 12, "12 \\u5317\\u4EAC"));
    assert_true(line_has(&sc, 3 + 13, "13 antidisestablishmentari~ "));
    assert_true(line_has(&sc, 3 + 14, "14 \\x1B[31m"));
    assert_true(line_has(&sc, 3 + 15, "15 _"));
    free(text);
    text = print(&s, TERM_TRUE, 100, 0);
    show(&sc, text, TERM_TRUE);
    assert_true(line_has(&sc, 3 + 14, "14 \\x1B[31m"));
    assert_int_equal(sc.at[3 + 12][3].c, 0x5317);
    free(text);
    sample_free(&s);
}

static void values_in_cells(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "score_grid", 3, 4, false, false, NULL);
    for (int i = 0; i < 12; i++)
        s.cells[i] = (float)i / 12;
    s.cells[5] = NAN;
    char *text = print(&s, TERM_ASCII, 80, 24);
    show(&sc, text, TERM_ASCII);
    assert_true(line_has(&sc, 3, "0  .00. .08. .17: .25-"));
    assert_true(line_has(&sc, 4, "1  .33=      .50+ .58*"));
    assert_true(line_has(&sc, 5, "2  .67# .75# .83% .92@"));
    assert_true(has(&sc, "blank: no value"));
    free(text);
    text = print(&s, TERM_TRUE, 80, 24);
    show(&sc, text, TERM_TRUE);
    assert_true(line_has(&sc, 3, ".08"));
    assert_int_equal(sc.at[4][2 + 5].bg, 0x585858);
    free(text);
    sample_free(&s);
}

static void pooling_is_stated(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 300, 300, true, true, OPTIONS("pooling", "max"));
    char *text = print(&s, TERM_256, 80, 24);
    show(&sc, text, TERM_256);
    /* 24 lines less title, subtitle, axes, ruler and two of legend: 18 lines, 36 rows; 300 / 36 -> 9 */
    assert_true(has(&sc, "max over 9"));
    assert_true(line_has(&sc, 4, "18")); /* the second line begins at the third block */
    assert_false(has(&sc, "bos"));
    free(text);
    /* one line of legend is enough here: 19 lines; 300 / 19 -> 16 */
    text = print(&s, TERM_ASCII, 80, 24);
    show(&sc, text, TERM_ASCII);
    assert_true(has(&sc, "max over 16 x 16 cells"));
    free(text);
    sample_free(&s);
}

static void bad_input(void **state)
{
    (void)state;
    static const view_size small[] = {{23, 24}, {80, 7}, {0, 0}, {-1, 10}};
    sample s;
    char *out = NULL;
    err e = {0};

    sample_init(&s, "head_map", 3, 3, true, false, NULL);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_256, small[i], &out, &e), ERR_FAILED);
        assert_non_null(strstr(e.msg, "too small"));
        assert_non_null(strstr(e.hint, "24 columns"));
        assert_null(out);
    }
    for (int i = 0; i < 9; i++)
        s.cells[i] = NAN;
    assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_256, (view_size){80, 24}, &out, &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: no finite values");
    s.d.m.cols = 0;
    assert_int_equal(figure_view(s.f, &s.d, s.p, TERM_256, (view_size){80, 24}, &out, &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: the matrix has no cells");
    assert_null(out);
    sample_free(&s);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 30, 30, true, true, NULL);
    for (long nth = 1;; nth++) {
        char *out = NULL;
        err e = {0};
        mem_fail_at(nth);
        int rc = figure_view(s.f, &s.d, s.p, TERM_TRUE, (view_size){60, 20}, &out, &e);
        mem_fail_at(0);
        free(out);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_RESOURCE);
        assert_in_range(nth, 1, 5000);
    }
    sample_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_everywhere),    cmocka_unit_test(true_colour_cells),
        cmocka_unit_test(half_blocks),        cmocka_unit_test(ascii_ramp),
        cmocka_unit_test(tokens_beside_rows), cmocka_unit_test(values_in_cells),
        cmocka_unit_test(pooling_is_stated),  cmocka_unit_test(bad_input),
        cmocka_unit_test(every_allocation_fails_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
