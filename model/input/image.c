/* Which decoder, and what both need. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "model/input/decode.h"

int image_alloc(image *out, unsigned width, unsigned height, size_t n, unsigned pixels_a_byte, err *e)
{
    if (width == 0 || height == 0) {
        err_set(e, ERR_INPUT, "the picture is %u x %u pixels", width, height);
        return err_hint(e, "export it again: it holds nothing");
    }
    if (height > IMAGE_MOST_PIXELS / width) {
        err_set(e, ERR_INPUT, "the picture is %u x %u pixels; the most that is read is %d million", width,
                height, IMAGE_MOST_PIXELS / 1000000);
        return err_hint(e, "scale it down first; the model sees far fewer pixels anyway");
    }
    if ((uint64_t)width * height / pixels_a_byte > n) {
        err_set(e, ERR_INPUT, "the picture claims %u x %u pixels, which %zu bytes cannot hold", width, height,
                n);
        return err_hint(e, "the file is cut off or damaged: fetch or export it again");
    }
    out->width = (int)width;
    out->height = (int)height;
    out->rgb = mem_array((size_t)width * height, 3, e);
    return out->rgb ? 0 : ERR_RESOURCE;
}

int image_damaged(err *e, const char *format, const char *message)
{
    /* A capital that begins a word, not an abbreviation. */
    bool lower = isupper((unsigned char)message[0]) && !isupper((unsigned char)message[1]);

    err_set(e, ERR_INPUT, "damaged %s: %c%s", format, lower ? tolower((unsigned char)message[0]) : message[0],
            message[0] ? message + 1 : "");
    return err_hint(e, "fetch or export the picture again, as an 8-bit PNG if it keeps failing");
}

int image_load_memory(image *out, const void *bytes, size_t n, err *e)
{
    const unsigned char *p = bytes;

    *out = (image){0};
    if (n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0)
        return png_read(out, p, n, e);
    if (n >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0)
        return jpeg_read(out, p, n, e);
    if (n == 0)
        err_set(e, ERR_INPUT, "the picture file is empty");
    else
        err_set(e, ERR_INPUT, "neither a PNG nor a JPEG picture");
    return err_hint(e, "convert it to PNG, or pass finished pixels as a .npy file");
}

int image_load(image *out, const char *path, err *e)
{
    mapfile m;
    int rc = mapfile_open(&m, path, e);

    *out = (image){0};
    if (rc)
        return rc;
    rc = image_load_memory(out, m.data, m.size, e);
    if (rc)
        rc = err_prefix(e, "%s", path);
    mapfile_close(&m);
    return rc;
}

void image_free(image *im)
{
    if (!im)
        return;
    free(im->rgb);
    *im = (image){0};
}
