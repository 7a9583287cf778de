#include "analysis/edit.h"

#include <stdlib.h>
#include "base/mem.h"

typedef struct scaling { double gamma; int64_t lo, hi; const model *m; } scaling;

static int prepare(edit_use *u, const model *m, err *e)
{
    const char *keys = params_str(u->values, "keys");
    scaling s = {.gamma = params_real(u->values, "gamma"), .m = m};
    if (!params_given(u->values, "gamma")) {
        err_set(e, ERR_USAGE, "edit scale_first has no gamma");
        return err_hint(e, "write scale_first 0.5 L3, or scale_first gamma=2 L3H1");
    }
    if (!edit_read_span(&s.lo, &s.hi, keys)) {
        err_set(e, ERR_USAGE, "edit scale_first: keys=%s is no range of tokens", keys);
        return err_hint(e, "write keys=0 or keys=3-7, counted from 0");
    }
    if (!(u->state = mem_array(1, sizeof s, e)))
        return ERR_RESOURCE;
    *(scaling *)u->state = s;
    return 0;
}

static void release(edit_use *u)
{
    free(u->state);
}

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    const scaling *s = u->state;
    for (int64_t i = 0; i < t->n_query && s->gamma != 1; i++)
        edit_scale_keys(s->m, t, probs, i, s->lo, s->hi < INT64_MAX ? s->hi + 1 : INT64_MAX, s->gamma);
}

static const param own[] = {
    {.name = "gamma", .kind = PARAM_REAL, .value = "G", .min = 0, .max = 1e6,
     .help = "what the weight of the first token is multiplied by"},
    {.name = "keys", .kind = PARAM_STR, .def = "0", .value = "RANGE", .help = "other keys in its place: 3, or 3-7"},
    {.name = NULL},
};

const edit edit_scale_first = {
    .name = "scale_first",
    .summary = "attention to the first token is scaled, the row renormalised",
    .definition = "a_0 = gamma a_0 / D, a_j = a_j / D with D = gamma a_0 + the sum of a_j, j > 0, where a is the row of weights "
                  "(a learned sink included), which keeps its sum; the same as adding ln gamma to the score of key 0.  With "
                  "keys=A-B those keys together.  Rows that do not see the key stay, as do rows that have no other weight "
                  "when gamma is 0",
    .source = "ZeroTuning, ZeroTuning_Attention of FeijiangHan/ZeroTuning",
    .reading =
        "Takes or gives weight at the sink and leaves the order of all other keys. Curves of loss against "
        "gamma show heads that hold back (better below 1) and heads that rest well.",
    .traps = "gamma and the text it was chosen on go together. Prompts of one length only.",
    .cite = "han2025zerotuning",
    .decoding = "the same at every step",
    .params = own, .prepare = prepare, .release = release, .weights = weights,
};
