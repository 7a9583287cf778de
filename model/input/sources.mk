# Pictures and sound as models take them.
libattnscope_a_SOURCES += \
	model/input/fft.c \
	model/input/image.c \
	model/input/image_plan.c \
	model/input/image_plan_read.c \
	model/input/jpeg_read.c \
	model/input/mel.c \
	model/input/mel_plan.c \
	model/input/npy_input.c \
	model/input/png_read.c \
	model/input/processor_config.c \
	model/input/resize.c \
	model/input/wav.c
libattnscope_a_SOURCES += \
	model/input/audio.h \
	model/input/decode.h \
	model/input/fft.h \
	model/input/image.h \
	model/input/processor_config.h
