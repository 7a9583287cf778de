#include "analysis/copying.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/circuits.h"
#include "analysis/linalg.h"
#include "analysis/vocabulary_map.h"
#include "base/mem.h"

const param copying_params[] = {
    {.name = "copying-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "copying-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights beside a LayerNorm, and out of the logits"},
    {.name = NULL},
};

int copying_score(double *score, bool *any, double *a, int64_t n, err *e)
{
    double *re = mem_array((size_t)(2 * n), sizeof *re, e), sum = 0, size = 0;
    int rc = re ? linalg_eigenvalues(re, re + n, a, n, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        sum += re[i];
        size += hypot(re[i], re[n + i]);
    }
    free(re);
    *any = size > 0;
    *score = size > 0 ? sum / size : 0;
    return rc;
}

typedef struct copying_job {
    const vocabulary_map *map;  /* NULL: the circuit in the stream */
    double *score;              /* [n_head] */
    bool *any;
} copying_job;

static double *widened(const float *x, int64_t n, err *e)
{
    double *y = mem_array((size_t)n, sizeof *y, e);
    for (int64_t i = 0; y && i < n; i++)
        y[i] = (double)x[i];
    return y;
}

/* W_O W_V [d, d], or W_O W_U W_E W_V, has the eigenvalues of W_V W_O that are not 0. */
static int score_head(void *ud, const circuit_factors *f, int head, err *e)
{
    const copying_job *j = ud;
    int64_t d = f->d, width = f->right.width;
    double *o = widened(head_rows(&f->right, f->plan, head), d * width, e);
    double *v = widened(head_rows(&f->left, f->plan, head), d * width, e);
    double *a = mem_array((size_t)(d * d), sizeof *a, e);
    int rc = o && v && a ? 0 : ERR_RESOURCE;
    if (!rc && j->map)
        rc = vocabulary_map_apply(&o, j->map, d, e);
    if (!rc) {
        linalg_times_transposed(a, o, v, d, d, width);
        rc = copying_score(&j->score[head], &j->any[head], a, d, e);
    }
    free(o);
    free(v);
    free(a);
    return rc;
}

static int one_layer(const metric_ctx *c, const vocabulary_map *map, head_fold fold, int layer, const result_sink *out,
                     err *e)
{
    circuit_factors f;
    int rc = circuit_load(&f, c->model, c->kind, layer, CIRCUIT_OV, fold, e);
    if (rc)
        return rc;
    copying_job j = {map, mem_array((size_t)f.n_head, sizeof(double), e), mem_array((size_t)f.n_head, sizeof(bool), e)};
    rc = j.score && j.any ? circuit_heads(&f, c->run ? runtime_pool(c->run) : NULL, score_head, &j, e) : ERR_RESOURCE;
    for (int h = 0; h < f.n_head && !rc; h++)
        if (j.any[h])
            rc = metric_emit(c, out, layer, h, NO_INDEX, j.score[h], e);
    free(j.score);
    free(j.any);
    circuit_free(&f);
    return rc;
}

int copying_weights(metric_ctx *c, bool full, const result_sink *out, const progress *p, err *e)
{
    const head_fold fold = {params_bool(c->p, "copying-fold"), params_bool(c->p, "copying-center")};
    vocabulary_map map = {0};
    int rc = full ? vocabulary_map_make(&map, c->model, c->run ? runtime_pool(c->run) : NULL, fold, p, e) : 0;
    for (int l = 0; l < c->n_layer && !rc; l++) {
        progress_step(p, "layer", l, c->n_layer);
        if (model_attention(c->model, c->kind, l))
            rc = one_layer(c, full ? &map : NULL, fold, l, out, e);
    }
    vocabulary_map_free(&map);
    progress_step(p, "layer", c->n_layer, c->n_layer);
    return rc;
}

const char *copying_full_unfit(const model *m, attn_kind kind)
{
    if (kind != m->main->kind || !m->head.unembedding.data || m->main->embed.kind != EMBED_TOKENS)
        return "it has no way from tokens to logits";
    return m->head.transform.data ? "there is a layer between its stream and its logits" : NULL;
}
