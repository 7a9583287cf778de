/* check: is a store sound? */
#include <string.h>
#include "cli/command_util.h"

typedef struct checked { int64_t faults; const char *first; } checked;

static int add_rows(table *out, const table *t, const char *path, checked *all, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        const cell *name = table_cell(t, i, 0), *found = table_cell(t, i, 1), *detail = table_cell(t, i, 2);
        cell *c = table_row(out, e);
        rc = c ? table_text(out, &c[0], path, strlen(path), e) : ERR_RESOURCE;
        if (!rc)
            rc = table_text(out, &c[1], cell_string(name), strlen(cell_string(name)), e);
        if (!rc)
            c[2] = *found;
        if (!rc && detail->kind == CELL_TEXT)
            rc = table_text(out, &c[3], detail->u.s, strlen(detail->u.s), e);
        if (!rc && found->u.i > 0) {
            all->faults++;
            all->first = all->first ? all->first : path;
        }
    }
    return rc;
}

static int check_one(session *s, store *st, const char *path, table *out, checked *all, err *e)
{
    table *t = NULL;
    int rc = store_check(st, &t, &s->prog, e);
    if (!rc)
        rc = add_rows(out, t, path, all, e);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"store", "check", "found", "detail"};
    table *out = NULL;
    checked all = {0};
    int rc = table_new(&out, 4, columns, e);
    if (!rc && a->n == 0) {
        store *st;
        rc = store_to_read(s, &st, e);
        if (!rc)
            rc = check_one(s, st, store_path(st), out, &all, e);
    }
    for (int i = 0; i < a->n && !rc; i++) {
        store *st = NULL;
        rc = store_open(&st, a->word[i], true, e);
        if (!rc)
            rc = check_one(s, st, a->word[i], out, &all, e);
        store_close(st);
    }
    if (!rc)
        rc = print_table(s, a, out, "attnscope.check/1", e);
    table_free(out);
    if (rc || all.faults == 0)
        return rc;
    err_set(e, ERR_INPUT, "store %s is not sound", all.first);
    return err_hint(e, "units and summaries are put right by `gc`; for the rest use a copy, or what the runs' "
                       "commands make anew");
}

static const char *const examples[] = {
    "check --store heads.db", "the store in use",
    "check part-1.db part-2.db --csv", "several, before they are merged",
    NULL,
};
static const char *const complete[] = {"files", NULL};

const command command_check = {
    .name = "check", .group = "store", .usage = "[STORE...]",
    .summary = "is the store sound? the file, and what must hold between its rows",
    .help = "Runs SQLite's own check of the file (file), compares tables, indices, views and triggers with those of this program "
            "(schema), looks for rows that refer to missing ones (references), and holds rows against each other: identities of "
            "models, states and times of runs, names of heads, units that a finished run left undone, numbers and SHA-256 of "
            "tokens and prompts, values that are finite, maps that unpack to their shape, summaries that say what the values "
            "say. Exit status 0: sound; 3: something was found, or the file cannot be read at all. Nothing is changed.",
    .examples = examples, .params = NULL, .min_args = 0, .max_args = -1, .complete = complete, .run = run,
};
