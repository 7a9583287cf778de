#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/matrix_file.h"
#include "analysis/repeats.h"
#include "base/mem.h"

static const char *const measure_choices[] = {"mul", "abs", "abs_exact", NULL};
static const param detect_params[] = {
    {"detect-pattern", PARAM_STR, "induction_head", "PATTERN",
     "previous_token_head, duplicate_token_head, induction_head, or a matrix, queries by keys: FILE.npy, "
     "FILE.csv",
     0, 0, NULL, NULL},
    {"detect-measure", PARAM_ENUM, "mul", "HOW",
     "share of the weight on the pattern, or 1 less the mean difference", 0, 0, measure_choices, NULL},
    {"detect-exclude-bos", PARAM_BOOL, NULL, NULL, "leave the first key out", 0, 0, NULL, NULL},
    {"detect-exclude-current-token", PARAM_BOOL, NULL, NULL, "leave the query's own position out", 0, 0, NULL,
     NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static const char *const builtin[] = {"previous_token_head", "duplicate_token_head", "induction_head", NULL};
enum { PREVIOUS, DUPLICATE, INDUCTION, FROM_FILE };

typedef struct pattern {
    int kind;
    bool none;           /* no pattern for this attention */
    bool no_first, no_self;
    repeats *seen;       /* of DUPLICATE and INDUCTION */
    float *cells;        /* [n, n_key] of FROM_FILE */
    double total;        /* sum of |D| over the cells that count */
} pattern;

typedef struct sums {
    double weight;       /* A */
    double product;      /* A D */
    double difference;   /* |A - D| - |D|: 0 where A is masked, so that tiles need not reach there */
} sums;

static void release(metric_ctx *c)
{
    pattern *p = c->shared;
    free(p->seen);
    free(p->cells);
    free(p);
    c->shared = NULL;
}

static bool left_out(const pattern *p, int64_t position, int64_t key)
{
    return (p->no_first && key == 0) || (p->no_self && key == position);
}

/* Does a matrix of this shape belong to another attention of the prompt? */
static bool fits_elsewhere(const metric_ctx *c, int64_t rows, int64_t cols)
{
    if (c->kind == ATTN_CROSS)
        return rows == cols && (rows == c->n || rows == c->n_key);
    if (!c->model || (!c->model->encoder && !c->model->vision))
        return false;
    return c->model->encoder != NULL || (rows == cols && rows <= c->most_key);
}

static int load_pattern(pattern *p, const metric_ctx *c, const char *path, err *e)
{
    int64_t rows, cols;
    bool word = !strpbrk(path, "./");
    int rc = matrix_load(&p->cells, &rows, &cols, path, e);
    if (rc == ERR_INPUT && word) {
        err_set(e, ERR_USAGE, "detect-pattern: '%s' is neither a pattern nor a file", path);
        return err_hint(e, "the patterns are previous_token_head, duplicate_token_head and induction_head");
    }
    if (rc)
        return rc;
    if (rows != c->n || cols != c->n_key) {
        p->none = true;
        if (fits_elsewhere(c, rows, cols))
            return 0;
        err_set(e, ERR_USAGE, "detect-pattern: %s is %lld x %lld, the attention of the prompt %lld x %lld",
                path, (long long)rows, (long long)cols, (long long)c->n, (long long)c->n_key);
        return err_hint(e, "the matrix has a row for each query and a column for each key");
    }
    for (int64_t q = 0; q < rows; q++)
        for (int64_t k = 0; k < cols; k++) {
            float d = p->cells[q * cols + k];
            if (c->kind == ATTN_SELF && k > q && d != 0) {
                err_set(e, ERR_USAGE, "detect-pattern: %s looks ahead, from query %lld to key %lld", path,
                        (long long)q, (long long)k);
                return err_hint(e, "under a causal mask the matrix must be lower-triangular");
            }
            p->total += left_out(p, q, k) ? 0 : fabs((double)d);
        }
    return 0;
}

static int count_repeats(pattern *p, const metric_ctx *c, err *e)
{
    int rc = repeats_new(&p->seen, c->ids, c->n, c->placeholder, e);
    if (rc)
        return rc;
    p->seen->shift = p->kind == INDUCTION;
    for (int64_t i = 0; i < c->n; i++) {
        int64_t begin = p->seen->begin[i], end = p->seen->end[i];
        p->total += (double)(end - begin);
        if (begin < end && p->no_first && p->seen->seen[begin] + p->seen->shift == 0)
            p->total -= 1;
        if (begin < end && p->no_self && p->seen->seen[end - 1] + p->seen->shift == i)
            p->total -= 1;
    }
    return 0;
}

static int prepare(metric_ctx *c, err *e)
{
    const char *name = params_str(c->p, "detect-pattern");
    pattern *p = mem_array(1, sizeof *p, e);
    int rc = 0;
    if (!p)
        return ERR_RESOURCE;
    c->shared = p;
    p->no_first = params_bool(c->p, "detect-exclude-bos");
    p->no_self = params_bool(c->p, "detect-exclude-current-token");
    while (builtin[p->kind] && strcmp(builtin[p->kind], name) != 0)
        p->kind++;
    p->none = c->n < 2 || (p->kind != FROM_FILE && c->kind == ATTN_CROSS) ||
              ((p->kind == DUPLICATE || p->kind == INDUCTION) && !c->ids);
    if (p->kind == FROM_FILE)
        rc = load_pattern(p, c, name, e);
    else if (p->kind == PREVIOUS)
        p->total = (double)(c->n - 1 - p->no_first);
    else if (!p->none)
        rc = count_repeats(p, c, e);
    if (rc)
        release(c);
    return rc;
}

static size_t state_size(const metric_ctx *c)
{
    (void)c;
    return sizeof(sums);
}

/* A cell of a built-in pattern, where D is 1. */
static void add_one(sums *s, double a)
{
    s->product += a;
    s->difference += fabs(a - 1) - 1 - fabs(a); /* the whole row has counted it as a cell with D = 0 */
}

static void add_builtin(sums *s, const pattern *p, const attn_tile *t, int64_t q, int64_t from, int64_t to)
{
    int64_t position = t->pos0 + q;
    if (p->kind == PREVIOUS) {
        if (position - 1 >= from && position - 1 < to && !left_out(p, position, position - 1))
            add_one(s, (double)attn_tile_at(t, q, position - 1));
        return;
    }
    const repeats *r = p->seen;
    for (int64_t i = r->begin[position]; i < r->end[position]; i++) {
        int64_t key = r->seen[i] + r->shift;
        if (key >= from && key < to && !left_out(p, position, key))
            add_one(s, (double)attn_tile_at(t, q, key));
    }
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const pattern *p = c->shared;
    sums *s = state;
    if (p->none)
        return;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t from, to;
        attn_tile_visible(t, q, &from, &to);
        const float *d = p->cells ? p->cells + q * c->n_key : NULL;
        for (int64_t k = from; k < to; k++) {
            if (left_out(p, t->pos0 + q, k))
                continue;
            double a = (double)attn_tile_at(t, q, k), x = d ? (double)d[k] : 0;
            s->weight += a;
            s->product += a * x;
            s->difference += fabs(a - x) - fabs(x);
        }
        if (!d && from < to)
            add_builtin(s, p, t, q, from, to);
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    sums *a = into;
    const sums *b = from;
    (void)c;
    a->weight += b->weight;
    a->product += b->product;
    a->difference += b->difference;
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const pattern *p = c->shared;
    const sums *s = state;
    const char *measure = params_str(c->p, "detect-measure");
    if (p->none || (!strcmp(measure, "mul") && s->weight == 0))
        return 0;
    double apart = (p->total + s->difference) / (double)c->n;
    if (!strcmp(measure, "mul"))
        return metric_emit(c, out, layer, head, NO_INDEX, s->product / s->weight, e);
    if (!strcmp(measure, "abs"))
        apart = rint(apart * 1000) / 1000;
    return metric_emit(c, out, layer, head, NO_INDEX, 1 - apart, e);
}

const metric metric_detect = {
    .name = "detect",
    .summary = "how well the attention matches a pattern, named or your own",
    .formula = "mul = sum(A D) / sum(A);  abs = 1 - sum|A - D| / n",
    .definition =
        "with D the pattern (queries by keys), A and D over the cells that detect-exclude-* leave: mul: sum "
        "of A D over sum of A.  abs: 1 - x, x the sum of |A - D| divided by n and rounded to 3 decimals; "
        "abs_exact: not rounded.  previous_token_head: D[i][i - 1] = 1.  duplicate_token_head: D[i][j] = 1 "
        "where j < i is the same token.  induction_head: D[i][j] = 1 where token j - 1 is the same as token "
        "i, j <= i.  The first row counts: a perfect previous-token head has (n - 1) / n.  For the mean over "
        "texts see the summary of several prompts (there detect_head drops its options, attnscope keeps "
        "them).  No value for one token, or when all weight is left out",
    .unit = "",
    .range = "mul 0 .. 1 (for D of 0 and 1), abs .. 1; -1 .. 1 where rows of D sum to at most 1",
    .source = "TransformerLens detect_head (head_detector.py)",
    .reading =
        "1 is a perfect match. With mul compare heads with the same pattern only: the reachable score "
        "depends on how often the prompt lets the pattern occur. mul is the share of the weight that lies on the "
        "pattern and does not care how it is spread there; abs also counts each cell of the pattern that gets "
        "less than D asks for.",
    .traps =
        "For induction and duplicate patterns a prompt with few repeats leaves most rows of D empty, and a "
        "sink lowers every score. With detect-exclude-bos abs is high for a pure sink head, whose other cells are "
        "as empty as D; without exclusions rows that D leaves empty add 0. mul with detect-exclude-bos divides "
        "by what little a sink leaves.",
    .cite = "transformerlens",
    .missing_mass = "mul: the weight on keys is the whole; abs: rows are taken as they are, missing mass "
                    "counts as weight 0",
    .cost = "tiles, all cells; O(n^2) memory for a matrix of your own",
    .validated = "detect_head's functions in torch on attention of the bundled model; second implementation",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .params = detect_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .tile = tile,
    .merge = merge,
    .finish = finish,
};
