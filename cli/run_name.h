/* Naming a stored run: the one reading of RUN, wherever a run is named.
 *
 *     5                  run 5
 *     last               the newest that is done, the newest of all where none is
 *     last-1, last-2     the one before it, and so on, among those that are done
 *
 * "Last of MODEL", the same among the runs of one model (its name, or its path), is `last of lantern-3m`, `last-1 of
 * lantern-3m`: one word, in quotes.  Words are the same in capitals. */
#ifndef ATTNSCOPE_CLI_RUN_NAME_H
#define ATTNSCOPE_CLI_RUN_NAME_H

#include "db/store.h"

/* Does word name a run by its form?  Nothing is looked up. */
bool run_name_like(const char *word);
/* The run that word names.  ERR_USAGE: no such form, or no such run (the hint says which there are); ERR_FAILED: the store has
 * none. */
int run_name_read(int64_t *run, store *st, const char *word, err *e);
/* A store as a sentence names it: its path, or "this session". */
const char *store_words(const store *st);
/* The newest run that is done, else the newest of all; 0: there is none. */
int run_newest(int64_t *run, store *st, err *e);
/* Which runs there are, "1-3, 5", as the hint of the error that is in e. */
int run_name_hint(store *st, err *e);

#endif
