/* Pictures in a terminal: the page of `plot` as pixels, by kitty's protocol or as sixels. */
#ifndef ATTNSCOPE_CLI_VIEW_GRAPHICS_H
#define ATTNSCOPE_CLI_VIEW_GRAPHICS_H

#include "cli/command.h"
#include "cli/terminal.h"

typedef enum graphics_kind { GRAPHICS_NONE, GRAPHICS_SIXEL, GRAPHICS_KITTY } graphics_kind;
extern const char *const graphics_choices[]; /* auto, none, sixel, kitty: of the setting and of the option */

/* What --graphics, else the setting, says.  auto: kitty where the environment or the terminal says so, sixel where the
 * terminal's device attributes do; none for what is no terminal, without colour, and, but for sixels that it draws
 * itself, inside tmux or screen. */
graphics_kind graphics_choose(const session *s, const command_args *a);

/* The figure as one picture that leaves the prompt visible, appended to out as the bytes for the terminal; *fits false and
 * nothing appended where the window has no room for a page.  Sets width and dpi in p. */
int graphics_put(strbuf *out, bool *fits, graphics_kind kind, const figure *f, const figure_data *d, params *p, err *e);

/* PNG bytes in kitty's protocol: base64 in pieces of at most 4,096 characters, no answer asked for. */
void graphics_put_kitty(strbuf *out, const void *png, size_t n);

#endif
