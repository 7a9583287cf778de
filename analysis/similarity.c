#include "analysis/similarity.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/activation.h"
#include "base/mem.h"

const char *const similarity_forms[] = {"residual", "added", NULL};

typedef struct similarity {
    similar_part part;
    bool added;              /* cos(norm(x), f(norm(x))) */
    int64_t n, width, room;
    float *x;                /* [n, width] the stream before the sublayer that comes next */
    float *row;              /* [3, width] scratch */
    double sum;
    int64_t count;           /* tokens with a cosine */
} similarity;

int similarity_prepare(metric_ctx *c, similar_part part, const char *option, err *e)
{
    similarity *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->part = part;
    s->added = option && !strcmp(params_str(c->p, option), "added");
    c->shared = s;
    return 0;
}

void similarity_release(metric_ctx *c)
{
    similarity *s = c->shared;
    mem_free_large(s->x);
    free(s->row);
    free(s);
    c->shared = NULL;
}

static int make_room(similarity *s, int64_t n, int64_t width, err *e)
{
    size_t bytes;
    if (s->room < n * width) {
        if (!size_mul(&bytes, (size_t)n, (size_t)width) || !size_mul(&bytes, bytes, sizeof *s->x))
            return err_nomem(e, "a copy of the residual stream");
        mem_free_large(s->x);
        s->room = 0;
        if (!(s->x = mem_large(bytes, e)))
            return ERR_RESOURCE;
        s->room = n * width;
    }
    if (!s->row && !(s->row = mem_array(3 * (size_t)width, sizeof *s->row, e)))
        return ERR_RESOURCE;
    s->n = n;
    s->width = width;
    return 0;
}

static void count(similarity *s, const float *a, const float *b)
{
    double cosine;
    if (row_cosine(&cosine, a, b, s->width)) {
        s->sum += cosine;
        s->count++;
    }
}

static int emit(const metric_ctx *c, int layer, const result_sink *out, err *e)
{
    similarity *s = c->shared;
    double sum = s->sum;
    int64_t n = s->count;
    s->sum = 0;
    s->count = 0;
    return n ? metric_emit(c, out, layer, NO_INDEX, NO_INDEX, sum / (double)n, e) : 0;
}

int similarity_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    similarity *s = c->shared;
    int rc = make_room(s, n, width, e);
    if (!rc && s->part == SIMILAR_BLOCK && layer > 0) {
        for (int64_t i = 0; i < n; i++)
            count(s, s->x + i * width, x + i * width);
        rc = emit(c, layer - 1, out, e);
    }
    if (!rc)
        memcpy(s->x, x, (size_t)(n * width) * sizeof *x);
    return rc;
}

static bool wanted(const similarity *s, model_part part)
{
    return (s->part == SIMILAR_ATTENTION && part == PART_SELF) || (s->part == SIMILAR_MLP && part == PART_MLP);
}

int similarity_added(metric_ctx *c, const part_rows *p, const result_sink *out, err *e)
{
    similarity *s = c->shared;
    const model_layer *y = &model_stack(c->model, c->kind)->layers[p->layer];
    const sublayer *at = p->part == PART_SELF ? &y->at_self : p->part == PART_CROSS ? &y->at_cross : &y->at_mlp;
    const norm *pre = p->part == PART_MLP && y->parallel && y->shared_norm ? &y->at_self.pre : &at->pre;
    float *normed = s->row, *after = s->row + s->width;
    bool seen = wanted(s, p->part), follow = s->part == SIMILAR_MLP && !y->parallel && p->part != PART_MLP;
    for (int64_t i = 0; i < p->rows && (seen || follow); i++) {
        float *x = s->x + (p->row + i) * s->width;
        const float *added = p->x + i * p->width;
        if (s->added && seen) {
            row_normalise(normed, pre, x, s->width);
            count(s, normed, added);
            continue;
        }
        row_normalise(after, at->residual_normed ? pre : &(norm){.kind = NORM_NONE}, x, s->width);
        for (int64_t d = 0; d < s->width; d++)
            after[d] += added[d];
        row_normalise(after, &at->after, after, s->width);
        if (seen)
            count(s, x, after);
        if (follow)
            memcpy(x, after, (size_t)s->width * sizeof *x);
    }
    return seen && p->row + p->rows == s->n ? emit(c, p->layer, out, e) : 0;
}
