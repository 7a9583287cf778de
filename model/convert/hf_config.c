/* config.json of decoders with RoPE, from the metadata of a GGUF. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/convert/hf.h"

static bool has_bias(const hf_writer *w, const char *name)
{
    return hf_has_tensor(w->c, name);
}

/* Sizes, RoPE and token ids under the names that most families share. */
static void common(hf_writer *w, double theta)
{
    int64_t heads = hf_need(w, "attention.head_count");
    hf_put_int(w, "hidden_size", hf_need(w, "embedding_length"));
    hf_put_int(w, "intermediate_size", hf_int(w, "feed_forward_length", 0));
    hf_put_int(w, "num_hidden_layers", hf_need(w, "block_count"));
    hf_put_int(w, "num_attention_heads", heads);
    hf_put_int(w, "num_key_value_heads", hf_int(w, "attention.head_count_kv", heads));
    hf_put_int(w, "max_position_embeddings", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_bool(w, "tie_word_embeddings", !hf_has_tensor(w->c, "output.weight"));
    hf_put_rope(w, theta);
    hf_put_token_ids(w);
}

static void rms(hf_writer *w)
{
    hf_put_real(w, "rms_norm_eps", hf_real(w, "attention.layer_norm_rms_epsilon", 1e-6));
}

static void layer_norm(hf_writer *w, const char *name)
{
    hf_put_real(w, name, hf_real(w, "attention.layer_norm_epsilon", 1e-5));
}

static void head_dim(hf_writer *w)
{
    hf_put_int(w, "head_dim", hf_head_dim(w));
}

/* Share of each head that is rotated. */
static void partial_rotary(hf_writer *w)
{
    int64_t d = hf_head_dim(w);
    hf_put_real(w, "partial_rotary_factor", (double)hf_int(w, "rope.dimension_count", d) / (double)(d ? d : 1));
}

static void refuse(hf_writer *w, const char *why)
{
    if (!w->rc)
        w->rc = err_set(w->e, ERR_INPUT, "%s", why);
}

static void note(hf_writer *w, const char *text)
{
    snprintf(w->note, 256, "%s", text);
}

/* Layer l of a period of n is full attention when it is the last. */
static bool is_last_of(int64_t layer, int64_t period)
{
    return period > 0 && layer % period == period - 1;
}

void hf_config_llama(hf_writer *w)
{
    common(w, 10000);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    if (hf_key(w, "attention.key_length"))
        head_dim(w);
    if (hf_key(w, "attention.scale"))
        refuse(w, "gguf: llama.attention.scale has no place in a llama of Hugging Face");
    bool q = has_bias(w, "blk.0.attn_q.bias"), o = has_bias(w, "blk.0.attn_output.bias");
    if (q != o)
        refuse(w, "a bias for q, k and v but not for the output (or the other way round): no llama of Hugging Face");
    hf_put_bool(w, "attention_bias", q);
    hf_put_bool(w, "mlp_bias", has_bias(w, "blk.0.ffn_up.bias"));
}

void hf_config_mixtral(hf_writer *w)
{
    common(w, 1e6);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    if (hf_key(w, "attention.key_length"))
        head_dim(w);
    hf_put_int(w, "num_local_experts", hf_need(w, "expert_count"));
    hf_put_int(w, "num_experts_per_tok", hf_need(w, "expert_used_count"));
    hf_put_null(w, "sliding_window");
}

void hf_config_qwen(hf_writer *w)
{
    common(w, 10000);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    if (strncmp(w->arch, "qwen3", 5) == 0) {
        head_dim(w);
        hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
    }
    hf_put_bool(w, "use_sliding_window", false);
    hf_put_null(w, "sliding_window");
}

/* The layers without experts, as a list; *experts: a tensor of experts, NULL when there is none. */
static void put_dense_layers(hf_writer *w, const checkpoint_tensor **experts)
{
    int64_t n = hf_need(w, "block_count"), dense = 0;
    strbuf list = {0};
    *experts = NULL;
    strbuf_putc(&list, '[');
    for (int64_t l = 0; l < n; l++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%" PRId64 ".ffn_gate_exps.weight", l);
        const checkpoint_tensor *t = checkpoint_find(w->c, name);
        if (t)
            *experts = t;
        else
            strbuf_printf(&list, "%s%" PRId64, dense++ ? ", " : "", l);
    }
    strbuf_putc(&list, ']');
    hf_put_raw(w, "mlp_only_layers", strbuf_str(&list));
    w->b->failed |= list.failed;
    strbuf_free(&list);
}

void hf_config_qwen_moe(hf_writer *w)
{
    const checkpoint_tensor *t;
    bool third = strcmp(w->arch, "qwen3moe") == 0;
    hf_config_qwen(w);
    hf_put_int(w, "num_experts", hf_need(w, "expert_count"));
    hf_put_int(w, "num_experts_per_tok", hf_need(w, "expert_used_count"));
    hf_put_bool(w, "norm_topk_prob", third);
    hf_put_int(w, "decoder_sparse_step", 1);
    put_dense_layers(w, &t);
    hf_put_int(w, "moe_intermediate_size",
               hf_int(w, "expert_feed_forward_length", t && t->t.n_dim == 3 ? t->t.shape[1] : 0));
    if (!third)
        hf_put_int(w, "shared_expert_intermediate_size", hf_need(w, "expert_shared_feed_forward_length"));
}

void hf_config_gemma(hf_writer *w)
{
    common(w, 10000);
    rms(w);
    head_dim(w);
    hf_put_text(w, "hidden_act", "gelu_pytorch_tanh");
    hf_put_text(w, "hidden_activation", "gelu_pytorch_tanh");
}

/* The scale of the scores is not in the file, but for the largest models it is a known exception. */
static void query_scale(hf_writer *w, int64_t exception)
{
    int64_t d = hf_head_dim(w), width = hf_need(w, "embedding_length"), heads = hf_need(w, "attention.head_count");
    double scale = hf_real(w, "attention.scale", 0);
    if (scale > 0)
        hf_put_int(w, "query_pre_attn_scalar", llround(1 / (scale * scale)));
    else
        hf_put_int(w, "query_pre_attn_scalar", hf_need(w, "block_count") == exception ? width / heads : d);
    if (!(scale > 0))
        note(w, "query_pre_attn_scalar is not in the file: written as for the published models");
}

static void soft_cap(hf_writer *w, const char *key, const char *name)
{
    if (hf_key(w, key))
        hf_put_real(w, name, hf_real(w, key, 0));
    else
        hf_put_null(w, name);
}

void hf_config_gemma2(hf_writer *w)
{
    hf_config_gemma(w);
    query_scale(w, 46);
    soft_cap(w, "attn_logit_softcapping", "attn_logit_softcapping");
    soft_cap(w, "final_logit_softcapping", "final_logit_softcapping");
    hf_put_int(w, "sliding_window", hf_int(w, "attention.sliding_window", 4096));
    hf_put_layers(w, "layer_types", "full_attention", "sliding_attention", is_last_of, 2);
}

void hf_config_gemma3(hf_writer *w)
{
    common(w, 1e6);
    rms(w);
    head_dim(w);
    hf_put_text(w, "hidden_activation", "gelu_pytorch_tanh");
    query_scale(w, 62);
    soft_cap(w, "final_logit_softcapping", "final_logit_softcapping");
    hf_put_real(w, "rope_local_base_freq", hf_real(w, "rope.freq_base_swa", 10000));
    hf_put_int(w, "sliding_window", hf_int(w, "attention.sliding_window", 1024));
    hf_put_int(w, "sliding_window_pattern", 6);
    hf_put_layers(w, "layer_types", "full_attention", "sliding_attention", is_last_of, 6);
}

void hf_config_phi2(hf_writer *w)
{
    /* Some files state as many key/value heads as heads; the matrix knows. */
    const checkpoint_tensor *k = checkpoint_find(w->c, "blk.0.attn_k.weight");
    int64_t d = hf_head_dim(w);
    if (k && d)
        hf_put_int(w, "num_key_value_heads", k->t.shape[0] / d);
    const checkpoint_tensor *up = checkpoint_find(w->c, "blk.0.ffn_up.weight");
    if (up)
        hf_put_int(w, "intermediate_size", up->t.shape[0]);
    common(w, 10000);
    layer_norm(w, "layer_norm_eps");
    partial_rotary(w);
    hf_put_text(w, "hidden_act", "gelu_new");
}

void hf_config_phi3(hf_writer *w)
{
    common(w, 10000);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    partial_rotary(w);
    int64_t window = hf_int(w, "attention.sliding_window", 0);
    if (window)
        hf_put_int(w, "sliding_window", window);
    else
        hf_put_null(w, "sliding_window");
    hf_put_int(w, "original_max_position_embeddings",
               hf_int(w, "rope.scaling.original_context_length", hf_need(w, "context_length")));
}

void hf_config_stablelm(hf_writer *w)
{
    common(w, 10000);
    layer_norm(w, "layer_norm_eps");
    partial_rotary(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "use_qkv_bias", has_bias(w, "blk.0.attn_q.bias"));
    hf_put_bool(w, "qk_layernorm", hf_has_tensor(w->c, "blk.0.attn_q_norm.weight"));
    hf_put_bool(w, "use_parallel_residual",
                hf_bool(w, "use_parallel_residual", !hf_has_tensor(w->c, "blk.0.ffn_norm.weight")));
}

void hf_config_starcoder2(hf_writer *w)
{
    common(w, 10000);
    layer_norm(w, "norm_epsilon");
    hf_put_text(w, "hidden_act", "gelu_pytorch_tanh");
    hf_put_bool(w, "use_bias", has_bias(w, "blk.0.attn_q.bias"));
    hf_put_null(w, "sliding_window");
    note(w, "a sliding window is not in the file: written as none");
}

void hf_config_cohere(hf_writer *w)
{
    common(w, 10000);
    layer_norm(w, "layer_norm_eps");
    hf_put_text(w, "hidden_act", "silu");
    hf_put_real(w, "logit_scale", hf_real(w, "logit_scale", 0.0625));
    hf_put_bool(w, "use_qk_norm", hf_has_tensor(w->c, "blk.0.attn_q_norm.weight"));
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
}

void hf_config_granite(hf_writer *w)
{
    hf_put_real(w, "attention_multiplier", hf_real(w, "attention.scale", 1 / sqrt((double)hf_head_dim(w))));
    hf_put_real(w, "embedding_multiplier", hf_real(w, "embedding_scale", 1));
    hf_put_real(w, "residual_multiplier", hf_real(w, "residual_scale", 1));
    hf_put_real(w, "logits_scaling", hf_real(w, "logit_scale", 1));
    common(w, 10000);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
    hf_put_bool(w, "mlp_bias", has_bias(w, "blk.0.ffn_up.bias"));
}

void hf_config_nemotron(hf_writer *w)
{
    common(w, 10000);
    layer_norm(w, "norm_eps");
    head_dim(w);
    partial_rotary(w);
    hf_put_text(w, "hidden_act", "relu2");
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
    hf_put_bool(w, "mlp_bias", has_bias(w, "blk.0.ffn_up.bias"));
}

void hf_config_olmo(hf_writer *w)
{
    common(w, 10000);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
    soft_cap(w, "attention.clamp_kqv", "clip_qkv");
}

void hf_config_olmoe(hf_writer *w)
{
    hf_config_olmo(w);
    rms(w);
    hf_put_int(w, "num_experts", hf_need(w, "expert_count"));
    hf_put_int(w, "num_experts_per_tok", hf_need(w, "expert_used_count"));
    hf_put_bool(w, "norm_topk_prob", hf_bool(w, "expert_weights_norm", false));
}

/* sliding_window_pattern: an array says it for each layer; else every fourth is full. */
void hf_config_exaone4(hf_writer *w)
{
    common(w, 1e6);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    if (hf_key(w, "attention.key_length"))
        head_dim(w);
    const gguf_kv *kv = gguf_find(w->c->gguf, "exaone4.attention.sliding_window_pattern");
    int64_t window = hf_int(w, "attention.sliding_window", 0), n = hf_need(w, "block_count");
    if (!window) {
        hf_put_null(w, "sliding_window");
        return;
    }
    hf_put_int(w, "sliding_window", window);
    if (!kv || kv->type != GGUF_ARRAY) {
        hf_put_layers(w, "layer_types", "full_attention", "sliding_attention", is_last_of, 4);
        return;
    }
    if ((int64_t)kv->count != n || (kv->element != GGUF_BOOL && kv->element != GGUF_U8 && kv->element != GGUF_I8)) {
        refuse(w, "gguf: exaone4.attention.sliding_window_pattern does not say it for each layer");
        return;
    }
    strbuf types = {0};
    int64_t period = 0;
    for (int64_t l = 0; l < n; l++) { /* a byte each */
        strbuf_printf(&types, "%s\"%s\"", l ? ", " : "[", kv->data[l] ? "sliding_attention" : "full_attention");
        if (!kv->data[l] && !period)
            period = l + 1;
    }
    strbuf_putc(&types, ']');
    hf_put_raw(w, "layer_types", strbuf_str(&types));
    hf_put_int(w, "sliding_window_pattern", period ? period : n + 1);
    w->b->failed |= types.failed;
    strbuf_free(&types);
}

void hf_config_glm4(hf_writer *w)
{
    common(w, 10000);
    rms(w);
    head_dim(w);
    partial_rotary(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
}

void hf_config_smollm3(hf_writer *w)
{
    common(w, 2e6);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "attention_bias", has_bias(w, "blk.0.attn_q.bias"));
    hf_put_bool(w, "mlp_bias", has_bias(w, "blk.0.ffn_up.bias"));
    hf_put_int(w, "no_rope_layer_interval", 4);
    note(w, "which layers have no RoPE is not in the file: written as every fourth");
}

void hf_config_gpt_oss(hf_writer *w)
{
    common(w, 150000);
    rms(w);
    head_dim(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_bool(w, "attention_bias", true);
    hf_put_int(w, "num_local_experts", hf_need(w, "expert_count"));
    hf_put_int(w, "num_experts_per_tok", hf_need(w, "expert_used_count"));
    hf_put_real(w, "swiglu_limit", 7);
    hf_put_int(w, "sliding_window", hf_int(w, "attention.sliding_window", 128));
    hf_put_layers(w, "layer_types", "full_attention", "sliding_attention", is_last_of, 2);
}

static void deepseek(hf_writer *w)
{
    int64_t heads = hf_need(w, "attention.head_count"), rope = hf_need(w, "rope.dimension_count");
    int64_t key = hf_int(w, "attention.key_length_mla", hf_int(w, "attention.key_length", 0));
    int64_t value = hf_int(w, "attention.value_length_mla", hf_int(w, "attention.value_length", 0));
    if (key <= rope || value == 0)
        refuse(w, "gguf: deepseek2.attention.key_length and value_length do not describe the heads");
    hf_put_int(w, "num_key_value_heads", heads);
    common(w, 10000);
    rms(w);
    hf_put_text(w, "hidden_act", "silu");
    hf_put_int(w, "qk_rope_head_dim", rope);
    hf_put_int(w, "qk_nope_head_dim", key - rope);
    hf_put_int(w, "v_head_dim", value);
    hf_put_int(w, "kv_lora_rank", hf_need(w, "attention.kv_lora_rank"));
    if (hf_int(w, "attention.q_lora_rank", 0))
        hf_put_int(w, "q_lora_rank", hf_int(w, "attention.q_lora_rank", 0));
    else
        hf_put_null(w, "q_lora_rank");
    hf_put_int(w, "n_routed_experts", hf_need(w, "expert_count"));
    hf_put_int(w, "n_shared_experts", hf_int(w, "expert_shared_count", 0));
    hf_put_int(w, "num_experts_per_tok", hf_need(w, "expert_used_count"));
    hf_put_int(w, "moe_intermediate_size", hf_need(w, "expert_feed_forward_length"));
    hf_put_int(w, "first_k_dense_replace", hf_int(w, "leading_dense_block_count", 0));
    hf_put_int(w, "n_group", hf_int(w, "expert_group_count", 1));
    hf_put_int(w, "topk_group", hf_int(w, "expert_group_used_count", 1));
    hf_put_bool(w, "norm_topk_prob", hf_bool(w, "expert_weights_norm", false));
    hf_put_real(w, "routed_scaling_factor", hf_real(w, "expert_weights_scale", 1));
}

void hf_config_deepseek_v2(hf_writer *w)
{
    deepseek(w);
    hf_put_text(w, "topk_method", hf_int(w, "expert_group_count", 1) > 1 ? "group_limited_greedy" : "greedy");
}

void hf_config_deepseek_v3(hf_writer *w)
{
    deepseek(w);
    hf_put_text(w, "topk_method", "noaux_tc");
    hf_put_text(w, "scoring_func", "sigmoid");
    hf_put_bool(w, "rope_interleave", true);
}

int hf_config(plan *p, const checkpoint *c, const hf_arch *a, err *e)
{
    hf_writer w = {.b = &p->config, .c = c, .arch = a->arch, .note = p->note, .e = e};
    strbuf_putc(w.b, '{');
    strbuf_printf(w.b, "\n  \"architectures\": [\"%s\"]", a->class_name);
    hf_put_text(&w, "model_type", a->model_type);
    a->config(&w);
    if (!w.rc && w.b->failed)
        return err_nomem(e, "config.json");
    return w.rc;
}
