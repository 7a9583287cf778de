/* Rotary embedding: frequencies and their scalings.
 *
 * Sources: RoPE (Su et al., arXiv 2104.09864); position interpolation (Chen et al., 2306.15595) = linear;
 * YaRN (Peng et al., 2309.00071, equations 17-23); llama3 scaling as published with Llama 3.1;
 * LongRoPE (Ding et al., 2402.13753) = longrope; NTK-aware interpolation by the current length = dynamic.  Where the
 * reference implementation (Hugging Face transformers, modeling_rope_utils) rounds to float32, so does
 * this: at thousands of tokens an ulp of a frequency shows in the angles. */
#include <math.h>
#include <string.h>

#include "model/rope.h"

static void scale_llama3(float *f, const rope_plan *r, int n)
{
    double low_wavelength = r->original_context / r->low_freq_factor;
    double high_wavelength = r->original_context / r->high_freq_factor;
    for (int i = 0; i < n; i++) {
        float wavelength = (float)(2 * M_PI) / f[i];
        if (wavelength > (float)low_wavelength) {
            f[i] = f[i] / (float)r->factor;
        } else if (!(wavelength < (float)high_wavelength)) {
            float s = ((float)r->original_context / wavelength - (float)r->low_freq_factor) /
                      (float)(r->high_freq_factor - r->low_freq_factor);
            f[i] = (1 - s) * f[i] / (float)r->factor + s * f[i];
        }
    }
}

static double yarn_dimension(const rope_plan *r, double rotations)
{
    return r->period * log(r->original_context / (rotations * 2 * M_PI)) / (2 * log(r->base));
}

static void scale_yarn(float *f, const rope_plan *r, int n)
{
    double low = yarn_dimension(r, r->beta_fast), high = yarn_dimension(r, r->beta_slow);
    if (r->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, r->period - 1);
    if (low == high)
        high += 0.001;
    for (int i = 0; i < n; i++) {
        float period = powf((float)r->base, (float)(2 * i) / (float)r->period);
        float ramp = ((float)i - (float)low) / (float)(high - low);
        float keep = 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
        f[i] = 1 / ((float)r->factor * period) * (1 - keep) + 1 / period * keep;
    }
}

bool rope_same_frequencies(const rope_plan *r, int64_t a, int64_t b)
{
    bool long_a = (double)a > r->original_context, long_b = (double)b > r->original_context;
    if (strcmp(r->scaling, "dynamic") == 0)
        return a == b || (!long_a && !long_b);
    return !r->long_divisors || long_a == long_b;
}

void rope_frequencies(float *f, const rope_plan *r, int64_t length)
{
    int n = r->dim / 2;
    double base = r->base;
    const float *divisors = r->divisors;
    if (strcmp(r->scaling, "dynamic") == 0 && (double)length > r->original_context)
        base *= pow(r->factor * (double)length / r->original_context - (r->factor - 1), (double)r->period / (r->period - 2));
    if (r->long_divisors && (double)length > r->original_context)
        divisors = r->long_divisors;
    for (int i = 0; i < n; i++) {
        float period = powf((float)base, (float)(2 * i) / (float)r->period);
        f[i] = r->long_divisors ? 1 / (divisors[i] * period) : 1 / period;
        if (divisors && !r->long_divisors)
            f[i] /= divisors[i];
    }
    if (strcmp(r->scaling, "linear") == 0)
        for (int i = 0; i < n; i++)
            f[i] /= (float)r->factor;
    else if (strcmp(r->scaling, "llama3") == 0)
        scale_llama3(f, r, n);
    else if (strcmp(r->scaling, "yarn") == 0)
        scale_yarn(f, r, n);
}
