/* A writer of WAV files, right and wrong ones. */
#ifndef ATTNSCOPE_TESTS_WAV_BYTES_H
#define ATTNSCOPE_TESTS_WAV_BYTES_H

#include <stdint.h>

#include "base/strbuf.h"

static inline void put_le(strbuf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        strbuf_putc(b, (char)(v >> (8 * i)));
}

typedef struct wav_sample {
    unsigned format, channels, rate, bits; /* format 1 PCM, 3 float */
    const void *data;
    size_t n;                              /* bytes */
    int extensible;
} wav_sample;

static inline void put_fmt(strbuf *b, const wav_sample *w)
{
    strbuf_add(b, "fmt ", 4);
    put_le(b, w->extensible ? 40 : 16, 4);
    put_le(b, w->extensible ? 0xfffe : w->format, 2);
    put_le(b, w->channels, 2);
    put_le(b, w->rate, 4);
    put_le(b, (uint64_t)w->rate * w->channels * w->bits / 8, 4);
    put_le(b, w->channels * w->bits / 8, 2);
    put_le(b, w->bits, 2);
    if (!w->extensible)
        return;
    put_le(b, 22, 2);
    put_le(b, w->bits, 2);
    put_le(b, 3, 4);
    put_le(b, w->format, 2);
    strbuf_add(b, "\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 14);
}

static inline void put_wav(strbuf *b, const wav_sample *w)
{
    strbuf_add(b, "RIFF", 4);
    put_le(b, 4 + (w->extensible ? 48 : 24) + 8 + w->n, 4);
    strbuf_add(b, "WAVE", 4);
    put_fmt(b, w);
    strbuf_add(b, "data", 4);
    put_le(b, w->n, 4);
    strbuf_add(b, w->data, w->n);
}

#endif
