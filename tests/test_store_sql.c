/* Questions: the program's own, and SQL that a user types, which is held to what was agreed. */
#include "tests/store_fixture.h"

static store *opened;

/* A store with two runs of two prompts, three metrics, 2 x 4 heads: value = run + layer / 10 + head / 100. */
static int make_store(void **state)
{
    static const char *const metrics[] = {"sink", "entropy", "induction"};
    static const float cells[4] = {1, NAN, 0.5f, 0.5f};
    char path[640];
    if (make_folder(state))
        return -1;
    opened = open_new(path);
    for (int r = 0; r < 2; r++) {
        int64_t run = begin_run(opened);
        for (int unit = 0; unit < 2; unit++) {
            MUST(begin_unit(opened, run, unit, &error));
            for (int i = 0; i < 3 * 2 * 4; i++) {
                int layer = i / 4 % 2, head = i % 4;
                double value = (double)run + layer / 10.0 + head / 100.0;
                MUST(store_value(opened, &(result_value){ATTN_SELF, metrics[i / 8], layer, head,
                                                         i < 8 ? 0 : NO_INDEX, value}, &error));
            }
            MUST(store_map(opened, &(result_map){ATTN_SELF, 1, 3, 2, 2, 1, "none", cells}, &error));
            MUST(store_unit_commit(opened, &error));
        }
        MUST(store_run_end(opened, run, "done", NULL, &error));
    }
    return 0;
}

static int drop_store(void **state)
{
    store_close(opened);
    return remove_folder(state);
}

static int sql(const char *text, bool write, table **out, err *e)
{
    table_free(*out);
    return store_user_sql(opened, out, text, write, 0, NULL, e);
}

/* ---- the program's queries ---- */

static void test_query(void **state)
{
    const cell bind[] = {cell_int(2), cell_str("sink"), cell_real(0.5), {0}};
    table *t = NULL;
    (void)state;
    MUST(store_query(opened, &t, "SELECT layer, head, value, position, "
                     "?2 AS word, ?3 AS half, ?4 AS empty, cells FROM head_value JOIN map ON map.id = 1 "
                     "WHERE run = ?1 AND metric = ?2 AND prompt = 1 "
                     "ORDER BY value DESC", bind, 4, &error));
    assert_int_equal(t->n_row, 8);
    assert_int_equal(t->n_col, 8);
    assert_string_equal(t->column[4], "word");
    assert_int_equal(table_column(t, "empty"), 6);
    assert_int_equal(table_cell(t, 0, 0)->u.i, 1);
    assert_int_equal(table_cell(t, 0, 1)->u.i, 3);
    assert_true(table_cell(t, 0, 2)->u.r == 2 + 0.1 + 0.03);
    assert_int_equal(table_cell(t, 0, 3)->u.i, 0);
    assert_string_equal(table_cell(t, 0, 4)->u.s, "sink");
    assert_true(table_cell(t, 0, 5)->u.r == 0.5);
    assert_int_equal(table_cell(t, 0, 6)->kind, CELL_NULL);
    assert_int_equal(table_cell(t, 0, 7)->kind, CELL_TEXT);
    assert_int_equal(strncmp(table_cell(t, 0, 7)->u.s, "<blob ", 6), 0);
    table_free(t);
    MUST_FAIL(store_query(opened, &t, "SELECT ?1, ?2", bind, 1, &error), ERR_FAILED,
              "2 parameters, 1 were given");
    MUST_FAIL(store_query(opened, &t, "DELETE FROM figure", NULL, 0, &error), ERR_FAILED, "writes");
    MUST_FAIL(store_query(opened, &t, "SELEC 1", NULL, 0, &error), ERR_FAILED, "syntax error");
    assert_null(t);
}

/* What users ask most is answered by searching: value, the table that grows, is never read as a whole. */
static void test_query_plans(void **state)
{
    static const char *const questions[] = {
        "SELECT * FROM value_list WHERE run = 1",
        "SELECT * FROM head_value WHERE run = 1 AND prompt = 0",
        "SELECT layer, avg(value) FROM head_value WHERE run = 1 AND metric = 'sink' GROUP BY layer",
        ("SELECT head_name, avg(value) AS v FROM head_value WHERE run = 1 AND metric = 'sink' "
         "GROUP BY kind, layer, head ORDER BY v DESC LIMIT 10"),
        "SELECT * FROM head_value WHERE run = 1 AND metric = 'sink' AND layer = 1 AND head = 2",
        "SELECT * FROM head_value WHERE run = 1 AND metric = 'sink' AND head_name = 'L1H2'",
        "SELECT run, avg(value) FROM head_value WHERE metric = 'sink' AND head_name = 'L1H2' GROUP BY run",
        "SELECT DISTINCT metric FROM head_value WHERE run = 1 AND prompt = 0",
        "SELECT * FROM prompt_token WHERE run = 1 AND prompt = 0 AND sequence = 'self' ORDER BY position",
        "SELECT * FROM map_list WHERE run = 1",
        "DELETE FROM run WHERE id = 99",
    };
    (void)state;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        char text[400];
        table *t = NULL;
        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", questions[i]);
        MUST(sql(text, false, &t, &error));
        assert_true(t->n_row > 0);
        for (int64_t r = 0; r < t->n_row; r++) {
            const char *step = table_cell(t, r, 3)->u.s;
            if (strncmp(step, "SCAN v", 6) == 0 || strncmp(step, "SCAN t", 6) == 0 ||
                strncmp(step, "SCAN a", 6) == 0)
                fail_msg("%s: %s", questions[i], step);
        }
        table_free(t);
    }
    /* one head: straight to its rows */
    table *t = NULL;
    MUST(sql("EXPLAIN QUERY PLAN SELECT value FROM head_value "
             "WHERE run = 1 AND metric = 'sink' AND head_name = 'L1H2'", false, &t, &error));
    bool direct = false;
    for (int64_t r = 0; r < t->n_row; r++)
        direct = direct || strstr(table_cell(t, r, 3)->u.s,
                                  "v USING PRIMARY KEY (unit_id=? AND metric_id=? AND site_id=?");
    assert_true(direct);
    table_free(t);
}

/* ---- what a user types ---- */

static void test_one_statement(void **state)
{
    static const char *const fine[] = {
        "SELECT count(*) FROM run", "select count(*) from run;", "  ;; SELECT count(*) FROM run ; -- done",
        "/* how many */ SELECT count(*) FROM run /* runs */ ; /* no end",
        "WITH n AS (SELECT * FROM run) SELECT count(*) FROM n",
        "SELECT count(*) FROM run_list;\n-- a\n--b", "SELECT 2 /* ; */", "SELECT length(';;')", "VALUES (2)",
        "SELECT count(*) FROM pragma_table_info('metric')",
    };
    static const char *const nothing[] = {"", "   ", ";", "-- SELECT 1", "/* SELECT 1"};
    static const char *const many[] = {"SELECT 1; SELECT 2", "SELECT 1;; -- x\n SELECT 2", "SELECT 1; x",
                                       "SELECT 1 /* */; /* */ DELETE FROM run"};
    table *t = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        MUST(sql(fine[i], false, &t, &error));
        assert_int_equal(t->n_row, 1);
        assert_int_equal(table_cell(t, 0, 0)->u.i, 2);
    }
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        MUST_FAIL(sql(nothing[i], false, &t, &error), ERR_USAGE, "no SQL statement");
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        MUST_FAIL(sql(many[i], true, &t, &error), ERR_USAGE, "more than one");
    assert_null(t);
    assert_int_equal(number(opened, "SELECT count(*) FROM run"), 2);
}

static void test_reading_only(void **state)
{
    static const char *const refused[][2] = {
        {"INSERT INTO metric (name) VALUES ('x')", "insert into metric"},
        {"UPDATE run SET command = 'x'", "update run"},
        {"DELETE FROM value", "delete from value"},
        {"WITH n AS (SELECT 1 AS a) INSERT INTO metric (name) SELECT a FROM n", "insert into metric"},
        {"REPLACE INTO metric VALUES (1, 'x')", "metric"},
        {"CREATE TABLE x (a)", "create x"},
        {"CREATE TEMP TABLE x (a)", "create"},
        {"CREATE VIRTUAL TABLE x USING fts5(a)", "create"},
        {"DROP TABLE value", "drop value"},
        {"DROP VIEW run_list", "drop run_list"},
        {"ALTER TABLE run RENAME TO x", "alter run"},
        {"VACUUM", "writes"},
        {"REINDEX", "reindex"},
        {"ANALYZE", "analyze "},
    };
    table *t = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        MUST_FAIL(sql(refused[i][0], false, &t, &error), ERR_USAGE, "not allowed here: ");
        if (!strstr(error.msg, refused[i][1]))
            fail_msg("%s: \"%s\"", refused[i][0], error.msg);
        HINTS("unless writing is asked for");
    }
    assert_int_equal(number(opened, "SELECT count(*) FROM value"), 96);
    assert_int_equal(number(opened, "SELECT count(*) FROM metric"), 3);
}

/* Refused whatever was asked for: it reaches beyond the rows of this store. */
static void test_never(void **state)
{
    char into[800], attach[800];
    snprintf(into, sizeof into, "VACUUM INTO '%s'", in_folder("copy.db"));
    snprintf(attach, sizeof attach, "ATTACH '%s' AS other", in_folder("other.db"));
    const char *const refused[] = {
        attach, into, "ATTACH 'sqlite_x' AS y", "DETACH main", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a",
        "PRAGMA user_version = 5", "PRAGMA user_version(5)", "PRAGMA main.user_version = 5",
        "PRAGMA application_id = 5", "PRAGMA foreign_keys = OFF", "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF", "PRAGMA writable_schema = ON", "PRAGMA schema_version = 9",
        "PRAGMA temp_store_directory = '/'", "PRAGMA wal_checkpoint", "PRAGMA optimize",
        "SELECT load_extension('x')", "SELECT * FROM run WHERE load_extension('x') IS NULL",
    };
    table *t = NULL;
    (void)state;
    for (int write = 0; write < 2; write++) {
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            error = (err){0};
            int code = sql(refused[i], write, &t, &error);
            if (code != ERR_USAGE || !strstr(error.msg, "not allowed here: "))
                fail_msg("%s: code %d, %s", refused[i], code, error.msg);
        }
    }
    assert_int_not_equal(access(in_folder("copy.db"), F_OK), 0);
    assert_int_not_equal(access(in_folder("other.db"), F_OK), 0);
    assert_int_equal(number(opened, "PRAGMA user_version"), store_n_migration);
    assert_int_equal(number(opened, "PRAGMA foreign_keys"), 1);
    MUST(sql("PRAGMA user_version", false, &t, &error));
    assert_int_equal(table_cell(t, 0, 0)->u.i, store_n_migration);
    MUST(sql("PRAGMA table_info(run)", false, &t, &error));
    assert_true(t->n_row > 10);
    MUST(sql("PRAGMA integrity_check", false, &t, &error));
    assert_string_equal(table_cell(t, 0, 0)->u.s, "ok");
    table_free(t);
}

static void test_writing(void **state)
{
    table *t = NULL;
    (void)state;
    MUST(sql("CREATE TABLE note (run INTEGER REFERENCES run, text TEXT)", true, &t, &error));
    assert_string_equal(t->column[0], "rows_changed");
    assert_int_equal(table_cell(t, 0, 0)->u.i, 0);
    MUST(sql("INSERT INTO note VALUES (1, 'a'), (2, 'b'), (2, 'c');", true, &t, &error));
    assert_int_equal(table_cell(t, 0, 0)->u.i, 3);
    MUST(sql("UPDATE note SET text = upper(text) WHERE run = 2 RETURNING text", true, &t, &error));
    assert_int_equal(t->n_row, 2);
    assert_string_equal(table_cell(t, 0, 0)->u.s, "B");
    MUST_FAIL(sql("INSERT INTO note VALUES (3, 'no such run')", true, &t, &error), ERR_FAILED, "FOREIGN KEY");
    MUST_FAIL(sql("UPDATE value SET value = 'much' WHERE site_id = 1", true, &t, &error), ERR_FAILED, "REAL");
    MUST(sql("SELECT count(*) FROM note", false, &t, &error));
    assert_int_equal(table_cell(t, 0, 0)->u.i, 3);
    MUST(sql("DROP TABLE note", true, &t, &error));
    table_free(t);
    /* a unit's transaction is not open to statements */
    t = NULL;
    MUST(begin_unit(opened, 1, 7, &error));
    MUST_FAIL(sql("SELECT 1", false, &t, &error), ERR_FAILED, "still open");
    store_unit_rollback(opened);
}

static void test_hints(void **state)
{
    table *t = NULL;
    (void)state;
    MUST_FAIL(sql("SELECT * FROM head_vlue", false, &t, &error), ERR_USAGE, "no such table: head_vlue");
    HINTS("did you mean head_value?");
    HINTS("views: fact_list, figure_list, head_set_list, head_summary, head_value, layer_summary, map_list, metric_list,"
          " metric_summary, "
          "model_list, prompt_list, prompt_token, run_list, sink_by_layer, sweep_list, value_list, value_summary");
    MUST_FAIL(sql("SELECT layr, v.valu FROM head_value v WHERE run = 1", false, &t, &error), ERR_USAGE,
              "no such column: layr");
    HINTS("did you mean layer? head_value has run, prompt, metric, kind, layer, head, head_name, position, ");
    MUST_FAIL(sql("SELECT v.valu FROM head_value v", false, &t, &error), ERR_USAGE,
              "no such column: v.valu");
    HINTS("did you mean value?");
    /* double quotes are names, not text */
    MUST_FAIL(sql("SELECT * FROM head_value WHERE metric = \"sink\"", false, &t, &error), ERR_USAGE,
              "no such column");
    MUST_FAIL(sql("SELECT FROM run", false, &t, &error), ERR_USAGE, "syntax error");
    MUST_FAIL(sql("SELECT frobnicate(1)", false, &t, &error), ERR_USAGE, "no such function");
    MUST_FAIL(sql("SELECT abs(-9223372036854775808)", false, &t, &error), ERR_FAILED, "integer overflow");
}

static void test_limit(void **state)
{
    static const int limits[][3] = {{0, 96, 0}, {95, 95, 1}, {96, 96, 0}, {97, 96, 0}, {1, 1, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        bool more = true;
        table *t = NULL;
        MUST(store_user_sql(opened, &t, "SELECT * FROM value", false, limits[i][0], &more, &error));
        assert_int_equal(t->n_row, limits[i][1]);
        assert_int_equal(more, limits[i][2]);
        table_free(t);
    }
}

/* Ctrl-C ends a statement that would never end, reading or writing, and the store goes on. */
static void test_cancel(void **state)
{
    static const char endless[] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                  "SELECT max(i) FROM n";
    static const char writing[] = "INSERT INTO figure (recipe, path, command, created) "
                                  "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                  "SELECT i, i, i, i FROM n";
    table *t = NULL;
    (void)state;
    cancel_request();
    MUST_FAIL(sql(endless, false, &t, &error), ERR_CANCELLED, "cancelled");
    MUST_FAIL(store_query(opened, &t, endless, NULL, 0, &error), ERR_CANCELLED, "cancelled");
    MUST_FAIL(sql(writing, true, &t, &error), ERR_CANCELLED, "cancelled");
    /* a unit at its end is written to its end, and the run's end is noted */
    MUST(begin_unit(opened, 2, 8, &error));
    for (int i = 0; i < 20000; i++)
        MUST(store_value(opened, &(result_value){ATTN_SELF, "sink", 0, 0, i, i}, &error));
    MUST(store_unit_commit(opened, &error));
    MUST(store_run_end(opened, 2, "cancelled", NULL, &error));
    cancel_clear();
    assert_null(t);
    assert_int_equal(number(opened, "SELECT count(*) FROM figure"), 0);
    assert_int_equal(number(opened, "SELECT count(*) FROM head_value WHERE prompt = 8"), 20000);
    assert_int_equal(number(opened, "SELECT count(*) FROM run WHERE status = 'cancelled'"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query), cmocka_unit_test(test_query_plans),
        cmocka_unit_test(test_one_statement), cmocka_unit_test(test_reading_only),
        cmocka_unit_test(test_never), cmocka_unit_test(test_writing),
        cmocka_unit_test(test_hints), cmocka_unit_test(test_limit), cmocka_unit_test(test_cancel),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_sql", tests, make_store, drop_store);
}
