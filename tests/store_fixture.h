/* What the tests of the store share: a folder of their own, a model, a run, units with known content, and
 * SQLite itself as the second opinion about the file. */
#ifndef ATTNSCOPE_TESTS_STORE_FIXTURE_H
#define ATTNSCOPE_TESTS_STORE_FIXTURE_H

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "base/cancel.h"
#include "db/internal.h"

/* cmocka jumps out of a test with longjmp; these unused variants keep a translation unit free of warnings
 * when it does not need one of them. */
#define HELPER static __attribute__((unused))

HELPER err error;   /* of the call under test */
HELPER char folder[512];

/* The call must succeed; its error is shown when it does not. */
#define MUST(call) \
    do { \
        error = (err){0}; \
        if ((call) != 0) \
            fail_msg("%s: %s (%s)", #call, error.msg, error.hint); \
    } while (0)

/* The call must fail with this code and a message that holds this text, and leave the same code in error. */
#define MUST_FAIL(call, want, text) \
    do { \
        error = (err){0}; \
        int got_ = (call); \
        if (got_ != (want) || error.code != (want) || !strstr(error.msg, (text))) \
            fail_msg("%s: code %d (%d wanted), \"%s\"", #call, got_, (want), error.msg); \
    } while (0)

#define HINTS(text) \
    do { \
        if (!strstr(error.hint, (text))) \
            fail_msg("hint \"%s\" does not say \"%s\"", error.hint, (text)); \
    } while (0)

HELPER int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/attnscope-store-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

HELPER int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

HELPER int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder; up to four are valid at a time. */
HELPER const char *in_folder(const char *name)
{
    static char path[4][640];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

/* A store of its own for each test: a new name each time. */
HELPER const char *new_path(void)
{
    static int n;
    char name[32];
    snprintf(name, sizeof name, "store-%d.db", n++);
    return in_folder(name);
}

HELPER store *open_new(char path[640])
{
    store *s = NULL;
    snprintf(path, 640, "%s", new_path());
    MUST(store_open(&s, path, false, &error));
    return s;
}

HELPER store *reopen(store *s, const char *path)
{
    store_close(s);
    s = NULL;
    MUST(store_open(&s, path, false, &error));
    return s;
}

HELPER const store_model a_model = {
    .path = "models/tiny", .name = "tiny", .family = "llama", .format = "safetensors", .dtype = "f32",
    .sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9", .n_layer = 2, .n_head = 4,
    .n_kv_head = 2, .width = 64, .vocab = 1000, .context = 128, .n_param = 123456, .plan = "0-1: full",
};

HELPER const store_run a_run = {
    .verb = "run", .command = "run models/tiny --prompt 'a b'", .settings = "{\"metrics\":[\"sink\"]}",
    .precision = "f32", .isa = "c", .version = "1.0", .operator_name = "softmax", .edits = "[]", .threads = 2,
    .seed = NO_INDEX,
};

HELPER const store_token three_tokens[3] = {{1, "a", 1, false}, {2, " b", 2, false}, {3, "<end>", 5, true}};

HELPER int64_t begin_run(store *s)
{
    int64_t run = 0;
    MUST(store_run_begin(s, &a_model, &a_run, &run, &error));
    return run;
}

/* A unit of a decoder: one sequence. */
HELPER int begin_text(store *s, int64_t run, int64_t index, const char *label, const char *text, size_t len,
                      const char *policy, const store_token *in_order, int64_t n, err *e)
{
    const store_sequence own = {ATTN_SELF, in_order, n};
    const store_prompt p = {.label = label, .text = text, .text_len = len, .policy = policy, .sequences = &own,
                            .n_sequence = 1};
    return store_unit_begin(s, run, index, &p, e);
}

HELPER int begin_unit(store *s, int64_t run, int64_t index, err *e)
{
    return begin_text(s, run, index, "first", "a b", 3, "none", three_tokens, 3, e);
}

/* One answer of SQLite, from a connection of its own, as text ("(none)" without a row). */
HELPER const char *ask(const char *path, const char *sql)
{
    static char answer[512];
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    snprintf(answer, sizeof answer, "(none)");
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        snprintf(answer, sizeof answer, "error: %s", sqlite3_errmsg(db));
    else if (sqlite3_step(q) == SQLITE_ROW)
        snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
    return answer;
}

/* Statements run by SQLite itself, behind the store's back. */
HELPER void tell(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why ? why : sqlite3_errmsg(db));
    sqlite3_close(db);
}

HELPER void assert_sound(const char *path)
{
    assert_string_equal(ask(path, "PRAGMA integrity_check"), "ok");
    assert_string_equal(ask(path, "PRAGMA foreign_key_check"), "(none)");
}

/* One number that the store itself answers. */
HELPER double number(store *s, const char *sql)
{
    table *t = NULL;
    MUST(store_query(s, &t, sql, NULL, 0, &error));
    assert_int_equal(t->n_row, 1);
    double n = cell_number(table_cell(t, 0, 0));
    table_free(t);
    return n;
}

#endif
