/* What characters do on a terminal: how many columns a text takes, and which must not get there. */
#ifndef ATTNSCOPE_BASE_TEXT_WIDTH_H
#define ATTNSCOPE_BASE_TEXT_WIDTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 for combining marks and other characters without a width, 2 for wide East Asian characters and emoji
 * (Unicode's East_Asian_Width W and F), else 1. */
int codepoint_columns(uint32_t c);
/* Controls (C0, DEL, C1), and characters that show nothing or turn the text around them (Unicode's Default_Ignorable and
 * Bidi_Control but for selectors): text from elsewhere is shown with these spelled out. */
bool codepoint_hidden(uint32_t c);
/* Of n bytes of UTF-8; a byte that is no UTF-8 counts 1. */
int text_columns(const char *s, size_t n);
/* Bytes at the start of s that fit into `columns` columns. */
size_t text_fit(const char *s, size_t n, int columns);

#endif
