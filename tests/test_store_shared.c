/* One store, several processes: two that write at once, one that is killed, readers beside a writer. */
#include <signal.h>
#include <sys/wait.h>
#include "tests/store_fixture.h"

enum { UNITS = 200, HEADS = 12 };

static int write_unit(store *s, int64_t run, int64_t index, err *e)
{
    char text[32];
    int n = snprintf(text, sizeof text, "prompt %d", (int)(index % 50)); /* both processes bring the same prompts */
    int code = begin_text(s, run, index, NULL, text, (size_t)n, "none", three_tokens, 3, e);
    for (int h = 0; h < HEADS && !code; h++)
        code = store_value(s, &(result_value){ATTN_SELF, "sink", (int)(index % 3), h, 0, (double)(index * 100 + h)}, e);
    return code ? code : store_unit_commit(s, e);
}

static const store_options patient = {60000, NULL, 0};

static int open_patient(store **s, const char *path)
{
    store_options o = patient;
    o.migrations = store_migrations;
    o.n_migration = store_n_migration;
    return store_open_with(s, path, false, &o, NULL);
}

/* Units first, first + step, ... of a run that all take up by its uid. */
static int writer(const char *path, int64_t first, int64_t step)
{
    store *s = NULL;
    store_run r = a_run;
    int64_t run;
    r.uid = "0123456789abcdef0123456789abcdef";
    int code = open_patient(&s, path);
    if (!code)
        code = store_run_begin(s, &a_model, &r, &run, NULL);
    for (int64_t i = first; i < 2 * UNITS && !code; i += step)
        code = write_unit(s, run, i, NULL);
    if (!code)
        code = store_run_end(s, run, "done", NULL, NULL);
    store_close(s);
    return code;
}

static void wait_for(pid_t child, int want)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, want);
}

static void test_two_writers(void **state)
{
    char path[640];
    pid_t child[2];
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0)
            _exit(writer(path, i, 2));
    }
    for (int i = 0; i < 2; i++)
        wait_for(child[i], 0);
    assert_sound(path);
    assert_string_equal(ask(path, "SELECT count(*) || ' ' || min(status) FROM run"), "1 done");
    assert_string_equal(ask(path, "SELECT count(*) || ' ' || count(DISTINCT prompt_index) || ' ' || min(status) FROM unit"),
                        "400 400 done");
    assert_string_equal(ask(path, "SELECT count(*) FROM prompt"), "50");
    assert_string_equal(ask(path, "SELECT count(*) || ' ' || sum(value = prompt * 100 + head AND layer = prompt % 3) FROM"
                                  " head_value"),
                        "4800 4800");
    store *s = NULL;
    table *t = NULL;
    MUST(store_open(&s, path, true, &error));
    MUST(store_check(s, &t, NULL, &error));
    for (int64_t i = 0; i < t->n_row; i++)
        assert_int_equal(table_cell(t, i, 1)->u.i, 0);
    table_free(t);
    store_close(s);
}

/* A process that dies in the middle of its units takes nothing else along, and another one goes on. */
static void test_killed_writer(void **state)
{
    char path[640];
    (void)state;
    snprintf(path, sizeof path, "%s", new_path());
    for (int round = 0; round < 6; round++) {
        pid_t child = fork();
        if (child == 0) {
            store *s = NULL;
            store_run r = a_run;
            int64_t run;
            bool done;
            r.uid = "0123456789abcdef0123456789abcdef";
            if (open_patient(&s, path) || store_run_begin(s, &a_model, &r, &run, NULL))
                _exit(1);
            for (int64_t i = 0;; i++)
                if (store_unit_done(s, run, i, &done, NULL) || (!done && write_unit(s, run, i, NULL)))
                    _exit(1);
        }
        usleep((useconds_t)(20000 + 15000 * round));
        kill(child, SIGKILL);
        wait_for(child, SIGKILL);
        store *s = NULL;
        MUST(store_open(&s, path, false, &error));
        assert_int_equal(number(s, "SELECT count(*) FROM unit WHERE status <> 'done'"), 0);
        assert_true(number(s, "SELECT count(*) FROM value") == HEADS * number(s, "SELECT count(*) FROM unit"));
        store_close(s);
        assert_sound(path);
    }
}

/* While somebody is within a unit's transaction, readers see what was there before, at once. */
static void test_readers(void **state)
{
    char path[640];
    store *s = NULL, *reader = NULL;
    const store_options quick = {0, store_migrations, store_n_migration}; /* whoever must wait fails */
    (void)state;
    s = open_new(path);
    int64_t run = begin_run(s);
    MUST(write_unit(s, run, 0, &error));
    MUST(begin_unit(s, run, 1, &error));
    for (int i = 0; i < 600000; i++) /* more than waits in memory: the transaction has begun */
        MUST(store_value(s, &(result_value){ATTN_SELF, "mass", 0, 0, i, i}, &error));
    MUST(store_open_with(&reader, path, true, &quick, &error));
    assert_int_equal(number(reader, "SELECT count(*) FROM unit"), 1);
    assert_int_equal(number(reader, "SELECT count(*) FROM value_list"), HEADS);
    int64_t other;
    store_close(reader);
    reader = NULL;
    MUST(store_open_with(&reader, path, false, &quick, &error)); /* another writer may look, but not write now */
    assert_int_equal(number(reader, "SELECT count(*) FROM run_list"), 1);
    MUST_FAIL(store_run_begin(reader, &a_model, &a_run, &other, &error), ERR_FAILED, "in use by another process");
    HINTS("wait until it has finished");
    table *t = NULL;
    MUST(store_check(reader, &t, NULL, &error));
    table_free(t);
    store_gc_report n;
    MUST_FAIL(store_gc(reader, &n, &error), ERR_FAILED, "in use by another process");
    store_merge_report m;
    MUST_FAIL(store_merge(reader, path, &m, NULL, &error), ERR_FAILED, "in use by another process");
    MUST(store_unit_commit(s, &error));
    assert_int_equal(number(reader, "SELECT count(*) FROM value_list"), HEADS + 600000);
    MUST(store_run_begin(reader, &a_model, &a_run, &other, &error));
    store_close(reader);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_writers), cmocka_unit_test(test_killed_writer), cmocka_unit_test(test_readers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_shared", tests, make_folder, remove_folder);
}
