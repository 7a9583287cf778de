/* Sound as Whisper takes it: WAV files, and the log-mel spectrogram of its feature extractor. */
#ifndef ATTNSCOPE_MODEL_INPUT_AUDIO_H
#define ATTNSCOPE_MODEL_INPUT_AUDIO_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

/* Read a WAV file (RIFF, or RF64 with its ds64 chunk): PCM of 8, 16, 24 or 32 bits, float of 32 or 64
 * bits, plain or WAVE_FORMAT_EXTENSIBLE.  Integers are divided by 2^(bits-1), 8 bits after subtracting
 * 128.  Channels are mixed to one by their mean.  *samples [*n] float32 (free()), *n > 0; *rate in hertz,
 * 1 to 768000. Chunks beyond the end of the file are refused, except that a data chunk of length
 * 0xffffffff (or 0 with bytes after it), as streaming writers leave it, reaches to the end.  A last frame
 * that is cut is left out.  A sample that is not finite, or beyond a million, is refused. */
int wav_load(float **samples, int64_t *n, int *rate, const char *path, err *e);
int wav_load_memory(float **samples, int64_t *n, int *rate, const void *bytes, size_t size, err *e);

/* WhisperFeatureExtractor's settings. */
typedef struct mel_plan {
    int feature_size;   /* mel filters: 80 or 128 */
    int n_fft;          /* window and transform, samples: 400 */
    int hop_length;     /* samples between frames: 160 */
    int chunk_length;   /* seconds; shorter sound is padded, longer is cut */
    int sampling_rate;  /* hertz */
    float padding_value;
} mel_plan;

/* Read preprocessor_config.json (or a processor_config.json, whose "feature_extractor" is taken); absent
 * keys have the default of WhisperFeatureExtractor.  A mel_filters table in the file is not used, as
 * transformers does not: the filters follow from the numbers.  Dither (noise) is refused.  Every number is
 * checked: a plan that was read can be used. */
int mel_plan_read(mel_plan *out, const json *config, err *e);
/* The same from a checkpoint's folder; ERR_INPUT when no file has it. */
int mel_plan_load(mel_plan *out, const char *folder, err *e);

/* Frames of every result: chunk_length * sampling_rate / hop_length (3000). */
int64_t mel_plan_frames(const mel_plan *p);

/* Mel filters as transformers' mel_filter_bank(norm="slaney", mel_scale="slaney") between 0 and 8000 Hz
 * computes them: filters [bins, feature_size] with bins = n_fft/2 + 1; free(). */
int mel_filters(double **filters, const mel_plan *p, err *e);

/* The log-mel spectrogram of samples [n] at rate hertz: *features [feature_size, *n_frames] float32 (free()).
 * A rate other than the plan's is refused: nothing here resamples.
 *   S = |STFT|^2 of frames centred at hop_length i, periodic Hann window, edges reflected;
 *   L = log10(max(S mel, 1e-10));   features = (max(L, max L - 8) + 4) / 4
 * (Radford et al., arXiv 2212.04356).  Computed in double: within 3e-7 of WhisperFeatureExtractor's NumPy form.
 * Its form for torch works in float32 and itself departs from that by up to 1e-4, in bins 80 dB below the
 * loudest. */
int whisper_log_mel(float **features, int64_t *n_frames, const float *samples, int64_t n, int rate,
                    const mel_plan *p, err *e);

/* Finished features from a .npy file, [mel, frames] or [1, mel, frames] in f16, f32 or f64, all finite:
 * *features [mel, frames] float32 (free()), shape = {mel, frames}. */
int features_from_npy(float **features, int64_t shape[2], const char *path, err *e);

#endif
