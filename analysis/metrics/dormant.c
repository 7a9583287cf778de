#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/column_sums.h"
#include "base/mem.h"

static const char *const rules[] = {"entropy", "mass", "last", NULL};

static const param dormant_params[] = {
    {"dormant-rule", PARAM_ENUM, "entropy", "RULE",
     "row and column entropies, mean weight on key 0, or weight of the last query on key 0", 0, 0, rules, NULL},
    {"dormant-row", PARAM_REAL, "0.3", "R",
     "entropy: mean normalised row entropy must be below this", 0, 1, NULL, NULL},
    {"dormant-column", PARAM_REAL, "0.9", "C",
     "entropy: largest normalised column entropy must be above this", 0, 1, NULL, NULL},
    {"dormant-mass", PARAM_REAL, NULL, "X",
     "mass, last: weight on key 0 from which a head is dormant (0.5 for mass, 0.89 for last)", 0, 1, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

enum rule { RULE_ENTROPY, RULE_MASS, RULE_LAST };

typedef struct dormant_plan {
    enum rule rule;
    double row, column, mass;
} dormant_plan;

/* entropy: followed by the state of columns. */
typedef struct dormant_state {
    double rows;         /* sum of normalised row entropies */
    double mass, last;   /* weight on key 0: sum over queries, and of the last */
    int64_t n, seen;     /* queries that see any key, key 0 */
    int64_t last_query;  /* that saw key 0, plus 1 */
} dormant_state;

static int prepare(metric_ctx *c, err *e)
{
    dormant_plan *d = mem_array(1, sizeof(*d), e);
    if (!d)
        return ERR_RESOURCE;
    const char *rule = params_str(c->p, "dormant-rule");
    d->rule = !strcmp(rule, "mass") ? RULE_MASS : !strcmp(rule, "last") ? RULE_LAST : RULE_ENTROPY;
    d->row = params_real(c->p, "dormant-row");
    d->column = params_real(c->p, "dormant-column");
    d->mass = d->rule == RULE_LAST ? 0.89 : 0.5;
    if (params_given(c->p, "dormant-mass"))
        d->mass = params_real(c->p, "dormant-mass");
    c->shared = d;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static bool by_entropy(const metric_ctx *c)
{
    return ((const dormant_plan *)c->shared)->rule == RULE_ENTROPY;
}

static size_t state_size(const metric_ctx *c)
{
    return sizeof(dormant_state) + (by_entropy(c) ? column_logs_size(c) : 0);
}

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    dormant_state *s = state;
    if (by_entropy(c))
        column_sums_rows(s + 1, c, r);
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t keys = r->visible_hi[i] - r->visible_lo[i];
        if (keys <= 0)
            continue;
        s->n++;
        s->rows += keys > 1 ? (double)r->entropy[i] / log((double)keys) : 0;
    }
}

static bool reads(const metric_ctx *c, const attn_tile *part)
{
    return by_entropy(c) || part->k0 == 0;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    dormant_state *s = state;
    if (by_entropy(c)) {
        column_logs_tile(s + 1, c, t);
        return;
    }
    if (t->k0 > 0 || t->n_key == 0)
        return;
    for (int64_t i = 0; i < t->n_query; i++) {
        if (t->visible_lo[i] > 0 || t->visible_hi[i] <= 0)
            continue;
        s->seen++;
        s->last_query = t->q0 + i + 1;
        s->last = (double)attn_tile_at(t, t->q0 + i, 0);
        s->mass += s->last;
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    dormant_state *a = into;
    const dormant_state *b = from;
    a->rows += b->rows;
    a->mass += b->mass;
    a->n += b->n;
    a->seen += b->seen;
    if (b->last_query > a->last_query) {
        a->last_query = b->last_query;
        a->last = b->last;
    }
    if (by_entropy(c))
        column_logs_merge(a + 1, b + 1, c);
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const dormant_plan *d = c->shared;
    const dormant_state *s = state;
    bool dormant;
    double most = 0;
    if (d->rule == RULE_ENTROPY) {
        if (s->n == 0 || !column_entropy_most(&most, s + 1, c))
            return 0;
        dormant = s->rows / (double)s->n < d->row && most > d->column;
    } else if (d->rule == RULE_LAST) {
        if (s->last_query != c->n)
            return 0;
        dormant = s->last >= d->mass;
    } else {
        if (s->seen == 0)
            return 0;
        dormant = s->mass / (double)s->seen >= d->mass;
    }
    /* Weights that are no numbers are an error, not a state. */
    return metric_emit(c, out, layer, head, NO_INDEX, dormant + 0 * (s->rows + s->mass + s->last + most), e);
}

const metric metric_dormant = {
    .name = "dormant",
    .summary = "1 when the head rests on a sink with this prompt, 0 when it is active",
    .formula = "1 if mean_i H_i / ln(keys) < r and max_k C_k > c, else 0  (rule entropy)",
    .definition =
        "entropy: 1 when the mean over all queries of H_i / ln(keys that i sees), 0 for queries that see one "
        "key, is below dormant-row and the largest column entropy (see column_entropy) is above "
        "dormant-column; the rule is published without thresholds, 0.3 and 0.9 are this program's choice.  "
        "mass: 1 when the mean of A[i][0] over the queries that see key 0 is at least dormant-mass, 0.5 "
        "unless given (this program's choice).  last: 1 when A[n - 1][0] is at least dormant-mass, 0.89 "
        "unless given (the published rule for the toy task: active below 0.89); no value where a window "
        "hides key 0 from the last query.  The mean over heads or prompts is a rate",
    .unit = "",
    .range = "0 or 1",
    .source = "Guo et al. 2024 (arXiv 2410.13835), code of Active-Dormant-Attention: entropy.py (entropy), "
              "probe_utils.py (last)",
    .reading =
        "Over many prompts the mean is the share of texts on which the head rests. A head that is dormant "
        "on one kind of text and active on another is what the active-dormant account describes.",
    .traps =
        "The thresholds of the entropy rule are this program's choice: report them with the number. One "
        "prompt says nothing of the head in general, and the three rules do not agree on borderline heads.",
    .cite = "guo2024dormant",
    .missing_mass = "rows are taken as they are; columns are normalised for their entropy; with a learned "
                    "sink a head may rest without any key as its sink, see learned_sink",
    .cost = "entropy: tiles, a logarithm of every weight, O(n) memory a head and chunk; mass, last: tiles, "
            "one column",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_ENTROPY | ATTN_NEED_COLUMNS | ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = dormant_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .rows = rows,
    .tile = tile,
    .reads = reads,
    .merge = merge,
    .finish = finish,
};
