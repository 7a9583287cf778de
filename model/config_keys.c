/* Which configuration keys may be passed over. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

/* Keys of config.json that say nothing about the forward pass of a causal language model. */
static const char *const harmless[] = {
    "_attn_implementation", "_attn_implementation_autoset", "_name_or_path", "architectures", "attention_dropout",
    "attention_probs_dropout_prob", "attn_pdrop", "auto_map", "bad_words_ids", "begin_suppress_tokens",
    "bos_token_id", "chunk_size_feed_forward", "cls_token_id", "decoder_start_token_id", "diversity_penalty",
    "do_sample", "dtype", "early_stopping", "embd_pdrop", "encoder_no_repeat_ngram_size", "eos_token_id",
    "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "hidden_dropout",
    "hidden_dropout_prob", "id2label", "initializer_range", "is_decoder", "is_encoder_decoder", "keys_to_ignore_at_inference",
    "label2id", "length_penalty", "max_length", "min_length", "model_type", "name_or_path", "no_repeat_ngram_size",
    "num_beam_groups", "num_beams", "num_return_sequences", "output_attentions", "output_hidden_states", "output_past",
    "output_scores", "pad_token_id", "prefix", "problem_type", "pruned_heads", "pretraining_tp",
    "remove_invalid_values", "repetition_penalty", "resid_pdrop", "return_dict", "return_dict_in_generate",
    "sep_token_id", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
    "summary_use_proj", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss",
    "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version", "typical_p",
    "unk_token_id", "use_bfloat16", "use_cache", "_commit_hash", "tie_encoder_decoder", "cross_attention_hidden_size",
    "exponential_decay_length_penalty", "sep_token", "n_ctx", "transformers.js_config", "directionality",
    "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", NULL,
};

/* A key whose name holds one of these words may change what attention does. */
static const char *const touches_attention[] = {
    "attn", "attention", "head", "rope", "rotary", "alibi", "window", "softcap", "sink", "qk_", "qkv", "query",
    "sparse", "position", "layer_types", "cross", "scale", "scaling", "multiplier", "cap", "clip", "mla", "lora",
    "quantization", "norm", "expert", "moe", NULL,
};

static bool in_list(const char *const *list, const char *key)
{
    for (; list && *list; list++)
        if (strcmp(*list, key) == 0)
            return true;
    return false;
}

static bool suspicious(const char *key)
{
    for (const char *const *word = touches_attention; *word; word++)
        if (strstr(key, *word))
            return true;
    return false;
}

/* null, false, 0 or empty: a feature that is switched off changes nothing. */
static bool switched_off(const json *v)
{
    bool b;
    double x;
    return json_kind_of(v) == JSON_NULL_ || (json_bool(&b, v) && !b) || (json_real(&x, v) && x == 0) ||
           ((json_kind_of(v) == JSON_LIST || json_kind_of(v) == JSON_MAP) && json_count(v) == 0);
}

static int ignore(model *m, const char *key, err *e)
{
    const char **list = mem_grow(m->ignored, (size_t)m->n_ignored + 1, sizeof *list, e);
    if (!list)
        return ERR_RESOURCE;
    m->ignored = list;
    list[m->n_ignored] = arena_strdup(m->arena_, key, e);
    if (!list[m->n_ignored])
        return ERR_RESOURCE;
    m->n_ignored++;
    return 0;
}

/* How the weights are stored: what bind.c and the families can read.  FP8 must come in tiles of 128 x 128. */
static int check_quantization(model *m, const json *q, err *e)
{
    const char *method = json_str(json_get(q, "quant_method"), NULL);
    const json *tile = json_get(q, "weight_block_size");
    int64_t rows, cols;
    if (method && strcmp(method, "mxfp4") == 0)
        return 0;
    if (method && strcmp(method, "fp8") == 0) {
        if (tile && json_kind_of(tile) == JSON_LIST && json_count(tile) == 2 && json_int(&rows, json_at(tile, 0)) &&
            json_int(&cols, json_at(tile, 1)) && rows > 0 && cols > 0 && rows <= 65536 && cols <= 65536) {
            m->tile_rows = (int)rows;
            m->tile_cols = (int)cols;
            return 0;
        }
        err_set(e, ERR_INPUT, "config.json: quantization_config: weight_block_size must be two positive numbers");
        return err_hint(e, "fp8 weights with a scale for each tile are read, a single scale for a tensor is not");
    }
    err_set(e, ERR_INPUT, "config.json: quantization_config: quant_method \"%s\" is not supported", method ? method : "(none)");
    return err_hint(e, "fp8 in tiles and mxfp4 are; GGUF files of the model may exist");
}

int config_check_keys(model *m, const json *config, const char *const *known, const char *const *more, err *e)
{
    void *it = NULL;
    const char *key;
    const json *value;
    int rc = 0;
    while (!rc && json_each(config, &it, &key, &value)) {
        if (in_list(known, key) || in_list(more, key) || in_list(harmless, key))
            continue;
        if (strcmp(key, "quantization_config") == 0 && json_kind_of(value) == JSON_MAP) {
            rc = check_quantization(m, value, e);
            continue;
        }
        if (suspicious(key) && !switched_off(value)) {
            err_set(e, ERR_INPUT, "config.json: key \"%s\" may change attention and is not supported for model_type %s",
                    key, m->family->name);
            return err_hint(e, "running without it would give wrong numbers; remove the key only if you know it has no effect");
        }
        rc = ignore(m, key, e);
    }
    return rc;
}

int meta_check_keys(model *m, const gguf_meta *g, const char *arch, const char *const *known, const char *const *more,
                    err *e)
{
    size_t n = strlen(arch);
    int rc = 0;
    for (size_t i = 0; !rc && i < gguf_count(g); i++) {
        gguf_string key = gguf_at(g, i)->key;
        char suffix[128];
        if (key.len <= n + 1 || key.len - n - 1 >= sizeof suffix || memcmp(key.s, arch, n) || key.s[n] != '.')
            continue;
        snprintf(suffix, sizeof suffix, "%.*s", (int)(key.len - n - 1), key.s + n + 1);
        if (in_list(known, suffix) || in_list(more, suffix))
            continue;
        if (suspicious(suffix)) {
            bool flag;
            int64_t number;
            const gguf_kv *kv = gguf_at(g, i);
            bool off = (gguf_bool(&flag, kv, 0) && !flag) || (gguf_int(&number, kv, 0) && number == 0);
            if (!off)
                return err_set(e, ERR_INPUT, "gguf: key %s.%s may change attention and is not supported", arch, suffix);
        }
        rc = ignore(m, suffix, e);
    }
    return rc;
}
