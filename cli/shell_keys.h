/* What the shell's keys do, and the hint behind the cursor. */
#ifndef ATTNSCOPE_CLI_SHELL_KEYS_H
#define ATTNSCOPE_CLI_SHELL_KEYS_H

#include "cli/session.h"

/* Bind keys that the user's inputrc leaves as they are: Up and Down search the history for what is typed so far, `?` at
 * the beginning of a word and Alt-h show help for the place.  And draw hints (`set hints`). */
void shell_keys_install(session *s);
/* Take the hint from the screen: before a key is read, for what it does may leave the line. */
void shell_hint_clear(void);
/* Draw the line anew in a window of another size. */
void shell_resized(void);

#endif
