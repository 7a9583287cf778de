/* What the tables with tile products share: packing and exponentials by AVX-512 (avx512_bf16.c). */
#ifndef ATTNSCOPE_COMPUTE_ISA_TILE_PARTS_H
#define ATTNSCOPE_COMPUTE_ISA_TILE_PARTS_H

#include "compute/tiles.h"

void tile_avx512_pack_left(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
void tile_avx512_pack_left_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
void tile_avx512_pack_right(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
void tile_avx512_pack_right_turned(uint16_t *dst, int terms, const float *src, int64_t ld, int n, int64_t k);
void tile_avx512_pack_right_bf16(uint16_t *dst, const void *src, int64_t ld, int n, int64_t k);
void tile_avx512_column_tops(float *top, const float *s, int64_t key0, int64_t n_key, const int64_t *lo, const int64_t *hi);
void tile_avx512_exponentials(const tile_exponentials *b);

#define TILE_AVX512_PARTS                                  \
    .pack_left = tile_avx512_pack_left,                    \
    .pack_left_turned = tile_avx512_pack_left_turned,      \
    .pack_right = tile_avx512_pack_right,                  \
    .pack_right_turned = tile_avx512_pack_right_turned,    \
    .pack_right_bf16 = tile_avx512_pack_right_bf16,        \
    .column_tops = tile_avx512_column_tops,                \
    .exponentials = tile_avx512_exponentials

#endif
