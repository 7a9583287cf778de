#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/ranks.h"

/* How a job runs.  `state` holds the number of the job, whether it still takes workers, and how many
 * workers are inside.  A worker enters by adding one while the job is open; the caller closes the job when
 * the items have been handed out and waits until nobody is inside.  So a worker that wakes too late costs
 * the caller nothing, and nobody reads a job's description after the caller has gone on. */
enum { MAX_THREADS = 1024, SPINS = 400 };

#define OPEN ((uint64_t)1 << 31)
#define JOB ((uint64_t)1 << 32)
#define INSIDE(state) ((uint32_t)((state) & (OPEN - 1)))

struct pool {
    int n_thread;          /* the caller included */
    int n_started;
    int spins;             /* looks at `state` before going to sleep */
    pthread_t *worker;
    pthread_mutex_t caller; /* one job at a time */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int n_asleep;          /* under lock */
    bool stop;             /* under lock */
    int next_index;        /* under lock: private number of each worker */

    pool_fn fn;            /* the job; stable while it is open or somebody is inside */
    void *ud;
    int64_t n_item;

    _Alignas(64) atomic_uint_fast64_t state;
    _Alignas(64) atomic_int_fast64_t next;
};

/* Whom this thread works for, and as which thread: a job started from an item runs in place. */
typedef struct role {
    const pool *p;
    int thread;
} role;
static _Thread_local role working;

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int machine_threads(void)
{
    int n = 0;

    for (int limit = CPU_SETSIZE; limit <= 1 << 16 && n == 0; limit *= 4) {
        cpu_set_t *set = CPU_ALLOC(limit);
        size_t bytes = CPU_ALLOC_SIZE(limit);
        if (!set)
            break;
        CPU_ZERO_S(bytes, set);
        if (sched_getaffinity(0, bytes, set) == 0)
            n = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
    if (n <= 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n <= 0 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

static void do_items(pool *p, int thread)
{
    role before = working;

    working = (role){p, thread};
    while (!cancel_requested()) {
        int64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->n_item)
            break;
        p->fn(p->ud, i, thread);
    }
    working = before;
}

/* Wait for a job other than `seen` and return its state; 0 when the pool is being freed. */
static uint64_t wait_for_job(pool *p, uint64_t seen)
{
    uint64_t s;

    for (int i = 0; i < p->spins; i++) {
        s = atomic_load_explicit(&p->state, memory_order_acquire);
        if (s / JOB != seen)
            return s;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->n_asleep++;
    while (!p->stop && atomic_load(&p->state) / JOB == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    p->n_asleep--;
    s = p->stop ? 0 : atomic_load(&p->state);
    pthread_mutex_unlock(&p->lock);
    return s;
}

static void *work(void *arg)
{
    pool *p = arg;
    uint64_t seen = 0, s;

    pthread_mutex_lock(&p->lock);
    int thread = ++p->next_index;
    pthread_mutex_unlock(&p->lock);

    while ((s = wait_for_job(p, seen)) != 0) {
        seen = s / JOB;
        bool inside = false;
        while ((s & OPEN) && s / JOB == seen && !inside)
            inside = atomic_compare_exchange_weak(&p->state, &s, s + 1);
        if (!inside)
            continue;

        do_items(p, thread);

        s = atomic_fetch_sub(&p->state, 1);
        if (INSIDE(s) == 1 && !(s & OPEN)) { /* the last one out, and the caller may be asleep */
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
    return NULL;
}

/* Workers leave asynchronous signals to the main thread; faults must stay deliverable where they happen. */
static void block_signals(sigset_t *old)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &set, old);
}

int pool_new(pool **out, int threads, err *e)
{
    sigset_t old;
    int rc = 0;

    if (threads <= 0)
        threads = machine_threads() / ranks_here() > 1 ? machine_threads() / ranks_here() : 1;
    if (threads > MAX_THREADS)
        return err_set(e, ERR_USAGE, "%d threads are too many (at most %d)", threads, MAX_THREADS);

    pool *p = mem_large(sizeof *p, e); /* 64-byte alignment of the two shared counters */
    if (!p)
        return ERR_RESOURCE;
    memset(p, 0, sizeof *p);
    p->n_thread = threads;
    p->spins = threads <= machine_threads() ? SPINS : 0;
    pthread_mutex_init(&p->caller, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    atomic_init(&p->state, 0);
    atomic_init(&p->next, 0);

    p->worker = mem_array((size_t)threads, sizeof *p->worker, e);
    if (!p->worker) {
        pool_free(p);
        return ERR_RESOURCE;
    }
    block_signals(&old);
    for (int i = 1; i < threads && rc == 0; i++) {
        int why = pthread_create(&p->worker[p->n_started], NULL, work, p);
        if (why) {
            err_errno(e, ERR_RESOURCE, why, "cannot start thread %d of %d", i + 1, threads);
            rc = err_hint(e, "ask for fewer threads");
        } else {
            p->n_started++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        pool_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pool_free(pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->worker[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->caller);
    free(p->worker);
    mem_free_large(p);
}

int pool_threads(const pool *p)
{
    return p->n_thread;
}

static void run_in_place(const pool *p, int64_t n_item, pool_fn fn, void *ud, int thread)
{
    role before = working;

    working = (role){p, thread};
    for (int64_t i = 0; i < n_item && !cancel_requested(); i++)
        fn(ud, i, thread);
    working = before;
}

/* Close the open job and wait until the last worker has left it. */
static void close_job(pool *p)
{
    uint64_t s = atomic_fetch_and(&p->state, ~OPEN);

    for (int i = 0; i < p->spins && INSIDE(s) != 0; i++) {
        relax();
        s = atomic_load(&p->state);
    }
    if (INSIDE(s) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    while (INSIDE(atomic_load(&p->state)) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(pool *p, int64_t n_item, pool_fn fn, void *ud)
{
    if (working.p == p) {
        run_in_place(p, n_item, fn, ud, working.thread);
        return;
    }
    pthread_mutex_lock(&p->caller);
    if (p->n_thread == 1 || n_item <= 1) {
        run_in_place(p, n_item, fn, ud, 0);
        pthread_mutex_unlock(&p->caller);
        return;
    }

    p->fn = fn;
    p->ud = ud;
    p->n_item = n_item;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);

    pthread_mutex_lock(&p->lock);
    uint64_t job = atomic_load(&p->state) / JOB + 1;
    if ((uint32_t)job == 0) /* after 2^32 jobs: 0 means "none yet" */
        job = 1;
    atomic_store(&p->state, (uint64_t)(uint32_t)job * JOB | OPEN);
    bool wake = p->n_asleep > 0;
    pthread_mutex_unlock(&p->lock);
    if (wake)
        pthread_cond_broadcast(&p->wake);

    do_items(p, 0);
    close_job(p);
    pthread_mutex_unlock(&p->caller);
}
