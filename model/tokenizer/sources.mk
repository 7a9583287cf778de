# Models of tokenizers: one file and one line each.
tokenizer_model_sources = \
	model/tokenizer/models/bpe.c
libattnscope_a_SOURCES += $(tokenizer_model_sources) \
	model/tokenizer/added.c \
	model/tokenizer/decoder.c \
	model/tokenizer/decoder_load.c \
	model/tokenizer/encode.c \
	model/tokenizer/json_tables.c \
	model/tokenizer/load_gguf.c \
	model/tokenizer/load_json.c \
	model/tokenizer/models/bpe_merge.c \
	model/tokenizer/normalizer.c \
	model/tokenizer/normalizer_unicode.c \
	model/tokenizer/post.c \
	model/tokenizer/pretokenizer.c \
	model/tokenizer/regex.c \
	model/tokenizer/regex_translate.c \
	model/tokenizer/text.c \
	model/tokenizer/tokenizer.c \
	model/tokenizer/unicode.c \
	model/tokenizer/vocab.c
libattnscope_a_SOURCES += model/tokenizer/models/bpe.h model/tokenizer/parts.h model/tokenizer/regex.h \
	model/tokenizer/tokenizer.h model/tokenizer/unicode.h model/tokenizer/unicode_tables.h model/tokenizer/vocab.h
EXTRA_DIST += model/tokenizer/make_unicode_tables.py

registry/tokenizer_models.inc: Makefile build-aux/registry.sh
	$(REGISTRY) TOKENIZER_MODEL $(tokenizer_model_sources) > $@
BUILT_SOURCES += registry/tokenizer_models.inc
CLEANFILES += registry/tokenizer_models.inc
