/* model/input, sound: WAV files right and wrong, and Whisper's features against transformers 5.23, whose
 * results are written here as numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/npz.h"
#include "model/input/audio.h"
#include "model/input/fft.h"
#include "tests/test_base_folder.h"
#include "tests/wav_bytes.h"

/* --- WAV --- */

static void expect_samples(const strbuf *b, int rate, const float *want, size_t n)
{
    float *x;
    int64_t got;
    int r;
    err e = {0};

    if (wav_load_memory(&x, &got, &r, b->s, b->len, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(got, n);
    assert_int_equal(r, rate);
    for (size_t i = 0; i < n; i++)
        if (x[i] != want[i])
            fail_msg("sample %zu is %.9g, not %.9g", i, (double)x[i], (double)want[i]);
    free(x);
}

static void expect_wav(const wav_sample *w, const float *want, size_t n)
{
    strbuf b = {0};

    put_wav(&b, w);
    expect_samples(&b, (int)w->rate, want, n);
    strbuf_free(&b);
}

#define BYTE_ARRAY(...) (const unsigned char[]){__VA_ARGS__}
#define BYTES(...) .data = BYTE_ARRAY(__VA_ARGS__), .n = sizeof BYTE_ARRAY(__VA_ARGS__)
#define WANT(...) (const float[]){__VA_ARGS__}, sizeof(const float[]){__VA_ARGS__} / sizeof(float)

static void wav_formats(void **state)
{
    const float f[] = {0.25f, -1.5f};
    const double d[] = {0.1, -0.5};

    (void)state;
    expect_wav(&(wav_sample){1, 1, 8000, 8, BYTES(0, 128, 255)}, WANT(-1, 0, 127 / 128.0f));
    expect_wav(&(wav_sample){1, 1, 16000, 16, BYTES(0, 0x80, 0xff, 0x7f, 0, 1)},
               WANT(-1, 32767 / 32768.0f, 256 / 32768.0f));
    expect_wav(&(wav_sample){1, 1, 44100, 24, BYTES(0, 0, 0x80, 1, 0, 0)}, WANT(-1, 1 / 8388608.0f));
    expect_wav(&(wav_sample){1, 1, 48000, 32, BYTES(0, 0, 0, 0x80, 0, 0, 0, 0x40)}, WANT(-1, 0.5f));
    expect_wav(&(wav_sample){3, 1, 16000, 32, f, sizeof f, 0}, f, 2);
    expect_wav(&(wav_sample){3, 1, 16000, 64, d, sizeof d, 0}, WANT(0.1f, -0.5f));
    expect_wav(&(wav_sample){1, 1, 16000, 16, BYTES(0, 0x40), 1}, WANT(0.5f));
    expect_wav(&(wav_sample){3, 1, 16000, 32, f, sizeof f, 1}, f, 2);
    /* Two channels, three: their mean.  A last frame that is cut. */
    expect_wav(&(wav_sample){1, 2, 16000, 16, BYTES(0, 0x40, 0, 0xc0, 0, 0x40, 0, 0x20)}, WANT(0, 0.375f));
    expect_wav(&(wav_sample){1, 3, 16000, 8, BYTES(128, 128, 224, 1)}, WANT(0.25f));
}

/* Other chunks before the data, an odd one padded; lengths that a streaming writer left; RF64. */
static void wav_chunks(void **state)
{
    const wav_sample w = {1, 1, 16000, 8, BYTES(192, 64)};
    const float want[] = {0.5f, -0.5f};
    strbuf b = {0};

    (void)state;
    strbuf_add(&b, "RIFF\0\0\0\0WAVELIST\3\0\0\0abc\0", 24);
    put_fmt(&b, &w);
    strbuf_add(&b, "data\2\0\0\0\xc0\x40trailing", 18);
    expect_samples(&b, 16000, want, 2);
    b.len -= 8;
    memset(b.s + b.len - 6, 0xff, 4);
    expect_samples(&b, 16000, want, 2);
    memset(b.s + b.len - 6, 0, 4);
    expect_samples(&b, 16000, want, 2);
    strbuf_clear(&b);
    strbuf_add(&b, "RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0", 20);
    put_le(&b, 70, 8);
    put_le(&b, 2, 8);
    put_le(&b, 2, 8);
    put_le(&b, 0, 4);
    put_fmt(&b, &w);
    strbuf_add(&b, "data\xff\xff\xff\xff\xc0\x40more", 14);
    expect_samples(&b, 16000, want, 2);
    strbuf_free(&b);
}

static void refuse(const strbuf *b, size_t n, const char *part)
{
    float *x;
    int64_t got;
    int rate;
    err e = {0};

    assert_int_equal(wav_load_memory(&x, &got, &rate, b->s, n, &e), ERR_INPUT);
    if (!strstr(e.msg, part) || !e.hint[0])
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
}

static void refuse_wav(const wav_sample *w, const char *part)
{
    strbuf b = {0};

    put_wav(&b, w);
    refuse(&b, b.len, part);
    strbuf_free(&b);
}

static void wav_damage(void **state)
{
    const float bad[] = {0, NAN}, huge[] = {1e30f, 0};
    strbuf b = {0};

    (void)state;
    refuse_wav(&(wav_sample){1, 0, 16000, 16, BYTES(0, 0)}, "damaged WAV: 0 channels");
    refuse_wav(&(wav_sample){1, 2000, 16000, 16, BYTES(0, 0)}, "damaged WAV: 2000 channels");
    refuse_wav(&(wav_sample){1, 1, 0, 16, BYTES(0, 0)}, "damaged WAV: 0 samples a second");
    refuse_wav(&(wav_sample){1, 1, 0xfffffff0, 16, BYTES(0, 0)}, "damaged WAV: 4294967280 samples a second");
    refuse_wav(&(wav_sample){1, 1, 16000, 12, BYTES(0, 0)}, "WAV format 1 with 12 bits is not read");
    refuse_wav(&(wav_sample){2, 1, 16000, 4, BYTES(0, 0)}, "WAV format 2 with 4 bits is not read");
    refuse_wav(&(wav_sample){3, 1, 16000, 16, BYTES(0, 0)}, "WAV format 3 with 16 bits is not read");
    refuse_wav(&(wav_sample){3, 1, 16000, 32, bad, sizeof bad, 0}, "sample 1 is nan");
    refuse_wav(&(wav_sample){3, 1, 16000, 32, huge, sizeof huge, 0}, "sample 0 is 1e+30");
    refuse_wav(&(wav_sample){1, 1, 16000, 16, BYTES(7)}, "holds no sound");

    put_wav(&b, &(wav_sample){1, 2, 16000, 16, BYTES(1, 0, 2, 0, 3, 0, 4, 0)});
    for (size_t n = 0; n < 12; n++)
        refuse(&b, n, "not a WAV file");
    for (size_t n = 12; n < b.len - 8; n++)
        refuse(&b, n, "damaged WAV");
    refuse(&b, b.len - 1, "its data claim 8 bytes, 7 are there");
    b.s[40] = 9;
    refuse(&b, b.len, "its data claim 9 bytes, 8 are there");
    b.s[43] = 0x7f;
    refuse(&b, b.len, "bytes, 8 are there");
    b.s[43] = 0;
    b.s[32] = 3;
    refuse(&b, b.len, "bytes a frame do not follow");
    b.s[32] = 4;
    b.s[16] = 15;
    refuse(&b, b.len, "fmt chunk is too short");
    b.s[19] = 0x40;
    refuse(&b, b.len, "reaches beyond the end");
    memcpy(b.s + 12, "data", 4);
    refuse(&b, b.len, "before their format");
    strbuf_free(&b);

    strbuf_add(&b, "RIFF\0\0\0\0WAVE", 12);
    put_fmt(&b, &(wav_sample){1, 1, 16000, 16, BYTES(0), 1});
    put_fmt(&b, &(wav_sample){1, 1, 16000, 16, BYTES(0)});
    refuse(&b, b.len, "two fmt chunks");
    b.s[12 + 8 + 30]++;
    refuse(&b, b.len, "extensible format is not one that is known");
    strbuf_free(&b);
}

/* --- the transform --- */

/* Against the definition, at lengths with one, several and repeated prime factors. */
static void fourier(void **state)
{
    static const int lengths[] = {1, 2, 3, 7, 12, 97, 400, 402};

    (void)state;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        int n = lengths[l];
        double in[402];
        fft_value out[402];
        fft f;

        for (int i = 0; i < n; i++)
            in[i] = (i * 7919 % 1009) / 504.5 - 1;
        assert_int_equal(fft_open(&f, n, NULL), 0);
        fft_real(out, in, &f);
        for (int k = 0; k < n; k++) {
            double re = 0, im = 0;
            for (int i = 0; i < n; i++) {
                re += in[i] * cos(2 * M_PI * (i * k % n) / n);
                im -= in[i] * sin(2 * M_PI * (i * k % n) / n);
            }
            assert_true(fabs(out[k].re - re) < 1e-11 && fabs(out[k].im - im) < 1e-11);
        }
        fft_close(&f);
    }
}

/* --- features --- */

static int read_plan(mel_plan *p, const char *quoted, err *e)
{
    char text[512];
    json *j;

    snprintf(text, sizeof text, "%s", quoted);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(json_parse(&j, text, strlen(text), "config", e), 0);
    int rc = mel_plan_read(p, j, e);
    json_free(j);
    return rc;
}

static void filters(void **state)
{
    /* transformers.audio_utils.mel_filter_bank(201, n, 0, 8000, 16000, "slaney", "slaney"): the sum, and
     * where the first, a middle and the last filter is largest. */
    static const struct { int n; double sum; struct { int bin, mel; double v; } at[3]; } banks[] = {
        {80, 1.9990241029178577,
         {{1, 0, 0.024862593984176087}, {25, 26, 0.022114217267094366}, {192, 79, 0.0031647117391764611}}},
        {128, 3.1909855285406996,
         {{1, 0, 0.012373986332636965}, {25, 42, 0.031611458930250587}, {195, 127, 0.0050416016750246418}}},
    };

    (void)state;
    for (int b = 0; b < 2; b++) {
        mel_plan p = {.feature_size = banks[b].n, .n_fft = 400, .sampling_rate = 16000};
        double *w, sum = 0;

        assert_int_equal(mel_filters(&w, &p, NULL), 0);
        for (int i = 0; i < 201 * p.feature_size; i++)
            sum += w[i];
        assert_true(fabs(sum - banks[b].sum) < 1e-12);
        for (int i = 0; i < 3; i++) {
            double v = w[banks[b].at[i].bin * p.feature_size + banks[b].at[i].mel];
            assert_true(fabs(v - banks[b].at[i].v) < 1e-14);
        }
        free(w);
    }
}

/* WhisperFeatureExtractor's NumPy form: six values and the mean. */
static void features_as_transformers(void **state)
{
    static const struct { const char *config; int mel, frames; float at[6]; double mean; } cases[] = {
        {"{}", 80, 3000, {1.07003522f, 0.658364296f, 0.565186381f, 0.59602797f, -0.453236818f, -0.929964781f},
         -0.874231897},
        {"{'feature_extractor_type':'WhisperFeatureExtractor','feature_size':128,'chunk_length':30}", 128,
         3000, {0.994275987f, 0.475928545f, 0.750358105f, 0.229718626f, -0.798618793f, -0.908159614f},
         -0.853773858},
        {"{'feature_extractor':{'n_fft':402,'hop_length':100,'chunk_length':1,'feature_size':40,"
         "'padding_value':0.25,'padding_side':'right'}}", 40, 160,
         {1.06403255f, 0.871019781f, 0.80577302f, 0.688489616f, 0.827316642f, 0.78367424f}, 0.672445811},
    };
    static const int where[6][2] = {{0, 0}, {5, 10}, {20, 77}, {39, 99}, {10, 115}, {30, 126}};
    static float x[20000];

    (void)state;
    for (int64_t i = 0; i < 20000; i++) {
        x[i] = (float)((double)((i * (i % 977) + i * i / 13) % 2001 - 1000) / 4000.0);
        if (i >= 16384)
            x[i] *= 0.001f;
    }
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        mel_plan p;
        float *f;
        int64_t frames;
        double sum = 0;
        err e = {0};

        assert_int_equal(read_plan(&p, cases[c].config, &e), 0);
        assert_int_equal(whisper_log_mel(&f, &frames, x, 20000, 16000, &p, &e), 0);
        assert_int_equal(p.feature_size, cases[c].mel);
        assert_int_equal(frames, cases[c].frames);
        for (int i = 0; i < 6; i++) {
            float v = f[where[i][0] * frames + where[i][1]];
            if (!(fabsf(v - cases[c].at[i]) <= 1e-6f))
                fail_msg("case %zu, value %d: %.9g, not %.9g", c, i, (double)v, (double)cases[c].at[i]);
        }
        for (int64_t i = 0; i < frames * p.feature_size; i++)
            sum += (double)f[i];
        assert_true(fabs(sum / (double)(frames * p.feature_size) - cases[c].mean) < 1e-6);
        free(f);
    }
}

/* Silence is (log10(1e-10) + 4) / 4 everywhere; nothing given is silence, more than the chunk is cut. */
static void silence(void **state)
{
    static const float loud[16100] = {[16050] = 1};
    mel_plan p;
    float *f;
    int64_t frames;

    (void)state;
    assert_int_equal(read_plan(&p, "{'chunk_length':1}", NULL), 0);
    assert_int_equal(mel_plan_frames(&p), 100);
    for (int n = 0; n <= 16100; n += 16100) {
        assert_int_equal(whisper_log_mel(&f, &frames, loud, n, 16000, &p, NULL), 0);
        for (int i = 0; i < 80 * 100; i++)
            assert_true(f[i] == -1.5f);
        free(f);
    }
}

/* Every allocation fails once; nothing leaks (the sanitizers look) and the last run succeeds. */
static void out_of_memory(void **state)
{
    const mel_plan p = {
        .feature_size = 4, .n_fft = 16, .hop_length = 8000, .chunk_length = 1, .sampling_rate = 16000,
    };
    strbuf b = {0};
    int rc = ERR_RESOURCE, rate;
    long nth = 1;

    (void)state;
    put_wav(&b, &(wav_sample){1, 1, 16000, 16, BYTES(0, 0x40)});
    for (; rc && nth < 100; nth++) {
        float *x = NULL, *f;
        int64_t n, frames;
        err e = {0};

        mem_fail_at(nth);
        rc = wav_load_memory(&x, &n, &rate, b.s, b.len, &e);
        if (rc == 0) {
            rc = whisper_log_mel(&f, &frames, x, n, rate, &p, &e);
            free(x);
        }
        if (rc == 0)
            free(f);
        else
            assert_true(rc == ERR_RESOURCE && e.msg[0] && e.hint[0]);
    }
    mem_fail_at(0);
    assert_int_equal(rc, 0);
    assert_true(nth > 9);
    strbuf_free(&b);
}

static void plan_refusals(void **state)
{
    static const struct { const char *config, *part; } cases[] = {
        {"{'feature_extractor_type':'ClapFeatureExtractor'}", "ClapFeatureExtractor is not known"},
        {"{'feature_size':0}", "feature_size is not a whole number from 1 to 1024"},
        {"{'n_fft':'400'}", "n_fft is not a whole number"},
        {"{'n_fft':401}", "an odd n_fft"},
        {"{'hop_length':0}", "hop_length is not a whole number"},
        {"{'chunk_length':100000}", "chunk_length is not a whole number"},
        {"{'chunk_length':3600,'hop_length':1}", "do not fit together"},
        {"{'chunk_length':1,'n_fft':32768,'sampling_rate':16000}", "do not fit together"},
        {"{'sampling_rate':8000}", "needs a sampling_rate of 16000 or more"},
        {"{'dither':0.1}", "dither adds noise"},
        {"{'padding_side':'left'}", "padding_side"},
        {"{'padding_value':1e300}", "padding_value"},
    };
    mel_plan p;
    float *f, x = 0;
    int64_t frames;
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_plan(&p, cases[i].config, &e), ERR_INPUT);
        if (!strstr(e.msg, cases[i].part) || !e.hint[0])
            fail_msg("%s: \"%s\"", cases[i].config, e.msg);
    }
    assert_int_equal(read_plan(&p, "{'dither':0.0,'do_normalize':false,'mel_filters':[[1]]}", &e), 0);
    assert_int_equal(whisper_log_mel(&f, &frames, &x, 1, 44100, &p, &e), ERR_INPUT);
    assert_string_equal(e.msg, "the sound has 44100 samples a second; the model hears 16000");
    assert_non_null(strstr(e.hint, "-r 16000"));
}

static void files(void **state)
{
    static const float a[6] = {1, 2, 3, 4, 5, 6};
    static const char config[] =
        "{\"feature_size\":128,\"feature_extractor_type\":\"WhisperFeatureExtractor\"}";
    strbuf b = {0};
    float *x;
    int64_t n, shape[2];
    int rate;
    mel_plan p;
    err e = {0};

    (void)state;
    put_wav(&b, &(wav_sample){1, 1, 16000, 16, BYTES(0, 0x40)});
    write_bytes(in_folder("a.wav"), b.s, b.len);
    assert_int_equal(wav_load(&x, &n, &rate, in_folder("a.wav"), &e), 0);
    assert_true(n == 1 && rate == 16000 && x[0] == 0.5f);
    free(x);
    write_bytes(in_folder("b.wav"), "ID3", 3);
    assert_int_equal(wav_load(&x, &n, &rate, in_folder("b.wav"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "b.wav: not a WAV file"));
    strbuf_free(&b);

    assert_int_equal(mel_plan_load(&p, folder, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no preprocessor_config.json"));
    write_bytes(in_folder("preprocessor_config.json"), config, sizeof config - 1);
    assert_int_equal(mel_plan_load(&p, folder, &e), 0);
    assert_true(p.feature_size == 128 && p.n_fft == 400 && p.hop_length == 160 && p.sampling_rate == 16000);

    npy_save(in_folder("f.npy"), NPY_F32, 3, (int64_t[]){1, 2, 3}, a, NULL);
    assert_int_equal(features_from_npy(&x, shape, in_folder("f.npy"), &e), 0);
    assert_true(shape[0] == 2 && shape[1] == 3);
    assert_memory_equal(x, a, sizeof a);
    free(x);
    npy_save(in_folder("g.npy"), NPY_F32, 1, (int64_t[]){6}, a, NULL);
    assert_int_equal(features_from_npy(&x, shape, in_folder("g.npy"), &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "wanted is [mel, frames]"));
    npy_save(in_folder("h.npy"), NPY_F32, 3, (int64_t[]){3, 2, 1}, a, NULL);
    assert_int_equal(features_from_npy(&x, shape, in_folder("h.npy"), &e), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wav_formats),
        cmocka_unit_test(wav_chunks),
        cmocka_unit_test(wav_damage),
        cmocka_unit_test(fourier),
        cmocka_unit_test(filters),
        cmocka_unit_test(features_as_transformers),
        cmocka_unit_test(silence),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(plan_refusals),
        FILE_TEST(files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
