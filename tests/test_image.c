/* model/input, pictures: decoding and resizing against Pillow 13, whose results are written here as
 * numbers and hashes; refusals of damaged files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npz.h"
#include "model/input/image.h"
#include "tests/image_samples.h"
#include "tests/test_base_folder.h"

static uint64_t hash(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 14695981039346656037ull; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211ull;
    return h;
}

static uint64_t image_hash(const image *im)
{
    return hash(im->rgb, (size_t)im->width * (size_t)im->height * 3);
}

/* --- decoding --- */

static void expect_rgb(const png_sample *s, const unsigned char *rgb)
{
    strbuf b = {0};
    image im;
    err e = {0};

    put_png(&b, s);
    int rc = image_load_memory(&im, b.s, b.len, &e);
    if (rc)
        fail_msg("%s", e.msg);
    assert_int_equal(im.width, s->width);
    assert_int_equal(im.height, s->height);
    assert_memory_equal(im.rgb, rgb, (size_t)im.width * (size_t)im.height * 3);
    image_free(&im);
    strbuf_free(&b);
}

#define RGB(...) (const unsigned char[]){__VA_ARGS__}
#define ROWS(...) .rows = RGB(__VA_ARGS__), .n_rows = sizeof RGB(__VA_ARGS__)
#define GREY(v) v, v, v

static void png_types(void **state)
{
    static const unsigned char palette[] = {10, 20, 30, 40, 50, 60};

    (void)state;
    expect_rgb(&(png_sample){8, 1, 1, 0, ROWS(0, 0xa5)},
               RGB(GREY(255), GREY(0), GREY(255), GREY(0), GREY(0), GREY(255), GREY(0), GREY(255)));
    expect_rgb(&(png_sample){4, 1, 2, 0, ROWS(0, 0x1b)}, RGB(GREY(0), GREY(85), GREY(170), GREY(255)));
    expect_rgb(&(png_sample){2, 1, 4, 0, ROWS(0, 0x1b)}, RGB(GREY(17), GREY(187)));
    expect_rgb(&(png_sample){2, 2, 8, 0, ROWS(0, 1, 2, 2, 3, 4)}, RGB(GREY(1), GREY(2), GREY(4), GREY(6)));
    expect_rgb(&(png_sample){3, 1, 16, 0, ROWS(0, 0, 200, 0, 255, 1, 3)},
               RGB(GREY(200), GREY(255), GREY(255)));
    expect_rgb(&(png_sample){1, 1, 8, 2, ROWS(0, 9, 8, 7)}, RGB(9, 8, 7));
    expect_rgb(&(png_sample){1, 1, 16, 2, ROWS(0, 9, 255, 8, 127, 7, 128)}, RGB(9, 8, 7));
    expect_rgb(&(png_sample){1, 1, 8, 4, ROWS(0, 77, 0)}, RGB(GREY(77)));
    expect_rgb(&(png_sample){1, 1, 16, 4, ROWS(0, 77, 200, 0, 0)}, RGB(GREY(77)));
    expect_rgb(&(png_sample){1, 1, 8, 6, ROWS(0, 9, 8, 7, 0)}, RGB(9, 8, 7)); /* alpha is dropped */
    expect_rgb(&(png_sample){1, 1, 16, 6, ROWS(0, 9, 1, 8, 2, 7, 3, 0, 0)}, RGB(9, 8, 7));
    expect_rgb(&(png_sample){3, 1, 8, 3, .palette = palette, .n_palette = 6, ROWS(0, 1, 0, 2)},
               RGB(40, 50, 60, 10, 20, 30, GREY(0)));
    expect_rgb(&(png_sample){2, 1, 1, 3, .palette = palette, .n_palette = 6, ROWS(0, 0x40)},
               RGB(10, 20, 30, 40, 50, 60));
}

/* Adam7 on 2 x 2 pixels: pass 1 has (0,0), pass 6 (1,0), pass 7 the second row. */
static void png_interlaced(void **state)
{
    (void)state;
    expect_rgb(&(png_sample){2, 2, 8, 0, 1, ROWS(0, 1, 0, 2, 0, 3, 4)},
               RGB(GREY(1), GREY(2), GREY(3), GREY(4)));
    expect_rgb(&(png_sample){2, 2, 16, 6, 1, ROWS(0, 1, 0, 2, 0, 3, 0, 4, 0, 0, 5, 0, 6, 0, 7, 0, 8, 0,
                                                 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15, 0, 16, 0)},
               RGB(1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15));
}

static void jpeg_types(void **state)
{
    (void)state;
    for (int i = 0; i < N_JPEG; i++) {
        const struct jpeg_sample *s = &jpeg_samples[i];
        image im;
        err e = {0};

        if (image_load_memory(&im, s->bytes, s->n, &e))
            fail_msg("%s: %s", s->name, e.msg);
        assert_int_equal(im.width, s->width);
        assert_int_equal(im.height, s->height);
        if (image_hash(&im) != s->hash)
            fail_msg("%s differs from what Pillow decodes", s->name);
        image_free(&im);
    }
}

static void refuse(const void *bytes, size_t n, const char *part)
{
    image im;
    err e = {0};

    assert_int_equal(image_load_memory(&im, bytes, n, &e), ERR_INPUT);
    if (!strstr(e.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
    assert_true(e.hint[0] != 0);
    assert_null(im.rgb);
}

static void refuse_png(const png_sample *s, const char *part)
{
    strbuf b = {0};

    put_png(&b, s);
    refuse(b.s, b.len, part);
    strbuf_free(&b);
}

static void png_damage(void **state)
{
    strbuf b = {0};

    (void)state;
    put_png(&b, &(png_sample){2, 2, 8, 0, ROWS(0, 1, 2, 0, 3, 4)});
    for (size_t n = 8; n < b.len - 16; n++) /* the last of the data, its CRC, IEND */
        refuse(b.s, n, "damaged PNG: the file ends too early");
    refuse(b.s, 7, "neither a PNG nor a JPEG");
    refuse(b.s, 0, "empty");
    b.s[8 + 8 + 13] ^= 1;
    refuse(b.s, b.len, "damaged PNG: IHDR: CRC error");
    strbuf_free(&b);

    refuse_png(&(png_sample){0, 2, 8, 0, ROWS(0)}, "damaged PNG");
    refuse_png(&(png_sample){2, 2, 3, 0, ROWS(0)}, "damaged PNG");
    refuse_png(&(png_sample){2, 2, 8, 5, ROWS(0)}, "damaged PNG");
    refuse_png(&(png_sample){2, 2, 8, 0, ROWS(0, 1, 2, 0)}, "damaged PNG: not enough image data");
    refuse_png(&(png_sample){2, 2, 8, 0, ROWS(9, 1, 2, 0, 1, 1)}, "damaged PNG: bad adaptive filter value");
    refuse_png(&(png_sample){2, 1, 8, 3, ROWS(0, 1, 2)}, "damaged PNG: IDAT: Missing PLTE");
    refuse_png(&(png_sample){0x7fffffff, 0x7fffffff, 8, 0, ROWS(0)}, "damaged PNG");
    refuse_png(&(png_sample){100000, 100000, 8, 0, ROWS(0)}, "the most that is read is 178 million");
    refuse_png(&(png_sample){13000, 13000, 16, 6, ROWS(0)}, "bytes cannot hold");
    refuse_png(&(png_sample){13000, 13000, 1, 0, ROWS(0)}, "bytes cannot hold");
}

/* A copy of sample i with byte `at` replaced. */
static unsigned char *changed(int i, size_t at, unsigned char v)
{
    unsigned char *copy = malloc(jpeg_samples[i].n);

    assert_non_null(copy);
    memcpy(copy, jpeg_samples[i].bytes, jpeg_samples[i].n);
    copy[at] = v;
    return copy;
}

static size_t marker(int i, unsigned char m)
{
    for (size_t at = 2; at + 1 < jpeg_samples[i].n; at++)
        if (jpeg_samples[i].bytes[at] == 0xff && jpeg_samples[i].bytes[at + 1] == m)
            return at;
    fail();
    return 0;
}

static void jpeg_damage(void **state)
{
    const struct jpeg_sample *s = &jpeg_samples[1];
    size_t frame = marker(1, 0xc0);
    struct { size_t at; unsigned char v; const char *part; } cases[] = {
        {frame + 1, 0xc9, "damaged JPEG: arithmetic coding"},
        {frame + 1, 0xc3, "damaged JPEG: unsupported"},
        {frame + 4, 12, "damaged JPEG: unsupported JPEG data precision 12"},
        {frame + 6, 0, "damaged JPEG"},           /* fewer rows than the data hold: 0 */
        {frame + 5, 0xff, "bytes cannot hold"},
        {frame + 9, 2, "damaged JPEG"},           /* components, against the length of the segment */
        {frame + 11, 0x70, "damaged JPEG"},       /* sampling factors */
        {frame + 1, 0xd8, "damaged JPEG"},        /* a second start */
    };

    (void)state;
    for (size_t n = 3; n < s->n - 2; n += 7)
        refuse(s->bytes, n, "damaged JPEG: the file ends too early");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *copy = changed(1, cases[i].at, cases[i].v);
        if (cases[i].at == frame + 5) /* 1045 x 65299 pixels */
            copy[frame + 7] = 4;
        refuse(copy, s->n, cases[i].part);
        free(copy);
    }
    refuse("BM6\0\0\0", 6, "neither a PNG nor a JPEG");
}

static void files(void **state)
{
    image im;
    err e = {0};

    (void)state;
    write_bytes(in_folder("a.png"), jpeg_444, sizeof jpeg_444); /* the content decides */
    assert_int_equal(image_load(&im, in_folder("a.png"), &e), 0);
    assert_true(image_hash(&im) == jpeg_samples[2].hash);
    image_free(&im);
    write_bytes(in_folder("b.png"), "GIF89a", 6);
    assert_int_equal(image_load(&im, in_folder("b.png"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "b.png: neither a PNG nor a JPEG"));
    assert_int_equal(image_load(&im, in_folder("c.png"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no such file"));
}

/* --- resizing --- */

typedef struct resize_case {
    image_filter filter;
    int height, width, to_height, to_width;
    uint64_t hash;
} resize_case;

static void check_resizing(const resize_case *cases, size_t n, image_backend backend)
{
    for (size_t i = 0; i < n; i++) {
        const resize_case *c = &cases[i];
        image im = pattern(c->height, c->width), out;

        assert_int_equal(image_resize(&out, &im, c->to_width, c->to_height, c->filter, backend, NULL), 0);
        assert_int_equal(out.width, c->to_width);
        assert_int_equal(out.height, c->to_height);
        if (image_hash(&out) != c->hash)
            fail_msg("filter %d, %d x %d to %d x %d", c->filter, c->height, c->width, c->to_height,
                     c->to_width);
        image_free(&out);
        image_free(&im);
    }
}

/* PIL.Image.resize of Pillow 13.0; the pictures of 90 x 10 go down first. */
static void resizing_as_pillow(void **state)
{
    static const resize_case cases[] = {
        {0, 9, 13, 4, 5, 0xcc3c98be63e1be8dull}, {0, 9, 13, 20, 31, 0xe1b10f4bcc250d4dull},
        {0, 64, 48, 17, 48, 0x235c7ae172ea7085ull}, {0, 48, 64, 48, 9, 0x8b70068d3b239ce5ull},
        {0, 90, 10, 7, 6, 0x93b47bc81e59ac77ull}, {0, 200, 150, 32, 24, 0x1666244ca6879755ull},
        {1, 9, 13, 4, 5, 0xd8a17f8411ff59a6ull}, {1, 9, 13, 20, 31, 0x24cae82cf193ee58ull},
        {1, 64, 48, 17, 48, 0x85009a18007d084full}, {1, 48, 64, 48, 9, 0xfcde38f3e56f8d54ull},
        {1, 90, 10, 7, 6, 0xf32d3658e178658eull}, {1, 200, 150, 32, 24, 0xe915f676b1d811beull},
        {2, 9, 13, 4, 5, 0x8d1c458e2e3145ebull}, {2, 9, 13, 20, 31, 0xdaa46924a0bd5ed4ull},
        {2, 64, 48, 17, 48, 0x4dbda95c7e6d0e84ull}, {2, 48, 64, 48, 9, 0x9cb0748f0cf2fc74ull},
        {2, 90, 10, 7, 6, 0xe62a416216aeb6dcull}, {2, 200, 150, 32, 24, 0xba57b1c5a0e3c336ull},
        {3, 9, 13, 4, 5, 0xeee8397a6ce9040cull}, {3, 9, 13, 20, 31, 0xd4ce49a9401461bfull},
        {3, 64, 48, 17, 48, 0x8cfe44dd6a1049e6ull}, {3, 48, 64, 48, 9, 0x2f7bd29186779ea1ull},
        {3, 90, 10, 7, 6, 0x35197d655c531557ull}, {3, 200, 150, 32, 24, 0x12fce737a99a36eeull},
        {4, 9, 13, 4, 5, 0xbf13852001edbcd5ull}, {4, 9, 13, 20, 31, 0xe1b10f4bcc250d4dull},
        {4, 64, 48, 17, 48, 0x264ab43f0c9047f7ull}, {4, 48, 64, 48, 9, 0x119b9f7401140fe5ull},
        {4, 90, 10, 7, 6, 0x1e8fba4edf548c1full}, {4, 200, 150, 32, 24, 0x50d091a8cfe65931ull},
        {5, 9, 13, 4, 5, 0x7b0c7e5d6655b47dull}, {5, 9, 13, 20, 31, 0x3195acbb67e87168ull},
        {5, 64, 48, 17, 48, 0xd4cb3078d3dc4850ull}, {5, 48, 64, 48, 9, 0x874f4565db030548ull},
        {5, 90, 10, 7, 6, 0x3d3a5bbd9885d116ull}, {5, 200, 150, 32, 24, 0x2963a44a6250c338ull},
    };

    (void)state;
    check_resizing(cases, sizeof cases / sizeof *cases, IMAGE_PILLOW);
}

/* torchvision 0.29: resize(antialias=True) of uint8. */
static void resizing_as_torchvision(void **state)
{
    static const resize_case cases[] = {
        {0, 9, 13, 4, 5, 0xcc3c98be63e1be8dull}, {0, 9, 13, 20, 31, 0xe1b10f4bcc250d4dull},
        {0, 90, 10, 7, 6, 0x93b47bc81e59ac77ull}, {0, 200, 150, 32, 24, 0x1666244ca6879755ull},
        {1, 9, 13, 4, 5, 0xd8a17f8411ff59a6ull}, {1, 9, 13, 20, 31, 0x3c29a75979d569a9ull},
        {1, 90, 10, 7, 6, 0x76662087d8f0d098ull}, {1, 200, 150, 32, 24, 0x061ae348200370beull},
        {2, 9, 13, 4, 5, 0x8d1c458e2e3145ebull}, {2, 9, 13, 20, 31, 0xdaa46924a0bd5ed4ull},
        {2, 90, 10, 7, 6, 0xfb95a175a21d4d3cull}, {2, 200, 150, 32, 24, 0x0fa47295615f692dull},
        {3, 9, 13, 4, 5, 0xeee8397a6ce9040cull}, {3, 9, 13, 20, 31, 0x5cd584d5593c4379ull},
        {3, 90, 10, 7, 6, 0xca66fc1add20f0ddull}, {3, 200, 150, 32, 24, 0xe3a478533b196eb2ull},
    };

    (void)state;
    check_resizing(cases, sizeof cases / sizeof *cases, IMAGE_TORCHVISION);
}

/* Values, not only hashes: shrinking 13 x 9 to 5 x 4 with Pillow's bicubic filter. */
static void bicubic_values(void **state)
{
    static const unsigned char rows[60] = {
        39, 7, 132, 140, 61, 145, 153, 176, 166, 62, 157, 171, 163, 175, 142,
        63, 13, 146, 164, 69, 194, 152, 166, 159, 86, 140, 114, 188, 166, 106,
        89, 21, 169, 189, 82, 149, 98, 121, 80, 112, 77, 158, 211, 124, 107,
        117, 27, 174, 180, 88, 107, 66, 129, 138, 147, 85, 102, 165, 132, 142,
    };
    image im = pattern(9, 13), out;

    (void)state;
    assert_int_equal(image_resize(&out, &im, 5, 4, IMAGE_BICUBIC, IMAGE_PILLOW, NULL), 0);
    assert_memory_equal(out.rgb, rows, sizeof rows);
    image_free(&out);
    image_free(&im);
}

static void resizing_too_far(void **state)
{
    image im = pattern(2, 3), out;
    err e = {0};

    (void)state;
    assert_int_equal(image_resize(&out, &im, 0, 4, IMAGE_BICUBIC, IMAGE_PILLOW, &e), ERR_RESOURCE);
    assert_int_equal(image_resize(&out, &im, 30000, 30000, IMAGE_BICUBIC, IMAGE_PILLOW, &e), ERR_RESOURCE);
    assert_non_null(strstr(e.msg, "too much memory"));
    assert_null(out.rgb);
    image_free(&im);
}

/* --- finished pixels --- */

static void pixels_of_npy(void **state)
{
    static const float f[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -0.5f};
    static const double d[12] = {0.1, [11] = 7};
    float bad[12] = {[3] = NAN}, *x;
    int64_t shape[3];
    err e = {0};

    (void)state;
    npy_save(in_folder("a.npy"), NPY_F32, 4, (int64_t[]){1, 3, 2, 2}, f, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("a.npy"), &e), 0);
    assert_true(shape[0] == 3 && shape[1] == 2 && shape[2] == 2);
    assert_memory_equal(x, f, sizeof f);
    free(x);
    npy_save(in_folder("b.npy"), NPY_F64, 3, (int64_t[]){3, 1, 4}, d, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("b.npy"), &e), 0);
    assert_true(shape[1] == 1 && shape[2] == 4 && x[0] == 0.1f && x[11] == 7);
    free(x);
    npy_save(in_folder("c.npy"), NPY_F32, 3, (int64_t[]){2, 2, 3}, f, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("c.npy"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "2 channels"));
    npy_save(in_folder("d.npy"), NPY_F32, 2, (int64_t[]){3, 4}, f, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("d.npy"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "wanted is [3, height, width]"));
    npy_save(in_folder("e.npy"), NPY_I32, 3, (int64_t[]){3, 2, 2}, f, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("e.npy"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "its numbers are i32"));
    npy_save(in_folder("f.npy"), NPY_F32, 3, (int64_t[]){3, 2, 2}, bad, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("f.npy"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "number 3 is not finite"));
    npy_save(in_folder("g.npy"), NPY_F32, 3, (int64_t[]){3, 0, 2}, f, NULL);
    assert_int_equal(pixels_from_npy(&x, shape, in_folder("g.npy"), &e), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_types),
        cmocka_unit_test(png_interlaced),
        cmocka_unit_test(jpeg_types),
        cmocka_unit_test(png_damage),
        cmocka_unit_test(jpeg_damage),
        FILE_TEST(files),
        cmocka_unit_test(resizing_as_pillow),
        cmocka_unit_test(resizing_as_torchvision),
        cmocka_unit_test(bicubic_values),
        cmocka_unit_test(resizing_too_far),
        FILE_TEST(pixels_of_npy),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
