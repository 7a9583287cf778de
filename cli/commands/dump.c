/* dump: the arrays of a run as NPZ, in the layout that verify reads. */
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "cli/command_util.h"
#include "cli/prompt_input.h"

static int run(session *s, const command_args *a, err *e)
{
    const char *inputs = params_str(a->p, "inputs"), *path = params_str(a->p, "output");
    bool other = params_given(a->p, "prompt") || params_given(a->p, "prompt-file") ||
                 params_given(a->p, "ids");
    loaded_model *lm;
    prompt_input in = {0};
    if (!path) {
        err_set(e, ERR_USAGE, "no output file given");
        return err_hint(e, "add -o FILE.npz");
    }
    if (inputs && other) {
        err_set(e, ERR_USAGE, "--inputs excludes --prompt, --prompt-file and --ids");
        return err_hint(e, "keep one of them");
    }
    int rc = choose_model(s, a, true, &lm, e);
    if (!rc && inputs) {
        rc = reference_ids(&in.ids, &in.n, inputs, e);
        if (!rc)
            rc = prompt_check_ids(lm, in.ids, in.n, e);
    } else if (!rc) {
        rc = prompt_read(&in, lm, a->p, e);
        if (!rc && !params_given(a->p, "ids"))
            say(s, "%lld tokens (%s)", (long long)in.n, in.policy);
    }
    if (!rc)
        rc = dump_run(lm->rt, lm->m, in.ids, in.n, params_bool(a->p, "attention"), path, &s->prog, e);
    if (!rc)
        say(s, "wrote %s: ids, logits, hidden_0 .. hidden_%d%s", path, lm->m->n_layer,
            params_bool(a->p, "attention") ? ", attention of each layer" : "");
    prompt_free(&in);
    return rc;
}

static const param own[] = {
    {.name = "inputs", .kind = PARAM_PATH, .value = "REF.npz",
     .help = "take the inputs (ids) from a reference file"},
    {.name = "output", .kind = PARAM_PATH, .value = "OUT.npz",
     .help = "the file to write"},
    {.name = "attention", .kind = PARAM_BOOL, .def = "true",
     .help = "also the attention maps attn_<l> [H, n, n]"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, precision_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "dump examples/models/lantern-3m --prompt \"A lamp.\" -o lamp.npz",
    "ids, logits, hidden states and attention maps",
    "dump examples/models/lantern-3m --ids 0,17,42 --no-attention -o small.npz", "without the maps",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_dump = {
    .name = "dump", .group = "prove", .usage = "[MODEL]",
    .summary = "write logits, hidden states and attention maps of a run to a NPZ file",
    .help = "The file holds `ids` [n] (int64) and float32 arrays `logits` [n, V], `hidden_<l>` [n, C] for l "
            "= 0 .. L (the residual stream after l blocks, before the final norm) and `attn_<l>` [H, n, n]: "
            "what `verify` compares and numpy.load reads. Written under a temporary name and renamed when "
            "complete.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run, .no_table = true,
};
