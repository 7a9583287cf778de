/* The libraries that draw, for --version: "1.16.0", as they are at run time. */
#ifndef ATTNSCOPE_PLOTS_LIBRARIES_H
#define ATTNSCOPE_PLOTS_LIBRARIES_H

const char *cairo_library_version(void);
const char *pango_library_version(void);

#endif
