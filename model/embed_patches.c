/* Image patches: what the first layer of an image tower reads.
 *
 * The rows are the first prefix token, the registers, the other prefix tokens, then the patches row by row of
 * the image.  A patch is one row of a product: a convolution whose stride is its kernel. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "compute/kernels.h"
#include "model/runtime.h"

int64_t patch_tokens(const embedding *e, int64_t height, int64_t width)
{
    return (height / e->patch) * (width / e->patch) + e->n_prefix + e->n_register;
}

/* How one axis of the table of positions is resampled: cell i is the sum of w[i most + t] times row
 * first[i] + t for t below count[i]. */
typedef struct axis {
    int64_t most;
    int64_t *first, *count;
    float *w;
} axis;

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->w);
}

/* Keys's cubic convolution kernel (IEEE ASSP 29(6), 1981) at x >= 0. */
static float cubic(float x, float a)
{
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Four taps around the centre, a = -3/4; what lies outside is the nearest row. */
static void plain_taps(axis *a, int64_t i, int64_t in, float scale)
{
    float centre = scale * ((float)i + 0.5f) - 0.5f, below = floorf(centre), part = centre - below,
        *w = a->w + i * a->most;
    int64_t from = (int64_t)below - 1, last = in - 1;
    a->first[i] = from < 0 ? 0 : from > last ? last : from;
    a->count[i] = 0;
    for (int64_t t = 0; t < 4; t++) {
        int64_t row = from + t < 0 ? 0 : from + t > last ? last : from + t;
        w[row - a->first[i]] += cubic(fabsf(part + 1 - (float)t), -0.75f);
        a->count[i] = row - a->first[i] + 1;
    }
}

/* Against aliasing: a = -1/2, stretched by the factor that the axis shrinks by, and normalised inside. */
static void smooth_taps(axis *a, int64_t i, int64_t in, float scale)
{
    float stretch = scale > 1 ? scale : 1, centre = scale * ((float)i + 0.5f), sum = 0,
        *w = a->w + i * a->most;
    int64_t from = (int64_t)(centre - 2 * stretch + 0.5f), to = (int64_t)(centre + 2 * stretch + 0.5f);
    from = from < 0 ? 0 : from;
    to = to > in ? in : to;
    a->first[i] = from;
    a->count[i] = to - from;
    for (int64_t t = 0; t < to - from; t++)
        sum += w[t] = cubic(fabsf(((float)(from + t) - centre + 0.5f) / stretch), -0.5f);
    for (int64_t t = 0; t < to - from; t++)
        w[t] /= sum;
}

static int axis_make(axis *a, int64_t in, int64_t out, bool antialias, err *e)
{
    float scale = (float)in / (float)out;
    size_t n;
    a->most = antialias ? 2 * (int64_t)ceilf(2 * (scale > 1 ? scale : 1)) + 2 : 4;
    if (!size_mul(&n, (size_t)out, (size_t)a->most) || !(a->first = mem_array((size_t)out, sizeof *a->first,
        e)) || !(a->count = mem_array((size_t)out, sizeof *a->count, e)) || !(a->w = mem_array(n,
                                                                                               sizeof *a->w,
                                                                                                   e)))
        return ERR_RESOURCE;
    for (int64_t i = 0; i < out; i++)
        if (antialias)
            smooth_taps(a, i, in, scale);
        else
            plain_taps(a, i, in, scale);
    return 0;
}

typedef struct patch_job {
    runtime *r;
    const stack *s;
    const model_input *in;
    const kernels *k;
    int64_t columns;         /* patches in a row of the image */
    int64_t first, rows;     /* patches first .. first + rows - 1 */
    float *unfolded;         /* [rows, channels patch^2] */
    float *x;                /* [rows, C] */
    const float *table;      /* [trained rows, trained columns, C] positions to resample; NULL: none */
    int64_t table_columns;
    axis down, across;
} patch_job;

enum { SLICE = 16 };

static int64_t slice_end(const patch_job *j, int64_t item)
{
    return (item + 1) * SLICE < j->rows ? (item + 1) * SLICE : j->rows;
}

/* A patch as a row: channel, then line, then column. */
static void unfold_slice(void *ud, int64_t item, int thread)
{
    const patch_job *j = ud;
    const model_input *in = j->in;
    int64_t p = j->s->embed.patch;
    (void)thread;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        int64_t top = (j->first + i) / j->columns * p, left = (j->first + i) % j->columns * p;
        float *to = j->unfolded + i * j->s->embed.patch_proj.n_in;
        for (int64_t c = 0; c < in->channels; c++)
            for (int64_t y = 0; y < p; y++, to += p)
                memcpy(to, in->pixels + (c * in->height + top + y) * in->width + left,
                       (size_t)p * sizeof *to);
    }
}

/* Position of the patch in row y and column x of the image, resampled. */
static void resample(const patch_job *j, float *position, int64_t y, int64_t x)
{
    int64_t width = j->s->width;
    memset(position, 0, (size_t)width * sizeof *position);
    for (int64_t a = 0; a < j->down.count[y]; a++)
        for (int64_t b = 0; b < j->across.count[x]; b++) {
            int64_t cell = (j->down.first[y] + a) * j->table_columns + j->across.first[x] + b;
            float w = j->down.w[y * j->down.most + a] * j->across.w[x * j->across.most + b];
            j->k->add_scaled(position, j->table + cell * width, w, width);
        }
}

static void position_slice(void *ud, int64_t item, int thread)
{
    const patch_job *j = ud;
    const embedding *b = &j->s->embed;
    int64_t width = j->s->width;
    float *position = j->r->buf[BUF_ROW] + thread * width;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        int64_t patch = j->first + i;
        if (j->table)
            resample(j, position, patch / j->columns, patch % j->columns);
        else
            weight_load(position, &b->positions, b->n_prefix + patch, 0, width);
        j->k->add(j->x + i * width, position, width);
    }
}

static void over_patches(patch_job *j, pool_fn fn)
{
    pool_run(j->r->pool, (j->rows + SLICE - 1) / SLICE, fn, j);
}

/* The positions of another image size: those of the patches that the model was trained with, resampled. */
static int prepare_positions(patch_job *j, int64_t rows, int64_t columns, err *e)
{
    const embedding *b = &j->s->embed;
    int64_t trained = b->image_height / b->patch, across = b->image_width / b->patch, width = j->s->width;
    int rc;
    if (rows == trained && columns == across)
        return 0;
    if ((rc = axis_make(&j->down, trained, rows, b->antialias, e)) ||
        (rc = axis_make(&j->across, across, columns, b->antialias, e)) ||
        (rc = runtime_room(j->r, BUF_FRONT_2, trained * across, width, e)))
        return rc;
    for (int64_t i = 0; i < trained * across; i++)
        weight_load(j->r->buf[BUF_FRONT_2] + i * width, &b->positions, b->n_prefix + i, 0, width);
    j->table = j->r->buf[BUF_FRONT_2];
    j->table_columns = across;
    return 0;
}

/* Tokens in front of the patches; registers have no position. */
static void embed_prefix(const patch_job *j)
{
    const embedding *b = &j->s->embed;
    int64_t width = j->s->width;
    float *x = j->r->buf[BUF_X], *position = j->r->buf[BUF_ROW];
    for (int i = 0; i < b->n_prefix; i++, x += width) {
        memcpy(x, b->prefix + i * width, (size_t)width * sizeof *x);
        weight_load(position, &b->positions, i, 0, width);
        j->k->add(x, position, width);
        if (i == 0 && b->n_register > 0) {
            x += width;
            memcpy(x, b->registers, (size_t)(b->n_register * width) * sizeof *x);
            x += (b->n_register - 1) * width;
        }
    }
}

int embed_patches(runtime *r, const stack *s, const model_input *in, err *e)
{
    const embedding *b = &s->embed;
    int64_t rows = in->height / b->patch, columns = in->width / b->patch, n = rows * columns,
        width = s->width;
    int64_t front = b->n_prefix + b->n_register, block = n < RUNTIME_ROWS ? n : RUNTIME_ROWS,
        taken = b->patch_proj.n_in;
    patch_job j = {.r = r, .s = s, .in = in, .k = kernels_get(), .columns = columns};
    int rc = prepare_positions(&j, rows, columns, e);
    if (rc || (rc = runtime_room(r, BUF_FRONT, block, taken, e)))
        goto out;
    embed_prefix(&j);
    j.unfolded = r->buf[BUF_FRONT];
    for (j.first = 0; j.first < n; j.first += j.rows) {
        j.rows = n - j.first < RUNTIME_ROWS ? n - j.first : RUNTIME_ROWS;
        j.x = r->buf[BUF_X] + (front + j.first) * width;
        over_patches(&j, unfold_slice);
        rows_linear(r, j.x, width, j.unfolded, taken, j.rows, &b->patch_proj, false);
        over_patches(&j, position_slice);
    }
    if (b->norm.kind != NORM_NONE)
        rows_norm(r, &b->norm, r->buf[BUF_X], width, r->buf[BUF_X], width, front + n, width);
out:
    axis_free(&j.down);
    axis_free(&j.across);
    return rc;
}
