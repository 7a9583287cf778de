/* plots: pictures as sixels, read back by a decoder of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "plots/sixel.h"
#include "plots/writer.h"

enum { MOST = 400 };

typedef struct canvas {
    int w, h, registers;
    uint8_t rgb[MOST][MOST][3];
    bool set[MOST][MOST];
} canvas;

static int read_number(const char **s)
{
    int v = 0;

    assert_in_range(**s, '0', '9');
    while (**s >= '0' && **s <= '9')
        v = v * 10 + *(*s)++ - '0';
    return v;
}

/* A colour register in percents as bytes. */
static uint8_t from_percent(int p)
{
    assert_in_range(p, 0, 100);
    return (uint8_t)((p * 255 + 50) / 100);
}

static void decode(canvas *c, const char *s)
{
    uint8_t registers[SIXEL_COLOURS][3];
    bool known[SIXEL_COLOURS] = {false};
    int x = 0, y = 0, now = -1;

    memset(c, 0, sizeof *c);
    assert_int_equal(strncmp(s, "\x1bP0;1q\"1;1;", 11), 0);
    s += 11;
    c->w = read_number(&s);
    assert_int_equal(*s++, ';');
    c->h = read_number(&s);
    assert_in_range(c->w, 1, MOST);
    assert_in_range(c->h, 1, MOST);
    while (*s != '\x1b') {
        int n = 1;
        if (*s == '#') {
            s++;
            now = read_number(&s);
            assert_in_range(now, 0, SIXEL_COLOURS - 1);
            if (*s == ';') {
                assert_int_equal(strncmp(s, ";2;", 3), 0);
                for (int k = 0; k < 3; k++) {
                    s += k ? 1 : 3;
                    registers[now][k] = from_percent(read_number(&s));
                }
                assert_false(known[now]);
                known[now] = true;
                c->registers++;
            }
            assert_true(known[now]);
            continue;
        }
        if (*s == '$' || *s == '-') {
            y += *s == '-' ? 6 : 0;
            x = 0;
            s++;
            continue;
        }
        if (*s == '!') {
            s++;
            n = read_number(&s);
        }
        assert_in_range(*s, '?', '~');
        int bits = *s++ - '?';
        for (; n > 0; n--, x++) {
            for (int k = 0; k < 6; k++) {
                if (!(bits >> k & 1))
                    continue;
                assert_true(x < c->w && y + k < c->h); /* nothing beyond the picture */
                assert_false(c->set[y + k][x]);        /* every pixel once */
                c->set[y + k][x] = true;
                memcpy(c->rgb[y + k][x], registers[now], 3);
            }
        }
    }
    assert_string_equal(s, "\x1b\\");
    for (int r = 0; r < c->h; r++)
        for (int i = 0; i < c->w; i++)
            assert_true(c->set[r][i]);
}

/* --- pictures --- */

typedef struct source { int w, h, colours; } source;

static void pixel(uint8_t out[3], const source *p, int x, int y)
{
    int i = (x / 3 * 7 + y / 2 * 13) % p->colours; /* runs, and bands that differ */

    if (p->colours > SIXEL_COLOURS) {
        out[0] = (uint8_t)(x * 255 / p->w);
        out[1] = (uint8_t)(y * 255 / p->h);
        out[2] = (uint8_t)((x + y) % 256);
    } else {
        out[0] = (uint8_t)(i * 37);
        out[1] = (uint8_t)(255 - i * 5);
        out[2] = (uint8_t)(i * 11 + 3);
    }
}

static void row(const void *ud, int y, uint8_t *pixels)
{
    const source *p = ud;

    for (int x = 0; x < p->w; x++)
        pixel(pixels + 3 * x, p, x, y);
}

static void make(strbuf *png, const source *p)
{
    err e = {0};

    assert_int_equal(png_encode(png, p->w, p->h, row, p, 0, NULL, &e), 0);
}

static void check_picture(const source *p, int most_error, int most_registers)
{
    canvas *c = test_malloc(sizeof *c);
    strbuf png = {0}, sixels = {0};
    err e = {0};

    make(&png, p);
    assert_int_equal(sixel_from_png(&sixels, png.s, png.len, &e), 0);
    decode(c, strbuf_str(&sixels));
    assert_int_equal(c->w, p->w);
    assert_int_equal(c->h, p->h);
    assert_in_range(c->registers, 1, most_registers);
    for (int y = 0; y < p->h; y++) {
        for (int x = 0; x < p->w; x++) {
            uint8_t want[3];
            pixel(want, p, x, y);
            for (int k = 0; k < 3; k++)
                assert_in_range(abs(c->rgb[y][x][k] - want[k]), 0, most_error);
        }
    }
    strbuf_free(&png);
    strbuf_free(&sixels);
    test_free(c);
}

/* A register is a whole percent: 1.3 of 255 away at the most. */
static void test_few_colours(void **state)
{
    (void)state;
    check_picture(&(source){1, 1, 1}, 2, 1);
    check_picture(&(source){7, 6, 2}, 2, 2);
    check_picture(&(source){64, 31, 5}, 2, 5);
    check_picture(&(source){333, 100, 40}, 2, 40);
}

/* 65,536 colours on 256 registers: boxes of some 8 bits a side. */
static void test_many_colours(void **state)
{
    (void)state;
    check_picture(&(source){256, 256, 65536}, 64, SIXEL_COLOURS);
}

/* One run a band and colour, however wide. */
static void test_runs(void **state)
{
    const source p = {300, 12, 1};
    strbuf png = {0}, sixels = {0};
    err e = {0};

    (void)state;
    make(&png, &p);
    assert_int_equal(sixel_from_png(&sixels, png.s, png.len, &e), 0);
    assert_non_null(strstr(strbuf_str(&sixels), "#0!300~-#0!300~\x1b\\"));
    strbuf_free(&png);
    strbuf_free(&sixels);
}

static void test_bad_input(void **state)
{
    const source p = {40, 40, 9};
    strbuf png = {0}, sixels = {0};
    err e = {0};

    (void)state;
    make(&png, &p);
    assert_int_equal(sixel_from_png(&sixels, "GIF89a", 6, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "cannot be read"));
    assert_int_equal(sixel_from_png(&sixels, png.s, png.len / 2, &e), ERR_INPUT);
    png.s[20] ^= 0x40; /* 4 x 2^28 pixels wide: the checksum tells */
    assert_int_not_equal(sixel_from_png(&sixels, png.s, png.len, &e), 0);
    assert_int_equal(sixels.len, 0);
    strbuf_free(&png);
}

static void test_cancel(void **state)
{
    const source p = {40, 40, 9};
    strbuf png = {0}, sixels = {0};
    err e = {0};

    (void)state;
    make(&png, &p);
    cancel_request();
    assert_int_equal(sixel_from_png(&sixels, png.s, png.len, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(strcmp(sixels.s + sixels.len - 2, "\x1b\\"), 0); /* the terminal is not left within a picture */
    strbuf_free(&png);
    strbuf_free(&sixels);
}

static void test_memory(void **state)
{
    const source p = {40, 40, 9};
    strbuf png = {0};
    bool done = false;

    (void)state;
    make(&png, &p);
    for (long nth = 1; nth < 60 && !done; nth++) {
        strbuf sixels = {0};
        err e = {0};
        mem_fail_at(nth);
        int rc = sixel_from_png(&sixels, png.s, png.len, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_RESOURCE);
        done = rc == 0;
        strbuf_free(&sixels);
    }
    assert_true(done);
    strbuf_free(&png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_colours), cmocka_unit_test(test_many_colours), cmocka_unit_test(test_runs),
        cmocka_unit_test(test_bad_input), cmocka_unit_test(test_cancel), cmocka_unit_test(test_memory),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
