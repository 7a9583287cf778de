/* What the terminal can show. */
#ifndef ATTNSCOPE_CLI_TERMINAL_H
#define ATTNSCOPE_CLI_TERMINAL_H

#include <stdbool.h>
#include "cli/session.h"
#include "plots/figure.h"

/* Results of this session go to a terminal (not to a file, a pipe or --output). */
bool terminal_output(const session *s);
/* Colours for results: TERM_ASCII when there is no terminal, TERM is dumb or unset, NO_COLOR is set and not
 * empty, the setting color is never, or plain is set; color always gives 256 colours to a pipe.  TERM_TRUE when COLORTERM
 * says truecolor or 24bit. */
term_colour terminal_colour(const session *s);
/* Of the terminal behind file descriptor fd; else COLUMNS and LINES; else 80 x 24. */
view_size terminal_size(int fd);
/* Pixels of a character cell, as the kernel knows them; false when it does not. */
typedef struct cell_pixels { int w, h; } cell_pixels;
bool terminal_cell(int fd, cell_pixels *out);
/* Such as a font that somebody reads has. */
bool cell_pixels_sane(cell_pixels c);
/* The locale's encoding is UTF-8 (call setlocale(LC_CTYPE, "") first). */
bool terminal_utf8(void);
/* fd is a terminal that understands "back to the start of the line" and "erase". */
bool terminal_can_redraw(int fd);

#endif
