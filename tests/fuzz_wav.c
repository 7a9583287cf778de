/* Fuzz target for sound: whatever the bytes, they end in finite samples from which features can be made,
 * or in one message.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_wav.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program: see tests/fuzz_driver.h.  Build it with
 * sanitizers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/input/audio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hear(const float *samples, int64_t n, int rate)
{
    mel_plan p = {
        .feature_size = 4, .n_fft = 16, .hop_length = rate, .chunk_length = 2, .sampling_rate = rate,
    };
    float *f;
    int64_t frames;

    if (rate < 16000) /* a plan that mel_plan_read refuses */
        return;
    if (whisper_log_mel(&f, &frames, samples, n, rate, &p, NULL))
        return;
    for (int64_t i = 0; i < frames * 4; i++)
        if (!isfinite(f[i]))
            abort();
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float *samples;
    int64_t n;
    int rate;
    err e = {0};

    if (wav_load_memory(&samples, &n, &rate, data, size, &e) == 0) {
        if (n < 1 || (uint64_t)n > size || rate < 1)
            abort();
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(samples[i]))
                abort();
        hear(samples, n, rate);
        free(samples);
    } else if (!e.msg[0] || !e.hint[0] || (e.code != ERR_INPUT && e.code != ERR_RESOURCE)) {
        abort(); /* a refusal says why and what to do */
    }
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/wav_bytes.h"

static void own_seeds(void)
{
    static const unsigned char data[48] = {[3] = 0x40, [7] = 0xbf, [20] = 99};

    put_wav(fuzz_seed(), &(wav_sample){1, 1, 16000, 16, data, 8, 0});
    put_wav(fuzz_seed(), &(wav_sample){1, 2, 44100, 24, data, 12, 1});
    put_wav(fuzz_seed(), &(wav_sample){3, 1, 16000, 32, data, 16, 0});
    put_wav(fuzz_seed(), &(wav_sample){3, 2, 48000, 64, data, 48, 1});
    put_wav(fuzz_seed(), &(wav_sample){1, 3, 8000, 8, data, 9, 0});
    strbuf *b = fuzz_seed();
    strbuf_add(b, "RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0", 20);
    put_le(b, 70, 8);
    put_le(b, 4, 8);
    put_le(b, 2, 8);
    put_le(b, 0, 4);
    put_fmt(b, &(wav_sample){1, 1, 16000, 8, data, 4, 0});
    strbuf_add(b, "data\xff\xff\xff\xff" "abcd" "LIST\4\0\0\0" "more", 24);
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"RIFF", "RF64", "WAVE", "fmt ", "data", "ds64", "LIST", NULL};
    fuzz_words = words;
    own_seeds();
    return fuzz_main(argc, argv, "damaged sounds");
}

#endif
