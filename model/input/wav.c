/* WAV files (RIFF, RF64; Microsoft's multiple channel audio data, 2007; EBU Tech 3306). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/mem.h"
#include "model/input/audio.h"

enum { PCM = 1, IEEE_FLOAT = 3, EXTENSIBLE = 0xfffe };
enum { MOST_CHANNELS = 1024, MOST_RATE = 768000 };

typedef struct wav {
    const unsigned char *at;  /* the chunk after those read */
    size_t left;
    uint64_t long_data;       /* RF64: the length of the data chunk */
    unsigned format, channels, rate, frame_bytes, bits;
    const unsigned char *data;
    size_t data_bytes;
} wav;

static unsigned u16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int damaged(err *e, const char *why)
{
    err_set(e, ERR_INPUT, "damaged WAV: %s", why);
    return err_hint(e, "write the sound again, for example: sox IN -b 16 -c 1 OUT.wav");
}

static int read_format(wav *w, const unsigned char *p, size_t n, err *e)
{
    /* What follows the format code in a WAVE_FORMAT_EXTENSIBLE's GUID. */
    static const unsigned char guid_rest[14] = {0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113};

    if (w->channels)
        return damaged(e, "two fmt chunks");
    if (n < 16)
        return damaged(e, "its fmt chunk is too short");
    w->format = u16(p);
    w->channels = u16(p + 2);
    w->rate = u32(p + 4);
    w->frame_bytes = u16(p + 12);
    w->bits = u16(p + 14);
    if (w->format == EXTENSIBLE) {
        if (n < 40 || memcmp(p + 26, guid_rest, sizeof guid_rest) != 0)
            return damaged(e, "its extensible format is not one that is known");
        w->format = u16(p + 24);
    }
    if (w->channels == 0 || w->channels > MOST_CHANNELS) {
        err_set(e, ERR_INPUT, "damaged WAV: %u channels", w->channels);
        return err_hint(e, "write the sound again with one or two channels");
    }
    if (w->rate == 0 || w->rate > MOST_RATE) {
        err_set(e, ERR_INPUT, "damaged WAV: %u samples a second", w->rate);
        return err_hint(e, "write the sound again at the rate that the model hears");
    }
    bool pcm = w->format == PCM && (w->bits == 8 || w->bits == 16 || w->bits == 24 || w->bits == 32);
    if (!pcm && !(w->format == IEEE_FLOAT && (w->bits == 32 || w->bits == 64))) {
        err_set(e, ERR_INPUT, "WAV format %u with %u bits is not read", w->format, w->bits);
        return err_hint(e, "write it as 16-bit PCM, for example: sox IN -b 16 -c 1 OUT.wav");
    }
    if (w->frame_bytes != w->channels * w->bits / 8)
        return damaged(e, "its bytes a frame do not follow from channels and bits");
    return 0;
}

/* The data chunk: size as its header says it, what lies behind that header. */
static int read_data(wav *w, uint64_t size, err *e)
{
    if (!w->channels)
        return damaged(e, "its data come before their format");
    if (size == UINT32_MAX && w->long_data)
        size = w->long_data;
    else if (size == UINT32_MAX || (size == 0 && w->left > 0))
        size = w->left; /* a streaming writer could not come back to fill it in */
    if (size > w->left) {
        err_set(e, ERR_INPUT, "damaged WAV: its data claim %llu bytes, %zu are there",
                (unsigned long long)size, w->left);
        return err_hint(e, "the file is cut off: fetch or record it again");
    }
    w->data = w->at;
    w->data_bytes = (size_t)size;
    return 0;
}

/* Chunks up to the data. */
static int read_chunks(wav *w, const unsigned char *bytes, size_t n, err *e)
{
    bool rf64 = n >= 12 && memcmp(bytes, "RF64", 4) == 0;

    *w = (wav){0};
    if (n < 12 || !(rf64 || memcmp(bytes, "RIFF", 4) == 0) || memcmp(bytes + 8, "WAVE", 4) != 0) {
        err_set(e, ERR_INPUT, "not a WAV file");
        return err_hint(e, "convert it, for example: sox IN -r 16000 -b 16 -c 1 OUT.wav");
    }
    w->at = bytes + 12;
    w->left = n - 12;
    while (!w->data) {
        int rc = 0;

        if (w->left < 8)
            return damaged(e, "it has no data chunk");
        const unsigned char *name = w->at;
        uint32_t size = u32(w->at + 4);
        w->at += 8;
        w->left -= 8;
        if (memcmp(name, "data", 4) == 0)
            return read_data(w, size, e);
        if (size > w->left)
            return damaged(e, "a chunk reaches beyond the end of the file");
        if (memcmp(name, "fmt ", 4) == 0)
            rc = read_format(w, w->at, size, e);
        else if (rf64 && memcmp(name, "ds64", 4) == 0 && size >= 16)
            w->long_data = u64(w->at + 8);
        if (rc)
            return rc;
        size_t step = (size_t)size + (size & 1);
        step = step < w->left ? step : w->left;
        w->at += step;
        w->left -= step;
    }
    return 0;
}

static double sample(const unsigned char *p, const wav *w)
{
    if (w->format == IEEE_FLOAT && w->bits == 32) {
        float f;
        memcpy(&f, p, 4);
        return (double)f;
    }
    if (w->format == IEEE_FLOAT) {
        double d;
        memcpy(&d, p, 8);
        return d;
    }
    switch (w->bits) {
    case 8: return (p[0] - 128) / 128.0;
    case 16: return (int16_t)u16(p) / 32768.0;
    case 24: return (int32_t)((u16(p) | (uint32_t)p[2] << 16) << 8) / 2147483648.0;
    default: return (int32_t)u32(p) / 2147483648.0;
    }
}

int wav_load_memory(float **samples, int64_t *n, int *rate, const void *bytes, size_t size, err *e)
{
    wav w;
    int rc = read_chunks(&w, bytes, size, e);

    if (rc)
        return rc;
    size_t frames = w.data_bytes / w.frame_bytes;
    if (frames == 0)
        return damaged(e, "it holds no sound");
    float *out = mem_array(frames, sizeof *out, e);
    if (!out)
        return ERR_RESOURCE;
    for (size_t i = 0; i < frames; i++) {
        const unsigned char *p = w.data + i * w.frame_bytes;
        double sum = 0;
        for (unsigned c = 0; c < w.channels; c++)
            sum += sample(p + c * w.bits / 8, &w);
        out[i] = (float)(sum / w.channels);
        if (!(fabs(sum / w.channels) < 1e6)) {
            free(out);
            err_set(e, ERR_INPUT, "damaged WAV: sample %zu is %g", i, sum / w.channels);
            return err_hint(e, "samples lie between -1 and 1: write the sound again");
        }
    }
    *samples = out;
    *n = (int64_t)frames;
    *rate = (int)w.rate;
    return 0;
}

int wav_load(float **samples, int64_t *n, int *rate, const char *path, err *e)
{
    mapfile m;
    int rc = mapfile_open(&m, path, e);

    if (rc)
        return rc;
    rc = wav_load_memory(samples, n, rate, m.data, m.size, e);
    if (rc)
        rc = err_prefix(e, "%s", path);
    mapfile_close(&m);
    return rc;
}
