/* CPUID and XCR0: an instruction set counts only when the operating system saves its registers. */
#include "compute/cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "compute/kernels.h"

static cpu_features features;
static char cpu_name[64] = "unknown processor";
static char feature_text[128] = "none beyond the baseline";

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

static void read_name(void)
{
    unsigned r[12];
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) < 0x80000004u)
        return;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    memcpy(cpu_name, r, sizeof r);
    cpu_name[sizeof r] = '\0';
    size_t n = strlen(cpu_name), lead = strspn(cpu_name, " ");
    while (n > lead && cpu_name[n - 1] == ' ')
        cpu_name[--n] = '\0';
    memmove(cpu_name, cpu_name + lead, n - lead + 1);
}

static void detect(void)
{
    unsigned a, b, c, d, b7 = 0, d7 = 0, a71 = 0, ignored;
    read_name();
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return;
    unsigned long long state = xcr0();
    bool fma = c & bit_FMA, f16c = c & bit_F16C, avx = c & bit_AVX;
    __get_cpuid_count(7, 0, &a, &b7, &c, &d7);
    if (a >= 1)
        __get_cpuid_count(7, 1, &a71, &ignored, &ignored, &ignored);
    bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6, tiles = (state & 0x60000) == 0x60000;
    features.avx2 = ymm && avx && fma && f16c && (b7 & bit_AVX2);
    unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    features.avx512 = features.avx2 && zmm && (b7 & need) == need;
    features.avx512_bf16 = features.avx512 && (a71 & (1u << 5));
    features.amx_bf16 = features.avx512_bf16 && tiles && (d7 & (1u << 24)) && (d7 & (1u << 22));
}
#else
static void detect(void)
{
}
#endif

__attribute__((constructor)) static void cpu_init(void)
{
    detect();
    if (features.avx2)
        snprintf(feature_text, sizeof feature_text, "avx2 fma f16c%s%s%s", features.avx512 ? " avx512" : "",
                 features.avx512_bf16 ? " avx512-bf16" : "", features.amx_bf16 ? " amx-bf16" : "");
}

const cpu_features *cpu_get(void)
{
    return &features;
}

bool cpu_amx_allowed(void)
{
#if defined(__linux__) && defined(__x86_64__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM and the component of XCR0 */
    static atomic_int answer; /* 0: not asked, 1: yes, -1: no.  Asking twice does no harm. */
    int known = atomic_load(&answer);
    if (!known) {
        known = features.amx_bf16 && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 ? 1 : -1;
        atomic_store(&answer, known);
    }
    return known > 0;
#else
    return false;
#endif
}

const char *machine_cpu(void)
{
    return cpu_name;
}

const char *machine_features(void)
{
    return feature_text;
}
