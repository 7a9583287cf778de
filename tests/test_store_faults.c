/* Whatever happens while a unit is written, the store holds it whole or not at all: failing writes, syncs
 * and truncations (a VFS between SQLite and the disk), failing allocations (ours and SQLite's), SIGKILL. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include "tests/store_fixture.h"
#include "tests/vfs_fault.h"

enum { VALUES_A_UNIT = 400, MAP_SIDE = 40 };

/* ---- units whose content says whether they are whole ---- */

static float map_cell(int64_t index, int i)
{
    return i % 7 == 3 ? NAN : (float)(index * 1000 + i);
}

static int write_unit(store *s, int64_t run, int64_t index, err *e)
{
    float cells[MAP_SIDE * MAP_SIDE];
    char piece[32];
    int n = snprintf(piece, sizeof piece, "piece %lld", (long long)index);
    const store_token token = {(int32_t)index, piece, (size_t)n, false};
    int code = begin_text(s, run, index, NULL, piece, (size_t)n, "none", &token, 1, e);
    for (int i = 0; !code && i < VALUES_A_UNIT; i++)
        code = store_value(s, &(result_value){ATTN_SELF, i % 2 ? "sink" : "entropy", i / 100, i / 10 % 10,
                                              i % 10, (double)index + i / 1000.0}, e);
    for (int i = 0; i < MAP_SIDE * MAP_SIDE; i++)
        cells[i] = map_cell(index, i);
    if (!code)
        code = store_map(s, &(result_map){ATTN_SELF, 0, 0, MAP_SIDE, MAP_SIDE, 1, "none", cells}, e);
    if (!code)
        return store_unit_commit(s, e);
    store_unit_rollback(s);
    return code;
}

/* The store is sound and holds the units 0 .. n-1 of run 1, each of them whole; n is returned. */
static int64_t whole_units(const char *path)
{
    store *s = NULL;
    table *t = NULL;
    MUST(store_open(&s, path, false, &error));
    MUST(store_query(s, &t, "SELECT u.prompt_index, u.status, "
                     "(SELECT count(*) FROM value v WHERE v.unit_id = u.id), "
                     "(SELECT sum(value) FROM value v WHERE v.unit_id = u.id), "
                     "(SELECT count(*) FROM token k WHERE k.prompt_id = u.prompt_id "
                     "AND k.id = u.prompt_index) FROM unit u WHERE run_id = 1 ORDER BY prompt_index",
                     NULL, 0, &error));
    for (int64_t r = 0; r < t->n_row; r++) {
        stored_map m;
        double sum = (double)(r * VALUES_A_UNIT) + VALUES_A_UNIT * (VALUES_A_UNIT - 1) / 2 / 1000.0;
        assert_int_equal(table_cell(t, r, 0)->u.i, r);
        assert_string_equal(table_cell(t, r, 1)->u.s, "done");
        assert_int_equal(table_cell(t, r, 2)->u.i, VALUES_A_UNIT);
        assert_true(fabs(cell_number(table_cell(t, r, 3)) - sum) < 1e-6);
        assert_int_equal(table_cell(t, r, 4)->u.i, 1);
        MUST(store_get_map(s, 1, r, (head_id){ATTN_SELF, 0, 0}, &m, &error));
        for (int i = 0; i < MAP_SIDE * MAP_SIDE; i++) {
            float want = map_cell(r, i);
            assert_memory_equal(&m.cells[i], &want, sizeof want);
        }
        free(m.cells);
    }
    int64_t n = t->n_row;
    assert_int_equal(number(s, "SELECT count(*) FROM prompt"), n);
    assert_int_equal(number(s, "SELECT count(*) FROM value"), n * VALUES_A_UNIT);
    assert_int_equal(number(s, "SELECT count(*) FROM map"), n);
    table_free(t);
    store_close(s);
    assert_sound(path);
    return n;
}

/* A store with run 1 and its unit 0. */
static void prepare(char path[640])
{
    store *s = open_new(path);
    begin_run(s);
    MUST(write_unit(s, 1, 0, &error));
    store_close(s);
}

/* Open the store and write unit 1. */
static int add_unit(const char *path, err *e)
{
    store *s = NULL;
    int code = store_open(&s, path, false, e);
    if (!code)
        code = write_unit(s, 1, 1, e);
    store_close(s);
    return code;
}

static int make_and_add(const char *path, err *e)
{
    store *s = NULL;
    int64_t run;
    int code = store_open(&s, path, false, e);
    if (!code)
        code = store_run_begin(s, &a_model, &a_run, &run, e);
    if (!code)
        code = write_unit(s, run, 0, e);
    store_close(s);
    return code;
}

/* ---- failing writes ---- */

typedef int act_fn(const char *path, err *e);

/* The nth operation fails while `act` is at work; *went_through: it was never reached. */
static int act_with(faults *f, long nth, bool stays, int write_error, act_fn *act, const char *path, err *e, bool *went_through)
{
    assert_true(nth < 500);
    *f = (faults){.count_down = nth, .stays = stays, .write_error = write_error};
    int code = act(path, e);
    f->count_down = 0;
    *went_through = f->failed == 0;
    return code;
}

/* Each operation in turn while unit 1 is added: the unit is whole or not there. */
static void fail_each(faults *f, int write_error, bool stays, int expected, const char *text)
{
    bool went_through = false;
    int n_failed = 0;
    for (long nth = 1; !went_through; nth++) {
        char path[640];
        err e = {0};
        prepare(path);
        int code = act_with(f, nth, stays, write_error, add_unit, path, &e, &went_through);
        int64_t n = whole_units(path);
        assert_true(code == 0 ? n == 2 : n == 1 || n == 2);
        if (code) {
            n_failed++;
            assert_int_equal(e.code, code);
            assert_true(e.msg[0] != '\0');
            if (expected)
                assert_int_equal(code, expected);
            else
                assert_in_set(code, ((LargestIntegralType[]){ERR_FAILED, ERR_INPUT, ERR_RESOURCE}), 3);
            assert_non_null(strstr(e.msg, text));
        }
        remove(path);
    }
    assert_true(n_failed >= 5); /* the loop does reach the writing of a unit */
}

static void test_failing_write(void **state)
{
    (void)state;
    fail_each(&fault, SQLITE_IOERR_WRITE, false, ERR_RESOURCE, "cannot write store");
}

static void test_full_disk(void **state)
{
    (void)state;
    fail_each(&fault, SQLITE_FULL, false, ERR_RESOURCE, " store");
}

static void test_full_disk_stays_full(void **state)
{
    (void)state;
    fail_each(&fault, SQLITE_FULL, true, ERR_RESOURCE, " store");
}

/* A new store whose making fails is no store, or an empty one, and can be made again. */
static void test_failing_creation(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        bool went_through = false;
        for (long nth = 1; !went_through; nth++) {
            char path[640];
            err e = {0};
            snprintf(path, sizeof path, "%s", new_path());
            int code = act_with(&fault, nth, stays, SQLITE_FULL, make_and_add, path, &e, &went_through);
            if (code)
                assert_int_equal(code, ERR_RESOURCE);
            int64_t n = whole_units(path);
            assert_true(n == 1 || (code && n == 0));
            MUST(make_and_add(path, &error));
            remove(path);
        }
    }
}

/* Opening, reading and locking fail: the error is one of reaching the store. */
static void test_failing_access(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++)
        fail_each(&reach, 0, stays, 0, "");
}

/* ---- failing allocations ---- */

static void test_failing_allocation(void **state)
{
    int n_failed = 0;
    (void)state;
    for (long nth = 1;; nth++) {
        char path[640];
        err e = {0};
        prepare(path);
        mem_fail_at(nth);
        int code = add_unit(path, &e);
        mem_fail_at(0);
        int64_t n = whole_units(path);
        assert_int_equal(n, code ? 1 : 2);
        remove(path);
        if (code == 0)
            break;
        n_failed++;
        assert_int_equal(code, ERR_RESOURCE);
        assert_true(e.msg[0] != '\0');
        assert_true(nth < 500);
    }
    assert_true(n_failed >= 10);
}

static void test_failing_allocation_in_sqlite(void **state)
{
    int n_failed = 0;
    char path[640];
    (void)state;
    prepare(path);
    for (long nth = 1;; nth++) {
        err e = {0};
        memory_failed = false;
        memory_count_down = nth;
        int code = add_unit(path, &e);
        memory_count_down = 0;
        if (code == 0 && !memory_failed)
            break;
        if (code) { /* SQLite can do without some */
            n_failed++;
            assert_int_equal(code, ERR_RESOURCE);
            assert_int_equal(whole_units(path), 1);
        } else {
            assert_int_equal(whole_units(path), 2);
            tell(path, "PRAGMA foreign_keys = ON; DELETE FROM unit WHERE prompt_index = 1; "
                       "DELETE FROM prompt WHERE text = 'piece 1'");
        }
        nth += nth / 20; /* all of the first 20, then fewer and fewer */
        assert_true(nth < 100000);
    }
    assert_true(n_failed >= 20);
}

static int read_back(const char *path, err *e)
{
    store *s = NULL;
    table *t = NULL;
    bool more;
    stored_map m = {0};
    int code = store_open(&s, path, true, e);
    if (!code)
        code = store_query(s, &t, "SELECT * FROM prompt_token", NULL, 0, e);
    table_free(t);
    t = NULL;
    if (!code)
        code = store_user_sql(s, &t, "SELECT * FROM head_value WHERE position < 5", false, 100, &more, e);
    table_free(t);
    if (!code)
        code = store_get_map(s, 1, 0, (head_id){ATTN_SELF, 0, 0}, &m, e);
    free(m.cells);
    store_close(s);
    return code;
}

static void test_failing_allocation_while_reading(void **state)
{
    char path[640];
    int n_failed[2] = {0};
    (void)state;
    prepare(path);
    for (int whose = 0; whose < 2; whose++) {
        for (long nth = 1;; nth++) {
            err e = {0};
            memory_failed = false;
            if (whose == 0)
                mem_fail_at(nth);
            else
                memory_count_down = nth;
            int code = read_back(path, &e);
            mem_fail_at(0);
            memory_count_down = 0;
            if (code == 0 && !memory_failed)
                break;
            if (code)
                assert_int_equal(code, ERR_RESOURCE);
            n_failed[whose] += code != 0;
            assert_true(nth < 100000);
        }
    }
    assert_true(n_failed[0] >= 10);
    assert_true(n_failed[1] >= 20);
    assert_int_equal(whole_units(path), 1);
}

/* ---- SIGKILL ---- */

static uint32_t random_state = 3141592653;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

/* Write units from the first missing one on, and tell each that is committed. */
static void write_for_ever(const char *path, int64_t next, int told)
{
    store *s = NULL;
    if (store_open(&s, path, false, NULL))
        _exit(1);
    for (;; next++) {
        if (write_unit(s, 1, next, NULL) || write(told, "", 1) != 1)
            _exit(2);
    }
}

static void test_killed(void **state)
{
    char path[640];
    int64_t n = 1;
    (void)state;
    prepare(path);
    for (int round = 0; round < 15; round++) {
        int ends[2], status = 0;
        char byte;
        int64_t committed = 0;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            write_for_ever(path, n, ends[1]);
        }
        close(ends[1]);
        for (uint32_t wait = random_below(6); committed < wait && read(ends[0], &byte, 1) == 1;)
            committed++;
        usleep(random_below(4000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(ends[0], &byte, 1) == 1)
            committed++;
        close(ends[0]);
        int64_t now = whole_units(path);
        /* what was told to be committed is there, and at most the one being committed besides */
        assert_in_range(now - n, committed, committed + 1);
        n = now;
    }
    assert_true(n > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_write), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_stays_full), cmocka_unit_test(test_failing_creation),
        cmocka_unit_test(test_failing_access),
        cmocka_unit_test(test_failing_allocation), cmocka_unit_test(test_failing_allocation_in_sqlite),
        cmocka_unit_test(test_failing_allocation_while_reading), cmocka_unit_test(test_killed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("store_faults", tests, install, remove_folder);
}
