/* Put before the program with LD_PRELOAD: makes one call in the middle of everything fail.
 *
 *   FAULT=alloc|write|sync|rename|open   what fails
 *   FAULT_AT=N                           the nth such call; 0 or unset: none, they are only counted
 *   FAULT_STAYS=1                        and all after it, as on a full disk
 *   FAULT_ERRNO=N                        of a failing write, sync, rename or open (ENOSPC)
 *   FAULT_PATH=PREFIX                    only calls about files below it
 *   FAULT_CALLER=NAME[,NAME]             alloc: only calls from these objects ("" is the program itself)
 *   FAULT_COUNT=FILE                     at the end "CALLS FAILED" is written there
 *   FAULT_TRACE=1                        where the call came from, on standard error
 *
 * A failing write writes half of its bytes first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, ALLOC, WRITE, SYNC, RENAME, OPEN };

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static struct { uintptr_t from, to; } object[16];
static int n_object;
static enum kind kind;
static bool stays, trace;
static long at;
static int why = ENOSPC;
static const char *prefix, *count_file;
static atomic_long calls, failed;

static bool wanted(const char *name)
{
    const char *list = getenv("FAULT_CALLER"), *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    if (!list || !*list)
        return !*name;
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ",");
        if (n == 0 ? !*name : strncmp(base, s, n) == 0)
            return true;
        s += n + (s[n] == ',');
    }
    return false;
}

static int look(struct dl_phdr_info *info, size_t size, void *ud)
{
    (void)size;
    (void)ud;
    for (int i = 0; i < info->dlpi_phnum && wanted(info->dlpi_name) && n_object < 16; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || !(h->p_flags & PF_X))
            continue;
        object[n_object].from = (uintptr_t)info->dlpi_addr + h->p_vaddr;
        object[n_object].to = object[n_object].from + h->p_memsz;
        n_object++;
    }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    static const char *const names[] = {"", "alloc", "write", "sync", "rename", "open"};
    const char *text = getenv("FAULT");
    enum kind k = NONE;
    for (int i = 1; text && i <= OPEN; i++)
        if (strcmp(text, names[i]) == 0)
            k = (enum kind)i;
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    why = getenv("FAULT_ERRNO") ? atoi(getenv("FAULT_ERRNO")) : ENOSPC;
    stays = getenv("FAULT_STAYS") != NULL;
    trace = getenv("FAULT_TRACE") != NULL;
    prefix = getenv("FAULT_PATH");
    count_file = getenv("FAULT_COUNT");
    dl_iterate_phdr(look, NULL);
    kind = k; /* last: from here on it counts */
}

__attribute__((destructor)) static void end(void)
{
    char line[64];
    kind = NONE;
    int fd = count_file ? open(count_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        return;
    int n = snprintf(line, sizeof line, "%ld %ld\n", (long)calls, (long)failed);
    if (write(fd, line, (size_t)n) != n)
        abort();
    close(fd);
}

static bool fails(void)
{
    long n = atomic_fetch_add(&calls, 1) + 1;
    bool yes = at > 0 && (stays ? n >= at : n == at);
    if (yes)
        atomic_fetch_add(&failed, 1);
    if (yes && trace) {
        enum kind was = kind;
        void *frame[24];
        kind = NONE;
        backtrace_symbols_fd(frame, backtrace(frame, 24), 2);
        kind = was;
    }
    return yes;
}

/* ---- memory ---- */

static bool no_memory(const void *caller)
{
    uintptr_t a = (uintptr_t)caller;
    bool ours = false;
    for (int i = 0; kind == ALLOC && i < n_object && !ours; i++)
        ours = a >= object[i].from && a < object[i].to;
    if (!ours || !fails())
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    if (no_memory(__builtin_return_address(0)))
        return ENOMEM;
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}

/* ---- files ---- */

static bool below(const char *path)
{
    return !prefix || strncmp(path, prefix, strlen(prefix)) == 0;
}

static bool fails_for(enum kind k, const char *path)
{
    char whole[PATH_MAX];
    if (kind != k)
        return false;
    if (prefix && path[0] != '/' && getcwd(whole, sizeof whole) && strlen(whole) + strlen(path) + 2 < sizeof whole) {
        strcat(whole, "/");
        path = strcat(whole, path);
    }
    return below(path) && fails();
}

static bool fails_for_fd(enum kind k, int fd)
{
    char link[64], path[PATH_MAX];
    if (kind != k)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return path[0] == '/' && below(path) && fails();
}

/* The function of that name behind this one. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
    if (!fails_for_fd(WRITE, fd))
        return syscall(SYS_write, fd, p, n);
    if (n > 1 && syscall(SYS_write, fd, p, n / 2) < 0)
        return -1;
    errno = why;
    return -1;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
    if (!fails_for_fd(WRITE, fd))
        return syscall(SYS_pwrite64, fd, p, n, off);
    if (n > 1 && syscall(SYS_pwrite64, fd, p, n / 2, off) < 0)
        return -1;
    errno = why;
    return -1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
    return pwrite64(fd, p, n, off);
}

static int fail(void)
{
    errno = why;
    return -1;
}

int ftruncate64(int fd, off64_t n) { return fails_for_fd(WRITE, fd) ? fail() : (int)syscall(SYS_ftruncate, fd, n); }
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int fsync(int fd) { return fails_for_fd(SYNC, fd) ? fail() : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails_for_fd(SYNC, fd) ? fail() : REAL(fdatasync)(fd); }
int rename(const char *a, const char *b) { return fails_for(RENAME, b) ? fail() : REAL(rename)(a, b); }
int mkdir(const char *path, mode_t m) { return fails_for(OPEN, path) ? fail() : REAL(mkdir)(path, m); }

static int open_it(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails_for(OPEN, path))
        return fail();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_it(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_it(path, flags, mode);
}
