/* Tables of texts in JSON Lines, for the tokenize command. */
#ifndef ATTNSCOPE_CLI_TOKENIZE_CASES_H
#define ATTNSCOPE_CLI_TOKENIZE_CASES_H

#include "cli/command_util.h"
#include "model/tokenizer/tokenizer.h"

/* The "text" of each line of path (a file, a pipe or "-"), a line of output each. */
int tokenize_cases(session *s, const command_args *a, const tokenizer *tok, const char *path, err *e);
/* Hold each line's "ids" (nothing added), "ids_special" and "decoded" against the tokenizer: prints how many
 * lines agree and the first that do not.  ERR_DIFFERS when one does not. */
int tokenize_check(session *s, const command_args *a, const tokenizer *tok, const char *path, err *e);

/* Ids of a text as an array, free() it. */
int tokenize_ids(int32_t **out, const tokens *t, err *e);
/* {"schema":..., "ids":[...], "decoded":"..."} without its end.  decoded: scratch. */
int tokenize_put_ids(strbuf *b, const tokenizer *tok, const tokens *t, strbuf *decoded, err *e);

#endif
