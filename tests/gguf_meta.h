/* GGUF files with the metadata of any architecture and no weights but the token embedding. */
#ifndef ATTNSCOPE_TESTS_GGUF_META_H
#define ATTNSCOPE_TESTS_GGUF_META_H

#include "tests/checkpoint_bytes.h"

typedef enum need { OPTIONAL_KEY, NEEDED_KEY } need;
typedef struct meta_key { const char *arch, *suffix; double value; bool real; need needed; } meta_key; /* arch NULL: all */

static const meta_key meta_keys[] = {
    {NULL, "embedding_length", 32, false, NEEDED_KEY},
    {NULL, "block_count", 2, false, NEEDED_KEY},
    {NULL, "attention.head_count", 4, false, NEEDED_KEY},
    {NULL, "context_length", 64, false, NEEDED_KEY},
    {NULL, "feed_forward_length", 48, false, OPTIONAL_KEY},
    {NULL, "attention.layer_norm_rms_epsilon", 1e-5, true, OPTIONAL_KEY},
    {NULL, "attention.layer_norm_epsilon", 1e-5, true, OPTIONAL_KEY},
    {"deepseek2", "attention.kv_lora_rank", 8, false, NEEDED_KEY},
    {"deepseek2", "rope.dimension_count", 4, false, NEEDED_KEY},
    {"deepseek2", "attention.key_length", 12, false, OPTIONAL_KEY},
    {"deepseek2", "attention.value_length", 8, false, OPTIONAL_KEY},
    {"deepseek2", "expert_count", 4, false, NEEDED_KEY},
    {"deepseek2", "expert_used_count", 2, false, NEEDED_KEY},
    {"deepseek2", "expert_feed_forward_length", 16, false, OPTIONAL_KEY},
    {"gpt-oss", "expert_count", 4, false, NEEDED_KEY},
    {"gpt-oss", "expert_used_count", 2, false, NEEDED_KEY},
    {"gpt-oss", "expert_feed_forward_length", 16, false, OPTIONAL_KEY},
    {"qwen2moe", "expert_count", 4, false, NEEDED_KEY},
    {"qwen2moe", "expert_used_count", 2, false, NEEDED_KEY},
    {"qwen2moe", "expert_feed_forward_length", 16, false, OPTIONAL_KEY},
    {"qwen3moe", "expert_count", 4, false, NEEDED_KEY},
    {"qwen3moe", "expert_used_count", 2, false, NEEDED_KEY},
    {"qwen3moe", "expert_feed_forward_length", 16, false, OPTIONAL_KEY},
    {"qwen3next", "expert_count", 4, false, NEEDED_KEY},
    {"qwen3next", "expert_used_count", 2, false, NEEDED_KEY},
    {"qwen3next", "expert_feed_forward_length", 16, false, OPTIONAL_KEY},
    {"qwen3next", "ssm.conv_kernel", 4, false, NEEDED_KEY},
    {"qwen3next", "ssm.state_size", 8, false, NEEDED_KEY},
    {"qwen3next", "ssm.group_count", 2, false, NEEDED_KEY},
    {"qwen3next", "ssm.time_step_rank", 4, false, NEEDED_KEY},
    {"qwen3next", "ssm.inner_size", 32, false, NEEDED_KEY},
    {"olmoe", "expert_count", 4, false, NEEDED_KEY},
    {"olmoe", "expert_used_count", 2, false, NEEDED_KEY},
    {"granite", "attention.scale", 0.25, true, NEEDED_KEY},
    {"granite", "embedding_scale", 2, true, OPTIONAL_KEY},
    {"granite", "residual_scale", 0.5, true, OPTIONAL_KEY},
    {"granite", "logit_scale", 3, true, OPTIONAL_KEY},
    {"command-r", "logit_scale", 0.25, true, OPTIONAL_KEY},
    {"t5", "attention.key_length", 8, false, NEEDED_KEY},
    {"t5", "attention.relative_buckets_count", 8, false, NEEDED_KEY},
    {"t5", "vocab_size", 48, false, NEEDED_KEY},
};
enum { META_KEYS = sizeof meta_keys / sizeof *meta_keys };

static inline int meta_key_at(const char *suffix)
{
    int i = 0;
    while (strcmp(meta_keys[i].suffix, suffix))
        i++;
    return i;
}

typedef enum spoil { LEFT_OUT, A_STRING, NEGATIVE, HUGE_NUMBER } spoil;

static inline bool meta_key_belongs(const meta_key *k, const char *arch)
{
    return !k->arch || strcmp(k->arch, arch) == 0;
}

/* A file with the keys of arch, one of them (index spoilt, -1: none) left out or wrong, and the token embedding. */
static inline void put_gguf_model(strbuf *b, const char *arch, int spoilt, spoil how, const char *extra, uint32_t extra_value)
{
    strbuf meta = {0};
    uint64_t n = 1;
    put_kv_string(&meta, "general.architecture", arch);
    for (int i = 0; i < META_KEYS; i++) {
        const meta_key *k = &meta_keys[i];
        char key[128];
        float real = (float)k->value;
        snprintf(key, sizeof key, "%s.%s", arch, k->suffix);
        if (!meta_key_belongs(k, arch) || (i == spoilt && how == LEFT_OUT))
            continue;
        n++;
        if (i == spoilt && how == A_STRING) {
            put_kv_string(&meta, key, "12");
        } else if (i == spoilt) {
            int64_t v = how == NEGATIVE ? -1 : INT64_MAX;
            put_key(&meta, key, GGUF_I64);
            strbuf_add(&meta, &v, sizeof v);
        } else if (k->real) {
            put_key(&meta, key, GGUF_F32);
            strbuf_add(&meta, &real, sizeof real);
        } else {
            put_kv_u32(&meta, key, (uint32_t)k->value);
        }
    }
    if (extra) {
        char key[128];
        snprintf(key, sizeof key, "%s.%s", arch, extra);
        put_kv_u32(&meta, key, extra_value);
        n++;
    }
    put_gguf_header(b, 3, 1, n);
    strbuf_add(b, strbuf_str(&meta), meta.len);
    put_tensor_info(b, "token_embd.weight", 2, (uint64_t[]){32, 48}, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 32 * 48 * 4);
    strbuf_free(&meta);
}

#endif
