/* load: open a model and make it the current one of the session. */
#include <inttypes.h>
#include "cli/info_lines.h"
#include "cli/output.h"

static int run(session *s, const command_args *a, err *e)
{
    loaded_model *lm;
    int rc = choose_model(s, a, false, &lm, e);
    if (rc)
        return rc;
    model_card card;
    rc = model_card_make(&card, lm, false, &s->prog, e);
    if (rc)
        return rc;
    strbuf b = {0};
    bool object = command_format(s, a) == FORMAT_JSON;
    if (object)
        info_json(&b, lm, &card);
    else
        info_short(&b, lm, &card);
    rc = object ? output_flush(s->out, &b, e) : output_prose(s, &b, e);
    if (!rc && !lm->tok)
        say_once(s, "no tokenizer: %s; prompts must be token ids (--ids)", lm->tok_err.msg);
    strbuf_free(&b);
    model_card_free(&card);
    return rc;
}

static const char *const examples[] = {
    "load examples/models/lantern-3m", "make the bundled model the current one",
    "load examples/models/lantern-3m --json", "its sizes for a script",
    NULL,
};
static const param *const *extra(void)
{
    static const param *const tables[] = {tokenizer_params, NULL};
    return tables;
}
static const char *const complete[] = {"models", NULL};

const command command_load = {
    .name = "load", .group = "model", .usage = "MODEL",
    .summary = "open a model and make it the current one",
    .help = "MODEL is a directory in the Hugging Face layout (config.json beside model.safetensors or its "
            "index, a PyTorch file or an .npz), one of those files, a GGUF file (any part of a split one) or a "
            "llama2.c file. Where no config.json lies beside the weights, --config names one. llama2.c's "
            "tokenizer.bin (or tok512.bin, by the size of the vocabulary) is looked for beside its model; --tokenizer "
            "names a tokenizer that lies elsewhere. Weights are mapped, not copied. Commands "
            "after this one may leave MODEL out.",
    .examples = examples, .params = config_params, .extra_params = extra, .min_args = 1, .max_args = 1,
    .complete = complete, .run = run, .all_ranks = true,
};
