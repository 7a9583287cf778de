/* Checkpoint files written byte by byte, right or wrong on purpose, and opened from memory: what the tests
 * of the readers share. */
#ifndef ATTNSCOPE_TESTS_CHECKPOINT_BYTES_H
#define ATTNSCOPE_TESTS_CHECKPOINT_BYTES_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "model/checkpoint.h"
#include "model/gguf.h"

/* ---- little-endian fields ---- */

static inline void put_zeros(strbuf *b, size_t n)
{
    while (n--)
        strbuf_putc(b, '\0');
}

static inline void put_u32(strbuf *b, uint32_t v)
{
    strbuf_add(b, &v, sizeof v);
}

static inline void put_u64(strbuf *b, uint64_t v)
{
    strbuf_add(b, &v, sizeof v);
}

/* ---- safetensors ---- */

/* Header text and n_data bytes 0, 1, 2, ... of data. */
static inline void put_safetensors(strbuf *b, const char *header, size_t n_data)
{
    put_u64(b, strlen(header));
    strbuf_puts(b, header);
    for (size_t i = 0; i < n_data; i++)
        strbuf_putc(b, (char)i);
}

/* ---- GGUF ---- */

static inline void put_string(strbuf *b, const char *s)
{
    put_u64(b, strlen(s));
    strbuf_puts(b, s);
}

static inline void put_gguf_header(strbuf *b, uint32_t version, uint64_t n_tensor, uint64_t n_kv)
{
    strbuf_puts(b, "GGUF");
    put_u32(b, version);
    put_u64(b, n_tensor);
    put_u64(b, n_kv);
}

static inline void put_key(strbuf *b, const char *key, uint32_t type)
{
    put_string(b, key);
    put_u32(b, type);
}

static inline void put_kv_string(strbuf *b, const char *key, const char *value)
{
    put_key(b, key, GGUF_STRING);
    put_string(b, value);
}

static inline void put_kv_u32(strbuf *b, const char *key, uint32_t value)
{
    put_key(b, key, GGUF_U32);
    put_u32(b, value);
}

static inline void put_kv_array(strbuf *b, const char *key, uint32_t element, uint64_t count)
{
    put_key(b, key, GGUF_ARRAY);
    put_u32(b, element);
    put_u64(b, count);
}

/* dims in the file's order, contiguous first; type is the format's own id. */
static inline void put_tensor_info(strbuf *b, const char *name, uint32_t n_dim, const uint64_t *dims,
                                   uint32_t type, uint64_t offset)
{
    put_string(b, name);
    put_u32(b, n_dim);
    for (uint32_t i = 0; i < n_dim; i++)
        put_u64(b, dims[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

static inline void put_padding(strbuf *b, size_t alignment)
{
    while (b->len % alignment)
        strbuf_putc(b, '\0');
}

/* ---- opening ---- */

typedef struct opened {
    checkpoint *c;
    void *bytes; /* a block of exactly the file's size, so that a sanitizer sees every byte read behind it */
    err e;
} opened;

static inline opened open_bytes(const void *bytes, size_t n, const char *name)
{
    opened o = {0};
    o.bytes = malloc(n ? n : 1);
    if (!o.bytes)
        abort();
    if (n)
        memcpy(o.bytes, bytes, n);
    if (checkpoint_open_memory(&o.c, o.bytes, n, name, &o.e) != 0)
        o.c = NULL;
    return o;
}

static inline void close_bytes(opened *o)
{
    checkpoint_close(o->c);
    free(o->bytes);
}

/* Read everything that an opened checkpoint offers: each tensor by name and as numbers, each value of the
 * metadata.  The sum keeps the reads alive. */
static inline double touch_all(const checkpoint *c)
{
    enum { PART = 1024 };
    static float row[PART];
    double sum = 0;
    for (int i = 0; i < c->n_tensor; i++) {
        const tensor *t = &checkpoint_find(c, c->tensors[i].name)->t;
        const dtype_info *d = &dtypes[t->type];
        for (size_t k = 0; k < t->bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        int64_t n = (int64_t)(t->bytes / (size_t)d->block_bytes) * d->block;
        n = n < PART ? n : PART / d->block * d->block;
        if (d->to_f32 && n) {
            d->to_f32(row, t->data, n);
            sum += row[0] + row[n - 1];
        }
    }
    for (size_t i = 0; c->gguf && i < gguf_count(c->gguf); i++) {
        const gguf_kv *kv = gguf_at(c->gguf, i);
        for (uint64_t k = 0; k < kv->count; k++) {
            int64_t whole = 0;
            double real = 0;
            bool yes = false;
            sum += gguf_int(&whole, kv, k) + gguf_real(&real, kv, k) + real + gguf_bool(&yes, kv, k);
        }
        gguf_string text = {0};
        sum += gguf_text(&text, kv) + (text.len ? text.s[text.len - 1] : 0);
        gguf_string *texts = calloc(kv->count ? kv->count : 1, sizeof *texts);
        if (texts && gguf_texts(texts, kv))
            for (uint64_t k = 0; k < kv->count; k++)
                sum += texts[k].len ? texts[k].s[texts[k].len - 1] : 0;
        free(texts);
    }
    return sum;
}

/* Open, and read everything, or be refused with a reason and what to do; else abort.  What fuzz targets do. */
static inline void open_or_explain(const void *bytes, size_t n, const char *name)
{
    static volatile double sink;
    opened o = open_bytes(bytes, n, name);
    if (o.c)
        sink = touch_all(o.c);
    else if (!o.e.msg[0] || !o.e.hint[0] || (o.e.code != ERR_INPUT && o.e.code != ERR_RESOURCE))
        abort();
    (void)sink;
    close_bytes(&o);
}

/* ---- files from elsewhere ---- */

/* $ATTNSCOPE_SHARED/name, or ../shared/name beside the sources; NULL (said on stderr) when absent. */
static inline const char *shared_path(char out[PATH_MAX], const char *name)
{
    const char *shared = getenv("ATTNSCOPE_SHARED"), *srcdir = getenv("srcdir");
    if (shared)
        snprintf(out, PATH_MAX, "%s/%s", shared, name);
    else
        snprintf(out, PATH_MAX, "%s/../shared/%s", srcdir ? srcdir : ".", name);
    if (access(out, R_OK) == 0)
        return out;
    fprintf(stderr, "%s is not here\n", out);
    return NULL;
}

#endif
