libcompute_a_SOURCES += \
	compute/attention.c \
	compute/attention_few.c \
	compute/attention_panels.c \
	compute/attention_parts.c \
	compute/attention_ring.c \
	compute/attention_ring_gather.c \
	compute/attention_split.c \
	compute/attention_tiles.c \
	compute/blocks.c \
	compute/cpu.c \
	compute/dtype.c \
	compute/dtype_grids.c \
	compute/dtype_iq.c \
	compute/dtype_k.c \
	compute/dtype_narrow.c \
	compute/dtype_plain.c \
	compute/dtype_q.c \
	compute/gemm.c \
	compute/gemm_tiles.c \
	compute/gemv.c \
	compute/kernels.c \
	compute/kernels_c.c \
	compute/kernels_pair.c \
	compute/quantize.c \
	compute/tile_plan.c \
	compute/tiles_c.c \
	compute/weight.c \
	compute/isa/amx.c \
	compute/isa/avx2.c \
	compute/isa/avx512.c \
	compute/isa/avx512_bf16.c \
	compute/isa/blocks_avx2.c \
	compute/isa/blocks_avx512.c
libcompute_a_SOURCES += compute/attention.h compute/attention_few.h compute/attention_parts.h compute/attention_ring.h compute/attention_ring_parts.h compute/attention_tiles.h compute/blocks.h compute/cpu.h compute/isa/avx512_range.h compute/isa/block_body.h compute/isa/block_prepare.h compute/isa/block_types.h compute/isa/column_body.h compute/isa/few_body.h compute/isa/pair_body.h compute/isa/row_decode_body.h compute/isa/row_dot_body.h compute/isa/row_grid_body.h compute/isa/row_values_body.h compute/isa/simd_body.h compute/isa/tile_parts.h compute/kernels_c.h compute/gelu.h compute/layer_norm.h compute/dtype.h compute/dtype_grids.h compute/dtype_rows.h compute/gemm.h compute/gemm_scratch.h compute/kernels.h compute/quantize.h compute/tensor.h compute/tile_plan.h compute/tiles.h compute/weight.h
