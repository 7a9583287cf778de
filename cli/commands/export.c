/* export: the values of a run as a file. */
#include <inttypes.h>
#include <string.h>
#include "base/outfile.h"
#include "cli/export_npz.h"
#include "cli/export_rows.h"
#include "cli/terminal.h"

static int put_values(session *s, const command_args *a, store *st, int64_t run, FILE *f, bool array, err *e)
{
    const output_format format = command_format(s, a);
    const export_form form = {
        .format = format == FORMAT_TABLE ? FORMAT_CSV : format, .array = array,
        .wide = params_bool(a->p, "wide"),
        .terminal = f == s->out && terminal_output(s),
    };
    int64_t n = 0;
    int rc = export_rows(f, st, run, form, &n, &s->prog, e);
    if (!rc && n == 0)
        rc = run_without_values(st, run, e);
    if (!rc && f != s->out)
        say(s, "%" PRId64 " %s of run %" PRId64, n, params_bool(a->p, "wide") ? "lines" : "values", run);
    return rc;
}

/* The extension chooses the format of a file; an option wins. */
static int choose_format(const session *s, const command_args *a, const char *path, bool *npz, bool *array,
                         err *e)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *ext = dot && (!slash || dot > slash) ? dot + 1 : "";
    *npz = strcmp(ext, "npz") == 0;
    *array = strcmp(ext, "json") == 0;
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
    return err_hint(e, "end it in .csv, .tsv, .json, .jsonl or .npz, or add --csv, --tsv or --json");
}

static int to_file(session *s, const command_args *a, store *st, int64_t run, const char *path, err *e)
{
    bool npz, array;
    outfile *f = NULL;
    int rc = choose_format(s, a, path, &npz, &array, e);
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
    rc = put_values(s, a, st, run, outfile_stream(f), array, e);
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
        rc = put_values(s, a, st, id, s->out, false, e);
    return rc;
}

static const param own[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "the file to write: .csv, .tsv, .json (an array), .jsonl (JSON Lines: an object a line) or "
             ".npz"},
    {.name = "wide", .kind = PARAM_BOOL, .help = "a line for each place with a column for each metric"},
    {.name = "prompt", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e15,
     .help = "which prompt of a run goes into a .npz file, from 0"},
    {.name = NULL},
};
static const char *const examples[] = {
    "export --store heads.db -o values.csv", "all values of the last run for a spreadsheet or pandas",
    "export 1 --store heads.db -o run1.npz", "arrays [layer, head] and maps for numpy",
    "export --store heads.db --wide -o heads.csv", "a line for each head and prompt, a column for each"
                                                   " metric",
    "export --store heads.db -o values.json", "an array of objects, for pandas.read_json or jsonlite in R",
    "export --store heads.db --json", "JSON Lines on standard output",
    NULL,
};
static const char *const complete[] = {"runs", NULL};

const command command_export = {
    .name = "export", .group = "store", .usage = "[RUN]",
    .summary = "write the values of a run to a file",
    .help = "CSV, TSV and JSON Lines (.jsonl, --json) hold one value a line: run, prompt, kind, metric,"
            " layer, head, "
            "position, value. A .json holds the same objects in one array, as pandas.read_json, jsonlite and"
            " most other "
            "readers expect; DuckDB reads both. A .npz holds `ids`, for each metric an array [L, H] (or [L,"
            " H, P] with "
            "<metric>_positions; [P] for values without a head), NaN where there is no value, and each "
            "stored map as map_L1H3. Without -o the values go to standard output as CSV.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
