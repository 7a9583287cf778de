/* Completion in the shell. */
#ifndef ATTNSCOPE_CLI_COMPLETE_H
#define ATTNSCOPE_CLI_COMPLETE_H

#include "cli/line_context.h"

/* Words that may stand at a place.  free() each word and the array: word_list_free. */
typedef struct word_list { int n, cap; char **word; bool failed; } word_list;
void word_list_add(word_list *l, const char *word);
void word_list_free(word_list *l);

/* All words that fit the place (not yet narrowed by what is typed).  False: file names belong there.
 * Looks at the loaded model and at the store of the session, but opens neither. */
bool complete_words(word_list *out, const session *s, const line_context *at);

/* Hook completion into Readline.  before: text of the command typed on lines before the current one. */
void complete_install(session *s, const strbuf *before);

#endif
