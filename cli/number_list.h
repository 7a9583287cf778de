/* Lists of numbers as users write them. */
#ifndef ATTNSCOPE_CLI_NUMBER_LIST_H
#define ATTNSCOPE_CLI_NUMBER_LIST_H

#include <stdint.h>
#include "base/err.h"

/* "128,256,500", or "A:B:N" for N numbers from A to B at equal distances, rounded to whole ones; both may be mixed.
 * Each within [min, max].  *list: [*n] n >= 1, free().  option: what errors call the text, "--lengths". */
int number_list_parse(double **list, int64_t *n, const char *text, double min, double max, const char *option, err *e);

#endif
