/* The terminal while a viewer or a question has it: keys without Enter and echo, an alternate screen, and both given
 * back in every case: at the end, at exit, after Ctrl-C, SIGTERM, SIGHUP and crashes, while stopped by Ctrl-Z.
 *
 * termios and plain escape sequences rather than ncurses: curses knows no 24-bit colours but by redefining a palette of
 * its own, colour pairs for every two neighbours, and a screen model that would have to be told about every picture; of
 * terminfo only "go there", "erase" and the alternate screen would be left, which are ECMA-48 and the same everywhere.
 *
 * One terminal, standard input and output; one user of it at a time. */
#ifndef ATTNSCOPE_CLI_VIEW_TERMINAL_H
#define ATTNSCOPE_CLI_VIEW_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/strbuf.h"

/* Take it.  screen: the alternate screen without a cursor, for a viewer; else keys alone.  ERR_FAILED where standard input
 * or output is no terminal. */
int tty_begin(bool screen, err *e);
/* Give it back; nothing where it was not taken. */
void tty_end(void);

/* Bytes to the terminal, at once.  False when it has gone away, or a signal that ends the program came. */
bool tty_write(const char *bytes, size_t n);

/* What ended a wait. */
typedef enum tty_wake { TTY_INPUT, TTY_TIME, TTY_RESIZED, TTY_CANCELLED } tty_wake;
/* Until there is input, for at most ms (below 0: for ever).  TTY_RESIZED: the window has another size, or the screen is
 * ours again after a stop: draw anew. */
tty_wake tty_wait(int ms);
/* What can be read at once, at most `most` bytes; 0 at the end of input. */
size_t tty_read(char *bytes, size_t most);

/* --- keys (cli/view_keys.c) --- */

/* Characters are themselves; the others begin behind Unicode. */
typedef enum key_code {
    KEY_NONE, KEY_CANCEL = 3, KEY_BACKSPACE = 8, KEY_TAB = 9, KEY_ENTER = 13, KEY_KILL = 21, KEY_ESCAPE = 27,
    KEY_UP = 0x110000, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_REDRAW, KEY_GONE
} key_code;
typedef struct key { uint32_t code; bool shift; } key;

/* The next key.  KEY_REDRAW after TTY_RESIZED, KEY_GONE when the terminal has gone or a signal ends the program.  What
 * is no key (a terminal's late answer, a mouse) is skipped. */
key tty_key(void);
/* Is another key there already?  Then drawing can wait. */
bool tty_key_waits(void);

#endif
