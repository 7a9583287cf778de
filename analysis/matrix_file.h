/* A matrix of numbers that the user wrote: .npy, or text with a row a line. */
#ifndef ATTNSCOPE_ANALYSIS_MATRIX_FILE_H
#define ATTNSCOPE_ANALYSIS_MATRIX_FILE_H

#include <stdint.h>
#include "base/err.h"

enum { MATRIX_FILE_MAX = 1 << 28 }; /* cells: 1 GiB as float32 */

/* *cells [rows, cols], free() it.  Text: numbers divided by commas, semicolons, blanks or tabs, rows of one
 * length, blank lines and those that begin with # left out.  ERR_INPUT: no two dimensions, a cell that is no
 * finite number, too many. */
int matrix_load(float **cells, int64_t *rows, int64_t *cols, const char *path, err *e);

#endif
