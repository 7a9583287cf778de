libcompute_a_SOURCES += \
	compute/attention.c \
	compute/cpu.c \
	compute/dtype.c \
	compute/gemm.c \
	compute/kernels.c \
	compute/kernels_c.c
libcompute_a_SOURCES += compute/attention.h compute/dtype.h compute/gemm.h compute/kernels.h compute/tensor.h
