/* What this processor can run. */
#ifndef ATTNSCOPE_COMPUTE_CPU_H
#define ATTNSCOPE_COMPUTE_CPU_H

#include <stdbool.h>

typedef struct cpu_features {
    bool avx2;    /* AVX2, FMA and F16C, and the system saves 256-bit registers */
    bool avx512;  /* AVX-512 F, BW, DQ, VL, and the system saves 512-bit registers */
    bool avx512_bf16, amx_bf16;  /* reported; not used by a kernel of this version */
} cpu_features;

const cpu_features *cpu_get(void);

#endif
