/* For tests that run whole models with every table of kernels that this machine has. */
#ifndef ATTNSCOPE_TESTS_USABLE_TABLES_H
#define ATTNSCOPE_TESTS_USABLE_TABLES_H

#include <stdio.h>

#include "compute/kernels.h"

enum { TABLES_MAX = 8 };

/* The best first.  Says on stderr which they are, and what is passed over. */
static inline int usable_tables(const kernels *out[TABLES_MAX])
{
    int n = 0, n_all = 0;
    const kernels *const *all = kernels_all();
    while (all[n_all])
        n_all++;
    for (int i = n_all - 1; i >= 0; i--) {
        bool usable = kernels_usable(all[i]) && n < TABLES_MAX;
        fprintf(stderr, "# instruction set %s: %s\n", all[i]->isa, usable ? "run" : "skipped, this machine lacks it");
        if (usable)
            out[n++] = all[i];
    }
    return n;
}

#endif
