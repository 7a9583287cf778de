/* base/pool: every item exactly once, whatever the number of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/pool.h"

enum { N_ITEM = 10000, MAX_THREAD = 8 };

typedef struct job {
    pool *p;
    unsigned char *seen;      /* [n_item] */
    int64_t per_thread[MAX_THREAD]; /* not atomic: a thread index belongs to one thread at a time */
    atomic_int wrong;
    int n_thread;
} job;

static void mark(void *ud, int64_t item, int thread)
{
    job *j = ud;

    if (thread < 0 || thread >= j->n_thread) {
        atomic_fetch_add(&j->wrong, 1);
        return;
    }
    j->seen[item]++;
    j->per_thread[thread]++;
}

static void each_item_once(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 100, N_ITEM};
    static unsigned char seen[N_ITEM + 1];

    for (int n = 1; n <= MAX_THREAD; n++) {
        pool *p;
        assert_int_equal(pool_new(&p, n, NULL), 0);
        assert_int_equal(pool_threads(p), n);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            job j = {.p = p, .seen = seen, .n_thread = n};
            int64_t total = 0;
            memset(seen, 0, sizeof seen);
            pool_run(p, counts[c], mark, &j);
            for (int64_t i = 0; i < counts[c]; i++)
                assert_int_equal(seen[i], 1);
            assert_int_equal(seen[counts[c]], 0);
            for (int t = 0; t < MAX_THREAD; t++)
                total += j.per_thread[t];
            assert_int_equal(total, counts[c]);
            assert_int_equal(atomic_load(&j.wrong), 0);
        }
        pool_free(p);
    }
}

/* A run issues thousands of jobs of a few items: none may lose an item or let one job see another's. */
static void many_small_jobs(void **state)
{
    (void)state;
    static unsigned char seen[64];

    for (int n = 1; n <= MAX_THREAD; n *= 2) {
        pool *p;
        assert_int_equal(pool_new(&p, n, NULL), 0);
        for (int k = 0; k < 5000; k++) {
            job j = {.p = p, .seen = seen, .n_thread = n};
            int64_t n_item = k % 33;
            memset(seen, 0, sizeof seen);
            pool_run(p, n_item, mark, &j);
            for (int64_t i = 0; i < 64; i++)
                assert_int_equal(seen[i], i < n_item);
            if (k % 1000 == 0)
                usleep(2000); /* workers fall asleep and must wake again */
        }
        pool_free(p);
    }
}

static atomic_int inner_items;

static void inner(void *ud, int64_t item, int thread)
{
    (void)ud;
    (void)item;
    (void)thread;
    atomic_fetch_add(&inner_items, 1);
}

static void outer(void *ud, int64_t item, int thread)
{
    job *j = ud;
    mark(ud, item, thread);
    pool_run(j->p, 5, inner, NULL);
}

/* A job from inside an item runs in place instead of waiting for itself. */
static void nested_jobs(void **state)
{
    (void)state;
    static unsigned char seen[200];

    for (int n = 1; n <= 4; n++) {
        pool *p;
        assert_int_equal(pool_new(&p, n, NULL), 0);
        for (int64_t n_item = 1; n_item <= 200; n_item = n_item * 5 + 1) {
            job j = {.p = p, .seen = seen, .n_thread = n};
            memset(seen, 0, sizeof seen);
            atomic_store(&inner_items, 0);
            pool_run(p, n_item, outer, &j);
            assert_int_equal(atomic_load(&inner_items), 5 * n_item);
            for (int64_t i = 0; i < n_item; i++)
                assert_int_equal(seen[i], 1);
        }
        pool_free(p);
    }
}

typedef struct cancel_job {
    atomic_int done;
} cancel_job;

static void cancel_at_ten(void *ud, int64_t item, int thread)
{
    (void)item;
    (void)thread;
    cancel_job *j = ud;
    if (atomic_fetch_add(&j->done, 1) == 9)
        cancel_request();
}

static void cancel_skips_the_rest(void **state)
{
    (void)state;

    for (int n = 1; n <= MAX_THREAD; n *= 2) {
        pool *p;
        cancel_job j = {0};
        assert_int_equal(pool_new(&p, n, NULL), 0);
        pool_run(p, 1000000, cancel_at_ten, &j);
        int done = atomic_load(&j.done);
        assert_int_equal(cancel_check(NULL), ERR_CANCELLED);
        assert_in_range(done, 10, 10 + n); /* others had at most one item in hand */
        atomic_store(&j.done, 100);
        pool_run(p, 1000, cancel_at_ten, &j); /* still cancelled: nothing is started */
        assert_int_equal(atomic_load(&j.done), 100);
        cancel_clear();
        pool_run(p, 1000, cancel_at_ten, &j); /* and the pool goes on afterwards */
        assert_int_equal(atomic_load(&j.done), 1100);
        pool_free(p);
    }
}

/* Two threads that share a pool take turns. */
typedef struct client {
    pool *p;
    int failures;
} client;

static void *client_main(void *arg)
{
    client *c = arg;
    unsigned char seen[16];

    for (int k = 0; k < 500; k++) {
        job j = {.p = c->p, .seen = seen, .n_thread = pool_threads(c->p)};
        memset(seen, 0, sizeof seen);
        pool_run(c->p, 16, mark, &j);
        for (int i = 0; i < 16; i++)
            c->failures += seen[i] != 1;
    }
    return NULL;
}

static void two_callers(void **state)
{
    (void)state;
    pool *p;
    pthread_t other;

    assert_int_equal(pool_new(&p, 3, NULL), 0);
    client a = {.p = p}, b = {.p = p};
    assert_int_equal(pthread_create(&other, NULL, client_main, &b), 0);
    client_main(&a);
    pthread_join(other, NULL);
    assert_int_equal(a.failures, 0);
    assert_int_equal(b.failures, 0);
    pool_free(p);
}

static pthread_t signal_seen_by;
static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
    (void)sig;
    signal_seen_by = pthread_self();
    signals = signals + 1;
}

/* Ctrl-C must reach the thread that looks after it. */
static void signals_go_to_the_main_thread(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal}, old;
    pool *p;

    assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
    assert_int_equal(pool_new(&p, 4, NULL), 0);
    for (int i = 0; i < 50; i++) {
        signals = 0;
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        while (!signals)
            sched_yield();
        assert_true(pthread_equal(signal_seen_by, pthread_self()));
    }
    pool_free(p);
    sigaction(SIGUSR1, &old, NULL);
}

static void number_of_threads(void **state)
{
    (void)state;
    err e = {0};
    pool *p = NULL;
    cpu_set_t all, one;

    assert_int_equal(pool_new(&p, 100000, &e), ERR_USAGE);
    assert_null(p);
    assert_int_equal(pool_new(&p, 0, &e), 0);
    assert_int_equal(pool_threads(p), machine_threads());
    pool_free(p);
    pool_free(NULL);

    if (sched_getaffinity(0, sizeof all, &all) != 0)
        skip();
    assert_int_equal(machine_threads(), CPU_COUNT(&all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        skip();
    int limited = machine_threads();
    sched_setaffinity(0, sizeof all, &all);
    assert_int_equal(limited, 1);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_once),
        cmocka_unit_test(many_small_jobs),
        cmocka_unit_test(nested_jobs),
        cmocka_unit_test(cancel_skips_the_rest),
        cmocka_unit_test(two_callers),
        cmocka_unit_test(signals_go_to_the_main_thread),
        cmocka_unit_test(number_of_threads),
    };
    return cmocka_run_group_tests_name("base pool", tests, NULL, NULL);
}
