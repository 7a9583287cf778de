/* What writing the rows of a prompt takes, tried in a store in memory. */
#include "cli/estimate_rates.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "db/store.h"

enum { LAYERS = 8, HEADS = 8, POSITIONS = 32, VALUES = LAYERS * HEADS * POSITIONS, TOKENS = 512, TRIES = 3 };

static int emit(store *st, int64_t n, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < n && !rc; i++) {
        const int64_t head = i / POSITIONS;
        const result_value v = {ATTN_SELF, "value", (int)(head / HEADS), (int)(head % HEADS), i % POSITIONS, (double)i};
        rc = store_value(st, &v, e);
    }
    return rc;
}

/* A unit of its own number, tokens and values. */
static int write_unit(double *seconds, store *st, int64_t run, int64_t *unit, const store_token *t, int64_t n_token,
                      int64_t n_value, err *e)
{
    const store_sequence sequence = {ATTN_SELF, t, n_token};
    const store_prompt p = {.policy = "", .sequences = &sequence, .n_sequence = 1};
    const double begun = clock_seconds();
    int rc = store_unit_begin(st, run, (*unit)++, &p, e);
    if (!rc)
        rc = emit(st, n_value, e);
    if (!rc)
        rc = store_unit_commit(st, e);
    *seconds = clock_seconds() - begun;
    return rc;
}

/* The least of some tries; the prompts differ in their first token, for the same one would be found again. */
static int time_unit(double *seconds, store *st, int64_t run, int64_t *unit, store_token *t, int64_t n_token, int64_t n_value,
                     err *e)
{
    int rc = 0;
    for (int i = 0; i < TRIES && !rc; i++) {
        double now;
        t[0].id++;
        rc = write_unit(&now, st, run, unit, t, n_token, n_value, e);
        *seconds = i == 0 || now < *seconds ? now : *seconds;
    }
    return rc;
}

static double per(double more, double less, double n)
{
    return more > less ? (more - less) / n : 0;
}

int rate_of_rows(row_rate *out, err *e)
{
    static const store_model of = {.path = "", .sha256 = "", .n_layer = LAYERS, .n_head = HEADS, .n_kv_head = HEADS};
    static const store_run run = {.verb = "run", .command = "", .settings = "{}", .precision = "f32", .isa = "c", .version = "",
                                  .operator_name = "softmax", .edits = "[]", .threads = 1, .seed = NO_INDEX};
    store_token *t = mem_array(TOKENS, sizeof *t, e);
    store *st = NULL;
    int64_t id, unit = 0;
    double empty = 0, valued = 0, long_one = 0;
    int rc = t ? store_open(&st, ":memory:", false, e) : ERR_RESOURCE;
    for (int i = 0; !rc && i < TOKENS; i++)
        t[i] = (store_token){i, "text", 4, false};
    if (!rc)
        rc = store_run_begin(st, &of, &run, &id, e);
    if (!rc)
        rc = time_unit(&empty, st, id, &unit, t, 1, 0, e);
    if (!rc)
        rc = time_unit(&valued, st, id, &unit, t, 1, VALUES, e);
    if (!rc)
        rc = time_unit(&long_one, st, id, &unit, t, TOKENS, 0, e);
    *out = (row_rate){empty, per(long_one, empty, TOKENS - 1), per(valued, empty, VALUES)};
    store_close(st);
    free(t);
    return rc;
}
