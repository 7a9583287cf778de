/* Token ids as users write them. */
#ifndef ATTNSCOPE_CLI_TOKEN_IDS_H
#define ATTNSCOPE_CLI_TOKEN_IDS_H

#include <stdint.h>
#include "base/err.h"

/* "1,2,3" (spaces and brackets allowed), a .npy file, the array `ids` of a .npz file, or any other file as text
 * of that form; `@NAME` is always a file.  *ids: allocated, free().
 * option: what errors call the text, "--ids". */
int token_ids_parse(int32_t **ids, int64_t *n, const char *text, const char *option, err *e);

#endif
