/* Pictures as a vision model takes them: PNG and JPEG files, and the checkpoint's own preprocessing.
 *
 *     image im; image_plan plan; float *pixels; int h, w;
 *     image_plan_load(&plan, "folder of the checkpoint", e);
 *     image_load(&im, "cat.jpg", e);
 *     image_pixels(&pixels, &h, &w, &im, &plan, e);     pixels [3, h, w]: free()
 *
 * Decoding gives what Pillow's Image.open(path).convert("RGB") gives, preprocessing what the image
 * processors of Hugging Face's transformers give. */
#ifndef ATTNSCOPE_MODEL_INPUT_IMAGE_H
#define ATTNSCOPE_MODEL_INPUT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

/* Nothing larger is decoded, resized or padded to (Pillow refuses more than twice 89 million as well). */
#define IMAGE_MOST_PIXELS 178956970

typedef struct image {
    int width, height;  /* both > 0 */
    unsigned char *rgb; /* [height, width, 3] */
} image;

/* Decode a PNG or JPEG file; its content decides which, not its name.
 *
 * PNG: every colour type and depth, interlaced or not.  Alpha and tRNS are dropped (not blended), gamma
 * and colour profiles ignored.  16 bits become 8 as in Pillow: colour keeps the high byte; grey (mode
 * "I;16") is clipped at 255.
 * JPEG: grey, YCbCr, RGB, CMYK and YCCK (inverted as Adobe writes it), 8 bit,
 * sequential or progressive.  The EXIF orientation is not applied.  A JPEG that ends early is refused.
 *
 * ERR_INPUT for anything that is not such a file, ERR_RESOURCE without memory.  out is valid only on
 * success. */
int image_load(image *out, const char *path, err *e);
int image_load_memory(image *out, const void *bytes, size_t n, err *e);
void image_free(image *im); /* im may be NULL or zeroed */

/* Values of PIL.Image.Resampling, as written in the config. */
typedef enum image_filter {
    IMAGE_NEAREST = 0, IMAGE_LANCZOS = 1, IMAGE_BILINEAR = 2, IMAGE_BICUBIC = 3, IMAGE_BOX = 4,
    IMAGE_HAMMING = 5,
} image_filter;

/* Whose arithmetic: the processors of transformers exist in two forms that differ by at most one grey
 * level of a resized pixel, by where an odd padding goes, and in the last bits of the normalisation.  A
 * config whose processor name ends in "Fast" names torchvision; every other one means Pillow (the form
 * such names had when the checkpoints were published, and the only one whose result does not depend on the
 * processor's instruction set). */
typedef enum image_backend { IMAGE_PILLOW, IMAGE_TORCHVISION } image_backend;

typedef enum image_size_kind {
    IMAGE_SIZE_EXACT,    /* height x width */
    IMAGE_SIZE_SHORTEST, /* the shorter edge becomes `shortest`; the longer keeps the ratio, truncated ... */
    IMAGE_SIZE_RANGE,    /* ... and stays at or below `longest` */
    IMAGE_SIZE_WITHIN,   /* the largest of the same ratio within height x width (max_height, max_width) */
} image_size_kind;

/* A preprocessor_config.json in force: every step and its numbers.  Steps run in this order. */
typedef struct image_plan {
    char type[64];               /* "CLIPImageProcessor"; empty when the config names none */
    image_backend backend;
    bool pad_square;             /* LLaVA's do_pad: to a square of the longer edge, in the mean colour */
    bool resize;
    image_filter filter;
    image_size_kind size;
    int height, width, shortest, longest;
    bool crop;                   /* centre; what is missing is zero */
    int crop_height, crop_width;
    bool rescale;
    double rescale_factor;
    bool normalize;
    double mean[3], std[3];
    bool pad;                    /* zeros below and to the right, after normalising */
    int pad_height, pad_width;
} image_plan;

/* Read a plan from the parsed preprocessor_config.json (or a processor_config.json, whose
 * "image_processor" is taken).  Older and newer spellings are read: sizes as a number, a pair or an
 * object; resample as a number or absent; image_processor_type or feature_extractor_type.  Keys that are
 * absent have the default of the named processor (ViT, DeiT, CLIP, SigLIP, BiT, LLaVA); without a name, a
 * key that is needed and absent is an error. A processor that is not known is refused by name: its steps
 * could be others. */
int image_plan_read(image_plan *out, const json *config, err *e);

/* The same from a checkpoint's folder: processor_config.json when it holds an image processor, else
 * preprocessor_config.json; ERR_INPUT when there is neither. */
int image_plan_load(image_plan *out, const char *folder, err *e);

/* im through the plan: *pixels [3, *height, *width] float32, free() it. */
int image_pixels(float **pixels, int *height, int *width, const image *im, const image_plan *p, err *e);

/* Image.resize of Pillow 13 (or torch's antialiased uint8 interpolation): out gets its own memory, which
 * image_free releases.  Pictures that lose more than twice as many rows as columns come out of older
 * Pillows with single samples one level off, because those take the two axes in the other order. */
int image_resize(image *out, const image *im, int width, int height, image_filter f, image_backend b, err *e);

/* Finished pixels from a .npy file, [3, H, W] or [1, 3, H, W] in f16, f32 or f64, all finite: *pixels [3,
 * H, W] float32 (free()), shape = {3, H, W}. */
int pixels_from_npy(float **pixels, int64_t shape[3], const char *path, err *e);

#endif
