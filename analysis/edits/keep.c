#include "analysis/edit.h"

#include <stdlib.h>
#include "base/mem.h"

typedef struct cache { int64_t first, last; const model *m; } cache;

static int prepare(edit_use *u, const model *m, err *e)
{
    for (int i = 0; i < u->n_head; i++)
        if (u->heads[i].kind == ATTN_CROSS) {
            err_set(e, ERR_USAGE, "edit keep is for heads that look at their own text, and cross attention looks at another");
            return err_hint(e, "name heads of the text, such as L0H1, or of the encoder, enc.L0H1");
        }
    cache *c = mem_array(1, sizeof *c, e);
    if (!c)
        return ERR_RESOURCE;
    *c = (cache){params_int(u->values, "first"), params_int(u->values, "last"), m};
    u->state = c;
    return 0;
}

static void release(edit_use *u)
{
    free(u->state);
}

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    const cache *c = u->state;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t at = t->pos0 + t->q0 + i;
        edit_scale_keys(c->m, t, probs, i, c->first, at - c->last + 1, 0);
        int64_t behind = at + c->last;
        edit_scale_keys(c->m, t, probs, i, behind > c->first ? behind : c->first, INT64_MAX, 0);
    }
}

static const param own[] = {
    {.name = "first", .kind = PARAM_INT, .def = "4", .value = "K", .min = 0, .max = 9e15,
     .help = "how many keys at the start stay"},
    {.name = "last", .kind = PARAM_INT, .def = "16", .value = "W", .min = 1, .max = 9e15,
     .help = "keys less than W away from the query stay, itself included"},
    {.name = NULL},
};

const edit edit_keep = {
    .name = "keep",
    .summary = "the head sees the first and the latest keys alone",
    .definition = "a_j = a_j / D on the keys j < first and |i - j| < last, 0 on all others, with D the sum over the former (a "
                  "learned sink included), so that the row keeps its sum: what the softmax over those keys alone gives.  Without "
                  "a causal mask the window reaches to both sides.  A row all of whose weight is on other keys stays",
    .source = "the cache of StreamingLLM (arXiv 2309.17453): sink tokens and a window of the latest",
    .reading = "The head with a cache of first + last entries. Where the loss stays what it was, the rest of its cache is not "
               "needed on such texts.",
    .traps = "Keys keep their positions; StreamingLLM counts them anew within the cache, which matters beyond the length that a "
             "model was trained on. Prompts not longer than first + last change nothing. Texts without anything to find far "
             "back do not miss the heads that would find it.",
    .cite = "xiao2024streaming",
    .decoding = "the same at every step: the window goes on with the text",
    .params = own, .prepare = prepare, .release = release, .weights = weights,
};
