/* How many columns of a terminal a text takes. */
#ifndef ATTNSCOPE_CLI_TEXT_WIDTH_H
#define ATTNSCOPE_CLI_TEXT_WIDTH_H

#include <stddef.h>
#include <stdint.h>

/* 0 for combining marks and other characters without a width, 2 for wide East Asian characters and emoji
 * (Unicode's East_Asian_Width W and F), else 1. */
int codepoint_columns(uint32_t c);
/* Of n bytes of UTF-8; a byte that is no UTF-8 counts 1. */
int text_columns(const char *s, size_t n);
/* Bytes at the start of s that fit into `columns` columns. */
size_t text_fit(const char *s, size_t n, int columns);

#endif
