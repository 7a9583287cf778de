/* Fuzz target for pictures: whatever the bytes, they end in an image that can be prepared for a model, or
 * in one message.  A PNG is read as it is, and with its checksums made right, or libpng would look no
 * further.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_image.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program: see tests/fuzz_driver.h.  Build it with
 * sanitizers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "model/input/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void prepare(const image *im)
{
    static const image_plan plans[] = {
        {.resize = true, .filter = IMAGE_BICUBIC, .size = IMAGE_SIZE_SHORTEST, .shortest = 5, .crop = true,
         .crop_height = 6, .crop_width = 4, .normalize = true, .mean = {1, 2, 3}, .std = {1, 2, 3}},
        {.backend = IMAGE_TORCHVISION, .pad_square = true, .resize = true, .filter = IMAGE_BILINEAR,
         .height = 7, .width = 3, .rescale = true, .rescale_factor = 0.5},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        if (plans[i].pad_square && (im->width > 1000 || im->height > 1000))
            continue; /* a square of that costs time, and nothing new is seen */
        float *x;
        int h, w;
        err e = {0};
        if (image_pixels(&x, &h, &w, im, &plans[i], &e) == 0) {
            sink = (double)x[3 * h * w - 1];
            free(x);
        } else if (!e.msg[0] || !e.hint[0]) {
            abort();
        }
    }
}

static void read_one(const uint8_t *data, size_t size)
{
    image im;
    err e = {0};

    if (image_load_memory(&im, data, size, &e) == 0) {
        unsigned sum = 0;
        for (size_t i = 0; i < (size_t)im.width * (size_t)im.height * 3; i++)
            sum += im.rgb[i];
        sink = sum;
        prepare(&im);
        image_free(&im);
    } else if (!e.msg[0] || !e.hint[0] || (e.code != ERR_INPUT && e.code != ERR_RESOURCE)) {
        abort(); /* a refusal says why and what to do */
    }
}

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void fix_checksums(uint8_t *p, size_t n)
{
    for (size_t at = 8; at + 12 <= n;) {
        uint32_t length = big32(p + at);
        if (length > n - at - 12)
            break;
        uint32_t crc = (uint32_t)crc32(0, p + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            p[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + (size_t)length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_one(data, size);
    if (size > 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) {
        uint8_t *copy = malloc(size);
        if (!copy)
            return 0;
        memcpy(copy, data, size);
        fix_checksums(copy, size);
        read_one(copy, size);
        free(copy);
    }
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/image_samples.h"

static void own_seeds(void)
{
    static const unsigned char zeros[64], palette[] = {10, 20, 30, 40, 50, 60};
    static const struct { unsigned char depth, type, interlace; } kinds[] = {
        {1, 0, 0}, {4, 0, 1}, {16, 0, 0}, {8, 2, 0}, {16, 2, 1},
        {1, 3, 0}, {8, 3, 1}, {8, 4, 0},  {8, 6, 0}, {16, 6, 1},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        png_sample s = {2, 2, kinds[i].depth, kinds[i].type, kinds[i].interlace, .rows = zeros};
        if (s.type == 3) {
            s.palette = palette;
            s.n_palette = sizeof palette;
        }
        s.n_rows = s.type == 6 ? 40 : 20; /* enough for any; libpng overlooks what is left */
        put_png(fuzz_seed(), &s);
    }
    for (int i = 0; i < N_JPEG; i++)
        fuzz_seed_bytes(jpeg_samples[i].bytes, jpeg_samples[i].n);
}

int main(int argc, char **argv)
{
    static const char *const words[] = {
        "\xff\xd8", "\xff\xc0", "\xff\xc2", "\xff\xda", "\xff\xdd", "\xff\xc4", "\xff\xd9", "\xff\xee",
        "IDAT", "PLTE", "tRNS", "iCCP", "zTXt", "sBIT", NULL,
    };
    fuzz_words = words;
    own_seeds();
    return fuzz_main(argc, argv, "damaged pictures");
}

#endif
