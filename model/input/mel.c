/* Whisper's log-mel spectrogram. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/input/audio.h"
#include "model/input/fft.h"

static const double top_frequency = 8000;

/* Slaney's mel scale (Auditory Toolbox, 1998): linear to 1000 Hz = 15 mel, then 27 mel to a factor of 6.4. */
static double mel_of(double hertz)
{
    return hertz < 1000 ? 3 * hertz / 200 : 15 + log(hertz / 1000) * (27 / log(6.4));
}

static double hertz_of(double mel)
{
    return mel < 15 ? 200 * mel / 3 : 1000 * exp(log(6.4) / 27 * (mel - 15));
}

int mel_filters(double **filters, const mel_plan *p, err *e)
{
    size_t n_mel = (size_t)p->feature_size, bins = (size_t)p->n_fft / 2 + 1;
    size_t n;
    double *w = size_mul(&n, n_mel, bins) ? mem_array(n, sizeof *w, e) : NULL;
    double *corner = mem_array(n_mel + 2, sizeof *corner, e); /* of the triangles, hertz */

    if (!w || !corner) {
        free(w);
        free(corner);
        return ERR_RESOURCE;
    }
    for (size_t m = 0; m < n_mel + 2; m++)
        corner[m] = hertz_of(mel_of(top_frequency) * (double)m / (double)(n_mel + 1));
    for (size_t b = 0; b < bins; b++) {
        double hertz = (double)(p->sampling_rate / 2) * (double)b / (double)(bins - 1);
        for (size_t m = 0; m < n_mel; m++) {
            double rise = (hertz - corner[m]) / (corner[m + 1] - corner[m]);
            double fall = (corner[m + 2] - hertz) / (corner[m + 2] - corner[m + 1]);
            double height = fmin(rise, fall);
            w[b * n_mel + m] = height > 0 ? height * 2 / (corner[m + 2] - corner[m]) : 0; /* area 1 */
        }
    }
    free(corner);
    *filters = w;
    return 0;
}

/* Everything that frames share. */
typedef struct spectrum {
    const mel_plan *p;
    const float *samples;
    int64_t n_given, n_all;   /* samples given; with the padding */
    double *filters, *window, *frame, *power;
    fft_value *bins;
    fft transform;
} spectrum;

static void spectrum_close(spectrum *s)
{
    free(s->filters);
    free(s->window);
    free(s->frame);
    free(s->power);
    free(s->bins);
    fft_close(&s->transform);
}

static int spectrum_open(spectrum *s, const float *samples, int64_t n, const mel_plan *p, err *e)
{
    size_t n_fft = (size_t)p->n_fft;
    int64_t all = (int64_t)p->chunk_length * p->sampling_rate;
    int rc;

    *s = (spectrum){.p = p, .samples = samples, .n_given = n < all ? n : all, .n_all = all};
    s->window = mem_array(n_fft, sizeof *s->window, e);
    s->frame = mem_array(n_fft, sizeof *s->frame, e);
    s->bins = mem_array(n_fft, sizeof *s->bins, e);
    s->power = mem_array(n_fft / 2 + 1, sizeof *s->power, e);
    rc = s->window && s->frame && s->bins && s->power ? mel_filters(&s->filters, p, e) : ERR_RESOURCE;
    if (rc == 0)
        rc = fft_open(&s->transform, p->n_fft, e);
    if (rc) {
        spectrum_close(s);
        return rc;
    }
    for (size_t i = 0; i < n_fft; i++)
        s->window[i] = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)n_fft);
    return 0;
}

/* Sample i of the padded sound, reflected at both ends. */
static double sample_at(const spectrum *s, int64_t i)
{
    if (i < 0)
        i = -i;
    if (i >= s->n_all)
        i = 2 * (s->n_all - 1) - i;
    return i < s->n_given ? (double)s->samples[i] : (double)s->p->padding_value;
}

/* log10 of frame t's mel powers, to out[m * frames]. */
static void log_mel_of(float *out, int64_t frames, int64_t t, spectrum *s)
{
    int64_t start = t * s->p->hop_length - s->p->n_fft / 2;
    int n_mel = s->p->feature_size, n_bin = s->p->n_fft / 2 + 1;

    for (int i = 0; i < s->p->n_fft; i++)
        s->frame[i] = s->window[i] * sample_at(s, start + i);
    fft_real(s->bins, s->frame, &s->transform);
    for (int b = 0; b < n_bin; b++)
        s->power[b] = s->bins[b].re * s->bins[b].re + s->bins[b].im * s->bins[b].im;
    for (int m = 0; m < n_mel; m++) {
        double sum = 0;
        for (int b = 0; b < n_bin; b++)
            sum += s->power[b] * s->filters[b * n_mel + m];
        out[m * frames] = (float)log10(fmax(sum, 1e-10));
    }
}

int whisper_log_mel(float **features, int64_t *n_frames, const float *samples, int64_t n, int rate,
                    const mel_plan *p, err *e)
{
    int64_t frames = mel_plan_frames(p);
    size_t count;
    float *out = NULL;
    spectrum s;
    int rc;

    if (rate != p->sampling_rate) {
        err_set(e, ERR_INPUT, "the sound has %d samples a second; the model hears %d", rate,
                p->sampling_rate);
        return err_hint(e, "resample it first, for example: sox IN.wav -r %d -c 1 OUT.wav", p->sampling_rate);
    }
    if (!size_mul(&count, (size_t)frames, (size_t)p->feature_size))
        return err_nomem(e, "mel features");
    rc = spectrum_open(&s, samples, n, p, e);
    if (rc)
        return rc;
    out = mem_array(count, sizeof *out, e);
    rc = out ? 0 : ERR_RESOURCE;
    if (out) {
        float top = -INFINITY;
        for (int64_t t = 0; t < frames; t++)
            log_mel_of(out + t, frames, t, &s);
        for (size_t i = 0; i < count; i++)
            top = fmaxf(top, out[i]);
        for (size_t i = 0; i < count; i++)
            out[i] = (fmaxf(out[i], top - 8) + 4) / 4;
        *features = out;
        *n_frames = frames;
    }
    spectrum_close(&s);
    return rc;
}
