/* Memory: checked sizes, allocation that reports, and arenas for everything with one lifetime. */
#ifndef ATTNSCOPE_BASE_MEM_H
#define ATTNSCOPE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* out = a * b (a + b).  False, and out untouched, when that does not fit in size_t. */
bool size_mul(size_t *out, size_t a, size_t b);
bool size_add(size_t *out, size_t a, size_t b);

/* Zeroed memory for count elements of size bytes each; NULL with e filled when it cannot be had or the
 * product overflows.  count 0 gives a valid pointer.  Free with free(). */
void *mem_array(size_t count, size_t size, err *e);

/* realloc with a checked product; NULL (the old block stays valid) with e filled on failure.
 * New memory is not zeroed. */
void *mem_grow(void *old, size_t count, size_t size, err *e);

/* Copy of a NUL-terminated string / of n bytes plus a NUL. */
char *mem_strdup(const char *s, err *e);
char *mem_strndup(const char *s, size_t n, err *e);

/* Tests only: the nth allocation from now fails (1 = the next); 0 switches it off.  mem_failed: has it come to that? */
void mem_fail_at(long nth);
bool mem_failed(void);

/* A large float buffer aligned to 64 bytes, huge pages advised; not zeroed.  Free with mem_free_large. */
void *mem_large(size_t bytes, err *e);
void mem_free_large(void *p);

/* Bytes of memory that are free or hold caches: what a new allocation can have. */
size_t memory_available(void);

/* Arena: many allocations, one free.  Blocks never move. */
typedef struct arena { struct arena_block *head; size_t total; } arena;
void *arena_alloc(arena *a, size_t count, size_t size, err *e); /* zeroed, 16-byte aligned */
char *arena_strdup(arena *a, const char *s, err *e);
char *arena_strndup(arena *a, const char *s, size_t n, err *e);
void arena_free(arena *a);

#endif
