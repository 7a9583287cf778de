/* Axes of charts: limits, ticks at round values, linear and logarithmic. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plots/chart.h"

const param chart_params[] = {CHART_PARAMS, {0}};

/* On a log axis nothing further than this below the highest value is drawn unless limits are given. */
static const double most_decades = 12;

/* --- what is there --- */

typedef struct extent {
    double min, max;           /* of the values that the axis can show; min > max: none */
    int64_t off;               /* of those that it cannot */
    bool cut;                  /* bands end below */
} extent;

static void take(extent *x, const chart_axis *a, double v)
{
    if (!isfinite(v))
        return;
    v += a->shift;
    x->min = fmin(x->min, v);
    x->max = fmax(x->max, v);
}

/* Values, and then what lies around them. */
static void take_chart(extent *out, const chart_axis *a, const figure_chart *c, bool vertical)
{
    extent x = *out;

    for (int i = 0; i < c->n_series; i++) {
        const figure_series *s = &c->series[i];
        for (int64_t k = 0; k < s->n; k++) {
            double v = vertical ? s->y[k] : s->x[k];
            if (!isfinite(s->y[k]) || !isfinite(v))
                continue;
            if (a->log && v + a->shift <= 0) {
                x.off++;
                continue;
            }
            take(&x, a, v);
            if (vertical && s->low && !a->log)
                take(&x, a, s->low[k]);
            if (vertical && s->high && (!a->log || s->high[k] > 0))
                take(&x, a, s->high[k]);
        }
    }
    *out = x;
}

/* On a log axis the lower ends of bands, which may be next to 0, stretch it to `least` at most. */
static void take_bands(extent *x, const chart_axis *a, const figure_chart *c, double least)
{
    for (int i = 0; i < c->n_series; i++) {
        const figure_series *s = &c->series[i];
        for (int64_t k = 0; s->low && k < s->n; k++) {
            if (!isfinite(s->y[k]) || !(s->y[k] > 0) || !isfinite(s->low[k]))
                continue;
            x->cut |= s->low[k] < least;
            take(x, a, fmax(s->low[k], least));
        }
    }
}

static extent extent_of(const chart_axis *a, const figure_data *d, bool vertical)
{
    extent x = {.min = INFINITY, .max = -INFINITY};

    for (int i = 0; i < chart_count(d); i++)
        take_chart(&x, a, chart_at(d, i), vertical);
    double least = x.min * 0.32; /* half a decade */
    for (int i = 0; i < chart_count(d) && vertical; i++) {
        const figure_chart *c = chart_at(d, i);
        if (a->log)
            take_bands(&x, a, c, least);
        for (int k = 0; k < c->n_rules; k++)
            if (!a->log || c->rules[k].at > 0)
                take(&x, a, c->rules[k].at);
    }
    return x;
}

/* --- limits --- */

static int read_limits(chart_axis *a, const params *p, const char *option, err *e)
{
    const char *text = params_str(p, option), *comma = text ? strchr(text, ',') : NULL;
    char lo[64];
    size_t n = comma ? (size_t)(comma - text) : 0;

    if (!text)
        return 0;
    if (!comma || n >= sizeof lo)
        goto bad;
    memcpy(lo, text, n);
    lo[n] = '\0';
    if (!parse_real(&a->lo, lo) || !parse_real(&a->hi, comma + 1) || fabs(a->lo) > 1e100 || fabs(a->hi) > 1e100)
        goto bad;
    if (a->lo >= a->hi) {
        err_set(e, ERR_USAGE, "option --%s: the low limit must be below the high one, got '%s'", option, text);
        return err_hint(e, "give --%s LO,HI", option);
    }
    if (a->log && a->lo <= 0) {
        err_set(e, ERR_USAGE, "option --%s: a logarithmic axis needs positive limits, got '%s'", option, text);
        return err_hint(e, "raise the low limit, or leave out --log-%c", option[0]);
    }
    a->fixed = true;
    return 0;
bad:
    err_set(e, ERR_USAGE, "option --%s: '%s' is not a pair of limits", option, text);
    return err_hint(e, "give two numbers, for example --%s 0,1", option);
}

/* Air around the data: a share of the axis at each end. */
static void pad(chart_axis *a, double share_lo, double share_hi)
{
    if (a->log) {
        double range = log(a->hi / a->lo);
        a->lo *= exp(-share_lo * range);
        a->hi *= exp(share_hi * range);
    } else {
        double range = a->hi - a->lo;
        a->lo -= share_lo * range;
        a->hi += share_hi * range;
    }
}

static void widen_single_value(chart_axis *a)
{
    if (a->hi > a->lo * (1 + 1e-9) && a->log)
        return;
    if (!a->log && a->hi - a->lo > 1e-12 * (fabs(a->hi) + fabs(a->lo)))
        return;
    if (a->log) {
        a->lo /= 2;
        a->hi *= 2;
    } else {
        double half = a->whole ? 0.5 : a->lo != 0 ? fabs(a->lo) / 2 : 0.5;
        a->lo -= half;
        a->hi += half;
    }
}

static void limits_of_y(chart_axis *a, extent x, const figure_data *d, bool zero)
{
    bool lowest = false, highest = false; /* the end is where values end by nature: no air needed */

    a->lo = x.min;
    a->hi = x.max;
    if (a->log) {
        a->lo = fmax(a->lo, a->hi * pow(10, -most_decades));
    } else {
        /* an axis that is near 0 anyway begins there */
        if (a->lo > 0 && (zero || a->lo < 0.4 * a->hi))
            a->lo = 0;
        if (a->hi < 0 && (zero || a->hi > 0.4 * a->lo))
            a->hi = 0;
        lowest = a->lo == 0 && x.min >= 0;
        highest = a->hi == 0 && x.max <= 0;
    }
    widen_single_value(a);
    double top = a->hi;
    pad(a, lowest ? 0 : 0.05, highest ? 0 : 0.05);
    if (isfinite(d->hi) && top <= d->hi && a->hi > d->hi)
        a->hi = d->hi > a->lo ? d->hi : a->hi;
    if (!a->log && isfinite(d->lo) && x.min >= d->lo && a->lo < d->lo)
        a->lo = d->lo;
}

/* Every place of f is one of s. */
static bool has_places(const figure_series *s, const figure_series *f)
{
    for (int64_t k = 0, at = 0; k < f->n; k++) {
        while (at < s->n && s->x[at] < f->x[k])
            at++;
        if (at == s->n || s->x[at] != f->x[k])
            return false;
    }
    return true;
}

/* A log axis with few places, as k = 1, 2, 4, 8, has its ticks there. */
static void name_values(chart_axis *a, const figure_data *d)
{
    const figure_series *s = &chart_at(d, 0)->series[0]; /* the longest: it must have the places of all */

    for (int i = 0; i < chart_count(d); i++)
        for (int k = 0; k < chart_at(d, i)->n_series; k++)
            s = chart_at(d, i)->series[k].n > s->n ? &chart_at(d, i)->series[k] : s;
    if (!a->log || !a->whole || s->n > CHART_NAMED)
        return;
    for (int i = 0; i < chart_count(d); i++)
        for (int k = 0; k < chart_at(d, i)->n_series; k++)
            if (!has_places(s, &chart_at(d, i)->series[k]))
                return;
    for (int64_t k = 0; k < s->n; k++)
        a->named[a->n_named++] = s->x[k] + a->shift;
}

static bool option(const params *p, const char *name, bool otherwise)
{
    return params_given(p, name) ? params_bool(p, name) : otherwise;
}

static int nothing(err *e, const extent *x, char axis)
{
    if (x->off == 0)
        return err_set(e, ERR_FAILED, "nothing to draw: no value is finite");
    err_set(e, ERR_FAILED, "no value is above 0: a logarithmic %c axis shows none", axis);
    return err_hint(e, "leave out --log-%c", axis);
}

static bool beyond(const chart_axis *a, double v)
{
    double at = chart_axis_at(a, v);
    return a->fixed && isfinite(at) && (at < -1e-9 || at > 1 + 1e-9);
}

static int64_t count_outside(const chart_axis *x, const chart_axis *y, const figure_chart *c)
{
    int64_t n = 0;

    for (int i = 0; i < c->n_series; i++)
        for (int64_t k = 0; k < c->series[i].n; k++)
            n += isfinite(c->series[i].y[k]) && (beyond(x, c->series[i].x[k]) || beyond(y, c->series[i].y[k]));
    return n;
}

/* One or two groups are not as wide as the page. */
static void limits_of_groups(chart_axis *x, const figure_data *d)
{
    int64_t n = 1;

    for (int i = 0; i < chart_count(d); i++)
        n = chart_at(d, i)->n_groups > n ? chart_at(d, i)->n_groups : n;
    double air = n == 1 ? 0.35 : n == 2 ? 0.12 : 0;
    x->lo = -0.5 - air;
    x->hi = (double)n - 0.5 + air;
}

int chart_axes(chart_axis *x, chart_axis *y, const figure_data *d, const params *p, chart_style style, err *e)
{
    const figure_chart *c = chart_at(d, 0);

    *x = (chart_axis){.whole = c->whole, .log = !c->groups && option(p, "log-x", style.log_x)};
    *y = (chart_axis){.log = option(p, "log-y", style.log_y)};
    if (read_limits(x, p, "x-limits", e) || read_limits(y, p, "y-limits", e))
        return ERR_USAGE;
    extent ex = extent_of(x, d, false);
    if (x->log && x->whole && ex.off) { /* positions from 0: the first is the one that matters */
        x->shift = 1;
        ex = extent_of(x, d, false);
    }
    extent ey = extent_of(y, d, true);
    x->off = ex.off;
    y->off = ey.off;
    y->cut = ey.cut && !y->fixed;
    if (ex.min > ex.max)
        return nothing(e, &ex, 'x');
    if (ey.min > ey.max)
        return nothing(e, &ey, 'y');
    if (c->groups) {
        limits_of_groups(x, d);
    } else if (!x->fixed) {
        x->lo = x->first = ex.min;
        x->hi = ex.max;
        widen_single_value(x);
        pad(x, 0.025, 0.025);
        name_values(x, d);
    }
    if (!y->fixed)
        limits_of_y(y, ey, d, style.zero);
    for (int i = 0; i < chart_count(d); i++)
        y->outside += count_outside(x, y, chart_at(d, i));
    return 0;
}

int chart_own_axis(chart_axis *y, const figure_data *d, int i, const params *p, chart_style style, err *e)
{
    figure_data one = chart_alone(d, i);
    chart_axis x;

    return d->charts && d->charts->quantities ? chart_axes(&x, y, &one, p, style, e) : 0;
}

double chart_axis_at(const chart_axis *a, double v)
{
    v += a->shift;
    if (!isfinite(v) || (a->log && v <= 0))
        return NAN;
    return a->log ? log(v / a->lo) / log(a->hi / a->lo) : (v - a->lo) / (a->hi - a->lo);
}

/* --- ticks --- */

static void add_tick(chart_axis *a, double v, int decimals, bool pretty)
{
    scale_tick *t = &a->tick[a->n_tick++];

    t->at = chart_axis_at(a, v - a->shift);
    number_format(t->text, v, decimals, pretty);
}

static void linear_ticks(chart_axis *a, int most, bool pretty)
{
    double step = nice_step((a->hi - a->lo) / most), first, last;

    if (a->whole && step < 1)
        step = 1;
    for (;; step = nice_step(step * 1.5)) {
        first = ceil(a->lo / step - 1e-6);
        last = floor(a->hi / step + 1e-6);
        if (last - first + 1 <= most)
            break;
    }
    int decimals = (int)ceil(-log10(step) - 1e-9);
    decimals = decimals > 0 ? decimals < 9 ? decimals : 9 : 0;
    bool counted = a->whole && !a->fixed;
    while (counted && first * step < a->first && first < last) /* there is no rank 0 */
        first++;
    if (counted && step >= 5 && first * step - a->first >= 0.6 * step && last - first + 2 <= most)
        add_tick(a, a->first, decimals, pretty); /* 1, 50, 100 */
    for (double k = first; k <= last && a->n_tick < most; k++)
        add_tick(a, fabs(k) < 0.5 ? 0 : k * step, decimals, pretty);
}

/* 10 to the k. */
static void put_power(number_text out, int k)
{
    static const char *const digit[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                        "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    char exponent[16];
    int n = snprintf(out, sizeof(number_text), "10");

    snprintf(exponent, sizeof exponent, "%d", k);
    for (const char *c = exponent; *c; c++)
        n += snprintf(out + n, sizeof(number_text) - (size_t)n, "%s", *c == '-' ? "\u207b" : digit[*c - '0']);
}

/* Ticks at these parts [n] of each decade; *all false: there are more than `most`. */
static void put_parts(chart_axis *a, bool *all, const int *parts, int n, int first, int last, int most, bool pretty)
{
    a->n_tick = 0;
    *all = true;
    for (int k = first - 1; k <= last; k++) {
        for (int i = 0; i < n; i++) {
            double v = parts[i] * pow(10, k), at = chart_axis_at(a, v - a->shift);
            if (!(at >= -1e-9 && at <= 1 + 1e-9))
                continue;
            if (a->n_tick < most)
                add_tick(a, v, -1, pretty);
            else
                *all = false;
        }
    }
}

/* Whole decades, every kth when they are too many; 1, 2, 5 or 1, 5 where there are few. */
static void log_ticks(chart_axis *a, int most, bool pretty)
{
    static const int parts[] = {1, 2, 5}, fewer[] = {1, 5};
    int first = (int)ceil(log10(a->lo) - 1e-9), last = (int)floor(log10(a->hi) + 1e-9);
    int decades = last - first + 1, every = decades > most ? (decades - 1) / most + 1 : 1;

    for (int i = 0; i < a->n_named && a->n_named <= most; i++)
        add_tick(a, a->named[i], -1, pretty);
    if (a->n_tick)
        return;
    for (int k = first - 1; k <= last; k++) {
        for (int i = 1; i < 10 && every == 1; i++) {
            double v = i * pow(10, k), at = chart_axis_at(a, v - a->shift);
            if (at >= 0 && at <= 1 && a->n_minor < CHART_MAX_MINOR)
                a->minor[a->n_minor++] = at;
        }
    }
    if (decades >= 3 || (decades == 2 && most < 5)) {
        for (int k = last; k >= first; k -= every)
            a->n_tick++;
        int n = a->n_tick;
        bool powers = pretty && (first < -3 || last > 5); /* all in one way of writing */
        a->n_tick = 0;
        for (int i = 0; i < n && i < most; i++) {
            int k = last - every * (n - 1 - i);
            add_tick(a, pow(10, k), -1, pretty);
            if (powers && k != 0)
                put_power(a->tick[a->n_tick - 1].text, k);
        }
        return;
    }
    bool all;
    put_parts(a, &all, parts, 3, first, last, most, pretty);
    if (!all) /* thinner steps rather than an end without a number */
        put_parts(a, &all, fewer, 2, first, last, most, pretty);
    if (a->n_tick < 2) { /* within a factor of two: round steps */
        a->n_tick = 0;
        linear_ticks(a, most, pretty);
    }
}

void chart_axis_ticks(chart_axis *a, int most, bool pretty)
{
    a->n_tick = a->n_minor = 0;
    most = most < 2 ? 2 : most > CHART_MAX_TICKS ? CHART_MAX_TICKS : most;
    if (a->log)
        log_ticks(a, most, pretty);
    else
        linear_ticks(a, most, pretty);
}
