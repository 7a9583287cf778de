/* Ctrl-C and the like. */
#ifndef ATTNSCOPE_CLI_SIGNALS_H
#define ATTNSCOPE_CLI_SIGNALS_H

#include <stdbool.h>

/* SIGINT, SIGTERM and SIGHUP ask the running command to stop (base/cancel.h).  In batch a second one ends
 * the program at once, without half-written files; in the shell the user may press Ctrl-C as often as they
 * like.  SIGPIPE is ignored: a write tells. */
void signals_install(bool interactive);
/* SIGTERM or SIGHUP came: the shell leaves, too. */
bool signals_end(void);

#endif
