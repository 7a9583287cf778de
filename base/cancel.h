/* Ctrl-C: a flag that long loops look at.  The signal handler in cli/ sets it; the shell clears it
 * before each command. */
#ifndef ATTNSCOPE_BASE_CANCEL_H
#define ATTNSCOPE_BASE_CANCEL_H

#include <stdbool.h>
#include "base/err.h"

void cancel_request(void);  /* async-signal-safe */
void cancel_clear(void);
bool cancel_requested(void);
/* 0, or ERR_CANCELLED with "cancelled" in e. */
int cancel_check(err *e);

#endif
