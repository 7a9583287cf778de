/* dump: the arrays of a run as NPZ, in the layout that verify reads. */
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "analysis/reference.h"
#include "cli/chat_input.h"
#include "cli/command_util.h"
#include "cli/edit_select.h"
#include "cli/prompt_input.h"

/* "hidden_0 .. hidden_12, attention of each layer": what the file holds. */
static void put_contents(strbuf *b, const model *m, const model_input *in, bool attention)
{
    const stack *other = m->encoder ? m->encoder : in->pixels ? m->vision : NULL;
    if (in->ids)
        strbuf_puts(b, "ids, ");
    if (in->source)
        strbuf_puts(b, "enc_ids, ");
    if (in->pixels)
        strbuf_puts(b, "pixel_values, ");
    if (in->features)
        strbuf_puts(b, "input_features, ");
    if (m->vocab)
        strbuf_puts(b, "logits, ");
    strbuf_printf(b, "hidden_0 .. hidden_%d", m->main->n_run);
    if (other)
        strbuf_printf(b, ", enc_hidden_0 .. enc_hidden_%d", other->n_run);
    if (attention)
        strbuf_puts(b, ", attention of each layer");
}

static int run(session *s, const command_args *a, err *e)
{
    const char *inputs = params_str(a->p, "inputs"), *path = params_str(a->p, "output");
    bool attention = params_bool(a->p, "attention");
    loaded_model *lm;
    prompt_input in = {0};
    reference_input ref = {0};
    edit_choice changed = {0};
    if (!path) {
        err_set(e, ERR_USAGE, "no output file given");
        return err_hint(e, "add -o FILE.npz");
    }
    if (inputs && prompt_options_given(a->p)) {
        err_set(e, ERR_USAGE, "--inputs excludes the options that give a prompt");
        return err_hint(e, "keep one of them");
    }
    int rc = choose_model(s, a, true, &lm, e);
    if (!rc && inputs) {
        rc = reference_input_open(&ref, lm->m, inputs, e);
    } else if (!rc) {
        rc = prompt_read(&in, lm, a->p, e);
        if (!rc && !params_given(a->p, "ids")) {
            strbuf b = {0};
            prompt_describe(&b, &in, lm);
            say(s, "%s", strbuf_str(&b));
            strbuf_free(&b);
        }
    }
    const model_input *use = inputs ? &ref.in : &in.in;
    if (!rc)
        rc = edit_choose(&changed, s, a, lm, e);
    if (!rc)
        rc = dump_run(lm->rt, lm->m, use, attention, path, &s->prog, e);
    if (!rc) {
        strbuf b = {0};
        put_contents(&b, lm->m, use, attention);
        say(s, "wrote %s: %s", path, strbuf_str(&b));
        strbuf_free(&b);
    }
    edit_choice_free(&changed);
    prompt_free(&in);
    reference_input_free(&ref);
    return rc;
}

static const param own[] = {
    {.name = "inputs", .kind = PARAM_PATH, .value = "REF.npz",
     .help = "take the inputs (ids, enc_ids, pixel_values, input_features) from a reference file"},
    {.name = "output", .kind = PARAM_PATH, .value = "OUT.npz",
     .help = "the file to write"},
    {.name = "attention", .kind = PARAM_BOOL, .def = "true",
     .help = "also the attention maps: attn_<l> [H, n, n] and those of the other stacks"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, chat_params, edit_option_params, precision_params, config_params,
                                          tokenizer_params,
                                          NULL};
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
    .help = "The file holds the inputs, `ids` [n] (int64) for text, and float32 arrays `logits` [n, V], `hidden_<l>` "
            "[n, C] for l = 0 .. L (the residual stream after l blocks, before the final norm) and `attn_<l>` "
            "[H, n, n]: what `verify` compares and numpy.load reads. An encoder, or an image tower before a decoder, "
            "adds `enc_ids`, `pixel_values` or `input_features`, `enc_hidden_<l>`, `enc_attn_<l>` and, where there is "
            "cross attention, `cross_attn_<l>` [H, n, m]. Written under a temporary name and renamed when complete.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run, .no_table = true,
};
