/* Pictures as sixels: bitmap graphics in the byte stream of a terminal (DEC STD 070, VT330/VT340).  Written here because
 * the one library for it, libsixel, brings a terminal driver and image loaders of its own for what are two pages of code. */
#ifndef ATTNSCOPE_PLOTS_SIXEL_H
#define ATTNSCOPE_PLOTS_SIXEL_H

#include "base/strbuf.h"

enum { SIXEL_COLOURS = 256, SIXEL_MOST = 8192 }; /* colour registers; pixels of a side */

/* Append the PNG file of n bytes as one sixel image.  Its registers hold a picture's colours as exactly as registers can
 * (whole percents of red, green and blue) where there are at most SIXEL_COLOURS of them; else the mean colours of that many
 * boxes, cut at medians.  ERR_INPUT for what is no PNG, ERR_RESOURCE for one larger than SIXEL_MOST a side. */
int sixel_from_png(strbuf *out, const void *png, size_t n, err *e);

#endif
