/* Norms and embeddings under TransformerLens' names: what its components do to streams that passed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "analysis/dump_parts.h"
#include "base/mem.h"
#include "compute/gemm.h"

/* x [width] as a norm sees it, centred by LayerNorm alone: returns what it is divided by. */
static double norm_scale(const norm *by, const float *x, int64_t width, double *mean)
{
    double sum = 0, squares = 0;
    if (by->kind == NORM_LAYER)
        for (int64_t c = 0; c < width; c++)
            sum += (double)x[c];
    *mean = sum / (double)width;
    for (int64_t c = 0; c < width; c++) {
        const double off = (double)x[c] - *mean;
        squares += off * off;
    }
    return sqrt(squares / (double)width + (double)by->eps);
}

/* hook_normalized of LayerNorm is behind its weights, that of RMSNorm in front of them. */
static void normalise(float *out, const norm *by, const float *x, int64_t width)
{
    double mean;
    const double scale = norm_scale(by, x, width, &mean);
    for (int64_t c = 0; c < width; c++) {
        double value = ((double)x[c] - mean) / scale;
        if (by->kind == NORM_LAYER)
            value = value * (by->w ? (double)by->w[c] : 1) + (by->b ? (double)by->b[c] : 0);
        out[c] = (float)value;
    }
}

int dump_hooks_norm(dump *d, const char *which, const norm *by, const float *x, int64_t n, int64_t width, err *e)
{
    char name[96];
    int rc = 0;
    if (by->kind == NORM_NONE)
        return 0;
    snprintf(name, sizeof name, "%s.hook_scale", which);
    if (dump_wants(d, name)) {
        rc = npz_begin(d->w, name, NPY_F32, 3, (int64_t[]){1, n, 1}, e);
        for (int64_t i = 0; i < n && !rc; i++) {
            double mean;
            const float scale = (float)norm_scale(by, x + i * width, width, &mean);
            rc = npz_add(d->w, &scale, sizeof scale, e);
        }
        rc = rc ? rc : npz_end(d->w, e);
    }
    snprintf(name, sizeof name, "%s.hook_normalized", which);
    if (rc || !dump_wants(d, name))
        return rc;
    float *row = mem_array((size_t)width, sizeof *row, e);
    rc = row ? npz_begin(d->w, name, NPY_F32, 3, (int64_t[]){1, n, width}, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        normalise(row, by, x + i * width, width);
        rc = npz_add(d->w, row, (size_t)width * sizeof *row, e);
    }
    free(row);
    return rc ? rc : npz_end(d->w, e);
}

/* [1, n, C]: rows of a table, those of the ids or (ids NULL) those from row first on. */
static int put_rows(dump *d, const char *name, const weight *table, const int32_t *ids, int64_t first, float scale, err *e)
{
    const int64_t n = d->n.main, width = table->n_in;
    if (!dump_wants(d, name))
        return 0;
    float *row = mem_array((size_t)width, sizeof *row, e);
    int rc = row ? npz_begin(d->w, name, NPY_F32, 3, (int64_t[]){1, n, width}, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        weight_load(row, table, ids ? ids[i] : first + i, 0, width);
        for (int64_t c = 0; c < width; c++)
            row[c] *= scale;
        rc = npz_add(d->w, row, (size_t)width * sizeof *row, e);
    }
    free(row);
    return rc ? rc : npz_end(d->w, e);
}

int dump_hooks_embed(dump *d, const float *x, int64_t width, err *e)
{
    const embedding *in = &d->m->main->embed;
    if (in->norm.kind != NORM_NONE || in->project.data || in->type || in->pad_id >= 0)
        return 0;
    if (!in->positions.data)
        return dump_wants(d, "hook_embed") ? npz_put(d->w, "hook_embed", NPY_F32, 3, (int64_t[]){1, d->n.main, width}, x, e) : 0;
    int rc = put_rows(d, "hook_embed", &in->tokens, d->in->ids, 0, in->scale, e);
    return rc ? rc : put_rows(d, "hook_pos_embed", &in->positions, NULL, in->position_offset, 1, e);
}
