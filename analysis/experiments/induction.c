/* Repeated random tokens. */
#include <inttypes.h>
#include "analysis/experiments/task_parts.h"

int task_induction(task *out, const task_vocabulary *v, int64_t length, int64_t repeats, int32_t bos, bool distinct, rng *r,
                   err *e)
{
    static const char *const routes[] = {"previous", "duplicate", "induction", NULL};
    int64_t o = bos >= 0, n = o + repeats * length;
    if (length < 2 || repeats < 2) {
        err_set(e, ERR_USAGE, "%" PRId64 " tokens %" PRId64 " times: nothing repeats", length, repeats);
        return err_hint(e, "take two tokens or more, twice or more often");
    }
    int rc = task_new(out, n, bos, routes, e);
    if (!rc)
        rc = task_random_tokens(out->ids + o, v, length, distinct, r, e);
    for (int64_t i = o + length; !rc && i < n; i++)
        out->ids[i] = out->ids[i - length];
    for (int64_t i = o; !rc && i < n; i++) {
        int64_t k = i - o; /* position without BOS */
        if (k >= 1)
            out->route[0].key[i] = i - 1;
        if (k >= length)
            out->route[1].key[i] = i - length;
        if (k >= length - 1)
            out->route[2].key[i] = i - (length - 1);
        if (k >= length && i + 1 < n)
            task_target(out, i);
    }
    if (rc)
        task_free(out);
    return rc;
}
