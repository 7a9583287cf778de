# Checkpoint readers and model families: one file and one line each.
reader_sources = \
	model/readers/gguf.c \
	model/readers/llama2c.c \
	model/readers/npz.c \
	model/readers/safetensors.c \
	model/readers/torch.c
family_sources = \
	model/families/clip.c \
	model/families/deit.c \
	model/families/dinov2.c \
	model/families/llava.c \
	model/families/siglip.c \
	model/families/vit.c \
	model/families/bart.c \
	model/families/bert.c \
	model/families/bloom.c \
	model/families/cohere.c \
	model/families/deepseek_v2.c \
	model/families/deepseek_v3.c \
	model/families/distilbert.c \
	model/families/electra.c \
	model/families/exaone4.c \
	model/families/falcon.c \
	model/families/gemma.c \
	model/families/gemma2.c \
	model/families/gemma3.c \
	model/families/glm4.c \
	model/families/gpt2.c \
	model/families/gpt_bigcode.c \
	model/families/gpt_neo.c \
	model/families/gpt_neox.c \
	model/families/gpt_oss.c \
	model/families/gptj.c \
	model/families/granite.c \
	model/families/llama.c \
	model/families/mistral.c \
	model/families/mixtral.c \
	model/families/modernbert.c \
	model/families/mpt.c \
	model/families/nemotron.c \
	model/families/olmo.c \
	model/families/olmo2.c \
	model/families/olmoe.c \
	model/families/opt.c \
	model/families/phi.c \
	model/families/phi3.c \
	model/families/qwen2.c \
	model/families/qwen2_moe.c \
	model/families/qwen3.c \
	model/families/qwen3_moe.c \
	model/families/qwen3_next.c \
	model/families/roberta.c \
	model/families/smollm3.c \
	model/families/stablelm.c \
	model/families/starcoder2.c \
	model/families/t5.c \
	model/families/whisper.c
libattnscope_a_SOURCES += $(reader_sources) $(family_sources) \
	model/attend.c \
	model/bind.c \
	model/chat/chat.c \
	model/chat/eval.c \
	model/chat/exec.c \
	model/chat/filters.c \
	model/chat/lexer.c \
	model/chat/methods.c \
	model/chat/parse.c \
	model/chat/parse_operators.c \
	model/chat/parse_statement.c \
	model/chat/tests.c \
	model/chat/text.c \
	model/chat/value.c \
	model/checkpoint.c \
	model/checkpoint_hash.c \
	model/checkpoint_shards.c \
	model/config.c \
	model/config_keys.c \
	model/config_rope.c \
	model/cost.c \
	model/decode.c \
	model/delta_net.c \
	model/delta_rule.c \
	model/embed.c \
	model/embed_audio.c \
	model/embed_patches.c \
	model/families/decoder.c \
	model/families/encdec.c \
	model/families/encoder.c \
	model/families/decoder_bind.c \
	model/families/vision.c \
	model/families/deepseek.c \
	model/families/deepseek_bind.c \
	model/families/experts.c \
	model/convert/convert.c \
	model/convert/hf_config.c \
	model/convert/hf_config_other.c \
	model/convert/hf_names.c \
	model/convert/hf_plan.c \
	model/convert/hf_tokenizer.c \
	model/convert/hf_vocab.c \
	model/convert/hf_writer.c \
	model/convert/plan.c \
	model/convert/rows.c \
	model/convert/shards.c \
	model/convert/side_files.c \
	model/foreign.c \
	model/forward.c \
	model/forward_batch.c \
	model/forward_split.c \
	model/gguf.c \
	model/latent.c \
	model/layers.c \
	model/locate.c \
	model/logits.c \
	model/mlp.c \
	model/model.c \
	model/moe.c \
	model/quantize.c \
	model/readers/pickle.c \
	model/readers/pickle_torch.c \
	model/readers/pickle_value.c \
	model/readers/torch_stream.c \
	model/readers/torch_tensors.c \
	model/rope.c \
	model/rows.c \
	model/runtime.c
libattnscope_a_SOURCES += model/chat/chat.h model/chat/jinja.h model/chat/lexer.h model/chat/parse.h
libattnscope_a_SOURCES += model/convert/convert.h model/convert/hf.h model/convert/hf_vocab.h model/convert/plan.h
libattnscope_a_SOURCES += model/locate.h model/readers/pickle.h model/readers/reader.h model/readers/torch.h model/bind.h model/config.h model/cost.h model/runtime.h model/rope.h model/families/decoder.h model/families/vision.h model/delta_rule.h model/families/deepseek.h model/families/experts.h model/families/encdec.h model/families/encoder.h model/checkpoint.h model/checkpoint_shards.h model/forward.h model/forward_split.h model/gguf.h model/model.h model/quantize.h

include model/input/sources.mk
include model/tokenizer/sources.mk

registry/readers.inc: Makefile build-aux/registry.sh
	$(REGISTRY) READER $(reader_sources) > $@
registry/families.inc: Makefile build-aux/registry.sh
	$(REGISTRY) FAMILY $(family_sources) > $@
BUILT_SOURCES += registry/readers.inc registry/families.inc
CLEANFILES += registry/readers.inc registry/families.inc
