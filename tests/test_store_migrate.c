/* Stores of every released version (tests/stores/), brought up to date: nothing is lost, nothing changes its value, and a
 * process that is killed on the way leaves the old version. */
#include <signal.h>
#include <sys/wait.h>
#include "tests/store_fixture.h"

/* A copy of tests/stores/vN.db. */
static void copy_version(char path[640], int version)
{
    const char *srcdir = getenv("srcdir");
    char from[640];
    static char bytes[1 << 16];
    snprintf(from, sizeof from, "%s/tests/stores/v%d.db", srcdir ? srcdir : ".", version);
    FILE *in = fopen(from, "rb");
    if (!in)
        fail_msg("%s is missing", from);
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_true(n < 60000);
    snprintf(path, 640, "%s", new_path());
    FILE *out = fopen(path, "wb");
    assert_true(fwrite(bytes, 1, n, out) == n);
    fclose(out);
}

static void assert_checked(store *s)
{
    table *t = NULL;
    MUST(store_check(s, &t, NULL, &error));
    for (int64_t i = 0; i < t->n_row; i++)
        if (table_cell(t, i, 1)->u.i)
            fail_msg("%s: %s", table_cell(t, i, 0)->u.s, table_cell(t, i, 2)->u.s);
    table_free(t);
}

/* What the program of that version would have said. */
static void assert_content(const char *path, int version)
{
    assert_string_equal(ask(path, "SELECT group_concat(run || ' ' || model || ' ' || status || ' ' || prompts || ' ' || seconds,"
                                  " '; ') FROM run_list"), "1 tiny done 10 2.5; 3 tiny failed 0 2.5");
    /* 15 digits and then the bits: SQLite prints with a long double, which valgrind computes in 64 bits. */
    assert_string_equal(ask(path, "SELECT group_concat(printf('%d %s %s %!.15g', prompt, metric, ifnull(head_name, '-'), value),"
                                  " '; ')"
                                  " FROM (SELECT * FROM value_list WHERE prompt IN (0, 9) ORDER BY prompt, metric, layer, head)"),
                        "0 nll - 0.0; 0 sink L0H1 0.25; 0 sink cross.L0H2 -1.0e-300; 0 sink L1H3 0.333333333333333;"
                        " 9 nll - 22.5; 9 sink L0H1 9.25; 9 sink cross.L0H2 -1.0e-300; 9 sink L1H3 0.333333333333333");
    assert_string_equal(ask(path, "SELECT count(*) FROM value_list WHERE prompt IN (0, 9) AND layer = 1 AND head = 3 AND"
                                  " value = 1 / 3.0"), "2");
    assert_string_equal(ask(path, "SELECT group_concat(id || text || special) FROM prompt_token WHERE run = 1 AND prompt = 0 AND"
                                  " sequence = 'self'"), "1<s>1,7a0,8 b0");
    assert_string_equal(ask(path, "SELECT label || (SELECT path FROM figure) FROM unit WHERE label IS NOT NULL"), "minea.png");
    assert_string_equal(ask(path, "SELECT message FROM run WHERE id = 3"), "disk full");
    assert_string_equal(ask(path, "SELECT count(*) FROM prompt_token WHERE sequence = 'vis' AND id IS NULL"), version >= 2 ? "2"
                        : "0");
    assert_string_equal(ask(path, "SELECT count(*) || ifnull(max(path), '') FROM input"), version >= 2 ? "1a.png" : "0");
    assert_string_equal(ask(path, "SELECT group_concat(name || text) FROM fact_list"), version >= 3 ? "domaincode" : "(null)");
}

static void test_every_version(void **state)
{
    (void)state;
    for (int v = 1; v < store_n_migration; v++) {
        char path[640], version[16];
        store *s = NULL;
        stored_map m;
        copy_version(path, v);
        snprintf(version, sizeof version, "%d", v);
        assert_string_equal(ask(path, "PRAGMA user_version"), version);
        MUST_FAIL(store_open(&s, path, true, &error), ERR_INPUT, "must be updated before it is read");
        assert_string_equal(ask(path, "PRAGMA user_version"), version);
        MUST(store_open(&s, path, false, &error));
        assert_int_equal(number(s, "PRAGMA user_version"), store_n_migration);
        assert_content(path, v);
        MUST(store_get_map(s, 1, 0, (head_id){ATTN_SELF, 1, 3}, &m, &error));
        assert_true(m.rows == 2 && m.cols == 2 && m.cells[0] == 1 && isnan(m.cells[1]) && m.cells[2] == .25f &&
                    m.cells[3] == .75f);
        free(m.cells);
        assert_checked(s);
        /* summaries come with gc, and answers stay the same */
        store_gc_report n;
        assert_true(fabs(number(s, "SELECT mean FROM head_summary WHERE head_name = 'L0H1'") - 4.75) < 1e-15);
        MUST(store_gc(s, &n, &error));
        assert_int_equal(n.prompts + n.models + n.sites + n.metrics + n.units, 0);
        assert_int_equal(number(s, "SELECT summed FROM run WHERE id = 1"), 1);
        assert_true(number(s, "SELECT mean FROM head_summary WHERE head_name = 'L0H1'") == 4.75);
        assert_content(path, v);
        /* and it goes on */
        int64_t run = begin_run(s);
        assert_int_equal(run, 4);
        MUST(begin_unit(s, run, 0, &error));
        MUST(store_unit_commit(s, &error));
        MUST(store_run_end(s, run, "done", NULL, &error));
        assert_checked(s);
        store_close(s);
        /* two old stores, merged */
        store_merge_report r;
        char other[640];
        copy_version(other, v);
        s = NULL;
        MUST(store_open(&s, other, false, &error));
        MUST(store_merge(s, path, &r, NULL, &error));
        assert_int_equal(r.runs, 1);
        assert_int_equal(r.same_units, 10);
        store_close(s);
    }
}

/* Killed while the last step is under way (it never ends), and at any moment of a usual migration. */
static void test_killed(void **state)
{
    static const char endless[] = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    (void)state;
    for (int v = 1; v < store_n_migration; v++) {
        for (int round = 0; round < 8; round++) {
            char path[640], version[16];
            int status = -1;
            const char *steps[8];
            copy_version(path, v);
            snprintf(version, sizeof version, "%d", v);
            pid_t child = fork();
            if (child == 0) {
                store *s = NULL;
                for (int i = 0; i < store_n_migration; i++)
                    steps[i] = store_migrations[i];
                steps[store_n_migration] = endless;
                const store_options o = {5000, steps, store_n_migration + (round < 2)};
                store_open_with(&s, path, false, &o, NULL);
                store_close(s);
                _exit(0);
            }
            usleep(round < 2 ? 100000 : (useconds_t)(500 * round));
            kill(child, SIGKILL);
            assert_int_equal(waitpid(child, &status, 0), child);
            const char *is = ask(path, "PRAGMA user_version");
            bool old = strcmp(is, version) == 0;
            assert_true(old || (round >= 2 && atoi(is) == store_n_migration));
            assert_sound(path);
            assert_string_equal(ask(path, "SELECT count(*) FROM value"), "40");
            if (old)
                assert_string_equal(ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'summary'"), "0");
            store *s = NULL;
            MUST(store_open(&s, path, false, &error));
            assert_content(path, v);
            assert_checked(s);
            store_close(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_version), cmocka_unit_test(test_killed)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_migrate", tests, make_folder, remove_folder);
}
