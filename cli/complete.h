/* Completion in the shell. */
#ifndef ATTNSCOPE_CLI_COMPLETE_H
#define ATTNSCOPE_CLI_COMPLETE_H

#include "cli/line_context.h"
#include "cli/parse.h"

/* Words that may stand at a place.  free() each word and the array: word_list_free. */
typedef struct word_list {
    int n, cap;
    char **word, **about;   /* about: a few words on it, NULL entries where there are none */
    bool files;             /* file names may stand there as well */
    bool models;            /* of them only folders and those that models are stored in */
    bool stem;              /* words may go on: no blank behind them */
    bool failed;
} word_list;
void word_list_add(word_list *l, const char *word);
void word_list_describe(word_list *l, const char *word, const char *about);
void word_list_free(word_list *l);

/* All words that fit the place (not yet narrowed by what is typed).  text: the line, of which at is a place.  Looks at
 * the loaded model and at the open store of the session, but opens neither. */
void complete_words(word_list *out, const session *s, const line_context *at, const char *text);
/* Is the word at the place several to complete: a statement of SQL, a selection of heads in quotes?  Returns the
 * characters that keep them apart, NULL: it is not. */
const char *complete_inner(const line_context *at);

/* Does a blank belong behind this word of a quoted selection or edit, for it says nothing alone ("top", "zero")? */
bool complete_goes_on(const line_context *at, const char *word);

/* --- sources --- */

void complete_metrics(word_list *out);
void complete_runs(word_list *out, const session *s);
/* Keywords, tables and views, columns of those that the statement names, metrics in quotes: point: the cursor in it. */
void complete_sql(word_list *out, const session *s, const char *statement, size_t point);
/* Heads or layers of the loaded model; in a selection in quotes also the words of the grammar, metrics and runs.
 * before: the text of the selection up to the word. */
void complete_heads(word_list *out, const session *s, const line_context *at, const char *before, bool layers);
/* "zero L1H3; scale 2 top ...": names of edits, then what they take. */
void complete_edits(word_list *out, const session *s, const line_context *at, const char *before);
/* The place in a line with the alias that begins its command in full, where it is one. */
void complete_place(line_context *out, const session *s, const char *line, size_t point);

/* --- Readline's side --- */

/* Hook completion into Readline.  before: text of the command typed on lines before the current one; wait: what that
 * text waits for. */
void complete_install(session *s, const strbuf *before, const parse_wait *wait);
/* The place of the cursor in Readline's line.  False: in a here-document, where all is text. */
bool complete_cursor(line_context *out);

#endif
