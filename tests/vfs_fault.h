/* Between SQLite and the disk, and in place of SQLite's allocator: each fails when told to. */
#ifndef ATTNSCOPE_TESTS_VFS_FAULT_H
#define ATTNSCOPE_TESTS_VFS_FAULT_H

#include <stdbool.h>
#include <sqlite3.h>
#include "tests/store_fixture.h"

/* ---- a VFS that fails when told to; everything else goes to the one below ---- */

typedef struct faulty_file { sqlite3_file base; sqlite3_file *real; } faulty_file;

typedef struct faults {
    long count_down; /* 0: never; n: the nth operation fails */
    bool stays;      /* and all after it, as on a full disk */
    int write_error; /* what a failing write says */
    long failed;     /* how often it did */
} faults;

static faults fault; /* of operations that change the disk */
static faults reach; /* of those that only look: opening, reading, locks, the shared memory of the log */

static bool comes_due(faults *f)
{
    if (f->count_down == 0)
        return false;
    if (f->count_down > 1) {
        f->count_down--;
        return false;
    }
    if (!f->stays)
        f->count_down = 0;
    f->failed++;
    return true;
}

static bool must_fail(void)
{
    return comes_due(&fault);
}

static bool must_not_reach(void)
{
    return comes_due(&reach);
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((faulty_file *)f)->real;
}

/* Call a method of the file below. */
#define BELOW(f, method, ...) real_of(f)->pMethods->method(real_of(f), __VA_ARGS__)

static int f_close(sqlite3_file *f) { return real_of(f)->pMethods->xClose(real_of(f)); }
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return must_not_reach() ? SQLITE_IOERR_READ : BELOW(f, xRead, p, n, at);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return BELOW(f, xFileSize, n); }
static int f_lock(sqlite3_file *f, int how) { return must_not_reach() ? SQLITE_IOERR_LOCK : BELOW(f, xLock, how); }
static int f_unlock(sqlite3_file *f, int how) { return BELOW(f, xUnlock, how); }
static int f_reserved(sqlite3_file *f, int *yes) { return BELOW(f, xCheckReservedLock, yes); }
static int f_control(sqlite3_file *f, int op, void *p) { return BELOW(f, xFileControl, op, p); }
static int f_sector(sqlite3_file *f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); }
static int f_traits(sqlite3_file *f) { return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f)); }

static int f_shm_lock(sqlite3_file *f, int at, int n, int how)
{
    bool takes = how & SQLITE_SHM_LOCK; /* giving a lock back never fails */
    return takes && must_not_reach() ? SQLITE_IOERR_SHMLOCK : BELOW(f, xShmLock, at, n, how);
}

static void f_shm_barrier(sqlite3_file *f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
static int f_shm_unmap(sqlite3_file *f, int erase) { return BELOW(f, xShmUnmap, erase); }

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return must_not_reach() ? SQLITE_IOERR_SHMMAP : BELOW(f, xShmMap, page, size, extend, p);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (must_fail()) {
        if (n > 1) /* half of it reaches the disk */
            BELOW(f, xWrite, p, n / 2, at);
        return fault.write_error;
    }
    return BELOW(f, xWrite, p, n, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return must_fail() ? SQLITE_IOERR_TRUNCATE : BELOW(f, xTruncate, n);
}

/* Nothing here is about losing power, so that the disk need not be waited for. */
static int f_sync(sqlite3_file *f, int flags)
{
    (void)f;
    (void)flags;
    return must_fail() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static sqlite3_vfs *below, faulty;

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    static const sqlite3_io_methods methods = {
        2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock, f_reserved, f_control,
        f_sector, f_traits, f_shm_map, f_shm_lock, f_shm_barrier, f_shm_unmap, NULL, NULL,
    };
    faulty_file *f = (faulty_file *)file;
    (void)vfs;
    f->base.pMethods = NULL;
    f->real = (sqlite3_file *)&f[1];
    if (must_not_reach())
        return SQLITE_CANTOPEN;
    int rc = below->xOpen(below, name, f->real, flags, out_flags);
    if (rc == SQLITE_OK)
        f->base.pMethods = &methods;
    return rc;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    (void)sync_folder;
    return must_fail() ? SQLITE_IOERR_DELETE : below->xDelete(below, name, 0);
}

/* ---- SQLite's allocator, failing in the same way ---- */

static sqlite3_mem_methods real_memory;
static long memory_count_down;
static bool memory_failed;

static bool no_memory(void)
{
    if (memory_count_down == 0 || --memory_count_down > 0)
        return false;
    memory_failed = true;
    return true;
}

static void *failing_malloc(int n) { return no_memory() ? NULL : real_memory.xMalloc(n); }
static void *failing_realloc(void *p, int n) { return no_memory() ? NULL : real_memory.xRealloc(p, n); }

static int install(void **state)
{
    sqlite3_mem_methods m;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        return -1;
    m = real_memory;
    m.xMalloc = failing_malloc;
    m.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &m) != SQLITE_OK)
        return -1;
    below = sqlite3_vfs_find(NULL);
    faulty = *below;
    faulty.zName = "faulty";
    faulty.szOsFile = (int)sizeof(faulty_file) + below->szOsFile;
    faulty.pNext = NULL;
    faulty.xOpen = v_open;
    faulty.xDelete = v_delete;
    return sqlite3_vfs_register(&faulty, 1) == SQLITE_OK ? make_folder(state) : -1;
}

#endif
