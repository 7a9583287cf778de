/* What a terminal says of itself when it is asked. */
#ifndef ATTNSCOPE_CLI_VIEW_QUERY_H
#define ATTNSCOPE_CLI_VIEW_QUERY_H

#include <stdbool.h>
#include "cli/terminal.h"

enum { QUERY_MS = 150 }; /* a terminal that has not answered by then is mute */

typedef struct terminal_answers {
    bool kitty;         /* takes pictures in kitty's protocol */
    bool sixel;         /* primary device attributes with a 4 among them */
    cell_pixels cell;   /* 0 x 0: not told */
} terminal_answers;

/* Ask the terminal on standard input and output, once in the life of the program; the same answers from then on.
 * kitty: also whether it knows kitty's pictures.  All answers false where there is no terminal.
 *
 * Keys that are pressed meanwhile are put back into the terminal's queue; where the kernel refuses that (Linux with
 * dev.tty.legacy_tiocsti off) they come into the shell's next line instead. */
const terminal_answers *terminal_ask(bool kitty);

/* The parts of an input that are answers go to `out`, what else it holds (keys) to typed; true once the device attributes
 * are among them, which terminals send last. */
bool terminal_read_answers(terminal_answers *out, strbuf *typed, const char *s, size_t n);

#endif
