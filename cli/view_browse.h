/* `view -i`: a figure in the whole window, moved through with keys. */
#ifndef ATTNSCOPE_CLI_VIEW_BROWSE_H
#define ATTNSCOPE_CLI_VIEW_BROWSE_H

#include "cli/command.h"
#include "plots/figure.h"

/* ERR_USAGE, with what to do instead, where there is no terminal for it. */
int view_browse_check(const session *s, err *e);
/* Until the user leaves.  ERR_CANCELLED after Ctrl-C; errors before the first picture are those of a printed view. */
int view_browse(session *s, const command_args *a, store *st, const figure *f, err *e);

struct view_window;
/* Save what is shown as `plot` draws it: path "" makes a name.  The file's name goes to `message`. */
int view_save(struct view_window *w, const char *path, err *e); /* cli/view_save.c */

#endif
