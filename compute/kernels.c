/* Which table is in use. */
#include "compute/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/param.h"
#include "compute/cpu.h"

static const kernels *const all[] = {
    &kernels_c,
#if defined(__x86_64__)
    &kernels_avx2,
    &kernels_avx512,
    &kernels_avx512_bf16,
    &kernels_amx,
#endif
    NULL,
};

static _Atomic(const kernels *) selected;

const kernels *const *kernels_all(void)
{
    return all;
}

bool kernels_usable(const kernels *k)
{
#if defined(__x86_64__)
    if (k == &kernels_avx2)
        return cpu_get()->avx2;
    if (k == &kernels_avx512)
        return cpu_get()->avx512;
    if (k == &kernels_avx512_bf16)
        return cpu_get()->avx512_bf16;
    if (k == &kernels_amx)
        return cpu_amx_allowed();
#endif
    return k == &kernels_c;
}

int kernels_select(const char *isa, const char **note, err *e)
{
    const kernels *best = &kernels_c;
    bool known = strcmp(isa, "best") == 0;
    *note = NULL;
    for (int i = 0; all[i]; i++) {
        if (kernels_usable(all[i]))
            best = all[i];
        if (strcmp(isa, all[i]->isa) == 0) {
            known = true;
            if (!kernels_usable(all[i]))
                *note = "this machine lacks that instruction set; using the best it has";
            break;
        }
    }
    if (!known) {
        const char *const names[] = {"c", "avx2", "avx512", "avx512bf16", "amx", "best", NULL};
        const char *near = nearest_word(isa, names);
        err_set(e, ERR_USAGE, "unknown instruction set %s", isa);
        return near ? err_hint(e, "did you mean %s? one of: c, avx2, avx512, avx512bf16, amx, best", near)
                    : err_hint(e, "one of: c, avx2, avx512, avx512bf16, amx, best");
    }
    atomic_store(&selected, best);
    return 0;
}

const kernels *kernels_get(void)
{
    const kernels *k = atomic_load_explicit(&selected, memory_order_relaxed);
    if (k)
        return k;
    const char *isa = getenv("ATTNSCOPE_ISA"), *note;
    /* The program reports a wrong name when it starts; a library user gets the best. */
    if (!isa || !*isa || kernels_select(isa, &note, NULL))
        kernels_select("best", &note, NULL);
    return atomic_load(&selected);
}
