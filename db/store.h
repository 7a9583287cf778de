/* The store: every run with its provenance, as rows in one SQLite file.
 *
 * Tables (all STRICT; their columns are explained in db/schema.c and by `.schema` of the sqlite3 program):
 *   model, run, unit     what was run on what: a unit is one prompt of one run
 *   prompt, token        what was tokenised; the same prompt is one row for all runs
 *   input                what else a unit read: source text, image, audio
 *   fact                 what a unit is or gave in words: domain, generated text
 *   metric, site, value  the results: site says which kind of attention, layer, head
 *   map, figure          stored attention maps; figures that were drawn
 *   sweep                what one file asked for: its runs
 *   summary              values of a run over its prompts, kept by the store itself (db/schema_4.c)
 *   head_set, head_set_item  lists of heads with a name
 * Views, for questions typed by hand (STORE.md explains all of them):
 *   run_list(run, model, verb, status, prompts, started, seconds, precision, operator, command)
 *   head_value(run, prompt, metric, kind, layer, head, head_name, position, value)   values of heads
 *   value_list(the same columns)                       all values; layer, head, head_name may be NULL
 *   map_list(run, prompt, kind, layer, head, head_name, n_query, n_key, pool, pooling, bytes)
 *   fact_list(run, prompt, label, name, text)
 *   prompt_token(run, prompt, sequence, position, id, text, special)   sequence: 'self', 'enc' or 'vis', the
 *     kind of the stack that reads it; in cross attention queries are 'self', keys 'enc'
 *   prompt_list(run, prompt, label, tokens, text, status, started, seconds, sha256)
 *   value_summary, head_summary(run, metric, kind, layer, head, head_name, position, n, mean, sd, min, max)
 *     over prompts
 *   layer_summary(run, metric, kind, layer, position, heads, mean, sd, min, max)   over the heads of a layer
 *   sink_by_layer(run, kind, layer, heads, mean, max, sinks)
 *   metric_list(run, metric), metric_summary(run, metric, kind, layers, heads, positions, n, mean, min, max)
 *   model_list, sweep_list, figure_list, head_set_list
 * In them `run` is the run's id, `prompt` the index of the unit in its run, `position` NULL where a value
 * stands for all queries.  Times are UTC, ISO 8601.
 *
 * One unit is one transaction: a crash at any moment loses at most the unit in progress.  Readers and one
 * writer work side by side (WAL); several processes may write, for a transaction lasts only as long as the
 * writing of a unit.  A store is used by one thread at a time. */
#ifndef ATTNSCOPE_DB_STORE_H
#define ATTNSCOPE_DB_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/result.h"
#include "base/table.h"

typedef struct store store;

/* Open or create (also from an empty file), and bring an older version up to date.  path ":memory:" keeps
 * it in memory.  read_only never creates nor changes the file.
 * A file that is not a store stays untouched.  Errors: ERR_INPUT missing (read_only), a folder, not a
 * store, damaged, newer than this program; ERR_FAILED in use (after a wait of 5 s), read-only, cannot be
 * made; ERR_RESOURCE full disk. */
int store_open(store **out, const char *path, bool read_only, err *e);
/* SQLite's: "3.40.1". */
const char *store_library_version(void);
void store_close(store *s); /* rolls back an open unit; s may be NULL */
const char *store_path(const store *s);

typedef struct store_model {
    const char *path, *name, *family, *format, *dtype; /* path and sha256 not NULL, the others may be */
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
    const char *uid;           /* 32 hexadecimal digits, NULL: random.  Processes that make parts of one run
                                * in stores of their own give it the same, so that store_merge joins the
                                * parts */
    int64_t sweep;             /* of store_sweep_begin; 0: none */
    const char *cell;          /* JSON object: which point of the sweep this is; NULL without one */
    int64_t n_unit;            /* units that it is to have; 0: not known */
} store_run;

/* Many runs that one file asks for (cli: `sweep`). */
typedef struct store_sweep {
    const char *uid;           /* 32 hexadecimal digits, the same for everyone who works on the same plan */
    const char *name;          /* of its file, without folders */
    const char *text;          /* the file */
    const char *command;       /* the command line that repeats it */
} store_sweep;
/* A new sweep, or the one with that uid, which then stays as it is. */
int store_sweep_begin(store *s, const store_sweep *w, int64_t *sweep_id, err *e);

/* id NO_INDEX: a patch of an image or a frame of audio, of which text is a label. */
typedef struct store_token { int32_t id; const char *text; size_t len; bool special; } store_token;

/* What one stack read; kind: of its self attention. */
typedef struct store_sequence { attn_kind kind; const store_token *tokens; int64_t n; } store_sequence;

/* Something else that was read. */
typedef struct store_input {
    const char *role;          /* "source", "target", "image", "pixels", "audio", "features" */
    const char *path;          /* of a file, as it was named, or NULL */
    const char *sha256;        /* of the file, of the text, or of the ids */
    const char *text;          /* what was tokenised, or NULL */
    size_t text_len;
    const char *policy;        /* what the tokenizer added, or NULL */
} store_input;

enum { STORE_MAX_SEQUENCES = 3, STORE_MAX_INPUTS = 8 };
typedef struct store_prompt {
    const char *label;         /* the user's name for it, or NULL */
    const char *text;          /* what was tokenised for the main stack, NULL for raw ids and for images
                                * alone */
    size_t text_len;
    const char *policy;        /* what the tokenizer added */
    const store_sequence *sequences; /* [n_sequence] the first: of the stack that gives the logits */
    int n_sequence;
    const store_input *inputs; /* [n_input] */
    int n_input;
} store_prompt;

/* A run starts with status 'running' and is on disk when this returns.  A uid that is in the store already:
 * that run is taken up, as by store_run_resume. */
int store_run_begin(store *s, const store_model *m, const store_run *r, int64_t *run_id, err *e);
/* status: "done", "failed" or "cancelled"; message may be NULL.  A run that has all its units (n_unit) is
 * done, whatever befell the process that made the last of them. */
int store_run_end(store *s, int64_t run_id, const char *status, const char *message, err *e);

/* Take a run up again that did not come to its end (`--resume`), or was done: its status is 'running' again.
 * Refused (ERR_USAGE, with what differs) unless verb, settings, weights and tokenizer are the same; seed too.
 * A run that is being worked on by another process cannot be told from one that was killed: that is for the
 * user to know. */
int store_run_resume(store *s, int64_t run_id, const store_model *m, const store_run *r, err *e);
/* Is the unit complete in the store? */
int store_unit_done(store *s, int64_t run_id, int64_t index, bool *yes, err *e);

/* A unit: a prompt (found again by its hash when known), then its values and maps, in one transaction.
 * index: of the prompt in its run, from 0, not yet in the store.
 * All of p is copied.
 * Values wait in memory and are written by the commit; only a unit beyond 12 MiB of values or 64 MiB of
 * compressed maps begins to write before, and holds the store's write lock until its end.
 * Whatever fails in between, nothing of the unit is in the store; rollback is always allowed, and ends a
 * unit that a failed value or map left open. */
int store_unit_begin(store *s, int64_t run_id, int64_t index, const store_prompt *p, err *e);
/* A value comes back bit for bit, except that -0.0 is 0. */
int store_value(store *s, const result_value *v, err *e);
/* A fact of the unit in words: "domain", "generated".  One text a name; view fact_list(run, prompt, name,
 * text). */
int store_fact(store *s, const char *name, const char *text, size_t len, err *e);
/* Cells are stored as compressed f32, bit for bit. */
int store_map(store *s, const result_map *m, err *e);
/* The unit is closed, also when this fails. */
int store_unit_commit(store *s, err *e);
void store_unit_rollback(store *s);
/* Values of the last committed unit or of a whole run are read back with store_query. */

/* Queries of the program, which only read.  sql may hold ?1..?9, bound from `bind` (n_bind cells).  A blob
 * reads as the text "<blob 123 bytes>".  Ctrl-C ends a query with ERR_CANCELLED. */
int store_query(store *s, table **out, const char *sql, const cell *bind, int n_bind, err *e);
/* The same row by row, for answers larger than memory: cells [n] and their texts live until `row` returns,
 * which stops the reading with an error of its own. */
typedef int store_cells_fn(void *ud, const cell *cells, int n, err *e);
int store_each(store *s, const char *sql, const cell *bind, int n_bind, store_cells_fn *row, void *ud,
               err *e);
/* A statement typed by a user: exactly one.  Without `write` it can only read; with it, it may change rows
 * and tables of this store.  Other files (ATTACH), transactions and PRAGMAs that set something are refused
 * in any case (ERR_USAGE).  SQLite's own complaint is ERR_FAILED, with a hint that lists the tables, or the
 * columns of the tables named.  limit > 0 stops after that many rows and sets *more (may be NULL).  A
 * statement that gives no rows answers with one cell, rows_changed. */
int store_user_sql(store *s, table **out, const char *sql, bool write, int64_t limit, bool *more, err *e);

/* The newest run (0: none), and whether a run exists. */
int store_last_run(store *s, int64_t *run_id, err *e);
int store_run_exists(store *s, int64_t run_id, bool *yes, err *e);

/* A map back from the store: cells [rows, cols] owned by the caller (free()). */
typedef struct stored_map {
    int64_t n_query, n_key, pool, rows, cols;
    char pooling[8];
    float *cells;
} stored_map;
/* ERR_FAILED with a hint when there is no such map, ERR_INPUT when its bytes do not fit its shape. */
int store_get_map(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *out, err *e);

/* The same row by row, without a matrix of the whole: shape holds all but the cells, row counts from 0, cells
 * [shape.cols] live until `use` returns; it stops the reading with an error of its own. */
typedef int store_row_fn(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e);
int store_map_rows(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *shape,
                   store_row_fn *use, void *ud, err *e);

/* All models, prompts, runs, units and sweeps of the store at path, which is only read, into s.  Runs are the
 * same by their uid, units by run and index; a run that has all its units then is done; a unit that both have
 * must have the same values, else ERR_INPUT names the first that differs, and s is as before.  One
 * transaction; the caller draws progress (may be NULL).  The order of merges does not matter for what views
 * give. */
typedef struct store_merge_report { int64_t models, prompts, runs, units, same_units, values,
                                   maps; } store_merge_report;
struct progress;
int store_merge(store *s, const char *path, store_merge_report *out, const struct progress *prog, err *e);

/* SQLite's own check of the file, then what must hold between rows: rows check, found, detail; found 0
 * everywhere is a sound store. */
int store_check(store *s, table **out, const struct progress *prog, err *e);

/* Remove what nothing refers to (prompts, models, sites, metrics, units left 'running' of runs that ended)
 * and give the space back to the file system. */
typedef struct store_gc_report { int64_t prompts, models, sites, metrics, units, bytes_before,
                                bytes_after; } store_gc_report;
int store_gc(store *s, store_gc_report *out, err *e);

/* A list of heads with a name, for use wherever heads are chosen.  score: NaN where the file gave none. */
typedef struct store_head { head_id head; double score; } store_head;
/* heads [n], each once; source: the file, digest: SHA-256 of its bytes.  A name that is there with the same
 * heads and scores stays as it is; with others it is ERR_USAGE unless `replace`. */
int store_head_set(store *s, const char *name, const char *source, const char *digest,
                   const store_head *heads, int64_t n, bool replace, err *e);

/* Remember that a figure was drawn: recipe, file, command.  run_id NO_INDEX: of several runs. */
int store_figure(store *s, int64_t run_id, const char *recipe, const char *path, const char *command, err *e);

#endif
