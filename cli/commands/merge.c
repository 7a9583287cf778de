/* merge: several stores into one. */
#include <string.h>
#include <unistd.h>
#include "base/near_file.h"
#include "cli/command_util.h"

static int put_report(table *t, const char *path, const store_merge_report *n, err *e)
{
    const int64_t counts[] = {n->models, n->prompts, n->runs, n->units, n->same_units, n->values, n->maps};
    cell *c = table_row(t, e);
    int rc = c ? table_text(t, &c[0], path, strlen(path), e) : ERR_RESOURCE;
    for (size_t i = 0; !rc && i < sizeof counts / sizeof *counts; i++)
        c[1 + i] = cell_int(counts[i]);
    return rc;
}

/* A store that was only just made, and got nothing, goes again. */
static void remove_new(const char *path)
{
    strbuf b = {0};
    unlink(path);
    strbuf_printf(&b, "%s-wal", path);
    unlink(strbuf_str(&b));
    strbuf_clear(&b);
    strbuf_printf(&b, "%s-shm", path);
    unlink(strbuf_str(&b));
    strbuf_free(&b);
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"store", "models", "prompts", "runs", "units", "same_units",
                                          "values", "maps"};
    const char *into = a->word[0];
    const bool there = access(into, F_OK) == 0;
    table *t = NULL;
    store *st = NULL;
    int merged = 0, rc = 0;
    for (int i = 1; i < a->n && !rc; i++) {
        if (access(a->word[i], F_OK) != 0) { /* before anything is made */
            err_set(e, ERR_INPUT, "no store at %s", a->word[i]);
            rc = near_file_hint(e, a->word[i], "name the store to write first, then those that go into it");
        }
    }
    if (!rc)
        rc = table_new(&t, 8, columns, e);
    if (!rc)
        rc = store_open(&st, into, false, e);
    for (int i = 1; i < a->n && !rc; i++) {
        store_merge_report n;
        rc = store_merge(st, a->word[i], &n, &s->prog, e);
        if (!rc)
            rc = put_report(t, a->word[i], &n, e);
        merged += !rc;
    }
    store_close(st);
    if (st && !there && merged == 0)
        remove_new(into);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.merge/1", e);
    table_free(t);
    return rc;
}

static const char *const examples[] = {
    "merge all.db part-1.db part-2.db", "the parts of a sweep that ran on two machines, in a new store",
    "merge heads.db colleague.db", "the runs of a colleague into one's own store",
    NULL,
};
static const char *const complete[] = {"files", NULL};

const command command_merge = {
    .name = "merge", .group = "store", .usage = "INTO FROM [FROM...]",
    .summary = "put the runs of several stores into one",
    .help = "All models, prompts, runs, units of work, maps, figures, sweeps and lists of heads of each FROM"
            " are added to INTO, "
            "which is made when it is missing. Parts of one run (of a sweep over several machines) become"
            " that run: it is done "
            "when all parts are. A unit that both stores have must hold the same values, else nothing of"
            " that FROM is taken. "
            "Each FROM is one transaction and stays as it is; its runs get new numbers. same_units were"
            " there already.",
    .examples = examples, .params = NULL, .min_args = 2, .max_args = -1, .complete = complete, .run = run,
};
