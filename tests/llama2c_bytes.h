/* A small llama2.c model file: what the tests and the fuzz target of its reader share. */
#ifndef ATTNSCOPE_TESTS_LLAMA2C_BYTES_H
#define ATTNSCOPE_TESTS_LLAMA2C_BYTES_H

#include "tests/checkpoint_bytes.h"

enum { DIM = 8, HIDDEN = 12, LAYERS = 2, HEADS = 4, KV_HEADS = 2, VOCAB = 5, CONTEXT = 6 };

static inline void put_f32(strbuf *b, int n, int mark)
{
    for (int i = 0; i < n; i++) {
        float v = (float)mark + (float)i / 1024;
        strbuf_add(b, &v, sizeof v);
    }
}

/* Marks: 1 embedding, 10 norms, 20 q, 30 k, 40 v, 50 o, 60 norms, 70 gate, 80 down, 90 up, 100 last norm,
 * 110 unembedding; layers follow each other in each. */
static inline strbuf llama2c_file(int version, bool tied)
{
    strbuf b = {0};
    const int32_t sizes[] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, version || tied ? VOCAB : -VOCAB, CONTEXT};
    const int kv = DIM / HEADS * KV_HEADS;
    const struct { int n, mark; } layer_parts[] = {
        {DIM * DIM, 20},    {kv * DIM, 30},     {kv * DIM, 40},     {DIM * DIM, 50},
        {HIDDEN * DIM, 70}, {DIM * HIDDEN, 80}, {HIDDEN * DIM, 90},
    };
    if (version)
        put_u32(&b, 0x616b3432), put_u32(&b, (uint32_t)version);
    strbuf_add(&b, sizes, sizeof sizes);
    if (version) {
        strbuf_putc(&b, tied);
        put_padding(&b, 256);
        put_f32(&b, LAYERS * DIM, 10), put_f32(&b, LAYERS * DIM, 60), put_f32(&b, DIM, 100);
        put_f32(&b, VOCAB * DIM, 1);
    } else {
        put_f32(&b, VOCAB * DIM, 1), put_f32(&b, LAYERS * DIM, 10);
    }
    for (int i = 0; i < 7; i++) {
        if (i == 4 && !version)
            put_f32(&b, LAYERS * DIM, 60);
        put_f32(&b, LAYERS * layer_parts[i].n, layer_parts[i].mark);
    }
    if (!version)
        put_f32(&b, DIM, 100), put_f32(&b, CONTEXT * DIM / HEADS, 0); /* two tables of context x head / 2 */
    if (!tied)
        put_f32(&b, VOCAB * DIM, 110);
    return b;
}

#endif
