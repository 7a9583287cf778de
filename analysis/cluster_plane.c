/* Metric multidimensional scaling to two dimensions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/cluster.h"
#include "base/mem.h"

enum { POWER_STEPS = 1000, SMACOF_STEPS = 1000 };

/* b = -1/2 J d^2 J, J taking means away. */
static void centre(double *b, double *mean, const double *d, int64_t n)
{
    double all = 0;
    for (int64_t i = 0; i < n; i++) {
        mean[i] = 0;
        for (int64_t j = 0; j < n; j++)
            mean[i] += d[i * n + j] * d[i * n + j] / (double)n;
        all += mean[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            b[i * n + j] = -(d[i * n + j] * d[i * n + j] - mean[i] - mean[j] + all) / 2;
}

static double length(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* The algebraically largest eigenvalue of b and its unit vector x, by power iteration on b + shift. */
static double largest(double *x, double *next, const double *b, int64_t n)
{
    double shift = 0, value = 0;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += fabs(b[i * n + j]);
        shift = sum > shift ? sum : shift; /* no eigenvalue is below its negative */
        x[i] = sin((double)i + 1);         /* in no special direction */
    }
    for (int s = 0; s < POWER_STEPS; s++) {
        double norm = length(x, n), moved = 0;
        for (int64_t i = 0; i < n; i++)
            x[i] /= norm;
        value = -shift;
        for (int64_t i = 0; i < n; i++) {
            next[i] = shift * x[i];
            for (int64_t j = 0; j < n; j++)
                next[i] += b[i * n + j] * x[j];
            value += next[i] * x[i];
        }
        norm = length(next, n);
        if (norm == 0)
            return 0;
        for (int64_t i = 0; i < n; i++) {
            double y = next[i] / norm;
            moved += fabs(y - x[i]);
            x[i] = y;
        }
        if (moved < 1e-12)
            break;
    }
    return value;
}

static double distance_between(const double *xy, int64_t i, int64_t j)
{
    return hypot(xy[2 * i] - xy[2 * j], xy[2 * i + 1] - xy[2 * j + 1]);
}

static double raw_stress(const double *xy, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) {
            double off = d[i * n + j] - distance_between(xy, i, j);
            sum += off * off;
        }
    return sum;
}

/* Guttman's transform: never raises the stress. */
static void transform(double *to, const double *xy, const double *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = 0, y = 0;
        for (int64_t j = 0; j < n; j++) {
            double now = j == i ? 0 : distance_between(xy, i, j), ratio = now > 0 ? d[i * n + j] / now : 0;
            x += ratio * (xy[2 * i] - xy[2 * j]);
            y += ratio * (xy[2 * i + 1] - xy[2 * j + 1]);
        }
        to[2 * i] = x / (double)n;
        to[2 * i + 1] = y / (double)n;
    }
}

/* Rotate so that the first axis has the greatest spread; fix the signs. */
static void turn(double *xy, int64_t n)
{
    double xx = 0, yy = 0, xy_sum = 0, sign[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        xx += xy[2 * i] * xy[2 * i];
        yy += xy[2 * i + 1] * xy[2 * i + 1];
        xy_sum += xy[2 * i] * xy[2 * i + 1];
    }
    double angle = atan2(2 * xy_sum, xx - yy) / 2, c = cos(angle), s = sin(angle), scale = sqrt(xx + yy);
    for (int64_t i = 0; i < n; i++) {
        double x = c * xy[2 * i] + s * xy[2 * i + 1], y = c * xy[2 * i + 1] - s * xy[2 * i];
        xy[2 * i] = x;
        xy[2 * i + 1] = y;
        for (int axis = 0; axis < 2; axis++)
            if (sign[axis] == 0 && fabs(xy[2 * i + axis]) > 1e-9 * scale)
                sign[axis] = xy[2 * i + axis] > 0 ? 1 : -1;
    }
    for (int64_t i = 0; i < 2 * n; i++)
        xy[i] *= sign[i % 2] < 0 ? -1 : 1;
}

int cluster_plane(double *xy, double *stress, const double *distance, int64_t n, err *e)
{
    size_t cells;
    double all = 0;
    if (!size_mul(&cells, (size_t)n, (size_t)n))
        return err_nomem(e, "distances");
    double *b = mem_array(cells, sizeof *b, e), *x = mem_array((size_t)n, sizeof *x, e);
    double *next = mem_array((size_t)n, 2 * sizeof *next, e);
    int rc = b && x && next ? 0 : ERR_RESOURCE;
    memset(xy, 0, (size_t)n * 2 * sizeof *xy);
    *stress = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            all += distance[i * n + j] * distance[i * n + j];
    if (!rc && all > 0) {
        centre(b, x, distance, n);
        for (int axis = 0; axis < 2; axis++) {
            double value = largest(x, next, b, n);
            for (int64_t i = 0; i < n; i++)
                xy[2 * i + axis] = value > 0 ? sqrt(value) * x[i] : 0;
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n; j++)
                    b[i * n + j] -= value * x[i] * x[j];
        }
        double before = raw_stress(xy, distance, n), now = before;
        for (int s = 0; s < SMACOF_STEPS && now > 0; s++, before = now) {
            transform(next, xy, distance, n);
            memcpy(xy, next, (size_t)n * 2 * sizeof *xy);
            now = raw_stress(xy, distance, n);
            if (before - now <= 1e-10 * before)
                break;
        }
        turn(xy, n);
        *stress = sqrt(now / all);
    }
    free(b);
    free(x);
    free(next);
    return rc;
}
