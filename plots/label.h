/* Labels: text from tokens and names, made safe to draw and measured in terminal columns. */
#ifndef ATTNSCOPE_PLOTS_LABEL_H
#define ATTNSCOPE_PLOTS_LABEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/strbuf.h"

/* Append s with everything invisible shown: control characters as \n, \t, \xHH, invalid bytes as \xHH,
 * format characters (zero width, direction marks) as \u200B, separators and text of blanks only as ␣. */
void label_put_visible(strbuf *b, const char *s);
/* The same for a page: a joiner (U+200D) between two pictographs stays, so that the fonts draw one. */
void label_put_drawn(strbuf *b, const char *s);
/* The same in ASCII alone: common punctuation by its ASCII relative, other characters as \u00E9. */
void label_put_ascii(strbuf *b, const char *s);

/* Columns that UTF-8 text takes in a terminal (wide characters 2, combining ones 0). */
int label_columns(const char *s);
/* Append visible text cut to at most `columns`, ending in "…" (ascii: "~") when something was left out. */
void label_put_cut(strbuf *b, const char *s, int columns, bool ascii);

#endif
