# Checkpoint readers and model families: one file and one line each.
reader_sources = \
	model/readers/gguf.c \
	model/readers/safetensors.c
family_sources = \
	model/families/gpt2.c \
	model/families/llama.c
libattnscope_a_SOURCES += $(reader_sources) $(family_sources) \
	model/bind.c \
	model/checkpoint.c \
	model/checkpoint_hash.c \
	model/config.c \
	model/config_keys.c \
	model/foreign.c \
	model/forward.c \
	model/gguf.c \
	model/locate.c \
	model/model.c \
	model/rope.c \
	model/runtime.c
libattnscope_a_SOURCES += model/locate.h model/readers/reader.h model/bind.h model/config.h model/runtime.h model/checkpoint.h model/forward.h model/gguf.h model/model.h

include model/tokenizer/sources.mk

registry/readers.inc: Makefile build-aux/registry.sh
	$(REGISTRY) READER $(reader_sources) > $@
registry/families.inc: Makefile build-aux/registry.sh
	$(REGISTRY) FAMILY $(family_sources) > $@
BUILT_SOURCES += registry/readers.inc registry/families.inc
CLEANFILES += registry/readers.inc registry/families.inc
