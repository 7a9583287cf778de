#include "analysis/edit.h"

#include <string.h>

static void output(const edit_use *u, head_id head, int64_t pos0, float *o, int64_t n, int64_t ld, int width)
{
    (void)u;
    (void)head;
    (void)pos0;
    for (int64_t i = 0; i < n; i++)
        memset(o + i * ld, 0, (size_t)width * sizeof *o);
}

const edit edit_zero = {
    .name = "zero",
    .summary = "the head adds nothing",
    .definition = "output of the head = 0 at every position, before the output projection (its bias stays).  Far from what "
                  "later layers are used to: compare with mean",
    .source = "Michel et al., arXiv 1905.10650, and after",
    .reading = "The simplest removal, and often the one that does most damage.",
    .traps =
        "Far from what later layers expect, so the damage may be of the absence and not of the function: "
        "compare with mean, and with random heads of the same layers.",
    .cite = "michel2019",
    .decoding = "the same at every step",
    .output = output,
};
