/* How SQLite goes about the common questions: in a store of 10 million values none of them may read a table of values from
 * end to end.  The statistics in a new store say that it is large, so a small one shows the plans of a large one.  How long
 * the questions take there is measured by bench/bench_store. */
#include "base/strbuf.h"
#include "tests/store_fixture.h"

static store *st;

static int make_small(void **state)
{
    if (make_folder(state))
        return -1;
    char path[640];
    st = open_new(path);
    for (int r = 0; r < 2; r++) {
        int64_t run = begin_run(st);
        for (int64_t i = 0; i < (r ? 9 : 3); i++) {
            MUST(begin_unit(st, run, i, &error));
            for (int l = 0; l < 2; l++)
                for (int h = 0; h < 4; h++) {
                    MUST(store_value(st, &(result_value){ATTN_SELF, "entropy", l, h, NO_INDEX, sin((double)(i + l + h))},
                                     &error));
                    for (int q = 0; q < 3; q++)
                        MUST(store_value(st, &(result_value){ATTN_SELF, "sink", l, h, q, cos((double)(i + l + h + q))}, &error));
                }
            MUST(store_unit_commit(st, &error));
        }
        MUST(store_run_end(st, run, "done", NULL, &error));
    }
    return 0;
}

static int close_small(void **state)
{
    store_close(st);
    return remove_folder(state);
}

/* The lines of a plan, each after '\n'. */
static char *plan_of(const char *sql)
{
    strbuf b = {0};
    table *t = NULL;
    strbuf_printf(&b, "EXPLAIN QUERY PLAN %s", sql);
    MUST(store_query(st, &t, strbuf_str(&b), NULL, 0, &error));
    strbuf_clear(&b);
    strbuf_putc(&b, '\n');
    for (int64_t i = 0; i < t->n_row; i++)
        strbuf_printf(&b, "%s\n", table_cell(t, i, 3)->u.s);
    table_free(t);
    char *out = strbuf_take(&b, &error);
    assert_non_null(out);
    return out;
}

/* Read from end to end: only runs, models, metrics and units (few), and what a subquery has found. */
static bool may_be_scanned(const char *name, size_t n)
{
    static const char *const small[] = {"r", "run", "u", "m", "metric", "model", "w", "sweep", "value_summary", "head_summary",
                                        "layer_summary", "metric_summary", "sink_by_layer", NULL};
    if (*name == '(') /* "(subquery-4)" */
        return true;
    for (int i = 0; small[i]; i++)
        if (strlen(small[i]) == n && strncmp(name, small[i], n) == 0)
            return true;
    return false;
}

static void assert_no_scan(const char *sql, const char *plan)
{
    for (const char *p = plan; (p = strstr(p, "\nSCAN ")); p++) {
        const char *name = p + strlen("\nSCAN ");
        if (!may_be_scanned(name, strcspn(name, " \n")))
            fail_msg("%s reads all of %.*s:%s", sql, (int)strcspn(name, "\n"), name, plan);
    }
}

static void expect(const char *sql, const char *step)
{
    char *plan = plan_of(sql);
    assert_no_scan(sql, plan);
    if (!strstr(plan, step))
        fail_msg("%s: no step \"%s\" in:%s", sql, step, plan);
    free(plan);
}

#define VALUES "SEARCH v USING PRIMARY KEY (unit_id=? AND metric_id=?"
#define SUMS "SEARCH a USING PRIMARY KEY (run_id=? AND metric_id=?"

static void test_values(void **state)
{
    (void)state;
    expect("SELECT kind, layer, head_name, position, avg(value) FROM head_value WHERE run = 2 AND metric = 'entropy'"
           " GROUP BY kind, layer, head, position", VALUES);
    static const char *const groups[] = {"kind, layer, head", "layer, head", "head_name", "layer", "position", "prompt"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) { /* prompt by prompt, not head by head */
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT head_name, avg(value) FROM head_value WHERE run = 2 AND metric = 'entropy' GROUP BY %s",
                 groups[i]);
        expect(sql, VALUES ")\n");
    }
    expect("SELECT layer, head, value FROM head_value WHERE run = 2 AND metric = 'entropy' AND prompt = 1 AND kind = 'self' AND"
           " position IS NULL", VALUES);
    expect("SELECT prompt, position, value FROM head_value WHERE run = 2 AND metric = 'sink' AND head_name = 'L1H3'",
           VALUES " AND site_id=?");
    expect("SELECT metric, layer, head, position, value FROM value_list WHERE run = 2 AND prompt = 1",
           "SEARCH v USING PRIMARY KEY (unit_id=?");
    expect("SELECT value FROM head_value WHERE run = 2 AND metric = 'sink' AND layer = 1 AND head = 2 AND position = 0"
           " ORDER BY prompt", VALUES " AND site_id=?");
    expect("SELECT metric FROM metric_list WHERE run = 2", VALUES);
}

static void test_summaries(void **state)
{
    (void)state;
    expect("SELECT * FROM head_summary WHERE run = 2 AND metric = 'entropy' ORDER BY mean DESC LIMIT 10", SUMS);
    expect("SELECT head_name, mean FROM head_summary WHERE run = 2 AND metric = 'sink' AND position = 0", SUMS);
    expect("SELECT run, mean FROM head_summary WHERE metric = 'entropy' AND head_name = 'L1H3'",
           "SEARCH a USING PRIMARY KEY (ANY(run_id) AND ANY(metric_id) AND ANY(position) AND site_id=?)");
    expect("SELECT metric, position, mean FROM head_summary WHERE run = 2 AND head_name = 'L1H3'", "SEARCH a USING PRIMARY KEY"
                                                                                                   " (run_id=?");
    expect("SELECT * FROM layer_summary WHERE run = 2 AND metric = 'entropy'", SUMS);
    expect("SELECT * FROM sink_by_layer WHERE run = 2", SUMS);
    expect("SELECT * FROM metric_summary WHERE run = 2", "SEARCH a USING PRIMARY KEY (run_id=?");
    /* those that have no summary yet are as well found */
    expect("SELECT * FROM head_summary WHERE run = 1 AND metric = 'entropy'", VALUES);
    expect("SELECT * FROM sink_by_layer WHERE run = 1", VALUES);
    expect("SELECT * FROM layer_summary WHERE run = 1 AND metric = 'entropy'", VALUES);
}

static void test_the_rest(void **state)
{
    (void)state;
    expect("SELECT * FROM run_list ORDER BY run DESC", "USING COVERING INDEX unit_status (run_id=? AND status=?)");
    expect("SELECT * FROM prompt_list WHERE run = 2 ORDER BY prompt", "SEARCH u USING INDEX sqlite_autoindex_unit_1 (run_id=?)");
    expect("SELECT position, text FROM prompt_token WHERE run = 2 AND prompt = 1 ORDER BY position",
           "SEARCH t USING PRIMARY KEY (prompt_id=?");
    expect("SELECT * FROM map_list WHERE run = 2 AND prompt = 1", "SEARCH a USING INDEX sqlite_autoindex_map_1 (unit_id=?");
    expect("SELECT * FROM fact_list WHERE run = 2 AND name = 'domain'", "SEARCH f USING PRIMARY KEY (unit_id=? AND name=?)");
    expect("SELECT * FROM sweep_list WHERE sweep = 1", "SEARCH r USING INDEX run_sweep (sweep_id=?)");
    expect("SELECT 1 FROM unit WHERE run_id = 1 AND prompt_index = 2 AND status = 'done'", "(run_id=? AND prompt_index=?)");
}

/* Both halves of the views give the same answer. */
static void test_same_answers(void **state)
{
    static const char *const views[] = {"head_summary", "layer_summary", "metric_summary"};
    char sql[200], path[640];
    (void)state;
    snprintf(path, sizeof path, "%s", store_path(st));
    assert_int_equal(number(st, "SELECT summed FROM run WHERE id = 2"), 1);
    assert_int_equal(number(st, "SELECT summed FROM run WHERE id = 1"), 0);
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        char with[128];
        snprintf(sql, sizeof sql, "SELECT printf('%%d %%.10f %%.10f %%.10f', count(*), sum(mean), sum(min), sum(max)) FROM %s",
                 views[i]);
        snprintf(with, sizeof with, "%s", ask(path, sql));
        tell(path, "UPDATE run SET summed = 0 WHERE id = 2");
        assert_string_equal(ask(path, sql), with);
        tell(path, "UPDATE run SET summed = 1 WHERE id = 2");
    }
    double heads = number(st, "SELECT sum(mean) / 8 FROM head_summary WHERE run = 2 AND metric = 'sink' AND position = 0");
    double layers = number(st, "SELECT avg(mean) FROM sink_by_layer WHERE run = 2");
    assert_true(fabs(heads - layers) < 1e-14);
    assert_int_equal(number(st, "SELECT sum(heads) FROM sink_by_layer WHERE run = 2"), 8);
    assert_true(number(st, "SELECT sum(sinks) FROM sink_by_layer WHERE run = 2") ==
                number(st, "SELECT count(*) FROM head_summary WHERE run = 2 AND metric = 'sink' "
                           "AND position = 0 AND mean > 0.3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_summaries), cmocka_unit_test(test_the_rest),
        cmocka_unit_test(test_same_answers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_plans", tests, make_small, close_small);
}
