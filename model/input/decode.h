/* The two decoders behind image_load_memory; nobody else needs them. */
#ifndef ATTNSCOPE_MODEL_INPUT_DECODE_H
#define ATTNSCOPE_MODEL_INPUT_DECODE_H

#include "model/input/image.h"

int png_read(image *out, const unsigned char *bytes, size_t n, err *e);
int jpeg_read(image *out, const unsigned char *bytes, size_t n, err *e);

/* Memory for width x height pixels.  A file of n bytes is believed to hold them only if that is at most
 * pixels_a_byte times n: memory stays tied to the file. */
int image_alloc(image *out, unsigned width, unsigned height, size_t n, unsigned pixels_a_byte, err *e);

/* A library's message in the style of ours: "Premature end" as "damaged PNG: premature end". */
int image_damaged(err *e, const char *format, const char *message);

#endif
