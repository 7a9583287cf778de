/* config.json of the families whose keys have names of their own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/convert/hf.h"

static void epsilon(hf_writer *w, const char *name)
{
    hf_put_real(w, name, hf_real(w, "attention.layer_norm_epsilon", 1e-5));
}

static void tied(hf_writer *w)
{
    hf_put_bool(w, "tie_word_embeddings", !hf_has_tensor(w->c, "output.weight"));
}

void hf_config_gpt2(hf_writer *w)
{
    int64_t width = hf_need(w, "embedding_length");
    hf_put_int(w, "n_embd", width);
    hf_put_int(w, "n_layer", hf_need(w, "block_count"));
    hf_put_int(w, "n_head", hf_need(w, "attention.head_count"));
    hf_put_int(w, "n_inner", hf_int(w, "feed_forward_length", 4 * width));
    hf_put_int(w, "n_positions", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_text(w, "activation_function", "gelu_new");
    epsilon(w, "layer_norm_epsilon");
    tied(w);
    hf_put_token_ids(w);
}

void hf_config_bigcode(hf_writer *w)
{
    hf_put_text(w, "activation_function", "gelu_pytorch_tanh");
    hf_config_gpt2(w);
    hf_put_bool(w, "multi_query", hf_int(w, "attention.head_count_kv", 1) == 1);
}

void hf_config_neox(hf_writer *w)
{
    int64_t width = hf_need(w, "embedding_length"), heads = hf_need(w, "attention.head_count");
    int64_t d = width / heads;
    hf_put_int(w, "hidden_size", width);
    hf_put_int(w, "num_hidden_layers", hf_need(w, "block_count"));
    hf_put_int(w, "num_attention_heads", heads);
    hf_put_int(w, "intermediate_size", hf_int(w, "feed_forward_length", 4 * width));
    hf_put_int(w, "max_position_embeddings", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_text(w, "hidden_act", "gelu");
    hf_put_real(w, "rotary_pct", (double)hf_int(w, "rope.dimension_count", d) / (double)(d ? d : 1));
    hf_put_real(w, "rotary_emb_base", hf_real(w, "rope.freq_base", 10000));
    hf_put_bool(w, "use_parallel_residual", hf_bool(w, "use_parallel_residual", true));
    hf_put_bool(w, "attention_bias", hf_has_tensor(w->c, "blk.0.attn_qkv.bias"));
    epsilon(w, "layer_norm_eps");
    tied(w);
    hf_put_token_ids(w);
}

void hf_config_bloom(hf_writer *w)
{
    hf_put_int(w, "hidden_size", hf_need(w, "embedding_length"));
    hf_put_int(w, "n_layer", hf_need(w, "block_count"));
    hf_put_int(w, "n_head", hf_need(w, "attention.head_count"));
    hf_put_int(w, "seq_length", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_bool(w, "apply_residual_connection_post_layernorm", false);
    epsilon(w, "layer_norm_epsilon");
    tied(w);
    hf_put_token_ids(w);
}

void hf_config_falcon(hf_writer *w)
{
    int64_t heads = hf_need(w, "attention.head_count"), kv = hf_int(w, "attention.head_count_kv", 1);
    bool two = hf_has_tensor(w->c, "blk.0.attn_norm_2.weight");
    hf_put_int(w, "hidden_size", hf_need(w, "embedding_length"));
    hf_put_int(w, "ffn_hidden_size", hf_int(w, "feed_forward_length", 4 * hf_need(w, "embedding_length")));
    hf_put_int(w, "num_hidden_layers", hf_need(w, "block_count"));
    hf_put_int(w, "num_attention_heads", heads);
    hf_put_int(w, "num_kv_heads", kv);
    hf_put_int(w, "max_position_embeddings", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_bool(w, "new_decoder_architecture", two);
    hf_put_bool(w, "multi_query", kv == 1 || two);
    hf_put_bool(w, "parallel_attn", true);
    hf_put_bool(w, "alibi", false);
    hf_put_bool(w, "bias", hf_has_tensor(w->c, "blk.0.attn_qkv.bias"));
    hf_put_rope(w, 10000);
    epsilon(w, "layer_norm_epsilon");
    tied(w);
    hf_put_token_ids(w);
}

void hf_config_mpt(hf_writer *w)
{
    int64_t width = hf_need(w, "embedding_length"), heads = hf_need(w, "attention.head_count");
    double clip = hf_real(w, "attention.clamp_kqv", 0), alibi = hf_real(w, "attention.max_alibi_bias", 0);
    strbuf attn = {0};

    if (!w->rc && (hf_int(w, "attention.head_count_kv", heads) != heads || !(alibi > 0)))
        w->rc = err_set(w->e, ERR_INPUT, "an mpt with shared key/value heads or without ALiBi cannot be converted");
    hf_put_int(w, "d_model", width);
    hf_put_int(w, "n_layers", hf_need(w, "block_count"));
    hf_put_int(w, "n_heads", heads);
    hf_put_int(w, "expansion_ratio", hf_int(w, "feed_forward_length", 4 * width) / width);
    hf_put_int(w, "max_seq_len", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_bool(w, "no_bias", true);
    strbuf_puts(&attn, "{\"attn_type\": \"multihead_attention\", \"alibi\": true, \"alibi_bias_max\": ");
    strbuf_printf(&attn, "%lld, \"clip_qkv\": ", (long long)llround(alibi));
    if (clip > 0)
        hf_put_number(&attn, clip);
    else
        strbuf_puts(&attn, "null");
    strbuf_puts(&attn, ", \"attn_pdrop\": 0, \"qk_ln\": false}");
    hf_put_raw(w, "attn_config", strbuf_str(&attn));
    w->b->failed |= attn.failed;
    strbuf_free(&attn);
    epsilon(w, "layer_norm_epsilon");
    tied(w);
    hf_put_token_ids(w);
}

void hf_config_t5(hf_writer *w)
{
    int64_t width = hf_need(w, "embedding_length"), heads = hf_need(w, "attention.head_count");
    bool gated = hf_has_tensor(w->c, "enc.blk.0.ffn_gate.weight");
    int64_t layers = hf_need(w, "block_count");
    hf_put_int(w, "d_model", width);
    hf_put_int(w, "d_ff", hf_need(w, "feed_forward_length"));
    hf_put_int(w, "d_kv", hf_int(w, "attention.key_length", width / heads));
    hf_put_int(w, "num_layers", layers);
    hf_put_int(w, "num_decoder_layers", hf_int(w, "decoder_block_count", layers));
    hf_put_int(w, "num_heads", heads);
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_int(w, "relative_attention_num_buckets", hf_int(w, "attention.relative_buckets_count", 32));
    hf_put_int(w, "relative_attention_max_distance", 128);
    hf_put_text(w, "feed_forward_proj", gated ? "gated-gelu" : "relu");
    hf_put_real(w, "layer_norm_epsilon", hf_real(w, "attention.layer_norm_rms_epsilon", 1e-6));
    hf_put_int(w, "decoder_start_token_id", hf_int(w, "decoder_start_token_id", 0));
    hf_put_bool(w, "is_encoder_decoder", true);
    tied(w);
    hf_put_token_ids(w);
    snprintf(w->note, 256, "relative_attention_max_distance is not in the file: written as 128, as T5 was published");
}

/* A file with another vocabulary than WordPiece is a RoBERTa, whose positions were cut. */
static void refuse_roberta(hf_writer *w)
{
    gguf_string model = {"", 0};
    gguf_text(&model, gguf_find(w->c->gguf, "tokenizer.ggml.model"));
    bool plain = (model.len == 4 && (memcmp(model.s, "bert", 4) == 0 || memcmp(model.s, "none", 4) == 0)) || !model.len;
    if (!w->rc && !plain)
        w->rc = err_set(w->e, ERR_INPUT, "a RoBERTa cannot be converted: the file lacks its first positions");
}

void hf_config_bert(hf_writer *w)
{
    const checkpoint_tensor *types = checkpoint_find(w->c, "token_types.weight");
    refuse_roberta(w);
    hf_put_int(w, "hidden_size", hf_need(w, "embedding_length"));
    hf_put_int(w, "num_hidden_layers", hf_need(w, "block_count"));
    hf_put_int(w, "num_attention_heads", hf_need(w, "attention.head_count"));
    hf_put_int(w, "intermediate_size", hf_need(w, "feed_forward_length"));
    hf_put_int(w, "max_position_embeddings", hf_need(w, "context_length"));
    hf_put_int(w, "type_vocab_size", types ? types->t.shape[0] : 2);
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_text(w, "hidden_act", "gelu");
    hf_put_real(w, "layer_norm_eps", hf_real(w, "attention.layer_norm_epsilon", 1e-12));
    hf_put_token_ids(w);
}

void hf_config_distilbert(hf_writer *w)
{
    refuse_roberta(w);
    hf_put_int(w, "dim", hf_need(w, "embedding_length"));
    hf_put_int(w, "n_layers", hf_need(w, "block_count"));
    hf_put_int(w, "n_heads", hf_need(w, "attention.head_count"));
    hf_put_int(w, "hidden_dim", hf_need(w, "feed_forward_length"));
    hf_put_int(w, "max_position_embeddings", hf_need(w, "context_length"));
    hf_put_int(w, "vocab_size", hf_vocab(w));
    hf_put_text(w, "activation", "gelu");
    hf_put_token_ids(w);
}
