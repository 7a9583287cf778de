/* convert: a checkpoint as a Hugging Face directory. */
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "model/convert/convert.h"

static const char *const types[] = {"keep", "f32", "f16", "bf16", NULL};

static const param own[] = {
    {.name = "output", .kind = PARAM_PATH, .value = "DIR",
     .help = "the directory to make"},
    {.name = "dtype", .kind = PARAM_ENUM, .def = "keep", .value = "TYPE", .choices = types,
     .help = "element type of the tensors: f32, f16, bf16, or keep that of the source"},
    {.name = "shard-size", .kind = PARAM_STR, .def = "5G", .value = "BYTES",
     .help = "start another file beyond this much (K, M, G: powers of 1000)"},
    {.name = "force", .kind = PARAM_BOOL,
     .help = "replace DIR when it is there and holds a model"},
    {.name = NULL},
};

static int read_size(uint64_t *out, const char *text, err *e)
{
    static const char units[] = "KMG";
    char *end;
    double v = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end != text && unit) {
        for (const char *u = units; u <= unit; u++)
            v *= 1000;
        end++;
        end += *end == 'B';
    }
    if (end == text || *end || !(v >= 1 && v <= 1e15)) {
        err_set(e, ERR_USAGE, "--shard-size: '%s' is no size", text);
        return err_hint(e, "give bytes with a unit: 500M, 5G");
    }
    *out = (uint64_t)v;
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    static const dtype chosen[] = {DT_F32, DT_F32, DT_F16, DT_BF16};
    const char *out = params_str(a->p, "output"), *type = params_str(a->p, "dtype");
    convert_options o = {.replace = params_bool(a->p, "force")};
    convert_report r;
    checkpoint *opened = NULL;
    const checkpoint *c;

    if (!out) {
        err_set(e, ERR_USAGE, "no output directory given");
        return err_hint(e, "add -o DIR");
    }
    if (params_given(a->p, "quantize") || params_given(a->p, "quantize-embeddings")) {
        err_set(e, ERR_USAGE, "convert does not quantise: --quantize is for runs");
        return err_hint(e, "--dtype f16 or bf16 writes smaller files");
    }
    int rc = read_size(&o.shard_bytes, params_str(a->p, "shard-size"), e);
    if (rc)
        return rc;
    for (int i = 0; types[i]; i++)
        if (strcmp(types[i], type) == 0)
            o.type = chosen[i];
    o.keep = strcmp(type, "keep") == 0;
    rc = choose_checkpoint(s, a, false, &c, &opened, e);
    if (!rc)
        rc = convert_checkpoint(c, out, &o, &s->prog, &r, e);
    if (!rc) {
        say(s, "wrote %s: %d tensors, %.1f MB in %d file%s%s%s", out, r.n_tensor, (double)r.bytes / 1e6, r.n_shard,
            r.n_shard == 1 ? "" : "s", r.model_type ? ", model_type " : "", r.model_type ? r.model_type : "");
        say(s, "tokenizer: %s", r.tokenizer);
        if (r.note[0])
            say(s, "note: %s", r.note);
    }
    checkpoint_close(opened);
    return rc;
}

static const char *const examples[] = {
    "convert examples/models/lantern-3m -o lantern-f16 --dtype f16", "the model in half precision",
    "convert examples/models/lantern-3m -o lantern-small --dtype bf16 --shard-size 2M --force",
    "in several files, instead of what is there",
    NULL,
};
static const param *const *extra(void)
{
    static const param *const tables[] = {config_params, NULL};
    return tables;
}
static const char *const complete[] = {"models", NULL};

const command command_convert = {
    .name = "convert", .group = "model", .usage = "[MODEL] -o DIR",
    .summary = "write a checkpoint as a Hugging Face directory",
    .help = "Writes config.json, the tokenizer's files and safetensors (several files with an index beyond "
            "--shard-size), for transformers and whatever else reads them.\n"
            "From GGUF, config.json is made from the metadata, tokenizer.json from the vocabulary, and tensors get "
            "the names and the layout of Hugging Face (q and k back in its order, norms of Gemma less 1, fused and "
            "stacked tensors as it has them). Quantised blocks become float32 unless --dtype says otherwise. "
            "These architectures are known, any other is refused by name: bert (BERT and DistilBERT), bloom, command-r, "
            "deepseek2 (V2 and V3), exaone4, falcon, gemma, gemma2, gemma3, glm4, gpt-oss, gpt2, gptneox, granite, "
            "llama (Llama, Mistral, Mixtral), mpt, nemotron, olmo, olmo2, olmoe, phi2, phi3, qwen2, qwen2moe, qwen3, "
            "qwen3moe, smollm3, stablelm, starcoder, starcoder2, t5.\n"
            "From safetensors and the other formats, tensors keep their names, side files are copied, and "
            "config.json gets the new element type.\n"
            "Rounding is to nearest even. A value beyond the range of float16 is refused with its tensor's name. "
            "The directory appears when all of it is written; nothing is left behind otherwise.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete,
    .extra_params = extra, .run = run, .no_table = true,
};
