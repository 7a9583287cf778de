/* Names that a user gave to texts: variables (`let`) and aliases. */
#ifndef ATTNSCOPE_CLI_NAME_LIST_H
#define ATTNSCOPE_CLI_NAME_LIST_H

#include <stdbool.h>
#include "base/table.h"

typedef struct name_entry {
    char *name, *text;   /* owned */
    bool config;         /* from the configuration file */
} name_entry;

typedef struct name_list {
    int n;
    name_entry *entry;   /* [n] sorted by name */
} name_list;

/* NULL: there is none.  Holds until the list is changed. */
const name_entry *name_list_find(const name_list *l, const char *name);
/* Give name a text, in place of the one that it has. */
int name_list_set(name_list *l, const char *name, const char *text, bool config, err *e);
/* False: there is none. */
bool name_list_remove(name_list *l, const char *name);
void name_list_free(name_list *l);

/* A row of texts (NULL: stays NULL) for a table of them. */
int name_table_row(table *t, const char *const *texts, err *e);
/* Rows name, text, "config" or "session"; behind them NULLs where the table has more columns. */
int name_list_rows(table *t, const name_list *l, err *e);

#endif
