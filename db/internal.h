/* What the files of db/ share; nothing else includes this, except the store's own tests. */
#ifndef ATTNSCOPE_DB_INTERNAL_H
#define ATTNSCOPE_DB_INTERNAL_H

#include <sqlite3.h>
#include "base/mem.h"
#include "db/store.h"

/* In every store's header (bytes 68..71): the letters "AtSc". */
#define STORE_APPLICATION_ID 0x41745363

/* migrations[v] brings a store from version v to v + 1; SQLite's user_version holds the version. */
extern const char *const store_migrations[];
extern const int store_n_migration;
/* With many sites in its statistics SQLite adds the values of a metric up prompt by prompt, however they are grouped; with few
 * it would look them up head by head to save the sorting, which takes five times as long. */
#define STORE_SITE_STATISTICS "UPDATE sqlite_stat1 SET stat = '20000' || substr(stat, instr(stat, ' ')) WHERE tbl = 'site';\n" \
    "ANALYZE sqlite_schema;\n"
extern const char store_version_4[]; /* schema_4.c */

enum { STORE_UID_DIGITS = 32 };

typedef struct store_options {
    int busy_ms;                   /* how long a lock held by somebody else is waited for */
    const char *const *migrations;
    int n_migration;
} store_options;

enum { STMT_VALUE, STMT_MAP, STMT_TOKEN, STMT_SITE, STMT_NEW_SITE, STMT_COUNT };

struct store {
    sqlite3 *db;
    char *path;
    bool read_only, memory;
    int busy_ms;
    int64_t busy_since;            /* when the present wait began, in ms */
    sqlite3_stmt *stmt[STMT_COUNT]; /* kept prepared; made by store_kept */
    struct unit *unit;             /* the open unit; NULL when none is */
};

/* ---- open.c ---- */
int store_open_with(store **out, const char *path, bool read_only, const store_options *o, err *e);

/* In a statement about rows of `run`: all units that it is to have are there. */
#define RUN_IS_WHOLE "(ifnull(n_unit, 0) > 0 AND" \
    " (SELECT count(*) FROM unit u WHERE u.run_id = run.id AND u.status = 'done') >= n_unit)"

/* ---- functions.c ---- */
/* Register last_run() and last_run(n) for statements on this connection. */
int store_functions(store *s, err *e);

/* ---- migrate.c ---- */
/* Bring an open database to version n; refuses what is not ours and what is newer. */
int store_migrate(store *s, const char *const *migrations, int n, err *e);

/* ---- statement.c: every call to SQLite that can fail ends in store_fail ---- */
/* The error for SQLite's result rc; doing: "writing values". */
int store_fail(const store *s, int rc, const char *doing, err *e);
int store_exec(store *s, const char *sql, const char *doing, err *e);
int store_prepare(store *s, sqlite3_stmt **out, const char *sql, const char *doing, err *e);
/* A statement that stays prepared until the store is closed. */
int store_kept(store *s, sqlite3_stmt **out, int which, const char *sql, err *e);
/* One step: *row says whether there is one (NULL: none is expected).  The statement is reset on failure,
 * and after the last row. */
int store_step(store *s, sqlite3_stmt *q, bool *row, const char *doing, err *e);
/* The first column of the first row as an integer; *found (may be NULL) false and *out = 0 without rows. */
int store_one_int(store *s, int64_t *out, bool *found, const char *sql, const cell *bind, int n_bind,
                  const char *doing, err *e);
int store_bind(store *s, sqlite3_stmt *q, const cell *bind, int n_bind, const char *doing, err *e);
/* Prepare, bind, run to the end. */
int store_do(store *s, const char *sql, const cell *bind, int n_bind, const char *doing, err *e);
int store_begin(store *s, err *e);      /* BEGIN IMMEDIATE */
int store_commit(store *s, err *e);     /* rolls back when it fails */
void store_rollback(store *s);          /* harmless without a transaction */
/* ERR_FAILED while a unit is open: what follows would become part of its transaction. */
int store_idle(const store *s, const char *doing, err *e);

static inline cell cell_str(const char *s)
{
    cell c = {s ? CELL_TEXT : CELL_NULL, {.s = s}};
    return c;
}

static inline cell cell_index(int64_t i) /* NO_INDEX becomes NULL */
{
    cell c = {i == NO_INDEX ? CELL_NULL : CELL_INT, {.i = i}};
    return c;
}

/* Cells of rows that were read from a file, which may be damaged: "" and 0 for what is not a text, not an
 * integer. */
static inline const char *row_text(const table *t, int64_t row, int col)
{
    const cell *c = table_cell(t, row, col);
    return c->kind == CELL_TEXT ? c->u.s : "";
}

static inline int64_t row_int(const table *t, int64_t row, int col)
{
    const cell *c = table_cell(t, row, col);
    return c->kind == CELL_INT ? c->u.i : 0;
}

typedef char utc_time[32]; /* "2025-01-31T23:59:59.123Z" */
void utc_now(utc_time out);

/* ---- run.c ---- */
/* SHA-256 over all facts of a model, the key of its row. */
int store_model_identity(sha256_hex out, const store_model *m, err *e);
/* 32 lower-case hexadecimal digits. */
bool store_uid_good(const char *uid);

/* ---- prompt.c ---- */
typedef struct staged_prompt {
    sha256_hex sha256, text_sha256, ids_sha256; /* text_sha256: "" without text */
    store_prompt p;                             /* with all it refers to */
} staged_prompt;

/* Copy into mem and hash. */
int prompt_stage(staged_prompt *out, arena *mem, const store_prompt *p, err *e);
/* The row with this hash, made (with its tokens) when there is none. */
int prompt_row(store *s, const staged_prompt *p, int64_t *id, err *e);
/* The inputs of a unit. */
int prompt_inputs(store *s, const staged_prompt *p, int64_t unit_id, err *e);

/* ---- stage.c: values of the open unit, waiting in memory ---- */
typedef struct staged_value {
    double value;
    int64_t position;
    int32_t metric, site; /* indices into the two lists below; row ids once they are resolved */
} staged_value;

typedef struct staged_site { attn_kind kind; int32_t layer, head; int64_t id; } staged_site;
typedef struct staged_metric { char *name; int64_t id; } staged_metric;

typedef struct stage {
    staged_value *value;
    size_t n_value, cap_value;
    staged_site *site;       /* distinct places, in order of appearance; id 0: not looked up yet */
    int32_t n_site, cap_site;
    int32_t *slot;           /* [n_slot] hash table over site: index + 1, 0 = free */
    int32_t n_slot;
    staged_metric *metric;
    int32_t n_metric, cap_metric;
    const char *last_name;   /* pointer given with the last value, and its index: names are mostly static */
    int32_t last_metric;
} stage;

void stage_free(stage *g);
int stage_site(stage *g, int32_t *index, attn_kind kind, int layer, int head, err *e);
int stage_value(stage *g, const result_value *v, err *e);
/* Give every metric and site its row id (making rows as needed). */
int stage_resolve(store *s, stage *g, err *e);
/* Insert the staged values as values of the unit, in the order of the primary key, and forget them. */
int stage_flush(store *s, stage *g, int64_t unit_id, err *e);

/* ---- summary.c ---- */
/* Fill `summary` for a run that has ended, metric by metric, each in a transaction of its own; units or
 * values that change meanwhile leave it without (run.summed 0).  Nothing is done for less than
 * SUMMARY_PROMPTS units: their values are as quickly read.  ERR_CANCELLED after Ctrl-C. */
enum { SUMMARY_PROMPTS = 8 };
int summary_write(store *s, int64_t run_id, err *e);
/* Hold the summary of a run (summed 1) against its values: how many rows are missing, different or too
 * many. */
int summary_check(store *s, int64_t run_id, int64_t *wrong, err *e);

/* ---- map.c ---- */
/* Cells to bytes and back.  The one codec: "zlib". */
#define MAP_CODEC "zlib"
int map_encode(unsigned char **out, size_t *n, const float *cells, int64_t rows, int64_t cols, err *e);
int map_decode(float *cells, const unsigned char *bytes, size_t n, int64_t rows, int64_t cols, err *e);

/* ---- query.c ---- */
/* While on, Ctrl-C stops a statement; writing a unit goes on to its end. */
void store_watch_cancel(store *s, bool on);
/* All rows of q (which has columns) as a table; limit as in store_user_sql. */
int store_rows(store *s, table **out, sqlite3_stmt *q, int64_t limit, bool *more, err *e);

#endif
