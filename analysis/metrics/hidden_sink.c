#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/column_sums.h"
#include "base/mem.h"

static const char *const emits[] = {"count", "largest", "each", NULL};
static const char *const drops[] = {"key-0", "first", NULL};

static const param hidden_params[] = {
    {"hidden-threshold", PARAM_REAL, "0.3", "EPS",
     "a key is a sink when its alpha is above this (0.1 in the code of ACT)", 0, 1, NULL, NULL},
    {"hidden-relative", PARAM_REAL, NULL, "X",
     "threshold X / number of keys instead (about 5 is reported for ACT)", 0, 1e9, NULL, NULL},
    {"hidden-emit", PARAM_ENUM, "count", "WHAT",
     "the number of hidden sinks, the largest alpha behind key 0, or alpha of each hidden sink at its "
     "position",
     0, 0, emits, NULL},
    {"hidden-drop", PARAM_ENUM, "key-0", "WHICH",
     "sink that is not hidden: key 0, or the first that is found, as the code of ACT has it", 0, 0, drops,
     NULL},
    {"hidden-queries", PARAM_INT, "1", "N", "leave out keys that fewer queries see", 1, 9e15, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct hidden_plan {
    double threshold;
    bool largest, each, drop_first;
    int64_t queries;
} hidden_plan;

static int prepare(metric_ctx *c, err *e)
{
    hidden_plan *h = mem_array(1, sizeof(*h), e);
    if (!h)
        return ERR_RESOURCE;
    const char *emit = params_str(c->p, "hidden-emit");
    h->threshold = params_given(c->p, "hidden-relative") ? params_real(c->p, "hidden-relative") / (double)c->n_key
                                                         : params_real(c->p, "hidden-threshold");
    h->largest = !strcmp(emit, "largest");
    h->each = !strcmp(emit, "each");
    h->drop_first = !strcmp(params_str(c->p, "hidden-drop"), "first");
    h->queries = params_int(c->p, "hidden-queries");
    c->shared = h;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const hidden_plan *h = c->shared;
    const column_sums *s = state;
    int64_t count = 0, candidates = 0;
    double largest = 0, total = 0;
    bool dropped = false;
    int rc = 0;
    for (column at = column_first(); !rc && column_next(&at, s);) {
        if (at.seen < h->queries || at.seen == 0)
            continue;
        double alpha = at.sum / (double)at.seen;
        total += alpha;
        bool sink = alpha > h->threshold;
        if (h->drop_first ? sink && !dropped : at.key == 0) {
            dropped = true;
            continue;
        }
        candidates++;
        count += sink;
        largest = alpha > largest ? alpha : largest;
        if (sink && h->each)
            rc = metric_emit(c, out, layer, head, at.key, alpha, e);
    }
    if (!rc && h->each && isnan(total))
        rc = metric_emit(c, out, layer, head, NO_INDEX, total, e);
    if (rc || h->each || s->n == 0 || (h->largest && candidates == 0))
        return rc;
    /* Weights that are no numbers are an error, not a count. */
    return metric_emit(c, out, layer, head, NO_INDEX, (h->largest ? largest : (double)count) + 0 * total, e);
}

const metric metric_hidden_sink = {
    .name = "hidden_sink",
    .summary = "attention sinks away from the first key",
    .formula = "S = {k > 0 : alpha_k > eps};  count = |S|",
    .definition =
        "S = keys k with alpha_k > hidden-threshold (strictly; 0.3 unless given; alpha as in received), or > X / n_key with "
        "hidden-relative X, without key 0; hidden-drop first takes out the first element of S instead, "
        "wherever it is, as the released code of ACT does.  count: the size of S.  largest: the largest "
        "alpha of all keys but the dropped one, whether in S or not.  each: alpha_k at position k for k in "
        "S.  Late causal keys are seen by few queries and pass the threshold by chance; hidden-queries N "
        "leaves out those that fewer than N see",
    .unit = "",
    .range = "count: 0 .. n - 1; largest, each: 0 .. 1",
    .source = "Yu et al. 2024 (ACT, arXiv 2406.15765): an absolute 0.1 in its code, a multiple of 1 / n "
              "reported of its text; 0.3 is Gu et al. 2024 (arXiv 2410.10781)",
    .reading =
        "Sinks in the middle of the prompt: often delimiters or the first of a repeated kind. Emit `each` "
        "and look at the tokens.",
    .traps =
        "With short prompts an absolute threshold takes ordinary keys for sinks: use hidden-relative. Late "
        "keys pass by chance: use hidden-queries. The released code drops the first element of S whatever "
        "it is.",
    .cite = "yu2024act,gu2025sink",
    .missing_mass = "rows are taken as they are: a learned sink is no key, its share lowers every alpha",
    .cost = "sums of columns: O(n) memory a head and chunk",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_COLUMNS,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .validated = "the column that ACT picks in a worked 4 x 4 matrix; second implementation in double on "
                 "random maps of every mask, and on the maps of reference models",
    .params = hidden_params,
    .prepare = prepare,
    .release = release,
    .state_size = column_sums_size,
    .rows = column_sums_rows,
    .merge = column_sums_merge,
    .finish = finish,
};
