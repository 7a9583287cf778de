/* Multi-query associative recall. */
#include <inttypes.h>
#include <stdlib.h>
#include "analysis/experiments/task_parts.h"
#include "base/mem.h"

/* Keys from one half of a random order of the vocabulary, values from the other. */
static int draw(int32_t *keys, int32_t *values, const task_vocabulary *v, int64_t pairs, rng *r, err *e)
{
    int64_t half = v->n / 2;
    if (pairs > half) {
        err_set(e, ERR_USAGE, "%" PRId64 " pairs: there are only %" PRId64 " tokens for keys and values", pairs, v->n);
        return err_hint(e, "take fewer pairs, or widen the range of ids");
    }
    int32_t *all = mem_array((size_t)v->n, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    int rc = task_random_tokens(all, v, v->n, true, r, e);
    for (int64_t i = 0; !rc && i < pairs; i++) {
        keys[i] = all[i];
        values[i] = all[half + rng_below(r, v->n - half)];
    }
    free(all);
    return rc;
}

int task_mqar(task *out, const task_vocabulary *v, int64_t pairs, int64_t ask, int32_t bos, rng *r, err *e)
{
    static const char *const routes[] = {"value", "key", NULL};
    int64_t o = bos >= 0;
    if (pairs < 1 || ask < 1 || ask > pairs) {
        err_set(e, ERR_USAGE, "%" PRId64 " questions about %" PRId64 " pairs", ask, pairs);
        return err_hint(e, "ask for one key or more, and for no more than there are pairs");
    }
    int32_t *keys = mem_array((size_t)pairs, 2 * sizeof *keys, e);
    int64_t *order = keys ? mem_array((size_t)pairs, sizeof *order, e) : NULL;
    int rc = order ? task_new(out, o + 2 * pairs + 2 * ask, bos, routes, e) : ERR_RESOURCE;
    bool made = rc == 0;
    if (!rc)
        rc = draw(keys, keys + pairs, v, pairs, r, e);
    for (int64_t i = 0; !rc && i < pairs; i++) {
        out->ids[o + 2 * i] = keys[i];
        out->ids[o + 2 * i + 1] = keys[pairs + i];
        order[i] = i;
    }
    if (!rc)
        rng_shuffle(r, order, pairs);
    for (int64_t i = 0; !rc && i < ask; i++) {
        int64_t at = o + 2 * pairs + 2 * i, k = order[i];
        out->ids[at] = keys[k];
        out->ids[at + 1] = keys[pairs + k];
        out->route[0].key[at] = o + 2 * k + 1;
        out->route[1].key[at] = o + 2 * k;
        task_target(out, at);
    }
    free(keys);
    free(order);
    if (rc && made)
        task_free(out);
    return rc;
}
