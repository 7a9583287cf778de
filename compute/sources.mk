libcompute_a_SOURCES += \
	compute/attention.c \
	compute/cpu.c \
	compute/dtype.c \
	compute/gemm.c \
	compute/kernels.c \
	compute/kernels_c.c \
	compute/isa/avx2.c \
	compute/isa/avx512.c
libcompute_a_SOURCES += compute/attention.h compute/cpu.h compute/isa/simd_body.h compute/kernels_c.h compute/dtype.h compute/gemm.h compute/kernels.h compute/tensor.h
