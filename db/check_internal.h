/* What the files of store_check share. */
#ifndef ATTNSCOPE_DB_CHECK_INTERNAL_H
#define ATTNSCOPE_DB_CHECK_INTERNAL_H

#include "base/progress.h"
#include "db/internal.h"

/* What one check has found: how often, and the first in words. */
typedef struct findings { int64_t n; char first[200]; } findings;
void found_one(findings *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- check_rows.c: what SQL alone cannot see; each reads all rows it is about ---- */
int check_prompts(store *s, findings *f, err *e);   /* hashes of texts and tokens */
int check_maps(store *s, findings *f, err *e);      /* bytes that decode to their shape */
int check_models(store *s, findings *f, err *e);    /* identities */
int check_names(store *s, findings *f, err *e);     /* of sites and of listed heads; uids */
int check_summaries(store *s, findings *f, err *e); /* against the values */

#endif
