/* export: the values of a run as a file. */
#include <inttypes.h>
#include <string.h>
#include "base/outfile.h"
#include "cli/export_npz.h"
#include "cli/export_rows.h"
#include "cli/head_filter.h"
#include "cli/terminal.h"

/* A job at hand: which run, and which of its heads. */
typedef struct job {
    session *s;
    const command_args *a;
    store *st;
    int64_t run;
    strbuf heads;          /* condition on rows; empty: all */
    const char *selection; /* as it was given, or NULL */
} job;

static int nothing(const job *j, err *e)
{
    return j->selection ? head_filter_nothing(j->run, j->selection, e) : run_without_values(j->st, j->run, e);
}

static int put_values(const job *j, FILE *f, bool array, err *e)
{
    session *s = j->s;
    const output_format format = command_format(s, j->a);
    const bool wide = params_bool(j->a->p, "wide");
    const export_form form = {
        .format = format == FORMAT_TABLE ? FORMAT_CSV : format, .array = array, .wide = wide,
        .terminal = f == s->out && terminal_output(s), .heads = strbuf_str(&j->heads),
    };
    int64_t n = 0;
    int rc = export_rows(f, j->st, j->run, form, &n, &s->prog, e);
    if (!rc && n == 0)
        rc = nothing(j, e);
    if (!rc && f != s->out)
        say(s, "%" PRId64 " %s of run %" PRId64, n, wide ? "lines" : "values", j->run);
    return rc;
}

/* The extension chooses the format of a file; an option wins. */
static int choose_format(const session *s, const command_args *a, const char *path, bool *arrays, bool *array,
                         err *e)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *ext = dot && (!slash || dot > slash) ? dot + 1 : "";
    *arrays = strcmp(ext, "npz") == 0;
    *array = strcmp(ext, "json") == 0;
    if (params_given(a->p, "json") || params_given(a->p, "csv") || params_given(a->p, "tsv")) {
        *arrays = false;
        return 0;
    }
    if (*arrays)
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

/* Options of the one form say nothing in the other. */
static int check_form(const command_args *a, bool arrays, bool hooks, err *e)
{
    if (hooks && !arrays) {
        err_set(e, ERR_USAGE, "--format transformerlens is a file of arrays");
        return err_hint(e, "add -o FILE.npz");
    }
    if (arrays && params_given(a->p, "wide")) {
        err_set(e, ERR_USAGE, "--wide is for lines of text");
        return err_hint(e, "leave it out: arrays have an axis for each of layer, head and position");
    }
    if (!arrays && params_given(a->p, "prompt")) {
        err_set(e, ERR_USAGE, "--prompt chooses what goes into a .npz file");
        return err_hint(e, "leave it out: lines of text hold all prompts, with a column that says which");
    }
    return 0;
}

static int to_npz(const job *j, bool hooks, const char *path, err *e)
{
    npz_export x = {.st = j->st, .run = j->run, .prompt = params_int(j->a->p, "prompt"), .heads = strbuf_str(&j->heads),
                    .selection = j->selection};
    int n = 0;
    int rc = (hooks ? export_hooks : export_npz)(&x, path, &n, &j->s->prog, e);
    if (rc)
        return rc;
    if (hooks)
        say(j->s, "wrote %s: patterns of %d layer%s, prompt %" PRId64, path, n, n == 1 ? "" : "s", x.prompt);
    else
        say(j->s, "wrote %s", path);
    return 0;
}

static int to_file(const job *j, const char *path, bool hooks, err *e)
{
    bool arrays, array;
    outfile *f = NULL;
    int rc = choose_format(j->s, j->a, path, &arrays, &array, e);
    if (!rc)
        rc = check_form(j->a, arrays, hooks, e);
    if (rc || arrays)
        return rc ? rc : to_npz(j, hooks, path, e);
    rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    rc = put_values(j, outfile_stream(f), array, e);
    if (!rc)
        return outfile_commit(f, e);
    outfile_abandon(f);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *path = params_str(a->p, "output"), *format = params_str(a->p, "format");
    const bool hooks = format && strcmp(format, "transformerlens") == 0;
    job j = {.s = s, .a = a, .selection = params_str(a->p, "heads")};
    int n = 0;
    int rc = store_to_read(s, &j.st, e);
    if (!rc)
        rc = choose_run(s, a, j.st, a->n ? a->word[0] : NULL, &j.run, e);
    if (!rc)
        rc = head_filter_put(&j.heads, &n, s, j.st, j.run, j.selection, e);
    if (!rc && path)
        rc = to_file(&j, path, hooks, e);
    else if (!rc)
        rc = check_form(a, false, hooks, e);
    if (!rc && !path && command_format(s, a) == FORMAT_TABLE && !params_given(a->p, "csv"))
        rc = params_set(a->p, "csv", NULL, e);
    if (!rc && !path)
        rc = put_values(&j, s->out, false, e);
    strbuf_free(&j.heads);
    return rc;
}

static const char *const formats[] = {"plain", "transformerlens", NULL};
static const param own[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named"},
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "the file to write: .csv, .tsv, .json (an array), .jsonl (JSON Lines: an object a line) or "
             ".npz"},
    {.name = "wide", .kind = PARAM_BOOL, .help = "a line for each place with a column for each metric"},
    {.name = "prompt", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e15,
     .help = "which prompt of a run goes into a .npz file, from 0"},
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "values and maps of these alone: L3-7, blocks.3.attn.hook_pattern, \"top 5 by sink\" (`help heads`)"},
    {.name = "format", .kind = PARAM_ENUM, .def = "plain", .choices = formats,
     .help = "of a .npz file: plain, or transformerlens, which holds stored maps under the names of an ActivationCache"},
    {.name = NULL},
};
static const char *const examples[] = {
    "export --store heads.db -o values.csv", "all values of the last run for a spreadsheet or pandas",
    "export 1 --store heads.db -o run1.npz", "arrays [layer, head] and maps for numpy",
    "export --store heads.db --wide -o heads.csv", "a line for each head and prompt, a column for each"
                                                   " metric",
    "export --store heads.db -o values.json", "an array of objects, for pandas.read_json or jsonlite in R",
    "export --store heads.db --json", "JSON Lines on standard output",
    "export --store heads.db --heads \"L3 and where sink > 0.3\" -o sinks.csv", "the values of some heads",
    "export --store heads.db --format transformerlens -o patterns.npz", "stored maps as blocks.3.attn.hook_pattern",
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
            "readers expect; DuckDB reads both. Without -o the values go to standard output as CSV.\n\n"
            "A .npz holds one prompt (--prompt): `ids` [n], `tokens` [n] as text, and for each metric a float64 array with an "
            "axis for each of layer, head and position that its values have, in this order: entropy [L, H], sink [L, H, P], "
            "residual_norm [L+1], flow [L, P], nll [P], a value of the whole prompt []. NaN where there is no value. "
            "<metric>_positions [P] says which positions those along P are, <metric>_heads [P] which heads where positions "
            "count heads (jsd). `metrics`, `units` and `axes` name each array of values, its unit and its axes. "
            "Each stored map is map_L1H3 [queries, keys] float32, NaN where no key is visible. Where a metric has values "
            "both of heads and of layers, say, those of fewer axes are in an array of their own, <metric>_layer. "
            "Other attention than `self` comes as enc_entropy, cross_map_L1H3.\n\n"
            "With --format transformerlens a .npz holds stored maps alone, under the names of TransformerLens' ActivationCache: "
            "blocks.<l>.attn.hook_pattern [1, head, query, key] float32, 0 where no key is visible, NaN for heads whose map was "
            "not stored, and `ids` [1, n]; the stacks of an encoder-decoder are encoder.<l>.attn, decoder.<l>.attn and "
            "decoder.<l>.cross_attn. Maps must be whole: `run ... --maps all --map-limit 0`. Other activations (hook_resid_pre, "
            "hook_z, hook_attn_scores, ...) are not in a store: `dump --format transformerlens` computes and writes them.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
