/* JPEG files, through libjpeg-turbo, with its defaults (exact integer transform, smooth chroma), which are
 * Pillow's. */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it before */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/mem.h"
#include "model/input/decode.h"

/* A progressive file may send the same coefficients again and again; honest ones need some ten scans. */
enum { MOST_SCANS = 200 };

/* Every 8 x 8 block of a component costs a bit at least, and a component covers no less than 4 x 1 blocks
 * of the largest unit, 32 x 32 pixels. */
enum { PIXELS_A_BYTE = 2048 };

/* Everything that must survive a longjmp. */
typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    unsigned char *row;
    size_t n;
    err *e;
    int rc; /* set when the failure is told already */
    char message[JMSG_LENGTH_MAX];
} reader;

__attribute__((noreturn)) static void give_up(reader *r, const char *message)
{
    strncpy(r->message, message, sizeof r->message - 1);
    longjmp(r->back, 1);
}

__attribute__((noreturn)) static void on_error(j_common_ptr jpeg)
{
    char message[JMSG_LENGTH_MAX];

    jpeg->err->format_message(jpeg, message);
    give_up(jpeg->client_data, message);
}

/* Warnings tell of damage that the decoder works around, as Pillow lets it; only a file that ends too early
 * is refused (fill). */
static void on_message(j_common_ptr jpeg, int level)
{
    (void)jpeg;
    (void)level;
}

static void nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* All bytes were given at the start. */
static boolean fill(j_decompress_ptr jpeg)
{
    give_up(jpeg->client_data, "the file ends too early");
}

static void skip(j_decompress_ptr jpeg, long n)
{
    if (n <= 0)
        return;
    if ((size_t)n > jpeg->src->bytes_in_buffer)
        fill(jpeg);
    jpeg->src->next_input_byte += n;
    jpeg->src->bytes_in_buffer -= (size_t)n;
}

static void on_progress(j_common_ptr jpeg)
{
    if (((j_decompress_ptr)jpeg)->input_scan_number > MOST_SCANS)
        give_up(jpeg->client_data, "too many scans");
}

/* Pillow's conversion; the samples are inverted, as Adobe's programs write them. */
static void from_cmyk(unsigned char *dst, const unsigned char *src, size_t width)
{
    for (size_t x = 0; x < width; x++, src += 4, dst += 3) {
        unsigned white = src[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = (255u - src[c]) * white + 128, ink = ((product >> 8) + product) >> 8;
            dst[c] = (unsigned char)(ink < white ? white - ink : 0);
        }
    }
}

/* Between setjmp and its return: everything here may end in a longjmp. */
static int decode(image *out, reader *r)
{
    j_decompress_ptr jpeg = &r->jpeg;

    jpeg_read_header(jpeg, TRUE);
    if (jpeg->arith_code)
        give_up(r, "arithmetic coding, which few programs read");
    r->rc = image_alloc(out, jpeg->image_width, jpeg->image_height, r->n, PIXELS_A_BYTE, r->e);
    if (r->rc)
        return r->rc;
    switch (jpeg->num_components) {
    case 1: jpeg->out_color_space = JCS_GRAYSCALE; break;
    case 3: jpeg->out_color_space = JCS_RGB; break;
    case 4: jpeg->out_color_space = JCS_CMYK; break;
    default: give_up(r, "neither one, three nor four components");
    }
    jpeg_start_decompress(jpeg);

    size_t width = (size_t)out->width;
    if (!(r->row = mem_array(width, (size_t)jpeg->output_components, r->e)))
        return r->rc = ERR_RESOURCE;
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *dst = out->rgb + (size_t)jpeg->output_scanline * width * 3;

        if (jpeg_read_scanlines(jpeg, &r->row, 1) != 1)
            give_up(r, "no more rows");
        if (jpeg->output_components == 3)
            memcpy(dst, r->row, 3 * width);
        else if (jpeg->output_components == 4)
            from_cmyk(dst, r->row, width);
        else
            for (size_t x = 0; x < width; x++)
                memset(dst + 3 * x, r->row[x], 3);
    }
    return 0;
}

int jpeg_read(image *out, const unsigned char *bytes, size_t n, err *e)
{
    reader *r = mem_array(1, sizeof *r, e);
    int rc;

    if (!r)
        return ERR_RESOURCE;
    r->n = n;
    r->e = e;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    r->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes, .bytes_in_buffer = n, .init_source = nothing, .fill_input_buffer = fill,
        .skip_input_data = skip, .resync_to_restart = jpeg_resync_to_restart, .term_source = nothing,
    };
    if (setjmp(r->back)) {
        rc = r->rc ? r->rc : image_damaged(e, "JPEG", r->message);
    } else {
        jpeg_create_decompress(&r->jpeg);
        r->jpeg.src = &r->source;
        r->jpeg.progress = &r->progress;
        rc = decode(out, r);
    }
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    if (rc)
        image_free(out);
    return rc;
}
