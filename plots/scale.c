#include "plots/scale.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

double nice_step(double x)
{
    double unit = pow(10, floor(log10(x)));
    double f = x / unit;

    /* 1e-9: x is often a quotient that should be exact */
    return unit * (f <= 1 + 1e-9 ? 1 : f <= 2 + 1e-9 ? 2 : f <= 5 + 1e-9 ? 5 : 10);
}

/* --- limits --- */

/* One limit as written: a number, or pNN for a percentile. */
static bool read_limit(double *value, double *percentile, const char *text)
{
    *percentile = NAN;
    if (*text == 'p') {
        *value = NAN;
        return parse_real(percentile, text + 1) && *percentile >= 0 && *percentile <= 100;
    }
    return parse_real(value, text);
}

#define PERCENTILES "p1,p99" /* the limits of --norm percentile where none are given */

static int read_limits(scale *s, const char *text, err *e)
{
    char lo[64], hi[64];
    const char *comma = strchr(text, ',');
    size_t n = comma ? (size_t)(comma - text) : 0;

    if (!comma || n >= sizeof lo || strlen(comma + 1) >= sizeof hi)
        goto bad;
    memcpy(lo, text, n);
    lo[n] = '\0';
    strcpy(hi, comma + 1);
    if (!read_limit(&s->lo, &s->p_lo, lo) || !read_limit(&s->hi, &s->p_hi, hi))
        goto bad;
    if (isnan(s->p_lo) != isnan(s->p_hi))
        goto bad;
    if (isnan(s->p_lo) ? s->lo >= s->hi : s->p_lo >= s->p_hi) {
        err_set(e, ERR_USAGE, "option --limits: the low limit must be below the high one, got '%s'", text);
        return err_hint(e, "give --limits LO,HI");
    }
    s->limits_given = true;
    return 0;
bad:
    err_set(e, ERR_USAGE, "option --limits: '%s' is not a pair of limits", text);
    return err_hint(e, "give two numbers (0,1) or two percentiles (p1,p99)");
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Value below which a share q of the sorted values lies, linear between neighbours. */
static double quantile(const float *sorted, int64_t n, double q)
{
    double t = q * (double)(n - 1);
    int64_t i = (int64_t)t;
    double f = t - (double)i;

    return i + 1 < n ? (double)sorted[i] * (1 - f) + (double)sorted[i + 1] * f : (double)sorted[n - 1];
}

static int limits_from_percentiles(scale *s, const grid *g, err *e)
{
    float *v = mem_array((size_t)g->n_finite, sizeof *v, e);
    int64_t n = 0;

    if (!v)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < g->rows * g->cols; i++) {
        if (!isnan(g->cells[i]))
            v[n++] = g->cells[i];
    }
    qsort(v, (size_t)n, sizeof *v, compare_floats);
    s->lo = quantile(v, n, s->p_lo / 100);
    s->hi = quantile(v, n, s->p_hi / 100);
    free(v);
    return 0;
}

/* Limits that nobody gave: natural ones, else the range of the cells; symmetric for a diverging map. */
static void automatic_limits(scale *s, const figure_data *d, const grid *g)
{
    s->lo = isfinite(d->lo) ? d->lo : g->min;
    s->hi = isfinite(d->hi) ? d->hi : g->max;
    if (s->palette.map->diverging) {
        double m = fmax(fabs(s->lo), fabs(s->hi));
        s->lo = -m;
        s->hi = m;
    }
}

static int log_limits(scale *s, double floor_value, err *e)
{
    if (s->limits_given && isnan(s->p_lo)) {
        if (s->lo <= 0) {
            err_set(e, ERR_USAGE, "option --limits: --norm log needs positive limits, got %g", s->lo);
            return err_hint(e, "raise the low limit, or use --norm linear");
        }
        return 0;
    }
    if (!(floor_value > 0)) {
        err_set(e, ERR_USAGE, "option --floor: must be above 0, got %g", floor_value);
        return err_hint(e, "the floor is the lowest value that --norm log tells apart, for example 1e-4");
    }
    s->lo = s->lo > floor_value && s->limits_given ? s->lo : floor_value;
    if (!(s->hi > s->lo)) {
        err_set(e, ERR_FAILED, "no value is above the floor %g of the log scale", s->lo);
        return err_hint(e, "lower --floor, or use --norm linear");
    }
    return 0;
}

static const char *choose_map(const figure_data *d, const grid *g, const params *p, scale_norm how)
{
    if (params_given(p, "cmap"))
        return params_str(p, "cmap");
    if (d->cmap)
        return d->cmap;
    return how == NORM_LINEAR && g->min < 0 && g->max > 0 ? SCALE_SIGNED : params_str(p, "cmap");
}

/* Limits that are not alike on both sides of 0: 0 keeps the middle colour, the same distance the same strength. */
static void centre(scale *s)
{
    double m = fmax(fabs(s->lo), fabs(s->hi));

    s->from = 0;
    s->to = 1;
    if (s->palette.map->diverging && s->norm == NORM_LINEAR && s->lo < 0 && s->hi > 0) {
        s->from = 0.5 + s->lo / (2 * m);
        s->to = 0.5 + s->hi / (2 * m);
    }
}

int scale_init(scale *out, const figure_data *d, const grid *g, const params *p, err *e)
{
    scale s = {.p_lo = NAN, .p_hi = NAN};
    const char *limits = params_str(p, "limits");

    bool percentile = strcmp(params_str(p, "norm"), "percentile") == 0;
    s.norm = strcmp(params_str(p, "norm"), "log") == 0 ? NORM_LOG : NORM_LINEAR;
    if (palette_find(&s.palette, choose_map(d, g, p, s.norm), e))
        return ERR_USAGE;
    if (percentile && !limits)
        limits = PERCENTILES;
    if (limits && read_limits(&s, limits, e))
        return ERR_USAGE;
    if (percentile && isnan(s.p_lo)) {
        err_set(e, ERR_USAGE, "option --limits: --norm percentile needs percentiles, got '%s'", limits);
        return err_hint(e, "give --limits p5,p95, or leave --norm out");
    }
    if (s.limits_given && !isnan(s.p_lo)) {
        if (limits_from_percentiles(&s, g, e))
            return ERR_RESOURCE;
    } else if (!s.limits_given) {
        automatic_limits(&s, d, g);
    }
    if (s.norm == NORM_LOG) {
        int rc = log_limits(&s, params_real(p, "floor"), e);
        if (rc)
            return rc;
    }
    if (!(s.lo < s.hi)) { /* all cells equal */
        double half = s.lo != 0 ? fabs(s.lo) / 2 : 0.5;
        s.hi = s.lo + half;
        s.lo -= half;
    }
    centre(&s);
    /* a value that differs from the limit by rounding alone is not outside */
    double slack = 1e-6 * (fabs(s.lo) + fabs(s.hi));
    s.clips_low = g->min < s.lo - (s.norm == NORM_LOG ? 0 : slack);
    s.clips_high = g->max > s.hi + slack;
    *out = s;
    return 0;
}

double scale_unit(const scale *s, double v)
{
    if (v <= s->lo)
        return 0;
    if (v >= s->hi)
        return 1;
    if (s->norm == NORM_LOG)
        return log10(v / s->lo) / log10(s->hi / s->lo);
    return (v - s->lo) / (s->hi - s->lo);
}

/* --- numbers and ticks --- */

/* Mantissa and exponent: "1e-4", "2.5e6"; pretty "10⁻⁴", "2.5·10⁶". */
static void format_power(number_text out, double v, bool pretty)
{
    static const char *const digit[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                        "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    int exponent = (int)floor(log10(fabs(v)) + 1e-9);
    const char *sign = v >= 0 ? "" : pretty ? "\u2212" : "-";
    char mantissa[16], power[8];

    snprintf(mantissa, sizeof mantissa, "%.3g", fabs(v) / pow(10, exponent));
    if (!pretty) {
        snprintf(out, sizeof(number_text), "%s%se%d", sign, mantissa, exponent);
        return;
    }
    bool one = strcmp(mantissa, "1") == 0;
    int n = snprintf(out, sizeof(number_text), "%s%s%s10", sign, one ? "" : mantissa, one ? "" : "\u00b7");
    snprintf(power, sizeof power, "%d", exponent);
    for (const char *c = power; *c; c++)
        n += snprintf(out + n, sizeof(number_text) - (size_t)n, "%s", *c == '-' ? "\u207b" : digit[*c - '0']);
}

void number_format(number_text out, double v, int decimals, bool pretty)
{
    double a = fabs(v);
    char text[32];

    if (a != 0 && (a >= 1e6 || a < 5e-4)) {
        format_power(out, v, pretty);
        return;
    }
    if (decimals < 0)
        snprintf(text, sizeof text, a < 1000 ? "%.4g" : "%.0f", a);
    else
        snprintf(text, sizeof text, "%.*f", decimals, a);
    bool zero = strspn(text, "0.") == strlen(text); /* no "-0.00" */
    snprintf(out, sizeof(number_text), "%s%s", v >= 0 || zero ? "" : pretty ? "\u2212" : "-", text);
}

/* Whole decades, every kth when they are too many. */
static int log_ticks(scale_tick *out, const scale *s, int most, bool pretty)
{
    int first = (int)ceil(log10(s->lo) - 1e-9), last = (int)floor(log10(s->hi) + 1e-9);
    int every = last >= first ? (last - first) / most + 1 : 1;
    int n = 0;

    for (int k = last; k >= first && n < most; k -= every)
        n++;
    for (int i = 0; i < n; i++) {
        int k = last - every * (n - 1 - i);
        double v = pow(10, k);
        out[i].at = scale_unit(s, v);
        if (pretty && k != 0) /* 10^-1 rather than 0.1 between its neighbours */
            format_power(out[i].text, v, true);
        else
            number_format(out[i].text, v, -1, pretty);
    }
    return n;
}

static int linear_ticks(scale_tick *out, const scale *s, int most, bool pretty)
{
    double span = s->hi - s->lo;
    double step = nice_step(span / most);

    /* a step is chosen by how many ticks really fall inside */
    double first = ceil(s->lo / step - 1e-6), last = floor(s->hi / step + 1e-6);
    while (last - first + 1 > most) {
        step = nice_step(step * 1.5);
        first = ceil(s->lo / step - 1e-6);
        last = floor(s->hi / step + 1e-6);
    }
    int decimals = (int)ceil(-log10(step) - 1e-9);
    decimals = decimals > 0 ? (decimals < 9 ? decimals : 9) : 0;
    int n = (int)(last - first) + 1;
    for (int i = 0; i < n; i++) {
        double v = (first + i) * step;
        out[i].at = fmin(fmax((v - s->lo) / span, 0), 1);
        number_format(out[i].text, fabs(v) < step / 2 ? 0 : v, decimals, pretty);
    }
    return n > 0 ? n : 0;
}

static void tick_end(scale_tick *t, const scale *s, bool high, bool pretty)
{
    t->at = high ? 1 : 0;
    number_format(t->text, high ? s->hi : s->lo, -1, pretty);
}

/* Percentiles are no round values: the ends say what they are, the round values between them stand apart. */
static int ticks_with_ends(scale_tick *out, const scale *s, int most, bool pretty)
{
    static const double apart = 0.12;
    scale_tick inner[SCALE_MAX_TICKS];
    int n = 0, k = most < 4 ? 0 : linear_ticks(inner, s, most - 2, pretty);

    tick_end(&out[n++], s, false, pretty);
    for (int i = 0; i < k; i++)
        if (inner[i].at >= apart && inner[i].at <= 1 - apart)
            out[n++] = inner[i];
    tick_end(&out[n++], s, true, pretty);
    return n;
}

bool scale_marks(const scale *s, bool high)
{
    if (s->limits_given || s->norm == NORM_LINEAR)
        return high ? s->clips_high : s->clips_low;
    return high && s->clips_high;
}

int scale_ticks(scale_tick *out, const scale *s, int most, bool pretty)
{
    int n = 0;

    most = most < 2 ? 2 : most > SCALE_MAX_TICKS ? SCALE_MAX_TICKS : most;
    if (s->norm == NORM_LINEAR && s->limits_given && !isnan(s->p_lo))
        return ticks_with_ends(out, s, most, pretty);
    if (s->norm == NORM_LOG)
        n = log_ticks(out, s, most, pretty);
    else
        n = linear_ticks(out, s, most, pretty);
    if (n >= 2)
        return n;
    /* limits within one decade or one step: name the ends */
    tick_end(&out[0], s, false, pretty);
    tick_end(&out[1], s, true, pretty);
    return 2;
}

void scale_put_label(strbuf *b, const scale *s, const figure_data *d, const grid *g)
{
    pool_text pooled;
    number_text lo, hi;

    number_format(lo, s->lo, -1, false);
    number_format(hi, s->hi, -1, false);
    strbuf_puts(b, d->quantity && *d->quantity ? d->quantity : "value");
    if (d->unit && *d->unit)
        strbuf_printf(b, " (%s)", d->unit);
    if (s->norm == NORM_LOG)
        strbuf_puts(b, ", log10");
    if (s->norm == NORM_LOG && !s->limits_given)
        strbuf_printf(b, ", floor %s", lo);
    if (s->limits_given) {
        strbuf_printf(b, ", limits %s to %s", lo, hi);
        if (!isnan(s->p_lo))
            strbuf_printf(b, " (percentiles %g to %g)", s->p_lo, s->p_hi);
    } else if (s->clips_high || (s->clips_low && s->norm == NORM_LINEAR)) {
        /* values outside their natural range are worth a word */
        strbuf_printf(b, ", %s", s->clips_high && s->clips_low ? "clipped at both ends"
                                 : s->clips_high ? "clipped above" : "clipped below");
    }
    grid_pool_text(pooled, g, d->pool, d->pooling);
    if (pooled[0])
        strbuf_printf(b, ", %s", pooled);
}
