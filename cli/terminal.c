#include "cli/terminal.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool dumb(void)
{
    const char *term = getenv("TERM");
    return !term || !*term || !strcmp(term, "dumb");
}

bool terminal_output(const session *s)
{
    return s->out == s->standard_out && isatty(STDOUT_FILENO);
}

term_colour terminal_colour(const session *s)
{
    const char *wish = params_str(s->settings, "color");
    const char *no_color = getenv("NO_COLOR"), *depth = getenv("COLORTERM");
    if (!strcmp(wish, "never") || params_bool(s->settings, "plain"))
        return TERM_ASCII;
    if (strcmp(wish, "always") != 0 && (!terminal_output(s) || dumb() || (no_color && *no_color)))
        return TERM_ASCII;
    return depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit")) ? TERM_TRUE : TERM_256;
}

/* A size from the environment within what anybody could mean; 0 when there is none. */
static int size_from(const char *name)
{
    int64_t n;
    const char *text = getenv(name);
    return text && parse_int(&n, text) && n >= 1 && n <= 10000 ? (int)n : 0;
}

bool cell_pixels_sane(cell_pixels c)
{
    return c.w >= 3 && c.h >= 5 && c.w <= 200 && c.h <= 400;
}

view_size terminal_size(int fd)
{
    struct winsize w;
    view_size size = {0, 0};
    if (ioctl(fd, TIOCGWINSZ, &w) == 0)
        size = (view_size){w.ws_col, w.ws_row};
    if (size.columns <= 0)
        size.columns = size_from("COLUMNS");
    if (size.lines <= 0)
        size.lines = size_from("LINES");
    return (view_size){size.columns > 0 ? size.columns : 80, size.lines > 0 ? size.lines : 24};
}

bool terminal_cell(int fd, cell_pixels *out)
{
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 || w.ws_row == 0)
        return false;
    *out = (cell_pixels){w.ws_xpixel / w.ws_col, w.ws_ypixel / w.ws_row};
    return cell_pixels_sane(*out);
}

bool terminal_utf8(void)
{
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

bool terminal_can_redraw(int fd)
{
    return isatty(fd) && !dumb();
}
