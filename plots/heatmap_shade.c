/* The colours and characters of cells in a terminal. */
#include <math.h>

#include "plots/heatmap_view.h"

static const char ramp[] = ".:-=+*#%@"; /* lowest to highest; a blank is no value */
const rgb heatmap_view_missing = {0x58, 0x58, 0x58};

void heatmap_view_colour(strbuf *b, term_colour mode, bool background, rgb c)
{
    if (mode == TERM_TRUE)
        strbuf_printf(b, "\x1b[%d;2;%d;%d;%dm", background ? 48 : 38, c.r, c.g, c.b);
    else if (mode == TERM_256)
        strbuf_printf(b, "\x1b[%d;5;%dm", background ? 48 : 38, rgb_to_256(c));
}

char heatmap_view_shade(double t)
{
    int i = (int)(t * HEATMAP_VIEW_LEVELS);

    return ramp[i < HEATMAP_VIEW_LEVELS ? i : HEATMAP_VIEW_LEVELS - 1];
}

char heatmap_view_char(const scale *s, double v)
{
    return isnan(v) ? ' ' : heatmap_view_shade(scale_unit(s, v));
}
