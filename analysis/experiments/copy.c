/* A segment that comes twice. */
#include <inttypes.h>
#include <string.h>
#include "analysis/experiments/task_parts.h"

int task_copy(task *out, const int32_t *segment, int64_t length, const int32_t *sep, int64_t n_sep, int32_t bos, err *e)
{
    static const char *const routes[] = {"source", "duplicate", NULL};
    int64_t o = bos >= 0, second = o + length + n_sep, n = second + length;
    if (length < 2) {
        err_set(e, ERR_USAGE, "a segment of %" PRId64 " tokens: there is nothing to copy", length);
        return err_hint(e, "take two tokens or more");
    }
    int rc = task_new(out, n, bos, routes, e);
    if (rc)
        return rc;
    memcpy(out->ids + o, segment, (size_t)length * sizeof *segment);
    if (n_sep > 0)
        memcpy(out->ids + o + length, sep, (size_t)n_sep * sizeof *sep);
    memcpy(out->ids + second, segment, (size_t)length * sizeof *segment);
    for (int64_t i = second; i < n; i++) {
        out->route[1].key[i] = i - second + o;
        if (i + 1 < n) {
            out->route[0].key[i] = i - second + o + 1;
            task_target(out, i);
        }
    }
    if (n_sep > 0) {
        out->route[0].key[second - 1] = o;
        task_target(out, second - 1);
    }
    return 0;
}
