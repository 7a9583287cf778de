#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ALIGN = 16, BLOCK = 64 << 10 };

typedef struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(ALIGN) unsigned char data[];
} arena_block;

/* A block of zeroed memory; calloc gives untouched pages, so large blocks cost nothing until written. */
static arena_block *new_block(size_t size, err *e)
{
    size_t whole;
    if (!size_add(&whole, sizeof(arena_block), size)) {
        err_nomem(e, "arena");
        return NULL;
    }
    arena_block *b = mem_array(whole, 1, e);
    if (b)
        b->size = size;
    return b;
}

void *arena_alloc(arena *a, size_t count, size_t size, err *e)
{
    size_t bytes;
    if (!size_mul(&bytes, count, size) || bytes > PTRDIFF_MAX - ALIGN) {
        err_nomem(e, "arena");
        return NULL;
    }
    bytes = (bytes ? bytes + ALIGN - 1 : ALIGN) & ~(size_t)(ALIGN - 1);

    arena_block *b = a->head;
    if (!b || b->size - b->used < bytes) {
        bool own = bytes > BLOCK / 4;
        b = new_block(own ? bytes : BLOCK, e);
        if (!b)
            return NULL;
        if (own && a->head) { /* behind the head, which still has room for small ones */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    void *p = b->data + b->used;
    b->used += bytes;
    a->total += bytes;
    return p;
}

char *arena_strndup(arena *a, const char *s, size_t n, err *e)
{
    size_t bytes;
    if (!size_add(&bytes, n, 1)) {
        err_nomem(e, "arena");
        return NULL;
    }
    char *p = arena_alloc(a, bytes, 1, e);
    if (p && n)
        memcpy(p, s, n);
    return p;
}

char *arena_strdup(arena *a, const char *s, err *e)
{
    return arena_strndup(a, s, strlen(s), e);
}

void arena_free(arena *a)
{
    for (arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (arena){0};
}
