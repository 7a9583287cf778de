/* gc: space that nothing uses goes back to the file system. */
#include <string.h>
#include "cli/command_util.h"

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"store", "units", "prompts", "models", "sites", "metrics", "bytes_before",
                                          "bytes_after"};
    store_gc_report n;
    store *st;
    table *t = NULL;
    int rc = store_to_read(s, &st, e); /* a store that is missing is not made */
    if (!rc)
        rc = store_gc(st, &n, e);
    if (!rc)
        rc = table_new(&t, 8, columns, e);
    if (!rc) {
        const int64_t counts[] = {n.units, n.prompts, n.models, n.sites, n.metrics, n.bytes_before, n.bytes_after};
        cell *c = table_row(t, e);
        rc = c ? table_text(t, &c[0], store_path(st), strlen(store_path(st)), e) : ERR_RESOURCE;
        for (size_t i = 0; !rc && i < sizeof counts / sizeof *counts; i++)
            c[1 + i] = cell_int(counts[i]);
    }
    if (!rc)
        rc = print_table(s, a, t, "attnscope.gc/1", e);
    table_free(t);
    return rc;
}

static const char *const examples[] = {
    "sql --store heads.db --write \"DELETE FROM run WHERE id = 3\"; gc --store heads.db", "a run goes, and its space with it",
    "gc --store heads.db --json", "how much it was, for a script",
    NULL,
};

const command command_gc = {
    .name = "gc", .group = "store", .usage = "",
    .summary = "remove what no run refers to and give the space back",
    .help = "Removes prompts, models, heads and metrics that nothing refers to any more, and units of work that a run which has "
            "ended left undone; makes summaries that are missing; then packs the file (it needs as much room again while it "
            "does). Runs that are going on are left alone. The table says how many rows went, and the size before and after.",
    .examples = examples, .params = NULL, .min_args = 0, .max_args = 0, .complete = NULL, .run = run,
};
