/* Opening: a store is made, found again, brought up to date, or refused with one clear line, and nothing
 * that is not a store is ever touched. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include "tests/store_fixture.h"

/* Bytes of a small file. */
static size_t slurp(const char *path, unsigned char *out, size_t max)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, max, f);
    fclose(f);
    return n;
}

static void spill(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static bool exists(const char *path, const char *suffix)
{
    char name[700];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

/* Refused, for writing and for reading, and as it was afterwards. */
static void assert_refused(const char *path, const char *text)
{
    static unsigned char before[1 << 16], after[1 << 16];
    store *s = NULL;
    size_t n = slurp(path, before, sizeof before);
    for (int read_only = 0; read_only < 2; read_only++) {
        MUST_FAIL(store_open(&s, path, read_only, &error), ERR_INPUT, text);
        assert_null(s);
        assert_true(error.hint[0] != '\0');
        assert_int_equal(slurp(path, after, sizeof after), n);
        assert_memory_equal(before, after, n);
        assert_false(exists(path, "-wal"));
        assert_false(exists(path, "-shm"));
        assert_false(exists(path, "-journal"));
    }
}

static void test_not_a_store(void **state)
{
    static const char text[] = "prompt,head,value\n0,L3H7,0.25\n";
    char path[640], folder_path[700];
    unsigned char bytes[1 << 16];
    (void)state;

    snprintf(path, sizeof path, "%s", new_path());
    spill(path, text, sizeof text - 1);
    assert_refused(path, "is not an attnscope store");
    snprintf(path, sizeof path, "%s", new_path());
    memset(bytes, 'x', 5000);
    spill(path, bytes, 5000);
    assert_refused(path, "is not an attnscope store");

    /* other programs' databases: without an application id, and with one */
    snprintf(path, sizeof path, "%s", new_path());
    tell(path, "CREATE TABLE mail (sender TEXT); INSERT INTO mail VALUES ('a')");
    assert_refused(path, "is not an attnscope store");
    snprintf(path, sizeof path, "%s", new_path());
    tell(path, "PRAGMA application_id = 252006674; PRAGMA user_version = 1; CREATE TABLE run (id INTEGER)");
    assert_refused(path, "is not an attnscope store");
    snprintf(path, sizeof path, "%s", new_path());
    tell(path, "PRAGMA user_version = 7");
    assert_refused(path, "is not an attnscope store");

    /* a store of which only the beginning is left */
    store *s = open_new(path);
    begin_run(s);
    store_close(s);
    size_t n = slurp(path, bytes, sizeof bytes);
    assert_true(n > 8192);
    snprintf(path, sizeof path, "%s", new_path());
    spill(path, bytes, 60);
    assert_refused(path, "is not an attnscope store");
    spill(path, bytes, 5000);
    MUST_FAIL(store_open(&s, path, false, &error), ERR_INPUT, "damaged");
    HINTS("recover");

    MUST_FAIL(store_open(&s, folder, false, &error), ERR_INPUT, "is a folder");
    snprintf(folder_path, sizeof folder_path, "%s/x/y.db", path);
    MUST_FAIL(store_open(&s, folder_path, false, &error), ERR_INPUT, "not a folder");
    MUST_FAIL(store_open(&s, in_folder("none/y.db"), false, &error), ERR_FAILED, "cannot open store");
    HINTS("folder exists");
    snprintf(path, sizeof path, "%s", new_path());
    assert_int_equal(mkfifo(path, 0600), 0);
    MUST_FAIL(store_open(&s, path, false, &error), ERR_INPUT, "special file");
    MUST_FAIL(store_open(&s, "", false, &error), ERR_USAGE, "no name");
}

static void test_read_only_creates_nothing(void **state)
{
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    MUST_FAIL(store_open(&s, path, true, &error), ERR_INPUT, "no store at");
    assert_false(exists(path, ""));
    spill(path, "", 0);
    MUST_FAIL(store_open(&s, path, true, &error), ERR_INPUT, "empty");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void test_empty_file_becomes_a_store(void **state)
{
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    spill(path, "", 0);
    MUST(store_open(&s, path, false, &error));
    begin_run(s);
    store_close(s);
    assert_string_equal(ask(path, "SELECT count(*) FROM run"), "1");
    /* an empty database is nobody's either */
    snprintf(path, sizeof path, "%s", new_path());
    tell(path, "PRAGMA journal_mode = WAL; VACUUM");
    assert_true(exists(path, ""));
    MUST(store_open(&s, path, false, &error));
    assert_int_equal(begin_run(s), 1);
    store_close(s);
    assert_sound(path);
}

/* Names that SQLite would take for something else are names of files. */
static void test_strange_names(void **state)
{
    static const char *const names[] = {"file:memory.db?mode=memory", ":x:", "a b#c%41.db", "-x"};
    char old[512];
    (void)state;
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        store *s = NULL;
        MUST(store_open(&s, names[i], false, &error));
        begin_run(s);
        store_close(s);
        struct stat st;
        assert_int_equal(stat(names[i], &st), 0);
        assert_true(st.st_size > 4096);
    }
    assert_int_equal(chdir(old), 0);
}

/* ---- migrations ---- */

static const char *const steps[] = {
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT) STRICT;"
    "CREATE TABLE child (parent_id INTEGER REFERENCES parent, n INTEGER) STRICT;"
    "INSERT INTO parent VALUES (1, 'one'), (2, 'two'); INSERT INTO child VALUES (2, 20)",
    /* a table that others refer to is rebuilt */
    "CREATE TABLE other (id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER) STRICT;"
    "INSERT INTO other SELECT id, name, length(name) FROM parent; DROP TABLE parent;"
    "ALTER TABLE other RENAME TO parent",
    "CREATE VIEW both AS SELECT p.name, c.n FROM parent p JOIN child c ON c.parent_id = p.id",
};

static int open_steps(store **out, const char *path, const char *const *list, int n, bool read_only)
{
    const store_options o = {50, list, n};
    return store_open_with(out, path, read_only, &o, &error);
}

static void test_migrations(void **state)
{
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    MUST(open_steps(&s, path, steps, 1, false));
    store_close(s);
    assert_string_equal(ask(path, "PRAGMA user_version"), "1");
    MUST_FAIL(open_steps(&s, path, steps, 3, true), ERR_INPUT, "older version 1");
    MUST(open_steps(&s, path, steps, 3, false)); /* two steps at once */
    assert_int_equal(number(s, "PRAGMA foreign_keys"), 1);
    assert_true(number(s, "SELECT n FROM both WHERE name = 'two'") == 20);
    assert_true(number(s, "SELECT sum(size) FROM parent") == 6);
    store_close(s);
    assert_string_equal(ask(path, "PRAGMA user_version"), "3");
    assert_sound(path);
    MUST(open_steps(&s, path, steps, 3, true));
    store_close(s);
    MUST_FAIL(open_steps(&s, path, steps, 2, false), ERR_INPUT,
              "has version 3, this program knows versions up to 2");
    HINTS("newer attnscope");
    MUST_FAIL(open_steps(&s, path, steps, 2, true), ERR_INPUT, "has version 3");
}

/* A step that fails, or leaves references to nowhere, leaves the store as it was. */
static void test_failing_migration(void **state)
{
    const char *broken[] = {steps[0], "INSERT INTO parent VALUES (3, 'three'); SELECT nonsense FROM parent"};
    const char *orphans[] = {steps[0], "DELETE FROM parent WHERE id = 2"};
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    MUST(open_steps(&s, path, steps, 1, false));
    store_close(s);
    MUST_FAIL(open_steps(&s, path, broken, 2, false), ERR_FAILED, "migrating: no such column: nonsense");
    MUST_FAIL(open_steps(&s, path, orphans, 2, false), ERR_INPUT, "rows that are missing");
    assert_string_equal(ask(path, "PRAGMA user_version"), "1");
    assert_string_equal(ask(path, "SELECT group_concat(name) FROM parent"), "one,two");
    MUST(open_steps(&s, path, steps, 3, false));
    store_close(s);
}

/* The program's own steps, from a file that says it is ours and has nothing yet. */
static void test_own_migrations(void **state)
{
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    tell(path, "PRAGMA application_id = 1098142563");
    MUST(store_open(&s, path, false, &error));
    assert_int_equal(begin_run(s), 1);
    store_close(s);
    assert_string_equal(ask(path, "PRAGMA user_version"), "4");
    tell(path, "PRAGMA user_version = 99");
    MUST_FAIL(store_open(&s, path, false, &error), ERR_INPUT, "version 99");
    tell(path, "PRAGMA user_version = -1");
    MUST_FAIL(store_open(&s, path, false, &error), ERR_INPUT, "damaged");
    assert_string_equal(ask(path, "SELECT count(*) FROM run"), "1");
}

/* A store of version 1, as that program left it: nothing is lost, and it goes on. */
static void test_from_version_1(void **state)
{
    char path[640];
    store *s = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    MUST(open_steps(&s, path, store_migrations, 1, false));
    store_close(s);
    assert_string_equal(ask(path, "PRAGMA user_version"), "1");
    tell(path,
         "INSERT INTO model VALUES (1, 'i', 'aa', 'models/tiny', NULL, 'tiny', 'llama', 'gguf', 'f32', 2, 4, 2, 64,"
         " 1000, 128, 9, NULL);"
         "INSERT INTO prompt VALUES (3, 'p', 't', 'x', 'a b', 'bos', 2), (4, 'q', NULL, 'y', NULL, 'none', 1);"
         "INSERT INTO token VALUES (3, 0, 7, 'a', 0), (3, 1, 8, ' b', 0), (4, 0, 9, '<s>', 1);"
         "INSERT INTO run VALUES (1, 'u', 1, 'run', 'run models/tiny', '{}', 'softmax', '[]', 'f32', 'c', 1, NULL,"
         " '0.1', 'done', NULL, '2025-01-01T00:00:00.000Z', '2025-01-01T00:00:01.000Z');"
         "INSERT INTO unit VALUES (5, 1, 0, 3, 'mine', 'done', NULL, NULL), (6, 1, 1, 4, NULL, 'done', NULL, NULL);"
         "INSERT INTO metric VALUES (1, 'sink'); INSERT INTO site VALUES (1, 'self', 0, 1, 'L0H1');"
         "INSERT INTO value VALUES (5, 1, 1, 0, 0.25);"
         "INSERT INTO map VALUES (1, 5, 1, 2, 2, 1, 'none', 2, 2, 'zlib', x'00')");
    MUST_FAIL(store_open(&s, path, true, &error), ERR_INPUT, "older version 1");
    MUST(store_open(&s, path, false, &error));
    assert_int_equal(begin_run(s), 2);
    store_close(s);
    assert_string_equal(ask(path, "PRAGMA user_version"), "4");
    assert_string_equal(ask(path, "SELECT group_concat(prompt || sequence || position || ':' || id || text || special, ' ')"
                                  " FROM prompt_token"), "0self0:7a0 0self1:8 b0 1self0:9<s>1");
    assert_string_equal(ask(path, "SELECT head_name || value FROM head_value WHERE run = 1"), "L0H10.25");
    assert_string_equal(ask(path, "SELECT n_query || pooling FROM map_list WHERE run = 1"), "2none");
    assert_string_equal(ask(path, "SELECT label FROM unit WHERE id = 5"), "mine");
    assert_string_equal(ask(path, "SELECT count(*) FROM input"), "0");
    assert_string_equal(ask(path, "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'token' AND stat = '1000000 1000 800 1'"),
                        "1");
    assert_sound(path);
    MUST(store_open(&s, path, true, &error));
    store_close(s);
}

/* ---- other processes, permissions ---- */

static void test_in_use(void **state)
{
    const store_options quick = {30, store_migrations, store_n_migration};
    char path[640];
    sqlite3 *other = NULL;
    store *s = NULL;
    int64_t run;
    (void)state;
    store_close(open_new(path));
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    MUST(store_open_with(&s, path, false, &quick, &error)); /* a writer does not keep readers out */
    MUST_FAIL(store_run_begin(s, &a_model, &a_run, &run, &error), ERR_FAILED, "in use by another process");
    HINTS("wait");
    cancel_request();
    MUST_FAIL(store_run_begin(s, &a_model, &a_run, &run, &error), ERR_CANCELLED, "cancelled");
    cancel_clear();
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    run = begin_run(s);

    /* a unit that cannot be written at its end is gone, and can be done again */
    MUST(begin_unit(s, run, 0, &error));
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    MUST_FAIL(store_unit_commit(s, &error), ERR_FAILED, "in use");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM unit"), 0);
    MUST(begin_unit(s, run, 0, &error));
    MUST(store_unit_commit(s, &error));
    store_close(s);
    const char *lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM figure";
    assert_int_equal(sqlite3_exec(other, lock, NULL, NULL, NULL), SQLITE_OK);
    MUST_FAIL(store_open_with(&s, path, false, &quick, &error), ERR_FAILED, "in use");
    sqlite3_close(other);
    MUST(store_open_with(&s, path, false, &quick, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM unit"), 1);
    store_close(s);
}

/* Two processes make the same store at the same moment. */
static void test_made_twice(void **state)
{
    char path[640];
    (void)state;
    for (int round = 0; round < 5; round++) {
        pid_t child[3];
        snprintf(path, sizeof path, "%s", new_path());
        for (int i = 0; i < 3; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                store *s = NULL;
                int64_t run;
                int code = store_open(&s, path, false, NULL);
                if (!code)
                    code = store_run_begin(s, &a_model, &a_run, &run, NULL);
                store_close(s);
                _exit(code);
            }
        }
        for (int i = 0; i < 3; i++) {
            int status = -1;
            assert_int_equal(waitpid(child[i], &status, 0), child[i]);
            assert_int_equal(status, 0);
        }
        assert_string_equal(ask(path, "SELECT count(*) || ' ' || count(DISTINCT model_id) FROM run"), "3 1");
        assert_sound(path);
    }
}

/* What a user without rights sees.  Run in a child, for root has all of them. */
static int as_nobody(const char *path, bool read_only, err *e, double *runs)
{
    struct answer { int code; err e; double runs; } a = {0};
    int ends[2], status = -1;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        store *s = NULL;
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(1);
        a.code = store_open(&s, path, read_only, &a.e);
        table *t = NULL;
        if (!a.code && store_query(s, &t, "SELECT count(*) FROM run", NULL, 0, &a.e) == 0)
            a.runs = cell_number(table_cell(t, 0, 0));
        table_free(t);
        store_close(s);
        _exit(write(ends[1], &a, sizeof a) != sizeof a);
    }
    assert_int_equal(read(ends[0], &a, sizeof a), sizeof a);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    *e = a.e;
    *runs = a.runs;
    return a.code;
}

static void test_permissions(void **state)
{
    char place[640], path[700], absent[700];
    double runs;
    store *s = NULL;
    (void)state;
    snprintf(place, sizeof place, "%s", in_folder("guarded"));
    assert_int_equal(mkdir(place, 0755), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/store.db", place);
    snprintf(absent, sizeof absent, "%s/absent.db", place);
    MUST(store_open(&s, path, false, &error));
    begin_run(s);
    store_close(s);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(place, 0555), 0);

    MUST_FAIL(as_nobody(path, false, &error, &runs), ERR_FAILED, "is read-only");
    HINTS("permissions");
    MUST_FAIL(as_nobody(absent, false, &error, &runs), ERR_FAILED, "absent.db: permission denied");
    HINTS("may write to");
    /* nothing can be made beside the file, and it is read all the same */
    MUST(as_nobody(path, true, &error, &runs));
    assert_true(runs == 1);
    assert_int_equal(chmod(path, 0), 0);
    MUST_FAIL(as_nobody(path, true, &error, &runs), ERR_INPUT, "cannot be read");
    assert_int_equal(chmod(place, 0755), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

/* ---- nothing stays beside a store that was only read ---- */

static bool beside(const char *path, const char *suffix)
{
    char name[700];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

static void test_reading_leaves_nothing(void **state)
{
    char path[640];
    struct stat was, is;
    store *s, *other, *writer;
    int64_t run;
    (void)state;
    s = open_new(path);
    MUST(store_run_begin(s, &a_model, &a_run, &run, &error));
    store_close(s);
    assert_false(beside(path, "-wal") || beside(path, "-shm"));
    assert_int_equal(stat(path, &was), 0);

    MUST(store_open(&s, path, true, &error));
    MUST(store_open(&other, path, true, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM run"), 1);
    store_close(s); /* the other one still needs them */
    assert_int_equal(number(other, "SELECT count(*) FROM run"), 1);
    store_close(other);
    assert_false(beside(path, "-wal") || beside(path, "-shm"));
    assert_int_equal(stat(path, &is), 0);
    assert_true(was.st_mtim.tv_sec == is.st_mtim.tv_sec && was.st_mtim.tv_nsec == is.st_mtim.tv_nsec);
    assert_int_equal(was.st_size, is.st_size);

    /* beside a writer a reader that leaves takes nothing away, before its first row and after it */
    MUST(store_open(&writer, path, false, &error));
    MUST(store_open(&s, path, true, &error));
    store_close(s);
    MUST(store_run_begin(writer, &a_model, &a_run, &run, &error));
    MUST(store_open(&s, path, true, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM run"), 2);
    MUST(begin_unit(writer, run, 0, &error));
    MUST(store_unit_commit(writer, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM unit"), 1);
    store_close(s);
    assert_true(beside(path, "-wal"));
    MUST(store_run_end(writer, run, "done", NULL, &error));
    store_close(writer);
    MUST(store_open(&s, path, true, &error));
    assert_int_equal(number(s, "SELECT count(*) FROM run WHERE status = 'done'"), 1);
    store_close(s);
    assert_false(beside(path, "-wal") || beside(path, "-shm"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_a_store), cmocka_unit_test(test_read_only_creates_nothing),
        cmocka_unit_test(test_reading_leaves_nothing),
        cmocka_unit_test(test_empty_file_becomes_a_store), cmocka_unit_test(test_strange_names),
        cmocka_unit_test(test_migrations), cmocka_unit_test(test_failing_migration),
        cmocka_unit_test(test_own_migrations), cmocka_unit_test(test_from_version_1), cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_made_twice), cmocka_unit_test(test_permissions),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_open", tests, make_folder, remove_folder);
}
