/* The line on standard error that tells how far a long step is. */
#ifndef ATTNSCOPE_CLI_PROGRESS_BAR_H
#define ATTNSCOPE_CLI_PROGRESS_BAR_H

#include <stdbool.h>
#include "base/err.h"

typedef struct progress_bar progress_bar;

int progress_bar_new(progress_bar **out, err *e);
void progress_bar_free(progress_bar *b);
/* For screen readers: a line in words every few seconds, on any terminal, and nothing drawn over. */
void progress_bar_set_plain(progress_bar *b, bool on);
/* A command begins: forget the last step.  Nothing is ever drawn when quiet, or without a terminal. */
void progress_bar_begin(progress_bar *b, bool quiet);
/* Remove it from the screen: before anything else is printed, and when a command ends.  b may be NULL. */
void progress_bar_clear(progress_bar *b);
/* The hook of base/progress.h; ud is the bar.  Draws after half a second, ten times a second at most. */
void progress_bar_step(void *ud, const char *what, double done, double total);

/* One line of at most `columns` columns, without control characters: "layer [====>    ]  42 %  0:12 left".
 * seconds: since the step began.  Apart for tests. */
void progress_bar_text(char *out, int size, const char *what, double done, double total, double seconds,
                       int columns);
/* "layer: 42 percent, 12 seconds left", in words alone. */
void progress_words(char *out, int size, const char *what, double done, double total, double seconds);

#endif
