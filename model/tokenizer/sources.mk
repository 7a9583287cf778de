# Models of tokenizers: one file and one line each.
tokenizer_model_sources = \
	model/tokenizer/models/bpe.c \
	model/tokenizer/models/spm_bpe.c \
	model/tokenizer/models/unigram.c \
	model/tokenizer/models/wordlevel.c \
	model/tokenizer/models/wordpiece.c
libattnscope_a_SOURCES += $(tokenizer_model_sources) \
	model/tokenizer/added.c \
	model/tokenizer/base64.c \
	model/tokenizer/charsmap.c \
	model/tokenizer/decoder.c \
	model/tokenizer/decoder_load.c \
	model/tokenizer/decoder_spm.c \
	model/tokenizer/decoder_words.c \
	model/tokenizer/encode.c \
	model/tokenizer/gguf_kinds.c \
	model/tokenizer/gguf_pre.c \
	model/tokenizer/json_tables.c \
	model/tokenizer/load_config.c \
	model/tokenizer/load_gguf.c \
	model/tokenizer/load_json.c \
	model/tokenizer/load_llama2c.c \
	model/tokenizer/load_slow.c \
	model/tokenizer/load_spm.c \
	model/tokenizer/load_tiktoken.c \
	model/tokenizer/models/bpe_merge.c \
	model/tokenizer/models/bpe_ranks.c \
	model/tokenizer/normalizer.c \
	model/tokenizer/normalizer_bert.c \
	model/tokenizer/normalizer_spm.c \
	model/tokenizer/normalizer_unicode.c \
	model/tokenizer/open.c \
	model/tokenizer/post.c \
	model/tokenizer/pretokenizer.c \
	model/tokenizer/regex.c \
	model/tokenizer/regex_translate.c \
	model/tokenizer/sentencepiece.c \
	model/tokenizer/slow_classes.c \
	model/tokenizer/slow_vocab.c \
	model/tokenizer/text.c \
	model/tokenizer/tokenizer.c \
	model/tokenizer/trie.c \
	model/tokenizer/unicode.c \
	model/tokenizer/vocab.c
libattnscope_a_SOURCES += \
	model/tokenizer/gguf_load.h \
	model/tokenizer/gguf_pre.h \
	model/tokenizer/models/bpe.h \
	model/tokenizer/models/spm_bpe.h \
	model/tokenizer/models/unigram.h \
	model/tokenizer/models/wordpiece.h \
	model/tokenizer/parts.h \
	model/tokenizer/regex.h \
	model/tokenizer/sentencepiece.h \
	model/tokenizer/slow.h \
	model/tokenizer/slow_vocab.h \
	model/tokenizer/spm.h \
	model/tokenizer/tiktoken.h \
	model/tokenizer/tokenizer.h \
	model/tokenizer/trie.h \
	model/tokenizer/unicode.h \
	model/tokenizer/unicode_tables.h \
	model/tokenizer/vocab.h
EXTRA_DIST += model/tokenizer/make_unicode_tables.py

registry/tokenizer_models.inc: Makefile build-aux/registry.sh
	$(REGISTRY) TOKENIZER_MODEL $(tokenizer_model_sources) > $@
BUILT_SOURCES += registry/tokenizer_models.inc
CLEANFILES += registry/tokenizer_models.inc
