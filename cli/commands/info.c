/* info: what a model is made of, and what this machine offers. */
#include <inttypes.h>
#include "base/pool.h"
#include "cli/info_lines.h"
#include "cli/json_line.h"
#include "cli/key_list.h"
#include "cli/output.h"
#include "compute/kernels.h"

static void machine(strbuf *b, const session *s, const command_args *a)
{
    int64_t threads = option_threads(s, a);
    int used = threads > 0 ? (int)threads : machine_threads();
    const kernels *const *all = kernels_all();
    if (command_format(s, a) == FORMAT_JSON) {
        json_line_begin(b, "attnscope.machine/1");
        json_line_text(b, "cpu", machine_cpu());
        json_line_text(b, "features", machine_features());
        json_line_text(b, "isa", kernels_get()->isa);
        json_line_int(b, "threads", used);
        json_line_int(b, "processors", machine_threads());
        json_line_end(b);
        return;
    }
    strbuf_puts(b, "machine\n");
    strbuf_printf(b, "  %-13s%s\n", "cpu", machine_cpu());
    strbuf_printf(b, "  %-13s%s\n", "features", machine_features());
    strbuf_printf(b, "  %-13s%s (compiled in:", "isa in use", kernels_get()->isa);
    for (int i = 0; all[i]; i++)
        strbuf_printf(b, " %s%s", all[i]->isa, kernels_usable(all[i]) ? "" : " [not on this machine]");
    strbuf_puts(b, ")\n");
    strbuf_printf(b, "  %-13s%d of %d processors\n", "threads", used, machine_threads());
}

/* Of any checkpoint, also one whose family is not supported. */
static int keys(session *s, const command_args *a, err *e)
{
    const checkpoint *c;
    checkpoint *opened;
    int rc = choose_checkpoint(s, a, true, &c, &opened, e);
    if (!rc)
        rc = key_list(s, a, c, e);
    checkpoint_close(opened);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    if (params_bool(a->p, "keys"))
        return keys(s, a, e);
    strbuf b = {0};
    int rc = 0;
    bool only_machine = params_bool(a->p, "machine") && a->n == 0;
    if (!only_machine) {
        loaded_model *lm;
        model_card card;
        rc = choose_model(s, a, false, &lm, e);
        if (rc)
            return rc;
        rc = model_card_make(&card, lm, true, &s->prog, e);
        if (rc)
            return rc;
        if (command_format(s, a) == FORMAT_JSON)
            info_json(&b, lm, &card);
        else
            info_text(&b, lm, &card, params_bool(a->p, "verbose"));
        model_card_free(&card);
    }
    if (params_bool(a->p, "machine"))
        machine(&b, s, a);
    rc = command_format(s, a) == FORMAT_JSON ? output_flush(s->out, &b, e) : output_prose(s, &b, e);
    strbuf_free(&b);
    return rc;
}

static const param own[] = {
    {.name = "machine", .kind = PARAM_BOOL,
     .help = "also say what processor, instruction set and threads are used"},
    {.name = "verbose", .kind = PARAM_BOOL,
     .help = "also list files, rotary embeddings and configuration keys that were ignored"},
    {.name = "keys", .kind = PARAM_BOOL,
     .help = "list the metadata of the file instead: GGUF keys and values, or config.json"},
    {.name = NULL},
};
static const char *const examples[] = {
    "info examples/models/lantern-3m", "sizes, hashes and the attention of each layer",
    "info examples/models/lantern-3m --verbose", "with files and ignored configuration keys",
    "info examples/models/lantern-3m --keys", "the configuration, key by key",
    "info --machine", "processor and instruction set in use",
    NULL,
};
static const param *const *extra(void)
{
    static const param *const tables[] = {config_params, tokenizer_params, NULL};
    return tables;
}
static const char *const complete[] = {"models", NULL};

const command command_info = {
    .name = "info", .group = "model", .usage = "[MODEL]",
    .summary = "describe a model: sizes, attention plan, hashes",
    .help = "Prints family, sizes, element types, tokenizer and the SHA-256 of weights and tokenizer, and "
            "how each layer attends: heads, key/value heads, window, rotary base and scaling, scale. Equal "
            "layers share a line. Without MODEL the loaded one is described. The digest of a large file "
            "takes a moment the first time; it is remembered by size and time of change. --keys prints what "
            "the file says about itself, key by key, and works for files that cannot be run; with --json "
            "long values are printed whole.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete,
    .extra_params = extra, .run = run,
};
