/* Standard output that remembers why a write failed: with stdio alone the reason is gone by the time a
 * command has ended.  It can also hold back what is written, for a pager. */
#ifndef ATTNSCOPE_CLI_STANDARD_OUT_H
#define ATTNSCOPE_CLI_STANDARD_OUT_H

#include <stdbool.h>
#include <stdio.h>
#include "base/err.h"

/* A stream on file descriptor 1; close with fclose (the descriptor stays open).  It has no descriptor of
 * its own (fileno): ask cli/terminal.h what it is connected to. */
int standard_out_open(FILE **out, err *e);
/* errno of the first write that failed; 0: none did. */
int standard_out_errno(void);
/* The reader has gone (EPIPE). */
bool standard_out_closed(void);

/* From here on what is written is kept.  Where there is no memory for more, all of it is written after all. */
void standard_out_hold(void);
/* What was kept since (the stream flushed before), which is not written any more: free() it.  NULL: nothing. */
char *standard_out_release(size_t *n);
/* Bytes to the file descriptor as they are. */
void standard_out_write(const char *bytes, size_t n);

#endif
