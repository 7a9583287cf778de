/* export: the values of a run as a file. */
#include <inttypes.h>
#include <string.h>
#include "base/outfile.h"
#include "cli/experiment.h"
#include "cli/export_npz.h"
#include "cli/output.h"
#include "cli/run_sink.h"

static const char values_sql[] =
    "SELECT run, prompt, kind, metric, layer, head, position, value FROM value_list WHERE run = ?1"
    " ORDER BY prompt, metric, kind, layer, head, position";

/* The lines that `run --json` prints. */
static int put_json(FILE *f, const table *t, err *e)
{
    strbuf b = {0};
    int rc = 0;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        result_value v = {
            .kind = kind_of_cell(table_cell(t, i, 2)), .metric = cell_string(table_cell(t, i, 3)),
            .layer = (int)index_of_cell(table_cell(t, i, 4)), .head = (int)index_of_cell(table_cell(t, i, 5)),
            .position = index_of_cell(table_cell(t, i, 6)), .value = cell_number(table_cell(t, i, 7)),
        };
        run_value_json(&b, table_cell(t, i, 0)->u.i, table_cell(t, i, 1)->u.i, &v);
        if (b.len > 1 << 15)
            rc = output_flush(f, &b, e);
    }
    if (!rc)
        rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

static int put_values(session *s, const command_args *a, store *st, int64_t run, FILE *f, err *e)
{
    const cell bind[] = {cell_int(run)};
    const output_style plain = {.utf8 = true};
    table *t = NULL;
    output_format format = command_format(s, a);
    int rc = store_query(st, &t, values_sql, bind, 1, e);
    if (!rc && t->n_row == 0)
        rc = run_without_values(st, run, e);
    if (!rc && format == FORMAT_JSON)
        rc = put_json(f, t, e);
    else if (!rc && f == s->out)
        rc = print_table(s, a, t, "attnscope.value/1", e);
    else if (!rc)
        rc = output_table(f, t, format == FORMAT_TSV ? FORMAT_TSV : FORMAT_CSV, "attnscope.value/1", &plain,
                          e);
    if (!rc && f != s->out)
        say(s, "%" PRId64 " values of run %" PRId64, t->n_row, run);
    table_free(t);
    return rc;
}

/* The extension chooses the format of a file; an option wins. */
static int choose_format(const session *s, const command_args *a, const char *path, bool *npz, err *e)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *ext = dot && (!slash || dot > slash) ? dot + 1 : "";
    *npz = strcmp(ext, "npz") == 0;
    if (params_given(a->p, "json") || params_given(a->p, "csv") || params_given(a->p, "tsv")) {
        *npz = false;
        return 0;
    }
    if (*npz)
        return 0;
    if (strcmp(ext, "json") == 0 || strcmp(ext, "jsonl") == 0)
        return params_set(a->p, "json", NULL, e);
    if (strcmp(ext, "csv") == 0 || strcmp(ext, "tsv") == 0)
        return params_set(a->p, ext, NULL, e);
    if (command_format(s, a) != FORMAT_TABLE)
        return 0;
    err_set(e, ERR_USAGE, "'%s': the file's name does not say what to write", path);
    return err_hint(e, "end it in .csv, .tsv, .json (JSON Lines) or .npz, or add --csv, --tsv or --json");
}

static int to_file(session *s, const command_args *a, store *st, int64_t run, const char *path, err *e)
{
    bool npz;
    outfile *f = NULL;
    int rc = choose_format(s, a, path, &npz, e);
    if (rc)
        return rc;
    if (npz) {
        rc = export_npz(st, run, params_int(a->p, "prompt"), path, &s->prog, e);
        if (!rc)
            say(s, "wrote %s", path);
        return rc;
    }
    rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    rc = put_values(s, a, st, run, outfile_stream(f), e);
    if (!rc)
        return outfile_commit(f, e);
    outfile_abandon(f);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *path = params_str(a->p, "output");
    store *st;
    int64_t id = 0;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = choose_run(s, a, st, a->n ? a->word[0] : NULL, &id, e);
    if (!rc && path)
        rc = to_file(s, a, st, id, path, e);
    else if (!rc && command_format(s, a) == FORMAT_TABLE && !params_given(a->p, "csv"))
        rc = params_set(a->p, "csv", NULL, e);
    if (!rc && !path)
        rc = put_values(s, a, st, id, s->out, e);
    return rc;
}

static const param own[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "the file to write: .csv, .tsv, .json (JSON Lines) or .npz"},
    {.name = "prompt", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e15,
     .help = "which prompt of a run goes into a .npz file, from 0"},
    {.name = NULL},
};
static const char *const examples[] = {
    "export --store heads.db -o values.csv", "all values of the last run for a spreadsheet or pandas",
    "export 1 --store heads.db -o run1.npz", "arrays [layer, head] and maps for numpy",
    "export --store heads.db --json", "JSON Lines on standard output",
    NULL,
};
static const char *const complete[] = {"runs", NULL};

const command command_export = {
    .name = "export", .group = "store", .usage = "[RUN]",
    .summary = "write the values of a run to a file",
    .help = "CSV, TSV and JSON Lines hold one value a line: run, prompt, kind, metric, layer, head, "
            "position, value. A .npz holds `ids`, for each metric an array [L, H] (or [L, H, P] with "
            "<metric>_positions; [P] for values without a head), NaN where there is no value, and each "
            "stored map as map_L1H3. Without -o the values go to standard output as CSV.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
