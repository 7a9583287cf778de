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

/* All words that fit the place (not yet narrowed by what is typed, but for lists that would be very long).  text: the line,
 * of which at is a place.  Looks at the loaded model and at the store, but changes neither. */
void complete_words(word_list *out, const session *s, const line_context *at, const char *text);
/* Is the word at the place several to complete: a statement of SQL, a selection of heads in quotes?  Returns the
 * characters that keep them apart, NULL: it is not. */
const char *complete_inner(const line_context *at);

/* Does a blank belong behind this word of a quoted selection or edit, for it says nothing alone ("top", "zero")? */
bool complete_goes_on(const line_context *at, const char *word);

/* --- sources --- */

void complete_metrics(word_list *out);
/* Those that the store has values of; where none of them begins like what is typed, all. */
void complete_measured(word_list *out, const session *s, const line_context *at, const char *typed);
/* What is typed of the last piece of the word at the place, as far as the word is kept. */
const char *complete_typed(const line_context *at);
void complete_runs(word_list *out, const session *s, const line_context *at);
/* Keywords, tables and views, columns of those that the statement names, metrics in quotes: point: the cursor in it. */
void complete_sql(word_list *out, const session *s, const line_context *at, const char *statement, size_t point);
/* What a query gives of the store that a command at the place would use: that of its --store, else the session's, which is
 * opened to look at it where no command has opened it yet.  0, or a code: there is no such store, or it cannot be read. */
int complete_query(table **out, const session *s, const line_context *at, const char *sql);
/* Does the text hold this name as a word? */
bool complete_names(const char *text, const char *name);
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
