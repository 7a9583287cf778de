#include "analysis/edit.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* Column sums of the chunks of one head that is being measured; sees: +1 where a query's keys begin, -1 where they end. */
typedef struct column_sums { double *sum; int64_t *sees; } column_sums;

typedef struct calibration {
    double beta, threshold, relative;  /* relative < 0: the threshold is absolute */
    bool keep_zero;
    /* of the layer at hand */
    const edit_use *use;
    const bool *chosen;                /* [n_head] */
    int first_head;                    /* of the layer, in the use's mask */
    bool prefill;
    int64_t n_key;
    int n_head, in_flight, chunks;
    bool *sink;                        /* [n_head, n_key] columns that are calibrated */
    size_t sink_room;
    double *sums;                      /* [in_flight, chunks, n_key] */
    int64_t *sees;                     /* [in_flight, chunks, n_key + 1] */
    size_t slot_room;
} calibration;

static const char *const protects[] = {"detected", "zero", NULL};

static int prepare(edit_use *u, const model *m, err *e)
{
    const params *p = u->values;
    calibration *c = mem_array(1, sizeof *c, e);
    (void)m;
    if (!c)
        return ERR_RESOURCE;
    c->beta = params_real(p, "beta");
    c->threshold = params_real(p, "threshold");
    c->relative = params_given(p, "relative") ? params_real(p, "relative") : -1;
    c->keep_zero = !strcmp(params_str(p, "keep"), "zero");
    u->state = c;
    if (c->relative >= 0 && params_given(p, "threshold")) {
        u->state = NULL;
        free(c);
        err_set(e, ERR_USAGE, "edit act: threshold and relative exclude each other");
        return err_hint(e, "threshold is a weight (0.1), relative a multiple of 1 / tokens (5)");
    }
    return 0;
}

static void release(edit_use *u)
{
    calibration *c = u->state;
    free(c->sink);
    free(c->sums);
    free(c->sees);
    free(c);
}

static column_sums sums_of(const calibration *c, int head, int chunk)
{
    int64_t slot = (int64_t)(head % c->in_flight) * c->chunks + chunk;
    return (column_sums){c->sums + slot * c->n_key, c->sees + slot * (c->n_key + 1)};
}

static void add_tile(void *ud, const attn_tile *t)
{
    const calibration *c = ud;
    if (!c->chosen[t->head])
        return;
    column_sums s = sums_of(c, t->head, t->chunk);
    for (int64_t i = 0; i < t->n_query; i++) {
        s.sees[t->visible_lo[i]]++;
        s.sees[t->visible_hi[i]]--;
        for (int64_t k = t->visible_lo[i]; k < t->visible_hi[i]; k++)
            s.sum[k] += (double)attn_tile_at(t, t->q0 + i, k);
    }
}

/* Columns of a head above the threshold, but the one that is kept.  The sums of all chunks are gathered in the first. */
static void choose_columns(calibration *c, int head)
{
    column_sums all = sums_of(c, head, 0);
    for (int chunk = 1; chunk < c->chunks; chunk++) {
        column_sums s = sums_of(c, head, chunk);
        for (int64_t k = 0; k < c->n_key; k++) {
            all.sum[k] += s.sum[k];
            all.sees[k] += s.sees[k];
        }
    }
    double threshold = c->relative >= 0 ? c->relative / (double)c->n_key : c->threshold;
    bool *sink = c->sink + (int64_t)head * c->n_key, kept = false;
    int64_t rows = 0;
    for (int64_t k = 0; k < c->n_key; k++) {
        rows += all.sees[k];
        sink[k] = rows > 0 && all.sum[k] / (double)rows > threshold;
        if (sink[k] && (c->keep_zero ? k == 0 : !kept)) {
            sink[k] = false;
            kept = true;
        }
    }
}

static int heads_done(void *ud, int layer, int head0, int head1, err *e)
{
    calibration *c = ud;
    (void)layer;
    (void)e;
    for (int head = head0; head < head1; head++)
        if (c->chosen[head])
            choose_columns(c, head);
    size_t slots = (size_t)c->in_flight * (size_t)c->chunks;
    memset(c->sums, 0, slots * (size_t)c->n_key * sizeof *c->sums);
    memset(c->sees, 0, slots * (size_t)(c->n_key + 1) * sizeof *c->sees);
    return 0;
}

static int reserve(calibration *c, err *e)
{
    size_t marks, slots;
    if (!size_mul(&marks, (size_t)c->n_head, (size_t)c->n_key) ||
        !size_mul(&slots, (size_t)c->in_flight * (size_t)c->chunks, (size_t)c->n_key + 1))
        return err_nomem(e, "column sums");
    if (marks > c->sink_room) {
        free(c->sink);
        c->sink_room = 0;
        if (!(c->sink = mem_array(marks, sizeof *c->sink, e)))
            return ERR_RESOURCE;
        c->sink_room = marks;
    }
    if (slots > c->slot_room) {
        free(c->sums);
        free(c->sees);
        c->slot_room = 0;
        c->sums = mem_array(slots, sizeof *c->sums, e);
        c->sees = c->sums ? mem_array(slots, sizeof *c->sees, e) : NULL;
        if (!c->sees)
            return ERR_RESOURCE;
        c->slot_room = slots;
    }
    memset(c->sums, 0, slots * sizeof *c->sums);
    memset(c->sees, 0, slots * sizeof *c->sees);
    return 0;
}

static int measure(edit_use *u, runtime *r, const attn_args *a, err *e)
{
    calibration *c = u->state;
    const attn_tap tap = {.need = ATTN_NEED_PROBS, .tile = add_tile, .heads_done = heads_done, .ud = c};
    c->prefill = a->pos0 == 0 && (a->n_query == a->n_key || a->kind == ATTN_CROSS);
    if (!c->prefill)
        return 0;
    c->n_key = a->n_key;
    c->n_head = a->n_head;
    c->in_flight = attn_heads_in_flight(runtime_threads(r), a->n_head, a->n_query);
    c->chunks = attn_chunks(a->n_query);
    bool *chosen = mem_array((size_t)a->n_head, sizeof *chosen, e);
    if (!chosen)
        return ERR_RESOURCE;
    for (int i = 0; i < u->n_head; i++)
        if (u->heads[i].kind == a->kind && u->heads[i].layer == a->layer)
            chosen[u->heads[i].head] = true;
    c->chosen = chosen;
    int rc = reserve(c, e);
    if (!rc)
        rc = runtime_attention(r, a, &tap, e);
    c->chosen = NULL;
    free(chosen);
    return rc;
}

static void calibrate_row(const calibration *c, const attn_tile *t, float *probs, int64_t i)
{
    const bool *sink = c->sink + (int64_t)t->head * c->n_key;
    int64_t lo = t->visible_lo[i], hi = t->visible_hi[i], q = t->q0 + i;
    double on_sinks = 0, rest = 0;
    for (int64_t k = lo; k < hi; k++)
        *(sink[k] ? &on_sinks : &rest) += (double)*edit_cell(t, probs, q, k);
    if (on_sinks <= 0 || rest <= 0)
        return;
    double freed = (1 - c->beta) * on_sinks;
    for (int64_t k = lo; k < hi; k++) {
        float *p = edit_cell(t, probs, q, k);
        *p = (float)((double)*p * (sink[k] ? c->beta : 1 + freed / rest));
    }
}

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    const calibration *c = u->state;
    for (int64_t i = 0; i < t->n_query && c->prefill && c->beta != 1; i++)
        calibrate_row(c, t, probs, i);
}

static const param own[] = {
    {.name = "beta", .kind = PARAM_REAL, .def = "0.4", .value = "B", .min = 0, .max = 1,
     .help = "share of its weight that a sink keeps"},
    {.name = "threshold", .kind = PARAM_REAL, .def = "0.1", .value = "X", .min = 0, .max = 1,
     .help = "a key is a sink above this mean weight"},
    {.name = "relative", .kind = PARAM_REAL, .value = "A", .min = 0, .max = 1e9,
     .help = "in place of threshold: a multiple of 1 / tokens (the paper's form, 5)"},
    {.name = "keep", .kind = PARAM_ENUM, .def = "detected", .value = "WHICH", .choices = protects,
     .help = "the sink that is left alone: the first that was detected (as coded), or token 0 only"},
    {.name = NULL},
};

const edit edit_act = {
    .name = "act",
    .summary = "weight on sinks other than the first is given to the other keys",
    .definition = "c_j = mean weight on key j over the queries that see it; S = keys with c_j > threshold, without the first of "
                  "them.  In each row, keys of S keep beta of their weight, and what they lose goes to the keys outside of S in "
                  "proportion to their weights.  A row with no weight outside of S stays.  With few tokens an absolute "
                  "threshold takes many keys for sinks: relative=5 goes with the length",
    .source = "ACT, Yu et al., arXiv 2406.15765, as coded in atten_process_eval of GATECH-EIC/ACT",
    .reading =
        "Does attention to hidden sinks hurt? The published gain is small and differs by head: calibrate "
        "finds which heads to treat.",
    .traps =
        "Taken at face value it must be tried on held-out text: heads chosen on a text suit that text. On "
        "prompts shorter than some dozens of tokens ordinary keys pass the threshold.",
    .cite = "yu2024act",
    .decoding = "the prompt only, and only when it is fed in one piece: sinks are found in its square of weights; tokens that "
                "are fed later are left as they are",
    .params = own, .prepare = prepare, .release = release, .measure = measure, .weights = weights,
};
