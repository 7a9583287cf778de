#include "cli/version_text.h"

#include <stdio.h>
#include <readline/readline.h>
#include "cli/session.h"
#include "compute/kernels.h"
#include "plots/libraries.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifdef WITH_MPI
#define MPI_WORD "mpi"
#else
#define MPI_WORD "no mpi"
#endif

static void put_sets(strbuf *out, bool usable)
{
    const kernels *const *all = kernels_all();
    for (int i = 0; all[i]; i++)
        if (!usable || kernels_usable(all[i]))
            strbuf_printf(out, " %s", all[i]->isa);
}

void version_text(strbuf *out)
{
    strbuf_printf(out, "attnscope %s\n", program_version);
    strbuf_printf(out, "features: readline %s, sqlite %s, cairo %s, pango %s, %s\n", rl_library_version,
                  store_library_version(), cairo_library_version(), pango_library_version(), MPI_WORD);
    strbuf_puts(out, "isa:");
    put_sets(out, false);
    strbuf_puts(out, " (this machine:");
    put_sets(out, true);
    strbuf_puts(out, ")\n");
}
