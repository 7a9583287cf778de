/* PNG files, through libpng.  libpng unpacks, and strips what Pillow's convert("RGB") drops; the last
 * step, from grey, palette index or RGB to RGB, is ours. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/input/decode.h"

/* Everything that must survive a longjmp. */
typedef struct reader {
    const unsigned char *at, *end;
    png_structp png;
    png_infop info;
    png_bytep rows;     /* one row, or the whole picture when it is interlaced */
    png_bytepp row_at;  /* interlaced: a pointer to each row */
    size_t n;
    err *e;
    int rc;             /* set when the failure is told already */
    char message[160];
} reader;

__attribute__((noreturn)) static void on_error(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);

    strncpy(r->message, message, sizeof r->message - 1);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    reader *r = png_get_io_ptr(png);

    if (n > (size_t)(r->end - r->at))
        png_error(png, "the file ends too early");
    memcpy(out, r->at, n);
    r->at += n;
}

/* A 16-bit sample that Pillow keeps whole and clips: only plain grey (its mode "I;16"). */
static bool clips(const reader *r)
{
    return png_get_bit_depth(r->png, r->info) == 16 &&
           png_get_color_type(r->png, r->info) == PNG_COLOR_TYPE_GRAY;
}

static void convert(unsigned char *dst, const unsigned char *src, size_t width, const reader *r,
                    const png_color *palette, int n_color)
{
    if (palette) {
        static const png_color black;
        for (size_t x = 0; x < width; x++) { /* an index beyond the palette is black */
            const png_color *c = src[x] < n_color ? &palette[src[x]] : &black;
            dst[3 * x] = c->red;
            dst[3 * x + 1] = c->green;
            dst[3 * x + 2] = c->blue;
        }
    } else if (png_get_channels(r->png, r->info) == 3) {
        memcpy(dst, src, 3 * width);
    } else if (clips(r)) {
        for (size_t x = 0; x < width; x++)
            memset(dst + 3 * x, src[2 * x] ? 255 : src[2 * x + 1], 3);
    } else {
        for (size_t x = 0; x < width; x++)
            memset(dst + 3 * x, src[x], 3);
    }
}

/* Between setjmp and its return: everything here may end in on_error. */
static int decode(image *out, reader *r)
{
    png_structp png = r->png;
    png_infop info = r->info;
    png_colorp palette = NULL;
    int n_color = 0;

    png_set_user_limits(png, IMAGE_MOST_PIXELS, IMAGE_MOST_PIXELS);
    png_read_info(png, info);
    unsigned width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    unsigned bits = (unsigned)png_get_bit_depth(png, info) * png_get_channels(png, info);
    int type = png_get_color_type(png, info);

    /* Deflate makes at most 1032 bytes from one. */
    r->rc = image_alloc(out, width, height, r->n, 1032 * 8 / bits, r->e);
    if (r->rc)
        return r->rc;
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(png);
        png_get_PLTE(png, info, &palette, &n_color);
    } else if (type == PNG_COLOR_TYPE_GRAY) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    if (png_get_bit_depth(png, info) == 16 && !clips(r))
        png_set_strip_16(png);
    png_set_strip_alpha(png);
    bool interlaced = png_set_interlace_handling(png) > 1;
    png_read_update_info(png, info);

    size_t row_bytes = png_get_rowbytes(png, info);
    r->rows = mem_array(interlaced ? height : 1, row_bytes, r->e);
    r->row_at = mem_array(interlaced ? height : 1, sizeof *r->row_at, r->e);
    if (!r->rows || !r->row_at)
        return r->rc = ERR_RESOURCE;
    if (interlaced) {
        for (size_t y = 0; y < height; y++)
            r->row_at[y] = r->rows + y * row_bytes;
        png_read_image(png, r->row_at);
    }
    for (size_t y = 0; y < height; y++) {
        if (!interlaced)
            png_read_row(png, r->rows, NULL);
        convert(out->rgb + y * width * 3, interlaced ? r->row_at[y] : r->rows, width, r, palette, n_color);
    }
    return 0;
}

int png_read(image *out, const unsigned char *bytes, size_t n, err *e)
{
    reader r = {.at = bytes, .end = bytes + n, .n = n, .e = e};
    reader *const v = &r; /* through memory, so that longjmp cannot lose it */
    int rc = ERR_RESOURCE;

    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, v, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        err_nomem(e, "decoding a picture");
    } else if (setjmp(png_jmpbuf(r.png))) {
        rc = v->rc ? v->rc : image_damaged(e, "PNG", v->message);
    } else {
        png_set_read_fn(r.png, v, on_read);
        rc = decode(out, v);
    }
    png_destroy_read_struct(&v->png, &v->info, NULL);
    free(v->rows);
    free(v->row_at);
    if (rc)
        image_free(out);
    return rc;
}
