/* PNG files, and the text chunks that say how the picture was made. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "plots/writer.h"

typedef struct encoder {
    strbuf *out;
    char message[128];
} encoder;

static void on_write(png_structp png, png_bytep bytes, size_t n)
{
    encoder *c = png_get_io_ptr(png);

    strbuf_add(c->out, bytes, n);
    if (c->out->failed)
        png_error(png, "out of memory");
}

static void on_flush(png_structp png)
{
    (void)png;
}

__attribute__((noreturn)) static void on_error(png_structp png, png_const_charp message)
{
    encoder *c = png_get_error_ptr(png);

    strncpy(c->message, message, sizeof c->message - 1);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* A chunk keyword: 1 to 79 printable characters, no blank at either end and no two in a row. */
static void make_keyword(char out[80], const char *key)
{
    size_t n = 0;

    for (; *key && n < 79; key++) {
        char c = *key > 0x20 && *key < 0x7f ? *key : *key == ' ' ? ' ' : '_';
        if (c == ' ' && (n == 0 || out[n - 1] == ' '))
            continue;
        out[n++] = c;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    if (n == 0)
        out[n++] = '_';
    out[n] = '\0';
}

static bool is_ascii(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s >= 0x80)
            return false;
    }
    return true;
}

/* tEXt is Latin-1 by definition, so that anything beyond ASCII goes to iTXt, which is UTF-8. */
static void set_text(png_structp png, png_infop info, const char *key, const char *value)
{
    static char empty[] = "";
    char keyword[80];
    png_text t = {.key = keyword, .text = (png_charp)(uintptr_t)value};

    make_keyword(keyword, key);
    if (is_ascii(value)) {
        t.compression = PNG_TEXT_COMPRESSION_NONE;
        t.text_length = strlen(value);
    } else {
        t.compression = PNG_ITXT_COMPRESSION_NONE;
        t.itxt_length = strlen(value);
        t.lang = empty;
        t.lang_key = empty;
    }
    png_set_text(png, info, &t, 1);
}

static void set_about(png_structp png, png_infop info, const char *const *about)
{
    for (; about && about[0] && about[1]; about += 2)
        set_text(png, info, about[0], about[1]);
}

/* Everything between setjmp and the end, in a function of its own so that no local variable of the
 * caller lives across the jump.  0, -1 after an error of libpng, ERR_CANCELLED after Ctrl-C. */
static int encode(png_structp png, png_infop info, uint8_t *line, int w, int h, png_row_fn *row,
                  const void *ud, double dpi, const char *const *about)
{
    if (setjmp(png_jmpbuf(png)))
        return -1;
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
    if (dpi > 0) {
        png_uint_32 per_metre = (png_uint_32)(dpi / 0.0254 + 0.5);
        png_set_pHYs(png, info, per_metre, per_metre, PNG_RESOLUTION_METER);
    }
    set_about(png, info, about);
    /* flat colours in big blocks repeat by themselves: filters only hide that */
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    png_set_compression_level(png, 6);
    png_write_info(png, info);
    for (int y = 0; y < h; y++) {
        if (cancel_requested())
            return ERR_CANCELLED;
        row(ud, y, line);
        png_write_row(png, line);
    }
    png_write_end(png, NULL);
    return 0;
}

int png_encode(strbuf *out, int w, int h, png_row_fn *row, const void *ud, double dpi,
               const char *const *about, err *e)
{
    encoder c = {.out = out};
    png_structp png = NULL;
    png_infop info = NULL;
    uint8_t *line = mem_array((size_t)w, 3, e);
    int rc = 0;

    if (!line)
        return ERR_RESOURCE;
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        rc = err_nomem(e, "PNG");
        goto out;
    }
    png_set_write_fn(png, &c, on_write, on_flush);
    rc = encode(png, info, line, w, h, row, ud, dpi, about);
    if (rc == ERR_CANCELLED)
        rc = err_set(e, ERR_CANCELLED, "cancelled");
    else if (rc)
        rc = out->failed ? err_nomem(e, "PNG")
                         : err_set(e, ERR_FAILED, "PNG cannot be written: %s", c.message);
out:
    png_destroy_write_struct(&png, &info);
    free(line);
    return rc;
}
