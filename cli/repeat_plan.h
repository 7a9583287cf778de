/* What it takes to do a stored run again: its command, with what the store knows about its inputs. */
#ifndef ATTNSCOPE_CLI_REPEAT_PLAN_H
#define ATTNSCOPE_CLI_REPEAT_PLAN_H

#include "base/strbuf.h"
#include "cli/command_util.h"

typedef struct repeat_plan {
    int64_t run;
    store *st;                    /* where it is; borrowed */
    table *facts;                 /* one row; see repeat_fact */
    const command *c;
    params *p;                    /* the options of the recorded command, without those that say where output goes */
    const char **positional;      /* [n] */
    int n;
    strbuf line;                  /* "verb words": as recorded, without those options */
    arena mem;                    /* the words */
    strbuf notes;                 /* a line each: what is not as it was and does not matter, or was forced */
    int *fd;                      /* [n_fd] files in memory that stand for files that are gone */
    int n_fd;
} repeat_plan;

/* Read and prepare.  path: of the model, in place of the recorded one; NULL: that.  ERR_FAILED for a run whose command
 * this program cannot read. */
int repeat_plan_make(repeat_plan *out, store *st, int64_t run, const char *path, err *e);
void repeat_plan_free(repeat_plan *r);

/* A column of the run: "verb", "settings", "precision", "isa", "version", "status", "path", "sha256",
 * "tokenizer_sha256", "command"; "" when NULL. */
const char *repeat_fact(const repeat_plan *r, const char *name);

/* Hold weights and tokenizer against the run's (loads the model) and every file that was read.  What differs is refused
 * (ERR_INPUT), with force only noted.  A text whose file is gone or has changed is taken from the store. */
int repeat_check(repeat_plan *r, session *s, store *st, bool force, err *e);

/* In repeat_inputs.c: the files alone. */
int repeat_inputs(repeat_plan *r, store *st, bool force, err *e);
/* Refuse with the message in e, or note it. */
int repeat_refuse(repeat_plan *r, bool force, err *e);

#endif
