/* Where the results of a run go: rows of the store and, with --json, a line on standard output each. */
#ifndef ATTNSCOPE_CLI_RUN_SINK_H
#define ATTNSCOPE_CLI_RUN_SINK_H

#include <stdbool.h>
#include <stdio.h>
#include "base/result.h"
#include "base/strbuf.h"
#include "db/store.h"

typedef struct run_sink {
    store *st;
    int64_t run, prompt;    /* ids that the JSON lines carry */
    FILE *json;             /* NULL: no lines */
    struct progress_bar *bar; /* taken off the screen before lines are written; may be NULL */
    bool keep_going;        /* the reader of the lines may leave: the rows are wanted all the same */
    int64_t n_value, n_map; /* counted while they pass */
    strbuf line;
} run_sink;

result_sink run_sink_use(run_sink *s);
/* Write the lines that are still held back, down to the file. */
int run_sink_flush(run_sink *s, err *e);
void run_sink_free(run_sink *s);

/* {"schema":"attnscope.value/1","run":1,"prompt":0,"kind":"self","metric":"entropy","layer":3,"head":7,
 * "position":null,"value":1.25} and a newline, appended to b. */
void run_value_json(strbuf *b, int64_t run, int64_t prompt, const result_value *v);

#endif
