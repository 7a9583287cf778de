#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

/* Allocations left until one fails on purpose; 0 or less: off, or it has happened. */
static atomic_long fail_countdown;

void mem_fail_at(long nth)
{
    atomic_store(&fail_countdown, nth);
}

bool mem_failed(void)
{
    return atomic_load(&fail_countdown) <= 0;
}

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

bool size_mul(size_t *out, size_t a, size_t b)
{
    size_t v;
    if (__builtin_mul_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}

bool size_add(size_t *out, size_t a, size_t b)
{
    size_t v;
    if (__builtin_add_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}

static void *no_memory(size_t bytes, err *e)
{
    if (bytes < (size_t)1 << 20)
        err_set(e, ERR_RESOURCE, "out of memory (%zu bytes)", bytes);
    else
        err_set(e, ERR_RESOURCE, "out of memory (%.1f MiB)", (double)bytes / (1 << 20));
    err_hint(e, "close other programs, or use a smaller model or a shorter input");
    return NULL;
}

static void *too_large(size_t count, size_t size, err *e)
{
    err_set(e, ERR_RESOURCE, "out of memory (%zu elements of %zu bytes)", count, size);
    err_hint(e, "no machine can hold this; check the sizes that were asked for");
    return NULL;
}

void *mem_array(size_t count, size_t size, err *e)
{
    size_t bytes;
    if (!size_mul(&bytes, count, size) || bytes > PTRDIFF_MAX)
        return too_large(count, size, e);

    void *p = must_fail() ? NULL : calloc(bytes ? bytes : 1, 1);
    return p ? p : no_memory(bytes, e);
}

void *mem_grow(void *old, size_t count, size_t size, err *e)
{
    size_t bytes;
    if (!size_mul(&bytes, count, size) || bytes > PTRDIFF_MAX)
        return too_large(count, size, e);

    void *p = must_fail() ? NULL : realloc(old, bytes ? bytes : 1);
    return p ? p : no_memory(bytes, e);
}

char *mem_strndup(const char *s, size_t n, err *e)
{
    size_t bytes;
    if (!size_add(&bytes, n, 1))
        return too_large(n, 1, e);

    char *p = must_fail() ? NULL : malloc(bytes);
    if (!p)
        return no_memory(bytes, e);
    if (n)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *mem_strdup(const char *s, err *e)
{
    return mem_strndup(s, strlen(s), e);
}

void *mem_large(size_t bytes, err *e)
{
    void *p = NULL;
    bool huge = bytes >= HUGE_PAGE;

    if (bytes > PTRDIFF_MAX)
        return too_large(bytes, 1, e);
    if (must_fail() || posix_memalign(&p, huge ? HUGE_PAGE : LINE, bytes ? bytes : LINE))
        return no_memory(bytes, e);
    if (huge)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* advice: a kernel without huge pages is fine */
    return p;
}

void mem_free_large(void *p)
{
    free(p);
}

size_t memory_available(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    unsigned long long kib = 0;
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    size_t bytes;
    if (kib > 0 && size_mul(&bytes, (size_t)kib, 1024))
        return bytes;
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && size_mul(&bytes, (size_t)pages, (size_t)page) ? bytes : SIZE_MAX;
}
