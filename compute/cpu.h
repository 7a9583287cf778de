/* What this processor can run. */
#ifndef ATTNSCOPE_COMPUTE_CPU_H
#define ATTNSCOPE_COMPUTE_CPU_H

#include <stdbool.h>

typedef struct cpu_features {
    bool avx2;    /* AVX2, FMA and F16C, and the system saves 256-bit registers */
    bool avx512;  /* AVX-512 F, BW, DQ, VL, and the system saves 512-bit registers */
    bool avx512_bf16; /* with the above */
    bool amx_bf16;    /* AMX-TILE and AMX-BF16, with the above; a process asks first: cpu_amx_allowed */
} cpu_features;

const cpu_features *cpu_get(void);

/* Asks the system once for the state that tiles need; all threads have it then.  False: no AMX, or the system refuses. */
bool cpu_amx_allowed(void);

#endif
