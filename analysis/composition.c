#include "analysis/composition.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/circuits.h"
#include "base/cancel.h"
#include "base/mem.h"

const param composition_params[] = {
    {.name = "composition-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "composition-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights that read or write beside a LayerNorm"},
    {.name = "composition-baseline", .kind = PARAM_BOOL, .def = "false",
     .help = "subtract the score of randomly turned matrices, 1 / sqrt(width)"},
    {.name = NULL},
};

/* The factors of all heads of a layer that keep the norms of a circuit, and those norms. */
typedef struct layer_factors {
    int n_head, d;        /* n_head 0: no attention in the layer */
    int64_t width;
    float *rows;          /* [n_head * d, width] */
    double *norm;         /* [n_head] */
} layer_factors;

typedef struct factor_job { layer_factors *of; int side; } factor_job;

static int factor_of_head(void *ud, const circuit_factors *f, int head, err *e)
{
    const factor_job *j = ud;
    layer_factors *of = j->of;
    int64_t n = of->d * of->width;
    float *g = of->rows + head * n;
    int rc = circuit_norm_factor(g, f, head, j->side, e);
    double sum = 0;
    for (int64_t i = 0; i < n && !rc; i++)
        sum += (double)g[i] * (double)g[i];
    of->norm[head] = sqrt(sum);
    return rc;
}

static void free_factors(layer_factors *f)
{
    mem_free_large(f->rows);
    free(f->norm);
    *f = (layer_factors){0};
}

static int load_factors(layer_factors *out, const metric_ctx *c, int layer, circuit which, int side, err *e)
{
    const head_fold fold = {params_bool(c->p, "composition-fold"), params_bool(c->p, "composition-center")};
    circuit_factors f;
    size_t n = 0, bytes = 0;
    *out = (layer_factors){0};
    if (!model_attention(c->model, c->kind, layer))
        return 0;
    int rc = circuit_load(&f, c->model, c->kind, layer, which, fold, e);
    if (rc)
        return rc;
    *out = (layer_factors){.n_head = f.n_head, .d = f.d, .width = side == 0 ? f.left.width : f.right.width};
    if (!size_mul(&n, (size_t)out->n_head * (size_t)out->d, (size_t)out->width) || !size_mul(&bytes, n, sizeof(float))) {
        rc = err_nomem(e, "factors of the heads");
    } else {
        out->rows = mem_large(bytes, e);
        out->norm = mem_array((size_t)out->n_head, sizeof *out->norm, e);
        rc = out->rows && out->norm ? 0 : ERR_RESOURCE;
    }
    factor_job j = {out, side};
    if (!rc)
        rc = circuit_heads(&f, runtime_pool(c->run), factor_of_head, &j, e);
    circuit_free(&f);
    if (rc)
        free_factors(out);
    return rc;
}

/* Squares of the cells of block (h1, h2) of y, summed in double. */
static double block_norm(const float *y, int64_t ld, int d1, int d2)
{
    double sum = 0;
    for (int i = 0; i < d1; i++)
        for (int k = 0; k < d2; k++)
            sum += (double)y[i * ld + k] * (double)y[i * ld + k];
    return sqrt(sum);
}

/* Norms [later->n_head, earlier->n_head] of all products of two layers into scores, in columns from `first` on. */
static int pair_norms(double *scores, int64_t ld, int64_t first, const metric_ctx *c, const layer_factors *earlier,
                      const layer_factors *later, float *y, err *e)
{
    int64_t cols = (int64_t)later->n_head * later->d;
    const weight w = {.type = DT_F32, .data = later->rows, .n_out = cols, .n_in = later->width, .ld = later->width};
    int rc = 0;
    for (int h1 = 0; h1 < earlier->n_head && !rc; h1++) {
        rc = runtime_linear(c->run, y, cols, earlier->rows + (int64_t)h1 * earlier->d * earlier->width, earlier->width,
                            earlier->d, &w, e);
        for (int h2 = 0; h2 < later->n_head && !rc; h2++)
            scores[h2 * ld + first + h1] = block_norm(y + (int64_t)h2 * later->d, cols, earlier->d, later->d);
        if (!rc)
            rc = cancel_check(e);
    }
    return rc;
}

/* The scores of the heads of layer l with all before it. */
static int emit_layer(const metric_ctx *c, const layer_factors *ov, int l, const layer_factors *later, const double *scores,
                      int64_t before, const result_sink *out, err *e)
{
    double baseline = params_bool(c->p, "composition-baseline") ? 1 / sqrt((double)later->width) : 0;
    int rc = 0;
    for (int h2 = 0; h2 < later->n_head && !rc; h2++) {
        int64_t index = 0;
        for (int l1 = 0; l1 < l && !rc; l1++)
            for (int h1 = 0; h1 < ov[l1].n_head && !rc; h1++, index++) {
                double size = ov[l1].norm[h1] * later->norm[h2];
                if (size != 0) /* a head that writes or reads nothing has no score; NaN goes on to be refused */
                    rc = metric_emit(c, out, l, h2, index, scores[h2 * before + index] / size - baseline, e);
            }
    }
    return rc;
}

static int score_layer(const metric_ctx *c, layer_factors *ov, int l, composition which, const result_sink *out, err *e)
{
    layer_factors later;
    int64_t before = head_index(c->model, c->kind, l, 0), at = 0;
    int widest = 0;
    int rc = load_factors(&later, c, l, which == COMPOSITION_V ? CIRCUIT_OV : CIRCUIT_QK, which == COMPOSITION_K, e);
    for (int l1 = 0; l1 < l; l1++)
        widest = ov[l1].d > widest ? ov[l1].d : widest;
    if (rc || !later.n_head || !before) {
        free_factors(&later);
        return rc;
    }
    double *scores = mem_array((size_t)before * (size_t)later.n_head, sizeof *scores, e);
    float *y = mem_array((size_t)(later.n_head * later.d) * (size_t)widest, sizeof *y, e);
    rc = scores && y ? 0 : ERR_RESOURCE;
    for (int l1 = 0; l1 < l && !rc; l1++) {
        if (ov[l1].n_head)
            rc = pair_norms(scores, before, at, c, &ov[l1], &later, y, e);
        at += ov[l1].n_head;
    }
    if (!rc)
        rc = emit_layer(c, ov, l, &later, scores, before, out, e);
    free(scores);
    free(y);
    free_factors(&later);
    return rc;
}

int composition_weights(metric_ctx *c, composition which, const result_sink *out, const progress *p, err *e)
{
    int n = c->n_layer, rc = 0;
    layer_factors *ov = mem_array((size_t)n + 1, sizeof *ov, e);
    if (!ov)
        return ERR_RESOURCE;
    for (int l = 0; l < n && !rc; l++) {
        progress_step(p, "layer", l, n);
        rc = score_layer(c, ov, l, which, out, e);
        if (!rc && l + 1 < n)
            rc = load_factors(&ov[l], c, l, CIRCUIT_OV, 1, e);
    }
    progress_step(p, "layer", n, n);
    for (int l = 0; l < n; l++)
        free_factors(&ov[l]);
    free(ov);
    return rc;
}
