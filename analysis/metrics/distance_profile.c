#include <stdlib.h>
#include <string.h>
#include "analysis/tile_lanes.h"
#include "base/mem.h"

static const char *const sides[] = {"both", "before", "after", NULL};

/* distance-limit bounds what is emitted, not what is counted. */
static const param profile_params[] = {
    {"distance-side", PARAM_ENUM, "both", "SIDE", "keys before the query, behind it, or both", 0, 0, sides, NULL},
    {"distance-limit", PARAM_INT, "0", "N", "distances below N only; 0: all", 0, 9e15, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct profile_plan {
    bool before, after;
    int64_t n;          /* distances */
} profile_plan;

static int prepare(metric_ctx *c, err *e)
{
    profile_plan *p = mem_array(1, sizeof(*p), e);
    if (!p)
        return ERR_RESOURCE;
    const char *side = params_str(c->p, "distance-side");
    int64_t limit = params_int(c->p, "distance-limit");
    p->before = strcmp(side, "after") != 0;
    p->after = strcmp(side, "before") != 0;
    p->n = limit > 0 && limit < c->n_key ? limit : c->n_key;
    c->shared = p;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

/* [n] sums, then [n + 1] steps of the number of cells at a distance (whole numbers that a double holds exactly). */
static size_t state_size(const metric_ctx *c)
{
    const profile_plan *p = c->shared;
    return (2 * (size_t)p->n + 1) * sizeof(double);
}

/* Cells from .. to - 1 (distances) exist once more. */
static void count(double *steps, int64_t n, int64_t from, int64_t to)
{
    to = to < n ? to : n;
    if (from >= to)
        return;
    steps[from]++;
    steps[to]--;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Sum of the cells (query i, position of i + offset) of the tile: a diagonal.  Masked cells are 0. */
static double diagonal(const attn_tile *t, int64_t offset)
{
    /* 0 <= pos0 + q0 + i + offset - k0 < n_key */
    int64_t shift = t->pos0 + t->q0 + offset - t->k0;
    int64_t i = most(0, -shift), end = least(t->n_query, t->n_key - shift);
    int64_t step = t->q_stride + t->k_stride, n = end - i;
    if (n <= 0)
        return 0;
    const float *p = t->probs + i * t->q_stride + (i + shift) * t->k_stride;
    double a[4] = {0};
    for (i = 0; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            a[j] += (double)p[(i + j) * step];
    for (; i < n; i++)
        a[0] += (double)p[i * step];
    return (a[0] + a[1]) + (a[2] + a[3]);
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const profile_plan *p = c->shared;
    double *sums = state, *steps = sums + p->n;
    if (t->n_query <= 0 || t->n_key <= 0)
        return;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t at = t->pos0 + t->q0 + i, lo = t->visible_lo[i], hi = t->visible_hi[i];
        if (p->before)
            count(steps, p->n, at + 1 - least(hi, at + 1), at + 1 - lo);
        if (p->after)
            count(steps, p->n, most(lo, at + (p->before ? 1 : 0)) - at, hi - at);
    }
    /* Offsets key - position of the corners of the tile. */
    int64_t low = t->k0 - (t->pos0 + t->q0 + t->n_query - 1), high = t->k0 + t->n_key - 1 - (t->pos0 + t->q0);
    if (p->before)
        for (int64_t d = most(0, -high); d <= least(-low, p->n - 1); d++)
            sums[d] += diagonal(t, -d);
    if (p->after)
        for (int64_t d = most(p->before ? 1 : 0, low); d <= least(high, p->n - 1); d++)
            sums[d] += diagonal(t, d);
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    const profile_plan *p = c->shared;
    double *a = into;
    const double *b = from;
    for (int64_t i = 0; i < 2 * p->n + 1; i++)
        a[i] += b[i];
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const profile_plan *p = c->shared;
    const double *sums = state, *steps = sums + p->n;
    double cells = 0;
    int rc = 0;
    for (int64_t d = 0; d < p->n && !rc; d++) {
        cells += steps[d];
        if (cells > 0)
            rc = metric_emit(c, out, layer, head, d, sums[d] / cells, e);
    }
    return rc;
}

const metric metric_distance_profile = {
    .name = "distance_profile",
    .summary = "mean weight at each distance between query and key",
    .formula = "P(d) = sum of A[i][j] with |i - j| = d / number of visible cells with |i - j| = d",
    .definition =
        "at position d: sum of A[i][j] over all visible cells with |i - j| = d, divided by the number of "
        "these cells; under a causal mask the mean of the diagonal d below the main one, n - d cells.  d = 0 "
        "is self, d = 1 is prev_token under a causal mask.  before and after: one side of the query alone, d "
        "= 0 in either.  No value at a distance at which nothing is visible",
    .unit = "",
    .range = "0 .. 1",
    .source = "local focus N of \"Deconstructing Attention\" (arXiv 2510.11602); diagonals as in "
              "TransformerLens's demos",
    .reading =
        "A bar at d = 1 is a previous-token head, a bar at the period of a repeated prompt minus 1 an "
        "induction head, a slow fall a local head. Divide by uniform attention in mind: far diagonals hold "
        "few cells.",
    .traps =
        "Large distances are averages of a few cells and noisy. The sink lies on a different diagonal for "
        "each query and shows as a raised floor, not as a bar.",
    .cite = "xue2025deconstructing,transformerlens",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles: O(n) memory a head and chunk",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_OWN,
    .axis = AXIS_DISTANCE,
    .validated = "local focus of a worked 4 x 4 matrix; second implementation in double on random maps of "
                 "every mask, and on the maps of reference models",
    .params = profile_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .tile = tile,
    .merge = merge,
    .finish = finish,
};
