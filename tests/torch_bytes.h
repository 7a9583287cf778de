/* PyTorch files written byte by byte, right or wrong on purpose: pickles, zip archives and the older stream.
 * What the tests and the fuzz target of the PyTorch reader share. */
#ifndef ATTNSCOPE_TESTS_TORCH_BYTES_H
#define ATTNSCOPE_TESTS_TORCH_BYTES_H

#include <zlib.h>

#include "tests/checkpoint_bytes.h"

/* ---- pickles ---- */

#define OPS(b, literal) strbuf_add(b, literal, sizeof(literal) - 1)
#define PROTO "\x80\2"

static inline void op_text(strbuf *b, const char *s)
{
    strbuf_putc(b, 'X');
    put_u32(b, (uint32_t)strlen(s));
    strbuf_puts(b, s);
}

static inline void op_int(strbuf *b, int32_t i)
{
    strbuf_putc(b, 'J');
    put_u32(b, (uint32_t)i);
}

/* Beyond 32 bits. */
static inline void op_long(strbuf *b, int64_t i)
{
    OPS(b, "\x8a\x08");
    put_u64(b, (uint64_t)i);
}

static inline void op_global(strbuf *b, const char *module, const char *name)
{
    strbuf_printf(b, "c%s\n%s\n", module, name);
}

static inline void op_dims(strbuf *b, int n, const int64_t *dims)
{
    OPS(b, "(");
    for (int i = 0; i < n; i++)
        op_long(b, dims[i]);
    OPS(b, "t");
}

/* A storage, and in the older stream the view of it that is meant (none: NULL). */
static inline void op_storage(strbuf *b, const char *class, const char *key, int64_t count)
{
    OPS(b, "(");
    op_text(b, "storage");
    op_global(b, strcmp(class, "UntypedStorage") == 0 ? "torch.storage" : "torch", class);
    op_text(b, key);
    op_text(b, "cpu");
    op_long(b, count);
    OPS(b, "tQ");
}

/* A tensor as torch.save writes it. */
static inline void op_tensor(strbuf *b, const char *class, const char *key, int64_t count, int64_t offset,
                             int n_dim, const int64_t *shape, const int64_t *stride)
{
    op_global(b, "torch._utils", "_rebuild_tensor_v2");
    OPS(b, "(");
    op_storage(b, class, key, count);
    op_long(b, offset);
    op_dims(b, n_dim, shape);
    op_dims(b, n_dim, stride);
    OPS(b, "\x89"); /* requires_grad */
    op_global(b, "collections", "OrderedDict");
    OPS(b, ")RtR");
}

/* An entry of the dictionary below: name and a vector of n elements, all of its storage. */
static inline void op_vector(strbuf *b, const char *name, const char *class, const char *key, int64_t n)
{
    op_text(b, name);
    op_tensor(b, class, key, n, 0, 1, &n, (int64_t[]){1});
    OPS(b, "s");
}

/* ---- zip archives ---- */

typedef struct zip_bytes {
    strbuf b, central;
    unsigned n;
} zip_bytes;

typedef struct zip_entry {
    const char *name;
    const void *bytes;
    size_t n;
    bool deflate;
    bool no_crc;           /* 0 instead of the checksum */
    uint16_t flags;
    uint32_t claimed;      /* a size for the directory other than the true one */
} zip_entry;

static inline void put_u16(strbuf *b, uint16_t v)
{
    strbuf_add(b, &v, sizeof v);
}

static inline size_t deflate_bytes(void *out, size_t room, const void *bytes, size_t n)
{
    z_stream s = {.next_in = (Bytef *)bytes, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)room};
    if (deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&s, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&s);
    return s.total_out;
}

/* Like torch: sizes and checksum are in the directory only, and payloads are aligned to 64. */
static inline void zip_put(zip_bytes *z, const zip_entry *m)
{
    static char packed[1 << 20];
    const void *bytes = m->bytes;
    size_t n = m->n, name_len = strlen(m->name);
    if (m->deflate) {
        n = deflate_bytes(packed, sizeof packed, m->bytes, m->n);
        bytes = packed;
    }
    uint32_t crc = m->no_crc ? 0 : (uint32_t)crc32(0, m->bytes, (uInt)m->n);
    uint32_t size = m->claimed ? m->claimed : (uint32_t)m->n, local = (uint32_t)z->b.len;
    uint16_t method = m->deflate ? 8 : 0, flags = m->flags | 0x808;

    size_t start = z->b.len + 30 + name_len + 4, padding = (64 - start % 64) % 64;
    strbuf_puts(&z->b, "PK\3\4");
    put_u16(&z->b, 0), put_u16(&z->b, flags), put_u16(&z->b, method);
    put_zeros(&z->b, 16);
    put_u16(&z->b, (uint16_t)name_len), put_u16(&z->b, (uint16_t)(4 + padding));
    strbuf_puts(&z->b, m->name);
    strbuf_puts(&z->b, "FB"), put_u16(&z->b, (uint16_t)padding), put_zeros(&z->b, padding);
    strbuf_add(&z->b, bytes, n);
    strbuf_puts(&z->b, "PK\7\x08"), put_u32(&z->b, crc), put_u32(&z->b, (uint32_t)n), put_u32(&z->b, size);

    strbuf_puts(&z->central, "PK\1\2");
    put_u16(&z->central, 0), put_u16(&z->central, 0), put_u16(&z->central, flags);
    put_u16(&z->central, method);
    put_u32(&z->central, 0), put_u32(&z->central, crc);
    put_u32(&z->central, m->claimed && !m->deflate ? size : (uint32_t)n), put_u32(&z->central, size);
    put_u16(&z->central, (uint16_t)name_len);
    put_zeros(&z->central, 12);
    put_u32(&z->central, local);
    strbuf_puts(&z->central, m->name);
    z->n++;
}

/* Append the directory and the end records (those of 64 bits too, as torch does); the file is z->b. */
static inline void zip_finish(zip_bytes *z)
{
    uint64_t start = z->b.len, size = z->central.len, end = start + size;
    strbuf_add(&z->b, z->central.s, z->central.len);
    strbuf_puts(&z->b, "PK\6\6"), put_u64(&z->b, 44), put_u32(&z->b, 0), put_u64(&z->b, 0);
    put_u64(&z->b, z->n), put_u64(&z->b, z->n), put_u64(&z->b, size), put_u64(&z->b, start);
    strbuf_puts(&z->b, "PK\6\7"), put_u32(&z->b, 0), put_u64(&z->b, end), put_u32(&z->b, 1);
    strbuf_puts(&z->b, "PK\5\6"), put_u32(&z->b, 0);
    put_u16(&z->b, (uint16_t)z->n), put_u16(&z->b, (uint16_t)z->n);
    put_u32(&z->b, (uint32_t)size), put_u32(&z->b, (uint32_t)start), put_u16(&z->b, 0);
}

static inline void zip_bytes_free(zip_bytes *z)
{
    strbuf_free(&z->b);
    strbuf_free(&z->central);
    *z = (zip_bytes){0};
}

/* Bytes 0, 1, 2, ... */
static inline const unsigned char *counting(void)
{
    static unsigned char bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    return bytes;
}

/* An archive with this pickle and one storage, "0", of n_data counting bytes (at most 256). */
static inline void torch_archive(zip_bytes *z, const strbuf *program, size_t n_data)
{
    zip_put(z, &(zip_entry){.name = "m/data.pkl", .bytes = program->s, .n = program->len});
    zip_put(z, &(zip_entry){.name = "m/byteorder", .bytes = "little", .n = 6});
    zip_put(z, &(zip_entry){.name = "m/data/0", .bytes = counting(), .n = n_data});
    zip_finish(z);
}

/* ---- the older stream ---- */

/* Its first three pickles. */
static inline void stream_head(strbuf *b, bool little_endian)
{
    OPS(b, PROTO "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." PROTO "M\xe9\3." PROTO "}");
    op_text(b, "little_endian");
    strbuf_puts(b, little_endian ? "\x88s." : "\x89s.");
}

/* The list of keys, and one run of count elements in n counting bytes for each. */
static inline void stream_tail(strbuf *b, int n_key, const char *const *keys, uint64_t count, size_t n)
{
    OPS(b, PROTO "](");
    for (int i = 0; i < n_key; i++)
        op_text(b, keys[i]);
    OPS(b, "e.");
    for (int i = 0; i < n_key; i++) {
        put_u64(b, count);
        strbuf_add(b, counting(), n);
    }
}

#endif
