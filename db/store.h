/* The store: every run with its provenance, as rows in SQLite.
 *
 * Schema (STRICT, foreign keys, WAL, application_id, user_version migrations): model, prompt, token, run,
 * unit, value, map, figure.  One unit (run x prompt) is one transaction: a crash at any moment loses at
 * most the unit in progress. */
#ifndef ATTNSCOPE_DB_STORE_H
#define ATTNSCOPE_DB_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/result.h"
#include "base/table.h"

typedef struct store store;

/* Open or create.  path ":memory:" keeps it in memory.  read_only refuses to create.
 * Errors say whether the file is not a database, not ours, newer than this program, locked (after a wait
 * of 5 s), read-only or on a full disk. */
int store_open(store **out, const char *path, bool read_only, err *e);
void store_close(store *s);
const char *store_path(const store *s);

typedef struct store_model {
    const char *path, *name, *family, *format, *dtype;
    const char *sha256, *tokenizer_sha256;     /* tokenizer: NULL when none was used */
    int n_layer, n_head, n_kv_head;
    int64_t width, vocab, context, n_param;
    const char *plan;                          /* attention plan of all layers, a line a layer */
} store_model;

typedef struct store_run {
    const char *verb;          /* "run", "census", ... */
    const char *command;       /* the exact command line that repeats it */
    const char *settings;      /* JSON object: metrics and their parameters */
    const char *precision, *isa, *version;
    const char *operator_name; /* "softmax" */
    const char *edits;         /* JSON list; "[]" */
    int threads;
    int64_t seed;              /* NO_INDEX when no random numbers were used */
} store_run;

typedef struct store_token { int32_t id; const char *text; size_t len; bool special; } store_token;

/* A run starts with status 'running' and is on disk when this returns. */
int store_run_begin(store *s, const store_model *m, const store_run *r, int64_t *run_id, err *e);
/* status: "done", "failed" or "cancelled"; message may be NULL. */
int store_run_end(store *s, int64_t run_id, const char *status, const char *message, err *e);

/* A unit: the prompt (found again by its hash when known), then values and maps, in one transaction.
 * label: the user's name for the prompt, or NULL.  text: what was tokenised, NULL for raw ids.
 * policy: what the tokenizer added. */
int store_unit_begin(store *s, int64_t run_id, int64_t index, const char *label, const char *text, size_t text_len,
                     const char *policy, const store_token *tokens, int64_t n_token, err *e);
int store_value(store *s, const result_value *v, err *e);
int store_map(store *s, const result_map *m, err *e);   /* cells are stored as zlib-compressed f32 */
int store_unit_commit(store *s, err *e);
void store_unit_rollback(store *s);
/* Values of the last committed unit or of a whole run are read back with store_query. */

/* Queries.  sql may hold ?1..?9, bound from `bind` (n_bind cells). */
int store_query(store *s, table **out, const char *sql, const cell *bind, int n_bind, err *e);
/* A statement typed by a user: exactly one statement; anything that writes is refused unless `write`.
 * limit > 0 stops after that many rows and sets *more. */
int store_user_sql(store *s, table **out, const char *sql, bool write, int64_t limit, bool *more, err *e);

/* The newest run (0: none), and whether a run exists. */
int store_last_run(store *s, int64_t *run_id, err *e);
int store_run_exists(store *s, int64_t run_id, bool *yes, err *e);

/* A map back from the store: cells [rows, cols] owned by the caller (free()); strings valid until close. */
typedef struct stored_map {
    int64_t n_query, n_key, pool, rows, cols;
    char pooling[8];
    float *cells;
} stored_map;
int store_get_map(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *out, err *e);

/* Remember that a figure was drawn: recipe, file, command. */
int store_figure(store *s, int64_t run_id, const char *recipe, const char *path, const char *command, err *e);

#endif
