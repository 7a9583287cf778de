#include <math.h>
#include <stdlib.h>
#include "analysis/tile_lanes.h"
#include "base/mem.h"

static const param patch_params[] = {
    {"patch-renormalise", PARAM_BOOL, NULL, NULL,
     "divide each row by its mass on patches first", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct patch_plan {
    int64_t front;          /* class tokens and registers before the patches */
    int64_t rows, columns;
    bool renormalise;
    double pixels[];        /* [rows, columns] distance of patches that far apart */
} patch_plan;

typedef struct patch_state {
    double sum;
    int64_t n;              /* patches */
} patch_state;

static int prepare(metric_ctx *c, err *e)
{
    const stack *s = c->model ? model_stack(c->model, c->kind) : NULL;
    bool patches = s && s->embed.kind == EMBED_PATCHES && s->embed.patch > 0;
    int64_t front = patches ? s->embed.n_prefix + s->embed.n_register : 0;
    int64_t rows = patches ? c->image_height / s->embed.patch : 0;
    int64_t columns = patches ? c->image_width / s->embed.patch : 0;
    size_t cells;
    if (rows * columns + front != c->n)
        rows = columns = 0;
    if (!size_mul(&cells, (size_t)rows, (size_t)columns))
        return err_nomem(e, "patch distances");
    patch_plan *p = mem_array(1, sizeof(*p) + cells * sizeof(double), e);
    if (!p)
        return ERR_RESOURCE;
    *p = (patch_plan){.front = front, .rows = rows, .columns = columns};
    p->renormalise = params_bool(c->p, "patch-renormalise");
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++)
            p->pixels[y * columns + x] = s->embed.patch * sqrt((double)(y * y + x * x));
    c->shared = p;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static size_t state_size(const metric_ctx *c)
{
    (void)c;
    return sizeof(patch_state);
}

static int64_t apart(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const patch_plan *p = c->shared;
    patch_state *s = state;
    for (int64_t i = 0; i < t->n_query && p->columns > 0; i++) {
        int64_t q = t->q0 + i, patch = q - p->front, from, to;
        double sum = 0, mass = 0;
        if (patch < 0 || !row_sees(t, i))
            continue;
        attn_tile_visible(t, q, &from, &to);
        for (int64_t key = from > p->front ? from : p->front; key < to; key++) {
            int64_t other = key - p->front;
            double w = (double)attn_tile_at(t, q, key);
            mass += w;
            sum += w * p->pixels[apart(patch / p->columns, other / p->columns) * p->columns +
                                 apart(patch % p->columns, other % p->columns)];
        }
        if (p->renormalise && mass == 0)
            continue;
        s->sum += p->renormalise ? sum / mass : sum;
        s->n++;
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    patch_state *a = into;
    const patch_state *b = from;
    (void)c;
    a->sum += b->sum;
    a->n += b->n;
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const patch_state *s = state;
    return s->n ? metric_emit(c, out, layer, head, NO_INDEX, s->sum / (double)s->n, e) : 0;
}

const metric metric_patch_distance = {
    .name = "patch_distance",
    .summary = "mean attention distance between image patches, in pixels",
    .formula = "mean_i sum_j A[i][j] p sqrt(dx^2 + dy^2)",
    .definition =
        "mean over patches i of sum over patches j of A[i][j] times the distance of their centres on the "
        "grid, patch size times sqrt(dx^2 + dy^2), in pixels of the image as the model reads it.  Class and "
        "distillation tokens and registers are dropped as queries and as keys.  Rows are not renormalised "
        "afterwards, so a head that attends to the class token looks local; patch-renormalise divides each "
        "row by its mass on patches (a row without any is left out)",
    .unit = "pixels",
    .range = "0 .. diagonal of the image",
    .source = "Dosovitskiy et al. 2021 (arXiv 2010.11929), figure 7, as coded in keras-io probing_vits.py",
    .reading = "Low layers of a ViT mix local and global heads, high layers are global: plot it by layer.",
    .traps =
        "Weight on the class token counts as distance 0 unless patch-renormalise is given. Compare with "
        "images of one size.",
    .cite = "dosovitskiy2021",
    .missing_mass = "rows are taken as they are: what class token and registers take counts as distance 0; "
                    "renormalise: left aside",
    .cost = "tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KIND_VISION,
    .validated = "second implementation in double on ViT, DeiT, DINOv2 and CLIP towers",
    .params = patch_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .tile = tile,
    .merge = merge,
    .finish = finish,
};
