/* dump: the arrays of a run as NPZ, in the layout that verify reads. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "analysis/analyse.h"
#include "analysis/reference.h"
#include "cli/chat_input.h"
#include "cli/command_util.h"
#include "cli/edit_select.h"
#include "cli/head_select.h"
#include "cli/prompt_input.h"

/* "hidden_0 .. hidden_12, attention of each layer": what the file holds. */
static void put_contents(strbuf *b, const model *m, const model_input *in, const dump_choice *choice)
{
    const stack *other = m->encoder ? m->encoder : in->pixels ? m->vision : NULL;
    if (choice->transformerlens) {
        strbuf_printf(b, "ids, %s", choice->hooks ? choice->hooks : "the activations of each layer");
        return;
    }
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
    if (choice->heads)
        strbuf_printf(b, ", attention of %d head%s", choice->n_head, choice->n_head == 1 ? "" : "s");
    else if (choice->attention)
        strbuf_puts(b, ", attention of each layer");
}

/* --format, --hooks, --heads and --attention.  *heads: free(). */
static int choose_arrays(dump_choice *out, head_id **heads, session *s, const command_args *a, const loaded_model *lm, err *e)
{
    const params *p = a->p;
    const char *selection = params_str(p, "heads");
    *out = (dump_choice){.attention = params_bool(p, "attention"), .hooks = params_str(p, "hooks"),
                         .transformerlens = strcmp(params_str(p, "format"), "transformerlens") == 0};
    if (out->hooks && !out->transformerlens) {
        err_set(e, ERR_USAGE, "--hooks chooses among the arrays of --format transformerlens");
        return err_hint(e, "add --format transformerlens, or leave --hooks out");
    }
    if (selection && (out->transformerlens || !out->attention)) {
        err_set(e, ERR_USAGE, "--heads chooses among the arrays attn_<l>, which %s leaves out",
                out->transformerlens ? "--format transformerlens" : "--no-attention");
        return err_hint(e, "%s", out->transformerlens ?
                        "choose arrays with --hooks blocks.3.attn.hook_pattern (all heads of a layer)" : "keep one of them");
    }
    int rc = selection ? head_select_named(heads, &out->n_head, s, lm->m, selection, e) : 0;
    out->heads = *heads;
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *inputs = params_str(a->p, "inputs"), *path = params_str(a->p, "output");
    dump_choice choice = {0};
    head_id *heads = NULL;
    loaded_model *lm;
    prompt_input in = {0};
    reference_input ref = {0};
    edit_choice changed = {0};
    if (!path) {
        err_set(e, ERR_USAGE, "no output file given");
        return err_hint(e, "add -o FILE.npz");
    }
    const char *dot = strrchr(path, '.');
    if (dot && (!strcasecmp(dot, ".csv") || !strcasecmp(dot, ".tsv") || !strcasecmp(dot, ".json") || !strcasecmp(dot, ".npy"))) {
        err_set(e, ERR_USAGE, "'%s': what is written is a NPZ file", path);
        return err_hint(e, "add -o FILE.npz; `run ... --output FILE --csv` and `export` write tables");
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
        rc = choose_arrays(&choice, &heads, s, a, lm, e);
    if (!rc)
        rc = dump_run_chosen(lm->rt, lm->m, use, &choice, path, &s->prog, e);
    if (!rc) {
        strbuf b = {0};
        put_contents(&b, lm->m, use, &choice);
        say(s, "wrote %s: %s", path, strbuf_str(&b));
        strbuf_free(&b);
    }
    free(heads);
    edit_choice_free(&changed);
    prompt_free(&in);
    reference_input_free(&ref);
    return rc;
}

static const char *const formats[] = {"plain", "transformerlens", NULL};
static const param own[] = {
    {.name = "inputs", .kind = PARAM_PATH, .value = "REF.npz",
     .help = "take the inputs (ids, enc_ids, pixel_values, input_features) from a reference file"},
    {.name = "output", .kind = PARAM_PATH, .value = "OUT.npz",
     .help = "the file to write"},
    {.name = "attention", .kind = PARAM_BOOL, .def = "true",
     .help = "also the attention maps: attn_<l> [H, n, n] and those of the other stacks"},
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "maps of these heads alone: attn_<l> [h, n, n] with their numbers in attn_<l>_heads [h] (`help heads`)"},
    {.name = "format", .kind = PARAM_ENUM, .def = "plain", .choices = formats,
     .help = "plain, which verify reads, or transformerlens: arrays named and shaped as in an ActivationCache"},
    {.name = "hooks", .kind = PARAM_STR, .value = "NAMES",
     .help = "of --format transformerlens these alone: hook_resid_pre,blocks.3.attn.hook_* (* and ? as in file names)"},
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
    "dump examples/models/lantern-3m --prompt \"A lamp.\" --heads L1H3,L2 -o five.npz", "maps of some heads",
    "dump examples/models/lantern-3m --prompt \"A lamp.\" --format transformerlens -o cache.npz",
    "blocks.0.hook_resid_pre, blocks.0.attn.hook_pattern and so on",
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
            "cross attention, `cross_attn_<l>` [H, n, m]. Written under a temporary name and renamed when complete.\n\n"
            "With --format transformerlens the arrays have the names and shapes of TransformerLens' ActivationCache, float32 "
            "with a batch of one in front, and `ids` is [1, n]. Residual stream: hook_embed, hook_pos_embed (models with learned "
            "positions), blocks.<l>.hook_resid_pre, hook_attn_out, hook_resid_mid (not where attention and MLP read the same "
            "stream), hook_mlp_out, hook_resid_post [1, n, C]. Attention: blocks.<l>.attn.hook_q and hook_k [1, n, heads, d], "
            "or hook_rot_q and hook_rot_k (behind RoPE) in models that have it, hook_v, hook_z [1, n, H, d], hook_attn_scores "
            "(-inf where masked) and hook_pattern [1, H, n, n]; keys and values have the model's key-value heads. Norms: "
            "hook_scale [1, n, 1] and hook_normalized [1, n, C] of blocks.<l>.ln1, blocks.<l>.ln2 and ln_final. Dense MLPs: "
            "blocks.<l>.mlp.hook_post [1, n, inner]. They are what the checkpoint computes: a HookedTransformer without "
            "weight processing (from_pretrained_no_processing) holds the same. Not held: hook_result, hook_q and hook_k in "
            "front of RoPE, mlp.hook_pre, and logits, which the plain form has. Positions come before heads in hook_q, "
            "hook_k, hook_v and hook_z, behind them in scores and patterns. Patterns of a stored run come with `export "
            "--format transformerlens`.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run, .no_table = true,
};
