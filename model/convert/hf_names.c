/* Names of tensors in GGUF and in Hugging Face's checkpoints, for each architecture that can be converted. */
#include <string.h>

#include "model/convert/hf.h"

#define L "model.layers.%."

/* What most decoders share; searched last. */
static const hf_rule decoder[] = {
    {"token_embd", "model.embed_tokens", HF_COPY, NULL},
    {"output_norm", "model.norm", HF_COPY, NULL},
    {"output", "lm_head", HF_COPY, NULL},
    {"blk.%.attn_norm", L "input_layernorm", HF_COPY, NULL},
    {"blk.%.ffn_norm", L "post_attention_layernorm", HF_COPY, NULL},
    {"blk.%.attn_q", L "self_attn.q_proj", HF_COPY, NULL},
    {"blk.%.attn_k", L "self_attn.k_proj", HF_COPY, NULL},
    {"blk.%.attn_v", L "self_attn.v_proj", HF_COPY, NULL},
    {"blk.%.attn_output", L "self_attn.o_proj", HF_COPY, NULL},
    {"blk.%.attn_q_norm", L "self_attn.q_norm", HF_COPY, NULL},
    {"blk.%.attn_k_norm", L "self_attn.k_norm", HF_COPY, NULL},
    {"blk.%.ffn_gate", L "mlp.gate_proj", HF_COPY, NULL},
    {"blk.%.ffn_up", L "mlp.up_proj", HF_COPY, NULL},
    {"blk.%.ffn_down", L "mlp.down_proj", HF_COPY, NULL},
    {"rope_freqs.weight", "", HF_DROP, NULL},
    {"rope_factors_long.weight", "", HF_DROP, NULL},
    {"rope_factors_short.weight", "", HF_DROP, NULL},
    {.from = NULL},
};

static const hf_rule paired[] = {
    {"blk.%.attn_q", L "self_attn.q_proj", HF_UNPAIR_Q, NULL},
    {"blk.%.attn_k", L "self_attn.k_proj", HF_UNPAIR_K, NULL},
    {.from = NULL},
};

static const hf_rule mixtral[] = {
    {"blk.%.attn_q", L "self_attn.q_proj", HF_UNPAIR_Q, NULL},
    {"blk.%.attn_k", L "self_attn.k_proj", HF_UNPAIR_K, NULL},
    {"blk.%.ffn_gate_inp", L "block_sparse_moe.gate", HF_COPY, NULL},
    {"blk.%.ffn_gate_exps", L "block_sparse_moe.experts.#.w1", HF_EXPERTS, NULL},
    {"blk.%.ffn_down_exps", L "block_sparse_moe.experts.#.w2", HF_EXPERTS, NULL},
    {"blk.%.ffn_up_exps", L "block_sparse_moe.experts.#.w3", HF_EXPERTS, NULL},
    {.from = NULL},
};

static const hf_rule experts[] = {
    {"blk.%.ffn_gate_inp", L "mlp.gate", HF_COPY, NULL},
    {"blk.%.ffn_gate_exps", L "mlp.experts.#.gate_proj", HF_EXPERTS, NULL},
    {"blk.%.ffn_up_exps", L "mlp.experts.#.up_proj", HF_EXPERTS, NULL},
    {"blk.%.ffn_down_exps", L "mlp.experts.#.down_proj", HF_EXPERTS, NULL},
    {"blk.%.ffn_gate_shexp", L "mlp.shared_expert.gate_proj", HF_COPY, NULL},
    {"blk.%.ffn_up_shexp", L "mlp.shared_expert.up_proj", HF_COPY, NULL},
    {"blk.%.ffn_down_shexp", L "mlp.shared_expert.down_proj", HF_COPY, NULL},
    {"blk.%.ffn_gate_inp_shexp", L "mlp.shared_expert_gate", HF_ONE_ROW, NULL},
    {.from = NULL},
};

static const hf_rule deepseek[] = {
    {"blk.%.attn_q_a", L "self_attn.q_a_proj", HF_COPY, NULL},
    {"blk.%.attn_q_a_norm", L "self_attn.q_a_layernorm", HF_COPY, NULL},
    {"blk.%.attn_q_b", L "self_attn.q_b_proj", HF_COPY, NULL},
    {"blk.%.attn_kv_a_mqa", L "self_attn.kv_a_proj_with_mqa", HF_COPY, NULL},
    {"blk.%.attn_kv_a_norm", L "self_attn.kv_a_layernorm", HF_COPY, NULL},
    {"blk.%.attn_kv_b", L "self_attn.kv_b_proj", HF_COPY, NULL},
    {"blk.%.attn_k_b.weight", L "self_attn.kv_b_proj.weight", HF_KV_B, "blk.%.attn_v_b.weight"},
    {"blk.%.exp_probs_b.bias", L "mlp.gate.e_score_correction_bias", HF_COPY, NULL},
    {"blk.%.ffn_gate_shexp", L "mlp.shared_experts.gate_proj", HF_COPY, NULL},
    {"blk.%.ffn_up_shexp", L "mlp.shared_experts.up_proj", HF_COPY, NULL},
    {"blk.%.ffn_down_shexp", L "mlp.shared_experts.down_proj", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule gpt_oss[] = {
    {"blk.%.post_attention_norm", L "post_attention_layernorm", HF_COPY, NULL},
    {"blk.%.attn_sinks.weight", L "self_attn.sinks", HF_COPY, NULL},
    {"blk.%.ffn_gate_inp", L "mlp.router", HF_COPY, NULL},
    {"blk.%.ffn_down_exps.weight", L "mlp.experts.down_proj", HF_EXPERTS_CONV1D, NULL},
    {"blk.%.ffn_down_exps.bias", L "mlp.experts.down_proj_bias", HF_COPY, NULL},
    {"blk.%.ffn_gate_exps.weight", L "mlp.experts.gate_up_proj", HF_GATE_UP_CONV1D, "blk.%.ffn_up_exps.weight"},
    {"blk.%.ffn_gate_exps.bias", L "mlp.experts.gate_up_proj_bias", HF_GATE_UP_BIAS, "blk.%.ffn_up_exps.bias"},
    {.from = NULL},
};

static const hf_rule gemma[] = {
    {"output_norm", "model.norm", HF_MINUS_ONE, NULL},
    {"blk.%.attn_norm", L "input_layernorm", HF_MINUS_ONE, NULL},
    {"blk.%.ffn_norm", L "post_attention_layernorm", HF_MINUS_ONE, NULL},
    {.from = NULL},
};

static const hf_rule gemma2[] = { /* and gemma3 */
    {"output_norm", "model.norm", HF_MINUS_ONE, NULL},
    {"blk.%.attn_norm", L "input_layernorm", HF_MINUS_ONE, NULL},
    {"blk.%.post_attention_norm", L "post_attention_layernorm", HF_MINUS_ONE, NULL},
    {"blk.%.ffn_norm", L "pre_feedforward_layernorm", HF_MINUS_ONE, NULL},
    {"blk.%.post_ffw_norm", L "post_feedforward_layernorm", HF_MINUS_ONE, NULL},
    {"blk.%.attn_q_norm", L "self_attn.q_norm", HF_MINUS_ONE, NULL},
    {"blk.%.attn_k_norm", L "self_attn.k_norm", HF_MINUS_ONE, NULL},
    {.from = NULL},
};

static const hf_rule sandwich[] = { /* norms behind attention and MLP: olmo2, exaone4 */
    {"blk.%.post_attention_norm", L "post_attention_layernorm", HF_COPY, NULL},
    {"blk.%.post_ffw_norm", L "post_feedforward_layernorm", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule glm4[] = {
    {"blk.%.post_attention_norm", L "post_self_attn_layernorm", HF_COPY, NULL},
    {"blk.%.post_ffw_norm", L "post_mlp_layernorm", HF_COPY, NULL},
    {"blk.%.ffn_up", L "mlp.gate_up_proj", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule stablelm[] = {
    {"blk.%.attn_q_norm.weight", L "self_attn.q_layernorm.norms.#.weight", HF_HEADS, NULL},
    {"blk.%.attn_k_norm.weight", L "self_attn.k_layernorm.norms.#.weight", HF_HEADS, NULL},
    {.from = NULL},
};

static const hf_rule starcoder2[] = {
    {"blk.%.ffn_up", L "mlp.c_fc", HF_COPY, NULL},
    {"blk.%.ffn_down", L "mlp.c_proj", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule phi2[] = {
    {"output_norm", "model.final_layernorm", HF_COPY, NULL},
    {"blk.%.attn_output", L "self_attn.dense", HF_COPY, NULL},
    {"blk.%.ffn_up", L "mlp.fc1", HF_COPY, NULL},
    {"blk.%.ffn_down", L "mlp.fc2", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule phi3[] = {
    {"blk.%.attn_qkv", L "self_attn.qkv_proj", HF_COPY, NULL},
    {"blk.%.ffn_up", L "mlp.gate_up_proj", HF_COPY, NULL},
    {.from = NULL},
};

#undef L
#define H "transformer.h.%."

static const hf_rule gpt2[] = {
    {"token_embd", "transformer.wte", HF_COPY, NULL},
    {"position_embd", "transformer.wpe", HF_COPY, NULL},
    {"output_norm", "transformer.ln_f", HF_COPY, NULL},
    {"output", "lm_head", HF_COPY, NULL},
    {"blk.%.attn_norm", H "ln_1", HF_COPY, NULL},
    {"blk.%.ffn_norm", H "ln_2", HF_COPY, NULL},
    {"blk.%.attn_qkv", H "attn.c_attn", HF_CONV1D, NULL},
    {"blk.%.attn_output", H "attn.c_proj", HF_CONV1D, NULL},
    {"blk.%.ffn_up", H "mlp.c_fc", HF_CONV1D, NULL},
    {"blk.%.ffn_down", H "mlp.c_proj", HF_CONV1D, NULL},
    {.from = NULL},
};

static const hf_rule bigcode[] = {
    {"blk.%.attn_qkv", H "attn.c_attn", HF_COPY, NULL},
    {"blk.%.attn_output", H "attn.c_proj", HF_COPY, NULL},
    {"blk.%.ffn_up", H "mlp.c_fc", HF_COPY, NULL},
    {"blk.%.ffn_down", H "mlp.c_proj", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule bloom[] = { /* and falcon */
    {"token_embd", "transformer.word_embeddings", HF_COPY, NULL},
    {"token_embd_norm", "transformer.word_embeddings_layernorm", HF_COPY, NULL},
    {"output_norm", "transformer.ln_f", HF_COPY, NULL},
    {"output", "lm_head", HF_COPY, NULL},
    {"blk.%.attn_norm", H "input_layernorm", HF_COPY, NULL},
    {"blk.%.ffn_norm", H "post_attention_layernorm", HF_COPY, NULL},
    {"blk.%.attn_qkv", H "self_attention.query_key_value", HF_GROUPED_QKV, NULL},
    {"blk.%.attn_output", H "self_attention.dense", HF_COPY, NULL},
    {"blk.%.ffn_up", H "mlp.dense_h_to_4h", HF_COPY, NULL},
    {"blk.%.ffn_down", H "mlp.dense_4h_to_h", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule falcon_two_norms[] = {
    {"blk.%.attn_norm_2", H "ln_attn", HF_COPY, NULL},
    {"blk.%.attn_norm", H "ln_mlp", HF_COPY, NULL},
    {.from = NULL},
};

#undef H

static const hf_rule neox[] = {
    {"token_embd", "gpt_neox.embed_in", HF_COPY, NULL},
    {"output_norm", "gpt_neox.final_layer_norm", HF_COPY, NULL},
    {"output", "embed_out", HF_COPY, NULL},
    {"blk.%.attn_norm", "gpt_neox.layers.%.input_layernorm", HF_COPY, NULL},
    {"blk.%.ffn_norm", "gpt_neox.layers.%.post_attention_layernorm", HF_COPY, NULL},
    {"blk.%.attn_qkv", "gpt_neox.layers.%.attention.query_key_value", HF_GROUPED_QKV, NULL},
    {"blk.%.attn_output", "gpt_neox.layers.%.attention.dense", HF_COPY, NULL},
    {"blk.%.ffn_up", "gpt_neox.layers.%.mlp.dense_h_to_4h", HF_COPY, NULL},
    {"blk.%.ffn_down", "gpt_neox.layers.%.mlp.dense_4h_to_h", HF_COPY, NULL},
    {.from = NULL},
};

static const hf_rule mpt[] = {
    {"token_embd", "transformer.wte", HF_COPY, NULL},
    {"output_norm", "transformer.norm_f", HF_COPY, NULL},
    {"output", "lm_head", HF_COPY, NULL},
    {"blk.%.attn_norm", "transformer.blocks.%.norm_1", HF_COPY, NULL},
    {"blk.%.ffn_norm", "transformer.blocks.%.norm_2", HF_COPY, NULL},
    {"blk.%.attn_qkv", "transformer.blocks.%.attn.Wqkv", HF_COPY, NULL},
    {"blk.%.attn_output", "transformer.blocks.%.attn.out_proj", HF_COPY, NULL},
    {"blk.%.ffn_up", "transformer.blocks.%.ffn.up_proj", HF_COPY, NULL},
    {"blk.%.ffn_down", "transformer.blocks.%.ffn.down_proj", HF_COPY, NULL},
    {.from = NULL},
};

#define E "encoder.block.%.layer."
#define D "decoder.block.%.layer."

static const hf_rule t5[] = {
    {"token_embd", "shared", HF_COPY, NULL},
    {"output", "lm_head", HF_COPY, NULL},
    {"enc.output_norm", "encoder.final_layer_norm", HF_COPY, NULL},
    {"enc.blk.%.attn_norm", E "0.layer_norm", HF_COPY, NULL},
    {"enc.blk.%.attn_q", E "0.SelfAttention.q", HF_COPY, NULL},
    {"enc.blk.%.attn_k", E "0.SelfAttention.k", HF_COPY, NULL},
    {"enc.blk.%.attn_v", E "0.SelfAttention.v", HF_COPY, NULL},
    {"enc.blk.%.attn_o", E "0.SelfAttention.o", HF_COPY, NULL},
    {"enc.blk.%.attn_rel_b", E "0.SelfAttention.relative_attention_bias", HF_COPY, NULL},
    {"enc.blk.%.ffn_norm", E "1.layer_norm", HF_COPY, NULL},
    {"enc.blk.%.ffn_down", E "1.DenseReluDense.wo", HF_COPY, NULL},
    {"dec.output_norm", "decoder.final_layer_norm", HF_COPY, NULL},
    {"dec.blk.%.attn_norm", D "0.layer_norm", HF_COPY, NULL},
    {"dec.blk.%.attn_q", D "0.SelfAttention.q", HF_COPY, NULL},
    {"dec.blk.%.attn_k", D "0.SelfAttention.k", HF_COPY, NULL},
    {"dec.blk.%.attn_v", D "0.SelfAttention.v", HF_COPY, NULL},
    {"dec.blk.%.attn_o", D "0.SelfAttention.o", HF_COPY, NULL},
    {"dec.blk.%.attn_rel_b", D "0.SelfAttention.relative_attention_bias", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_norm", D "1.layer_norm", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_q", D "1.EncDecAttention.q", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_k", D "1.EncDecAttention.k", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_v", D "1.EncDecAttention.v", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_o", D "1.EncDecAttention.o", HF_COPY, NULL},
    {"dec.blk.%.ffn_norm", D "2.layer_norm", HF_COPY, NULL},
    {"dec.blk.%.ffn_down", D "2.DenseReluDense.wo", HF_COPY, NULL},
    {"dec.blk.%.cross_attn_rel_b.weight", "", HF_DROP, NULL}, /* of old files; never used */
    {.from = NULL},
};
static const hf_rule t5_plain[] = {
    {"enc.blk.%.ffn_up", E "1.DenseReluDense.wi", HF_COPY, NULL},
    {"dec.blk.%.ffn_up", D "2.DenseReluDense.wi", HF_COPY, NULL},
    {.from = NULL},
};
static const hf_rule t5_gated[] = {
    {"enc.blk.%.ffn_gate", E "1.DenseReluDense.wi_0", HF_COPY, NULL},
    {"enc.blk.%.ffn_up", E "1.DenseReluDense.wi_1", HF_COPY, NULL},
    {"dec.blk.%.ffn_gate", D "2.DenseReluDense.wi_0", HF_COPY, NULL},
    {"dec.blk.%.ffn_up", D "2.DenseReluDense.wi_1", HF_COPY, NULL},
    {.from = NULL},
};

#undef E
#undef D
#define L "bert.encoder.layer.%."

static const hf_rule bert[] = {
    {"token_embd", "bert.embeddings.word_embeddings", HF_COPY, NULL},
    {"position_embd", "bert.embeddings.position_embeddings", HF_COPY, NULL},
    {"token_types", "bert.embeddings.token_type_embeddings", HF_COPY, NULL},
    {"token_embd_norm", "bert.embeddings.LayerNorm", HF_COPY, NULL},
    {"blk.%.attn_q", L "attention.self.query", HF_COPY, NULL},
    {"blk.%.attn_k", L "attention.self.key", HF_COPY, NULL},
    {"blk.%.attn_v", L "attention.self.value", HF_COPY, NULL},
    {"blk.%.attn_output", L "attention.output.dense", HF_COPY, NULL},
    {"blk.%.attn_output_norm", L "attention.output.LayerNorm", HF_COPY, NULL},
    {"blk.%.ffn_up", L "intermediate.dense", HF_COPY, NULL},
    {"blk.%.ffn_down", L "output.dense", HF_COPY, NULL},
    {"blk.%.layer_output_norm", L "output.LayerNorm", HF_COPY, NULL},
    {.from = NULL},
};

#undef L
#define L "distilbert.transformer.layer.%."

static const hf_rule distilbert[] = {
    {"token_embd", "distilbert.embeddings.word_embeddings", HF_COPY, NULL},
    {"position_embd", "distilbert.embeddings.position_embeddings", HF_COPY, NULL},
    {"token_embd_norm", "distilbert.embeddings.LayerNorm", HF_COPY, NULL},
    {"blk.%.attn_q", L "attention.q_lin", HF_COPY, NULL},
    {"blk.%.attn_k", L "attention.k_lin", HF_COPY, NULL},
    {"blk.%.attn_v", L "attention.v_lin", HF_COPY, NULL},
    {"blk.%.attn_output", L "attention.out_lin", HF_COPY, NULL},
    {"blk.%.attn_output_norm", L "sa_layer_norm", HF_COPY, NULL},
    {"blk.%.ffn_up", L "ffn.lin1", HF_COPY, NULL},
    {"blk.%.ffn_down", L "ffn.lin2", HF_COPY, NULL},
    {"blk.%.layer_output_norm", L "output_layer_norm", HF_COPY, NULL},
    {.from = NULL},
};

/* ---- which entry of an architecture ---- */

static bool has_experts(const checkpoint *c)
{
    return hf_has_tensor(c, "blk.0.ffn_gate_inp.weight");
}
static bool has_two_norms(const checkpoint *c)
{
    return hf_has_tensor(c, "blk.0.attn_norm_2.weight");
}
static bool has_gated_mlp(const checkpoint *c)
{
    return hf_has_tensor(c, "enc.blk.0.ffn_gate.weight");
}
static bool has_token_types(const checkpoint *c)
{
    return hf_has_tensor(c, "token_types.weight");
}
/* The third generation chooses experts by a sigmoid and a correction. */
static bool has_correction(const checkpoint *c)
{
    for (int i = 0; i < c->n_tensor; i++)
        if (strstr(c->tensors[i].name, ".exp_probs_b."))
            return true;
    return false;
}

const hf_arch hf_archs[] = {
    {"bert", "bert", "BertModel", {bert}, hf_config_bert, has_token_types},
    {"bert", "distilbert", "DistilBertModel", {distilbert}, hf_config_distilbert, NULL},
    {"bloom", "bloom", "BloomForCausalLM", {bloom}, hf_config_bloom, NULL},
    {"command-r", "cohere", "CohereForCausalLM", {decoder}, hf_config_cohere, NULL},
    {"deepseek2", "deepseek_v3", "DeepseekV3ForCausalLM", {deepseek, experts, decoder}, hf_config_deepseek_v3,
     has_correction},
    {"deepseek2", "deepseek_v2", "DeepseekV2ForCausalLM", {deepseek, experts, decoder}, hf_config_deepseek_v2, NULL},
    {"exaone4", "exaone4", "Exaone4ForCausalLM", {sandwich, decoder}, hf_config_exaone4, NULL},
    {"falcon", "falcon", "FalconForCausalLM", {falcon_two_norms, bloom}, hf_config_falcon, has_two_norms},
    {"falcon", "falcon", "FalconForCausalLM", {bloom}, hf_config_falcon, NULL},
    {"gemma", "gemma", "GemmaForCausalLM", {gemma, decoder}, hf_config_gemma, NULL},
    {"gemma2", "gemma2", "Gemma2ForCausalLM", {gemma2, decoder}, hf_config_gemma2, NULL},
    {"gemma3", "gemma3_text", "Gemma3ForCausalLM", {gemma2, decoder}, hf_config_gemma3, NULL},
    {"glm4", "glm4", "Glm4ForCausalLM", {glm4, decoder}, hf_config_glm4, NULL},
    {"gpt-oss", "gpt_oss", "GptOssForCausalLM", {gpt_oss, decoder}, hf_config_gpt_oss, NULL},
    {"gpt2", "gpt2", "GPT2LMHeadModel", {gpt2}, hf_config_gpt2, NULL},
    {"gptneox", "gpt_neox", "GPTNeoXForCausalLM", {neox}, hf_config_neox, NULL},
    {"granite", "granite", "GraniteForCausalLM", {paired, decoder}, hf_config_granite, NULL},
    {"llama", "mixtral", "MixtralForCausalLM", {mixtral, decoder}, hf_config_mixtral, has_experts},
    {"llama", "llama", "LlamaForCausalLM", {paired, decoder}, hf_config_llama, NULL},
    {"mpt", "mpt", "MptForCausalLM", {mpt}, hf_config_mpt, NULL},
    {"nemotron", "nemotron", "NemotronForCausalLM", {gemma, decoder}, hf_config_nemotron, NULL},
    {"olmo", "olmo", "OlmoForCausalLM", {paired, decoder}, hf_config_olmo, NULL},
    {"olmo2", "olmo2", "Olmo2ForCausalLM", {sandwich, decoder}, hf_config_llama, NULL},
    {"olmoe", "olmoe", "OlmoeForCausalLM", {experts, decoder}, hf_config_olmoe, NULL},
    {"phi2", "phi", "PhiForCausalLM", {phi2, decoder}, hf_config_phi2, NULL},
    {"phi3", "phi3", "Phi3ForCausalLM", {phi3, decoder}, hf_config_phi3, NULL},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", {decoder}, hf_config_qwen, NULL},
    {"qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM", {experts, decoder}, hf_config_qwen_moe, NULL},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", {decoder}, hf_config_qwen, NULL},
    {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", {experts, decoder}, hf_config_qwen_moe, NULL},
    {"smollm3", "smollm3", "SmolLM3ForCausalLM", {paired, decoder}, hf_config_smollm3, NULL},
    {"stablelm", "stablelm", "StableLmForCausalLM", {stablelm, decoder}, hf_config_stablelm, NULL},
    {"starcoder", "gpt_bigcode", "GPTBigCodeForCausalLM", {bigcode, gpt2}, hf_config_bigcode, NULL},
    {"starcoder2", "starcoder2", "Starcoder2ForCausalLM", {starcoder2, decoder}, hf_config_starcoder2, NULL},
    {"t5", "t5", "T5ForConditionalGeneration", {t5_gated, t5}, hf_config_t5, has_gated_mlp},
    {"t5", "t5", "T5ForConditionalGeneration", {t5_plain, t5}, hf_config_t5, NULL},
    {.arch = NULL},
};
