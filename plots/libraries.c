#include "plots/libraries.h"

#include <cairo.h>
#include <pango/pango.h>

const char *cairo_library_version(void)
{
    return cairo_version_string();
}

const char *pango_library_version(void)
{
    return pango_version_string();
}
